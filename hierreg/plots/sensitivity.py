"""`sensitivity`: a quantity against the prior, or under powers of the priors and of the likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.hints import SELECTION, understands
from hierreg.plots.canvas import density, legend, one_of, panels, unit_of, wrapped
from hierreg.plots.colours import colours_on
from hierreg.plots.literal import names_are_literal
from hierreg.reports.sensitivity import PriorGrid, Sensitivity
from hierreg.reports.table import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.plots.canvas import Where

    Array = NDArray[np.float64]

# Quantities that are shown where none are named, and panels side by side.
_MOST, _ACROSS = 6, 3
_GRID = 200
# Of the values that axes show, in posterior standard deviations beyond the outermost means.
_BEYOND = 3.5


@understands("plots.sensitivity", instead=SELECTION)
@names_are_literal
def sensitivity(
    x: PriorGrid | Sensitivity,
    quantities: str | Sequence[str] | None = None,
    *,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of what `hierreg.sensitivity` found, a panel for each quantity.

    Of several fits, the mean and the interval under each prior; along an axis of numbers where the priors differ by a
    scale or a power. Of one fit, the density of the posterior as it is and under powers of the priors (above)
    and of the likelihood (below the axis, upside down): the further apart the lines, the more depends on it.

    Parameters
    ----------
    x : PriorGrid or Sensitivity
        From `hierreg.sensitivity`.
    quantities : sequence of str, optional
        Those that are shown; by default the first six.
    ax, axes : Axes, or sequence or array of them, optional
        Where to draw, one for each quantity (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels.

    Raises
    ------
    ModelError
        If `x` is something else, or has no such quantity.

    See Also
    --------
    hierreg.sensitivity : The numbers.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> grid = hr.sensitivity(model, ["sd_Batch"], scales=[0.5, 2], seed=1)
    >>> hr.plots.sensitivity(grid).axes[0].get_xlabel()
    'factor of the scales of all priors'
    """
    if not isinstance(x, PriorGrid | Sensitivity) or not x.is_whole:
        raise ModelError(f"x has type {type(x).__name__}; what hr.sensitivity returned, whole, is required.")
    places = _chosen(x, quantities)
    n, where = len(places), one_of(ax, axes)
    if not n:
        raise ModelError("there is nothing to draw: every parameter of this model is fixed.")
    across = min(n, _ACROSS if isinstance(x, Sensitivity) or _along(x) is not None else 1)
    height = 2.6 if isinstance(x, Sensitivity) or _along(x) is not None else 1.2 + 0.24 * x.sizes["prior"]
    size = figsize or (3.4 * across + (3.2 if across == 1 else 0.4), height * -(-n // across) + 0.6)
    figure, each = panels(n, ax=where, figsize=size, columns=across, each="quantity")
    for axis, place in zip(each, places, strict=True):
        if isinstance(x, Sensitivity):
            _draw_powers(axis, x, place)
        elif (along := _along(x)) is None:
            _draw_priors(axis, x, place)
        else:
            _draw_along(axis, x, place, along)
        axis.spines[["top", "right"]].set_visible(False)
    if isinstance(x, Sensitivity):
        legend(figure, each, "", is_new=where is None, width=size[0])
    else:
        each[0].set_title(wrapped(f"means and {percent(x.attrs['ci_prob'])} intervals", size[0] / across, "small"))
    return figure


def _chosen(x: PriorGrid | Sensitivity, quantities: str | Sequence[str] | None) -> list[int]:
    names = [str(name) for name in x["quantity"].to_numpy()]
    if quantities is None:
        return list(range(min(len(names), _MOST)))
    wanted = [quantities] if isinstance(quantities, str) else list(quantities)
    for one in wanted:
        if one not in names:
            raise ModelError(f"quantities names {one!r}, which is none of {listed(names)}.{suggestion(one, names)}")
    if not wanted:
        raise ModelError("quantities is empty; name one, or leave it out for the first of them.")
    return [names.index(one) for one in wanted]


def _along(x: PriorGrid) -> tuple[Array, str, NDArray[np.intp]] | None:
    """Return the numbers by which priors differ, what they are, and the order of the fits; None where by names."""
    kinds, of = set(x["kind_of_prior"].to_numpy()) - {"as given"}, set(x["of"].to_numpy()) - {""}
    level = x["level"].to_numpy()
    if len(kinds) != 1 or len(of) > 1 or not kinds <= {"scale", "power"}:
        return None
    which = f"the prior of {of.pop()}" if of else "all priors"
    what = {
        "scale": f"factor of the scale{'' if which.startswith('the') else 's'} of {which}",
        "power": f"power of {which}",
    }
    return level, what[kinds.pop()], np.argsort(level)


def _draw_along(axis: Axes, x: PriorGrid, place: int, along: tuple[Array, str, NDArray[np.intp]]) -> None:
    level, what, order = along
    mean, lower, upper = (x[name].to_numpy()[place][order] for name in ("mean", "lower", "upper"))
    colours, at = colours_on(axis), level[order]
    axis.fill_between(at, lower, upper, color=colours.posterior, alpha=0.2, linewidth=0)
    axis.plot(at, mean, "o-", color=colours.posterior, markersize=3.5)
    axis.axvline(1.0, color=colours.faint, linewidth=1, zorder=0)
    axis.set_xscale("log")
    ticks = at if len(at) <= 5 else at[np.linspace(0, len(at) - 1, 5).round().astype(int)]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks.round(3)])
    axis.minorticks_off()
    axis.set_xlabel(what)
    axis.set_ylabel(_label(x, place))


def _draw_priors(axis: Axes, x: PriorGrid, place: int) -> None:
    mean, lower, upper = (x[name].to_numpy()[place] for name in ("mean", "lower", "upper"))
    colours, y = colours_on(axis), np.arange(len(mean))[::-1]
    axis.axvline(mean[0], color=colours.faint, linewidth=1, zorder=0)
    axis.hlines(y, lower, upper, color=colours.posterior, linewidth=1.8)
    axis.plot(mean, y, "o", color=colours.posterior, markersize=4.5)
    axis.set_yticks(y, [str(name) for name in x["prior"].to_numpy()], fontsize="small")
    axis.set_ylim(-0.7, len(mean) - 0.3)
    axis.set_ylabel("prior")
    axis.set_xlabel(_label(x, place))


def _draw_powers(axis: Axes, x: Sensitivity, place: int) -> None:
    colours = colours_on(axis)
    mean, sd = (x[name].to_numpy()[:, :, place] for name in ("mean_at", "sd_at"))
    low, high = _bounds(x, place)
    grid = np.linspace(
        max(low, float((mean - _BEYOND * sd).min())), min(high, float((mean + _BEYOND * sd).max())), _GRID
    )
    powers = x["power"].to_numpy()
    styles = [(colours.plug_in, "--"), (colours.population, "-"), (colours.posterior, "-.")]
    for component, sign in enumerate((1.0, -1.0)):
        for (colour, style), power, draws in zip(styles, powers, x["draws_at"].to_numpy()[component], strict=True):
            label = f"to the power {power:g}" if power != 1 else "as it is"
            axis.plot(
                grid,
                sign * density(draws[:, place], low, high, grid),
                style,
                color=colour,
                linewidth=1.3,
                label=label if component == 0 else None,
            )
    axis.axhline(0.0, color=colours.faint, linewidth=1, zorder=0)
    axis.set_yticks([])
    axis.set_ylabel("likelihood   |   prior")
    axis.set_xlabel(_label(x, place))


def _label(x: PriorGrid | Sensitivity, place: int) -> str:
    """Return a quantity with its unit, where its name says which that is."""
    name, response = str(x["quantity"].to_numpy()[place]), str(x.attrs.get("response", ""))
    variable, _, element = name.partition("[")
    if variable == "error_sd":
        return f"{name} (in units of {response})"
    if variable.startswith(("beta", "sd_", "scale_")) and element:
        return f"{name}\n({unit_of(element.removesuffix(']'), response)})"
    return name


def _bounds(x: Sensitivity, place: int) -> tuple[float, float]:
    """Return the range of a quantity, by its name."""
    name = str(x["quantity"].to_numpy()[place])
    if name.startswith(("sd_", "error_sd", "scale_")):
        return 0.0, np.inf
    return (-1.0, 1.0) if name.startswith(("corr_", "error_corr")) else (-np.inf, np.inf)
