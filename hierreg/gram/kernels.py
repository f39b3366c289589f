"""Rows in internal coordinates, and rotated into triangles (numba)."""

from __future__ import annotations

from hierreg.compiled.array_kernels import local
from hierreg.compiled.parts import part


@part
def write_rows(X, y, centre, basis, coef, out, products):
    """Write (x - centre)' basis, and y less its centre and its fit to that, to the rows of out; add their products.

    y may have no rows. Of the basis and of the products, lower, one half is used.
    """
    p, m = X.shape[1], out.shape[1]
    row, own = local(p), local(m)
    for i in range(len(X)):
        for a in range(p):
            row[a] = X[i, a] - centre[a]
        for b in range(p):
            total = 0.0
            for a in range(b + 1):
                total += row[a] * basis[a, b]
            own[b] = total
        for b in range(p, m):
            total = 0.0
            for a in range(p):
                total += own[a] * coef[a]
            own[b] = y[i] - centre[b] - total
        for a in range(m):
            out[i, a] = own[a]
            for b in range(a + 1):
                products[a, b] += own[a] * own[b]


@part
def rotate_row(row, first, last, T, weight):
    """Rotate a row into a triangle by its columns from first to last; return the weight of what is left of it."""
    for k in range(first, last):
        x, d = row[k], T[k - first, k - first]
        share = weight * x
        total = d + share * x
        if x == 0.0 or total == 0.0:
            continue
        share, keep = share / total, d / total
        T[k - first, k - first] = total
        for j in range(k + 1, len(row)):
            t = T[k - first, j - first]
            T[k - first, j - first] = keep * t + share * row[j]
            row[j] -= x * t
        weight *= keep
        if weight == 0.0:
            break
    return weight


@part
def accumulate_triangles(q, A, place, first, last, term, triangle, left):
    """Rotate rows into the triangle of their entry by their first q columns, and what that leaves into one of its term.

    Rows whose entry is not from `first` to `last` are left out.

    Rotations without square roots: a triangle is D^1/2 R, with D on its diagonal and R above, and a row has a weight.
    Rows are never squared, so that a triangle keeps all the digits that they have. What they leave takes turns in
    several triangles of a term, since a rotation waits for the one before it in the same triangle.

    References
    ----------
    Gentleman (1973), IMA Journal of Applied Mathematics 12, 329.
    """
    c, turns = A.shape[1], left.shape[1]
    row = local(c)
    turn = 0
    for i in range(len(A)):
        at = place[i]
        if at < first or at >= last:
            continue
        for j in range(c):
            row[j] = A[i, j]
        weight = rotate_row(row, 0, q, triangle[at], 1.0)
        if weight > 0.0:
            rotate_row(row, q, c, left[term[at], turn], weight)
        turn = turn + 1 if turn + 1 < turns else 0
