"""Cholesky factor and inverse of one large matrix by LAPACK, in place (numba).

LAPACK through NumPy copies and raises; by its address it does neither, and releases the interpreter's lock together
with the caller. ``lapack`` are the addresses that `compiled.lapack` finds.
"""

from __future__ import annotations

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.lapack_kernels import solve_triangle, triangle
from hierreg.compiled.parts import part


@part
def factor_leading(C, n, lapack):
    """Replace the lower triangle of the first n columns of C (D, D) by those of its Cholesky factor.

    Rows n to D become C[n:, :n] L'^-1, as in a factorisation that stops after n columns. Returns False where the
    leading (n, n) part is not positive definite.
    """
    D = C.shape[0]
    if triangle(lapack[0], C, n) != 0:
        return False
    x = empty(n)
    for i in range(n, D):
        for j in range(n):
            x[j] = C[i, j]
        solve_triangle(lapack[2], False, C, n, x)
        for j in range(n):
            C[i, j] = x[j]
    return True


@part
def invert_leading(C, n, lapack):
    """Replace the Cholesky factor L in the leading lower triangle of C (D, D) by (L L')^-1, both triangles.

    Rows and columns from n on become zero.
    """
    triangle(lapack[1], C, n)
    for i_first in range(0, n, 32):
        for j_first in range(0, i_first + 32, 32):
            for i in range(i_first, min(i_first + 32, n)):
                for j in range(j_first, min(j_first + 32, i)):
                    C[j, i] = C[i, j]
    for i in range(C.shape[0]):
        for j in range(0 if i >= n else n, C.shape[0]):
            C[i, j] = 0.0


@part
def solve_leading(C, n, x, transposed):
    """Replace x (n,) by L^-1 x or L'^-1 x, for L in the leading lower triangle of C."""
    if not transposed:
        for i in range(n):
            s = x[i]
            for k in range(i):
                s -= C[i, k] * x[k]
            x[i] = s / C[i, i]
        return
    for i in range(n - 1, -1, -1):
        x[i] /= C[i, i]
        for k in range(i):
            x[k] -= C[i, k] * x[i]
