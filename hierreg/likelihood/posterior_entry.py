"""The log posterior density of the unconstrained variance parameters, for all kinds of models, as a C function.

nutpie calls it from its own threads, without the interpreter. The likelihood is called by its address.
"""

from __future__ import annotations

from math import isfinite, isnan

import numpy as np
from numba import types

from hierreg.compiled.address_kernels import VALUE, WIDTH, Row, call_likelihood, matrix_at, vector_at
from hierreg.compiled.array_kernels import array_at, local
from hierreg.compiled.dense_kernels import affine, times_transposed
from hierreg.compiled.parts import callback, part
from hierreg.variances.kernels import add_gradient_of_covariances, covariances_at, room_for_covariances
from hierreg.variances.precision_kernels import error_precision_gradient, weights_of

# Rows of the table (see `posterior.Target.table`).
N_ROWS = 29

LOG_DENSITIES = types.int64(
    types.uint64,
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.voidptr,
)


@part
def _variances(table):
    """Return the tuple that `variances.kernels.covariances_at` reads."""
    return (
        table[0, 0],
        vector_at(table, Row(1), np.int64),
        vector_at(table, Row(2), np.int64),
        matrix_at(table, Row(3), np.float64),
        vector_at(table, Row(4), np.bool_),
        vector_at(table, Row(5), np.float64),
        matrix_at(table, Row(6), np.float64),
        (
            vector_at(table, Row(7), np.int64),
            vector_at(table, Row(8), np.int64),
            vector_at(table, Row(9), np.float64),
            vector_at(table, Row(10), np.int64),
            vector_at(table, Row(11), np.float64),
            vector_at(table, Row(12), np.bool_),
            vector_at(table, Row(13), np.float64),
            vector_at(table, Row(14), np.float64),
        ),
        vector_at(table, Row(24), np.float64),
    )


@callback(LOG_DENSITIES)
def log_densities(n, x, gradient, value, table):
    """Write the log density, and its gradient where it is wanted, at points x; u = centre + scale x.

    Parameters
    ----------
    n : int
        Number of parameters.
    x, gradient : arrays (n_points, n)
    value : array (n_points,)
    table : address

    Returns
    -------
    int
        0; 4 where the last density is not finite, which nutpie takes for a divergence; -1 where there was no memory
        for the likelihood, which ends its chain. The value is NaN then.
    """
    rows = array_at(table, (N_ROWS, WIDTH), np.int64)
    values = array_at(value, (rows[22, 0],), np.float64)
    # Before memory is asked for: a C function that fails returns as if nothing had happened.
    for s in range(rows[22, 0]):
        values[s] = np.nan
    variances, z_map_inverse = _variances(rows), matrix_at(rows, Row(15), np.float64)
    function, own_table = rows[16, 0], rows[17, 0]
    centre, scale = vector_at(rows, Row(18), np.float64), matrix_at(rows, Row(19), np.float64)
    prior_on, natural = rows[20, 0] == 1, rows[21, 0] == 1
    n_points, wanted = rows[22, 0], rows[23, 0]
    points, slopes = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    u, g = local(n), local(n)
    point = room_for_covariances(u, variances)
    Lambda, S = point[3], point[4]
    errors = (
        vector_at(rows, Row(28), np.int64),
        matrix_at(rows, Row(25), np.bool_),
        vector_at(rows, Row(26), np.float64),
    )
    K = rows[27, 0]
    weights, g_omega, likelihood = local(2 * K + 2), local(K), local(1)
    g_Lambda, g_S = local(Lambda.shape), local(S.shape)
    status = 0
    for s in range(n_points):
        affine(centre, scale, points[s], u)
        for i in range(n):
            g[i] = 0.0
        log_density, first_corr = covariances_at(u, variances, z_map_inverse, prior_on, natural, point, g)
        if isfinite(log_density):
            likelihood[0] = np.nan
            weights_of(S, errors, weights)
            call_likelihood(function, own_table, Lambda, weights, g_Lambda, g_omega, likelihood, wanted)
            log_density += likelihood[0]
            if isnan(log_density):
                return -1
        status = 0
        if not isfinite(log_density):
            log_density, status = -np.inf, 4
        values[s] = log_density
        if wanted == VALUE:
            continue
        if status == 0:
            error_precision_gradient(S, errors, weights, g_omega, g_S)
            add_gradient_of_covariances(u, variances, z_map_inverse, point, first_corr, g_Lambda, g_S, g)
            times_transposed(scale, g, slopes[s])
        else:
            for j in range(n):
                slopes[s, j] = 0.0
    return status
