"""Sums over rows and changes of columns, some rows at a time: copies stay in the cache, however many rows there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_ROWS_AT_ONCE = 2**12
# Rows, and rounds of rotations, up to which compiling `kernels.accumulate_triangles` takes longer than it saves.
_FEW_ROWS, _FEW_ROUNDS = 2**15, 1000


def _parts(n: int) -> Iterator[slice]:
    return (slice(first, first + _ROWS_AT_ONCE) for first in range(0, n, _ROWS_AT_ONCE))


def sums_of_deviations(X: Array, centre: Array) -> tuple[Array, Array]:
    """Return the sums (p,) of the deviations of columns from their centre, and of their squares."""
    total, squares = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for some in _parts(len(X)):
        D = X[some] - centre
        total += np.ones(len(D)) @ D
        squares += np.einsum("ij,ij->j", D, D)
    return total, squares


def centred_products(X: Array, centre: Array) -> Array:
    """Return the sum (p, p) of (x - centre)(x - centre)' of every row."""
    out = np.zeros((X.shape[1], X.shape[1]))
    for some in _parts(len(X)):
        D = X[some] - centre
        out += D.T @ D
    return out


def write_in_frame(X: Array, centre: Array, basis: Array, out: Array) -> None:
    """Write (x - centre)' basis, with an upper triangular basis, to the first columns of out."""
    for some in _parts(len(X)):
        out[some, : X.shape[1]] = (X[some] - centre) @ basis


def take_off(W: Array, coef: Array, centre: float, y: Array) -> None:
    """Write y - centre - x'coef to the last column of W, x the columns before it."""
    for some in _parts(len(W)):
        W[some, -1] = y[some] - centre - W[some, :-1] @ coef


def take_off_exactly(X: Array, centre: Array, coef: Array, y: Array, at: float, out: Array) -> None:
    """Write y - at - (x - centre)'coef to out, summed in twice the digits (Ogita, Rump and Oishi 2005, section 4)."""
    for some in _parts(len(y)):
        value, rest = _difference(y[some], at)
        for k in range(len(coef)):
            d, d_rest = _difference(X[some, k], centre[k])
            product, product_rest = _product(d, -coef[k])
            value, lost = _difference(value, -product)
            rest = rest + (lost + product_rest - d_rest * coef[k])
        out[some] = value + rest


def _difference(a: Array, b: Array | float) -> tuple[Array, Array]:
    """Return a - b, rounded, and what rounding took (Knuth)."""
    value = a - b
    back = value - a
    return value, (a - (value - back)) - (b + back)


def _product(a: Array, b: float) -> tuple[Array, Array]:
    """Return a b, rounded, and what rounding took (Dekker and Veltkamp)."""
    value = a * b
    a_high, b_high = 134217729.0 * a, 134217729.0 * b  # 2^27 + 1
    a_high, b_high = a_high - (a_high - a), b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    return value, a_low * b_low - (((value - a_high * b_high) - a_low * b_high) - a_high * b_low)


def pair_products(A: Array, B: Array, pairs: tuple[Index, Index], place: Index, n: int) -> Array:
    """Return the sums (n, q, p) of a[r]b[s]' over pairs of rows (r, s), by their place.

    Parameters
    ----------
    A, B : arrays (N, q), (N, p)
    pairs : two int arrays (m,)
        r and s of each pair.
    place : int array (m,)
        Below n.
    """
    r, s = pairs
    out, mine = np.empty((n, A.shape[1], B.shape[1])), [B[s, b] for b in range(B.shape[1])]
    for a in range(A.shape[1]):
        own = A[r, a]
        for b, column in enumerate(mine):
            out[:, a, b] = np.bincount(place, weights=own * column, minlength=n)
    return out


def rotate(Z: Array, W: Array, place: Index, triangle: Array) -> Array:
    """Rotate rows [z w] into the triangles of their places, and return what is left of w.

    Parameters
    ----------
    Z, W : arrays (n, q), (n, p + 1)
    place : int array (n,)
    triangle : array (F, q, q + p + 1)
        Overwritten (see `kernels.accumulate_triangles`).
    """
    (n, q), left = Z.shape, np.empty(W.shape)
    counts = np.bincount(place) if n else np.zeros(1, dtype=np.intp)
    if n > _FEW_ROWS or counts.max() * q > _FEW_ROUNDS:
        from hierreg.gram import kernels

        kernels.accumulate_triangles(np.ascontiguousarray(Z), np.ascontiguousarray(W), place, triangle, left)
        return left
    order = np.argsort(place, kind="stable")
    round_of = np.empty(n, dtype=np.intp)
    round_of[order] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    # A round has one row of each place.
    in_rounds = np.split(np.argsort(round_of, kind="stable"), np.cumsum(np.bincount(round_of, minlength=1))[:-1])
    for rows in in_rounds:
        T, row = triangle[place[rows]], np.concatenate([Z[rows], W[rows]], axis=1)
        for k in range(q):
            _rotate_column(T[:, k], row, k)
        triangle[place[rows]], left[rows] = T, row[:, q:]
    return left


def _rotate_column(T: Array, row: Array, k: int) -> None:
    """Make element k of rows (n, m) zero by rotations with rows of triangles (n, m)."""
    a, b = T[:, k].copy(), row[:, k]
    length = np.sqrt(a * a + b * b)
    is_turned = (b != 0.0) & (length != 0.0)
    size = np.where(is_turned, length, 1.0)
    c, s = np.where(is_turned, a / size, 1.0)[:, None], np.where(is_turned, b / size, 0.0)[:, None]
    T[:, k] = np.where(is_turned, length, a)
    x, y = T[:, k + 1 :].copy(), row[:, k + 1 :].copy()
    T[:, k + 1 :], row[:, k + 1 :] = c * x + s * y, c * y - s * x
