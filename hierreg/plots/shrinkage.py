"""`shrinkage`: how far each group is pulled from its own estimate towards the population."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, SELECTION, understands
from hierreg.plots.canvas import (
    MOST_NAMES,
    chosen,
    chosen_groups,
    coef_label,
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
from hierreg.reports.shrinkage_at_point import limits, limits_with_ends
from hierreg.reports.table import percent
from hierreg.results.at_estimate import tree_of_estimate
from hierreg.results.point import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.plots.canvas import Where
    from hierreg.plots.colours import Colours

    Array = NDArray[np.float64]

_MOST_ARROWS = 200
# Of an arrow in parts of the axes, below which it would be shorter than its head.
_SHORTEST = 0.03
# Where names may stand beside a point, in points of type.
_BESIDE = ((4, 4), (4, -9), (-4, 4), (-4, -9))


@understands("plots.shrinkage", instead=PROB | SELECTION)
@names_are_literal
def shrinkage(  # noqa: PLR0913  # the public signature: every argument but the first has a default
    tree: xr.DataTree | Estimate,
    coef: str | Sequence[str] | None = None,
    *,
    factor: str | None = None,
    groups: Sequence[Any] | None = None,
    kind: Literal["groups", "plane"] = "groups",
    ci_prob: float = 0.95,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of each group alone, its plug-in limit and its posterior, beside the population.

    Of a point estimate: each group alone and its prediction at the estimate, with its normal interval.

    Parameters
    ----------
    tree : DataTree or Estimate
        From `Model.sample` or `hierreg.load`; or from `Model.estimate`.
    coef : str or sequence of str, optional
        Group coefficients, one panel each; all by default. For ``kind="plane"`` two of them.
    factor : str, optional
        Grouping factor; needed where the model has several.
    groups : sequence, optional
        Labels of the groups that are shown; all by default.
    kind : {"groups", "plane"}
        One line per group, sorted by posterior mean of the first coefficient (40 groups evenly spaced in that
        order where there are more); or two coefficients against each other, with an arrow per group from its
        own estimate to its posterior mean.
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
    caterpillar : The posterior alone, of many groups.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> figure = hr.plots.shrinkage(tree, groups=["308", "309", "335"])
    >>> len(figure.axes)
    2
    """
    check_choice(kind, ("groups", "plane"), argument="kind", error=ModelError)
    where = one_of(ax, axes)
    prob, is_point = check_prob(ci_prob), isinstance(tree, Estimate)
    fit = read(tree_of_estimate(tree, "plots.shrinkage") if isinstance(tree, Estimate) else tree)
    of = need_factor(fit, "plots.shrinkage", factor)
    places = chosen(coef, of)
    pick = chosen_groups(groups, of)
    values = (_values_at_point if is_point else _values)(of, prob, pick)
    words = (f"prediction ({fit.plug_in})", "") if is_point else ("posterior mean", f"plug-in limit ({fit.plug_in})")
    if kind == "plane":
        return _plane(of, values, _two(places, coef), pick, words, where=where, figsize=figsize)
    rows = sorted_and_thinned(values["mean"][:, places[0]], MOST_NAMES)
    names = [str(name) for name in of.groups[pick[rows]]]
    width = min(4.4, 11 / len(places))
    size = figsize or (2.0 + inches_of(names, small_font()) + width * len(places), max(3.4, 1.8 + 0.24 * len(rows)))
    figure, panel = panels(len(places), ax=where, figsize=size, columns=len(places), sharey=True)
    for axis, k in zip(panel, places, strict=True):
        _lines(axis, values, rows, k, ci_prob, words)
        axis.set_xlabel(coef_label(of, of.coefs[k], width))
    panel[0].set_yticks(np.arange(len(rows)), names, fontsize="small")
    panel[0].set_ylabel(_which(of, len(rows), len(pick), of.coefs[places[0]]))
    handles, labels = panel[0].get_legend_handles_labels()
    title = f"{fit.attrs['response']}: groups alone (open circles) are pulled towards the population (dashed)"
    if where is None:
        figure.legend(handles, labels, loc="outside lower center", ncols=5 if size[0] >= 9 else 3, frameon=False)
        figure.suptitle(wrapped(title, size[0]), fontsize="medium")
    else:
        panel[0].legend(fontsize="small")
        panel[0].set_title(wrapped(title, width), fontsize="medium")
    return figure


def _values(of: FactorFit, prob: float, pick: NDArray[np.intp]) -> dict[str, Array]:
    """Return what is drawn of the chosen groups and each coefficient (J, q), and the population values (q,)."""
    population = of.population(of.fit.posterior["beta"].mean(("chain", "draw")))
    of_groups = group_moments(of.fit, of.variable, prob) | limits(of)
    return {name: value[pick] for name, value in of_groups.items()} | {"population": population}


def _values_at_point(of: FactorFit, prob: float, pick: NDArray[np.intp]) -> dict[str, Array]:
    """Return the same of an estimate, of which the prediction is all that there is."""
    found = limits_with_ends(of, prob)
    of_groups = found | {"mean": found["plug_in"]}
    return {name: value[pick] for name, value in of_groups.items()} | {
        "population": of.population(of.fit.limit["beta"])
    }


def _which(of: FactorFit, n: int, J: int, coef: str) -> str:
    shown = of.name if n == J else f"{of.name}, {n} of {J} evenly spaced"
    return f"{shown}, sorted by {coef}"


def _lines(  # what is drawn, and what it is called
    axis: Axes, values: dict[str, Array], rows: NDArray[np.intp], k: int, ci_prob: float, words: tuple[str, str]
) -> None:
    """Draw one coefficient: a line per group, from its own estimate to its posterior."""
    y, colours = np.arange(len(rows), dtype=float), colours_on(axis)
    value = {name: values[name][rows, k] for name in ("no_pooling", "plug_in", "mean", "lower", "upper")}
    axis.axvline(
        float(values["population"][k]), color=colours.population, linestyle="--", linewidth=1, label="population mean"
    )
    axis.hlines(
        y,
        value["lower"],
        value["upper"],
        color=colours.posterior,
        alpha=0.35,
        linewidth=3.5,
        label=f"{percent(ci_prob)} interval",
    )
    for j in np.flatnonzero(np.isfinite(value["no_pooling"])):
        axis.annotate(
            "",
            (value["mean"][j], y[j]),
            (value["no_pooling"][j], y[j]),
            arrowprops={"arrowstyle": "->", "color": colours.arrow, "linewidth": 0.8, "shrinkA": 2, "shrinkB": 2},
            annotation_clip=False,
        )
    axis.plot(
        value["no_pooling"],
        y,
        "o",
        markerfacecolor=colours.background,
        color=colours.alone,
        markersize=6,
        label="group alone",
    )
    axis.plot(value["mean"], y, "o", color=colours.posterior, markersize=5, label=words[0])
    if words[1]:
        axis.plot(value["plug_in"], y, "|", color=colours.plug_in, markersize=11, markeredgewidth=1.6, label=words[1])
    axis.set_ylim(-0.8, len(rows) - 0.2)
    _limit_axis(axis, value)
    axis.spines[["top", "right"]].set_visible(False)


def _limit_axis(axis: Axes, value: dict[str, Array]) -> None:
    """Keep the posterior readable where some group's own estimate is far off; say how many are outside."""
    low, high = float(value["lower"].min()), float(value["upper"].max())
    alone = value["no_pooling"][np.isfinite(value["no_pooling"])]
    span = high - low
    outside = int(np.sum((alone < low - span) | (alone > high + span)))
    if outside:
        axis.set_xlim(low - span, high + span)
        verb = "lies" if outside == 1 else "lie"
        axis.set_title(f"{outside} of the groups' own estimates {verb} outside", fontsize="small")


def _two(places: list[int], coef: object) -> tuple[int, int]:
    if len(places) != 2:
        raise ModelError(
            f"kind='plane' shows two coefficients against each other, but coef={coef!r} are {len(places)}; "
            "name two, as in coef=['Intercept', 'Days']."
        )
    return places[0], places[1]


def _plane(  # noqa: PLR0913  # what is drawn, and where
    of: FactorFit,
    values: dict[str, Array],
    places: tuple[int, int],
    pick: NDArray[np.intp],
    words: tuple[str, str],
    *,
    where: Where,
    figsize: tuple[float, float] | None,
) -> Figure:
    size = figsize or (7.0, 6.0)
    figure, (axis,) = panels(1, ax=where, figsize=size, columns=1)
    colours = colours_on(axis)
    rows = sorted_and_thinned(values["mean"][:, places[0]], _MOST_ARROWS)
    alone, plug_in, mean = (values[name][np.ix_(rows, np.array(places))] for name in ("no_pooling", "plug_in", "mean"))
    many = len(rows) > MOST_NAMES
    size_of = 3.5 if many else 6
    axis.plot(
        *alone.T, "o", markerfacecolor=colours.background, color=colours.alone, markersize=size_of, label="group alone"
    )
    axis.plot(*mean.T, "o", color=colours.posterior, markersize=size_of - 0.5, label=words[0])
    if words[1] and not many:
        axis.plot(*plug_in.T, "x", color=colours.plug_in, markersize=6, label=words[1])
    population = values["population"][list(places)]
    axis.plot(*population[:, None], "*", color=colours.population, markersize=14, label="population mean")
    _arrows(axis, alone, mean, colours, many=many)
    axis.set_xlabel(coef_label(of, of.coefs[places[0]], 0.8 * size[0]))
    axis.set_ylabel(coef_label(of, of.coefs[places[1]], 0.7 * size[1]))
    shown = "" if len(rows) == len(pick) else f" ({len(rows)} of {len(pick)}, evenly spaced)"
    title = f"{of.name}{shown}: arrows from each group alone to its {words[0].split()[0]} point to the population"
    axis.set_title(wrapped(title, 0.95 * size[0]), fontsize="medium")
    if where is None:
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    else:
        axis.legend(frameon=False, fontsize="small")
    axis.spines[["top", "right"]].set_visible(False)
    if not many:
        _name_points(axis, [str(name) for name in of.groups[pick[rows]]], alone, colours)
    return figure


def _arrows(axis: Axes, alone: Array, mean: Array, colours: Colours, *, many: bool) -> None:
    """Draw an arrow from each group alone to its posterior; a line where it would be shorter than its head."""
    known = np.isfinite(alone).all(axis=1)
    axis.autoscale_view()
    span = np.array([np.ptp(axis.get_xlim()), np.ptp(axis.get_ylim())])
    for start, end in zip(alone[known], mean[known], strict=True):
        is_short = float(np.hypot(*((end - start) / span))) < _SHORTEST
        arrow = {
            "arrowstyle": "-" if is_short else "->",
            "color": colours.faint if many else colours.arrow,
            "linewidth": 0.8,
        }
        shrink = 0 if is_short else 3
        axis.annotate("", end, start, arrowprops=arrow | {"shrinkA": shrink, "shrinkB": shrink})


def _name_points(axis: Axes, names: list[str], points: Array, colours: Colours) -> None:
    """Write names beside points, each inside the axes and where it covers no other, if there is such a place."""
    size = 0.85 * small_font()
    figure = axis.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # settles where the axes are
    per_point = figure.dpi / 72
    inside = np.asarray(axis.get_window_extent().extents) / per_point
    taken: list[tuple[float, ...]] = []
    for name, (x, y) in zip(names, points, strict=True):
        if not np.isfinite([x, y]).all():
            continue
        at, width = axis.transData.transform((x, y)) / per_point, 0.6 * size * len(name)
        boxes = []
        for right, up in _BESIDE:
            left = float(at[0]) + right - (width if right < 0 else 0.0)
            boxes.append((left, float(at[1]) + up, left + width, float(at[1]) + up + size))
        costs = [
            (_outside(box, inside), sum(_overlap(box, other) for other in taken), i) for i, box in enumerate(boxes)
        ]
        place = min(costs)[-1]
        taken.append(boxes[place])
        right, up = _BESIDE[place]
        axis.annotate(
            name,
            (x, y),
            (right, up),
            textcoords="offset points",
            ha="right" if right < 0 else "left",
            fontsize=size,
            color=colours.population,
            alpha=0.75,
            in_layout=False,  # long names would squeeze the axes
        )


def _outside(box: tuple[float, ...], axes: Array) -> int:
    """Return by how many points a box is beside or above the axes."""
    return int(max(0.0, axes[0] - box[0], box[2] - axes[2]) + max(0.0, axes[1] - box[1], box[3] - axes[3]))


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
