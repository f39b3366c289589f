"""The likelihood without groups, generalised least squares, as a C function (see `kernels`)."""

from __future__ import annotations

from hierreg.compiled.address_kernels import LIKELIHOOD, rows_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.groups.kernels import log_likelihood_of
from hierreg.likelihood.groups.record import N_BASE_ROWS


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, first, second, value, wanted):
    """Write the log likelihood and what else is wanted; see `kernels.log_likelihood_of`."""
    kinds = (None, None, None, None, None)
    log_likelihood_of(rows_at(table, N_BASE_ROWS), kinds, Lambda, weights, first, second, value, wanted)
    return 0
