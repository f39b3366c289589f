"""How the errors of new rows depend on those of observed rows and on one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hierreg.checks import first_rows, listed
from hierreg.errors.known_covariance import has_labels
from hierreg.exceptions import DataError, ModelError
from hierreg.linalg import smallest_eigenvalue, unit_diagonal
from hierreg.linear.prediction.ar1 import RowsInTime, places_of, rows_in_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorLayout
    from hierreg.errors.correlated import Correlated
    from hierreg.errors.exchangeable import Exchangeable

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
    type NewUnits = tuple[UnitRows, ...] | tuple[ExchangeableRows, ...] | tuple[RowsInTime, ...]

# Of a variance, below which it is zero.
_OF_VARIANCE = 1e-9
_ROUNDING = 1e-8  # of correlations


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRows:
    """The n units in which the same a data sets are new, and the same b observed.

    Attributes
    ----------
    new, old : int arrays (n, a) and (n, b)
        Rows of the new and of the observed table.
    new_sets, old_sets : int arrays (a,) and (b,)
        Their data sets.
    """

    new: Index
    old: Index
    new_sets: Index
    old_sets: Index

    def conditional(self, error_cov: Array) -> tuple[Array, Array]:
        """Return the gain H (S, a, b) and the covariance (S, a, a) given the errors of the observed rows."""
        cov = error_cov[:, self.new_sets[:, None], self.new_sets]
        if not len(self.old_sets):
            return np.empty((*cov.shape[:2], 0)), cov
        cross = error_cov[:, self.old_sets[:, None], self.new_sets]
        gain = np.swapaxes(np.linalg.solve(error_cov[:, self.old_sets[:, None], self.old_sets], cross), 1, 2)
        return gain, cov - gain @ cross


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeableRows:
    """The n units of one stratum that have a new and b observed rows, with exchangeable errors.

    Attributes
    ----------
    new, old : int arrays (n, a) and (n, b)
        Rows of the new and of the observed table.
    stratum : int
    advice : str
        What to do where so many rows cannot have the correlation.
    """

    new: Index
    old: Index
    stratum: int
    advice: str

    def conditional(self, error_cov: Array) -> tuple[Array, Array]:
        """Return the gain H (S, a, b) and the covariance (S, a, a) given the errors of the observed rows.

        Of the variance v and covariance c of two rows of a unit by stratum, (S, T, 2): with r = v - c,
        H = c / (r + b c) and the covariance is r I + J c r / (r + b c).

        Raises
        ------
        ModelError
            If a + b rows cannot have a correlation as negative as that.
        """
        (a, b), (v, c) = (self.new.shape[1], self.old.shape[1]), error_cov[:, self.stratum].T[:, :, None, None]
        impossible = v + (a + b - 1) * c < -_OF_VARIANCE * v
        if np.any(impossible):
            raise ModelError(
                f"predict: newdata makes units of {a + b} rows ({b} observed, {a} new or given), among which no "
                f"correlation of exchangeable errors is below {-1 / (a + b - 1):.3g}; here it is "
                f"{float((c / v).min()):.3g}"
                f"{f' in {impossible.mean():.0%} of the draws' if len(v) > 1 else ''}. {self.advice}"
            )
        rest = v - c
        shared = c / (rest + b * c) if b else np.zeros_like(c)
        cov = rest * np.eye(a) + (shared * rest if b else c)
        return np.broadcast_to(shared, (len(v), a, b)), cov


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRows:
    """M new rows.

    Attributes
    ----------
    table : narwhals.DataFrame
    observation : bool
        Whether their own errors will be needed.
    cross_cov, new_cov : array_like (M, N) and (M, M), or None
        For a known covariance.
    """

    table: Any
    observation: bool
    cross_cov: Any
    new_cov: Any

    @property
    def ones(self) -> Array:
        """One for each row."""
        return np.ones(len(self.table))

    @property
    def zeros(self) -> Index:
        """Zero for each row."""
        return np.zeros(len(self.table), dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewErrors:
    """Distribution of the errors of M new rows given those of the N observed rows.

    Attributes
    ----------
    units : tuple of UnitRows, ExchangeableRows or RowsInTime
        Empty for a known covariance.
    scale : array (M,)
        Known standard errors, or weight^-1/2; ones elsewhere.
    gain : array (M, N) or None
        Of a known covariance with cross-covariances.
    cov : array (M, M) or None
        Of a known covariance: what the observed errors leave, apart from the unknown factor.
    """

    units: NewUnits
    scale: Array
    gain: Array | None = None
    cov: Array | None = None


def new_errors(
    layout: ErrorLayout, table: Any, *, observation: bool, cross_cov: Any = None, new_cov: Any = None
) -> NewErrors:
    """Return how the errors of a new table depend on those of the observed one.

    Parameters
    ----------
    layout : ErrorLayout
        Of the observed rows.
    table : narwhals.DataFrame
        The M new rows.
    observation : bool
        Whether their own errors will be needed.
    cross_cov, new_cov : array_like (M, N) and (M, M)
        For a known covariance.

    Raises
    ------
    DataError, ModelError
    """
    new = NewRows(table=table, observation=observation, cross_cov=cross_cov, new_cov=new_cov)
    if not len(layout.stratum):
        _check_without_rows(layout, new)
    if layout.V is None and (cross_cov is not None or new_cov is not None):
        raise ModelError(f"cross_cov and new_cov belong to errors=hr.known_cov(V); the errors here are {layout.spec}.")
    return _NEW_ERRORS[layout.kind](layout, new)


def _independent(layout: ErrorLayout, new: NewRows) -> NewErrors:
    if not new.observation:
        return NewErrors(units=(), scale=new.ones)
    stratum = new.zeros if layout.dim is None else _strata(layout, new)
    sds = layout.spec.known_sds(new.table)
    return NewErrors(units=_alone(stratum), scale=new.ones if sds is None else sds)


def _in_time(layout: ErrorLayout, new: NewRows) -> NewErrors:
    return NewErrors(units=rows_in_time(layout, new.table, observation=new.observation), scale=new.ones)


def _check_without_rows(layout: ErrorLayout, new: NewRows) -> None:
    """Raise where errors of new rows would depend on those of rows that the model does not have."""
    unit = layout.spec.columns.unit
    if unit in new.table.columns or new.cross_cov is not None:
        what = f"newdata has the column of units, {unit!r}" if new.cross_cov is None else "cross_cov was given"
        raise ModelError(
            f"predict: {what}, so that the errors of new rows depend on those observed, which this model does not have "
            "(Model.from_gram). Leave it out to predict for units that were not observed, with observation=False, or "
            "use hr.Model(formula, table) with the rows."
        )


def _alone(stratum: Index) -> tuple[UnitRows, ...]:
    """Return every row as a unit of its own."""
    return tuple(
        UnitRows(
            new=np.flatnonzero(stratum == d)[:, None],
            old=np.empty((int(np.sum(stratum == d)), 0), dtype=np.intp),
            new_sets=np.array([d]),
            old_sets=np.empty(0, dtype=np.intp),
        )
        for d in np.unique(stratum)
    )


def _strata(layout: ErrorLayout, new: NewRows) -> Index:
    """Return the data set or stratum of each row; -1 for one that was not observed, where only means are wanted."""
    assert layout.dim is not None
    stratum, labels = places_of(new.table, layout.dim, layout.labels, role="data set or stratum of the errors")
    if new.observation and np.any(stratum < 0):
        unknown = dict.fromkeys(labels[row] for row in np.flatnonzero(stratum < 0))
        raise DataError(
            f"newdata[{layout.dim!r}] has levels whose error variance is unknown ({first_rows(stratum < 0)}: "
            f"{listed(unknown)}; known are {listed(layout.labels)}). Leave these rows out, or pass observation=False "
            "for expected values alone."
        )
    return stratum


def _correlated(layout: ErrorLayout, new: NewRows) -> NewErrors:
    if layout.spec.columns.unit in new.table.columns:
        return NewErrors(units=_of_units(layout, new), scale=new.ones)
    return NewErrors(units=_alone(_strata(layout, new)) if new.observation else (), scale=new.ones)


def _of_units(layout: ErrorLayout, asked: NewRows) -> tuple[UnitRows, ...]:
    assert layout.unit is not None
    spec, stratum = cast("Correlated", layout.spec), _strata(layout, asked)
    rows = np.flatnonzero(stratum >= 0)
    seen, labels = places_of(asked.table, spec.unit, layout.unit_labels, role="unit of the errors")
    names, unit = np.unique(np.array(labels)[rows], return_inverse=True)
    D = len(layout.labels)
    new = np.full((len(names), D), -1, dtype=np.intp)
    new[unit, stratum[rows]] = rows
    old = np.full((len(layout.unit_labels) + 1, D), -1, dtype=np.intp)
    old[layout.unit, layout.stratum] = np.arange(len(layout.unit))
    known = np.full(len(names), -1, dtype=np.intp)
    known[unit] = seen[rows]
    old = old[known]
    _check_units(spec, names, unit, stratum[rows], old >= 0, layout.labels)
    patterns, which = np.unique(np.hstack([new >= 0, old >= 0]), axis=0, return_inverse=True)
    out = []
    for k, pattern in enumerate(patterns):
        mine, new_sets, old_sets = np.flatnonzero(which.ravel() == k), *map(np.flatnonzero, (pattern[:D], pattern[D:]))
        out.append(
            UnitRows(new=new[mine][:, new_sets], old=old[mine][:, old_sets], new_sets=new_sets, old_sets=old_sets)
        )
    return tuple(out)


def _check_units(
    spec: Correlated,
    names: NDArray[Any],
    unit: Index,
    stratum: Index,
    observed: NDArray[np.bool_],
    labels: tuple[str, ...],
) -> None:
    advice = (
        f"Leave the column {spec.unit!r} out of newdata to predict for units that were not observed, whose expected "
        "values are those of their groups."
    )
    key = unit * len(labels) + stratum
    distinct, counts = np.unique(key, return_counts=True)
    if np.any(counts > 1):
        u, d = divmod(int(distinct[np.argmax(counts > 1)]), len(labels))
        raise DataError(
            f"newdata has more than one row of the unit {names[u]!s} in {labels[d]!r}; a unit has one row per data "
            f"set. {advice}"
        )
    there = observed[unit, stratum]
    if np.any(there):
        row = int(np.argmax(there))
        raise DataError(
            f"newdata has {int(there.sum())} rows that were observed: first the unit {names[unit[row]]!s} in "
            f"{labels[stratum[row]]!r}. Their response is known. {advice}"
        )


def _exchangeable(layout: ErrorLayout, new: NewRows) -> NewErrors:
    return NewErrors(units=_exchangeable_units(layout, new), scale=new.ones)


def _exchangeable_units(layout: ErrorLayout, asked: NewRows) -> tuple[ExchangeableRows, ...]:
    """Return the units of new rows; rows of an observed unit are further ones of it."""
    spec, m = cast("Exchangeable", layout.spec), len(asked.table)
    has_units = spec.unit in asked.table.columns
    if not has_units and not asked.observation:
        return ()
    stratum = asked.zeros if layout.dim is None else _strata(layout, asked)
    rows = np.flatnonzero(stratum >= 0)
    seen, labels = np.full(m, -1, dtype=np.intp), [str(row) for row in range(m)]
    old_of: list[Index] = []
    if has_units:
        assert layout.unit is not None
        seen, labels = places_of(asked.table, spec.unit, layout.unit_labels, role="unit of the errors")
        order = np.argsort(layout.unit, kind="stable")
        old_of = np.split(order, np.cumsum(np.bincount(layout.unit))[:-1])
    names, unit = np.unique(np.array(labels)[rows], return_inverse=True)
    found: dict[tuple[int, int, int], tuple[list[Index], list[Index]]] = {}
    for u, new in enumerate(np.split(rows[np.argsort(unit, kind="stable")], np.cumsum(np.bincount(unit))[:-1])):
        if not len(new):
            continue
        old = old_of[seen[new[0]]] if seen[new[0]] >= 0 else np.empty(0, dtype=np.intp)
        _check_stratum(spec, names[u], np.unique(np.concatenate([stratum[new], layout.stratum[old]])), layout.labels)
        # Of expected values only what observed rows say matters, and that of each row by itself.
        for part in [new] if asked.observation else list(new[:, None]) if len(old) else []:
            news, olds = found.setdefault((int(stratum[part[0]]), len(part), len(old)), ([], []))
            news.append(part)
            olds.append(old)
    advice = (
        f"Predict fewer rows of a unit at a time, or leave the column {spec.unit!r} out of newdata: then every row is "
        "of a unit that was not observed."
    )
    return tuple(
        ExchangeableRows(new=np.stack(news), old=np.stack(olds), stratum=t, advice=advice)
        for (t, _, _), (news, olds) in found.items()
    )


def _check_stratum(spec: Exchangeable, name: Any, strata: Index, labels: tuple[str, ...]) -> None:
    if len(strata) > 1:
        raise DataError(
            f"newdata has rows of the unit {name!s} in {labels[strata[-1]]!r}, and it has others in "
            f"{labels[strata[0]]!r}: all rows of a unit of errors={spec} are in one stratum. Give units of different "
            "strata names of their own."
        )


def _of_known_covariance(layout: ErrorLayout, new: NewRows) -> NewErrors:
    assert layout.V is not None
    V, m, cross_cov, new_cov = layout.V, len(new.table), new.cross_cov, new.new_cov
    if new_cov is None and new.observation:
        raise ModelError(
            f"new_cov is missing: with errors=hr.known_cov(V) the covariance ({m}, {m}) of the new errors is needed "
            "for new observations. Give it, or pass observation=False for expected values alone."
        )
    cov = None if new_cov is None else _numbers(new_cov, "new_cov", (m, m))
    if cov is not None:
        new_sd, corr = unit_diagonal(cov)
        if np.any(np.abs(corr - corr.T) > _ROUNDING):
            raise ModelError("new_cov is not symmetric.")
    if cross_cov is None:
        rest, gain = cov, None
    else:
        K = _numbers(cross_cov, "cross_cov", (m, V.n))
        gain = V.inverse().rows_times(K)
        L = V.factor()
        white = L.whitened_rows(K)
        rest = None if cov is None else cov - white @ white.T
    if rest is not None and cov is not None:
        rest = 0.5 * (rest + rest.T)
        smallest = smallest_eigenvalue(rest / _positive(new_sd)[:, None] / _positive(new_sd))
        if smallest < -_ROUNDING:
            raise ModelError(
                "new_cov and cross_cov do not fit V: the covariance of old and new errors together is not positive "
                f"semidefinite (new_cov - cross_cov V^-1 cross_cov' has the eigenvalue {smallest:.3g}). Are all three "
                "computed with one kernel, and rows in the same order?"
            )
        # An error that the observed ones determine has the variance zero, not what rounding leaves of it.
        np.fill_diagonal(rest, np.maximum(rest.diagonal(), 0.0))
    return NewErrors(units=(), scale=new.ones, gain=gain, cov=rest)


def _positive(sd: Array) -> Array:
    return np.where(sd > 0, sd, 1.0)


def _numbers(value: Any, name: str, shape: tuple[int, int]) -> Array:
    if has_labels(value):
        raise ModelError(
            f"{name} is labelled, but new and observed rows are matched by position: put it into the order of the "
            "tables and give its values alone, to_numpy()."
        )
    try:
        matrix = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name}={value!r} is not a matrix of numbers.") from None
    if matrix.shape != shape:
        what = "new rows by observed rows" if name == "cross_cov" else "new rows by new rows"
        raise ModelError(f"{name} has shape {matrix.shape}; {shape} is required, {what}, in the order of the tables.")
    if not np.all(np.isfinite(matrix)):
        raise ModelError(f"{name} has values that are not finite.")
    return matrix


# By error structure.
_NEW_ERRORS: dict[str, Callable[[ErrorLayout, NewRows], NewErrors]] = {
    "independent": _independent,
    "by": _independent,
    "correlated": _correlated,
    "exchangeable": _exchangeable,
    "ar1": _in_time,
    "known_se": _independent,
    "known_cov": _of_known_covariance,
}
