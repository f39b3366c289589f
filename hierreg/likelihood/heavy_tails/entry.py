"""log p(u, beta, shape | y) of models with heavy tails or mixtures, and draws of their groups, as one C function."""

from __future__ import annotations

from math import exp, isfinite

import numpy as np
from numba import types

from hierreg.compiled.address_kernels import GRADIENT, WIDTH, Row, matrix_at, stack_at, vector_at
from hierreg.compiled.array_kernels import array_at, empty, zeros
from hierreg.compiled.parts import callback, part
from hierreg.likelihood.heavy_tails.draw_kernels import draw_groups
from hierreg.likelihood.heavy_tails.kernels import log_likelihood
from hierreg.likelihood.heavy_tails.shape_kernels import (
    STUDENT_T,
    components_of,
    nu_at,
    place_scales,
    prior_of_components,
    slope_of_components,
    slope_of_nu,
)
from hierreg.variances.kernels import add_gradient_of_covariances, covariances_at, room_for_covariances
from hierreg.variances.precision_kernels import error_precision_gradient, weights_of

# Rows of the table (see `target.EffectsTarget.table`): variance parameters, those of further components, data, shape,
# and what is wanted.
OWN, DATA, SHAPE, RUN, ROOM, N_ROWS = 17, 34, 47, 54, 70, 97
_OWN, _DATA, _SHAPE, _RUN, _ROOM = Row(OWN), Row(DATA), Row(SHAPE), Row(RUN), Row(ROOM)

FUNCTION = types.int64(
    types.uint64,
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.voidptr,
)


@part
def _variances_at(table, i):
    """Return the tuple that `variances.kernels.covariances_at` reads, from row i on, and the map to internal Lambda."""
    variances = (
        table[i, 0],
        vector_at(table, i + 1, np.int64),
        vector_at(table, i + 2, np.int64),
        matrix_at(table, i + 3, np.float64),
        vector_at(table, i + 4, np.bool_),
        vector_at(table, i + 5, np.float64),
        matrix_at(table, i + 6, np.float64),
        (
            vector_at(table, i + 7, np.int64),
            vector_at(table, i + 8, np.int64),
            vector_at(table, i + 9, np.float64),
            vector_at(table, i + 10, np.int64),
            vector_at(table, i + 11, np.float64),
            vector_at(table, i + 12, np.bool_),
            vector_at(table, i + 13, np.float64),
            vector_at(table, i + 14, np.float64),
        ),
        vector_at(table, i + 15, np.float64),
    )
    return variances, matrix_at(table, i + 16, np.float64)


@part
def _data_at(table):
    """Return groups and what is left of the rows (`kernels.log_likelihood`), pseudo-observations, beta and errors."""
    i = _DATA
    groups = (
        vector_at(table, i, np.int64),
        vector_at(table, i + 1, np.int64),
        matrix_at(table, i + 2, np.float64),
        matrix_at(table, i + 3, np.float64),
    )
    left = matrix_at(table, i + 4, np.float64), vector_at(table, i + 5, np.int64)
    beta = vector_at(table, i + 7, np.float64), matrix_at(table, i + 8, np.float64)
    errors = (
        vector_at(table, i + 9, np.int64),
        matrix_at(table, i + 10, np.bool_),
        vector_at(table, i + 11, np.float64),
    )
    return groups, left, matrix_at(table, i + 6, np.float64), beta, errors


@part
def _shape_arrays(table):
    """Return the arrays that say what shapes the effects: of nu, of components, their unit and their frame."""
    i = _SHAPE
    return (
        vector_at(table, i + 1, np.float64),
        vector_at(table, i + 4, np.float64),
        vector_at(table, i + 5, np.float64),
        matrix_at(table, i + 6, np.float64),
    )


@part
def _mixture_at(table, i):
    """Return room for a mixture (`kernels`)."""
    return (
        stack_at(table, i),
        vector_at(table, i + 1, np.int64),
        matrix_at(table, i + 2, np.float64),
        vector_at(table, i + 3, np.float64),
        vector_at(table, i + 4, np.float64),
        vector_at(table, i + 5, np.float64),
    )


@part
def _room_at(table, i):
    """Return room for one group (`kernels.weigh`)."""
    return (
        stack_at(table, i),
        stack_at(table, i + 1),
        matrix_at(table, i + 2, np.float64),
        matrix_at(table, i + 3, np.float64),
        matrix_at(table, i + 4, np.float64),
        matrix_at(table, i + 5, np.float64),
        stack_at(table, i + 6),
        matrix_at(table, i + 7, np.float64),
        matrix_at(table, i + 8, np.float64),
        vector_at(table, i + 9, np.float64),
    )


@part
def _slopes_at(table, i):
    """Return averages and slopes (`kernels.differentiate`)."""
    averages = (
        vector_at(table, i, np.float64),
        vector_at(table, i + 1, np.float64),
        matrix_at(table, i + 2, np.float64),
        vector_at(table, i + 3, np.float64),
    )
    slopes = (
        stack_at(table, i + 4),
        matrix_at(table, i + 5, np.float64),
        vector_at(table, i + 6, np.float64),
        vector_at(table, i + 7, np.float64),
        vector_at(table, i + 8, np.float64),
        vector_at(table, i + 9, np.float64),
        vector_at(table, i + 10, np.float64),
    )
    return averages, slopes


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
    i = _RUN
    uniform, square = matrix_at(table, i + 11, np.float64), matrix_at(table, i + 14, np.float64)
    normal, effects, probability = stack_at(table, i + 12), stack_at(table, i + 13), stack_at(table, i + 15)
    random, out = (uniform[s], normal[s]), (effects[s], square[s], probability[s])
    draw_groups(table[i + 9, 0], groups, v, roots, mixture, room, random, out)


@callback(FUNCTION)
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

    Returns
    -------
    int
        0; 4 where the last density is not finite. The value is NaN where there was no memory.
    """
    rows = array_at(table, (N_ROWS, WIDTH), np.int64)
    n_points, wanted = rows[_RUN, 0], rows[_RUN + 1, 0]
    prior_on, natural = rows[_RUN + 2, 0] == 1, rows[_RUN + 3, 0] == 1
    values = array_at(value, (n_points,), np.float64)
    for s in range(n_points):
        values[s] = np.nan
    points, slopes_out = array_at(x, (n_points, n), np.float64), array_at(gradient, (n_points, n), np.float64)
    variances, internal = _variances_at(rows, Row(0))
    own_variances, own_internal = _variances_at(rows, _OWN)
    groups, left, prior_rows, beta, errors = _data_at(rows)
    kind, c, L, what = rows[_SHAPE, 0], rows[_SHAPE + 2, 0], rows[_SHAPE + 3, 0], _shape_arrays(rows)
    K, constant = rows[_DATA + 12, 0], vector_at(rows, _RUN + 4, np.float64)[0]
    n_free, n_own, n_shape, M = rows[_RUN + 5, 0], rows[_RUN + 6, 0], rows[_RUN + 7, 0], rows[_RUN + 8, 0]
    q, p, D = len(internal), len(beta[0]), errors[1].shape[1]
    shape_from, own_from = n_free + p, n_free + p + n_shape
    mixture, room = _mixture_at(rows, _ROOM), _room_at(rows, _ROOM + 6)
    averages, slopes = _slopes_at(rows, _ROOM + 16)
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
        weights_of(point[4], errors, weights)
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
            error_precision_gradient(point[4], errors, weights, slopes[6], g_S)
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
