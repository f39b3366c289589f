"""Levels: the distinct labels of a column, in order, and where each row stands among them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import counted, first_rows, listed, read_only
from hierreg.design_matrices.table import complete_series, values_of
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import narwhals as nw
    from numpy.typing import NDArray

    from hierreg.design_matrices.values import Level

_EXACT = 2.0**53  # from here on not every whole number is a float64


def column_levels(
    table: nw.DataFrame[Any], name: str, *, role: str, allow_fractions: bool = False
) -> tuple[tuple[Level, ...], NDArray[np.intp]]:
    """Return the levels of a column and the level of each row.

    Text and whole numbers are sorted; categories keep their order. Only levels that occur are returned.

    Parameters
    ----------
    table : narwhals.DataFrame
        As `as_table` gives it.
    name : str
        Column of the table.
    role : str
        What the column is for, in words for the messages: "grouping factor", "unit", ...
    allow_fractions : bool
        Accept numbers with fractions as labels.

    Returns
    -------
    levels : tuple of str or int
    index : int array (N,)
        Position of each row's level in `levels`.

    Raises
    ------
    DataError
        If there is no such column, values are missing, or they are not text, categories or whole numbers.

    Examples
    --------
    >>> from hierreg.design_matrices import as_table
    >>> column_levels(as_table({"school": ["b", "a", "b"]}), "school", role="grouping factor")
    (('a', 'b'), array([1, 0, 1]))
    """
    import pandas as pd

    series = complete_series(table, name, role=role)
    categories = _categories(series)
    if categories is not None:
        return _observed(*categories)
    text = _arrow_text(series)
    if text is not None:
        return _observed_text(text)
    labels = _labels(series, name, role, allow_fractions=allow_fractions)
    low, high = (int(labels.min()), int(labels.max())) if labels.dtype.kind in "iu" else (0, len(labels))
    if labels.dtype.kind in "iu" and high - low < len(labels):
        return _observed_numbers(labels, low, high)
    codes, uniques = pd.factorize(labels, sort=True)
    if uniques.dtype == bool:
        uniques = uniques.astype(str)
    return tuple(uniques.tolist()), codes.astype(np.intp, copy=False)


def index_in(
    table: nw.DataFrame[Any], name: str, levels: Sequence[Level], *, role: str
) -> tuple[NDArray[np.intp], tuple[Level, ...]]:
    """Return the position of each row's label among known levels (-1: none), and the unknown labels."""
    found, index = column_levels(table, name, role=role, allow_fractions=True)
    position = {level: i for i, level in enumerate(levels)}
    places = np.array([position.get(level, -1) for level in found], dtype=np.intp)
    return places[index], tuple(level for level in found if level not in position)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorLevels:
    """The levels of a grouping factor, as learned from one table.

    Attributes
    ----------
    name : str
    columns : tuple of str
        The columns whose combinations are the levels.
    column_levels : tuple of tuples
        Levels of each column.
    codes : int array (J,)
        The combinations that occurred, ascending: positions in `column_levels`, the last column fastest.
    levels : tuple of str or int, length J
        Labels of the combinations.
    """

    name: str
    columns: tuple[str, ...]
    column_levels: tuple[tuple[Level, ...], ...]
    codes: NDArray[np.intp]
    levels: tuple[Level, ...]


def learn_factor(
    table: nw.DataFrame[Any], name: str, columns: tuple[str, ...], *, allow_single: bool = False
) -> tuple[FactorLevels, NDArray[np.intp]]:
    """Return the levels of a grouping factor and the level of each row.

    A single level is an error unless `allow_single`: other tables may have others.

    Raises
    ------
    DataError
        If a column cannot be a grouping factor, or there is only one level.
    """
    role = "grouping factor"
    parts = [column_levels(table, column_name, role=role) for column_name in columns]
    if len(parts) == 1:
        index, codes = parts[0][1], np.arange(len(parts[0][0]), dtype=np.intp)
    else:
        combined = _combined([len(levels) for levels, _ in parts], [index for _, index in parts])
        codes, index = np.unique(combined, return_inverse=True)
    learned = factor_levels(name, columns, tuple(levels for levels, _ in parts), codes)
    if len(codes) == 1 and not allow_single:
        raise DataError(
            f"the grouping factor {name!r} has the single level {learned.levels[0]!r}; a variance between groups "
            f"needs at least two. Leave the terms on {name!r} out of the formula."
        )
    return learned, index


def factor_levels(
    name: str, columns: tuple[str, ...], column_levels: tuple[tuple[Level, ...], ...], codes: NDArray[np.intp]
) -> FactorLevels:
    """Return the levels of a grouping factor from those of its columns and the combinations that occur.

    Raises
    ------
    DataError
        If two combinations have the same label.
    """
    levels = column_levels[0] if len(columns) == 1 else _joined(column_levels, codes)
    if len(columns) > 1 and len(set(levels)) < len(levels):
        raise DataError(
            f"the grouping factor {name!r} has levels that look the same when joined by ':' "
            f"(among {listed(levels)}); rename them."
        )
    return FactorLevels(name=name, columns=columns, column_levels=column_levels, codes=read_only(codes), levels=levels)


def unite_factors(*factors: FactorLevels) -> FactorLevels:
    """Return the levels that occur in any of the factors, in order.

    Columns of one kind are sorted; where the levels of all stand in another order already (categories), those of
    the first come first, and so on.
    """
    a = factors[0]
    if all(a.column_levels == b.column_levels and np.array_equal(a.codes, b.codes) for b in factors[1:]):
        return a
    united = [united_levels(*each) for each in zip(*(factor.column_levels for factor in factors), strict=True)]
    sizes = [len(levels) for levels in united]
    codes = [_recoded(factor, united, sizes) for factor in factors]
    return factor_levels(a.name, a.columns, tuple(united), np.unique(np.concatenate(codes)).astype(np.intp))


def with_column_levels(factor: FactorLevels, column_levels: Sequence[tuple[Level, ...]]) -> FactorLevels:
    """Return the same factor with the levels of its columns in another order."""
    if tuple(column_levels) == factor.column_levels:
        return factor
    codes = _recoded(factor, list(column_levels), [len(levels) for levels in column_levels])
    return factor_levels(factor.name, factor.columns, tuple(column_levels), np.sort(codes))


def united_levels(*parts: tuple[Level, ...]) -> tuple[Level, ...]:
    """Return the levels in any of the parts: sorted where all are, else those of the first and then the others."""
    import pandas as pd

    first = parts[0]
    if all(part == first for part in parts[1:]):
        return first
    if any(isinstance(level, float) for part in parts for level in part[:1]):  # as the column would be in one table
        parts = tuple(tuple(level if isinstance(level, str) else float(level) for level in part) for part in parts)
    arrays = [_as_array(part) for part in parts]
    both = pd.unique(np.concatenate(arrays))
    if all(map(is_sorted, arrays)) and (both.dtype != object or len({isinstance(one, str) for one in both}) == 1):
        return tuple(np.sort(both).tolist())
    return tuple(both.tolist())


def _as_array(levels: tuple[Level, ...]) -> NDArray[Any]:
    """Return whole numbers as such, which is faster, and all else as objects."""
    array = np.asarray(levels)
    return array if array.dtype == np.int64 else np.asarray(levels, dtype=object)


def is_sorted(levels: NDArray[Any]) -> bool:
    """Return whether levels increase; what cannot be compared, text and numbers, does not."""
    try:
        return bool(np.all(levels[1:] > levels[:-1]))
    except TypeError:
        return False


def _recoded(factor: FactorLevels, united: list[tuple[Level, ...]], sizes: list[int]) -> NDArray[np.intp]:
    places = [_places(old, new) for old, new in zip(factor.column_levels, united, strict=True)]
    parts = np.unravel_index(factor.codes, [len(levels) for levels in factor.column_levels])
    return _combined(sizes, [place[part] for place, part in zip(places, parts, strict=True)])


def _places(levels: tuple[Level, ...], among: tuple[Level, ...]) -> NDArray[np.intp]:
    import pandas as pd

    if levels == among:
        return np.arange(len(levels))
    return np.asarray(pd.Index(_as_array(among)).get_indexer(pd.Index(_as_array(levels))), dtype=np.intp)


def locate(factor: FactorLevels, table: nw.DataFrame[Any], *, allow_new: bool) -> NDArray[np.intp]:
    """Return the group of each row of a new table; -1 for a new level, where those are allowed.

    Raises
    ------
    DataError
        If a level is new and must not be.
    """
    places = [
        index_in(table, name, levels, role="grouping factor")[0]
        for name, levels in zip(factor.columns, factor.column_levels, strict=True)
    ]
    is_known = np.all([place >= 0 for place in places], axis=0)
    combined = _combined([len(levels) for levels in factor.column_levels], places)
    index = np.minimum(np.searchsorted(factor.codes, combined), len(factor.codes) - 1).astype(np.intp)
    index[~is_known | (factor.codes[index] != combined)] = -1
    if not allow_new and np.any(index < 0):
        rows = np.flatnonzero(index < 0)
        new = dict.fromkeys(":".join(str(table[name][int(row)]) for name in factor.columns) for row in rows[:1000])
        raise DataError(
            f"data has {counted(len(rows), 'row')} whose level of the grouping factor {factor.name!r} is new "
            f"({first_rows(index < 0)}: {listed(new)}). Allow new levels to predict for an average group, "
            "or leave the rows out."
        )
    return index


def _categories(series: nw.Series[Any]) -> tuple[Sequence[Any], NDArray[np.intp]] | None:
    """Return a categorical column's categories and codes, or None where a column has no order of its own."""
    import narwhals as nw
    import pandas as pd

    native = series.to_native()
    if isinstance(getattr(native, "dtype", None), pd.CategoricalDtype):
        return list(native.cat.categories), native.cat.codes.to_numpy().astype(np.intp)
    if series.dtype == nw.Enum:
        categories = list(series.dtype.categories)  # type: ignore[attr-defined]
    elif series.dtype == nw.Categorical and series.implementation.is_pyarrow():
        column = as_dictionary(native)
        categories = column.dictionary.to_pylist()
        if len(set(categories)) == len(categories) and not column.dictionary.null_count:
            return categories, column.indices.to_numpy(zero_copy_only=False).astype(np.intp)
    else:
        return None
    return categories, pd.Categorical(series.to_numpy(), categories=categories).codes.astype(np.intp)


def categories_of(series: nw.Series[Any]) -> tuple[Level, ...] | None:
    """Return all categories of a column in their order, or None where a column has no order of its own."""
    import narwhals as nw
    import pandas as pd

    native = series.to_native()
    if isinstance(getattr(native, "dtype", None), pd.CategoricalDtype):
        categories = list(native.cat.categories)
    elif series.dtype == nw.Enum:
        categories = list(series.dtype.categories)  # type: ignore[attr-defined]
    elif series.dtype == nw.Categorical and series.implementation.is_pyarrow():
        categories = native.unify_dictionaries().chunk(0).dictionary.to_pylist()
    else:
        return None
    return tuple(_plain(category) for category in categories)


def as_dictionary(column: Any) -> Any:
    """Return an Arrow column with a dictionary as one array."""
    column = column.unify_dictionaries().combine_chunks()
    return column.chunk(0) if hasattr(column, "chunk") else column


def _observed(categories: Sequence[Any], codes: NDArray[np.intp]) -> tuple[tuple[Level, ...], NDArray[np.intp]]:
    is_observed = np.zeros(len(categories), dtype=bool)
    is_observed[codes] = True
    return tuple(map(_plain, compress(categories, is_observed))), _among_observed(is_observed, codes)


def _among_observed(is_observed: NDArray[np.bool_], codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the place of each code among those that occur."""
    return codes if is_observed.all() else (np.cumsum(is_observed) - 1)[codes].astype(np.intp, copy=False)


def _arrow_text(series: nw.Series[Any]) -> Any:
    """Return a column of text as an Arrow array where it is one in memory, else None: text of Python, one by one."""
    import narwhals as nw

    native = series.to_native()
    if series.dtype != nw.String or (hasattr(native, "dtype") and isinstance(native.dtype, np.dtype)):
        return None
    return native if series.implementation.is_pyarrow() else series.to_arrow()


def _observed_text(column: Any) -> tuple[tuple[Level, ...], NDArray[np.intp]]:
    """Return the sorted levels of an Arrow column of text, and the level of each row, without an object per row."""
    import pyarrow.compute as pc

    encoded = column.dictionary_encode()
    if hasattr(encoded, "unify_dictionaries"):
        encoded = as_dictionary(encoded)
    order = pc.array_sort_indices(encoded.dictionary)
    place = np.empty(len(order), dtype=np.intp)
    place[order.to_numpy()] = np.arange(len(order))
    return tuple(encoded.dictionary.take(order).to_pylist()), place[encoded.indices.to_numpy(zero_copy_only=False)]


def _observed_numbers(labels: NDArray[Any], low: int, high: int) -> tuple[tuple[Level, ...], NDArray[np.intp]]:
    """Return the levels of whole numbers in a short range, and the level of each row, without hashing."""
    is_observed = np.zeros(high - low + 1, dtype=bool)
    # Of unsigned labels the differences are in range, of signed ones only in the widest type.
    wide = labels.astype(np.int64, copy=False) if labels.dtype.kind == "i" else labels
    position = (wide - wide.dtype.type(low)).astype(np.intp, copy=False)
    is_observed[position] = True
    return tuple(compress(range(low, high + 1), is_observed)), _among_observed(is_observed, position)


def _plain(category: Any) -> Level:
    """Return a category as text or a whole number (intervals, dates and the like as text)."""
    if type(category) is str:
        return category
    if isinstance(category, (int, np.integer)) and not isinstance(category, bool):
        return int(category)
    return str(category)


def _labels(series: nw.Series[Any], name: str, role: str, *, allow_fractions: bool) -> NDArray[Any]:
    if series.dtype.is_integer():
        return np.asarray(series.to_numpy())
    values = values_of(series, name, role=role)
    return _whole(values, name, role, allow_fractions=allow_fractions) if values.dtype == float else values


def _whole(values: NDArray[np.float64], name: str, role: str, *, allow_fractions: bool) -> NDArray[Any]:
    is_fraction = values != np.floor(values)
    if np.abs(values).max() >= _EXACT:
        raise DataError(
            f"data[{name!r}] ({role}) holds whole numbers stored as decimals, too large to be told "
            "apart; convert the column to text or to integers."
        )
    if not is_fraction.any():
        return values.astype(np.int64)
    if allow_fractions:
        return values
    raise DataError(
        f"data[{name!r}] ({role}) holds numbers with fractions (first at "
        f"{first_rows(is_fraction, values)}); levels are text or whole numbers. If these numbers are "
        "labels, convert the column to text; if it is numeric by accident, name the right column."
    )


def _combined(sizes: Sequence[int], indices: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    combined = indices[0]
    for size, index in zip(sizes[1:], indices[1:], strict=True):
        combined = combined * size + index
    return combined


def _joined(levels: Sequence[Sequence[Level]], codes: NDArray[np.intp]) -> tuple[str, ...]:
    places = np.unravel_index(codes, [len(part) for part in levels])
    columns = ([str(part[i]) for i in place] for part, place in zip(levels, places, strict=True))
    return tuple(":".join(labels) for labels in zip(*columns, strict=True))
