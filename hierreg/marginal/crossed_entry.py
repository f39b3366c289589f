"""The likelihood of several grouping factors as a C function (see `crossed_kernels`)."""

from __future__ import annotations

import numpy as np

from hierreg.compiled import callback
from hierreg.marginal.address_kernels import (
    GRADIENT,
    LIKELIHOOD,
    Row,
    matrix_at,
    rows_at,
    square_of,
    vector_at,
    vector_of,
)
from hierreg.marginal.crossed_kernels import log_likelihood_of


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, S, g_Lambda, g_S, value, wanted):
    """Write the log likelihood, and its gradient where it is wanted; -inf where a matrix is not definite.

    The rows are those of `crossed.CrossedLikelihood`; the arguments are described at `kernels.log_likelihood_of`.
    """
    rows = rows_at(table, Row(30))
    q, patterns = rows[0, 0], matrix_at(rows, Row(4), np.bool_)
    D = patterns.shape[1]
    sources = (
        vector_at(rows, Row(9), np.int64),
        vector_at(rows, Row(10), np.int64),
        vector_at(rows, Row(11), np.float64),
        vector_at(rows, Row(12), np.float64),
    )
    nodes = (
        vector_at(rows, Row(13), np.int64),
        vector_at(rows, Row(14), np.int64),
        vector_at(rows, Row(15), np.int64),
        vector_at(rows, Row(16), np.int64),
        vector_at(rows, Row(17), np.int64),
        vector_at(rows, Row(18), np.int64),
        vector_at(rows, Row(19), np.int64),
        vector_at(rows, Row(20), np.int64),
        vector_at(rows, Row(21), np.int64),
        vector_at(rows, Row(22), np.int64),
        rows[23, 0],
    )
    dense = (
        rows[24, 0],
        vector_at(rows, Row(25), np.int64),
        vector_at(rows, Row(26), np.int64),
        vector_at(rows, Row(27), np.int64),
        rows[28, 0],
        rows[29, 0],
    )
    room = (vector_at(rows, Row(7), np.float64), matrix_at(rows, Row(8), np.float64))
    vector_of(value, 1)[0] = log_likelihood_of(
        square_of(Lambda, q),
        square_of(S, D),
        (rows[1, 0], room, sources, nodes, dense),
        (patterns, vector_at(rows, Row(5), np.float64)),
        matrix_at(rows, Row(6), np.float64),
        vector_at(rows, Row(3), np.float64)[0],
        (rows[2, 0] == 1, wanted == GRADIENT),
        square_of(g_Lambda, q),
        square_of(g_S, D),
    )
    return 0
