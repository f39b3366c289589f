"""Errors that are AR(1) within units: rows as pairs of neighbours in time.

With times t1 < t2 < ... in a unit, v = sd^2 and r = rho^(t - s) between neighbours s and t, the errors are a Markov
chain: e_1 ~ N(0, v), and given e_s alone e_t ~ N(r e_s, v (1 - r^2)). So::

    e'R^-1 e = e_1^2 / v + sum over neighbours of (e_t - r e_s)^2 / (v (1 - r^2))
    log|R|   = n log v + sum over neighbours of log(1 - r^2)

A unit's first row stands alone, each later one forms a pair with the row before it, and all pairs with the same gap
t - s have the same three weights: r^2, -r and 1, times 1 / (v (1 - r^2)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.design_matrices import column
from hierreg.errors.base import ErrorColumns, ErrorLayout, ErrorSpec
from hierreg.errors.columns import levels_of
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.base import Repeats

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Whole numbers that a double can tell from their neighbours, differences included.
_LARGEST_TIME = 2.0**52


@final
@dataclass(frozen=True, slots=True)
class AR1(ErrorSpec):
    """Errors with the correlation rho^(distance in time) between two rows of a unit."""

    kind: ClassVar[str] = "ar1"
    usage: ClassVar[str] = "hr.ar1(time, unit=...)"
    has_units: ClassVar[bool] = True
    is_in_time: ClassVar[bool] = True
    corr_name: ClassVar[str] = "corr one step apart"

    time: str
    unit: str

    def __str__(self) -> str:
        return f"ar1({self.time!r}, unit={self.unit!r})"

    @property
    def symbols(self) -> str:
        """How errors are distributed, in symbols."""
        return "var(e_r) = σ^2, corr(e_r, e_{r'}) = ρ^{|t − t'|} within a unit, t: time"

    @property
    def columns(self) -> ErrorColumns:
        """The columns that are needed."""
        return ErrorColumns(unit=self.unit, number=self.time)

    def bind(self, table: Any) -> ErrorLayout:
        """Return the layout over the rows of a table; each unit may have one row at a time."""
        units, unit = levels_of(table, self.unit, role="unit of the errors")
        time = whole_times(table, self)
        order = np.lexsort((time, unit))
        again = np.flatnonzero((np.diff(unit[order]) == 0) & (np.diff(time[order]) == 0))
        if len(again):
            rows = sorted(order[again[0] : again[0] + 2].tolist())
            raise DataError(
                f"errors={self}: {len(again)} rows repeat a time of their unit; first {units[unit[rows[0]]]!r} at "
                f"{self.time!r} = {time[rows[0]]}, rows {rows}. Each unit may have one row at a time: make the unit "
                "column finer, average the repeats, or count time in smaller steps."
            )
        return ErrorLayout(
            spec=self,
            n_sd=1,
            has_corr=True,
            stratum=np.zeros(len(table), dtype=np.intp),
            unit=unit,
            time=time,
            unit_labels=units,
            common_sd=True,
        )

    def check(self, repeats: Repeats) -> None:
        """Raise where there are no neighbours in time, or all gaps between them are even."""
        if not len(repeats.gaps):
            raise DataError(
                f"errors={self}: no unit of column {self.unit!r} has two rows, so the correlation of errors within "
                "units cannot be learned. Check the unit column, or use hr.independent()."
            )
        step = int(np.gcd.reduce(repeats.gaps))
        if step % 2 == 0:
            raise DataError(
                f"errors={self}: all gaps between neighbouring times of a unit are multiples of {step}, so that "
                f"nothing tells the sign of the correlation one step apart. Give the times in units of {step}: a "
                f"column data[{self.time!r}] // {step}."
            )

    def range_of_corr(self, lowest: float) -> str:
        """Return in words what the correlation is fixed with."""
        return f"the correlation of errors one step of time apart is fixed with one number between {lowest:.0f} and 1"

    def bounds_of_corr(self, lowest: NDArray[np.float64]) -> str:
        """Return in words what the correlation must be, the end of a sentence."""
        return f", the correlation of rows one step apart, must be between {lowest[0]:.0f} and 1."


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

    See Also
    --------
    exchangeable : Alike between any two rows of a unit.
    correlated : Between data sets of one unit.
    independent : One standard deviation for all rows.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The rows of a table as units' first rows and pairs of neighbours.

    Attributes
    ----------
    first : int array (U,)
        First row of each unit that has rows.
    before, now : int arrays (P,)
        Rows of each pair of neighbours, the later one is ``now``; U + P = N.
    gap : int array (P,)
        Steps of time between them.
    step : int array (P,)
        How many rows of the unit are earlier than ``now``.
    """

    first: Index
    before: Index
    now: Index
    gap: Index
    step: Index


def chain_of(layout: ErrorLayout) -> Chain:
    """Return the neighbours in time of AR(1) errors."""
    assert layout.unit is not None
    assert layout.time is not None
    order = np.lexsort((layout.time, layout.unit))
    unit, time = layout.unit[order], layout.time[order]
    goes_on = unit[1:] == unit[:-1]
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on])[: len(unit)])
    later = np.flatnonzero(goes_on) + 1
    return Chain(
        first=order[starts],
        before=order[later - 1],
        now=order[later],
        gap=time[later] - time[later - 1],
        step=later - starts[np.searchsorted(starts, later, side="right") - 1],
    )


def over_gaps(rho: Array, gap: Index) -> tuple[Array, Array]:
    """Return r = rho^gap and 1 - r^2, the latter with all digits that rho has near one; rho and gap broadcast."""
    r = rho**gap
    with np.errstate(divide="ignore"):
        return r, -np.expm1(2.0 * gap * np.log(np.abs(rho)))


def errors_of(chain: Chain, sd: Array, rho: Array, z: Array) -> Array:
    """Return errors (S, N) from standard normal numbers (S, N), sds (S,) and correlations (S,)."""
    out = sd[:, None] * z
    for step in range(1, int(chain.step.max(initial=0)) + 1):
        mine = np.flatnonzero(chain.step == step)
        r, left = over_gaps(rho[:, None], chain.gap[mine])
        out[:, chain.now[mine]] = r * out[:, chain.before[mine]] + np.sqrt(left) * out[:, chain.now[mine]]
    return out


def innovations(chain: Chain, sd: Array, rho: Array, residual: Array) -> tuple[Array, Array]:
    """Return what the row before leaves of each residual (S, N), and its standard deviation (S, N)."""
    e, width = residual.copy(), np.repeat(sd[:, None], residual.shape[1], axis=1)
    r, left = over_gaps(rho[:, None], chain.gap)
    e[:, chain.now] -= r * residual[:, chain.before]
    width[:, chain.now] *= np.sqrt(left)
    return e, width


def given_neighbours(chain: Chain, sd: Array, rho: Array, residual: Array) -> tuple[Array, Array]:
    """Return each residual (S, N) less its mean given the neighbours', and the standard deviation (S, N) of that.

    With P the precision of the errors these are (P e)_i / P_ii and P_ii^(-1/2).
    """
    precision, Pe = np.zeros_like(residual), np.zeros_like(residual)
    # In units of the variance of a row.
    precision[:, chain.first], Pe[:, chain.first] = 1.0, residual[:, chain.first]
    r, left = over_gaps(rho[:, None], chain.gap)
    e = (residual[:, chain.now] - r * residual[:, chain.before]) / left
    # A row is the later one of at most one pair, and the earlier one of at most one.
    precision[:, chain.now] += 1.0 / left
    Pe[:, chain.now] += e
    precision[:, chain.before] += r * r / left
    Pe[:, chain.before] -= r * e
    return Pe / precision, sd[:, None] / np.sqrt(precision)
