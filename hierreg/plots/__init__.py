"""Figures from a DataTree alone: shrinkage, group coefficients, correlations and standard deviations.

Each function returns a matplotlib figure: the last line of a notebook cell shows it, `figure.savefig` writes
it.
"""

from hierreg.plots.caterpillar import caterpillar
from hierreg.plots.parameters import correlations, variances
from hierreg.plots.shrinkage import shrinkage

__all__ = ["caterpillar", "correlations", "shrinkage", "variances"]
