"""What the columns of a text file hold: a file of text says it of no column, so that all rows are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hierreg.gram.sources import Source

_ROWS = 1 << 17


def types_of_text(
    source: Source, guessed: Mapping[str, Any], labels: frozenset[str], done: Callable[[int], None]
) -> dict[str, Any]:
    """Return the types of columns: whole numbers, numbers, truth values, or text as it stands in the file.

    Parameters
    ----------
    source : Source
    guessed : mapping column -> pyarrow.DataType
        What the first rows suggest.
    labels : frozenset of str
        Columns that are labels wherever they are used.
    done : callable
        Is told the number of rows that were read.

    Raises
    ------
    DataError
        If numbers and text are mixed in a column that is no label, or the file cannot be read.
    """
    import pyarrow as pa

    types = {name: _kept(kind) for name, kind in guessed.items()}
    filled: set[str] = set()
    try:
        for batch in source.batches(list(types), _ROWS, types):
            filled |= _filled(batch)
            done(len(batch))
        fits = pa.int64() not in types.values() or not source.has_hexadecimal()
    except DataError:
        fits = False  # a value, or the file cannot be read at all, which is said again
    if not fits:
        types, filled = _looked_at(source, types, labels)
    return {name: kind if name in filled else pa.null() for name, kind in types.items()}


def _filled(batch: Any) -> set[str]:
    """Return the columns in which some value is not missing."""
    return {name for name in batch.schema.names if batch.column(name).null_count < len(batch)}


def _kept(kind: Any) -> Any:
    """Return the narrowest type to try; dates are text, as pandas and polars read them."""
    import pyarrow as pa

    if pa.types.is_null(kind):
        return pa.int64()
    return kind if kind in (pa.int64(), pa.float64(), pa.bool_(), pa.binary()) else pa.string()


def _looked_at(source: Source, guessed: Mapping[str, Any], labels: frozenset[str]) -> tuple[dict[str, Any], set[str]]:
    """Return the types of columns from all values, read as text, and the columns that have any."""
    import pyarrow as pa

    types, filled, row = dict(guessed), set[str](), 0
    for batch in source.batches(list(types), _ROWS, dict.fromkeys(types, pa.string())):
        filled |= _filled(batch)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            while (bad := _first_unfit(column, types[name])) is not None:
                wider = pa.float64() if types[name] == pa.int64() else pa.string()
                if wider == pa.string() and name not in labels:
                    _refuse(source, name, types[name], row + bad, column[bad].as_py())
                types[name] = wider
        row += len(batch)
    return types, filled


def _first_unfit(column: Any, kind: Any) -> int | None:
    """Return the first row whose text is no value of a type, or None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind in (pa.string(), pa.binary()):
        return None
    if kind == pa.bool_():
        is_fit = pc.is_in(column, value_set=pa.array(["true", "TRUE", "True", "false", "FALSE", "False"]))
        unfit = pc.and_(pc.is_valid(column), pc.invert(is_fit))
        place = pc.index(unfit, value=True).as_py()
        return None if place < 0 else place
    column = pc.utf8_trim_whitespace(column)
    if kind == pa.int64() and (place := pc.index(pc.starts_with(column, "0x", ignore_case=True), True).as_py()) >= 0:
        return int(place)
    if _is_castable(column, kind):
        return None
    low, high = 0, len(column)  # the first value that does not fit is in column[low:high]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_castable(column.slice(low, middle - low), kind) else (low, middle)
    return low


def _is_castable(column: Any, kind: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.cast(column, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _refuse(source: Source, name: str, kind: Any, row: int, value: str) -> None:
    import pyarrow as pa

    words = "truth values" if kind == pa.bool_() else "numbers"
    raise DataError(
        f"{str(source.path)!r}: the column {name!r} holds {words} in its first rows and {value!r} in row {row} (the "
        f"first is 0). A column is one or the other throughout: correct the value, leave it empty if it is missing, or "
        f"write C({name}) in the formula if all values are labels."
    )
