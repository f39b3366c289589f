"""Gram bases of Dask dataframes: each worker collects its partitions, and their statistics are added in a tree."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from hierreg.checks import check_choice, listed, suggestion
from hierreg.design_matrices.first_pass import Seen, needs_of
from hierreg.design_matrices.learned import LearnedState, restore
from hierreg.design_matrices.table import as_table
from hierreg.errors.structures import checked_structure
from hierreg.exceptions import DataError, ModelError
from hierreg.formula import parse_formula
from hierreg.gram.batches import checked_levels
from hierreg.gram.part import Part, columns_of, part_of, unite_parts, whole
from hierreg.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hierreg.errors.base import ErrorSpec
    from hierreg.gram.basis import Gram


def from_dask(
    ddf: Any,
    formula: str,
    errors: ErrorSpec | None = None,
    levels: Mapping[str, Sequence[Any]] | None = None,
    client: Any = None,
    collinear: str = "refuse",
) -> Gram:
    """Return the Gram basis of a Dask dataframe; see `Gram.from_dask`."""
    _check_dask(ddf)
    check_choice(collinear, ("refuse", "drop"), argument="collinear", error=ModelError)
    spec, errors, given = parse_formula(formula), checked_structure(errors, in_parts=True), checked_levels(levels)
    columns = columns_of(spec, errors)
    for column, role in columns.items():
        if column not in ddf.columns:
            raise DataError(
                f"ddf has no column {column!r} ({role}).{suggestion(column, list(ddf.columns))} Its columns are "
                f"{listed(ddf.columns)}."
            )
    ddf = ddf[list(columns)]
    needs = needs_of(spec, as_table(_first_rows(ddf, client)))
    seen = Seen.nothing(spec, needs, given)
    if seen.has_work:
        seen = _reduced(ddf, _see, (seen,), _unite_seen, client)
    learned = seen.learned()
    part = _reduced(ddf, _collect, (learned, errors), _unite_parts, client)
    return whole(part, learned, errors, collinear=collinear)


def _check_dask(ddf: Any) -> None:
    try:
        import dask.dataframe as dd
    except ImportError as error:
        raise ModelError(f"Gram.from_dask needs Dask ({error}): pip install 'hierreg[dask]'.") from None
    if not isinstance(ddf, dd.DataFrame):
        raise DataError(
            f"ddf has type {type(ddf).__name__}; a Dask dataframe is required, dask.dataframe.read_parquet(...)."
        )


def _computed(value: Any, client: Any) -> Any:
    future = None
    try:
        if client is None:
            return value.compute()
        future = client.compute(value)
        return future.result()
    except KeyboardInterrupt:
        if future is not None:
            future.cancel()
        raise KeyboardInterrupt(
            "interrupted while Dask collected: statistics of some partitions are not those of the table, and none are "
            "kept. Gram.scan with a checkpoint goes on where it was interrupted."
        ) from None


def _first_rows(ddf: Any, client: Any) -> Any:
    for partition in ddf.to_delayed():
        rows = _computed(_delayed(_head)(partition), client)
        if len(rows):
            return rows
    raise DataError("ddf has no rows; at least one is required.")


def _delayed(function: Callable[..., Any]) -> Any:
    from dask.delayed import delayed

    return delayed(function, pure=True)


def _head(table: Any) -> Any:
    return table.head(10_000)


def _reduced(
    ddf: Any, leaf: Callable[..., Any], arguments: tuple[Any, ...], unite: Callable[[Any, Any], Any], client: Any
) -> Any:
    """Return what the leaves of all partitions give together; the tree depends on their number alone."""
    nodes = [_delayed(leaf)(partition, *arguments) for partition in ddf.to_delayed()]
    while len(nodes) > 1:
        pairs = [_delayed(unite)(*nodes[i : i + 2]) for i in range(0, len(nodes) - 1, 2)]
        nodes = [*pairs, *nodes[2 * len(pairs) :]]
    return _computed(nodes[0], client)


def _see(table: Any, seen: Seen) -> Seen | None:
    if not len(table):
        return None
    mine = deepcopy(seen)  # threads share the one that was given
    with one_thread():
        mine.see(as_table(table))
    return mine


def _unite_seen(a: Seen | None, b: Seen | None) -> Seen | None:
    if a is None or b is None:
        return a or b
    # What a task was given is not changed: it may be needed again.
    out = deepcopy(a)
    out.unite(b)
    return out


def _collect(table: Any, learned: LearnedState, errors: ErrorSpec) -> Part | None:
    with one_thread():
        return part_of(restore(learned), errors, as_table(table)) if len(table) else None


def _unite_parts(a: Part | None, b: Part | None) -> Part | None:
    return a or b if a is None or b is None else unite_parts([a, b])
