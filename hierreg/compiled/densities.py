"""Compiled log densities as functions of Python: of one point with the gradient, of many without, on threads."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled.addresses import finished

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hierreg.compiled.addresses import AddressTable

    Array = NDArray[np.float64]

# Parts of a batch per thread: enough that a thread that is held up does not keep the others waiting.
_PARTS = 4


def as_function(address: int) -> Any:
    """Return a compiled function of (n, x, gradient, value, table) as one of Python, which lets other threads run."""
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)(address)


def value_and_gradient(function: Any, x: Array, n: int, table: AddressTable) -> tuple[float, Array]:
    """Return the log density at x (n,) and its gradient (n,), for any number of threads.

    Raises
    ------
    ValueError
        If x has another shape.
    MemoryError
    """
    _check(x, n)
    gradient, value = np.zeros(n), np.full(1, np.nan)
    function(n, *(array.ctypes.data for array in (x, gradient, value)), table.address)
    return finished(float(value[0])), gradient


def evaluator(function: Any, n: int, table: AddressTable) -> Callable[[Array], tuple[float, Array]]:
    """Return the same as a function with room of its own, for one thread at a time."""
    x, gradient, value = np.empty(n), np.empty(n), np.empty(1)
    call = partial(function, n, *(array.ctypes.data for array in (x, gradient, value)), table.address)

    # The function keeps the table, which keeps all that it points to.
    def evaluate(point: Array, _table: AddressTable = table) -> tuple[float, Array]:
        _check(point, n)
        x[:], value[0] = point, np.nan
        call()
        return finished(float(value[0])), gradient.copy()

    return evaluate


def values(  # a function with all that it reads
    function: Any,
    points: Array,
    n: int,
    table_of: Callable[[int], AddressTable],
    threads: int,
    after: Callable[[int], None] | None = None,
) -> Array:
    """Return the log densities (k,) of points (k, n), without gradients.

    Parameters
    ----------
    function : function
        From `as_function`.
    points : array (k, n)
    n : int
    table_of : function
        Number of points -> the table for so many in one call.
    threads : int
        Each value is found by itself, so that the number of threads changes none.
    after : callable, optional
        Called with the number of a point when its density is known, by the thread that found it, which still has what
        the likelihood left in its room.

    Raises
    ------
    ValueError
        If the points have another shape.
    MemoryError
    """
    points = np.ascontiguousarray(points, dtype=float)
    if points.shape[1:] != (n,):
        raise ValueError(f"points have shape {points.shape}; there are {n} parameters")
    out = np.full(len(points), np.nan)

    def fill(part: slice) -> None:
        step = len(points[part]) if after is None else 1
        table = table_of(step)
        for first in range(part.start, part.stop, max(step, 1)):
            function(n, points[first:].ctypes.data, None, out[first:].ctypes.data, table.address)
            if after is not None and out[first] > -np.inf:
                after(first)

    edges = np.linspace(0, len(points), max(1, min(threads * _PARTS, len(points))) + 1).astype(int)
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        list(pool.map(fill, map(slice, edges[:-1], edges[1:])))
    if np.isnan(out).any():
        finished(np.nan)
    return out


def _check(x: Array, n: int) -> None:
    if np.shape(x) != (n,):
        raise ValueError(f"the point has shape {np.shape(x)}; there are {n} parameters")
