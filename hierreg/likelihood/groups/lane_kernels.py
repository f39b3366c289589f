"""Dense linear algebra on many small matrices at once (numba).

Every array has them as its last axis, and every innermost loop runs over it, so that the compiler turns it into
vector instructions. A block is one lane: by itself it has too little arithmetic to fill them.
No test is made inside: what is not positive definite comes out as NaN.
"""

from __future__ import annotations

from math import log, sqrt

from hierreg.compiled.parts import part


@part
def sum_terms(omega, start, stop, term, ZtZ, ZtW, A, B):
    """Write A = sum omega ZtZ (m, m) and B = sum omega ZtW (m, c) over the entries start..stop."""
    width = A.shape[2]
    m, c = B.shape[0], B.shape[1]
    A[:] = 0.0
    B[:] = 0.0
    for e in range(start, stop):
        w = omega[term[e]]
        for i in range(m):
            for j in range(m):
                for lane in range(width):
                    A[i, j, lane] += w * ZtZ[e, i, j, lane]
            for j in range(c):
                for lane in range(width):
                    B[i, j, lane] += w * ZtW[e, i, j, lane]


@part
def add_lanes(f, values, out):
    """Add f times the lanes of a tile to those of ``out``, which are fewer."""
    n = len(out)
    for first in range(0, len(values), n):
        for lane in range(n):
            out[lane] += f * values[first + lane]


@part
def repeated_times(Lambda, transposed, X, out):
    """Write (I x Lambda) X or (I x Lambda') X to out, both (m, c)."""
    width = out.shape[2]
    q = Lambda.shape[0]
    m, c = X.shape[0], X.shape[1]
    for i in range(m):
        s = i - i % q
        for j in range(c):
            for lane in range(width):
                out[i, j, lane] = 0.0
            for k in range(q):
                f = Lambda[k, i - s] if transposed else Lambda[i - s, k]
                for lane in range(width):
                    out[i, j, lane] += f * X[s + k, j, lane]


@part
def times_repeated(X, Lambda, transposed, out):
    """Write X (I x Lambda) or X (I x Lambda') to out, both (m, m)."""
    width = out.shape[2]
    q = Lambda.shape[0]
    m, c = X.shape[0], X.shape[1]
    for i in range(m):
        for j in range(c):
            s = j - j % q
            for lane in range(width):
                out[i, j, lane] = 0.0
            for k in range(q):
                f = Lambda[j - s, k] if transposed else Lambda[k, j - s]
                for lane in range(width):
                    out[i, j, lane] += X[i, s + k, lane] * f


@part
def times_matrix(X, G, out):
    """Write X G to out (m, d), for the first c columns of X and one matrix G (c, d) common to all lanes."""
    width = out.shape[2]
    m = X.shape[0]
    c, d = G.shape
    for i in range(m):
        for j in range(d):
            for lane in range(width):
                out[i, j, lane] = 0.0
            for k in range(c):
                f = G[k, j]
                for lane in range(width):
                    out[i, j, lane] += X[i, k, lane] * f


@part
def times(A, B, out):
    """Write A B to out (m, c)."""
    width = out.shape[2]
    m, c, inner = A.shape[0], B.shape[1], A.shape[1]
    for i in range(m):
        for j in range(c):
            for lane in range(width):
                out[i, j, lane] = 0.0
            for k in range(inner):
                for lane in range(width):
                    out[i, j, lane] += A[i, k, lane] * B[k, j, lane]


@part
def add_times_transposed(A, B, out):
    """Add A B' to out (m, n)."""
    width = out.shape[2]
    m, n, inner = A.shape[0], B.shape[0], A.shape[1]
    for i in range(m):
        for j in range(n):
            for k in range(inner):
                for lane in range(width):
                    out[i, j, lane] += A[i, k, lane] * B[j, k, lane]


@part
def cholesky_of_one_plus(S, L, pivot):
    """Write the Cholesky factor of I + S (m, m) to L, with the inverse of its diagonal in ``pivot`` (m,)."""
    width = L.shape[2]
    m = S.shape[0]
    for j in range(m):
        for lane in range(width):
            L[j, j, lane] = 1.0 + S[j, j, lane]
        for k in range(j):
            for lane in range(width):
                L[j, j, lane] -= L[j, k, lane] * L[j, k, lane]
        for lane in range(width):
            d = sqrt(L[j, j, lane])
            L[j, j, lane] = d
            pivot[j, lane] = 1.0 / d
        for i in range(j + 1, m):
            for lane in range(width):
                L[i, j, lane] = S[i, j, lane]
            for k in range(j):
                for lane in range(width):
                    L[i, j, lane] -= L[i, k, lane] * L[j, k, lane]
            for lane in range(width):
                L[i, j, lane] *= pivot[j, lane]


@part
def solve_lower(L, pivot, B):
    """Replace B (m, c) by L^-1 B."""
    width = L.shape[2]
    m, c = B.shape[0], B.shape[1]
    for i in range(m):
        for j in range(c):
            for k in range(i):
                for lane in range(width):
                    B[i, j, lane] -= L[i, k, lane] * B[k, j, lane]
            for lane in range(width):
                B[i, j, lane] *= pivot[i, lane]


@part
def solve_lower_transposed(L, pivot, B):
    """Replace B (m, c) by L'^-1 B."""
    width = L.shape[2]
    m, c = B.shape[0], B.shape[1]
    for i in range(m - 1, -1, -1):
        for j in range(c):
            for k in range(i + 1, m):
                for lane in range(width):
                    B[i, j, lane] -= L[k, i, lane] * B[k, j, lane]
            for lane in range(width):
                B[i, j, lane] *= pivot[i, lane]


@part
def repeated_over_transposed(Lambda, L, pivot, F):
    """Write F = (I x Lambda) L'^-1, so that F F' = Lambda M^-1 Lambda' for M = L L'."""
    width = F.shape[2]
    m, q = F.shape[0], Lambda.shape[0]
    for i in range(m):
        for j in range(m):
            f = Lambda[i % q, j % q] if i - i % q == j - j % q else 0.0
            for lane in range(width):
                F[i, j, lane] = f
            for k in range(j):
                for lane in range(width):
                    F[i, j, lane] -= F[i, k, lane] * L[j, k, lane]
            for lane in range(width):
                F[i, j, lane] *= pivot[j, lane]


@part
def weigh(X, weight):
    """Multiply X (m, c) by the weight of each lane."""
    width = X.shape[2]
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            for lane in range(width):
                X[i, j, lane] *= weight[lane]


@part
def weighted_log_det(L, weight):
    """Return the sum over lanes of weight times log|L L'|."""
    width = L.shape[2]
    total = 0.0
    for lane in range(width):
        # Most weights are zero, and a logarithm costs as much as a small block.
        if weight[lane] != 0.0:
            for i in range(L.shape[0]):
                total += 2.0 * weight[lane] * log(L[i, i, lane])
    return total


@part
def factor_one_plus(X, by_rows, L, d, inverse, p, share):
    """Write the factors of I + X X' = L diag(d) L' (m, m), or of I + X'X by rows, and the inverses of d.

    One column of X after the other is added to the factors, by sums of positive numbers alone: a small pivot beside a
    large one keeps its digits, which it has not in the sum of products. L is lower triangular with ones; ``p`` (m,) and
    ``share`` (2,) are room.

    References
    ----------
    Gill, Golub, Murray and Saunders (1974). Methods for modifying matrix factorizations. Mathematics of Computation
    28, 505-535, method C1.
    """
    width = L.shape[2]
    m = X.shape[0]
    for i in range(m):
        for j in range(m):
            for lane in range(width):
                L[i, j, lane] = 1.0 if i == j else 0.0
        for lane in range(width):
            d[i, lane] = 1.0
    for k in range(m):
        for i in range(m):
            for lane in range(width):
                p[i, lane] = X[k, i, lane] if by_rows else X[i, k, lane]
        for lane in range(width):
            share[0, lane] = 1.0
        for j in range(m):
            for lane in range(width):
                step = share[0, lane] * p[j, lane]
                new = d[j, lane] + step * p[j, lane]
                r = 1.0 / new
                share[0, lane] *= d[j, lane] * r
                share[1, lane] = step * r
                inverse[j, lane] = r
                d[j, lane] = new
            for i in range(j + 1, m):
                for lane in range(width):
                    p[i, lane] -= p[j, lane] * L[i, j, lane]
                    L[i, j, lane] += share[1, lane] * p[i, lane]


@part
def solve_unit(L, B):
    """Replace B (m, c) by L^-1 B, for L with ones on its diagonal."""
    width = L.shape[2]
    m, c = B.shape[0], B.shape[1]
    for i in range(m):
        for j in range(c):
            for k in range(i):
                for lane in range(width):
                    B[i, j, lane] -= L[i, k, lane] * B[k, j, lane]


@part
def root_terms(omega, start, stop, term, source, out):
    """Write sum root(omega) source (m, c) over the entries start..stop."""
    width = out.shape[2]
    out[:] = 0.0
    for e in range(start, stop):
        w = sqrt(omega[term[e]])
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                for lane in range(width):
                    out[i, j, lane] += w * source[e, i, j, lane]


@part
def weighted_products(C, pivot, D, out):
    """Write C'diag(pivot) D to out (m, c)."""
    width = out.shape[2]
    m, c = C.shape[1], D.shape[1]
    for i in range(m):
        for j in range(c):
            for lane in range(width):
                out[i, j, lane] = 0.0
            for r in range(C.shape[0]):
                for lane in range(width):
                    out[i, j, lane] += C[r, i, lane] * pivot[r, lane] * D[r, j, lane]


@part
def add_gradient_of_factor(C, pivot, D, T, H, HT, N, g, weight):
    """Add H T T'H' - C'N^-1 C, from L^-1 C and L^-1 D, to g (q, q), over the slots of a block; H, HT and N are room.

    T (p + 1, p + 1) is upper triangular. H T, whose last column is what residuals leave to be explained, is added up
    before it is squared: of the first order in what groups explain, not the second, is lost.
    ``weight`` (1, width) says how often the latter counts, and is empty for once.
    """
    width = D.shape[2]
    m, p1, q = D.shape[0], D.shape[1], g.shape[0]
    weighted_products(C, pivot, D, H)
    weighted_products(C, pivot, C, N)
    if len(weight) > 0:
        weigh(N, weight[0])
    for i in range(m):
        for c in range(p1):
            for lane in range(width):
                HT[i, c, lane] = 0.0
            for d in range(c + 1):
                f = T[d, c]
                for lane in range(width):
                    HT[i, c, lane] += H[i, d, lane] * f
    for i in range(m):
        first = i - i % q
        for j in range(q):
            for lane in range(width):
                g[i - first, j, lane] -= N[i, first + j, lane]
            for c in range(p1):
                for lane in range(width):
                    g[i - first, j, lane] += HT[i, c, lane] * HT[first + j, c, lane]
