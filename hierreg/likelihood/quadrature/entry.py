"""The log density by quadrature as a C function: of psi with priors for samplers, and of Lambda itself for estimates.

nutpie calls it from its own threads, without the interpreter.
"""

from __future__ import annotations

from math import exp, inf, isfinite, log

import numpy as np

from hierreg.compiled.address_kernels import VALUE, WIDTH, Row, matrix_at, vector_at
from hierreg.compiled.array_kernels import array_at, empty, zeros
from hierreg.compiled.parts import callback, part
from hierreg.likelihood.posterior_entry import LOG_DENSITIES
from hierreg.likelihood.quadrature.kernels import sum_over_groups
from hierreg.priors.families import FIXED
from hierreg.variances.kernels import add_gradient_of_covariances, covariances_at, room_for_covariances
from hierreg.variances.prior_kernels import log_density_and_slope

# Rows of the table (see `native.QuadratureTable`).
N_ROWS = 45
# What x is: psi, or phi, Lambda row by row and further parameters themselves.
OF_PSI, OF_FACTOR = 0, 1
_HALF_LOG_2PI = 0.9189385332046727


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
        vector_at(table, Row(15), np.float64),
    )


@part
def _rows(table):
    """Return the tuple that `kernels` reads."""
    return (
        matrix_at(table, Row(20), np.float64),
        matrix_at(table, Row(21), np.float64),
        vector_at(table, Row(22), np.float64),
        vector_at(table, Row(23), np.float64),
        vector_at(table, Row(24), np.float64),
        vector_at(table, Row(25), np.float64),
        vector_at(table, Row(26), np.int64),
        table[27, 0],
        table[28, 0],
        vector_at(table, Row(29), np.int64),
    )


@part
def _population_prior(phi, mean, precision, g_phi):
    """Return the log density of phi under independent normal priors, without constants where they are flat."""
    value = 0.0
    for k in range(len(phi)):
        if precision[k] > 0.0:
            z = phi[k] - mean[k]
            value += 0.5 * log(precision[k]) - _HALF_LOG_2PI - 0.5 * precision[k] * z * z
            g_phi[k] -= precision[k] * z
    return value


@part
def _thresholds(w, priors, prior_on, auxiliary, g_w):
    """Write increasing thresholds at w: the first, and logarithms of steps; return their log prior density."""
    value, m = 0.0, len(w)
    total = 0.0
    for k in range(m):
        total += w[k] if k == 0 else exp(w[k])
        auxiliary[0, k] = total
    if not prior_on:
        return value
    for k in range(m):
        mean, sd = priors[k, 0], priors[k, 1]
        z = (auxiliary[0, k] - mean) / sd
        value += -log(sd) - _HALF_LOG_2PI - 0.5 * z * z
        for j in range(k + 1):
            g_w[j] -= z / sd * (1.0 if j == 0 else exp(w[j]))
        if k > 0:
            value += w[k]
            g_w[k] += 1.0
    return value


@part
def _positives(w, codes, priors, prior_on, auxiliary, g_w):
    """Write positive parameters at their logarithms w, constants as they are; return their log prior density."""
    value, place, m = 0.0, 0, auxiliary.shape[1]
    for i in range(len(codes)):
        if codes[i] == FIXED:
            auxiliary[i // m, i % m] = priors[i, 0]
            continue
        x = exp(w[place])
        auxiliary[i // m, i % m] = x
        if prior_on:
            log_prior, slope = log_density_and_slope(codes[i], priors[i, 0], priors[i, 1], x)
            value += log_prior + w[place]
            g_w[place] += slope * x + 1.0
        place += 1
    return value


@part
def _n_free(codes):
    """Return the number of parameters that are not constants; thresholds have the code -1."""
    total = 0
    for code in codes:
        if code != FIXED:
            total += 1
    return total


@part
def _pull_back(w, codes, has_order, auxiliary, g_auxiliary, g_w):
    """Add the gradient with respect to further parameters to that of w."""
    m = auxiliary.shape[1]
    if has_order:
        for k in range(m):
            for j in range(k + 1):
                g_w[j] += g_auxiliary[0, k] * (1.0 if j == 0 else exp(w[j]))
        return
    place = 0
    for i in range(len(codes)):
        if codes[i] != FIXED:
            g_w[place] += g_auxiliary[i // m, i % m] * auxiliary[i // m, i % m]
            place += 1


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

    Returns
    -------
    int
        0; 4 where the last density is not finite, which nutpie takes for a divergence.
    """
    rows = array_at(table, (N_ROWS, WIDTH), np.int64)
    n = np.int64(size)
    n_points, wanted, of = rows[18, 0], rows[19, 0], rows[42, 0]
    values = array_at(value, (n_points,), np.float64)
    for s in range(n_points):
        values[s] = np.nan
    points, slopes = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    variances, data = _variances(rows), _rows(rows)
    centre, scale = vector_at(rows, Row(16), np.float64), matrix_at(rows, Row(17), np.float64)
    nodes, log_weights = matrix_at(rows, Row(30), np.float64), vector_at(rows, Row(31), np.float64)
    modes = matrix_at(rows, Row(32), np.float64)
    mean, precision = vector_at(rows, Row(33), np.float64), vector_at(rows, Row(34), np.float64)
    prior_on = rows[35, 0] == 1
    codes, priors = vector_at(rows, Row(36), np.int64), matrix_at(rows, Row(37), np.float64)
    has_order, T, m, first, last = rows[38, 0] == 1, rows[39, 0], rows[40, 0], rows[41, 0], rows[43, 0]
    same = matrix_at(rows, Row(44), np.float64)
    p, q = len(mean), rows[0, 0]
    n_u = n - p - _n_free(codes) if of == OF_PSI else np.int64(0)
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
            for i in range(n):
                psi[i] = centre[i]
                for j in range(n):
                    psi[i] += scale[i, j] * points[s, j]
            log_density, first_corr = covariances_at(psi[:n_u], variances, same, prior_on, natural, point, g[:n_u])
            for i in range(q):
                for j in range(q):
                    Lambda[i, j] = point[3][i, j]
            if prior_on:
                log_density += _population_prior(psi[n_u : n_u + p], mean, precision, g[n_u : n_u + p])
            if has_order:
                log_density += _thresholds(psi[n_u + p :], priors, prior_on, auxiliary, g[n_u + p :])
            else:
                log_density += _positives(psi[n_u + p :], codes, priors, prior_on, auxiliary, g[n_u + p :])
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
        if status == 0:
            if of == OF_PSI:
                add_gradient_of_covariances(psi[:n_u], variances, same, point, first_corr, g_Lambda, g_S, g[:n_u])
                _pull_back(psi[n_u + p :], codes, has_order, auxiliary, g_auxiliary, g[n_u + p :])
            else:
                for i in range(q * q):
                    g[p + i] = g_Lambda[i // q, i % q]
                for i in range(T * m):
                    g[p + q * q + i] = g_auxiliary[i // m, i % m]
        for j in range(n):
            slopes[s, j] = 0.0
            if status != 0:
                continue
            if of == OF_PSI:
                for i in range(n):
                    slopes[s, j] += scale[i, j] * g[i]
            else:
                slopes[s, j] = g[j]
    return status
