"""The log density of the parameters and all effects as a C function, which nutpie calls without the interpreter."""

from __future__ import annotations

from math import inf, isfinite

import numpy as np

from hierreg.compiled.address_kernels import LOG_DENSITIES, VALUE, matrix_at, rows_at, vector_at
from hierreg.compiled.array_kernels import array_at, empty, zeros
from hierreg.compiled.dense_kernels import affine, times_transposed
from hierreg.compiled.parts import callback, part
from hierreg.likelihood.joint.kernels import effects_density
from hierreg.likelihood.joint.record import N_ROWS, ROWS
from hierreg.likelihood.quadrature.psi_kernels import (
    data_at,
    n_free_of,
    population_prior,
    pull_back_auxiliary,
    write_positives,
    write_thresholds,
)
from hierreg.variances.kernels import (
    add_gradient_of_covariances,
    covariances_at,
    room_for_covariances,
    uncorrelated_variances_at,
)


@part
def _rows_at(table):
    """Return the tuple that `kernels` reads."""
    return data_at(table, ROWS.rows) + (  # noqa: RUF005  # as numba compiles it
        matrix_at(table, ROWS.structure.place, np.int64),
        matrix_at(table, ROWS.structure.row_block, np.int64),
    )


@part
def _form_at(table):
    form = ROWS.structure.form
    return (
        vector_at(table, form.first, np.int64),
        vector_at(table, form.rows, np.int64),
        vector_at(table, form.first_update, np.int64),
        vector_at(table, form.places, np.int64),
        table[form.dense, 0],
        table[form.n_dense, 0],
    )


@part
def _blocks_at(table):
    return vector_at(table, ROWS.structure.begin, np.int64), vector_at(table, ROWS.structure.places, np.int64)


@part
def _factors_at(table):
    return (
        vector_at(table, ROWS.structure.column, np.int64),
        vector_at(table, ROWS.structure.size, np.int64),
        vector_at(table, ROWS.structure.first, np.int64),
    )


@part
def _working_at(table):
    return (
        vector_at(table, ROWS.entries, np.float64),
        vector_at(table, ROWS.response, np.float64),
        matrix_at(table, ROWS.slope, np.float64),
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
        Of a `JointRecord`.

    Returns
    -------
    int
        0; 4 where the last density is not finite, which nutpie takes for a divergence.
    """
    own, further = ROWS.psi, ROWS.auxiliary
    table = rows_at(table, N_ROWS)
    n = np.int64(size)
    n_points, wanted = table[own.n_points, 0], table[own.wanted, 0]
    values = array_at(value, (n_points,), np.float64)
    for s in range(n_points):
        values[s] = np.nan
    points, slopes = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    variances, data = uncorrelated_variances_at(table, own.variances), _rows_at(table)
    form, blocks, factors, working = _form_at(table), _blocks_at(table), _factors_at(table), _working_at(table)
    centre, scale = vector_at(table, own.centre, np.float64), matrix_at(table, own.scale, np.float64)
    mean, precision = vector_at(table, own.mean, np.float64), vector_at(table, own.precision, np.float64)
    prior_on = table[own.prior_on, 0] == 1
    codes, priors = vector_at(table, further.codes, np.int64), matrix_at(table, further.priors, np.float64)
    has_order, T, m = table[further.has_order, 0] == 1, table[further.n_strata, 0], table[further.n_each, 0]
    constant = vector_at(table, ROWS.constant, np.float64)
    p, q, n_psi = len(mean), variances.n_factor, len(centre)
    n_u = n_psi - p - n_free_of(codes)
    psi, g = empty(n_psi), empty(n_psi)
    point = room_for_covariances(psi[:n_u], variances)
    g_Lambda, g_S = empty((q, q)), zeros(point[4].shape)
    auxiliary, g_auxiliary = empty((T, m)), empty((T, m))
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
