"""Figures, colours and words that all plots share."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import chosen_labels, listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.linear.quantity import in_link
from hierreg.plots.colours import colours_on
from hierreg.reports.draws import evenly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.reports.reading import FactorFit

    Array = NDArray[np.float64]

# More names than this cannot be read on one axis.
MOST_NAMES = 40
# Letters in a line of an axis label.
_WIDTH = 60


type Where = Axes | Sequence[Axes] | NDArray[Any] | None


def panels(
    n: int, *, ax: Where, figsize: tuple[float, float], columns: int, sharey: bool = False, each: str = "coefficient"
) -> tuple[Figure, list[Axes]]:
    """Return a figure with n axes, or those that are given.

    A new figure is one of pyplot: it is shown at the end of a notebook's cell and by ``plt.show()``, and stays until it
    is closed.

    Parameters
    ----------
    n : int
    ax : Axes, sequence or array of Axes, or None
        Where to draw: one for each panel.
    figsize : (float, float)
        Inches.
    columns : int
        Most panels side by side.
    sharey : bool
    each : str
        What a panel shows, in messages.
    """
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    from hierreg.plots.figure import PlotFigure

    if ax is not None:
        given = _given(ax)
        if len(given) != n:
            one = f"choose one {each}, or" if len(given) == 1 and n > 1 else f"choose as many {each}s, or"
            raise ModelError(
                f"ax= takes {_counted(len(given))}, but there are {n}; {one} give {n} axes, or leave it out."
            )
        figure = given[0].get_figure(root=True)
        assert isinstance(figure, Figure)
        return figure, given
    rows = -(-n // columns)
    figure, grid = plt.subplots(
        rows,
        min(n, columns),
        figsize=figsize,
        squeeze=False,
        sharey=sharey,
        layout="constrained",
        FigureClass=PlotFigure,
    )
    axes = list(grid.ravel())
    for unused in axes[n:]:
        unused.set_axis_off()
    return figure, axes[:n]


def one_of(ax: Where, axes: Where) -> Where:
    """Return where to draw, by either of two names: ``axes=`` is what several are called."""
    if ax is not None and axes is not None:
        raise ModelError("ax= and axes= are two names of one thing: give one of them.")
    return ax if axes is None else axes


def close(figure: Figure) -> None:
    """Forget a figure that was written to a file and is not looked at."""
    import matplotlib.pyplot as plt

    plt.close(figure)


def _given(where: Any) -> list[Axes]:
    from matplotlib.axes import Axes

    given = list(np.ravel(np.asarray(where, dtype=object)))
    if not given or not all(isinstance(one, Axes) for one in given):
        raise ModelError(
            f"ax={where!r:.80} is neither Axes of matplotlib nor several of them, as plt.subplots returns."
        )
    return given


def _counted(n: int) -> str:
    return "one panel" if n == 1 else f"{n} panels"


def chosen_groups(groups: object, of: FactorFit) -> NDArray[np.intp]:
    """Return the places of the chosen groups, by label or by the label's text; all of them for None."""
    return chosen_labels(groups, of.groups.tolist(), of.name, "leave it out for all")


def inches_of(names: Iterable[object], points: float) -> float:
    """Return about how wide names are beside an axis."""
    return 0.6 * points / 72 * max((len(str(name)) for name in names), default=0)


def small_font() -> float:
    """Return the size of small letters in the active style, in points."""
    return _points("small")


def _points(size: str | float) -> float:
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=size).get_size_in_points())


def chosen(coef: str | Sequence[str] | None, of: FactorFit) -> list[int]:
    """Return the places of the chosen group columns; all of them for None."""
    if coef is None:
        return list(range(len(of.coefs)))
    names = [coef] if isinstance(coef, str) else list(coef)
    for name in names:
        if name not in of.coefs:
            hint = suggestion(name, of.coefs)
            raise ModelError(
                f"coef={name!r} is not a group coefficient of {of.name!r}; these are {listed(of.coefs)}.{hint}"
            )
    if not names:
        raise ModelError("coef is empty; name a group coefficient, or leave it out for all.")
    return [of.coefs.index(name) for name in names]


def coef_label(of: FactorFit, coef: str, inches: float = 4.4) -> str:
    """Return the label of an axis with the values of one group coefficient, in lines of some width."""
    attrs = of.fit.attrs
    response = in_link(str(attrs["response"]), str(attrs.get("family", "")), str(attrs.get("link", "identity")))
    is_theta = of.variable.startswith("theta_") and coef in of.fit.limit["coef"].values
    unit = unit_of(coef, response)
    at = of.reference.get(coef)
    what = f"{coef} ({unit})" + (f",\n{textwrap.shorten(f'at {at}', _WIDTH, placeholder=' ...')}" if at else "")
    what = what if is_theta else f"{what},\ndeviation from the population"
    from matplotlib import rcParams

    return "\n".join(_lines(line, inches, rcParams["axes.labelsize"]) for line in what.splitlines())


def unit_of(coef: str, response: str) -> str:
    """Return what a coefficient is of: a level or a cell mean, a difference of levels, or a slope.

    Examples
    --------
    >>> [unit_of(name, "rt") for name in ("Intercept", "condition[easy]", "condition[T.hard]", "condition[easy]:load")]
    ['in units of rt', 'in units of rt', 'difference of rt', 'change of rt per unit']
    >>> unit_of("poly(x, 2)[1]", "rt")
    'change of rt per unit'
    """
    parts = [] if coef == "Intercept" else re.findall(r"[^:\[\]]+(?:\[[^\]]*\])?", coef)
    if not all(re.fullmatch(r"[^()\[\]]+\[[^\]]*\]", part) for part in parts):
        return f"change of {response} per unit"
    is_difference = any("[T." in part for part in parts)
    return f"difference of {response}" if is_difference else f"in units of {response}"


def wrapped(title: str, inches: float, size: str = "medium") -> str:
    """Return a title in lines that fit a width, at a size of letters of the active style."""
    from matplotlib import rcParams

    bold = {"semibold", "demibold", "demi", "bold", "heavy", "extra bold", "black"}
    weights = {rcParams["axes.titleweight"], rcParams["figure.titleweight"]}
    is_bold = any(weight in bold or (isinstance(weight, int) and weight >= 600) for weight in weights)
    return _lines(title, inches, size, 0.66 if is_bold else 0.58)


def _lines(text: str, inches: float, size: str | float, wide: float = 0.58) -> str:
    """Return text in lines of a width; a letter is about `wide` times as wide as it is high."""
    return "\n".join(textwrap.wrap(text, max(20, int(72 * inches / (wide * _points(size))))))


def legend(figure: Figure, each: Sequence[Axes], title: str, *, is_new: bool, width: float) -> None:
    """Say what the labels of all panels mean: once below a new figure of a width in inches, else in the first panel."""
    found = {label: handle for axis in each for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if not found:
        return
    handles, labels = list(found.values()), list(found)
    if is_new:
        columns = min(len(found), max(1, int(width / 1.4)))
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, title=title or None)
        return
    each[0].legend(handles, labels, frameon=False, fontsize="small", title=title or None)


def sorted_and_thinned(values: Array, most: int) -> NDArray[np.intp]:
    """Return the places of values in ascending order, at most `most` of them, evenly spaced in that order."""
    order = np.argsort(values, kind="stable")
    return order[evenly(len(order), most)]


def density(draws: Array, low: float, high: float, grid: Array) -> Array:
    """Return a kernel estimate of the density of bounded draws, reflected at finite bounds.

    Parameters
    ----------
    draws : array (S,)
    low, high : float
        Bounds of the parameter; infinite where there is none.
    grid : array (G,)

    References
    ----------
    Silverman (1986), Density Estimation for Statistics and Data Analysis, sections 2.10 and 3.4.
    """
    quartiles = np.quantile(draws, [0.25, 0.75])
    spread = min(float(draws.std(ddof=1)), float(quartiles[1] - quartiles[0]) / 1.34)
    width = 1.06 * (spread if spread > 0 else float(draws.std(ddof=1))) * len(draws) ** -0.2
    mirrored = [draws, *(2 * bound - draws for bound in (low, high) if np.isfinite(bound))]
    z = (grid[:, None] - np.concatenate(mirrored)) / width
    out = np.sum(np.exp(-0.5 * z * z), axis=1) / (len(draws) * width * np.sqrt(2 * np.pi))
    return np.asarray(np.where((grid < low) | (grid > high), 0.0, out))


def draw_sorted(
    axis: Axes,
    labels: tuple[str, NDArray[Any]],
    rows: NDArray[np.intp],
    values: tuple[Array, Array, Array],
    is_marked: NDArray[np.bool_],
) -> None:
    """Draw quantities below each other with their intervals, those that are marked in the posterior's colour.

    Parameters
    ----------
    axis : Axes
    labels : (str, array (J,))
        What they are called together, and each.
    rows : array of int
        Those that are drawn, from below.
    values : arrays (J,)
        Centre and both ends of each.
    is_marked : array (J,)
    """
    (what, names), (centre, lower, upper) = labels, values
    colours, y, many = colours_on(axis), np.arange(len(rows)), len(rows) > MOST_NAMES
    for is_blue, colour in ((False, colours.prior), (True, colours.posterior)):
        pick = is_marked[rows] == is_blue
        at = rows[pick]
        # below centres and lines of reference; where they touch each other, lighter and not moved to whole pixels
        look: dict[str, Any] = {"linewidth": 0.9, "alpha": 0.45, "snap": False} if many else {"linewidth": 1.8}
        axis.hlines(y[pick], lower[at], upper[at], color=colour, zorder=1.5, **look)
        axis.plot(centre[at], y[pick], "o", color=colour, markersize=2 if many else 4.5)
    axis.set_ylim(-0.8, len(rows) - 0.2)
    axis.spines[["top", "right"]].set_visible(False)
    if not many:
        axis.set_yticks(y, [str(name) for name in names[rows]], fontsize="small")
        axis.set_ylabel(f"{what}, sorted")
        return
    axis.set_yticks([])
    thinned = "" if len(rows) == len(names) else f"; {len(rows)} of {len(names)} shown, evenly spaced"
    axis.set_ylabel(f"{what}, sorted{thinned}")
