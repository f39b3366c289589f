"""What nutpie calls for every draw that it keeps (numba)."""

from __future__ import annotations

from numba import carray, cfunc, types


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
