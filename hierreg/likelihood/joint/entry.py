"""The log density of the parameters and all effects as a C function, which nutpie calls without the interpreter."""

from __future__ import annotations

from math import inf, isfinite

import numpy as np

from hierreg.compiled.address_kernels import VALUE, WIDTH, Row, matrix_at, vector_at
from hierreg.compiled.array_kernels import array_at, empty, zeros
from hierreg.compiled.dense_kernels import affine, times_transposed
from hierreg.compiled.parts import callback, part
from hierreg.likelihood.joint.kernels import effects_density
from hierreg.likelihood.posterior_entry import LOG_DENSITIES
from hierreg.likelihood.quadrature.psi_kernels import (
    n_free_of,
    population_prior,
    pull_back_auxiliary,
    variances_at,
    write_positives,
    write_thresholds,
)
from hierreg.variances.kernels import add_gradient_of_covariances, covariances_at, room_for_covariances

# Rows of the table (see `native.density_table`).
N_ROWS = 53


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
        matrix_at(table, Row(29), np.int64),
        matrix_at(table, Row(30), np.int64),
    )


@part
def _form(table):
    return (
        vector_at(table, Row(31), np.int64),
        vector_at(table, Row(32), np.int64),
        vector_at(table, Row(33), np.int64),
        vector_at(table, Row(34), np.int64),
        table[35, 0],
        table[36, 0],
    )


@part
def _blocks(table):
    return vector_at(table, Row(37), np.int64), vector_at(table, Row(38), np.int64)


@part
def _factors(table):
    return (
        vector_at(table, Row(39), np.int64),
        vector_at(table, Row(40), np.int64),
        vector_at(table, Row(41), np.int64),
    )


@part
def _working(table):
    return (
        vector_at(table, Row(42), np.float64),
        vector_at(table, Row(43), np.float64),
        matrix_at(table, Row(44), np.float64),
    )


@callback(LOG_DENSITIES)
def log_densities(size, x, gradient, value, table):
    """Write the log density, and its gradient where it is wanted, at points x.

    The first elements of a point are those of psi = (u, phi, w) = centre + scale x; the others are the transported
    effects themselves.

    Parameters
    ----------
    size : int
        Number of elements n.
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
    n_points, wanted = rows[18, 0], rows[19, 0]
    values = array_at(value, (n_points,), np.float64)
    for s in range(n_points):
        values[s] = np.nan
    points, slopes = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    variances, data = variances_at(rows), _rows(rows)
    form, blocks, factors, working = _form(rows), _blocks(rows), _factors(rows), _working(rows)
    centre, scale = vector_at(rows, Row(16), np.float64), matrix_at(rows, Row(17), np.float64)
    mean, precision = vector_at(rows, Row(45), np.float64), vector_at(rows, Row(46), np.float64)
    prior_on = rows[47, 0] == 1
    codes, priors = vector_at(rows, Row(48), np.int64), matrix_at(rows, Row(49), np.float64)
    has_order = rows[50, 0] == 1
    shape = matrix_at(rows, Row(51), np.float64)
    constant = vector_at(rows, Row(52), np.float64)
    p, q, n_psi = len(mean), rows[0, 0], len(centre)
    n_u = n_psi - p - n_free_of(codes)
    psi, g = empty(n_psi), empty(n_psi)
    point = room_for_covariances(psi[:n_u], variances)
    g_Lambda, g_S = empty((q, q)), zeros(point[4].shape)
    auxiliary, g_auxiliary = empty(shape.shape), empty(shape.shape)
    same = empty((q, q))
    for i in range(q):
        for j in range(q):
            same[i, j] = 1.0 if i == j else 0.0
    with_gradient = wanted != VALUE
    natural = n < 0
    status = 0
    for s in range(n_points):
        affine(centre, scale, points[s], psi)
        for i in range(n_psi):
            g[i] = 0.0
        for i in range(q):
            for j in range(q):
                g_Lambda[i, j] = 0.0
        for i in range(auxiliary.shape[0]):
            for j in range(auxiliary.shape[1]):
                g_auxiliary[i, j] = 0.0
        log_density, first_corr = covariances_at(psi[:n_u], variances, same, prior_on, natural, point, g[:n_u])
        if prior_on:
            log_density += population_prior(psi[n_u : n_u + p], mean, precision, g[n_u : n_u + p])
        if has_order:
            log_density += write_thresholds(psi[n_u + p :], priors, prior_on, auxiliary, g[n_u + p :])
        else:
            log_density += write_positives(psi[n_u + p :], codes, priors, prior_on, auxiliary, g[n_u + p :])
        if isfinite(log_density):
            log_density += effects_density(
                form,
                blocks,
                factors,
                data,
                working,
                constant[0],
                psi[n_u : n_u + p],
                point[3],
                auxiliary,
                points[s, n_psi:],
                with_gradient,
                g[n_u : n_u + p],
                g_Lambda,
                g_auxiliary,
                slopes[s, n_psi:],
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
            continue
        add_gradient_of_covariances(psi[:n_u], variances, same, point, first_corr, g_Lambda, g_S, g[:n_u])
        pull_back_auxiliary(psi[n_u + p :], codes, has_order, auxiliary, g_auxiliary, g[n_u + p :])
        times_transposed(scale, g, slopes[s])
    return status
