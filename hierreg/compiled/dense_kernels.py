"""Small dense linear algebra for the kernels, written as loops: at 1 to 10 rows a library call costs more.

Each function works on the leading n x n part of what it is given: slices would be compiled once more each.
"""

from __future__ import annotations

from math import sqrt

from hierreg.compiled.parts import part


@part
def cholesky_in_place(A, n):
    """Replace the lower triangle of A by its Cholesky factor; return False where A is not positive definite."""
    for j in range(n):
        d = A[j, j]
        for k in range(j):
            d -= A[j, k] * A[j, k]
        if not d > 0.0:
            return False
        d = sqrt(d)
        A[j, j] = d
        for i in range(j + 1, n):
            s = A[i, j]
            for k in range(j):
                s -= A[i, k] * A[j, k]
            A[i, j] = s / d
    return True


@part
def solve_vector(L, n, x, transposed):
    """Replace x (n,) by L^-1 x or L'^-1 x."""
    for step in range(n):
        i = n - 1 - step if transposed else step
        for k in range(i + 1, n) if transposed else range(i):
            x[i] -= (L[k, i] if transposed else L[i, k]) * x[k]
        x[i] /= L[i, i]


@part
def inverse_from_cholesky(L, n, out):
    """Write (L L')^-1 to out."""
    for c in range(n):
        # Row c of out is used as column c: the inverse is symmetric.
        for i in range(n):
            out[c, i] = 1.0 if i == c else 0.0
        solve_vector(L, n, out[c], False)
        solve_vector(L, n, out[c], True)


@part
def factor_of_inverse(L, n, out):
    """Write L'^-1 to out: out out' = (L L')^-1."""
    for c in range(n):
        for i in range(n - 1, -1, -1):
            s = 1.0 if i == c else 0.0
            for k in range(i + 1, n):
                s -= L[k, i] * out[k, c]
            out[i, c] = s / L[i, i]


@part
def sandwich(A, T, n, work, out):
    """Write A T A to out, for symmetric A and T."""
    for i in range(n):
        for j in range(n):
            s = 0.0
            for k in range(n):
                s += A[i, k] * T[k, j]
            work[i, j] = s
    for i in range(n):
        for j in range(n):
            s = 0.0
            for k in range(n):
                s += work[i, k] * A[k, j]
            out[i, j] = s


@part
def affine(centre, A, x, out):
    """Write centre + A x to out (n,); x may be longer."""
    n = len(out)
    for i in range(n):
        out[i] = centre[i]
        for j in range(n):
            out[i] += A[i, j] * x[j]


@part
def times_transposed(A, x, out):
    """Write A'x, x (n,), to the first elements of out."""
    n = len(x)
    for j in range(n):
        out[j] = 0.0
        for i in range(n):
            out[j] += A[i, j] * x[i]
