"""The log density as a C function that nutpie can call from its own threads, without the interpreter (numba).

The arrays that the density needs are handed over as one table of addresses and shapes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from hierreg.marginal.target_kernels import log_posterior

# Columns of the table: address, then up to four extents.
WIDTH = 5


@intrinsic
def _pointer_to(typing_context: Any, address: Any) -> Any:  # noqa: ARG001  # the signature numba asks for
    """Return the pointer with the given address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@njit(cache=True, nogil=True, error_model="numpy")
def _vector(table, i, dtype):
    return carray(_pointer_to(table[i, 0]), (table[i, 1],), dtype)


@njit(cache=True, nogil=True, error_model="numpy")
def _matrix(table, i, dtype):
    return carray(_pointer_to(table[i, 0]), (table[i, 1], table[i, 2]), dtype)


@njit(cache=True, nogil=True, error_model="numpy")
def _blocks(table, i):
    a, b = table[i + 2], table[i + 3]
    return (
        _vector(table, i, np.int64),
        _vector(table, i + 1, np.int64),
        carray(_pointer_to(a[0]), (a[1], a[2], a[3], a[4]), np.float64),
        carray(_pointer_to(b[0]), (b[1], b[2], b[3], b[4]), np.float64),
        _matrix(table, i + 4, np.float64),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _arguments(table):
    """Return the arguments of the density between u and the gradient, from the table of addresses."""
    variances = (
        table[2, 0],
        _vector(table, 3, np.int64),
        _vector(table, 4, np.int64),
        _matrix(table, 5, np.float64),
        _vector(table, 6, np.bool_),
        _vector(table, 7, np.float64),
        _matrix(table, 8, np.float64),
        (
            _vector(table, 25, np.int64),
            _vector(table, 26, np.int64),
            _vector(table, 27, np.float64),
            _vector(table, 28, np.int64),
            _vector(table, 29, np.float64),
            _vector(table, 30, np.bool_),
            _vector(table, 31, np.float64),
            _vector(table, 32, np.float64),
        ),
    )
    w = table[10]
    WtW = carray(_pointer_to(w[0]), (w[1], w[2], w[3]), np.float64)
    likelihood = (
        _matrix(table, 9, np.float64),
        (WtW, (_blocks(table, np.int64(11)), _blocks(table, np.int64(16)))),
        (_matrix(table, 21, np.bool_), _vector(table, 22, np.float64)),
        _matrix(table, 23, np.float64),
        _vector(table, 24, np.float64)[0],
        # Not the constant True, whose type is its value: the kernels would be compiled for it once more.
        table[2, 1] == 1,
    )
    return variances, likelihood


@cfunc(
    types.int64(
        types.uint64,
        types.CPointer(types.float64),
        types.CPointer(types.float64),
        types.CPointer(types.float64),
        types.voidptr,
    ),
    cache=True,
)
def log_density(n, x, gradient, value, table):
    """Write value and gradient at x, u = centre + scale x; return 0, or 4 where the density is not finite."""
    rows = carray(table, (33, WIDTH), np.int64)
    centre, scale = _vector(rows, 0, np.float64), _matrix(rows, 1, np.float64)
    variances, likelihood = _arguments(rows)
    at, slope = carray(x, (n,)), carray(gradient, (n,))
    u, g = np.empty(n), np.empty(n)
    for i in range(n):
        u[i] = centre[i]
        for j in range(n):
            u[i] += scale[i, j] * at[j]
    yes = rows[2, 1] == 1
    result = log_posterior(u, variances, likelihood, yes, not yes, g)
    for j in range(n):
        slope[j] = 0.0
        for i in range(n):
            slope[j] += scale[i, j] * g[i]
    carray(value, (1,))[0] = result
    return 0 if np.isfinite(result) else 4


@cfunc(
    types.int64(
        types.uint64,
        types.uint64,
        types.CPointer(types.float64),
        types.CPointer(types.float64),
        types.voidptr,
    ),
    cache=True,
)
def copy_draw(n, n_out, x, out, table):  # noqa: ARG001
    """Copy a draw: what follows from it is computed afterwards, for all draws at once."""
    source, target = carray(x, (n,)), carray(out, (n,))
    for i in range(n):
        target[i] = source[i]
    return 0
