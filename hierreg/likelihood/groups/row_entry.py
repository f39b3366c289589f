"""The likelihood of groups of several error terms, and of linked ones, as a C function (see `row_kernels`)."""

from __future__ import annotations

from hierreg.compiled.address_kernels import LIKELIHOOD, Row, blocks_at, row_blocks_at, rows_at
from hierreg.compiled.parts import callback
from hierreg.likelihood.groups.kernels import FIRST_BLOCKS, log_likelihood_of


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, first, second, value, wanted):
    """Write the log likelihood and what else is wanted; see `kernels.log_likelihood_of`."""
    rows = rows_at(table, Row(FIRST_BLOCKS + 15))
    kinds = (None, None, blocks_at(rows, Row(FIRST_BLOCKS)), None, row_blocks_at(rows, Row(FIRST_BLOCKS + 6)))
    log_likelihood_of(rows, kinds, Lambda, weights, first, second, value, wanted)
    return 0
