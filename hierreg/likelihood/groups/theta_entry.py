"""The likelihood of groups with coefficients theta_j = K beta + b_j, as a C function (see `theta_kernels`)."""

from __future__ import annotations

from hierreg.compiled.address_kernels import LIKELIHOOD, rows_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.groups.kernels import log_likelihood_of
from hierreg.likelihood.groups.record import N_THETA_ROWS, THETA_ROWS
from hierreg.likelihood.groups.record_kernels import theta_at


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, first, second, value, wanted):
    """Write the log likelihood and what else is wanted; see `kernels.log_likelihood_of`."""
    rows = rows_at(table, N_THETA_ROWS)
    kinds = (theta_at(rows, THETA_ROWS.theta), None, None, None, None)
    log_likelihood_of(rows, kinds, Lambda, weights, first, second, value, wanted)
    return 0
