"""The likelihood of several grouping factors as a C function (see `crossed.kernels`)."""

from __future__ import annotations

import numpy as np

from hierreg.compiled.address_kernels import (
    GRADIENT,
    LIKELIHOOD,
    matrix_at,
    rows_at,
    square_of,
    vector_at,
    vector_of,
)
from hierreg.compiled.parts import callback, part
from hierreg.likelihood.crossed.kernels import log_likelihood_of
from hierreg.likelihood.crossed.record import N_ROWS, ROWS


@part
def _room_at(table):
    return vector_at(table, ROWS.workspace, np.float64), matrix_at(table, ROWS.tail, np.float64)


@part
def _sources_at(table):
    rows = ROWS.sources
    return (
        vector_at(table, rows.place, np.int64),
        vector_at(table, rows.term, np.int64),
        vector_at(table, rows.value, np.float64),
        vector_at(table, rows.weight, np.float64),
    )


@part
def _nodes_at(table):
    rows = ROWS.nodes
    return (
        vector_at(table, rows.start, np.int64),
        vector_at(table, rows.q, np.int64),
        vector_at(table, rows.diag_at, np.int64),
        vector_at(table, rows.panel_at, np.int64),
        vector_at(table, rows.column_at, np.int64),
        vector_at(table, rows.column, np.int64),
        vector_at(table, rows.up_at, np.int64),
        vector_at(table, rows.up_node, np.int64),
        vector_at(table, rows.up_map_at, np.int64),
        vector_at(table, rows.up_map, np.int64),
        table[rows.n_columns, 0],
    )


@part
def _dense_at(table):
    rows = ROWS.dense
    return (
        table[rows.at, 0],
        vector_at(table, rows.start, np.int64),
        vector_at(table, rows.q, np.int64),
        vector_at(table, rows.Lambda, np.int64),
        table[rows.n_b, 0],
        table[rows.n, 0],
    )


@part
def _panels_at(table):
    rows = ROWS.panels
    return (
        vector_at(table, rows.at, np.int64),
        vector_at(table, rows.node, np.int64),
        vector_at(table, rows.place, np.int64),
    )


@part
def _lapack_at(table):
    return table[ROWS.lapack.potrf, 0], table[ROWS.lapack.potri, 0], table[ROWS.lapack.trsv, 0]


@callback(LIKELIHOOD)
def log_likelihood(table, Lambda, weights, g_Lambda, g_omega, value, wanted):
    """Write the log likelihood, and its gradient where it is wanted; -inf where a matrix is not definite.

    The table is one of a `CrossedRecord`; the arguments are described at `kernels.log_likelihood_of`.
    """
    rows = rows_at(table, N_ROWS)
    q, K = rows[ROWS.q, 0], rows[ROWS.n_terms, 0]
    vector_of(value, 1)[0] = log_likelihood_of(
        square_of(Lambda, q),
        vector_of(weights, 2 * K + 2),
        vector_at(rows, ROWS.n, np.float64)[0],
        (K, _room_at(rows), _sources_at(rows), (_nodes_at(rows), _dense_at(rows), _panels_at(rows)), _lapack_at(rows)),
        matrix_at(rows, ROWS.W0, np.float64),
        vector_at(rows, ROWS.constant, np.float64)[0],
        (rows[ROWS.integrate, 0] == 1, wanted == GRADIENT),
        square_of(g_Lambda, q),
        vector_of(g_omega, K),
    )
    return 0
