"""The likelihood of any other groups of one factor, as a C function (see `kernels`)."""

from __future__ import annotations

from hierreg.compiled.address_kernels import LIKELIHOOD, rows_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.groups.kernels import log_likelihood_of
from hierreg.likelihood.groups.record import N_TILE_ROWS, TILE_ROWS
from hierreg.likelihood.groups.record_kernels import tiles_at


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, first, second, value, wanted):
    """Write the log likelihood and what else is wanted; see `kernels.log_likelihood_of`."""
    rows = rows_at(table, N_TILE_ROWS)
    kinds = (None, None, tiles_at(rows, TILE_ROWS.one), tiles_at(rows, TILE_ROWS.many), None)
    log_likelihood_of(rows, kinds, Lambda, weights, first, second, value, wanted)
    return 0
