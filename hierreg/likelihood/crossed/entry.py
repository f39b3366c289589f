"""The likelihood of several grouping factors as a C function (see `crossed.kernels`)."""

from __future__ import annotations

import numpy as np

from hierreg.compiled.address_kernels import (
    GRADIENT,
    LIKELIHOOD,
    Row,
    matrix_at,
    rows_at,
    square_of,
    vector_at,
    vector_of,
)
from hierreg.compiled.parts import callback
from hierreg.likelihood.crossed.kernels import log_likelihood_of


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, g_Lambda, g_omega, value, wanted):
    """Write the log likelihood, and its gradient where it is wanted; -inf where a matrix is not definite.

    The rows are those of `crossed.CrossedLikelihood`; the arguments are described at `kernels.log_likelihood_of`.
    """
    rows = rows_at(table, Row(35))
    q, K = rows[0, 0], rows[1, 0]
    sources = (
        vector_at(rows, Row(8), np.int64),
        vector_at(rows, Row(9), np.int64),
        vector_at(rows, Row(10), np.float64),
        vector_at(rows, Row(11), np.float64),
    )
    nodes = (
        vector_at(rows, Row(12), np.int64),
        vector_at(rows, Row(13), np.int64),
        vector_at(rows, Row(14), np.int64),
        vector_at(rows, Row(15), np.int64),
        vector_at(rows, Row(16), np.int64),
        vector_at(rows, Row(17), np.int64),
        vector_at(rows, Row(18), np.int64),
        vector_at(rows, Row(19), np.int64),
        vector_at(rows, Row(20), np.int64),
        vector_at(rows, Row(21), np.int64),
        rows[22, 0],
    )
    dense = (
        rows[23, 0],
        vector_at(rows, Row(24), np.int64),
        vector_at(rows, Row(25), np.int64),
        vector_at(rows, Row(26), np.int64),
        rows[27, 0],
        rows[28, 0],
    )
    tail_rows = (
        vector_at(rows, Row(29), np.int64),
        vector_at(rows, Row(30), np.int64),
        vector_at(rows, Row(31), np.int64),
    )
    lapack = rows[32, 0], rows[33, 0], rows[34, 0]
    room = (vector_at(rows, Row(6), np.float64), matrix_at(rows, Row(7), np.float64))
    vector_of(value, 1)[0] = log_likelihood_of(
        square_of(Lambda, q),
        vector_of(weights, 2 * K + 2),
        vector_at(rows, Row(4), np.float64)[0],
        (K, room, sources, (nodes, dense, tail_rows), lapack),
        matrix_at(rows, Row(5), np.float64),
        vector_at(rows, Row(3), np.float64)[0],
        (rows[2, 0] == 1, wanted == GRADIENT),
        square_of(g_Lambda, q),
        vector_of(g_omega, K),
    )
    return 0
