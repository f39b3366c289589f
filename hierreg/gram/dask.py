"""Gram bases of Dask dataframes: workers collect statistics of partitions, which are joined where they are asked for.

A worker holds statistics no longer than it takes to fetch them, so that losing it costs what it had not delivered. They
are joined in the order of the partitions, as a scan joins batches (`batches.Total`), so that no digit depends on which
worker is the fastest.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from hierreg.checks import check_choice, listed, suggestion
from hierreg.design_matrices.first_pass import Seen, needs_of
from hierreg.design_matrices.learned import LearnedState, restore
from hierreg.design_matrices.table import as_table
from hierreg.errors.structures import checked_structure
from hierreg.exceptions import DataError, ModelError
from hierreg.formula import parse_formula
from hierreg.gram.batches import Total, checked_levels
from hierreg.gram.part import Part, columns_of, part_of
from hierreg.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from hierreg.errors.base import ErrorSpec
    from hierreg.gram.basis import Gram

# Bytes of statistics of partitions that are held here, not yet joined (of 10^6 groups a partition has 50 MB), and how
# many are fetched at once.
_MOST_BYTES, _AT_ONCE = 2**28, 8


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
        seen = _folded(ddf, (_see, seen), _unite_seen, client)
    learned = seen.learned()
    total = _folded(ddf, (_collect, learned, errors), _with_part, client)
    return (total or Total()).finish(learned, errors, collinear=collinear)


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
    with _said_if_interrupted():
        return value.compute() if client is None else client.compute(value).result()


@contextmanager
def _said_if_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
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


def _folded(ddf: Any, leaf: tuple[Any, ...], fold: Callable[[Any, Any], Any], client: Any) -> Any:
    """Return fold(... fold(fold(None, first), second) ..., last) of what a leaf gives of each partition.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
    leaf : tuple of a function and its further arguments
    fold : callable
    client : distributed.Client or None
        Where there is one, workers have leaves and the fold is done here; else all is Dask's.
    """
    from dask.base import tokenize

    function, *arguments = leaf
    # Of tasks that are alike Dask does those first whose name comes last.
    name = f"{function.__name__.strip('_')}-{tokenize(ddf, *arguments)}"
    partitions = ddf.to_delayed()
    leaves = [
        _delayed(function)(partition, *arguments, dask_key_name=f"{name}-{len(partitions) - i:08d}")
        for i, partition in enumerate(partitions)
    ]
    client = _client_of(client)
    if client is not None:
        with _said_if_interrupted():
            return _gathered(client, leaves, fold)
    state = None
    for one in leaves:
        state = _delayed(fold)(state, one)
    return _computed(state, None)


def _client_of(client: Any) -> Any:
    """Return the client that Dask would use, or None where it uses none."""
    if client is not None:
        return client
    from dask import base

    untyped: Any = base
    owner = getattr(untyped.get_scheduler(), "__self__", None)
    return owner if hasattr(owner, "gather") else None


def _gathered(client: Any, leaves: list[Any], fold: Callable[[Any, Any], Any]) -> Any:
    """Do what `_folded` does, with leaves on workers: all at once, so that what they share is worked out once."""
    import distributed

    untyped: Any = distributed
    futures = client.compute(leaves)
    place = {future.key: i for i, future in enumerate(futures)}
    state: list[Any] = [None]

    def take(result: Any) -> None:
        state[0] = fold(state[0], result)

    with ThreadPoolExecutor(max_workers=1) as pool:
        folds = _InOrder(lambda result: pool.submit(take, result))
        try:
            done: list[int] = []
            for batch in untyped.as_completed(futures).batches():
                for future in batch:
                    heappush(done, place[future.key])
                while some := folds.wanted(done):
                    for i, result in zip(some, client.gather([futures[i] for i in some]), strict=True):
                        futures[i].release()
                        folds.put(i, result)
            folds.finish()
        finally:
            client.cancel(futures)
    return state[0]


class _InOrder:
    """Work on results that come in any order, which begins in theirs.

    While those whose work has not been done take `_MOST_BYTES`, only the next in order is taken.
    """

    def __init__(self, begin: Callable[[Any], Future[None]]) -> None:
        self._begin, self._next, self._bytes, self._largest = begin, 0, 0, 1
        self._early: dict[int, Any] = {}
        self._begun: deque[tuple[Future[None], int]] = deque()

    def wanted(self, done: list[int]) -> list[int]:
        """Take from a heap of the places of results that can be had those that may be put now."""
        while self._begun and (self._begun[0][0].done() or self._bytes >= _MOST_BYTES):
            work, size = self._begun.popleft()
            work.result()
            self._bytes -= size
        most = min((_MOST_BYTES - self._bytes) // self._largest, _AT_ONCE)
        if most < 1:
            most = int(bool(done) and done[0] == self._next)
        return [heappop(done) for _ in range(min(most, len(done)))]

    def put(self, place: int, result: Any) -> None:
        """Take a result."""
        self._early[place] = result
        self._bytes += _size(result)
        self._largest = max(self._largest, _size(result))
        while self._next in self._early:
            mine = self._early.pop(self._next)
            self._begun.append((self._begin(mine), _size(mine)))
            self._next += 1

    def finish(self) -> None:
        """Wait until all work is done."""
        for work, _ in self._begun:
            work.result()


def _size(result: Any) -> int:
    return result.size if isinstance(result, Part) else 0


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


def _with_part(total: Total | None, part: Part | None) -> Total | None:
    if part is None:
        return total
    out = Total(parts=[] if total is None else list(total.parts))
    out.add(part)
    return out
