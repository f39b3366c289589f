"""Records: the arrays that a compiled function reads, by name, on both sides of its table of addresses.

A record is a named tuple whose annotations say what each field is: a `Count`, a `Number`, an array of `Floats`,
`Integers` or `Flags`, or a record of its own. Python fills it in and makes an `addresses.AddressTable` of it, which has
a row for each field, in their order. Compiled functions find the row of a field by its name too, in `rows_of` of the
same record: numbers that are constants for them. They say its type once more where they read it
(``vector_at(table, rows.gaps, np.int64)``), which a test compares with the annotation.

A new field stands in the record, where Python fills the record in, and in the function that reads it: those of
`variances.record` in `variances.kernels`, of `likelihood.groups` in its ``record_kernels``, the others in the entries.
Kernels unpack what is read, and what some classes list as ``arrays``, in the order of the record.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

# Whole numbers stand in the table itself, others in an array of one.
type Count = int | np.integer[Any]
Number = Annotated[float, np.float64]
Floats = Annotated[NDArray[Any], np.float64]
Integers = Annotated[NDArray[Any], np.int64]
Flags = Annotated[NDArray[Any], np.bool_]


def rows_of[R: tuple[Any, ...]](record: type[R], first: int = 0) -> R:
    """Return the record whose fields are their rows in a table; those of records within it follow each other."""
    rows: list[Any] = []
    at = first
    for kind in _kinds(record).values():
        within = rows_of(kind, at) if _is_record(kind) else at
        rows.append(within)
        at += n_rows(kind) if _is_record(kind) else 1
    return cast("R", cast("Any", record)(*rows))


def n_rows(record: type[tuple[Any, ...]]) -> int:
    """Return how many rows the table of a record has."""
    return sum(n_rows(kind) if _is_record(kind) else 1 for kind in _kinds(record).values())


def values_of(record: tuple[Any, ...]) -> Iterator[NDArray[Any] | int]:
    """Yield what a record is filled with, a row each: arrays of the fields' types in C order, and whole numbers."""
    for kind, value in zip(_kinds(type(record)).values(), record, strict=True):
        if _is_record(kind):
            yield from values_of(value)
        elif hasattr(kind, "__metadata__"):
            yield np.ascontiguousarray(value, dtype=kind.__metadata__[0])
        else:
            yield int(value)


@cache
def _kinds(record: type[tuple[Any, ...]]) -> dict[str, Any]:
    """Return what the fields of a record are, by their names."""
    return get_type_hints(record, include_extras=True)


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple)
