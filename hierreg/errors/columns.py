"""Columns of a table that error structures read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices import column, column_levels
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def levels_of(table: Any, name: str, *, role: str) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the levels of a column as text, and the level of each row (N,)."""
    levels, index = column_levels(table, name, role=role)
    return tuple(str(level) for level in levels), index


def positive_numbers(table: Any, name: str, *, role: str, required: str) -> NDArray[np.float64]:
    """Return a column of positive numbers (N,).

    Raises
    ------
    DataError
        If they are not positive numbers; `required` says what they must be.
    """
    values = column(table, name, role=role)
    if values.dtype.kind not in "iuf":
        raise DataError(
            f"data[{name!r}], the {role}, holds {values.dtype} values (first {values[0]!r}); numbers are required."
        )
    numbers = np.asarray(values, dtype=float)
    bad = np.flatnonzero(~(numbers > 0))
    if len(bad):
        raise DataError(
            f"data[{name!r}], the {role}, has {len(bad)} values that are not positive (first at rows "
            f"{bad[:3].tolist()}: {numbers[bad[:3]].tolist()}); {required}"
        )
    return numbers


def relative_sds(table: Any, weights: str | None) -> NDArray[np.float64] | None:
    """Return error standard deviations (N,) relative to that of rows of weight one, weight^-1/2; None without weights.

    Raises
    ------
    DataError
        If weights are not positive numbers.
    """
    if weights is None:
        return None
    required = "weights must be > 0. A row of weight zero says nothing of the response: leave it out."
    return np.asarray(1.0 / np.sqrt(positive_numbers(table, weights, role="weights", required=required)))


def weights_shown(weights: str | None) -> str:
    """Return weights as an argument."""
    return "" if weights is None else f", weights={weights!r}"
