"""The log posterior density where errors are correlated between data sets, as a C function (see `posterior_kernels`).

Without the correlations within units, and over time, that `posterior_entry` has too.
"""

from __future__ import annotations

from hierreg.compiled.address_kernels import LOG_DENSITIES, rows_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.posterior_kernels import log_densities_of
from hierreg.likelihood.posterior_record import N_ROWS, ROWS
from hierreg.variances.kernels import uncorrelated_variances_at


@callback(LOG_DENSITIES)
def log_densities(n, x, gradient, value, table):
    """Write the log density, and its gradient where it is wanted, at points x; see `posterior_kernels`."""
    rows = rows_at(table, N_ROWS)
    variances = uncorrelated_variances_at(rows, ROWS.variances)
    return log_densities_of(n, x, gradient, value, rows, variances, None, None)
