"""Errors of which any two in a unit have the same correlation; `within_units` has the algebra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.errors.base import ErrorColumns, ErrorLayout, ErrorSpec
from hierreg.errors.columns import levels_of
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.base import Repeats


@final
@dataclass(frozen=True, slots=True)
class Exchangeable(ErrorSpec):
    """Errors with one correlation between any two rows of a unit."""

    kind: ClassVar[str] = "exchangeable"
    usage: ClassVar[str] = "hr.exchangeable(unit)"
    has_units: ClassVar[bool] = True
    rows_can_be_groups: ClassVar[bool] = False
    units_can_be_groups: ClassVar[bool] = False

    unit: str
    by: str | None = None
    common_sd: bool = True

    def __str__(self) -> str:
        strata = "" if self.by is None else f", by={self.by!r}, common_sd={self.common_sd}"
        return f"exchangeable({self.unit!r}{strata})"

    @property
    def symbols(self) -> str:
        """How errors are distributed, in symbols."""
        if self.by is None:
            return "var(e_r) = σ^2, corr(e_r, e_{r'}) = ρ within a unit"
        sd = "σ" if self.common_sd else "σ_{s(r)}"
        return f"var(e_r) = {sd}^2, corr(e_r, e_{{r'}}) = ρ_{{s(r)}} within a unit"

    @property
    def columns(self) -> ErrorColumns:
        """The columns that are needed."""
        return ErrorColumns(stratum=self.by, unit=self.unit)

    def bind(self, table: Any) -> ErrorLayout:
        """Return the layout over the rows of a table; all rows of a unit are in one stratum."""
        units, unit = levels_of(table, self.unit, role="unit of the errors")
        labels: tuple[str, ...] = ("sigma",)
        stratum = np.zeros(len(table), dtype=np.intp)
        if self.by is not None:
            labels, stratum = levels_of(table, self.by, role="error stratum")
            key = np.unique(unit * len(labels) + stratum) // len(labels)
            split = key[1:][key[1:] == key[:-1]]
            if len(split):
                rows = np.flatnonzero(unit == split[0])
                raise DataError(
                    f"errors={self}: {len(np.unique(split))} units have rows in several strata of {self.by!r}; first "
                    f"{units[split[0]]!r}, at rows {rows[:5].tolist()}. All rows of a unit must be in one stratum: are "
                    "the units of different strata numbered alike? Give them names of their own."
                )
        return ErrorLayout(
            spec=self,
            labels=labels,
            dim=self.by,
            n_sd=1 if self.common_sd else len(labels),
            has_corr=True,
            stratum=stratum,
            unit=unit,
            unit_labels=units,
            common_sd=self.common_sd,
        )

    def check(self, repeats: Repeats) -> None:
        """Raise where a stratum has no unit of two rows."""
        if repeats.largest.min() >= 2:
            return
        which = repeats.labels[int(repeats.largest.argmin())]
        where = f"stratum {which!r} of {self.by!r}" if self.by is not None else f"column {self.unit!r}"
        raise DataError(
            f"errors={self}: no unit of {where} has two rows, so the correlation of errors within units cannot be "
            "learned. Check the unit column, or use "
            f"{'hr.independent()' if self.by is None else f'hr.by({self.by!r})'}."
        )

    def range_of_corr(self, lowest: float) -> str:
        """Return in words what a correlation is fixed with."""
        return (
            f"the correlation of exchangeable errors is fixed with one number between {lowest:.4g} = -1 / (n - 1), "
            f"n = {1 - 1 / lowest:.0f} rows in the largest unit, and 1"
        )

    def bounds_of_corr(self, lowest: NDArray[np.float64]) -> str:
        """Return in words what given correlations must be, the end of a sentence."""
        return (
            " must be between -1 / (n - 1), n the rows of the largest unit of a stratum "
            f"({', '.join(f'{bound:.4g}' for bound in lowest)}), and 1."
        )


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

    See Also
    --------
    ar1 : Falling with the distance in time.
    correlated : Between data sets of one unit.
    by : One for each stratum.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1", hr.load_dataset("dyestuff"), errors=hr.exchangeable("Batch"))
    >>> round(float(model.estimate().error_corr), 3)
    0.418
    """
    return Exchangeable(unit, by, common_sd)
