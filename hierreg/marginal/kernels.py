"""The marginal likelihood with all Gaussian coefficients integrated out, and its gradient (numba).

DESIGN in one page. Per block of b, with Lambda a square factor of Sigma and W = [X y]::

    A = sum_k omega[k] ZtZ[k]      B = sum_k omega[k] ZtW[k]      M = I + Lambda' A Lambda = L L'
    U = M^-1 Lambda' B             log|V| = log|R| + sum log|M|
    W'V^-1 W = sum_k omega[k] WtW[k] - sum over blocks (Lambda' B)' U

and then, with P = X'V^-1 X + prior precision of beta, beta_hat the conditional mean, v = (-beta_hat, 1),
G = v v' + [[P^-1, 0], [0, 0]] (without P^-1 where beta is profiled out) and H = B - A Lambda U::

    d log p / d Lambda   = sum over blocks  H G U' - A Lambda M^-1
    d log p / d omega[k] = -1/2 ( sum over blocks <N, ZtZ[k]> - 2 <Q, ZtW[k]>  + <G, WtW[k]> )
        Q = Lambda U G,     N = Lambda M^-1 Lambda' + Q (Lambda U)'

A block holds one group, or several groups linked by correlated errors; Lambda repeats along its diagonal.
Entries of A and B are stored block by block with only the terms k that occur there.
"""

from __future__ import annotations

from math import log, pi

import numpy as np
from numba import njit

from hierreg.marginal.dense_kernels import (
    cholesky_in_place,
    inverse_from_cholesky,
    multiply,
    multiply_transposed,
    solve_lower_in_place,
    solve_lower_transposed_in_place,
)


@njit(cache=True, nogil=True, error_model="numpy")
def error_precision(S, patterns, counts, omega):  # type: ignore[no-untyped-def]
    """Write the entries omega of R^-1 for error covariance S (D, D); return log|R|, NaN where S is not definite."""
    M, D = patterns.shape
    work, inv = np.empty((D, D)), np.empty((D, D))
    place = np.empty(D, dtype=np.int64)
    log_det = 0.0
    k = 0
    for m in range(M):
        n = _gather(S, patterns[m], place, work)
        if not cholesky_in_place(work[:n, :n]):
            return np.nan
        for i in range(n):
            log_det += 2.0 * counts[m] * log(work[i, i])
        inverse_from_cholesky(work[:n, :n], inv[:n, :n])
        for i in range(n):
            for j in range(i, n):
                omega[k] = inv[i, j]
                k += 1
    return log_det


@njit(cache=True, nogil=True, error_model="numpy")
def error_precision_gradient(S, patterns, counts, g_omega, g_S):  # type: ignore[no-untyped-def]
    """Write d/dS (symmetric) of a function with gradient g_omega, minus half of d log|R| / dS."""
    M, D = patterns.shape
    work, inv = np.empty((D, D)), np.empty((D, D))
    T, E = np.empty((D, D)), np.empty((D, D))
    place = np.empty(D, dtype=np.int64)
    g_S[:] = 0.0
    k = 0
    for m in range(M):
        n = _gather(S, patterns[m], place, work)
        cholesky_in_place(work[:n, :n])
        inverse_from_cholesky(work[:n, :n], inv[:n, :n])
        for i in range(n):
            for j in range(i, n):
                T[i, j] = g_omega[k] if i == j else 0.5 * g_omega[k]
                T[j, i] = T[i, j]
                k += 1
        multiply(inv[:n, :n], T[:n, :n], E[:n, :n])
        multiply(E[:n, :n], inv[:n, :n], T[:n, :n])
        for i in range(n):
            for j in range(n):
                g_S[place[i], place[j]] -= T[i, j] + 0.5 * counts[m] * inv[i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(S, pattern, place, out):  # type: ignore[no-untyped-def]
    n = 0
    for d in range(len(pattern)):
        if pattern[d]:
            place[n] = d
            n += 1
    for i in range(n):
        for j in range(n):
            out[i, j] = S[place[i], place[j]]
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def sum_terms(omega, start, stop, term, ZtZ, ZtW, A, B):  # type: ignore[no-untyped-def]
    """Write A = sum omega ZtZ and B = sum omega ZtW over the entries start..stop of one block."""
    m, p1 = B.shape
    for e in range(start, stop):
        w = omega[term[e]]
        if e == start:
            for i in range(m):
                for j in range(m):
                    A[i, j] = w * ZtZ[e, i, j]
                for j in range(p1):
                    B[i, j] = w * ZtW[e, i, j]
        else:
            for i in range(m):
                for j in range(m):
                    A[i, j] += w * ZtZ[e, i, j]
                for j in range(p1):
                    B[i, j] += w * ZtW[e, i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def factor_block(A, B, Lambda, AL, L, U):  # type: ignore[no-untyped-def]
    """Write AL = A Lambda, the Cholesky factor L of M = I + Lambda' A Lambda, and U = M^-1 Lambda' B.

    Lambda (q, q) repeats along the diagonal of the block. Returns False where M is not finite.
    """
    m, p1 = B.shape
    q = Lambda.shape[0]
    for s in range(0, m, q):
        for i in range(m):
            for j in range(q):
                t = 0.0
                for k in range(q):
                    t += A[i, s + k] * Lambda[k, j]
                AL[i, s + j] = t
    for s in range(0, m, q):
        for i in range(q):
            for j in range(m):
                t = 0.0
                for k in range(q):
                    t += Lambda[k, i] * AL[s + k, j]
                L[s + i, j] = t
            L[s + i, s + i] += 1.0
            for j in range(p1):
                t = 0.0
                for k in range(q):
                    t += Lambda[k, i] * B[s + k, j]
                U[s + i, j] = t
    if not cholesky_in_place(L):
        return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def absorb_blocks(omega, Lambda, indptr, term, ZtZ, ZtW, C):  # type: ignore[no-untyped-def]
    """Subtract (Lambda' B)' M^-1 Lambda' B of every block from C; return the sum of log|M|, NaN on failure."""
    if len(indptr) == 1:
        return 0.0
    m, p1 = ZtW.shape[1], ZtW.shape[2]
    A, B, AL, L = np.empty((m, m)), np.empty((m, p1)), np.empty((m, m)), np.empty((m, m))
    U = np.empty((m, p1))
    log_det = 0.0
    for b in range(len(indptr) - 1):
        sum_terms(omega, indptr[b], indptr[b + 1], term, ZtZ, ZtW, A, B)
        if not factor_block(A, B, Lambda, AL, L, U):
            return np.nan
        solve_lower_in_place(L, U)
        det = 1.0
        for i in range(m):
            det *= L[i, i]
            if det > 1e200:
                log_det += 2.0 * log(det)
                det = 1.0
        log_det += 2.0 * log(det)
        for i in range(p1):
            for j in range(i + 1):
                t = 0.0
                for k in range(m):
                    t += U[k, i] * U[k, j]
                C[i, j] -= t
    return log_det


@njit(cache=True, nogil=True, error_model="numpy")
def gradient_of_blocks(omega, Lambda, indptr, term, ZtZ, ZtW, G, g_Lambda, g_omega):  # type: ignore[no-untyped-def]
    """Add the blocks' part of the gradient to g_Lambda (q, q) and g_omega (K,)."""
    if len(indptr) == 1:
        return
    m, p1 = ZtW.shape[1], ZtW.shape[2]
    q = Lambda.shape[0]
    A, B, AL, L = np.empty((m, m)), np.empty((m, p1)), np.empty((m, m)), np.empty((m, m))
    U, LU, Q, H, HG = (
        np.empty((m, p1)),
        np.empty((m, p1)),
        np.empty((m, p1)),
        np.empty((m, p1)),
        np.empty((m, p1)),
    )
    Minv, LM, N = np.empty((m, m)), np.empty((m, m)), np.empty((m, m))
    for b in range(len(indptr) - 1):
        sum_terms(omega, indptr[b], indptr[b + 1], term, ZtZ, ZtW, A, B)
        factor_block(A, B, Lambda, AL, L, U)
        solve_lower_in_place(L, U)
        solve_lower_transposed_in_place(L, U)
        inverse_from_cholesky(L, Minv)
        multiply(AL, U, H)
        for i in range(m):
            for j in range(p1):
                H[i, j] = B[i, j] - H[i, j]
        multiply(H, G, HG)
        for s in range(0, m, q):
            for i in range(q):
                for j in range(q):
                    t = 0.0
                    for c in range(p1):
                        t += HG[s + i, c] * U[s + j, c]
                    for k in range(m):
                        t -= AL[s + i, k] * Minv[k, s + j]
                    g_Lambda[i, j] += t
        _left_by_repeated(Lambda, U, LU)
        multiply(LU, G, Q)
        _left_by_repeated(Lambda, Minv, LM)
        _right_by_repeated_transposed(LM, Lambda, N)
        for i in range(m):
            for j in range(m):
                t = N[i, j]
                for c in range(p1):
                    t += Q[i, c] * LU[j, c]
                N[i, j] = t
        for e in range(indptr[b], indptr[b + 1]):
            t = 0.0
            for i in range(m):
                for j in range(m):
                    t += N[i, j] * ZtZ[e, i, j]
                for j in range(p1):
                    t -= 2.0 * Q[i, j] * ZtW[e, i, j]
            g_omega[term[e]] -= 0.5 * t


@njit(cache=True, nogil=True, error_model="numpy")
def _left_by_repeated(Lambda, X, out):  # type: ignore[no-untyped-def]
    """Write (I x Lambda) X to out."""
    q = Lambda.shape[0]
    for s in range(0, X.shape[0], q):
        for i in range(q):
            for j in range(X.shape[1]):
                t = 0.0
                for k in range(q):
                    t += Lambda[i, k] * X[s + k, j]
                out[s + i, j] = t


@njit(cache=True, nogil=True, error_model="numpy")
def _right_by_repeated_transposed(X, Lambda, out):  # type: ignore[no-untyped-def]
    """Write X (I x Lambda)' to out."""
    q = Lambda.shape[0]
    for s in range(0, X.shape[1], q):
        multiply_transposed(X[:, s : s + q], Lambda, out[:, s : s + q])


@njit(cache=True, nogil=True, error_model="numpy")
def population_equations(omega, Lambda, gram, W0, C):  # type: ignore[no-untyped-def]
    """Write C = W'V^-1 W + W0 (both triangles); return the sum of log|M| over blocks, NaN on failure."""
    (WtW, indptr1, term1, ZtZ1, ZtW1, indptr2, term2, ZtZ2, ZtW2) = gram
    p1 = C.shape[0]
    for i in range(p1):
        for j in range(i + 1):
            t = W0[i, j]
            for k in range(len(omega)):
                t += omega[k] * WtW[k, i, j]
            C[i, j] = t
    log_det = absorb_blocks(omega, Lambda, indptr1, term1, ZtZ1, ZtW1, C)
    log_det += absorb_blocks(omega, Lambda, indptr2, term2, ZtZ2, ZtW2, C)
    for i in range(p1):
        for j in range(i):
            C[j, i] = C[i, j]
    return log_det


@njit(cache=True, nogil=True, error_model="numpy")
def solve_population(C, P, beta):  # type: ignore[no-untyped-def]
    """Write the Cholesky factor of P = C[:p, :p] and beta = P^-1 C[:p, p]; return log|P| and the residual form."""
    p = C.shape[0] - 1
    for i in range(p):
        beta[i, 0] = C[i, p]
        for j in range(p):
            P[i, j] = C[i, j]
    if not cholesky_in_place(P):
        return np.nan, np.nan
    solve_lower_in_place(P, beta)
    log_det, quadratic = 0.0, C[p, p]
    for i in range(p):
        log_det += 2.0 * log(P[i, i])
        quadratic -= beta[i, 0] * beta[i, 0]
    solve_lower_transposed_in_place(P, beta)
    return log_det, quadratic


@njit(cache=True, nogil=True, error_model="numpy")
def log_likelihood(Lambda, S, gram, errors, W0, constant, integrate, g_Lambda, g_S):  # type: ignore[no-untyped-def]
    """Return the marginal log likelihood and write its gradient to g_Lambda (q, q) and g_S (D, D).

    ``constant`` holds what does not depend on the arguments; ``integrate`` is False where beta is profiled
    out (maximum likelihood). Returns -inf where a matrix is not positive definite.
    """
    patterns, counts = errors
    WtW, indptr1, term1, ZtZ1, ZtW1, indptr2, term2, ZtZ2, ZtW2 = gram
    K, p1 = WtW.shape[0], WtW.shape[1]
    p = p1 - 1
    omega, g_omega = np.empty(K), np.zeros(K)
    C, P, beta, G = np.empty((p1, p1)), np.empty((p, p)), np.empty((p, 1)), np.zeros((p1, p1))
    g_Lambda[:] = 0.0
    g_S[:] = 0.0
    log_det_R = error_precision(S, patterns, counts, omega)
    log_det_M = population_equations(omega, Lambda, gram, W0, C)
    log_det_P, quadratic = solve_population(C, P, beta)
    value = constant - 0.5 * (log_det_R + log_det_M + quadratic)
    if integrate:
        value -= 0.5 * log_det_P
        inverse_from_cholesky(P, G[:p, :p])
    if not np.isfinite(value):
        return -np.inf
    for i in range(p):
        for j in range(p):
            G[i, j] += beta[i, 0] * beta[j, 0]
        G[i, p] = -beta[i, 0]
        G[p, i] = -beta[i, 0]
    G[p, p] = 1.0
    for k in range(K):
        t = 0.0
        for i in range(p1):
            for j in range(p1):
                t += G[i, j] * WtW[k, i, j]
        g_omega[k] = -0.5 * t
    gradient_of_blocks(omega, Lambda, indptr1, term1, ZtZ1, ZtW1, G, g_Lambda, g_omega)
    gradient_of_blocks(omega, Lambda, indptr2, term2, ZtZ2, ZtW2, G, g_Lambda, g_omega)
    error_precision_gradient(S, patterns, counts, g_omega, g_S)
    return value


LOG_2PI = log(2.0 * pi)
