"""All structures of errors, a file each: what the user writes, and how it lies over the rows of a table.

A structure is its class in `STRUCTURES`, and an entry in each table by structure of the layers above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierreg.errors.ar1 import AR1, ar1
from hierreg.errors.base import ErrorLayout, ErrorSpec
from hierreg.errors.by import By, by
from hierreg.errors.correlated import Correlated, correlated
from hierreg.errors.exchangeable import Exchangeable, exchangeable
from hierreg.errors.independent import Independent, independent
from hierreg.errors.known_cov import KnownCov, known_cov
from hierreg.errors.known_se import KnownSE, known_se
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "STRUCTURES",
    "ErrorLayout",
    "ErrorSpec",
    "ar1",
    "bind_errors",
    "by",
    "checked_structure",
    "correlated",
    "errors_from_json",
    "exchangeable",
    "independent",
    "known_cov",
    "known_se",
    "weighted",
]

STRUCTURES: dict[str, type[ErrorSpec]] = {
    one.kind: one for one in (Independent, By, Correlated, Exchangeable, AR1, KnownSE, KnownCov)
}


def checked_structure(errors: Any, *, in_parts: bool = False) -> ErrorSpec:
    """Return an error structure; None is independent errors.

    Raises
    ------
    ModelError
        If it is none, or, with `in_parts`, one whose rows cannot come in parts.
    """
    errors = independent() if errors is None else errors
    if not isinstance(errors, ErrorSpec):
        *most, last = (one.usage for one in STRUCTURES.values() if not (in_parts and one.no_parts))
        raise ModelError(f"errors={errors!r} is not an error structure; use {', '.join(most)} or {last}.")
    if in_parts and errors.no_parts:
        raise ModelError(f"errors={errors}: {errors.no_parts}")
    return errors


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
    if errors is None:
        return Independent(weights)
    return errors.weighted(weights) if isinstance(errors, ErrorSpec) else errors


def bind_errors(spec: ErrorSpec, table: Any, *, is_whole: bool = True) -> ErrorLayout:
    """Return the layout of an error structure over the rows of a table.

    Parameters
    ----------
    spec : ErrorSpec
    table : narwhals.DataFrame
    is_whole : bool
        False for a part of the rows, in which some of the data sets, or every pair of rows, may be absent; see
        `ErrorSpec.check`.

    Raises
    ------
    DataError
        If a column is missing, has missing values, or has more than one row per unit and data set.
    ModelError
        If a matrix does not fit the table.
    """
    layout = checked_structure(spec).bind(table)
    if is_whole and layout.unit is not None:
        spec.check(layout.repeats)
    return layout


def errors_from_json(described: Mapping[str, Any]) -> ErrorSpec:
    """Return the structure that `ErrorSpec.to_json` described, by the name of its class."""
    classes = {one.__name__: one for one in STRUCTURES.values()}
    return classes[described["kind"]].from_json({key: value for key, value in described.items() if key != "kind"})
