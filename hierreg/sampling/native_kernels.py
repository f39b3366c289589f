"""The log density as a C function that nutpie can call from its own threads, without the interpreter (numba).

The arrays that the density needs are handed over as one table of addresses and shapes. The functions themselves are
in `native_strip_kernels` and `native_tile_kernels`, by the layout of the groups.
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
# Its rows before those of the blocks, five for each kind. After a change of their order, drop compiled kernels: numba
# does not compile the functions of the other two files again.
FIRST_BLOCKS = 23
# Row numbers have this type: what is called with a constant is compiled for it once more.
Row = np.int64

LOG_DENSITY = types.int64(
    types.uint64,
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.voidptr,
)


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
def blocks_at(table, i):
    """Return the five arrays of `tiles.Tiles.arrays` from row i on."""
    a, b = table[i + 2], table[i + 3]
    return (
        _vector(table, i, np.int64),
        _vector(table, i + 1, np.int64),
        carray(_pointer_to(a[0]), (a[1], a[2], a[3], a[4]), np.float64),
        carray(_pointer_to(b[0]), (b[1], b[2], b[3], b[4]), np.float64),
        _matrix(table, i + 4, np.float64),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _variances(table):
    return (
        table[2, 0],
        _vector(table, Row(3), np.int64),
        _vector(table, Row(4), np.int64),
        _matrix(table, Row(5), np.float64),
        _vector(table, Row(6), np.bool_),
        _vector(table, Row(7), np.float64),
        _matrix(table, Row(8), np.float64),
        (
            _vector(table, Row(15), np.int64),
            _vector(table, Row(16), np.int64),
            _vector(table, Row(17), np.float64),
            _vector(table, Row(18), np.int64),
            _vector(table, Row(19), np.float64),
            _vector(table, Row(20), np.bool_),
            _vector(table, Row(21), np.float64),
            _vector(table, Row(22), np.float64),
        ),
    )


# Inlined: as a function of its own it would take a third of the compilation once more.
@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def density_at(n, x, gradient, value, table, kinds):
    """Write value and gradient at x, u = centre + scale x; return 0, or 4 where the density is not finite."""
    centre, scale = _vector(table, Row(0), np.float64), _matrix(table, Row(1), np.float64)
    w = table[10]
    WtW = carray(_pointer_to(w[0]), (w[1], w[2], w[3]), np.float64)
    yes = table[2, 1] == 1
    likelihood = (
        _matrix(table, Row(9), np.float64),
        (WtW, kinds),
        (_matrix(table, Row(11), np.bool_), _vector(table, Row(12), np.float64)),
        _matrix(table, Row(13), np.float64),
        _vector(table, Row(14), np.float64)[0],
        # Not the constant True, whose type is its value: the kernels would be compiled for it once more.
        yes,
    )
    at, slope = carray(x, (n,)), carray(gradient, (n,))
    u, g = np.empty(n), np.empty(n)
    for i in range(n):
        u[i] = centre[i]
        for j in range(n):
            u[i] += scale[i, j] * at[j]
    result = log_posterior(u, _variances(table), likelihood, yes, not yes, g)
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
