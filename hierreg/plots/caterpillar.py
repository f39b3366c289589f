"""`caterpillar`: all groups in order, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.hints import PROB, SELECTION, understands
from hierreg.plots.canvas import (
    MOST_NAMES,
    chosen,
    chosen_groups,
    coef_label,
    draw_sorted,
    inches_of,
    one_of,
    panels,
    small_font,
    sorted_and_thinned,
    wrapped,
)
from hierreg.plots.colours import colours_on
from hierreg.plots.literal import names_are_literal
from hierreg.reports.reading import FactorFit, check_prob, need_factor, read
from hierreg.reports.shrinkage import group_moments
from hierreg.reports.table import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.plots.canvas import Where

    Array = NDArray[np.float64]

_MOST_GROUPS = 400
# Inches of a panel beside its names, and of a figure.
_PANEL, _WIDEST = 4.4, 15.0


@understands("plots.caterpillar", instead=PROB | SELECTION)
@names_are_literal
def caterpillar(  # noqa: PLR0913  # the public signature: every argument but the first has a default
    tree: xr.DataTree,
    coef: str | Sequence[str] | None = None,
    *,
    factor: str | None = None,
    groups: Sequence[Any] | None = None,
    ci_prob: float = 0.95,
    ax: Where = None,
    axes: Where = None,
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
    groups : sequence, optional
        Labels of the groups that are shown; all by default.
    ci_prob : float
        Probability of the equal-tailed intervals.
    ax, axes : Axes, or sequence or array of Axes, optional
        Where to draw, one for each panel (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels, in order, to be changed further: ``figure.axes[0].set_title("...")``.

    Raises
    ------
    DataError, ModelError
        If the tree is not from hierreg, has no groups or several factors and none is named, or `coef` is not one of
        the group coefficients.

    See Also
    --------
    hierreg.shrinkage : The numbers.
    shrinkage : The groups beside their own estimates.
    ranks : How much of their order is known.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> figure = hr.plots.caterpillar(tree, "Days")
    >>> figure.axes[0].get_ylabel()
    'Subject, sorted'
    """
    prob, where = check_prob(ci_prob), one_of(ax, axes)
    fit = read(tree)
    of = need_factor(fit, "plots.caterpillar", factor)
    places, pick = chosen(coef, of), chosen_groups(groups, of)
    group, deviation = group_moments(fit, of.variable, prob), group_moments(fit, f"b_{of.name}", prob)
    differs = ((deviation["lower"] > 0) | (deviation["upper"] < 0))[pick]
    population = of.population(fit.posterior["beta"].mean(("chain", "draw")))
    shown = min(len(pick), _MOST_GROUPS)
    names = of.groups[pick] if shown <= MOST_NAMES else of.groups[:0]
    width = _PANEL + inches_of(names, small_font())
    columns = max(1, min(len(places), int(_WIDEST / width)))
    height = (1.8 + (0.2 * shown if shown <= MOST_NAMES else 5.0)) * -(-len(places) // columns)
    figure, panel = panels(len(places), ax=where, figsize=figsize or (1.0 + width * columns, height), columns=columns)
    for axis, k in zip(panel, places, strict=True):
        column = {name: value[pick, k] for name, value in group.items()}
        _draw(axis, of, of.groups[pick], column, differs[:, k], float(population[k]))
        axis.set_xlabel(coef_label(of, of.coefs[k], _PANEL))
        title = (
            f"{differs[:, k].sum()} of {len(pick)} groups of {of.name} differ from the population "
            f"(blue: {percent(prob)} interval of b without 0)"
        )
        axis.set_title(wrapped(title, _PANEL), fontsize="medium")
    return figure


def _draw(  # what is drawn
    axis: Axes,
    of: FactorFit,
    names: NDArray[Any],
    column: dict[str, Array],
    differs: NDArray[np.bool_],
    population: float,
) -> None:
    rows = sorted_and_thinned(column["mean"], _MOST_GROUPS)
    axis.axvline(population, color=colours_on(axis).population, linestyle="--", linewidth=1)
    draw_sorted(axis, (of.name, names), rows, (column["mean"], column["lower"], column["upper"]), differs)
