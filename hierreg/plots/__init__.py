"""Figures from a DataTree alone: shrinkage, group coefficients, ranks, correlations and standard deviations.

Each function returns a matplotlib figure: the last line of a notebook cell shows it, `figure.savefig` writes
it.
"""

from hierreg.plots.caterpillar import caterpillar
from hierreg.plots.parameters import correlations, variances
from hierreg.plots.ranks import ranks
from hierreg.plots.shrinkage import shrinkage

__all__ = ["caterpillar", "correlations", "ranks", "shrinkage", "variances"]
