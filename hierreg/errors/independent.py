"""Independent errors with one standard deviation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.errors.base import ErrorColumns, ErrorLayout, ErrorSpec
from hierreg.errors.columns import relative_sds, weights_shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


@final
@dataclass(frozen=True, slots=True)
class Independent(ErrorSpec):
    """Independent errors with one standard deviation, that of rows of weight one."""

    kind: ClassVar[str] = "independent"
    usage: ClassVar[str] = "hr.independent()"
    rows_can_be_groups: ClassVar[bool] = False
    no_weights: ClassVar[str] = ""

    weights: str | None = None

    def __str__(self) -> str:
        return "independent()" + weights_shown(self.weights)

    @property
    def symbols(self) -> str:
        """How errors are distributed, in symbols."""
        return "e_r ~ N(0, σ^2)" if self.weights is None else "e_r ~ N(0, σ^2 / w_r)"

    @property
    def columns(self) -> ErrorColumns:
        """The columns that are needed."""
        return ErrorColumns(number=self.weights)

    def weighted(self, weights: str) -> Independent:
        """Return the same with a column of weights."""
        return replace(self, weights=weights)

    def known_sds(self, table: Any) -> NDArray[np.float64] | None:
        """Return weight^-1/2 of each row, None without weights."""
        return relative_sds(table, self.weights)

    def bind(self, table: Any) -> ErrorLayout:
        """Return the layout over the rows of a table."""
        return ErrorLayout(spec=self, n_sd=1, stratum=np.zeros(len(table), dtype=np.intp), se=self.known_sds(table))


def independent() -> Independent:
    """Return independent errors with one unknown standard deviation (the default).

    See Also
    --------
    by : One for each stratum.
    correlated : Between data sets of one unit.
    exchangeable : Alike between any two rows of a unit.
    ar1 : Falling with the distance in time.
    known_se : Known standard errors.
    known_cov : A known covariance matrix.

    Examples
    --------
    >>> import hierreg as hr
    >>> print(hr.independent())
    independent()
    """
    return Independent()
