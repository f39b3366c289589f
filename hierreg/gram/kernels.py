"""Accumulation of cross-products over rows (numba)."""

from __future__ import annotations

import numpy as np

from hierreg.compiled import part


@part
def accumulate_products(W, first, second, term, out):
    """Add w[r]w[s]' (and its transpose where r != s) of every pair of rows (r, s) to out[term]."""
    p = W.shape[1]
    for i in range(len(first)):
        r, s, k = first[i], second[i], term[i]
        for a in range(p):
            if r == s:
                for b in range(p):
                    out[k, a, b] += W[r, a] * W[r, b]
            else:
                for b in range(p):
                    out[k, a, b] += W[r, a] * W[s, b] + W[s, a] * W[r, b]


@part
def accumulate_pair_products(Z, index, first, second, place, out):
    """Add z[r]z[s]' of every pair of rows to out[place], the entry of their term and pair of groups.

    The smaller group comes first; rows r != s of one group add the transpose too.
    """
    q = Z.shape[1]
    for i in range(len(first)):
        r, s, e = first[i], second[i], place[i]
        if index[r] > index[s]:
            r, s = s, r
        both = r != s and index[r] == index[s]
        for a in range(q):
            for b in range(q):
                out[e, a, b] += Z[r, a] * Z[s, b]
                if both:
                    out[e, a, b] += Z[s, a] * Z[r, b]


@part
def accumulate_level_products(Z, W, first, second, place_first, place_second, out):
    """Add z[r]w[s]' to the entry of the group of r and, where r != s, z[s]w[r]' to that of s."""
    q, p = Z.shape[1], W.shape[1]
    for i in range(len(first)):
        r, s = first[i], second[i]
        e = place_first[i]
        for a in range(q):
            for b in range(p):
                out[e, a, b] += Z[r, a] * W[s, b]
        if r != s:
            e = place_second[i]
            for a in range(q):
                for b in range(p):
                    out[e, a, b] += Z[s, a] * W[r, b]


@part
def accumulate_triangles(Z, W, place, triangle, left):
    """Rotate each row [z w] into the triangle of its entry, and write what is left of w.

    Givens rotations: with T the triangle of an entry, T'T grows by the products of the row, less those of what is left.
    The rows are never squared, so that a triangle keeps all the digits that they have.
    """
    q, p = Z.shape[1], W.shape[1]
    row = np.empty(q + p)
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


@part
def accumulate_cross_products(Z, V, first, second, place, out):
    """Add z[r]v[s]' (and z[s]v[r]' where r != s) of every pair of rows to the entry of their term and groups."""
    q, m = Z.shape[1], V.shape[1]
    for i in range(len(first)):
        r, s, e = first[i], second[i], place[i]
        for a in range(q):
            for b in range(m):
                out[e, a, b] += Z[r, a] * V[s, b]
                if r != s:
                    out[e, a, b] += Z[s, a] * V[r, b]


@part
def sum_deviations(X, centre, total, squares):
    """Add the deviations of columns from their centre to total, and their squares to squares."""
    n, p = X.shape
    for i in range(n):
        for j in range(p):
            d = X[i, j] - centre[j]
            total[j] += d
            squares[j] += d * d


@part
def accumulate_centred(X, centre, out):
    """Add (x - centre)(x - centre)' of every row to the upper triangle of out."""
    n, p = X.shape
    d = np.empty(p)
    for i in range(n):
        for j in range(p):
            d[j] = X[i, j] - centre[j]
            for k in range(j + 1):
                out[k, j] += d[k] * d[j]


@part
def apply_frame(X, centre, basis, out):
    """Write (x - centre)' basis, with an upper triangular basis, to the first columns of out."""
    n, p = X.shape
    d = np.empty(p)
    for i in range(n):
        for j in range(p):
            d[j] = X[i, j] - centre[j]
            value = 0.0
            for k in range(j + 1):
                value += d[k] * basis[k, j]
            out[i, j] = value


@part
def take_off(W, coef, centre, y):
    """Write y - centre - x'coef to the last column of W, x the columns before it."""
    n, p1 = W.shape
    for i in range(n):
        value = y[i] - centre
        for k in range(p1 - 1):
            value -= W[i, k] * coef[k]
        W[i, p1 - 1] = value


@part
def take_off_exactly(X, centre, coef, y, at, out):
    """Write y - at - (x - centre)'coef to out, summed in twice the digits (Ogita, Rump and Oishi 2005, section 4)."""
    for i in range(len(y)):
        value, rest = _difference(y[i], at)
        for k in range(len(coef)):
            d, d_rest = _difference(X[i, k], centre[k])
            product, product_rest = _product(d, -coef[k])
            value, lost = _difference(value, -product)
            rest += lost + product_rest - d_rest * coef[k]
        out[i] = value + rest


@part
def _difference(a, b):
    """Return a - b, rounded, and what rounding took (Knuth)."""
    value = a - b
    back = value - a
    return value, (a - (value - back)) - (b + back)


@part
def _product(a, b):
    """Return a b, rounded, and what rounding took (Dekker and Veltkamp)."""
    value = a * b
    a_high, b_high = 134217729.0 * a, 134217729.0 * b  # 2^27 + 1
    a_high, b_high = a_high - (a_high - a), b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    return value, a_low * b_low - (((value - a_high * b_high) - a_low * b_high) - a_high * b_low)


@part
def move_products(L, A, R, out):
    """Write L' A[e] R to out[e]."""
    E, q, p = A.shape
    half = np.empty((q, R.shape[1]))
    for e in range(E):
        for a in range(q):
            for b in range(R.shape[1]):
                value = 0.0
                for c in range(p):
                    value += A[e, a, c] * R[c, b]
                half[a, b] = value
        for a in range(L.shape[1]):
            for b in range(R.shape[1]):
                value = 0.0
                for c in range(q):
                    value += L[c, a] * half[c, b]
                out[e, a, b] = value
