"""What every structure of errors says of itself, and how one lies over the rows of a table.

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

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hierreg.errors.known_covariance import BlockCovariance

    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorColumns:
    """The columns that an error structure needs.

    Attributes
    ----------
    stratum : str or None
        Labels of data sets or strata.
    unit : str or None
        Labels of units.
    number : str or None
        Known standard errors, weights or times.
    """

    stratum: str | None = None
    unit: str | None = None
    number: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of labels that there are."""
        return tuple(name for name in (self.stratum, self.unit) if name is not None)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Those of numbers that there are."""
        return () if self.number is None else (self.number,)


class ErrorSpec(ABC):
    """A description of the errors, before any data are seen.

    A structure says here what others ask; `structures` lists all of them.

    Attributes
    ----------
    kind : str
        Name of the function that makes it, which is also that of its entry in tables by structure.
    usage : str
        How it is written.
    is_known : bool
        Whether the errors are known, but for a factor.
    has_units : bool
        Whether errors of the rows of a unit are correlated.
    is_in_time : bool
        Whether their correlation is that of rows one step of time apart.
    corr_name : str
        What their correlation is called, where "corr" does not say it.
    rows_can_be_groups : bool
        Whether the variance between groups of one row each can be told from that of the errors.
    units_can_be_groups : bool
        Whether the variance of an intercept of each unit can be told from the correlation of errors.
    no_weights : str
        Why they cannot have weights; empty where they can.
    no_parts : str
        Why the rows cannot come in parts, and what to do; empty where they can.
    """

    __slots__ = ()

    kind: ClassVar[str]
    usage: ClassVar[str]
    is_known: ClassVar[bool] = False
    has_units: ClassVar[bool] = False
    is_in_time: ClassVar[bool] = False
    corr_name: ClassVar[str] = ""
    rows_can_be_groups: ClassVar[bool] = True
    units_can_be_groups: ClassVar[bool] = True
    no_weights: ClassVar[str] = (
        "weights are those of independent errors (hr.independent, hr.by). What they would mean for the "
        "correlation within a unit is not one thing; give the covariance that you mean, hr.known_cov(V, "
        "scale=True), in blocks"
    )
    no_parts: ClassVar[str] = ""

    @abstractmethod
    def bind(self, table: Any) -> ErrorLayout:
        """Return the layout over the rows of a table (narwhals.DataFrame), which may be a part of all rows.

        Raises
        ------
        DataError, ModelError
            If a column cannot be used.
        """

    def check(self, repeats: Repeats) -> None:  # noqa: B027  # errors without units have nothing to learn from them
        """Raise where all rows together cannot tell the error correlations.

        Raises
        ------
        DataError, ModelError
        """

    def known_sds(self, table: Any) -> NDArray[np.float64] | None:  # noqa: ARG002  # for those that have some
        """Return what is known of the standard deviation of each row (N,): a factor of it, or all but a factor."""
        return None

    @property
    def columns(self) -> ErrorColumns:
        """The columns that are needed."""
        return ErrorColumns()

    @property
    @abstractmethod
    def symbols(self) -> str:
        """How errors are distributed, in symbols: ``_`` and ``^`` as in TeX, of one letter or of what braces hold."""

    @property
    def known_matrix(self) -> BlockCovariance | None:
        """Known covariance of all rows, in the order in which it was given."""
        return None

    def weighted(self, weights: str) -> ErrorSpec:
        """Return the same with variances divided by a column of weights.

        Raises
        ------
        ModelError
            If these errors cannot have weights.
        """
        raise ModelError(f"weights={weights!r} with errors={self}: {self.no_weights}.")

    def range_of_corr(self, lowest: float) -> str:
        """Return in words what a correlation above `lowest` is fixed with."""
        raise NotImplementedError

    def bounds_of_corr(self, lowest: NDArray[np.float64]) -> str:
        """Return what given correlations must be, those of strata above `lowest` (T,): the end of a sentence."""
        raise NotImplementedError

    def without_data(self) -> str:
        """Return what errors of two tables must have in common."""
        return str(self)

    def to_json(self) -> dict[str, Any]:
        """Return the structure as JSON."""
        return {"kind": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Self:
        """Return what `to_json` described."""
        return cls(**described)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLayout:
    """How an error structure lies over the rows of one table.

    Attributes
    ----------
    spec : ErrorSpec
        What was asked for.
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
    labels: tuple[str, ...] = ("sigma",)
    dim: str | None = None
    n_sd: int
    has_corr: bool = False
    stratum: Index
    unit: Index | None = None
    time: Index | None = None
    se: NDArray[np.float64] | None = None
    V: BlockCovariance | None = None
    unit_labels: tuple[str, ...] = ()
    common_sd: bool = False

    @property
    def kind(self) -> str:
        """Name of the structure."""
        return self.spec.kind

    @property
    def repeats(self) -> Repeats:
        """What the rows say of errors within units."""
        assert self.unit is not None
        largest, gaps = np.zeros(len(self.labels), dtype=np.intp), np.empty(0, dtype=np.intp)
        np.maximum.at(largest, self.stratum, np.bincount(self.unit)[self.unit])
        if self.time is not None:
            order = np.lexsort((self.time, self.unit))
            gaps = np.diff(self.time[order])[np.diff(self.unit[order]) == 0]
        return Repeats(
            labels=self.labels,
            n_rows=len(self.unit),
            n_units=int(self.unit.max(initial=-1)) + 1,
            largest=largest,
            gaps=gaps,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """What all rows of a table, or of its parts together, have of units with several rows.

    Attributes
    ----------
    labels : tuple of str
        Data sets or strata.
    n_rows, n_units : int
    largest : int array (labels,)
        Rows of the largest unit of each stratum.
    gaps : int array (P,)
        Steps of time between neighbours, where there are times; each may stand once.
    """

    labels: tuple[str, ...]
    n_rows: int
    n_units: int
    largest: Index
    gaps: Index
