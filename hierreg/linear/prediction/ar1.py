"""How AR(1) errors of new rows depend on those of observed rows of the same unit, and on one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hierreg.design_matrices import column_levels
from hierreg.errors.ar1 import over_gaps, whole_times
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.ar1 import AR1
    from hierreg.errors.base import ErrorLayout

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsInTime:
    """The n runs of a new rows of a unit, between whose times nothing was observed, with the same distances in time.

    Of the observed rows those next to a run, before it and after it, say all that any of them does.

    Attributes
    ----------
    new, old : int arrays (n, a) and (n, b)
        Rows of the new and of the observed table, b <= 2.
    new_time, old_time : int arrays (a,) and (b,)
        Times, from the first of them on; new ones in order.
    """

    new: Index
    old: Index
    new_time: Index
    old_time: Index

    def conditional(self, error_cov: Array) -> tuple[Array, Array]:
        """Return the gain H (S, a, b) and the covariance (S, a, a) given the errors of the observed rows.

        Of the variance v and the covariance of rows one step apart, (S, 1, 2). With r_t and s_t the correlations of row
        t with the row before and the row after, and W = 1 - rho^(2 steps) of these two,

            H = r_t (1 - s_t^2) / W  and  s_t (1 - r_t^2) / W
            cov of rows t <= u = v (1 - r_t^2) rho^(u - t) (1 - s_u^2) / W
        """
        v, c = error_cov[:, 0].T
        rho = (c / v)[:, None]
        S, a = len(v), len(self.new_time)
        begin, end = self._ends()
        r, r_left = over_gaps(rho, self.new_time - begin) if begin is not None else (np.zeros((S, a)), np.ones((S, a)))
        s, s_left = over_gaps(rho, end - self.new_time) if end is not None else (np.zeros((S, a)), np.ones((S, a)))
        whole = over_gaps(rho, np.array([end - begin]))[1] if begin is not None and end is not None else np.ones((S, 1))
        gain = [part for part, is_there in ((r * s_left, begin), (s * r_left, end)) if is_there is not None]
        H = np.stack(gain, axis=2) / whole[:, :, None] if gain else np.empty((S, a, 0))
        first = np.minimum(np.arange(a)[:, None], np.arange(a))
        last = np.maximum(np.arange(a)[:, None], np.arange(a))
        between = rho[:, :, None] ** (self.new_time[last] - self.new_time[first])
        # r_left(t) rho^(t' - t) s_left(t') / whole for t <= t'
        cov = v[:, None, None] * r_left[:, first] * between * s_left[:, last] / whole[:, :, None]
        return H, cov

    def _ends(self) -> tuple[Any, Any]:
        """Return the times of the observed row before and of that after, None where there is none."""
        before, after = self.old_time[self.old_time < self.new_time[0]], self.old_time[self.old_time > self.new_time[0]]
        return (before[0] if len(before) else None), (after[0] if len(after) else None)


def rows_in_time(layout: ErrorLayout, table: Any, *, observation: bool) -> tuple[RowsInTime, ...]:
    """Return the runs of new rows; rows of an observed unit are further ones of it, at times of their own.

    Raises
    ------
    DataError
        If a row repeats a time of its unit, or there are units without times.
    """
    spec, m = cast("AR1", layout.spec), len(table)
    if spec.unit not in table.columns:
        if not observation:
            return ()
        alone = np.arange(m)[:, None]
        none = np.empty((m, 0), dtype=np.intp)
        zero = np.zeros(1, dtype=np.intp)
        return (RowsInTime(new=alone, old=none, new_time=zero, old_time=none[0]),) if m else ()
    if spec.time not in table.columns:
        raise DataError(
            f"newdata has the column of units {spec.unit!r}, but not that of times, {spec.time!r}, of errors={spec}. "
            f"Give both, or leave {spec.unit!r} out to predict for units that were not observed."
        )
    assert layout.unit is not None
    assert layout.time is not None
    seen, labels = places_of(table, spec.unit, layout.unit_labels, role="unit of the errors")
    time = whole_times(table, spec)
    unit = np.unique(np.array(labels), return_inverse=True)[1]
    order = np.lexsort((layout.time, layout.unit))
    starts = np.searchsorted(layout.unit[order], np.arange(len(layout.unit_labels) + 1))
    found: dict[tuple[Any, ...], tuple[list[Index], list[Index]]] = {}
    by_time = np.lexsort((time, unit))
    for rows in np.split(by_time, np.flatnonzero(np.diff(unit[by_time])) + 1):
        known = seen[rows[0]]
        old = order[starts[known] : starts[known + 1]] if known >= 0 else order[:0]
        _check_times(spec, labels[rows[0]], time[rows], layout.time[old])
        after = np.searchsorted(layout.time[old], time[rows])
        for run in np.split(rows, np.flatnonzero(np.diff(after)) + 1):
            place = int(np.searchsorted(layout.time[old], time[run[0]]))
            beside = old[max(place - 1, 0) : place + 1]
            if not (observation or len(beside)):
                continue
            start = time[run[0]]
            key = (tuple((time[run] - start).tolist()), tuple((layout.time[beside] - start).tolist()))
            news, olds = found.setdefault(key, ([], []))
            news.append(run)
            olds.append(beside)
    return tuple(
        RowsInTime(
            new=np.stack(news),
            old=np.stack(olds),
            new_time=np.array(new_time, dtype=np.intp),
            old_time=np.array(old_time, dtype=np.intp),
        )
        for (new_time, old_time), (news, olds) in found.items()
    )


def _check_times(spec: AR1, unit: str, new: Index, old: Index) -> None:
    """Raise where a time (a,) of new rows, sorted, occurs twice or was observed."""
    advice = f"Leave the column {spec.unit!r} out of newdata to predict for units that were not observed."
    twice, there = new[1:][np.diff(new) == 0], new[np.isin(new, old)]
    if len(twice):
        raise DataError(
            f"newdata has more than one row of the unit {unit!s} at {spec.time!r} = {twice[0]}; a unit has one row "
            f"at a time. {advice}"
        )
    if len(there):
        raise DataError(
            f"newdata has rows that were observed: first the unit {unit!s} at {spec.time!r} = {there[0]}. Their "
            f"response is known. {advice}"
        )


def places_of(table: Any, name: str, known: tuple[str, ...], *, role: str) -> tuple[Index, list[str]]:
    """Return the position of each row's label among known labels (-1: none), and the labels."""
    levels, index = column_levels(table, name, role=role, allow_fractions=True)
    place = {label: i for i, label in enumerate(known)}
    found = np.array([place.get(str(level), -1) for level in levels], dtype=np.intp)
    return found[index], [str(levels[i]) for i in index]
