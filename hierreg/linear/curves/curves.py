"""Curves of expected values: of the population, of groups, of draws; and the rows beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hierreg.exceptions import ModelError
from hierreg.linear.curves.axes import is_within
from hierreg.linear.curves.choice import Chosen, chosen_groups, group_columns
from hierreg.linear.prediction.predict import expected_values
from hierreg.predictive.of_family import observed_values
from hierreg.response import Binomial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.linear.curves.axes import Axes
    from hierreg.linear.curves.source import Source

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Points of a group's own line; values of draws that are predicted at once.
_GRID_OF_GROUP, _MOST_VALUES = 41, 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Which curves are asked for.

    Attributes
    ----------
    groups : sequence of labels, bool or None
        Groups with a line of their own: chosen, all or none of them; None for some.
    factor : str or None
    by_panel : bool
        One panel for each group, rather than all in one.
    draws : int
        Number of draws with a line.
    scale : {"response", "link"}
    ci_prob : float
    """

    groups: Any
    factor: str | None
    by_panel: bool
    draws: int
    scale: str
    ci_prob: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One curve at G points.

    Attributes
    ----------
    x : array (G,)
        Numbers, or the places of levels.
    mean, lower, upper : array (G,)
    draws : array (n, G)
        Of some draws; n is zero of groups.
    colour : int
        Which value of `by` it has, or which category it is of; -1 for none.
    panel : int
    """

    x: Array
    mean: Array
    lower: Array
    upper: Array
    draws: Array
    colour: int
    panel: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """Observed responses: arrays over rows, as in `Curve`."""

    x: Array
    y: Array
    colour: Index
    panel: Index


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """All that a figure shows.

    Attributes
    ----------
    population, groups : tuple of Curve
    points : Points or None
    panels : tuple of str
        What the panels are called; one of no name where all is in one.
    colours : tuple of str
        What the colours mean.
    chosen : Chosen
        The groups that have lines.
    own : tuple of str
        Predictors that are at a group's own value in its line.
    notes : tuple of str
        What else is to be said.
    """

    population: tuple[Curve, ...]
    groups: tuple[Curve, ...]
    points: Points | None
    panels: tuple[str, ...]
    colours: tuple[str, ...]
    chosen: Chosen
    own: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Wanted:
    """One curve before it is evaluated: the columns of its rows, and where it belongs."""

    columns: dict[str, list[Any]]
    x: Array
    colour: int
    panel: int

    @property
    def n(self) -> int:
        return len(self.x)


def curves_of(source: Source, axes: Axes, asked: Asked) -> Curves:
    """Return the curves that are asked for.

    Raises
    ------
    ModelError, DataError
        If groups are unknown, or the result cannot say what is asked for.
    """
    chosen = chosen_groups(source, axes, asked.groups, asked.factor, by_panel=asked.by_panel, has_draws=asked.draws > 0)
    problem, by = source.problem, axes.by
    categories = _categories(problem) if source.is_family and asked.scale == "response" else ()
    if categories and (asked.by_panel or (asked.groups is not None and len(chosen.places))):
        raise ModelError(
            f"groups with family={problem.family}: each category has a line already. Use scale='link', or by= with the "
            "name of the grouping factor and some of its groups."
        )
    if categories:
        chosen = chosen.none()
    own = _own_columns(source, axes, chosen)
    of_groups = _of_groups(source, axes, chosen, own, by_panel=asked.by_panel)
    if asked.by_panel:
        # The population beside each group, at the group's own values of the predictors that describe it.
        of_population = [replace(one, columns=_without_group(one.columns, axes, chosen)) for one in of_groups]
    else:
        of_population = [_wanted(source, axes, value, dict(axes.held)) for value in range(len(by.values))]
        if categories:
            of_population = [replace(one, panel=one.colour) for one in of_population]
    level = dict.fromkeys(problem.labels.factor_names, "population")
    if by.factor:
        level[by.factor] = "group"
    population = _evaluated(source, of_population, level, asked, n_draws=asked.draws)
    groups: list[Curve] = []
    if of_groups:
        groups = _evaluated(source, of_groups, level | {chosen.factor: "group"}, asked, n_draws=0)
    panels: tuple[str, ...] = ("",)
    if asked.by_panel:
        panels = tuple(chosen.labels)
    elif categories:
        panels = tuple(by.labels)
    points, notes = _points(source, axes, chosen, asked)
    return Curves(
        population=tuple(population),
        groups=tuple(groups),
        points=points,
        panels=panels,
        colours=categories or tuple(by.labels),
        chosen=chosen,
        own=own,
        notes=(*chosen.notes, *notes),
    )


def _categories(problem: Any) -> tuple[str, ...]:
    return () if problem.family.has_level else tuple(problem.observed.categories)


def _own_columns(source: Source, axes: Axes, chosen: Chosen) -> tuple[str, ...]:
    """Return the predictors that describe groups: one value in all rows of each."""
    if source.data is None or not len(chosen.places):
        return ()
    by = [axes.by.name] if axes.by.name and not axes.by.factor else []
    names = [name for name in (*axes.held, *by) if name not in axes.asked and name in source.data.columns]
    return tuple(name for name in names if is_within(source.data[name], chosen.index))


def _wanted(source: Source, axes: Axes, value: int, columns: dict[str, Any]) -> _Wanted:
    """Return the curve of one value of `by`, over the whole axis."""
    by = axes.by
    if by.factor:
        columns |= group_columns(source.problem, by.factor, by.values[value])
    elif by.name:
        columns[by.name] = by.values[value]
    return _along(axes, columns, axes.x.values, colour=value, panel=0)


def _along(axes: Axes, columns: dict[str, Any], values: Sequence[Any], *, colour: int, panel: int) -> _Wanted:
    rows = {name: [value] * len(values) for name, value in columns.items()} | {axes.x.name: list(values)}
    return _Wanted(columns=rows, x=axes.x.positions(values), colour=colour, panel=panel)


def _of_groups(source: Source, axes: Axes, chosen: Chosen, own: tuple[str, ...], *, by_panel: bool) -> list[_Wanted]:
    """Return the curves of the chosen groups: one for each value of `by` that a group has."""
    out = []
    for panel, place in enumerate(chosen.places):
        rows = np.flatnonzero(chosen.index == place) if source.data is not None else np.empty(0, dtype=np.intp)
        columns = dict(axes.held)
        if source.data is not None and len(rows):
            columns |= {name: source.data[name].iloc[int(rows[0])] for name in own}
        columns |= group_columns(source.problem, chosen.factor, chosen.levels[place])
        values = axes.x.values if by_panel or source.data is None else _own_values(source, axes, rows)
        for colour, added in _parts_of_group(source, axes, rows, own):
            out.append(_along(axes, columns | added, values, colour=colour, panel=panel if by_panel else 0))
    return out


def _parts_of_group(source: Source, axes: Axes, rows: Index, own: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]:
    """Return the values of `by` that a group has: which, and what columns they are."""
    by = axes.by
    if not by.name:
        return [(0, {})]
    if by.is_number:
        # Its own value where it describes groups; else what is typical, as of any other predictor.
        value = source.data[by.name].iloc[rows if by.name in own else slice(None)].mean() if len(rows) else by.values[0]  # type: ignore[index]
        return [(-1, {by.name: float(value)})]
    found = [int(value) for value in np.unique(by.of_rows[rows]) if value >= 0]
    if by.factor:
        return [(value, group_columns(source.problem, by.factor, by.values[value])) for value in found]
    return [(value, {by.name: by.values[value]}) for value in found]


def _own_values(source: Source, axes: Axes, rows: Index) -> list[Any]:
    """Return the points of a group's own line: over the values that its rows have."""
    assert source.data is not None
    column = source.data[axes.x.name].iloc[rows]
    if axes.x.levels is not None:
        places = set(axes.x.positions(column).astype(int).tolist())
        return [level for i, level in enumerate(axes.x.values) if i in places]
    low, high = axes.x.values[0], axes.x.values[-1]
    own = np.clip(column.to_numpy(dtype=float), low, high)
    if own.min() == own.max():
        return [float(own.min())]
    grid: list[float] = np.linspace(own.min(), own.max(), _GRID_OF_GROUP).tolist()
    return grid


def _without_group(columns: dict[str, list[Any]], axes: Axes, chosen: Chosen) -> dict[str, list[Any]]:
    """Return columns without those that only say which group rows are of."""
    predictors = {axes.x.name, axes.by.name, *axes.held}
    return {name: values for name, values in columns.items() if name in predictors or name not in chosen.columns}


def _evaluated(
    source: Source, wanted: Sequence[_Wanted], level: dict[str, str], asked: Asked, *, n_draws: int
) -> list[Curve]:
    """Return curves with their values: one for each category, where responses are ordered categories."""
    import pandas as pd

    if not wanted:
        return []
    frame = pd.DataFrame({name: [value for one in wanted for value in one.columns[name]] for name in wanted[0].columns})
    values = _predicted(source, frame, level, asked, n_draws)
    ends = np.cumsum([0, *(one.n for one in wanted)])
    out = []
    for one, start, end in zip(wanted, ends[:-1], ends[1:], strict=True):
        K = values["mean"].shape[1]
        for k in range(K):
            mean, lower, upper = (values[name][start:end, k] for name in ("mean", "lower", "upper"))
            out.append(
                Curve(
                    x=one.x,
                    mean=mean,
                    lower=lower,
                    upper=upper,
                    draws=values["draws"][:, start:end, k],
                    colour=one.colour if K == 1 else k,
                    panel=one.panel,
                )
            )
    return out


def _predicted(source: Source, frame: Any, level: dict[str, str], asked: Asked, n_draws: int) -> dict[str, Array]:
    """Return expected values of rows (M, K), and some draws of them (n, M, K); K is one but for categories."""
    S = 1
    if isinstance(source.at, xr.DataTree):
        sizes = source.at["posterior"].sizes
        S = sizes["chain"] * sizes["draw"]
    kept = np.unique(np.linspace(0, S - 1, min(n_draws, S)).round().astype(np.intp))
    step, parts = max(1, _MOST_VALUES // S), []
    for first in range(0, len(frame), step):
        found = expected_values(
            source.problem,
            frame.iloc[first : first + step].reset_index(drop=True),
            source.at,
            level=level,
            scale=asked.scale,
            ci_prob=asked.ci_prob,
            draws=n_draws > 0,
        )
        m = found.sizes["row"]
        part = {
            name: found[name].transpose("row", ...).to_numpy().reshape(m, -1) for name in ("mean", "lower", "upper")
        }
        draws = np.empty((0, m, part["mean"].shape[1]))
        if n_draws:
            draws = found["draws"].transpose("chain", "draw", "row", ...).to_numpy().reshape(S, m, -1)[kept]
        parts.append(part | {"draws": draws})
    return {name: np.concatenate([part[name] for part in parts], axis=int(name == "draws")) for name in parts[0]}


def _points(source: Source, axes: Axes, chosen: Chosen, asked: Asked) -> tuple[Points | None, list[str]]:
    """Return the observed responses on the scale of the figure, and what is said of them."""
    if source.data is None:
        return None, ["no points: the model was made of statistics alone"]
    problem = source.problem
    if source.is_family and (asked.scale == "link" or not problem.family.has_level):
        return None, []
    y, notes = problem.design.y, []
    if source.is_family:
        y = np.asarray(observed_values(problem), dtype=float)
        if isinstance(problem.family, Binomial):
            y = y / problem.observed.trials
        if problem.offset_name is not None and problem.family.link == "log":
            value = float(axes.held[problem.offset_name])
            y = y * np.exp(value - problem.offset)
            notes.append(f"points are scaled to the {problem.offset_name} that is held")
    x = axes.x.positions(source.data[axes.x.name])
    colour = axes.by.of_rows
    panel = chosen.panel_of_rows() if asked.by_panel else np.zeros(len(x), dtype=np.intp)
    is_shown = (panel >= 0) & (axes.by.is_number | (colour >= 0))
    if axes.x.levels is None:
        is_shown &= (x >= axes.x.values[0]) & (x <= axes.x.values[-1])
    else:
        is_shown &= x >= 0
    return Points(x=x[is_shown], y=y[is_shown], colour=colour[is_shown], panel=panel[is_shown]), notes
