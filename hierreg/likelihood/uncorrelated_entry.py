"""The log posterior density where R is diagonal, as a C function (see `posterior_kernels`).

Most models have such errors, and a quarter of what is compiled for others is not compiled for these.
"""

from __future__ import annotations

import numpy as np

from hierreg.compiled.address_kernels import LOG_DENSITIES, rows_at, vector_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.posterior_kernels import log_densities_of
from hierreg.likelihood.posterior_record import N_ROWS, ROWS
from hierreg.variances.kernels import uncorrelated_variances_at


@callback(LOG_DENSITIES)
def log_densities(n, x, gradient, value, table):
    """Write the log density, and its gradient where it is wanted, at points x; see `posterior_kernels`."""
    rows = rows_at(table, N_ROWS)
    variances, columns = uncorrelated_variances_at(rows, ROWS.variances), vector_at(rows, ROWS.columns, np.int64)
    return log_densities_of(n, x, gradient, value, rows, variances, columns, None)
