"""Curves before they are evaluated: the rows of a table that each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.linear.curves.choice import group_columns
from hierreg.linear.curves.values import is_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.linear.curves.axes import Axes
    from hierreg.linear.curves.choice import Chosen
    from hierreg.linear.curves.source import Source

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Points of a group's own line.
_GRID_OF_GROUP = 41


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wanted:
    """One curve before it is evaluated: the columns of its rows, and where it belongs."""

    columns: dict[str, list[Any]]
    x: Array
    colour: int
    panel: int

    @property
    def n(self) -> int:
        """Number of its points."""
        return len(self.x)


def own_columns(source: Source, axes: Axes, chosen: Chosen) -> tuple[str, ...]:
    """Return the predictors that describe groups: one value in all rows of each."""
    if source.data is None or not len(chosen.places):
        return ()
    by = [axes.by.name] if axes.by.name and not axes.by.factor else []
    names = [name for name in (*axes.held, *by) if name not in axes.asked and name in source.data.columns]
    return tuple(name for name in names if is_within(source.data[name], chosen.index))


def wanted_of(source: Source, axes: Axes, value: int, columns: dict[str, Any]) -> Wanted:
    """Return the curve of one value of `by`, over the whole axis."""
    by = axes.by
    if by.factor:
        columns |= group_columns(source.problem, by.factor, by.values[value])
    elif by.name:
        columns[by.name] = by.values[value]
    return _along(axes, columns, axes.x.values, colour=value, panel=0)


def _along(axes: Axes, columns: dict[str, Any], values: Sequence[Any], *, colour: int, panel: int) -> Wanted:
    rows = {name: [value] * len(values) for name, value in columns.items()} | {axes.x.name: list(values)}
    return Wanted(columns=rows, x=axes.x.positions(values), colour=colour, panel=panel)


def wanted_of_groups(
    source: Source, axes: Axes, chosen: Chosen, own: tuple[str, ...], *, by_panel: bool
) -> list[Wanted]:
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


def without_group(columns: dict[str, list[Any]], axes: Axes, chosen: Chosen) -> dict[str, list[Any]]:
    """Return columns without those that only say which group rows are of."""
    predictors = {axes.x.name, axes.by.name, *axes.held}
    return {name: values for name, values in columns.items() if name in predictors or name not in chosen.columns}
