"""Error structures: what the user asks for, and how it lies over the rows of a table.

Every structure of the errors is one construction. A *unit* is a set of rows whose errors may be
correlated; a *data set* (or stratum) ``d`` gives a row its place in the D x D error covariance; the
*pattern* of a unit is the set of data sets it was observed in. Then::

    R(unit) = Sigma_e[pattern, pattern]        (times known variances, where there are any)
    R^-1    = sum over patterns and pairs d <= d' of  omega[k] K[k]
    omega   = entries of inverse(Sigma_e[pattern, pattern])

Independent errors are D = 1; strata are patterns of one data set each. Errors that are exchangeable within units
are independent along other directions than the rows: see `within_units`. Errors that are AR(1) within units are
those of pairs of neighbours in time: see `ar1`.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from hierreg.design import column
from hierreg.errors.known_covariance import GivenCovariance, in_order_of_rows, read_covariance
from hierreg.exceptions import DataError, ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.known_covariance import BlockCovariance


# Whole numbers that a double can tell from their neighbours, differences included.
_LARGEST_TIME = 2.0**52


class ErrorSpec(ABC):
    """A description of the errors, before any data are seen."""

    __slots__ = ()


@final
@dataclass(frozen=True, slots=True)
class Independent(ErrorSpec):
    """Independent errors with one standard deviation, that of rows of weight one."""

    weights: str | None = None

    def __str__(self) -> str:
        return "independent()" + _weights_shown(self.weights)


@final
@dataclass(frozen=True, slots=True)
class By(ErrorSpec):
    """Independent errors, one standard deviation per level of a column."""

    column: str
    weights: str | None = None

    def __str__(self) -> str:
        return f"by({self.column!r})" + _weights_shown(self.weights)


@final
@dataclass(frozen=True, slots=True)
class Correlated(ErrorSpec):
    """Errors correlated across the data sets of a unit, one standard deviation per data set."""

    dataset: str
    unit: str

    def __str__(self) -> str:
        return f"correlated({self.dataset!r}, unit={self.unit!r})"


@final
@dataclass(frozen=True, slots=True)
class Exchangeable(ErrorSpec):
    """Errors with one correlation between any two rows of a unit."""

    unit: str
    by: str | None = None
    common_sd: bool = True

    def __str__(self) -> str:
        strata = "" if self.by is None else f", by={self.by!r}, common_sd={self.common_sd}"
        return f"exchangeable({self.unit!r}{strata})"


@final
@dataclass(frozen=True, slots=True)
class AR1(ErrorSpec):
    """Errors with the correlation rho^(distance in time) between two rows of a unit."""

    time: str
    unit: str

    def __str__(self) -> str:
        return f"ar1({self.time!r}, unit={self.unit!r})"


@final
@dataclass(frozen=True, slots=True)
class KnownSE(ErrorSpec):
    """Independent errors with known standard errors, optionally times one unknown factor."""

    column: str
    scale: bool = False

    def __str__(self) -> str:
        return f"known_se({self.column!r}, scale={self.scale})"


@final
@dataclass(frozen=True, slots=True, eq=False)
class KnownCov(ErrorSpec):
    """Errors with a known covariance matrix of all rows, optionally times one unknown factor."""

    given: GivenCovariance
    scale: bool = False

    @property
    def V(self) -> BlockCovariance:  # the symbol
        """The matrix, in the order in which it was given."""
        return self.given.V

    def __str__(self) -> str:
        return f"known_cov(<{self.V.shape[0]} x {self.V.shape[1]} matrix>, scale={self.scale})"


def _weights_shown(weights: str | None) -> str:
    return "" if weights is None else f", weights={weights!r}"


def weighted(errors: ErrorSpec | None, weights: str | None) -> ErrorSpec | None:
    """Return an error structure whose variances are divided by a column of weights.

    Parameters
    ----------
    errors : ErrorSpec or None
        What is no error structure is returned as it is.
    weights : str or None
        None returns `errors` as they are.

    Raises
    ------
    ModelError
        If errors of that structure cannot have weights, or `weights` is no name of a column.
    """
    if weights is None:
        return errors
    if not isinstance(weights, str):
        raise ModelError(
            f"weights={weights!r} is not the name of a column. Put the weights into the data, and give the name of "
            "their column: weights='n'."
        )
    match errors:
        case None:
            return Independent(weights)
        case Independent() | By():
            return replace(errors, weights=weights)
        case KnownSE():
            what = "the errors are known, and weights with them: give a column of standard errors se / sqrt(weight)"
        case KnownCov():
            what = "the errors are known, and weights with them: give the matrix V / sqrt(weight_i weight_j)"
        case ErrorSpec():
            what = (
                "weights are those of independent errors (hr.independent, hr.by). What they would mean for the "
                "correlation within a unit is not one thing; give the covariance that you mean, hr.known_cov(V, "
                "scale=True), in blocks"
            )
        case _:
            return errors
    raise ModelError(f"weights={weights!r} with errors={errors}: {what}.")


def independent() -> Independent:
    """Return independent errors with one unknown standard deviation (the default)."""
    return Independent()


def by(column: str) -> By:
    """Return independent errors with one standard deviation per level of a column.

    Parameters
    ----------
    column : str
        Column whose levels are the strata.
    """
    return By(column)


def correlated(dataset: str, *, unit: str) -> Correlated:
    """Return errors that are correlated between data sets observed on the same unit.

    A unit seen in only some of the data sets contributes through the sub-matrix of the error
    covariance: what is missing is integrated out exactly.

    Parameters
    ----------
    dataset : str
        Column that names the data set of a row.
    unit : str
        Column that names the unit (configuration, year, pupil); at most one row per unit and data set.

    References
    ----------
    Zellner, A. (1962). An efficient method of estimating seemingly unrelated regressions and tests for aggregation
    bias. Journal of the American Statistical Association 57(298), 348-368.
    """
    return Correlated(dataset, unit)


def exchangeable(unit: str, *, by: str | None = None, common_sd: bool = True) -> Exchangeable:
    """Return errors of which any two in the same unit have the same correlation (compound symmetry).

    The correlation may be negative, down to -1 / (n - 1) for units of up to n rows. With strata it is one per stratum
    (``error_corr``), and so, if asked for, is the standard deviation (``error_sd``). A random intercept of the unit
    says the same with a variance between units, but only for a positive correlation, and ties the correlations of
    strata to their variances.

    Parameters
    ----------
    unit : str
        Column that names the unit of a row (pair, family, batch).
    by : str, optional
        Column whose levels are the strata; all rows of a unit are in one of them.
    common_sd : bool
        One standard deviation for all strata, or one each.
    """
    return Exchangeable(unit, by, common_sd)


def ar1(time: str, *, unit: str) -> AR1:
    """Return errors that are autoregressive of order one within units: correlation rho^|t - s| between times s and t.

    Units are independent; there is one standard deviation (``error_sd``) and one correlation of rows one step of time
    apart (``error_corr``), between -1 and 1. Times need not follow each other: a gap counts exactly. Where all gaps are
    even nothing tells the sign of rho: give the times in a coarser unit then.

    Parameters
    ----------
    time : str
        Column of whole numbers (day, year, visit), each once in a unit.
    unit : str
        Column that names the unit of a row (person, plot, station).

    References
    ----------
    Pinheiro, J. C. and Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS. Springer. Section 5.3.1 (corAR1).

    Examples
    --------
    >>> import hierreg as hr
    >>> print(hr.ar1("day", unit="person"))
    ar1('day', unit='person')
    """
    return AR1(time, unit)


def known_se(column: str, *, scale: bool = False) -> KnownSE:
    """Return independent errors with known standard errors.

    Parameters
    ----------
    column : str
        Column of standard errors, in the units of the response, all positive.
    scale : bool
        Multiply all of them by one unknown factor (estimated as ``error_sd``).
    """
    return KnownSE(column, scale)


def known_cov(V: Any, *, scale: bool = False, labels: str | None = None) -> KnownCov:
    """Return errors with a known covariance matrix.

    The matrix is kept and factored in blocks: sets of rows that it connects, whichever way it is given. Memory is that
    of the blocks and work the sum of their sizes cubed, so that 20,000 rows in blocks of three are a moment; a matrix
    without zeros is one block of all N rows, N^2 numbers and N^3 / 3 operations, once.

    Parameters
    ----------
    V : array_like or table (N, N), sparse matrix (N, N), or list of blocks
        Symmetric positive definite, squared units of the response. One of

        - a matrix, in the order of the table's rows;
        - a pandas or xarray table with labelled rows and columns: matched by label to the index of the data, which must
          be pandas', or to the column that `labels` names. Labels that are not those of the data are an error, never
          a match by position; give ``V.to_numpy()`` for that. The labels 0, 1, 2, ... that pandas gives a table without
          labels are none;
        - a ``scipy.sparse`` matrix or array, in the order of the rows;
        - a list of square blocks (or an array (m, s, s)), rows in order: the rows of the first block, then those of the
          second, and so on. Blocks that are labelled tables are matched by label.
    scale : bool
        Multiply the standard deviations by one unknown factor (estimated as ``error_sd``).
    labels : str, optional
        Column of the data that holds the labels of V's rows, for a labelled V and a table without index (polars,
        pyarrow), or with another one.

    Raises
    ------
    ModelError
        If V is not a finite, symmetric, positive definite matrix. Its correlations are checked, so that rows may have
        different units.

    Examples
    --------
    >>> import numpy as np
    >>> import hierreg as hr
    >>> print(hr.known_cov([np.eye(2), [[1.0, 0.5], [0.5, 2.0]]]))
    known_cov(<4 x 4 matrix>, scale=False)
    """
    return KnownCov(read_covariance(V, labels), scale)


# Structures that correlate rows of a unit; each has a column of units.
WITHIN_UNITS = (Correlated, Exchangeable, AR1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLayout:
    """How an error structure lies over the rows of one table.

    Attributes
    ----------
    spec : ErrorSpec
        What was asked for.
    kind : str
        "independent", "by", "correlated", "exchangeable", "ar1", "known_se" or "known_cov".
    labels : tuple of str
        The D data sets or strata; ("sigma",) where there is only one error standard deviation.
    dim : str or None
        Column that the labels come from.
    n_sd : int
        Number of unknown error standard deviations: D, or 0 where the errors are fully known; one where exchangeable
        errors of all strata have a common one.
    has_corr : bool
        Whether error correlations, between data sets or within units, are unknown parameters.
    stratum : int array (N,)
        Data set or stratum of each row.
    unit : int array (N,) or None
        Unit of each row (``correlated``, ``exchangeable`` and ``ar1`` only).
    time : int array (N,) or None
        Time of each row (``ar1`` only).
    se : float array (N,) or None
        Known standard errors (``known_se``), or error standard deviations relative to that of rows of weight one.
    V : BlockCovariance or None
        Known covariance (N, N), in the order of the rows (``known_cov`` only).
    unit_labels : tuple of str
        Labels of the units, in the order that `unit` counts them.
    common_sd : bool
        Whether all strata have one standard deviation (``exchangeable``; ``ar1``, which has none).
    """

    spec: ErrorSpec
    kind: str
    labels: tuple[str, ...]
    dim: str | None
    n_sd: int
    has_corr: bool
    stratum: NDArray[np.intp]
    unit: NDArray[np.intp] | None = None
    time: NDArray[np.intp] | None = None
    se: NDArray[np.float64] | None = None
    V: BlockCovariance | None = None
    unit_labels: tuple[str, ...] = ()
    common_sd: bool = False


def bind_errors(spec: ErrorSpec, table: Any, n: int, *, is_whole: bool = True) -> ErrorLayout:
    """Return the layout of an error structure over the rows of a table.

    Parameters
    ----------
    spec : ErrorSpec
        Made by `independent`, `by`, `correlated`, `exchangeable`, `ar1`, `known_se` or `known_cov`.
    table : narwhals.DataFrame
        The table, n rows.
    n : int
        Number of rows.
    is_whole : bool
        False for a part of the rows, in which some of the data sets, or every pair of rows, may be absent; see
        `check_enough`.

    Raises
    ------
    DataError
        If a column is missing, has missing values, or has more than one row per unit and data set.
    ModelError
        If a matrix does not fit the table.
    """
    zeros = np.zeros(n, dtype=np.intp)
    match spec:
        case Independent():
            return _single(spec, "independent", zeros, n_sd=1, se=relative_sds(table, spec.weights))
        case By():
            labels, stratum = _levels(table, spec.column, role="error stratum")
            return ErrorLayout(
                spec=spec,
                kind="by",
                labels=labels,
                dim=spec.column,
                n_sd=len(labels),
                has_corr=False,
                stratum=stratum,
                se=relative_sds(table, spec.weights),
            )
        case Correlated():
            layout = _bind_correlated(spec, table)
        case Exchangeable():
            layout = _bind_exchangeable(spec, table, n)
        case AR1():
            layout = _bind_ar1(spec, table, n)
        case KnownSE():
            return _single(spec, "known_se", zeros, n_sd=int(spec.scale), se=standard_errors(table, spec.column))
        case KnownCov():
            V = in_order_of_rows(spec.given, table, n)
            return _single(spec, "known_cov", zeros, n_sd=int(spec.scale), V=V)
        case _:
            raise ModelError(
                f"errors={spec!r} is not an error structure; use hr.independent(), hr.by(column), "
                "hr.correlated(dataset, unit=...), hr.exchangeable(unit), hr.ar1(time, unit=...), "
                "hr.known_se(column) or hr.known_cov(V)."
            )
    if is_whole:
        largest = np.zeros(len(layout.labels), dtype=np.intp)
        np.maximum.at(largest, layout.stratum, np.bincount(_units(layout))[_units(layout)])
        check_enough(spec, layout.labels, n, int(_units(layout).max()) + 1, largest)
        if isinstance(spec, AR1) and layout.time is not None:
            order = np.lexsort((layout.time, _units(layout)))
            same = np.diff(_units(layout)[order]) == 0
            check_gaps(spec, np.diff(layout.time[order])[same])
    return layout


def _units(layout: ErrorLayout) -> NDArray[np.intp]:
    assert layout.unit is not None
    return layout.unit


def check_enough(
    spec: ErrorSpec, labels: tuple[str, ...], n_rows: int, n_units: int, largest: NDArray[np.intp]
) -> None:
    """Raise where the rows cannot tell the error correlations.

    Parameters
    ----------
    spec : ErrorSpec
    labels : tuple of str
        Data sets or strata.
    n_rows, n_units : int
    largest : int array (labels,)
        Rows of the largest unit of each stratum of exchangeable errors.

    Raises
    ------
    DataError, ModelError
        If correlated errors have one data set, or no unit with two; or exchangeable ones no unit of two rows.
    """
    if isinstance(spec, Correlated):
        if len(labels) < 2:
            raise ModelError(
                f"errors={spec}: column {spec.dataset!r} has the single level {labels[0]!r}; correlated errors need "
                "at least two data sets. Use hr.independent() for one data set."
            )
        if n_units == n_rows:
            raise DataError(
                f"errors={spec}: no unit of column {spec.unit!r} was observed in two data sets ({n_units} units in "
                f"{n_rows} rows), so their error correlation cannot be learned. Check the unit column, or use "
                f"hr.by({spec.dataset!r})."
            )
    if isinstance(spec, Exchangeable) and largest.min() < 2:
        which = labels[int(largest.argmin())]
        where = f"stratum {which!r} of {spec.by!r}" if spec.by is not None else f"column {spec.unit!r}"
        raise DataError(
            f"errors={spec}: no unit of {where} has two rows, so the correlation of errors within units cannot be "
            "learned. Check the unit column, or use "
            f"{'hr.independent()' if spec.by is None else f'hr.by({spec.by!r})'}."
        )


def check_gaps(spec: AR1, gaps: NDArray[np.intp]) -> None:
    """Raise where gaps between neighbours in time (P,) cannot tell the correlation of rows one step apart.

    Raises
    ------
    DataError
        If there are none, or all are even.
    """
    if not len(gaps):
        raise DataError(
            f"errors={spec}: no unit of column {spec.unit!r} has two rows, so the correlation of errors within units "
            "cannot be learned. Check the unit column, or use hr.independent()."
        )
    step = int(np.gcd.reduce(gaps))
    if step % 2 == 0:
        raise DataError(
            f"errors={spec}: all gaps between neighbouring times of a unit are multiples of {step}, so that nothing "
            f"tells the sign of the correlation one step apart. Give the times in units of {step}: a column "
            f"data[{spec.time!r}] // {step}."
        )


def _single(spec: ErrorSpec, kind: str, stratum: NDArray[np.intp], *, n_sd: int, **known: Any) -> ErrorLayout:
    return ErrorLayout(
        spec=spec, kind=kind, labels=("sigma",), dim=None, n_sd=n_sd, has_corr=False, stratum=stratum, **known
    )


def _bind_correlated(spec: Correlated, table: Any) -> ErrorLayout:
    labels, stratum = _levels(table, spec.dataset, role="data set of the errors")
    units, unit = _levels(table, spec.unit, role="unit of the errors")
    if len(labels) > 62:
        raise ModelError(
            f"errors={spec}: column {spec.dataset!r} has {len(labels)} levels; at most 62 data sets can have "
            "correlated errors. Is it the data-set column?"
        )
    key = unit * len(labels) + stratum
    values, counts = np.unique(key, return_counts=True)
    if np.any(counts > 1):
        first = values[np.argmax(counts > 1)]
        rows = np.flatnonzero(key == first)[:3].tolist()
        raise DataError(
            f"errors={spec}: {int(np.sum(counts > 1))} pairs of unit and data set occur more than once; first "
            f"({units[first // len(labels)]!r}, {labels[first % len(labels)]!r}) at rows {rows}. Each unit may have "
            "one row per data set: make the unit column finer, or average the repeats."
        )
    return ErrorLayout(
        spec=spec,
        kind="correlated",
        labels=labels,
        dim=spec.dataset,
        n_sd=len(labels),
        has_corr=True,
        stratum=stratum,
        unit=unit,
        unit_labels=units,
    )


def _bind_exchangeable(spec: Exchangeable, table: Any, n: int) -> ErrorLayout:
    units, unit = _levels(table, spec.unit, role="unit of the errors")
    labels: tuple[str, ...] = ("sigma",)
    stratum = np.zeros(n, dtype=np.intp)
    if spec.by is not None:
        labels, stratum = _levels(table, spec.by, role="error stratum")
        key = np.unique(unit * len(labels) + stratum) // len(labels)
        split = key[1:][key[1:] == key[:-1]]
        if len(split):
            rows = np.flatnonzero(unit == split[0])
            raise DataError(
                f"errors={spec}: {len(np.unique(split))} units have rows in several strata of {spec.by!r}; first "
                f"{units[split[0]]!r}, at rows {rows[:5].tolist()}. All rows of a unit must be in one stratum: are "
                "the units of different strata numbered alike? Give them names of their own."
            )
    return ErrorLayout(
        spec=spec,
        kind="exchangeable",
        labels=labels,
        dim=spec.by,
        n_sd=1 if spec.common_sd else len(labels),
        has_corr=True,
        stratum=stratum,
        unit=unit,
        unit_labels=units,
        common_sd=spec.common_sd,
    )


def _bind_ar1(spec: AR1, table: Any, n: int) -> ErrorLayout:
    units, unit = _levels(table, spec.unit, role="unit of the errors")
    time = whole_times(table, spec)
    order = np.lexsort((time, unit))
    again = np.flatnonzero((np.diff(unit[order]) == 0) & (np.diff(time[order]) == 0))
    if len(again):
        rows = sorted(order[again[0] : again[0] + 2].tolist())
        raise DataError(
            f"errors={spec}: {len(again)} rows repeat a time of their unit; first {units[unit[rows[0]]]!r} at "
            f"{spec.time!r} = {time[rows[0]]}, rows {rows}. Each unit may have one row at a time: make the unit column "
            "finer, average the repeats, or count time in smaller steps."
        )
    return ErrorLayout(
        spec=spec,
        kind="ar1",
        labels=("sigma",),
        dim=None,
        n_sd=1,
        has_corr=True,
        stratum=np.zeros(n, dtype=np.intp),
        unit=unit,
        time=time,
        unit_labels=units,
        common_sd=True,
    )


def whole_times(table: Any, spec: AR1) -> NDArray[np.intp]:
    """Return the times (N,) of AR(1) errors.

    Raises
    ------
    DataError
        If they are not whole numbers.
    """
    values = column(table, spec.time, role="time of the errors")
    if values.dtype.kind not in "iuf":
        raise DataError(
            f"data[{spec.time!r}], the time of errors={spec}, holds {values.dtype} values (first {values[0]!r}); whole "
            "numbers are required, such as days since a date."
        )
    bad = np.flatnonzero((values != np.round(values)) | (np.abs(values) > _LARGEST_TIME))
    if len(bad):
        raise DataError(
            f"data[{spec.time!r}], the time of errors={spec}, has {len(bad)} values that are not whole numbers of at "
            f"most 2^52 (first at rows {bad[:3].tolist()}: {values[bad[:3]].tolist()}). Count time in steps: hours or "
            "days since a date, visits, or multiples of the smallest gap."
        )
    return values.astype(np.intp)


def _levels(table: Any, name: str, *, role: str) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    from hierreg.design import column_levels

    levels, index = column_levels(table, name, role=role)
    return tuple(str(level) for level in levels), index


def relative_sds(table: Any, weights: str | None) -> NDArray[np.float64] | None:
    """Return error standard deviations (N,) relative to that of rows of weight one, weight^-1/2; None without weights.

    Raises
    ------
    DataError
        If weights are not positive numbers.
    """
    if weights is None:
        return None
    values = column(table, weights, role="weights")
    if values.dtype.kind not in "iuf":
        raise DataError(
            f"data[{weights!r}], the weights, holds {values.dtype} values (first {values[0]!r}); numbers are required."
        )
    w = np.asarray(values, dtype=float)
    bad = np.flatnonzero(~(w > 0))
    if len(bad):
        raise DataError(
            f"data[{weights!r}], the weights, has {len(bad)} values that are not positive (first at rows "
            f"{bad[:3].tolist()}: {w[bad[:3]].tolist()}); weights must be > 0. A row of weight zero says nothing of "
            "the response: leave it out."
        )
    return np.asarray(1.0 / np.sqrt(w))


def standard_errors(table: Any, name: str) -> NDArray[np.float64]:
    """Return a column of known standard errors (N,), all positive."""
    values = column(table, name, role="known standard errors")
    if values.dtype.kind not in "iuf":
        raise DataError(
            f"data[{name!r}], the known standard errors, holds {values.dtype} values (first {values[0]!r}); numbers "
            "are required."
        )
    se = np.asarray(values, dtype=float)
    bad = np.flatnonzero(~(se > 0))
    if len(bad):
        raise DataError(
            f"data[{name!r}], the known standard errors, has {len(bad)} values that are not positive "
            f"(first at rows {bad[:3].tolist()}: {se[bad[:3]].tolist()}); standard errors must be > 0."
        )
    return se
