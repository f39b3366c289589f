"""Small dense linear algebra for the kernels, written as loops: q is 1 to 10, where a library call costs more.

All matrices are row-major views; lower triangles hold Cholesky factors.
"""

from __future__ import annotations

from math import sqrt

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def cholesky_in_place(A):  # type: ignore[no-untyped-def]
    """Replace the lower triangle of A by its Cholesky factor; return False where A is not positive definite."""
    n = A.shape[0]
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


@njit(cache=True, nogil=True, error_model="numpy")
def solve_lower_in_place(L, B):  # type: ignore[no-untyped-def]
    """Replace B by L^-1 B."""
    n, m = B.shape
    for i in range(n):
        for k in range(i):
            f = L[i, k]
            for c in range(m):
                B[i, c] -= f * B[k, c]
        f = 1.0 / L[i, i]
        for c in range(m):
            B[i, c] *= f


@njit(cache=True, nogil=True, error_model="numpy")
def solve_lower_transposed_in_place(L, B):  # type: ignore[no-untyped-def]
    """Replace B by L'^-1 B."""
    n, m = B.shape
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            f = L[k, i]
            for c in range(m):
                B[i, c] -= f * B[k, c]
        f = 1.0 / L[i, i]
        for c in range(m):
            B[i, c] *= f


@njit(cache=True, nogil=True, error_model="numpy")
def inverse_from_cholesky(L, out):  # type: ignore[no-untyped-def]
    """Write (L L')^-1 to out."""
    n = L.shape[0]
    for i in range(n):
        for j in range(n):
            out[i, j] = 1.0 if i == j else 0.0
    solve_lower_in_place(L, out)
    solve_lower_transposed_in_place(L, out)


@njit(cache=True, nogil=True, error_model="numpy")
def multiply(A, B, out):  # type: ignore[no-untyped-def]
    """Write A B to out."""
    n, m = out.shape
    inner = A.shape[1]
    for i in range(n):
        for j in range(m):
            s = 0.0
            for k in range(inner):
                s += A[i, k] * B[k, j]
            out[i, j] = s


@njit(cache=True, nogil=True, error_model="numpy")
def multiply_transposed(A, B, out):  # type: ignore[no-untyped-def]
    """Write A B' to out."""
    n, m = out.shape
    inner = A.shape[1]
    for i in range(n):
        for j in range(m):
            s = 0.0
            for k in range(inner):
                s += A[i, k] * B[j, k]
            out[i, j] = s
