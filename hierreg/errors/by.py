"""Independent errors with a standard deviation for each stratum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, final

from hierreg.errors.base import ErrorColumns, ErrorLayout, ErrorSpec
from hierreg.errors.columns import levels_of, relative_sds, weights_shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
@dataclass(frozen=True, slots=True)
class By(ErrorSpec):
    """Independent errors, one standard deviation per level of a column."""

    kind: ClassVar[str] = "by"
    usage: ClassVar[str] = "hr.by(column)"
    rows_can_be_groups: ClassVar[bool] = False
    no_weights: ClassVar[str] = ""

    column: str
    weights: str | None = None

    def __str__(self) -> str:
        return f"by({self.column!r})" + weights_shown(self.weights)

    @property
    def symbols(self) -> str:
        """How errors are distributed, in symbols."""
        return "e_r ~ N(0, σ_{s(r)}^2)" if self.weights is None else "e_r ~ N(0, σ_{s(r)}^2 / w_r)"

    @property
    def columns(self) -> ErrorColumns:
        """The columns that are needed."""
        return ErrorColumns(stratum=self.column, number=self.weights)

    def weighted(self, weights: str) -> By:
        """Return the same with a column of weights."""
        return replace(self, weights=weights)

    def known_sds(self, table: Any) -> NDArray[np.float64] | None:
        """Return weight^-1/2 of each row, None without weights."""
        return relative_sds(table, self.weights)

    def bind(self, table: Any) -> ErrorLayout:
        """Return the layout over the rows of a table."""
        labels, stratum = levels_of(table, self.column, role="error stratum")
        return ErrorLayout(
            spec=self, labels=labels, dim=self.column, n_sd=len(labels), stratum=stratum, se=self.known_sds(table)
        )


def by(column: str) -> By:
    """Return independent errors with one standard deviation per level of a column.

    Parameters
    ----------
    column : str
        Column whose levels are the strata.

    See Also
    --------
    independent : One standard deviation for all rows.
    exchangeable : Alike between any two rows of a unit.
    correlated : Between data sets of one unit.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("distance ~ age + (1 | Subject)", hr.load_dataset("orthodont"), errors=hr.by("Sex"))
    >>> model.estimate().error_sd.to_series().round(2).to_dict()
    {'Male': 1.76, 'Female': 0.8}
    """
    return By(column)
