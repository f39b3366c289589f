"""Figures from a result alone: lines, effects, shrinkage, group coefficients, ranks, correlations, deviations, checks.

Each function returns a matplotlib figure that pyplot knows: a notebook shows it at the end of the cell, `plt.show()` in
a script, `figure.savefig` writes it. It follows the active style, and `figure.axes` are its panels.
"""

from hierreg.plots.calibration import calibration
from hierreg.plots.caterpillar import caterpillar
from hierreg.plots.check import check
from hierreg.plots.design import design
from hierreg.plots.effects import effects
from hierreg.plots.lines import lines
from hierreg.plots.parameters import correlations, variances
from hierreg.plots.predictive import loo_pit, predictive
from hierreg.plots.prior import prior_check, prior_lines
from hierreg.plots.ranks import ranks
from hierreg.plots.sensitivity import sensitivity
from hierreg.plots.shrinkage import shrinkage

__all__ = [
    "calibration",
    "caterpillar",
    "check",
    "correlations",
    "design",
    "effects",
    "lines",
    "loo_pit",
    "predictive",
    "prior_check",
    "prior_lines",
    "ranks",
    "sensitivity",
    "shrinkage",
    "variances",
]


def __dir__() -> list[str]:
    return __all__
