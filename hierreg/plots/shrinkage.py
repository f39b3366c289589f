"""`shrinkage`: how far each group is pulled from its own estimate towards the population."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from hierreg.checks import check_choice
from hierreg.exceptions import ModelError
from hierreg.plots.canvas import (
    ALONE,
    ARROW,
    FAINT,
    MOST_NAMES,
    PLUG_IN,
    POPULATION,
    POSTERIOR,
    chosen,
    coef_label,
    panels,
    sorted_and_thinned,
    wrapped,
)
from hierreg.reports.reading import FactorFit, check_prob, need_factor, read
from hierreg.reports.shrinkage import group_moments
from hierreg.reports.shrinkage_at_point import limits
from hierreg.reports.table import percent
from hierreg.results.at_estimate import tree_of_estimate
from hierreg.results.point import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_MOST_ARROWS = 200


def shrinkage(  # noqa: PLR0913  # the public signature: every argument but the first has a default
    tree: xr.DataTree | Estimate,
    coef: str | Sequence[str] | None = None,
    *,
    factor: str | None = None,
    kind: Literal["groups", "plane"] = "groups",
    ci_prob: float = 0.95,
    ax: Axes | None = None,
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
    kind : {"groups", "plane"}
        One line per group, sorted by posterior mean of the first coefficient (40 groups evenly spaced in that
        order where there are more); or two coefficients against each other, with an arrow per group from its
        own estimate to its posterior mean.
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
    check_choice(kind, ("groups", "plane"), argument="kind", error=ModelError)
    prob, is_point = check_prob(ci_prob), isinstance(tree, Estimate)
    fit = read(tree_of_estimate(tree, "plots.shrinkage") if isinstance(tree, Estimate) else tree)
    of = need_factor(fit, "plots.shrinkage", factor)
    places = chosen(coef, of)
    values = _values_at_point(of, prob) if is_point else _values(of, prob)
    words = (f"prediction ({fit.plug_in})", "") if is_point else ("posterior mean", f"plug-in limit ({fit.plug_in})")
    if kind == "plane":
        return _plane(of, values, _two(places, coef), words, ax=ax, figsize=figsize)
    rows = sorted_and_thinned(values["mean"][:, places[0]], MOST_NAMES)
    size = figsize or (2.2 + min(4.4, 11 / len(places)) * len(places), max(3.4, 1.8 + 0.24 * len(rows)))
    figure, axes = panels(len(places), ax=ax, figsize=size, columns=len(places), sharey=True)
    for axis, k in zip(axes, places, strict=True):
        _lines(axis, values, rows, k, ci_prob, words)
        axis.set_xlabel(coef_label(of, of.coefs[k]))
    names = [str(name) for name in of.groups[rows]]
    axes[0].set_yticks(np.arange(len(rows)), names, fontsize=8)
    axes[0].set_ylabel(_which(of, len(rows), of.coefs[places[0]]))
    handles, labels = axes[0].get_legend_handles_labels()
    title = f"{fit.attrs['response']}: groups alone (open circles) are pulled towards the population (dashed)"
    if ax is None:
        figure.legend(handles, labels, loc="outside lower center", ncols=5 if size[0] >= 9 else 3, frameon=False)
        figure.suptitle(wrapped(title, size[0]), fontsize="medium")
    else:
        axes[0].legend(fontsize="small")
        axes[0].set_title(title, fontsize="medium")
    return figure


def _values(of: FactorFit, prob: float) -> dict[str, Array]:
    """Return what is drawn of each group and coefficient (J, q), and the population values (q,)."""
    population = of.population(of.fit.posterior["beta"].mean(("chain", "draw")))
    return group_moments(of.fit, of.variable, prob) | limits(of) | {"population": population}


def _values_at_point(of: FactorFit, prob: float) -> dict[str, Array]:
    """Return the same of an estimate, of which the prediction is all that there is."""
    from scipy.special import ndtri

    found = limits(of)
    half = float(ndtri((1 + prob) / 2)) * found["plug_in_sd"]
    mean = found["plug_in"]
    ends = {"mean": mean, "lower": mean - half, "upper": mean + half}
    return found | ends | {"population": of.population(of.fit.limit["beta"])}


def _which(of: FactorFit, n: int, coef: str) -> str:
    J = len(of.groups)
    shown = of.name if n == J else f"{of.name}, {n} of {J} evenly spaced"
    return f"{shown}, sorted by {coef}"


def _lines(  # what is drawn, and what it is called
    axis: Axes, values: dict[str, Array], rows: NDArray[np.intp], k: int, ci_prob: float, words: tuple[str, str]
) -> None:
    """Draw one coefficient: a line per group, from its own estimate to its posterior."""
    y = np.arange(len(rows), dtype=float)
    value = {name: values[name][rows, k] for name in ("no_pooling", "plug_in", "mean", "lower", "upper")}
    axis.axvline(float(values["population"][k]), color=POPULATION, linestyle="--", linewidth=1, label="population mean")
    axis.hlines(
        y,
        value["lower"],
        value["upper"],
        color=POSTERIOR,
        alpha=0.35,
        linewidth=3.5,
        label=f"{percent(ci_prob)} interval",
    )
    for j in np.flatnonzero(np.isfinite(value["no_pooling"])):
        axis.annotate(
            "",
            (value["mean"][j], y[j]),
            (value["no_pooling"][j], y[j]),
            arrowprops={"arrowstyle": "->", "color": ARROW, "linewidth": 0.8, "shrinkA": 2, "shrinkB": 2},
            annotation_clip=False,
        )
    axis.plot(value["no_pooling"], y, "o", markerfacecolor="white", color=ALONE, markersize=6, label="group alone")
    axis.plot(value["mean"], y, "o", color=POSTERIOR, markersize=5, label=words[0])
    if words[1]:
        axis.plot(value["plug_in"], y, "|", color=PLUG_IN, markersize=11, markeredgewidth=1.6, label=words[1])
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


def _plane(
    of: FactorFit,
    values: dict[str, Array],
    places: tuple[int, int],
    words: tuple[str, str],
    *,
    ax: Axes | None,
    figsize: tuple[float, float] | None,
) -> Figure:
    size = figsize or (7.0, 6.0)
    figure, (axis,) = panels(1, ax=ax, figsize=size, columns=1)
    rows = sorted_and_thinned(values["mean"][:, places[0]], _MOST_ARROWS)
    alone, plug_in, mean = (values[name][np.ix_(rows, np.array(places))] for name in ("no_pooling", "plug_in", "mean"))
    known = np.isfinite(alone).all(axis=1)
    many = len(rows) > MOST_NAMES
    for start, end in zip(alone[known], mean[known], strict=True):
        arrow = {"arrowstyle": "->", "color": FAINT if many else ARROW, "linewidth": 0.8}
        axis.annotate("", end, start, arrowprops=arrow | {"shrinkA": 3, "shrinkB": 3})
    size_of = 3.5 if many else 6
    axis.plot(*alone.T, "o", markerfacecolor="white", color=ALONE, markersize=size_of, label="group alone")
    axis.plot(*mean.T, "o", color=POSTERIOR, markersize=size_of - 0.5, label=words[0])
    if not many:
        if words[1]:
            axis.plot(*plug_in.T, "x", color=PLUG_IN, markersize=6, label=words[1])
        for name, (x, y) in zip(of.groups[rows], alone, strict=True):
            if np.isfinite([x, y]).all():
                axis.annotate(str(name), (x, y), (4, 4), textcoords="offset points", fontsize=7, color="#555555")
    population = values["population"][list(places)]
    axis.plot(*population[:, None], "*", color=POPULATION, markersize=14, label="population mean")
    axis.set_xlabel(coef_label(of, of.coefs[places[0]]))
    axis.set_ylabel(coef_label(of, of.coefs[places[1]]))
    shown = "" if len(rows) == len(of.groups) else f" ({len(rows)} of {len(of.groups)}, evenly spaced)"
    title = f"{of.name}{shown}: arrows from each group alone to its {words[0].split()[0]} point to the population"
    axis.set_title(wrapped(title, size[0]), fontsize="medium")
    if ax is None:
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    else:
        axis.legend(frameon=False, fontsize="small")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
