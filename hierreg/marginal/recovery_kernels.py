"""Conditional means, covariances and draws of beta and b given the variance parameters (numba).

Given Lambda and omega the coefficients are jointly Gaussian: beta ~ N(beta_hat, P^-1), and per block
b | beta ~ N(Lambda U (-beta, 1), Lambda M^-1 Lambda'). With v = (-beta_hat, 1) and U_X the X part of U::

    E b   = Lambda U v           Var b = Lambda M^-1 Lambda' + Lambda U_X P^-1 U_X' Lambda'

beta is in internal coordinates; b is carried to the user's by the rows of Lambda = z_map Lambda_internal.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hierreg.marginal.dense_kernels import (
    inverse_from_cholesky,
    multiply,
    multiply_transposed,
    solve_lower_in_place,
)
from hierreg.marginal.kernels import (
    error_precision,
    factor_block,
    population_equations,
    solve_population,
    sum_terms,
)


@njit(cache=True, nogil=True, error_model="numpy")
def population_moments(Lambda, S, gram, errors, W0, omega, beta, beta_cov):  # type: ignore[no-untyped-def]
    """Write omega, the conditional mean of beta (S, p) and covariance (S, p, p) at each of S covariances."""
    patterns, counts = errors
    p1 = W0.shape[0]
    p = p1 - 1
    C, P, column = np.empty((p1, p1)), np.empty((p, p)), np.empty((p, 1))
    for s in range(len(Lambda)):
        error_precision(S[s], patterns, counts, omega[s])
        population_equations(omega[s], Lambda[s], gram, W0, C)
        solve_population(C, P, column)
        beta[s] = column[:, 0]
        inverse_from_cholesky(P, beta_cov[s])


@njit(cache=True, nogil=True, error_model="numpy")
def _repeated_factor(Lambda, L, F):  # type: ignore[no-untyped-def]
    """Write F = (I x Lambda) L'^-1, so that F F' = Lambda M^-1 Lambda'."""
    m, q = F.shape[0], Lambda.shape[0]
    for i in range(m):
        for j in range(m):
            F[i, j] = 0.0
    for s in range(0, m, q):
        for i in range(q):
            for j in range(q):
                F[s + i, s + j] = Lambda[i, j]
    # F L' = I x Lambda, row by row.
    for i in range(m):
        for j in range(m):
            t = F[i, j]
            for k in range(j):
                t -= F[i, k] * L[j, k]
            F[i, j] = t / L[j, j]


@njit(cache=True, nogil=True, error_model="numpy")
def block_moments(omega, Lambda, Lambda_user, blocks, v, beta_cov, mean, cov, cond_cov, cross):  # type: ignore[no-untyped-def]  # noqa: E501
    """Write the moments of b, user scale, of every block at one value of the variance parameters.

    Parameters
    ----------
    omega, Lambda, Lambda_user : arrays (K,), (q, q), (q, q)
    blocks : tuple
        indptr, term, ZtZ, ZtW.
    v : array (p + 1,)
        (-beta_hat, 1), internal scale.
    beta_cov : array (p, p)
    mean, cov, cond_cov, cross : arrays (n, m), (n, m, m), (n, m, m), (n, m, p)
        Overwritten: E b, Var b with beta integrated out, Var(b | beta), Cov(b, beta internal).
    """
    indptr, term, ZtZ, ZtW = blocks
    m, p1 = ZtW.shape[1], ZtW.shape[2]
    p = p1 - 1
    A, B, AL, L = np.empty((m, m)), np.empty((m, p1)), np.empty((m, m)), np.empty((m, m))
    U, F = np.empty((m, p1)), np.empty((m, m))
    for b in range(len(mean)):
        sum_terms(omega, indptr[b], indptr[b + 1], term, ZtZ, ZtW, A, B)
        factor_block(A, B, Lambda, AL, L, U)
        solve_lower_in_place(L, U)
        _repeated_factor(Lambda_user, L, F)
        multiply(F, U, B)
        multiply_transposed(F, F, cond_cov[b])
        for i in range(m):
            mean[b, i] = 0.0
            for c in range(p1):
                mean[b, i] += B[i, c] * v[c]
            for c in range(p):
                t = 0.0
                for k in range(p):
                    t -= B[i, k] * beta_cov[k, c]
                cross[b, i, c] = t
        for i in range(m):
            for j in range(m):
                t = cond_cov[b, i, j]
                for c in range(p):
                    t -= cross[b, i, c] * B[j, c]
                cov[b, i, j] = t


@njit(cache=True, nogil=True, error_model="numpy")
def block_draws(covariances, blocks, first, population, noise, draws, sums):  # type: ignore[no-untyped-def]
    """Write a draw of b given each draw of beta for n blocks from block ``first`` on, user scale.

    Parameters
    ----------
    covariances : tuple
        omega (S, K), Lambda (S, q, q) internal and Lambda_user (S, q, q).
    blocks : tuple
        indptr, term, ZtZ, ZtW.
    population : tuple
        beta (S, p) draws, beta_hat (S, p) conditional means, beta_cov (S, p, p), all internal, and
        ``targets`` (T, q, p): target t is b plus targets[t] @ beta (zero for b itself, rows of x_map for theta).
    noise, draws : arrays (S, n, m)
        Independent standard normals; overwritten b = F (L^-1 Lambda'(B_y - B_X beta) + noise), F = Lambda L'^-1.
    sums : array (T, 3, n, m)
        Sums over draws are added, per target: conditional mean, conditional variance, squared conditional mean.
    """
    omega, Lambda, Lambda_user = covariances
    indptr, term, ZtZ, ZtW = blocks
    beta, beta_hat, beta_cov, targets = population
    m, p1 = ZtW.shape[1], ZtW.shape[2]
    q, p = Lambda.shape[1], p1 - 1
    A, B, AL, L = np.empty((m, m)), np.empty((m, p1)), np.empty((m, m)), np.empty((m, m))
    U, F, x, r = np.empty((m, p1)), np.empty((m, m)), np.empty(m), np.empty(p)
    for b in range(draws.shape[1]):
        e = first + b
        for s in range(len(omega)):
            sum_terms(omega[s], indptr[e], indptr[e + 1], term, ZtZ, ZtW, A, B)
            factor_block(A, B, Lambda[s], AL, L, U)
            solve_lower_in_place(L, U)
            _repeated_factor(Lambda_user[s], L, F)
            for i in range(m):
                x[i] = U[i, p] + noise[s, b, i]
                for c in range(p):
                    x[i] -= U[i, c] * beta[s, c]
            multiply(F, U, B)
            for i in range(m):
                t, variance = 0.0, 0.0
                for k in range(m):
                    t += F[i, k] * x[k]
                    variance += F[i, k] * F[i, k]
                draws[s, b, i] = t
                for g in range(len(targets)):
                    hat, var = B[i, p], variance
                    for c in range(p):
                        r[c] = targets[g, i % q, c] - B[i, c]
                        hat += r[c] * beta_hat[s, c]
                    for c in range(p):
                        for d in range(p):
                            var += r[c] * beta_cov[s, c, d] * r[d]
                    sums[g, 0, b, i] += hat
                    sums[g, 1, b, i] += var
                    sums[g, 2, b, i] += hat * hat
