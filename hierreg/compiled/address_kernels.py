"""Tables of addresses: how compiled functions that only know numbers find the arrays that they read (numba).

A table has a row for each array, its address and up to four extents; whole numbers have rows too (`addresses`). A row
is found by the name of what it holds (`records`). Two functions that are called by their address are compiled each for
itself, where numba would compile the inner one once more with every function that calls it: the log posterior is
compiled once for each kind of errors (`posterior_entry` and two with less to compile), the likelihood of each kind of
groups (`theta_entry`, `strip_entry` and others, `crossed.entry`) once for all that calls it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from hierreg.compiled.array_kernels import array_at
from hierreg.compiled.parts import part

VALUE, GRADIENT, MOMENTS = 0, 1, 2

# Columns of a table.
WIDTH = 5

# Likelihoods take the addresses of their table, of Lambda, of the weights of the terms (`precision_kernels`), of two
# results and the value, and what is wanted beside the value: nothing; the gradient with respect to Lambda and omega; or
# (with one grouping factor) the conditional mean of beta and a factor of its covariance, internal scale, at one point,
# or with MOMENTS + n at n more, whose arrays follow. A C function that fails for want of memory returns as if nothing
# had happened; who calls it writes NaN to the value before, which no likelihood does.
LIKELIHOOD = types.int64(*[types.int64] * 7)
# Log densities take the number of parameters, points, where gradients and values are written, and their table, as
# nutpie hands them over.
LOG_DENSITIES = types.int64(
    types.uint64,
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.voidptr,
)


@intrinsic
def call_likelihood(
    typing_context: Any,  # noqa: ARG001
    function: Any,
    table: Any,
    Lambda: Any,
    weights: Any,
    first: Any,
    second: Any,
    value: Any,
    wanted: Any,
) -> Any:
    """Call the likelihood at an address; the arrays are handed over as addresses."""
    for one in (Lambda, weights, first, second, value):
        if not (isinstance(one, types.Array) and one.dtype == types.float64 and one.layout == "C"):
            raise TypingError(f"{one} is no array of float64 in C order")
    signature = types.int64(function, table, Lambda, weights, first, second, value, wanted)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(64)
        address, own_table, *arrays, wanted = arguments
        kind = ir.FunctionType(integer, [integer] * 7)
        # Arrays that are arguments live until the call returns.
        places = [
            builder.ptrtoint(context.make_array(one)(context, builder, array).data, integer)
            for one, array in zip(signature.args[2:7], arrays, strict=True)
        ]
        return builder.call(builder.inttoptr(address, kind.as_pointer()), [own_table, *places, wanted])

    return signature, generate


@part
def rows_at(address, n):
    """Return the first n rows of the table at an address."""
    return array_at(address, (n, WIDTH), np.int64)


@part
def vector_at(table, i, dtype):
    """Return the one-dimensional array of row i."""
    return array_at(table[i, 0], (table[i, 1],), dtype)


@part
def matrix_at(table, i, dtype):
    """Return the two-dimensional array of row i."""
    return array_at(table[i, 0], (table[i, 1], table[i, 2]), dtype)


@part
def stack_at(table, i):
    """Return the three-dimensional array of float64 of row i."""
    a = table[i]
    return array_at(a[0], (a[1], a[2], a[3]), np.float64)


@part
def vector_of(address, n):
    """Return the n numbers at an address."""
    return array_at(address, (n,), np.float64)


@part
def square_of(address, n):
    """Return the n x n matrix at an address."""
    return array_at(address, (n, n), np.float64)


@part
def tensor_at(table, i):
    """Return the four-dimensional array of float64 of row i."""
    a = table[i]
    return array_at(a[0], (a[1], a[2], a[3], a[4]), np.float64)
