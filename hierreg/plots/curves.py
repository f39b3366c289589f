"""How curves, intervals of levels, and observed rows are drawn into a panel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.plots.colours import colours_on, series_on
from hierreg.reports.draws import evenly
from hierreg.response import Bernoulli

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hierreg.linear.curves import Asked, Curve, Curves, Points, Source, XAxis
    from hierreg.linear.curves.axes import Axes as CurveAxes

    Array = NDArray[np.float64]

_DASHES = ("-", "--", "-.", ":")
# Between the levels of `by` at a level of x; of the points beside it.
_DODGE, _JITTER = 0.14, 0.05
# Rows of two categories that make a share, the most shares of a line, and the fewest rows that are put together.
_ROWS_OF_SHARE, _MOST_SHARES, _FEWEST_ROWS = 50, 12, 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Style:
    """How all panels of a figure are drawn.

    Attributes
    ----------
    colours : tuple of str
        By value of `by`, or by category.
    neutral : str
        Of points and groups that have none of these.
    population, background : str
    labels : tuple of str
        What the colours mean; empty texts where there is one.
    has_levels : bool
        Whether x has levels rather than numbers.
    by_panel : bool
        Whether each group has a panel.
    is_prior : bool
    has_shares : bool
        Whether points are shares of two categories.
    group, factor : str
        What a group's own line is called, in panels of groups.
    """

    colours: tuple[str, ...]
    neutral: str
    population: str
    background: str
    labels: tuple[str, ...]
    has_levels: bool
    by_panel: bool
    is_prior: bool
    has_shares: bool
    factor: str

    def colour(self, k: int) -> str:
        """Return the colour of one value of `by`."""
        return self.colours[k] if k >= 0 else self.neutral

    def dash(self, k: int) -> str:
        """Return how its line is broken, so that lines differ without colours."""
        return _DASHES[k % len(_DASHES)] if k >= 0 else "-"

    def dodge(self, k: int) -> float:
        """Return how far beside a level its interval stands."""
        if not self.has_levels:
            return 0.0
        n = len(self.colours)
        return (k - (n - 1) / 2) * min(_DODGE, 0.6 / n) if k >= 0 else 0.0


def style_of(axis: Axes, source: Source, along: CurveAxes, asked: Asked, found: Curves) -> Style:
    """Return how the panels of a figure are drawn, on the background of one of them."""
    own, problem = colours_on(axis), source.problem
    is_binary = source.is_family and isinstance(problem.family, Bernoulli)
    return Style(
        colours=tuple(series_on(axis, len(found.colours))),
        neutral=own.prior,
        population=own.population,
        background=own.background,
        labels=found.colours if len(found.colours) > 1 or found.colours[0] else ("",),
        has_levels=along.x.levels is not None,
        by_panel=asked.by_panel,
        is_prior=source.kind == "prior",
        has_shares=is_binary and not asked.by_panel,
        factor=found.chosen.factor,
    )


def thinned(points: Points, most: int, style: Style) -> Points:
    """Return at most so many points, evenly spaced in the table; all of them where shares are made of them."""
    n = len(points.x)
    if n <= most or style.has_shares:
        return points
    kept = evenly(n, most)
    return replace(points, x=points.x[kept], y=points.y[kept], colour=points.colour[kept], panel=points.panel[kept])


def rows_of_shares(points: Points) -> list[int]:
    """Return of how many rows shares are, by colour: zero where there are so few that they are points."""
    counts = np.unique(points.colour, return_counts=True)[1].tolist()
    return [round(n / n_shares(n)) if n >= _FEWEST_ROWS else 0 for n in counts]


def draw_points(axis: Axes, points: Points, panel: int, style: Style) -> None:
    """Draw the observed rows of a panel: points, or shares of two categories."""
    for k in np.unique(points.colour):
        mine = (points.panel == panel) & (points.colour == k)
        is_told_apart = len(style.colours) > 1
        x, y, colour = points.x[mine], points.y[mine], style.colour(int(k)) if is_told_apart else style.neutral
        if not len(x):
            continue
        if style.has_shares and len(x) >= _FEWEST_ROWS:
            x, y = shares(x, y, by_level=style.has_levels)
            x = x + style.dodge(int(k))
            axis.plot(x, y, "o", color=colour, markerfacecolor=style.background, markersize=5, zorder=3)
            continue
        if style.has_levels:
            # Golden-ratio steps: spread, and the same each time.
            x = x + style.dodge(int(k)) + _JITTER * (2 * (np.arange(len(x)) * 0.618034 % 1) - 1)
        many = len(points.x) > 500 and not style.by_panel
        size, alpha = (2.0, 0.25) if many else (3.2, 0.6)
        axis.plot(x, y, "o", color=colour, markersize=size, alpha=alpha, markeredgewidth=0, zorder=1, rasterized=many)


def shares(x: Array, y: Array, *, by_level: bool) -> tuple[Array, Array]:
    """Return means of x, and the shares of successes y there: of each level, or in bins of as many rows each.

    Examples
    --------
    >>> x, y = shares(np.arange(100.0), np.arange(100.0) >= 50, by_level=False)
    >>> x.tolist(), y.tolist()
    ([24.5, 74.5], [0.0, 1.0])
    """
    if by_level:
        places = np.unique(x)
        return places, np.array([y[x == place].mean() for place in places])
    order = np.argsort(x, kind="stable")
    bins = np.array_split(order, n_shares(len(x)))
    return np.array([x[rows].mean() for rows in bins]), np.array([y[rows].mean() for rows in bins])


def n_shares(n: int) -> int:
    """Return in how many bins n rows are put."""
    return int(np.clip(n // _ROWS_OF_SHARE, 1, _MOST_SHARES))


def draw_curves(axis: Axes, found: Curves, panel: int, style: Style) -> None:
    """Draw the curves of a panel: groups below, the population above; in panels of groups the other way round."""
    own = [one for one in found.groups if one.panel == panel]
    population = [one for one in found.population if one.panel == panel]
    draw = _draw_intervals if style.has_levels else _draw_band
    if style.by_panel:
        for one in population:
            _draw_reference(axis, one, style)
        for one in own:
            draw(axis, one, style, label=style.labels[one.colour] or style.factor if one.colour >= 0 else style.factor)
        return
    for one in own:
        _draw_thin(axis, one, style)
    for one in population:
        _draw_draws(axis, one, style)
        draw(axis, one, style, label=style.labels[one.colour])


def _draw_band(axis: Axes, one: Curve, style: Style, *, label: str) -> None:
    colour = style.colour(one.colour)
    label = label or "_nolegend_"
    of_band = label if style.is_prior else "_nolegend_"
    axis.fill_between(one.x, one.lower, one.upper, color=colour, alpha=0.22, linewidth=0, zorder=2, label=of_band)
    if not style.is_prior:
        width = 1.6 if style.by_panel else 2.2
        dash = "-" if style.by_panel else style.dash(one.colour)
        axis.plot(one.x, one.mean, dash, color=colour, linewidth=width, zorder=4, label=label)


def _draw_intervals(axis: Axes, one: Curve, style: Style, *, label: str) -> None:
    """Draw points with intervals, where x has levels."""
    colour, x = style.colour(one.colour), one.x + style.dodge(one.colour)
    label = label or "_nolegend_"
    of_interval = label if style.is_prior else "_nolegend_"
    axis.vlines(x, one.lower, one.upper, color=colour, linewidth=1.8, zorder=3, label=of_interval)
    if not style.is_prior:
        axis.plot(x, one.mean, "o", color=colour, markersize=6, zorder=4, label=label)


def _draw_reference(axis: Axes, one: Curve, style: Style) -> None:
    """Draw the population beside a group, dashed; its colour tells nothing where there is one line."""
    colour = style.colour(one.colour) if len(style.colours) > 1 else style.population
    is_only = len(style.colours) == 1
    label = "population" if is_only else "_nolegend_"
    if style.has_levels:
        axis.plot(one.x + style.dodge(one.colour), one.mean, "_", color=colour, markersize=12, zorder=2, label=label)
    else:
        axis.plot(one.x, one.mean, "--", color=colour, linewidth=1, zorder=2, label=label)


def _draw_thin(axis: Axes, one: Curve, style: Style) -> None:
    """Draw the line of a group among many: a cross where its rows have one value of x."""
    colour, x = style.colour(one.colour), one.x + style.dodge(one.colour)
    if len(x) == 1:
        axis.plot(x, one.mean, "x", color=colour, alpha=0.7, markersize=4.5, zorder=1.5)
    else:
        axis.plot(x, one.mean, "-", color=colour, alpha=0.4, linewidth=0.8, zorder=1.5)


def _draw_draws(axis: Axes, one: Curve, style: Style) -> None:
    colour, x = style.colour(one.colour), one.x + style.dodge(one.colour)
    mark = "." if style.has_levels else "-"
    for values in one.draws:
        axis.plot(x, values, mark, color=colour, alpha=0.35, linewidth=0.6, markersize=3, zorder=1.8)


def dress(axis: Axes, x: XAxis, found: Curves, panel: int, style: Style) -> None:
    """Set ticks and limits: of a prior those of its bands, which single draws leave."""
    axis.spines[["top", "right"]].set_visible(False)
    if x.levels is not None:
        axis.set_xticks(np.arange(len(x.levels)), [str(level) for level in x.levels])
        axis.set_xlim(-0.6, len(x.levels) - 0.4)
    if style.is_prior:
        mine = [one for one in found.population if one.panel == panel]
        low, high = min(one.lower.min() for one in mine), max(one.upper.max() for one in mine)
        if found.points is not None and len(found.points.y):
            low, high = min(low, found.points.y.min()), max(high, found.points.y.max())
        axis.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
