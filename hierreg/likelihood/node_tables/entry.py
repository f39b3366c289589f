"""The log posterior density by tables at fixed nodes as a C function, which nutpie calls without the interpreter."""

from __future__ import annotations

from math import inf, isfinite

import numpy as np

from hierreg.compiled.address_kernels import LOG_DENSITIES, VALUE, matrix_at, rows_at, vector_at
from hierreg.compiled.array_kernels import array_at, empty, zeros
from hierreg.compiled.dense_kernels import affine, times_transposed
from hierreg.compiled.parts import callback
from hierreg.likelihood.node_tables.kernels import sum_of_tables
from hierreg.likelihood.node_tables.record import N_ROWS, ROWS
from hierreg.likelihood.quadrature.psi_kernels import population_prior
from hierreg.variances.kernels import (
    add_gradient_of_covariances,
    covariances_at,
    room_for_covariances,
    uncorrelated_variances_at,
)


@callback(LOG_DENSITIES)
def log_densities(size, x, gradient, value, table):
    """Write the log density, and its gradient where it is wanted, at points x; psi = (u, phi) = centre + scale x.

    Parameters
    ----------
    size : int
        Number of parameters n.
    x, gradient : arrays (n_points, n)
    value : array (n_points,)
    table : address
        Of a `NodeTableRecord`.

    Returns
    -------
    int
        0; 4 where the last density is not finite, which nutpie takes for a divergence.
    """
    own = ROWS.psi
    table = rows_at(table, N_ROWS)
    n = np.int64(size)
    n_points, wanted = table[own.n_points, 0], table[own.wanted, 0]
    values = array_at(value, (n_points,), np.float64)
    for s in range(n_points):
        values[s] = np.nan
    points, slopes = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    variances, n_groups = uncorrelated_variances_at(table, own.variances), table[ROWS.n_groups, 0]
    strips, features = matrix_at(table, ROWS.strips, np.float64), matrix_at(table, ROWS.features, np.float64)
    centre, scale = vector_at(table, own.centre, np.float64), matrix_at(table, own.scale, np.float64)
    mean, precision = vector_at(table, own.mean, np.float64), vector_at(table, own.precision, np.float64)
    prior_on, same = table[own.prior_on, 0] == 1, matrix_at(table, ROWS.same, np.float64)
    q, n_u = variances.n_factor, n - len(mean)
    psi, g, g_Lambda = empty(n), empty(n), empty((q, q))
    point = room_for_covariances(psi[:n_u], variances)
    g_S = zeros(point[4].shape)
    with_gradient = wanted != VALUE
    natural = n < 0
    status = 0
    for s in range(n_points):
        affine(centre, scale, points[s], psi)
        for i in range(n):
            g[i] = 0.0
        for i in range(q):
            for j in range(q):
                g_Lambda[i, j] = 0.0
        log_density, first_corr = covariances_at(psi[:n_u], variances, same, prior_on, natural, point, g[:n_u])
        if prior_on:
            log_density += population_prior(psi[n_u:], mean, precision, g[n_u:])
        if isfinite(log_density):
            log_density += sum_of_tables(
                strips, n_groups, features, psi[n_u:], point[3], with_gradient, g[n_u:], g_Lambda
            )
        status = 0
        if not isfinite(log_density):
            log_density, status = -inf, 4
        values[s] = log_density
        if not with_gradient:
            continue
        if status == 0:
            add_gradient_of_covariances(psi[:n_u], variances, same, point, first_corr, g_Lambda, g_S, g[:n_u])
            times_transposed(scale, g, slopes[s])
        else:
            for j in range(n):
                slopes[s, j] = 0.0
    return status
