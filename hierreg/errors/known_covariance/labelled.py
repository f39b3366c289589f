"""Tables whose rows and columns have labels, and matching them by label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    import pandas as pd


def values_and_labels(value: Any, name: str) -> tuple[Any, pd.Index | None]:
    """Return the values of a table and the labels of its rows; None where it has none.

    Tables with labels are those of pandas and xarray. Labels 0, 1, 2, ... in this order are what pandas gives a table
    that has none, and are not taken for labels. Columns that are labelled in another order than rows are put in theirs.

    Parameters
    ----------
    value : Any
        A square table, a vector, or anything else, which is returned as it is.
    name : str
        Of the argument, for messages.

    Raises
    ------
    ModelError
        If rows and columns have different labels, or a label occurs twice.
    """
    axes = _axes(value)
    if axes is None:
        return value, None
    values, labels = np.asarray(value), axes[0]
    if len(axes) > 1:
        rows, columns = axes
        if rows is None and columns is None:
            return values, None
        if rows is None or columns is None:
            which, there = ("columns", columns) if rows is None else ("rows", rows)
            raise ModelError(
                f"{name} has labels for its {which} only ({listed(there if there is not None else ())}). Label both "
                "alike, or give its values alone: to_numpy()."
            )
        _check_distinct(rows, name)
        if not _same(rows, columns):
            _check_distinct(columns, name)
            place = columns.get_indexer(rows)
            if len(rows) != len(columns) or np.any(place < 0):
                raise ModelError(
                    f"the rows and columns of {name} have different labels: {listed(rows)} and {listed(columns)}."
                )
            values = values[:, place]
    elif labels is not None:
        _check_distinct(labels, name)
    return values, labels


def has_labels(value: Any) -> bool:
    """Return whether a table has labels along an axis, other than 0, 1, 2, ..."""
    return any(axis is not None for axis in _axes(value) or ())


def in_order(value: Any, names: tuple[str, ...], name: str) -> Any:
    """Return a vector or square table in the order of ``names`` where it has labels, else as it is.

    Raises
    ------
    ModelError
        If its labels are others.
    """
    values, labels = values_and_labels(value, name)
    if labels is None:
        return values
    place = {str(label): i for i, label in enumerate(labels)}
    if set(place) != set(names) or len(labels) != len(names):
        raise ModelError(
            f"{name} is labelled {listed(labels)}; the model has {listed(names)}. Use these labels, or give the values "
            "alone in this order: to_numpy()."
        )
    order = [place[one] for one in names]
    return values[np.ix_(*[order] * values.ndim)]


def _axes(value: Any) -> tuple[pd.Index | None, ...] | None:
    """Return the labels along each axis, or None where this is no labelled table of one or two axes."""
    module = type(value).__module__.partition(".")[0]
    if module == "pandas" and getattr(value, "ndim", 0) in {1, 2} and hasattr(value, "index"):
        both = (value.index, value.columns) if value.ndim == 2 else (value.index,)
        return tuple(None if _is_default(axis) else axis for axis in both)
    if module == "xarray" and getattr(value, "ndim", 0) in {1, 2} and hasattr(value, "dims"):
        indexes = [value.indexes.get(dim) for dim in value.dims]
        return tuple(None if axis is None or _is_default(axis) else axis for axis in indexes)
    return None


def _is_default(axis: pd.Index) -> bool:
    return axis.nlevels == 1 and axis.dtype.kind in "iu" and bool(np.array_equal(axis, np.arange(len(axis))))


def _same(rows: pd.Index, columns: pd.Index) -> bool:
    """Return whether labels are equal; as text, since a table read from CSV has its columns labelled with text."""
    return rows.equals(columns) or [str(label) for label in rows] == [str(label) for label in columns]


def _check_distinct(labels: pd.Index, name: str) -> None:
    if labels.has_duplicates:
        again = labels[labels.duplicated()].unique()
        raise ModelError(
            f"{name} has labels that occur more than once ({listed(again)}), so rows cannot be told by them. Make them "
            "distinct, or give the values alone, in the order of the rows: to_numpy()."
        )
