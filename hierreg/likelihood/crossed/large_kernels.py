"""Cholesky factor and inverse of one large matrix, in blocks of columns multiplied by BLAS (numba).

Unlike LAPACK through NumPy these neither copy nor raise, and release the interpreter's lock together with their caller.
"""

from __future__ import annotations

import numpy as np

from hierreg.compiled.array_kernels import empty, zeros
from hierreg.compiled.dense_kernels import cholesky_in_place
from hierreg.compiled.parts import part

BLOCK = 96


# Loops: slices that are copied cost seconds of compilation, for the text of errors that cannot occur.
@part
def _copy(A, top, bottom, left, right):
    """Return a copy of A[top:bottom, left:right]."""
    out = empty((bottom - top, right - left))
    for i in range(bottom - top):
        for j in range(right - left):
            out[i, j] = A[top + i, left + j]
    return out


@part
def _transposed(A, top, bottom, left, right):
    """Return the transpose of A[top:bottom, left:right]."""
    out = empty((right - left, bottom - top))
    for i in range(bottom - top):
        for j in range(right - left):
            out[j, i] = A[top + i, left + j]
    return out


@part
def factor_leading(C, n):
    """Replace the lower triangle of the first n columns of C (D, D) by those of its Cholesky factor.

    Rows n to D become C[n:, :n] L'^-1, as in a factorisation that stops after n columns. Returns False where the
    leading (n, n) part is not positive definite.
    """
    D = C.shape[0]
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        if start > 0:
            # Column blocks to the left, and their rows that belong to this block.
            left = _copy(C, start, D, 0, start)
            change = np.dot(left, _transposed(C, start, stop, 0, start))
            for i in range(D - start):
                for j in range(stop - start):
                    C[start + i, start + j] -= change[i, j]
        size = stop - start
        block = _copy(C, start, stop, start, stop)
        if not cholesky_in_place(block, size):
            return False
        for i in range(size):
            for j in range(i + 1):
                C[start + i, start + j] = block[i, j]
        if stop < D:
            inverse = _transposed(lower_inverse(block, size), 0, size, 0, size)
            below = np.dot(_copy(C, stop, D, start, stop), inverse)
            for i in range(D - stop):
                for j in range(size):
                    C[stop + i, start + j] = below[i, j]
    return True


@part
def lower_inverse(L, n):
    """Return the inverse of the leading lower triangle (n, n), zero above the diagonal."""
    out = zeros((n, n))
    for j in range(n):
        out[j, j] = 1.0 / L[j, j]
        for i in range(j + 1, n):
            s = 0.0
            for k in range(j, i):
                s += L[i, k] * out[k, j]
            out[i, j] = -s / L[i, i]
    return out


@part
def invert_leading(C, n):
    """Replace the Cholesky factor L in the leading lower triangle of C (D, D) by (L L')^-1, both triangles.

    Rows and columns from n on become zero. Block columns go from the last to the first, each read for the last time
    when it is overwritten: with L = [[L1, 0], [L2, L3]] and X = (L3 L3')^-1 known, the others are -X L2 L1^-1 and
    (L1 L1')^-1 + L1'^-1 L2' X L2 L1^-1.
    """
    last = (n - 1) // BLOCK * BLOCK if n > 0 else -1
    for start in range(last, -1, -BLOCK):
        stop = min(start + BLOCK, n)
        size = stop - start
        own = lower_inverse(_copy(C, start, stop, start, stop), size)
        square = np.dot(_transposed(own, 0, size, 0, size), own)
        if stop < n:
            V = np.dot(_copy(C, stop, n, start, stop), own)
            below = np.dot(_copy(C, stop, n, stop, n), V)
            more = np.dot(_transposed(V, 0, n - stop, 0, size), below)
            for i in range(size):
                for j in range(size):
                    square[i, j] += more[i, j]
                for j in range(n - stop):
                    C[stop + j, start + i] = -below[j, i]
                    C[start + i, stop + j] = -below[j, i]
        for i in range(stop - start):
            for j in range(stop - start):
                C[start + i, start + j] = 0.5 * (square[i, j] + square[j, i])
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
