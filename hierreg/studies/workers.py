"""Numbered work over processes: whatever is finished is kept, and what a lost process had is done again.

Processes are started anew (*spawned*), not forked: a copy of a process whose threads hold locks may wait for ever.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import batched
from typing import TYPE_CHECKING, Any

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    type Work[T] = Callable[[Any, list[int]], list[T]]

# Batches for each process: small enough that little is lost and all end together.
_BATCHES = 25
_MOST = 8
# Times that processes may be lost with nothing finished between.
_LOSSES = 3


def results_of[T](work: Work[T], shared: Any, numbers: list[int], *, cores: int, client: Any) -> Iterator[T]:
    """Return the results of numbered work as they come, in whatever order.

    Parameters
    ----------
    work : function
        (shared, numbers) -> results, defined in a module.
    shared : object
        What all of it needs; sent to each process once.
    numbers : list of int
    cores : int
        Processes; with one the work is done in this one.
    client : distributed.Client or None
        On whose workers it is done instead.

    Raises
    ------
    ModelError
        If processes are lost again and again, or `shared` cannot be sent to them.
    """
    if not numbers:
        return iter(())
    if client is not None:
        return _on_cluster(work, shared, numbers, client)
    if cores == 1 or len(numbers) == 1:
        return (result for number in numbers for result in work(shared, [number]))
    if multiprocessing.parent_process() is not None and multiprocessing.current_process().daemon:
        raise ModelError(f"cores={cores} in a process that may not start others: use cores=1.")
    return _in_processes(work, sent(shared), numbers, cores)


def sent(shared: Any) -> bytes:
    """Return an object as it travels to processes of this program.

    Raises
    ------
    ModelError
        If it holds a function that other processes cannot find.
    """
    try:
        return pickle.dumps(shared)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ModelError(
            f"other processes cannot be sent what they need ({error}): define functions in a module, not inside "
            "another function or as lambda, or use cores=1."
        ) from error


# Of a process that was started for it: what it was sent, once.
_shared: list[Any] = []


def _begin(shared: bytes) -> None:
    """Prepare a process: Ctrl-C is for the one that the user sees, and processes are what runs side by side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _shared.append(pickle.loads(shared))  # noqa: S301  # bytes of this program's own memory, never of a file
    # Only libraries that are loaded can be limited; kernels use SciPy's.
    import scipy.linalg.blas  # noqa: F401
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")


def _do[T](work: Work[T], numbers: list[int]) -> list[T]:
    return work(_shared[-1], numbers)


def _in_processes[T](work: Work[T], shared: bytes, numbers: list[int], cores: int) -> Iterator[T]:
    left, losses = list(numbers), 0
    while left:
        size = min(_MOST, max(1, len(left) // (cores * _BATCHES)))
        before = len(left)
        with _pool(shared, min(cores, len(left))) as pool:
            batches = {pool.submit(_do, work, list(some)): some for some in batched(left, size)}
            finished: set[int] = set()
            try:
                for some, results in _as_finished(batches):
                    finished.update(some)
                    yield from results
            except BrokenProcessPool:
                losses = losses + 1 if not finished else 0
            except BaseException:
                _stop(pool)
                raise
            left = [number for number in left if number not in finished]
        if losses >= _LOSSES and len(left) == before:
            raise ModelError(
                f"processes were lost {losses} times before any of them finished: either memory is short (fewer "
                'cores), or the script starts work when it is imported (put it below `if __name__ == "__main__":`). '
                "cores=1 works without processes."
            )


def _pool(shared: bytes, cores: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(cores, mp_context=context, initializer=_begin, initargs=(shared,))


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool without waiting for what they are at."""
    processes = list((pool._processes or {}).values())  # noqa: SLF001  # no other way before Python 3.14
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


def _as_finished[T](batches: dict[Future[list[T]], tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], list[T]]]:
    """Return numbers and results of batches as they come; those of a lost process raise once others are handed on."""
    waiting = set(batches)
    lost: BrokenProcessPool | None = None
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for one in done:
            try:
                results = one.result()
            except BrokenProcessPool as error:
                lost = error
                continue
            yield batches[one], results
    if lost is not None:
        raise lost


def _on_cluster[T](work: Work[T], shared: Any, numbers: list[int], client: Any) -> Iterator[T]:
    from distributed import as_completed

    everywhere = client.scatter(shared, broadcast=True)
    size = min(_MOST, max(1, len(numbers) // (_BATCHES * max(1, len(client.scheduler_info()["workers"])))))
    futures = [client.submit(work, everywhere, list(some), pure=False) for some in batched(numbers, size)]
    try:
        for _, results in as_completed(futures, with_results=True):  # type: ignore[no-untyped-call]
            yield from results
    except BaseException:
        client.cancel(futures)
        raise
