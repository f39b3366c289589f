"""Rows rotated into triangles (numba)."""

from __future__ import annotations

import numpy as np

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.parts import part


@part
def accumulate_triangles(Z, W, place, triangle, left):
    """Rotate each row [z w] into the triangle of its entry, and write what is left of w.

    Givens rotations: with T the triangle of an entry, T'T grows by the products of the row, less those of what is left.
    The rows are never squared, so that a triangle keeps all the digits that they have.
    """
    q, p = Z.shape[1], W.shape[1]
    row = empty(q + p)
    for i in range(len(place)):
        T = triangle[place[i]]
        for j in range(q):
            row[j] = Z[i, j]
        for j in range(p):
            row[q + j] = W[i, j]
        for k in range(q):
            a, b = T[k, k], row[k]
            length = np.sqrt(a * a + b * b)
            if b == 0.0 or length == 0.0:
                continue
            c, s = a / length, b / length
            T[k, k] = length
            for j in range(k + 1, q + p):
                x, y = T[k, j], row[j]
                T[k, j] = c * x + s * y
                row[j] = c * y - s * x
        for a in range(p):
            left[i, a] = row[q + a]
