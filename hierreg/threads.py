"""Work on several threads whose results do not depend on how many there are. numba and NumPy release Python's lock."""

from __future__ import annotations

import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future


# Whether this thread is one of several at work already.
_IS_ALONE: ContextVar[bool] = ContextVar("_IS_ALONE", default=False)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    # Only Linux knows.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order[Item, Result](
    function: Callable[[Item], Result], items: Iterable[Item], *, most: int | None = None
) -> Generator[Result]:
    """Yield what a function returns of each item, in their order, on as many threads as there are cores, or `most`.

    Items are taken as they are needed: there are never more results and items than threads, and one, before the
    first is taken. An error is raised where its result would have been. Within such work no more threads are started:
    a single item is worked on here, with threads of its own. Who may stop before the end closes it: it then waits for
    what has begun.
    """
    threads = 1 if _IS_ALONE.get() else min(available_cores(), most or sys.maxsize)
    rest = iter(items)
    begin = list(islice(rest, 1 if threads == 1 else 2))
    items = chain(begin, rest)
    if len(begin) < 2:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max_workers=threads, initializer=_IS_ALONE.set, initargs=(True,)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


@contextmanager
def one_thread() -> Iterator[None]:
    """Start no threads within: the caller has a process or a thread for each core."""
    before = _IS_ALONE.set(True)
    try:
        yield
    finally:
        _IS_ALONE.reset(before)


def chunks_of(n: int, rows: int) -> list[slice]:
    """Return slices of n rows, so many at a time: part of what a sum is, so never a function of the machine."""
    return [slice(first, min(n, first + rows)) for first in range(0, n, rows)]
