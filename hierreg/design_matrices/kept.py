"""Columns of a table as plain arrays, of which the same table can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import read_only
from hierreg.design_matrices.levels import categories_of
from hierreg.design_matrices.table import kind_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import narwhals as nw
    from numpy.typing import NDArray

    from hierreg.design_matrices.values import Level

# Of text every row is a pointer and, once for each level, its characters.
_POINTER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptColumn:
    """One column.

    Attributes
    ----------
    values : array (N,)
        Integers, floats, truth values, or text as objects.
    categories : tuple of (str or int), optional
        All categories in their order, where the column has one.
    is_label : bool
        Whether it says which rows belong together: text, truth values, and whole numbers of groups, strata or units.
    """

    values: NDArray[Any]
    categories: tuple[Level, ...] | None = None
    is_label: bool = False


def keep_columns(
    table: nw.DataFrame[Any], names: Sequence[str], labels: Collection[str], most_bytes: float
) -> dict[str, KeptColumn] | None:
    """Return copies of complete columns, or None where together they take more than `most_bytes`.

    Parameters
    ----------
    table : narwhals.DataFrame
    names : sequence of str
    labels : set of str
        Those of groups, strata and units.
    most_bytes : float
    """
    if len(table) * _POINTER * len(names) > most_bytes:
        return None
    return {name: _kept(table[name], is_group=name in labels) for name in names}


def _kept(series: nw.Series[Any], *, is_group: bool) -> KeptColumn:
    categories = categories_of(series) if kind_of(series) == "label" else None
    values = read_only(_values(series, categories))
    is_label = is_group or values.dtype.kind in "Ob" or bool(categories)
    return KeptColumn(values=values, categories=categories, is_label=is_label)


def _values(series: nw.Series[Any], categories: tuple[Level, ...] | None) -> NDArray[Any]:
    kind, values = kind_of(series), series.to_numpy()
    if kind == "label":
        text = np.asarray(values, dtype=object)
        is_text = categories is None or any(isinstance(level, str) for level in categories)
        return text if is_text else np.array(text.tolist())
    if kind == "bool":
        return np.array(values, dtype=bool)
    if series.dtype.is_integer() or np.asarray(values).dtype == object:
        whole = np.array(values.tolist())
        return whole if whole.dtype.kind in "iu" else np.array(values, dtype=np.float64)
    return np.array(values, dtype=np.float64)


def table_of(columns: Mapping[str, KeptColumn]) -> Any:
    """Return a table (pandas.DataFrame) of kept columns."""
    import pandas as pd

    def series(column: KeptColumn) -> Any:
        if column.categories is None:
            return column.values
        return pd.Categorical(column.values, categories=list(column.categories))

    return pd.DataFrame({name: series(column) for name, column in columns.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a model was made of.

    Attributes
    ----------
    arguments : dict
        Those of the model, as JSON.
    columns : dict of KeptColumn, or None
        The columns that it reads, unless they are too many, or gone.
    """

    arguments: Mapping[str, Any]
    columns: Mapping[str, KeptColumn] | None
