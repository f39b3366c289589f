"""From the covariance of errors to what likelihoods read of it, and back for gradients (numba).

A likelihood is a function of Lambda and of R^-1 = sum_k omega[k] K[k], fixed matrices K[k] in which the data were
collected. It reads one vector, the *weights*: omega (K,), the roots of the patterns' precisions (K,), log|R|, and by
what factor correlations enlarge the precision of a row.
"""

from __future__ import annotations

from math import log

import numpy as np
from numba import njit

from hierreg.compiled.dense_kernels import cholesky_in_place, inverse_from_cholesky, sandwich


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def place_of(n, d, e):
    """Return the place of the pair d <= e among those of n data sets."""
    return d * n - d * (d - 1) // 2 + e - d


@njit(cache=True, nogil=True, error_model="numpy")
def weights_of(S, errors, weights):
    """Write the weights (2 K + 2,) of an error covariance S (D, D); log|R| is NaN where S is not definite.

    ``errors`` are the patterns (M, D) of `ErrorTerms`, and how many units have each (M,).
    """
    patterns, counts = errors
    K = (len(weights) - 2) // 2
    omega = weights[:K]
    weights[2 * K] = error_precision(S, patterns, counts, omega)
    error_roots(S, patterns, weights[K : 2 * K])
    growth, k = 1.0, 0
    for m in range(len(counts)):
        for d in range(patterns.shape[1]):
            for e in range(d, patterns.shape[1]):
                if patterns[m, d] and patterns[m, e]:
                    if d == e:
                        growth = max(growth, omega[k] * S[d, d])
                    k += 1
    weights[2 * K + 1] = growth


@njit(cache=True, nogil=True, error_model="numpy")
def error_precision(S, patterns, counts, omega):
    """Write the entries omega of R^-1 for error covariance S (D, D); return log|R|, NaN where S is not definite."""
    M, D = patterns.shape
    work, inv = np.empty((D, D)), np.empty((D, D))
    place = np.empty(D, dtype=np.int64)
    log_det = 0.0
    k = 0
    for m in range(M):
        n = _gather(S, patterns[m], place, work)
        if not cholesky_in_place(work, n):
            return np.nan
        for i in range(n):
            log_det += 2.0 * counts[m] * log(work[i, i])
        inverse_from_cholesky(work, n, inv)
        for i in range(n):
            for j in range(i, n):
                omega[k] = inv[i, j]
                k += 1
    return log_det


@njit(cache=True, nogil=True, error_model="numpy")
def error_precision_gradient(S, patterns, counts, g_omega, g_S):
    """Write d/dS (symmetric) of a function with gradient g_omega, minus half of d log|R| / dS."""
    M, D = patterns.shape
    work, inv = np.empty((D, D)), np.empty((D, D))
    T, E = np.empty((D, D)), np.empty((D, D))
    place = np.empty(D, dtype=np.int64)
    g_S[:] = 0.0
    k = 0
    for m in range(M):
        n = _gather(S, patterns[m], place, work)
        cholesky_in_place(work, n)
        inverse_from_cholesky(work, n, inv)
        for i in range(n):
            for j in range(i, n):
                T[i, j] = g_omega[k] if i == j else 0.5 * g_omega[k]
                T[j, i] = T[i, j]
                k += 1
        sandwich(inv, T, n, work, E)
        for i in range(n):
            for j in range(n):
                g_S[place[i], place[j]] -= E[i, j] + 0.5 * counts[m] * inv[i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def error_roots(S, patterns, root):
    """Write T of each pattern, lower triangular, T'T the inverse of its S; T[e, d] stands where omega has (d, e)."""
    M, D = patterns.shape
    work, place = np.empty((D, D)), np.empty(D, dtype=np.int64)
    start = 0
    for m in range(M):
        n = _gather(S, patterns[m], place, work)
        if not cholesky_in_place(work, n):
            for k in range(n * (n + 1) // 2):
                root[start + k] = np.nan
        else:
            for d in range(n):
                for e in range(d, n):
                    x = 1.0 if d == e else 0.0
                    for k in range(d, e):
                        x -= work[e, k] * root[start + place_of(n, d, k)]
                    root[start + place_of(n, d, e)] = x / work[e, e]
        start += n * (n + 1) // 2


@njit(cache=True, nogil=True, error_model="numpy")
def weights_of_draws(S, errors, weights):
    """Write `weights_of` of each of S covariances (S, D, D)."""
    for s in range(len(S)):
        weights_of(S[s], errors, weights[s])


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(S, pattern, place, out):
    n = 0
    for d in range(len(pattern)):
        if pattern[d]:
            place[n] = d
            n += 1
    for i in range(n):
        for j in range(n):
            out[i, j] = S[place[i], place[j]]
    return n
