"""What is looked at: a result with its model, its rows, and columns of its table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.criticism.rows import Rows
from hierreg.exceptions import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.criticism.residuals import Residuals
    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Levels of a column of labels that rows are compared by, and rows that each has to have.
_MOST_LEVELS, _FEWEST_ROWS = 20, 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """A result, and what checks read of it.

    Attributes
    ----------
    problem : Problem or FamilyProblem
    columns : dict of arrays (N,)
        Of the table, as far as they are known: those that the model reads first.
    labels : set of str
        Columns that say which rows belong together.
    residuals : Residuals or None
        None where there are no rows, or none can be made.
    no_rows : str
        Why, in words.
    tree : DataTree or None
    estimate : Estimate or None
    has_normal_effects : bool
    time, unit : str or None
        Columns that the user named.
    """

    problem: Any
    columns: Mapping[str, NDArray[Any]]
    labels: frozenset[str]
    residuals: Residuals | None
    no_rows: str
    tree: xr.DataTree | None
    estimate: Estimate | None
    has_normal_effects: bool
    time: str | None
    unit: str | None

    @property
    def rows(self) -> Rows | None:
        """The residuals, where the response is normal."""
        return self.residuals if isinstance(self.residuals, Rows) else None

    def named(self, argument: str, name: str) -> NDArray[Any]:
        """Return a column that an argument names.

        Raises
        ------
        ModelError
            If it is not known.
        """
        if name not in self.columns:
            raise ModelError(
                f"{argument}={name!r} is no column that the result carries: {listed(self.columns)}."
                f"{suggestion(name, self.columns)} Other columns of the table are known with model=model."
            )
        return self.columns[name]

    def times(self) -> tuple[Array, str] | None:
        """Return the time of each row (N,) and what it is called: the column named, or that of AR(1) errors."""
        layout = self.problem.layout
        if self.time is None:
            return None if layout.time is None else (layout.time.astype(float), layout.spec.columns.number)
        values = self.named("time", self.time)
        try:
            # Dates count in whole units of their own.
            out = values.astype(np.int64) if values.dtype.kind in "mM" else values.astype(float)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"time={self.time!r} is a column of labels such as {values[0]!r}; numbers or dates are required, by "
                "which rows are put in order."
            ) from error
        if not np.all(np.isfinite(out)):
            raise DataError(f"time={self.time!r} has missing values; each row needs its time.")
        return out.astype(float), self.time

    def units(self) -> tuple[Index, str] | None:
        """Return the unit of each row (N,) and what it is called: the column named, or that of the errors."""
        layout = self.problem.layout
        if self.unit is None:
            return None if layout.unit is None else (layout.unit, layout.spec.columns.unit)
        return coded(self.named("unit", self.unit)), self.unit

    def strata(self) -> dict[str, Index]:
        """Return the columns of labels whose levels have enough rows to be compared, each as codes (N,)."""
        factors = {factor.name for factor in self.problem.design.factors}
        out = {}
        for name in self.labels - factors:
            codes = coded(self.columns[name])
            counts = np.bincount(codes)
            if 2 <= len(counts) <= _MOST_LEVELS and counts.min() >= _FEWEST_ROWS:
                out[name] = codes
        return dict(sorted(out.items()))

    def varying(self) -> dict[str, Array]:
        """Return the population columns that vary, by name."""
        design = self.problem.design
        return {name: x for name, x in zip(design.coef_names, design.X.T, strict=True) if np.ptp(x) > 0}


def coded(values: NDArray[Any]) -> Index:
    """Return labels as numbers from zero on (N,)."""
    text = values.astype(str) if values.dtype == object else values
    return np.unique(text, return_inverse=True)[1].ravel().astype(np.intp)


def named_groups(levels: Any, which: Index, most: int = 3) -> str:
    """Return some labels of groups, as in a sentence."""
    names = [str(levels[j]) for j in which[:most]]
    return ", ".join(names) + (f" and {len(which) - most} more" if len(which) > most else "")
