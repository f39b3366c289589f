"""What nutpie calls for every draw that it keeps (numba)."""

from __future__ import annotations

import numpy as np
from numba import types

from hierreg.compiled.array_kernels import array_at
from hierreg.compiled.parts import callback


@callback(
    types.int64(
        types.uint64,
        types.uint64,
        types.CPointer(types.float64),
        types.CPointer(types.float64),
        types.voidptr,
    )
)
def copy_draw(n, n_out, x, out, table):  # noqa: ARG001
    """Copy a draw: what follows from it is computed afterwards, for all draws at once."""
    source, target = array_at(x, (n,), np.float64), array_at(out, (n,), np.float64)
    for i in range(n):
        target[i] = source[i]
    return 0
