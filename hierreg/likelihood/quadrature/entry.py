"""The log density by quadrature as a C function: of psi with priors for samplers, and of Lambda itself for estimates.

nutpie calls it from its own threads, without the interpreter.
"""

from __future__ import annotations

from math import inf, isfinite

import numpy as np

from hierreg.compiled.address_kernels import LOG_DENSITIES, VALUE, matrix_at, rows_at, vector_at
from hierreg.compiled.array_kernels import array_at, empty, zeros
from hierreg.compiled.dense_kernels import affine, times_transposed
from hierreg.compiled.parts import callback, part
from hierreg.likelihood.quadrature.kernels import sum_over_groups
from hierreg.likelihood.quadrature.psi_kernels import (
    data_at,
    n_free_of,
    population_prior,
    pull_back_auxiliary,
    write_positives,
    write_thresholds,
)
from hierreg.likelihood.quadrature.record import N_ROWS, OF_PSI, ROWS
from hierreg.variances.kernels import (
    add_gradient_of_covariances,
    covariances_at,
    room_for_covariances,
    uncorrelated_variances_at,
)


@part
def _rows_at(table):
    """Return the tuple that `kernels` reads."""
    return data_at(table, ROWS.rows) + (vector_at(table, ROWS.starts, np.int64),)  # noqa: RUF005  # as numba compiles it


@callback(LOG_DENSITIES)
def log_densities(size, x, gradient, value, table):
    """Write the log density, and its gradient where it is wanted, at points x.

    Of psi: psi = centre + scale x, psi = (u, phi, w). Of the factor: x = (phi, Lambda, further parameters), no priors.

    Parameters
    ----------
    size : int
        Number of parameters n.
    x, gradient : arrays (n_points, n)
    value : array (n_points,)
    table : address
        Of a `QuadratureRecord`.

    Returns
    -------
    int
        0; 4 where the last density is not finite, which nutpie takes for a divergence.
    """
    own, further = ROWS.psi, ROWS.auxiliary
    table = rows_at(table, N_ROWS)
    n = np.int64(size)
    n_points, wanted, of = table[own.n_points, 0], table[own.wanted, 0], table[ROWS.of, 0]
    values = array_at(value, (n_points,), np.float64)
    for s in range(n_points):
        values[s] = np.nan
    points, slopes = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    variances, data = uncorrelated_variances_at(table, own.variances), _rows_at(table)
    centre, scale = vector_at(table, own.centre, np.float64), matrix_at(table, own.scale, np.float64)
    mean, precision = vector_at(table, own.mean, np.float64), vector_at(table, own.precision, np.float64)
    prior_on = table[own.prior_on, 0] == 1
    nodes, log_weights = matrix_at(table, ROWS.nodes, np.float64), vector_at(table, ROWS.log_weights, np.float64)
    modes, same = matrix_at(table, ROWS.modes, np.float64), matrix_at(table, ROWS.same, np.float64)
    first, last = table[ROWS.first, 0], table[ROWS.last, 0]
    codes, priors = vector_at(table, further.codes, np.int64), matrix_at(table, further.priors, np.float64)
    has_order, T, m = table[further.has_order, 0] == 1, table[further.n_strata, 0], table[further.n_each, 0]
    p, q = len(mean), variances.n_factor
    n_u = n - p - n_free_of(codes) if of == OF_PSI else np.int64(0)
    psi, g = empty(n), empty(n)
    point = room_for_covariances(psi[:n_u], variances)
    Lambda, g_Lambda, g_S = empty((q, q)), empty((q, q)), zeros(point[4].shape)
    auxiliary, g_auxiliary = empty((T, m)), empty((T, m))
    with_gradient = wanted != VALUE
    natural = n < 0
    status = 0
    for s in range(n_points):
        for i in range(n):
            g[i] = 0.0
            psi[i] = points[s, i]
        for i in range(q):
            for j in range(q):
                g_Lambda[i, j] = 0.0
        for i in range(T):
            for j in range(m):
                g_auxiliary[i, j] = 0.0
        log_density, first_corr = 0.0, np.int64(0)
        if of == OF_PSI:
            affine(centre, scale, points[s], psi)
            log_density, first_corr = covariances_at(psi[:n_u], variances, same, prior_on, natural, point, g[:n_u])
            for i in range(q):
                for j in range(q):
                    Lambda[i, j] = point[3][i, j]
            if prior_on:
                log_density += population_prior(psi[n_u : n_u + p], mean, precision, g[n_u : n_u + p])
            if has_order:
                log_density += write_thresholds(psi[n_u + p :], priors, prior_on, auxiliary, g[n_u + p :])
            else:
                log_density += write_positives(psi[n_u + p :], codes, priors, prior_on, auxiliary, g[n_u + p :])
        else:
            for i in range(q):
                for j in range(q):
                    Lambda[i, j] = psi[p + i * q + j]
            for i in range(T):
                for j in range(m):
                    auxiliary[i, j] = psi[p + q * q + i * m + j]
        if isfinite(log_density):
            log_density += sum_over_groups(
                data,
                nodes,
                log_weights,
                psi[n_u : n_u + p],
                Lambda,
                auxiliary,
                modes,
                first,
                last,
                with_gradient,
                g[n_u : n_u + p],
                g_Lambda,
                g_auxiliary,
            )
        status = 0
        if not isfinite(log_density):
            log_density, status = -inf, 4
        values[s] = log_density
        if not with_gradient:
            continue
        if status != 0:
            for j in range(n):
                slopes[s, j] = 0.0
        elif of == OF_PSI:
            add_gradient_of_covariances(psi[:n_u], variances, same, point, first_corr, g_Lambda, g_S, g[:n_u])
            pull_back_auxiliary(psi[n_u + p :], codes, has_order, auxiliary, g_auxiliary, g[n_u + p :])
            times_transposed(scale, g, slopes[s])
        else:
            for i in range(q * q):
                g[p + i] = g_Lambda[i // q, i % q]
            for i in range(T * m):
                g[p + q * q + i] = g_auxiliary[i // m, i % m]
            for j in range(n):
                slopes[s, j] = g[j]
    return status
