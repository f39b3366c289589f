"""log p(u, beta, shape | y) of models with heavy tails or mixtures, and draws of their groups, as one C function."""

from __future__ import annotations

from math import exp, isfinite

import numpy as np

from hierreg.compiled.address_kernels import GRADIENT, LOG_DENSITIES, matrix_at, rows_at, stack_at, vector_at
from hierreg.compiled.array_kernels import array_at, empty, zeros
from hierreg.compiled.parts import callback, part
from hierreg.likelihood.heavy_tails.draw_kernels import draw_groups
from hierreg.likelihood.heavy_tails.kernels import log_likelihood
from hierreg.likelihood.heavy_tails.record import N_ROWS, ROWS
from hierreg.likelihood.heavy_tails.shape_kernels import (
    STUDENT_T,
    components_of,
    nu_at,
    place_scales,
    prior_of_components,
    slope_of_components,
    slope_of_nu,
)
from hierreg.variances.kernels import add_gradient_of_covariances, covariances_at, room_for_covariances, variances_at
from hierreg.variances.precision_kernels import error_precision_gradient, weights_of


@part
def _data_at(table):
    """Return groups and what is left of the rows (`kernels.log_likelihood`), pseudo-observations, beta and errors."""
    data = ROWS.data
    groups = (
        vector_at(table, data.start, np.int64),
        vector_at(table, data.term, np.int64),
        matrix_at(table, data.C, np.float64),
        matrix_at(table, data.D, np.float64),
    )
    left = matrix_at(table, data.left, np.float64), vector_at(table, data.left_term, np.int64)
    beta = vector_at(table, data.centre, np.float64), matrix_at(table, data.scale, np.float64)
    errors = (
        vector_at(table, data.gaps, np.int64),
        matrix_at(table, data.patterns, np.bool_),
        vector_at(table, data.counts, np.float64),
    )
    return groups, left, matrix_at(table, data.prior_rows, np.float64), beta, errors


@part
def _shape_arrays(table):
    """Return the arrays that say what shapes the effects: of nu, of components, their unit and their frame."""
    shape = ROWS.shape
    return (
        vector_at(table, shape.student, np.float64),
        vector_at(table, shape.concentration, np.float64),
        vector_at(table, shape.tau, np.float64),
        matrix_at(table, shape.frame, np.float64),
    )


@part
def _mixture_at(table):
    """Return room for a mixture (`kernels`)."""
    mixture = ROWS.mixture
    return (
        stack_at(table, mixture.Lambdas),
        vector_at(table, mixture.which, np.int64),
        matrix_at(table, mixture.means, np.float64),
        vector_at(table, mixture.log_pi, np.float64),
        vector_at(table, mixture.log_weight, np.float64),
        vector_at(table, mixture.scale, np.float64),
    )


@part
def _room_at(table):
    """Return room for one group (`kernels.weigh`)."""
    group = ROWS.group
    return (
        stack_at(table, group.U),
        stack_at(table, group.V),
        matrix_at(table, group.d, np.float64),
        matrix_at(table, group.e, np.float64),
        matrix_at(table, group.rest, np.float64),
        matrix_at(table, group.w, np.float64),
        stack_at(table, group.shrunk),
        matrix_at(table, group.weight, np.float64),
        matrix_at(table, group.det, np.float64),
        vector_at(table, group.base, np.float64),
    )


@part
def _slopes_at(table):
    """Return averages and slopes (`kernels.differentiate`)."""
    averages, slopes = ROWS.averages, ROWS.slopes
    return (
        (
            vector_at(table, averages.first, np.float64),
            vector_at(table, averages.second, np.float64),
            matrix_at(table, averages.squares, np.float64),
            vector_at(table, averages.variance, np.float64),
        ),
        (
            stack_at(table, slopes.of_Lambda),
            matrix_at(table, slopes.of_means, np.float64),
            vector_at(table, slopes.of_pi, np.float64),
            vector_at(table, slopes.of_weight, np.float64),
            vector_at(table, slopes.of_scale, np.float64),
            vector_at(table, slopes.of_beta, np.float64),
            vector_at(table, slopes.of_omega, np.float64),
        ),
    )


@part
def _clear(slopes):
    """Write zeros."""
    of_Lambda, of_means, of_pi, of_weight, of_scale, of_beta, of_omega = slopes
    of_Lambda[:] = 0.0
    of_means[:] = 0.0
    of_pi[:] = 0.0
    of_weight[:] = 0.0
    of_scale[:] = 0.0
    of_beta[:] = 0.0
    of_omega[:] = 0.0


@part
def _copy(source, target):
    for i in range(len(source)):
        for j in range(len(source)):
            target[i, j] = source[i, j]


@part
def _shape_mixture(kind, shape, what, mixture, work, prior_on, natural, g_shape):
    """Write log weights, scales and means of a mixture; return the log prior of shape, its gradient added."""
    student, concentration, tau, frame = what
    _, _, means, log_pi, log_weight, scale = mixture
    x, delta, in_frame = work
    q, c = len(tau), len(means)
    if kind == STUDENT_T:
        nu, value = nu_at(shape, student, prior_on, natural, g_shape)
        place_scales(nu, q, x, log_weight)
        for k in range(len(scale)):
            scale[k] = exp(-x[k])
        return value
    scale[0] = 1.0
    components_of(shape, c, tau, log_pi, delta, in_frame)
    for k in range(c):
        for a in range(q):
            means[k, a] = 0.0
            for b in range(q):
                means[k, a] += frame[a, b] * in_frame[k, b]
    if not prior_on:
        return 0.0
    return prior_of_components(shape, c, concentration[0], tau, log_pi, delta, natural, g_shape)


@part
def _residual_at(u, beta):
    """Return v = (-beta, 1), internal coordinates."""
    centre, scale = beta
    p = len(centre)
    v = empty(p + 1)
    for a in range(p):
        v[a] = -centre[a]
        for b in range(p):
            v[a] -= scale[a, b] * u[b]
    v[p] = 1.0
    return v


@part
def _prior_of_beta(v, rows, g_beta):
    """Return minus half of the squares of pseudo-observations, with its gradient added."""
    value = 0.0
    for r in range(len(rows)):
        total = 0.0
        for a in range(len(v)):
            total += rows[r, a] * v[a]
        value -= 0.5 * total * total
        for a in range(len(g_beta)):
            g_beta[a] += total * rows[r, a]
    return value


@part
def _draw(table, s, groups, v, roots, mixture, room):
    """Draw the effects of some groups, for draw s of the parameters; see `draw_kernels`."""
    run = ROWS.run
    uniform, square = matrix_at(table, run.uniform, np.float64), matrix_at(table, run.square, np.float64)
    normal, effects = stack_at(table, run.normal), stack_at(table, run.effects)
    probability = stack_at(table, run.probability)
    random, out = (uniform[s], normal[s]), (effects[s], square[s], probability[s])
    draw_groups(table[run.first, 0], groups, v, roots, mixture, room, random, out)


@callback(LOG_DENSITIES)
def log_densities(n, x, gradient, value, table):  # one function, compiled once
    """Write the log density, and its gradient or draws of group effects where they are wanted, at points x.

    Parameters
    ----------
    n : int
        Number of parameters: u; beta, in units of its posterior; what shapes the effects; the variance parameters of
        components with covariances of their own, but for the first.
    x, gradient : arrays (n_points, n)
    value : array (n_points,)
    table : address
        Of an `EffectsRecord`.

    Returns
    -------
    int
        0; 4 where the last density is not finite. The value is NaN where there was no memory.
    """
    rows, run, shape_rows = rows_at(table, N_ROWS), ROWS.run, ROWS.shape
    n_points, wanted = rows[run.n_points, 0], rows[run.wanted, 0]
    prior_on, natural = rows[run.prior_on, 0] == 1, rows[run.natural, 0] == 1
    values = array_at(value, (n_points,), np.float64)
    for s in range(n_points):
        values[s] = np.nan
    points, slopes_out = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    variances, internal = variances_at(rows, ROWS.variances), matrix_at(rows, ROWS.to_internal, np.float64)
    own_variances = variances_at(rows, ROWS.own_variances)
    own_internal = matrix_at(rows, ROWS.own_to_internal, np.float64)
    groups, left, prior_rows, beta, errors = _data_at(rows)
    kind, what = rows[shape_rows.kind, 0], _shape_arrays(rows)
    c, L = rows[shape_rows.n_components, 0], rows[shape_rows.n_covariances, 0]
    K, constant = rows[ROWS.data.n_terms, 0], vector_at(rows, run.constant, np.float64)[0]
    n_free, n_own, n_shape = rows[run.n_free, 0], rows[run.n_own, 0], rows[run.n_shape, 0]
    M = rows[run.n_scales, 0]
    q, p, D = len(internal), len(beta[0]), errors[1].shape[1]
    shape_from, own_from = n_free + p, n_free + p + n_shape
    mixture, room = _mixture_at(rows), _room_at(rows)
    averages, slopes = _slopes_at(rows)
    Lambdas, rooms = mixture[0], (room, averages, slopes)
    work = empty(M), empty((c, q)), empty((c, q))
    weights, g_S = empty(2 * K + 2), empty((D, D))
    point = room_for_covariances(points[0, :n_free], variances)
    own_point = room_for_covariances(points[0, :n_own], own_variances)
    # No constant: what is called with one is compiled for it once more.
    first_corr_of_own, status, without_prior = n_own, 0, n_points < 0
    for s in range(n_points):
        u, g = points[s], zeros(n)
        log_density, first_corr = covariances_at(u[:n_free], variances, internal, prior_on, natural, point, g[:n_free])
        _copy(point[3], Lambdas[0])
        for k in range(1, L):
            begin = own_from + (k - 1) * n_own
            mine, g_mine = u[begin : begin + n_own], g[begin : begin + n_own]
            of_prior, first_corr_of_own = covariances_at(
                mine, own_variances, own_internal, prior_on, natural, own_point, g_mine
            )
            log_density += of_prior
            _copy(own_point[3], Lambdas[k])
        shape, g_shape = u[shape_from:own_from], g[shape_from:own_from]
        log_density += constant + _shape_mixture(kind, shape, what, mixture, work, prior_on, natural, g_shape)
        _clear(slopes)
        v = _residual_at(u[n_free:shape_from], beta)
        weights_of(point[4], None, errors[0], errors[1], errors[2], weights)
        if wanted > GRADIENT:
            _draw(rows, s, groups, v, weights[K : 2 * K], mixture, room)
            continue
        if isfinite(log_density):
            log_density += _prior_of_beta(v, prior_rows, slopes[5])
            log_density += log_likelihood(groups, left, v, weights, mixture, rooms, wanted == GRADIENT)
        status = 0
        if not isfinite(log_density):
            log_density, status = -np.inf, 4
        values[s] = log_density
        if wanted != GRADIENT:
            continue
        if status == 0:
            error_precision_gradient(point[4], None, errors[0], errors[1], errors[2], weights, slopes[6], g_S)
            add_gradient_of_covariances(
                u[:n_free], variances, internal, point, first_corr, slopes[0][0], g_S, g[:n_free]
            )
            for k in range(1, L):
                begin = own_from + (k - 1) * n_own
                mine, g_mine = u[begin : begin + n_own], g[begin : begin + n_own]
                covariances_at(mine, own_variances, own_internal, without_prior, natural, own_point, zeros(n_own))
                add_gradient_of_covariances(
                    mine, own_variances, own_internal, own_point, first_corr_of_own, slopes[0][k], zeros((D, D)), g_mine
                )
            for b in range(p):
                for a in range(p):
                    g[n_free + b] += beta[1][a, b] * slopes[5][a]
            if kind == STUDENT_T:
                slope_of_nu(shape, what[0], q, slopes, g_shape)
            else:
                slope_of_components(shape, c, what[2], what[3], work[1], mixture[3], slopes, g_shape)
        for i in range(n):
            slopes_out[s, i] = g[i] if status == 0 else 0.0
    return status
