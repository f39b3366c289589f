"""Independent errors with known standard errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.errors.base import ErrorColumns, ErrorLayout, ErrorSpec
from hierreg.errors.columns import positive_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray


@final
@dataclass(frozen=True, slots=True)
class KnownSE(ErrorSpec):
    """Independent errors with known standard errors, optionally times one unknown factor."""

    kind: ClassVar[str] = "known_se"
    usage: ClassVar[str] = "hr.known_se(column)"
    is_known: ClassVar[bool] = True
    no_weights: ClassVar[str] = (
        "the errors are known, and weights with them: give a column of standard errors se / sqrt(weight)"
    )

    column: str
    scale: bool = False

    def __str__(self) -> str:
        return f"known_se({self.column!r}, scale={self.scale})"

    @property
    def symbols(self) -> str:
        """How errors are distributed, in symbols."""
        return "e_r ~ N(0, σ^2 s_r^2)" if self.scale else "e_r ~ N(0, s_r^2)"

    @property
    def columns(self) -> ErrorColumns:
        """The columns that are needed."""
        return ErrorColumns(number=self.column)

    def known_sds(self, table: Any) -> NDArray[np.float64]:
        """Return the standard error of each row."""
        return positive_numbers(
            table, self.column, role="known standard errors", required="standard errors must be > 0."
        )

    def bind(self, table: Any) -> ErrorLayout:
        """Return the layout over the rows of a table."""
        return ErrorLayout(
            spec=self, n_sd=int(self.scale), stratum=np.zeros(len(table), dtype=np.intp), se=self.known_sds(table)
        )


def known_se(column: str, *, scale: bool = False) -> KnownSE:
    """Return independent errors with known standard errors.

    Parameters
    ----------
    column : str
        Column of standard errors, in the units of the response, all positive.
    scale : bool
        Multiply all of them by one unknown factor (estimated as ``error_sd``).

    See Also
    --------
    known_cov : A known covariance matrix.
    by : One for each stratum.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("effect ~ 1 + (1 | school)", hr.load_dataset("eight_schools"), errors=hr.known_se("se"))
    >>> round(float(model.estimate("ml").beta[0]), 2)
    7.69
    """
    return KnownSE(column, scale)
