"""The likelihood of groups of one or two coefficients that all stand alone, as a C function (see `strip_kernels`)."""

from __future__ import annotations

from hierreg.compiled.address_kernels import LIKELIHOOD, rows_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.groups.kernels import log_likelihood_of
from hierreg.likelihood.groups.record import N_STRIP_ROWS, STRIP_ROWS
from hierreg.likelihood.groups.record_kernels import tiles_at


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, first, second, value, wanted):
    """Write the log likelihood and what else is wanted; see `kernels.log_likelihood_of`."""
    rows = rows_at(table, N_STRIP_ROWS)
    kinds = (None, tiles_at(rows, STRIP_ROWS.strips), None, None, None)
    log_likelihood_of(rows, kinds, Lambda, weights, first, second, value, wanted)
    return 0
