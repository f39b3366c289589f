"""The types of the columns of a scan, settled over all files before a row is used.

The table in memory has one type for a column, whatever its first file or first megabyte looks like; so has a scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, separator_hint, suggestion
from hierreg.design_matrices.levels import as_dictionary
from hierreg.exceptions import DataError
from hierreg.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from hierreg.gram.sources import Source

_CONVERT = "Convert the column to one type in all files."


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a column is used for.

    Attributes
    ----------
    role : str
        In words.
    is_label : bool
        Whether it is a label somewhere: no number may change when it is cast.
    is_only_label : bool
        Whether it is a label wherever it is used, whatever its type.
    is_group : bool
        Whether it is nothing but a column of a grouping factor.
    """

    role: str
    is_label: bool
    is_only_label: bool
    is_group: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Types:
    """What every file is read as.

    Attributes
    ----------
    arrow : mapping column -> pyarrow.DataType
    exact : frozenset of str
        Columns of labels.
    categories : mapping column -> pyarrow.Array
        Categories of the columns that have the same in all files.
    encoded : frozenset of str
        Columns of text that stay the dictionaries that they are read as (`sorted_text`).
    """

    arrow: Mapping[str, Any]
    exact: frozenset[str] = frozenset()
    categories: Mapping[str, Any] = field(default_factory=dict)
    encoded: frozenset[str] = frozenset()

    def cast(self, batch: Any, source: Source) -> Any:
        """Return a batch of a file in these types.

        Raises
        ------
        DataError
            If a label cannot be kept as it is.
        """
        import pyarrow as pa

        columns = [self._cast(batch.column(name), name, source) for name in self.arrow]
        return pa.RecordBatch.from_arrays(columns, names=list(self.arrow))

    def _cast(self, column: Any, name: str, source: Source) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        if column.type == self.arrow[name] and name not in self.categories:
            return column
        try:
            if name in self.encoded:
                return column.cast(pa.dictionary(pa.int32(), self.arrow[name]))
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            if name in self.categories:
                known = self.categories[name]
                codes = pc.index_in(column.cast(known.type), value_set=known, skip_nulls=True)
                return pa.DictionaryArray.from_arrays(codes, known)
            return pc.cast(column, self.arrow[name], safe=name in self.exact)
        except pa.ArrowException as error:
            raise DataError(
                f"{str(source.path)!r}: the column {name!r} has labels that change as {self.arrow[name]}, its type in "
                f"all files together ({' '.join(str(error).split())}). {_CONVERT}"
            ) from error


def settled_types(sources: Sequence[Source], columns: Mapping[str, Use], done: Callable[[int], None]) -> Types:
    """Return the type of each column in all files together.

    Parameters
    ----------
    sources : sequence of Source
        Of one kind. Text is read once, since nothing but its rows says what is in it.
    columns : mapping column -> Use
    done : callable
        Is told the number of rows that were read.

    Raises
    ------
    DataError
        If a file has no such column, a type cannot be used, or files differ such that values would not mean the same.
    """
    found: dict[str, list[tuple[Source, Any]]] = {name: [] for name in columns}
    only_labels = frozenset(name for name, use in columns.items() if use.is_only_label)
    each = in_order(lambda source: _types_of(source, columns, only_labels, done), sources)
    for source, types in zip(sources, each, strict=True):
        for name, kind in types.items():
            found[name].append((source, kind))
    arrow = {name: _united(name, pairs, columns[name]) for name, pairs in found.items()}
    categories = _categories(sources, arrow)
    for name in categories:
        if categories[name] is None:
            arrow[name] = arrow[name].value_type
    known = {name: values for name, values in categories.items() if values is not None}
    return Types(
        arrow=arrow,
        exact=frozenset(name for name, use in columns.items() if use.is_label),
        categories=known,
        encoded=frozenset(name for name, use in columns.items() if use.is_group and arrow[name] in _text())
        if sources[0].kind == "parquet"
        else frozenset(),
    )


def _text() -> tuple[Any, ...]:
    import pyarrow as pa

    return pa.string(), pa.large_string()


def sorted_text(table: Any, encoded: Collection[str]) -> Any:
    """Return an Arrow table whose encoded columns have one dictionary each, sorted: what their levels are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in encoded:
        column = as_dictionary(table[name])
        order = pc.array_sort_indices(column.dictionary)
        place = np.empty(len(order), dtype=np.int32)
        place[order.to_numpy()] = np.arange(len(order))
        codes = pa.array(place).take(column.indices)
        column = pa.DictionaryArray.from_arrays(codes, column.dictionary.take(order))
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def _types_of(
    source: Source, columns: Mapping[str, Use], only_labels: frozenset[str], done: Callable[[int], None]
) -> dict[str, Any]:
    """Return the types of the columns of one file; nothing of a file without rows."""
    schema = source.schema()
    _check_columns(source, schema.names, columns)
    types = {name: schema.field(name).type for name in columns}
    if source.kind == "csv":
        from hierreg.gram.text_types import types_of_text

        return types_of_text(source, types, only_labels, done)
    return {} if source.count_rows() == 0 else types


def _check_columns(source: Source, names: Sequence[str], columns: Mapping[str, Use]) -> None:
    for column, use in columns.items():
        n = list(names).count(column)
        if n == 0:
            raise DataError(
                f"{str(source.path)!r} has no column {column!r} ({use.role}).{suggestion(column, names)} Its columns "
                f"are {listed(names)}.{separator_hint(names)}"
            )
        if n > 1:
            raise DataError(f"{str(source.path)!r} has {n} columns called {column!r} ({use.role}). Rename them.")


def _united(name: str, found: Sequence[tuple[Source, Any]], use: Use) -> Any:
    """Return one type for what the files have."""
    import pyarrow as pa

    found = [(source, kind) for source, kind in found if not pa.types.is_null(kind)]
    if not found:
        return pa.null()
    kinds = list(dict.fromkeys(kind for _, kind in found))
    words: dict[str, tuple[Source, Any]] = {}
    for source, kind in found:
        words.setdefault(_words(name, source, kind), (source, kind))
    if len(words) > 1:
        if use.is_only_label and found[0][0].kind == "csv":
            return pa.string()  # text is all that such files have
        (one, (first, a)), (other, (second, b)), *_ = words.items()
        raise DataError(
            f"the column {name!r} holds {one} in {str(first.path)!r} ({a}) and {other} in {str(second.path)!r} ({b}), "
            f"which are not the same labels or values (3 and '3' differ). {_CONVERT}"
        )
    if len(kinds) == 1 and not (pa.types.is_decimal(kinds[0]) or pa.types.is_float16(kinds[0])):
        return pa.string() if pa.types.is_string_view(kinds[0]) else kinds[0]
    plain = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds]
    if "text" in words:
        return pa.large_string() if any(pa.types.is_large_string(kind) for kind in plain) else pa.string()
    if all(pa.types.is_integer(kind) for kind in plain) and (use.is_label or pa.uint64() not in plain):
        return pa.int64()
    return pa.float64()


def _words(name: str, source: Source, kind: Any) -> str:
    import pyarrow as pa

    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_ = pa.types
    if is_.is_integer(plain) or is_.is_floating(plain) or is_.is_decimal(plain):
        return "numbers"
    if is_.is_boolean(plain):
        return "truth values"
    if is_.is_string(plain) or is_.is_large_string(plain) or is_.is_string_view(plain):
        return "text"
    hint = " A text file must be UTF-8." if is_.is_binary(plain) and source.kind == "csv" else ""
    raise DataError(
        f"{str(source.path)!r}: the column {name!r} has type {kind}, which hierreg cannot use; convert it to numbers "
        f"(for example days since a date) or to text.{hint}"
    )


def _categories(sources: Sequence[Source], arrow: Mapping[str, Any]) -> dict[str, Any]:
    """Return the categories of columns that are stored with theirs; None where files have different ones."""
    import pyarrow as pa

    out: dict[str, Any] = {}
    for name in [name for name, kind in arrow.items() if pa.types.is_dictionary(kind)]:
        for source in sources:
            chunks = [batch.column(0) for batch in source.batches([name], 1 << 20)]
            if not chunks or not pa.types.is_dictionary(chunks[0].type):  # no rows, or none with a value
                continue
            own = pa.chunked_array(chunks).unify_dictionaries().chunk(0).dictionary
            out[name] = own if name not in out or own.equals(out[name]) else None
            if out[name] is None:
                break
    return out
