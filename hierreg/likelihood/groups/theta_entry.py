"""The likelihood of groups with coefficients theta_j = K beta + b_j, as a C function (see `theta_kernels`)."""

from __future__ import annotations

import numpy as np

from hierreg.compiled.address_kernels import LIKELIHOOD, Row, matrix_at, rows_at, stack_at, vector_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.groups.kernels import FIRST_BLOCKS, log_likelihood_of


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, first, second, value, wanted):
    """Write the log likelihood and what else is wanted; see `kernels.log_likelihood_of`."""
    rows = rows_at(table, Row(FIRST_BLOCKS + 3))
    theta = (
        vector_at(rows, Row(FIRST_BLOCKS), np.int64),
        stack_at(rows, Row(FIRST_BLOCKS + 1)),
        matrix_at(rows, Row(FIRST_BLOCKS + 2), np.float64),
    )
    kinds = (theta, None, None, None, None)
    log_likelihood_of(rows, kinds, Lambda, weights, first, second, value, wanted)
    return 0
