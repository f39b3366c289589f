"""`caterpillar`: all groups in order, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.plots.canvas import (
    MOST_NAMES,
    POPULATION,
    POSTERIOR,
    PRIOR,
    chosen,
    coef_label,
    panels,
    sorted_and_thinned,
)
from hierreg.reports.reading import FactorFit, check_prob, need_factor, read
from hierreg.reports.shrinkage import group_moments
from hierreg.reports.table import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_MOST_GROUPS = 400


def caterpillar(
    tree: xr.DataTree,
    coef: str | Sequence[str] | None = None,
    *,
    factor: str | None = None,
    ci_prob: float = 0.95,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the group coefficients in ascending order, with intervals.

    Groups that differ from the population (the interval of the deviation b excludes zero) are coloured. Each
    panel is sorted on its own; beyond 40 groups they lose their names, beyond 400 they are thinned evenly.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample` or `hierreg.load`.
    coef : str or sequence of str, optional
        Group coefficients, one panel each; all by default.
    factor : str, optional
        Grouping factor; needed where the model has several.
    ci_prob : float
        Probability of the equal-tailed intervals.
    ax : Axes, optional
        Where to draw a single panel.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    DataError, ModelError
        If the tree is not from hierreg, has no groups or several factors and none is named, or `coef` is not one of
        the group coefficients.
    """
    prob = check_prob(ci_prob)
    fit = read(tree)
    of = need_factor(fit, "plots.caterpillar", factor)
    places = chosen(coef, of)
    group, deviation = group_moments(fit, of.variable, prob), group_moments(fit, f"b_{of.name}", prob)
    differs = (deviation["lower"] > 0) | (deviation["upper"] < 0)
    population = of.population(fit.posterior["beta"].mean(("chain", "draw")))
    shown = min(len(of.groups), _MOST_GROUPS)
    height = 1.8 + (0.2 * shown if shown <= MOST_NAMES else 5.0)
    figure, axes = panels(len(places), ax=ax, figsize=figsize or (1.0 + 4.4 * len(places), height), columns=len(places))
    for axis, k in zip(axes, places, strict=True):
        column = {name: value[:, k] for name, value in group.items()}
        _draw(axis, of, column, differs[:, k], float(population[k]))
        axis.set_xlabel(coef_label(of, of.coefs[k]))
        axis.set_title(
            f"{differs[:, k].sum()} of {len(of.groups)} groups of {of.name} differ from\n"
            f"the population (blue: {percent(prob)} interval of b without 0)",
            fontsize="medium",
        )
    return figure


def _draw(axis: Axes, of: FactorFit, column: dict[str, Array], differs: NDArray[np.bool_], population: float) -> None:
    rows = sorted_and_thinned(column["mean"], _MOST_GROUPS)
    y = np.arange(len(rows))
    many = len(rows) > MOST_NAMES
    axis.axvline(population, color=POPULATION, linestyle="--", linewidth=1)
    for is_blue, colour in ((False, PRIOR), (True, POSTERIOR)):
        pick = differs[rows] == is_blue
        at = rows[pick]
        axis.hlines(y[pick], column["lower"][at], column["upper"][at], color=colour, linewidth=0.9 if many else 1.8)
        axis.plot(column["mean"][at], y[pick], "o", color=colour, markersize=2 if many else 4.5)
    axis.set_ylim(-0.8, len(rows) - 0.2)
    axis.spines[["top", "right"]].set_visible(False)
    if not many:
        axis.set_yticks(y, [str(name) for name in of.groups[rows]], fontsize=8)
        axis.set_ylabel(f"{of.name}, sorted")
        return
    axis.set_yticks([])
    thinned = "" if len(rows) == len(of.groups) else f"; {len(rows)} of {len(of.groups)} shown, evenly spaced"
    axis.set_ylabel(f"{of.name}, sorted{thinned}")
