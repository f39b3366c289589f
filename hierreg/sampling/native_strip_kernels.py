"""The log density as a C function for groups of one or two coefficients that all stand alone (see `strip_kernels`)."""

from __future__ import annotations

from numba import carray, cfunc, types

from hierreg.sampling.native_kernels import FIRST_BLOCKS, LOG_DENSITY, WIDTH, Row, blocks_at, density_at


@cfunc(LOG_DENSITY, cache=True)
def log_density(n, x, gradient, value, table):
    """Write value and gradient at x; see `native_kernels.density_at`."""
    rows = carray(table, (FIRST_BLOCKS + 5, WIDTH), types.int64)
    kinds = (blocks_at(rows, Row(FIRST_BLOCKS)), None, None)
    return density_at(n, x, gradient, value, rows, kinds)
