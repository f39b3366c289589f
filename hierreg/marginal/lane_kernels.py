"""Dense linear algebra on LANES small matrices at once (numba).

Every array has LANES as its last axis, and every innermost loop runs over it, so that the compiler turns it into
vector instructions. A group is one lane: at two or three columns a group has too little arithmetic to fill them.
No test is made inside: what is not positive definite comes out as NaN.
"""

from __future__ import annotations

from math import sqrt

from numba import njit

from hierreg.marginal.lanes import LANES


@njit(cache=True, nogil=True, error_model="numpy")
def sum_terms(omega, start, stop, term, ZtZ, ZtW, A, B):  # type: ignore[no-untyped-def]
    """Write A = sum omega ZtZ (m, m) and B = sum omega ZtW (m, c) over the entries start..stop."""
    m, c = B.shape[0], B.shape[1]
    A[:] = 0.0
    B[:] = 0.0
    for e in range(start, stop):
        w = omega[term[e]]
        for i in range(m):
            for j in range(m):
                for l in range(LANES):
                    A[i, j, l] += w * ZtZ[e, i, j, l]
            for j in range(c):
                for l in range(LANES):
                    B[i, j, l] += w * ZtW[e, i, j, l]


@njit(cache=True, nogil=True, error_model="numpy")
def repeated_times(Lambda, transposed, X, out):  # type: ignore[no-untyped-def]
    """Write (I x Lambda) X or (I x Lambda') X to out, both (m, c)."""
    q = Lambda.shape[0]
    m, c = X.shape[0], X.shape[1]
    for i in range(m):
        s = i - i % q
        for j in range(c):
            for l in range(LANES):
                out[i, j, l] = 0.0
            for k in range(q):
                f = Lambda[k, i - s] if transposed else Lambda[i - s, k]
                for l in range(LANES):
                    out[i, j, l] += f * X[s + k, j, l]


@njit(cache=True, nogil=True, error_model="numpy")
def times_repeated(X, Lambda, transposed, out):  # type: ignore[no-untyped-def]
    """Write X (I x Lambda) or X (I x Lambda') to out, both (m, m)."""
    q = Lambda.shape[0]
    m, c = X.shape[0], X.shape[1]
    for i in range(m):
        for j in range(c):
            s = j - j % q
            for l in range(LANES):
                out[i, j, l] = 0.0
            for k in range(q):
                f = Lambda[j - s, k] if transposed else Lambda[k, j - s]
                for l in range(LANES):
                    out[i, j, l] += X[i, s + k, l] * f


@njit(cache=True, nogil=True, error_model="numpy")
def times_matrix(X, G, out):  # type: ignore[no-untyped-def]
    """Write X G to out (m, d), for the first c columns of X and one matrix G (c, d) common to all lanes."""
    m = X.shape[0]
    c, d = G.shape
    for i in range(m):
        for j in range(d):
            for l in range(LANES):
                out[i, j, l] = 0.0
            for k in range(c):
                f = G[k, j]
                for l in range(LANES):
                    out[i, j, l] += X[i, k, l] * f


@njit(cache=True, nogil=True, error_model="numpy")
def times(A, B, out):  # type: ignore[no-untyped-def]
    """Write A B to out (m, c)."""
    m, c, inner = A.shape[0], B.shape[1], A.shape[1]
    for i in range(m):
        for j in range(c):
            for l in range(LANES):
                out[i, j, l] = 0.0
            for k in range(inner):
                for l in range(LANES):
                    out[i, j, l] += A[i, k, l] * B[k, j, l]


@njit(cache=True, nogil=True, error_model="numpy")
def add_times_transposed(A, B, out):  # type: ignore[no-untyped-def]
    """Add A B' to out (m, n)."""
    m, n, inner = A.shape[0], B.shape[0], A.shape[1]
    for i in range(m):
        for j in range(n):
            for k in range(inner):
                for l in range(LANES):
                    out[i, j, l] += A[i, k, l] * B[j, k, l]


@njit(cache=True, nogil=True, error_model="numpy")
def cholesky_of_one_plus(S, L, pivot):  # type: ignore[no-untyped-def]
    """Write the Cholesky factor of I + S (m, m) to L, with the inverse of its diagonal in ``pivot`` (m,)."""
    m = S.shape[0]
    for j in range(m):
        for l in range(LANES):
            L[j, j, l] = 1.0 + S[j, j, l]
        for k in range(j):
            for l in range(LANES):
                L[j, j, l] -= L[j, k, l] * L[j, k, l]
        for l in range(LANES):
            d = sqrt(L[j, j, l])
            L[j, j, l] = d
            pivot[j, l] = 1.0 / d
        for i in range(j + 1, m):
            for l in range(LANES):
                L[i, j, l] = S[i, j, l]
            for k in range(j):
                for l in range(LANES):
                    L[i, j, l] -= L[i, k, l] * L[j, k, l]
            for l in range(LANES):
                L[i, j, l] *= pivot[j, l]


@njit(cache=True, nogil=True, error_model="numpy")
def solve_lower(L, pivot, B):  # type: ignore[no-untyped-def]
    """Replace B (m, c) by L^-1 B."""
    m, c = B.shape[0], B.shape[1]
    for i in range(m):
        for j in range(c):
            for k in range(i):
                for l in range(LANES):
                    B[i, j, l] -= L[i, k, l] * B[k, j, l]
            for l in range(LANES):
                B[i, j, l] *= pivot[i, l]


@njit(cache=True, nogil=True, error_model="numpy")
def solve_lower_transposed(L, pivot, B):  # type: ignore[no-untyped-def]
    """Replace B (m, c) by L'^-1 B."""
    m, c = B.shape[0], B.shape[1]
    for i in range(m - 1, -1, -1):
        for j in range(c):
            for k in range(i + 1, m):
                for l in range(LANES):
                    B[i, j, l] -= L[k, i, l] * B[k, j, l]
            for l in range(LANES):
                B[i, j, l] *= pivot[i, l]


@njit(cache=True, nogil=True, error_model="numpy")
def repeated_over_transposed(Lambda, L, pivot, F):  # type: ignore[no-untyped-def]
    """Write F = (I x Lambda) L'^-1, so that F F' = Lambda M^-1 Lambda' for M = L L'."""
    m, q = F.shape[0], Lambda.shape[0]
    for i in range(m):
        for j in range(m):
            f = Lambda[i % q, j % q] if i - i % q == j - j % q else 0.0
            for l in range(LANES):
                F[i, j, l] = f
            for k in range(j):
                for l in range(LANES):
                    F[i, j, l] -= F[i, k, l] * L[j, k, l]
            for l in range(LANES):
                F[i, j, l] *= pivot[j, l]
