"""The likelihood of groups of several error terms, and of linked ones, as a C function (see `row_kernels`)."""

from __future__ import annotations

from hierreg.compiled.address_kernels import LIKELIHOOD, rows_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.groups.kernels import log_likelihood_of
from hierreg.likelihood.groups.record import N_ROW_ROWS, ROW_ROWS
from hierreg.likelihood.groups.record_kernels import row_tiles_at, tiles_at


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, first, second, value, wanted):
    """Write the log likelihood and what else is wanted; see `kernels.log_likelihood_of`."""
    rows = rows_at(table, N_ROW_ROWS)
    kinds = (None, None, tiles_at(rows, ROW_ROWS.one), None, row_tiles_at(rows, ROW_ROWS.rows))
    log_likelihood_of(rows, kinds, Lambda, weights, first, second, value, wanted)
    return 0
