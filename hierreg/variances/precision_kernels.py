"""From the covariance of errors to what likelihoods read of it, and back for gradients (numba).

A likelihood is a function of Lambda and of R^-1 = sum_k omega[k] K[k], fixed matrices K[k] in which the data were
collected. It reads one vector, the *weights*: omega (K,), the roots of the patterns' precisions (K,), log|R|, and by
what factor correlations enlarge the precision of a row.

A pattern with a gap d > 0 is two neighbours in time of AR(1) errors (`errors.ar1`), d steps apart: with
v = S[0, 0], rho = S[0, 1] / v and r = rho^d it has the precision of what r e_1 leaves of e_2, a (-r, 1)'(-r, 1) with
a = 1 / (v (1 - r^2)), which is no inverse, and adds log(v (1 - r^2)) to log|R|.
"""

from __future__ import annotations

from math import expm1, log, log1p, nan, sqrt

from hierreg.compiled.array_kernels import local, local_integers
from hierreg.compiled.dense_kernels import cholesky_in_place, sandwich
from hierreg.compiled.parts import part, whole


@part
def place_of(n, d, e):
    """Return the place of the pair d <= e among those of n data sets."""
    return d * n - d * (d - 1) // 2 + e - d


@part
def weights_of(S, columns, gaps, patterns, counts, weights):
    """Write the weights (2 K + 2,) of an error covariance S (D, D); log|R| is NaN where S is not definite.

    Parameters
    ----------
    columns : int array (M,) or None
        The only data set of each pattern; None where they may have several.
    gaps : int array (M,) or None
        Those of `ErrorTerms`; None where there are none. For what is None no code is compiled.
    patterns, counts : arrays (M, D), (M,)
        Of `ErrorTerms`, and how many units have each. The root of a pattern is T, lower triangular, T'T its precision;
        T[e, d] stands where omega has (d, e).
    """
    if columns is not None:
        _diagonal_weights(S, columns, counts, weights)
        return
    M, D = patterns.shape
    K = (len(weights) - 2) // 2
    omega, root = weights[:K], weights[K : 2 * K]
    work, place = local((D, D)), local_integers(D)
    log_det, growth, k = 0.0, 1.0, 0
    for m in range(M):
        if _has_gap(gaps, m):
            of_gap, inflation = _weights_over_gap(S, gaps, m, counts[m], omega[k : k + 3], root[k : k + 3])
            log_det += of_gap
            growth = max(growth, inflation)
            k += 3
            continue
        n = places_of(patterns[m], place)
        for i in range(n):
            for j in range(n):
                work[i, j] = S[place[i], place[j]]
        is_definite = cholesky_in_place(work, n)
        for d in range(n):
            for e in range(d, n):
                x = 1.0 if d == e else 0.0
                for j in range(d, e):
                    x -= work[e, j] * root[k + place_of(n, d, j)]
                root[k + place_of(n, d, e)] = x / work[e, e] if is_definite else nan
            log_det += 2.0 * counts[m] * (log(work[d, d]) if is_definite else nan)
        for d in range(n):
            for e in range(d, n):
                x = 0.0
                for i in range(e, n):
                    x += root[k + place_of(n, d, i)] * root[k + place_of(n, e, i)]
                omega[k + place_of(n, d, e)] = x
            inflation = omega[k + place_of(n, d, d)] * S[place[d], place[d]]
            growth = max(growth, inflation)
        k += n * (n + 1) // 2
    weights[2 * K], weights[2 * K + 1] = log_det, growth


@part
def _has_gap(gaps, m):
    """Return whether a pattern is two neighbours in time."""
    return False if gaps is None else gaps[m] > 0


@part
def _weights_over_gap(S, gaps, m, count, omega, root):
    """Write the weights (3,) of a pattern with a gap; return its log determinant and what it enlarges precision by."""
    if gaps is None:
        return 0.0, 1.0
    r, left = over_gap(S, gaps[m])
    v = S[0, 0] if S[0, 0] > 0.0 and left > 0.0 else nan
    root[0], root[2] = 0.0, 1.0 / sqrt(v * left)
    root[1] = -r * root[2]
    omega[2] = 1.0 / (v * left)
    omega[1] = -r * omega[2]
    omega[0] = r * r * omega[2]
    return count * (log(v) + log(left)), (1.0 + r * r) / left


@part
def _diagonal_weights(S, columns, counts, weights):
    """Write the weights where each pattern has one data set."""
    M = len(columns)
    log_det = 0.0
    for m in range(M):
        d = columns[m]
        variance = S[d, d] if S[d, d] > 0.0 else nan
        weights[m] = 1.0 / variance
        weights[M + m] = 1.0 / sqrt(variance)
        log_det += counts[m] * log(variance)
    weights[2 * M], weights[2 * M + 1] = log_det, 1.0


@part
def over_gap(S, gap):
    """Return r = rho^gap of AR(1) errors, and 1 - r^2 with the digits of S[0, 0] - |S[0, 1]|; NaN where |rho| > 1."""
    rho, distance = S[0, 1] / S[0, 0], (S[0, 0] - abs(S[0, 1])) / S[0, 0]
    return rho**gap, -expm1(2.0 * gap * log1p(-distance)) if distance > 0.0 else nan


@part
def error_precision_gradient(S, columns, gaps, patterns, counts, weights, g_omega, g_S):
    """Write d/dS (symmetric) of a function with gradient g_omega, minus half of d log|R| / dS.

    ``weights`` are those at S; see `weights_of`.
    """
    g_S[:] = 0.0
    if columns is not None:
        for m in range(len(columns)):
            d = columns[m]
            g_S[d, d] -= weights[m] * (weights[m] * g_omega[m] + 0.5 * counts[m])
        return
    M, D = patterns.shape
    inv, T = local((D, D)), local((D, D))
    work, E = local((D, D)), local((D, D))
    place = local_integers(D)
    k = 0
    for m in range(M):
        if _has_gap(gaps, m):
            add_gradient_over_gap(S, gaps, m, counts[m], g_omega[k : k + 3], g_S)
            k += 3
            continue
        n = places_of(patterns[m], place)
        for i in range(n):
            for j in range(i, n):
                T[i, j] = g_omega[k] if i == j else 0.5 * g_omega[k]
                T[j, i] = T[i, j]
                inv[i, j] = weights[k]
                inv[j, i] = inv[i, j]
                k += 1
        sandwich(inv, T, n, work, E)
        for i in range(n):
            for j in range(n):
                g_S[place[i], place[j]] -= E[i, j] + 0.5 * counts[m] * inv[i, j]


@part
def add_gradient_over_gap(S, gaps, m, count, g_omega, g_S):
    """Add to g_S what `error_precision_gradient` writes of pattern m, which has a gap."""
    if gaps is None:
        return
    gap = gaps[m]
    v, rho = S[0, 0], S[0, 1] / S[0, 0]
    r, left = over_gap(S, gap)
    a = 1.0 / (v * left)
    g_v = -(r * r * g_omega[0] - r * g_omega[1] + g_omega[2]) * a / v - 0.5 * count / v
    g_r = (2.0 * r * (g_omega[0] + g_omega[2]) - (1.0 + r * r) * g_omega[1]) * a / left + count * r / left
    g_rho = g_r * gap * rho ** (gap - 1)
    g_S[0, 0] += g_v - g_rho * rho / v
    g_S[0, 1] += 0.5 * g_rho / v
    g_S[1, 0] += 0.5 * g_rho / v


@part
def places_of(pattern, place):
    """Write the data sets of a pattern (D,) to place, in order; return how many they are."""
    n = 0
    for d in range(len(pattern)):
        if pattern[d]:
            place[n] = d
            n += 1
    return n


@whole
def weights_or_gradient(S, errors, g_omega, weights, g_S):
    """Write the weights (S, 2 K + 2) at covariances S (S, D, D); with g_omega (K,) the gradient (D, D) at the first.

    One function, so that the two, which share what they call, are compiled together.
    """
    gaps, patterns, counts = errors
    for s in range(len(S)):
        weights_of(S[s], None, gaps, patterns, counts, weights[s])
    if len(g_omega) > 0:
        error_precision_gradient(S[0], None, gaps, patterns, counts, weights[0], g_omega, g_S)
