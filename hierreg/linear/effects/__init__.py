"""Effects of predictors: comparisons, slopes, and means of cells."""

from hierreg.linear.effects.public import comparisons, datagrid, means, slopes

__all__ = ["comparisons", "datagrid", "means", "slopes"]
