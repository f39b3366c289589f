"""The likelihood of groups of one or two coefficients that all stand alone, as a C function (see `strip_kernels`)."""

from __future__ import annotations

from hierreg.compiled import callback
from hierreg.marginal.address_kernels import LIKELIHOOD, Row, blocks_at, rows_at, vector_of
from hierreg.marginal.kernels import FIRST_BLOCKS, log_likelihood_of


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, S, first, second, value, wanted):
    """Write the log likelihood and what else is wanted; see `kernels.log_likelihood_of`."""
    rows = rows_at(table, Row(FIRST_BLOCKS + 6))
    kinds = (None, blocks_at(rows, Row(FIRST_BLOCKS)), None, None, None)
    vector_of(value, 1)[0] = log_likelihood_of(rows, kinds, Lambda, S, first, second, wanted)
    return 0
