"""Errors that are correlated between the data sets of a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.checks import listed
from hierreg.errors.base import ErrorColumns, ErrorLayout, ErrorSpec
from hierreg.errors.columns import levels_of
from hierreg.exceptions import DataError, ModelError

if TYPE_CHECKING:
    from hierreg.errors.base import Repeats

_MOST_SETS = 62


@final
@dataclass(frozen=True, slots=True)
class Correlated(ErrorSpec):
    """Errors correlated across the data sets of a unit, one standard deviation per data set."""

    kind: ClassVar[str] = "correlated"
    usage: ClassVar[str] = "hr.correlated(dataset, unit=...)"
    has_units: ClassVar[bool] = True

    dataset: str
    unit: str

    def __str__(self) -> str:
        return f"correlated({self.dataset!r}, unit={self.unit!r})"

    @property
    def symbols(self) -> str:
        """How errors are distributed, in symbols."""
        return "e_i ~ N(0, diag(σ) Ψ diag(σ)), i: unit"

    @property
    def columns(self) -> ErrorColumns:
        """The columns that are needed."""
        return ErrorColumns(stratum=self.dataset, unit=self.unit)

    def bind(self, table: Any) -> ErrorLayout:
        """Return the layout over the rows of a table; each unit may have one row per data set."""
        labels, stratum = levels_of(table, self.dataset, role="data set of the errors")
        units, unit = levels_of(table, self.unit, role="unit of the errors")
        if len(labels) > _MOST_SETS:
            raise ModelError(
                f"errors={self}: column {self.dataset!r} has {len(labels)} levels; at most {_MOST_SETS} data sets can "
                "have correlated errors. Is it the data-set column?"
            )
        key = unit * len(labels) + stratum
        values, counts = np.unique(key, return_counts=True)
        if np.any(counts > 1):
            first = values[np.argmax(counts > 1)]
            rows = np.flatnonzero(key == first)[:3].tolist()
            raise DataError(
                f"errors={self}: {int(np.sum(counts > 1))} pairs of unit and data set occur more than once; first "
                f"({units[first // len(labels)]!r}, {labels[first % len(labels)]!r}) at rows {rows}. Each unit may "
                "have one row per data set: make the unit column finer, or average the repeats."
            )
        return ErrorLayout(
            spec=self,
            labels=labels,
            dim=self.dataset,
            n_sd=len(labels),
            has_corr=True,
            stratum=stratum,
            unit=unit,
            unit_labels=units,
        )

    def check(self, repeats: Repeats) -> None:
        """Raise where there is one data set, or no unit with two."""
        labels = repeats.labels
        if len(labels) > _MOST_SETS:
            raise ModelError(
                f"errors={self}: {len(labels)} data sets ({listed(labels)}); at most {_MOST_SETS} are possible."
            )
        if len(labels) < 2:
            raise ModelError(
                f"errors={self}: column {self.dataset!r} has the single level {labels[0]!r}; correlated errors need "
                "at least two data sets. Use hr.independent() for one data set."
            )
        if repeats.n_units == repeats.n_rows:
            raise DataError(
                f"errors={self}: no unit of column {self.unit!r} was observed in two data sets ({repeats.n_units} "
                f"units in {repeats.n_rows} rows), so their error correlation cannot be learned. Check the unit "
                f"column, or use hr.by({self.dataset!r})."
            )


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

    See Also
    --------
    stack : The table of several data sets.
    exchangeable : Alike between any two rows of a unit.
    by : One for each stratum.
    known_cov : A known covariance matrix.

    References
    ----------
    Zellner, A. (1962). An efficient method of estimating seemingly unrelated regressions and tests for aggregation
    bias. Journal of the American Statistical Association 57(298), 348-368.

    Examples
    --------
    >>> import hierreg as hr
    >>> errors = hr.correlated("firm", unit="year")
    >>> model = hr.Model("invest ~ firm + value + capital", hr.load_dataset("grunfeld"), errors=errors)
    >>> model.estimate().error_corr.shape
    (5, 5)
    """
    return Correlated(dataset, unit)
