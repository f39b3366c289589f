"""Sums over rows and changes of columns, some rows at a time: copies stay in the cache, however many rows there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import read_only
from hierreg.design_matrices.moments import is_worth_compiling
from hierreg.threads import chunks_of, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_ROWS_AT_ONCE = 2**12
# Rows that one thread writes, and rotates; part of what sums are, to the last digit.
_CHUNK = 2**18
_ROTATED = 2**20
# Rows, and rounds of rotations, up to which compiling takes longer than it saves.
_FEW_ROWS, _FEW_ROUNDS = 2**15, 1000
# Entries whose triangles leave the cache, and the ranges of them that threads take in turn.
_MANY_ENTRIES, _RANGES = 2**16, 4
# Triangles that what is left of rows takes turns in, where there are few terms.
_TURNS, _FEW_TERMS = 8, 64


def _parts(n: int) -> Iterator[slice]:
    return (slice(first, first + _ROWS_AT_ONCE) for first in range(0, n, _ROWS_AT_ONCE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """Where columns X, and y if it is one of them, stand in internal coordinates.

    Attributes
    ----------
    centre : array (m,)
    basis : array (p, p)
        Upper triangular, of X.
    coef : array (p,)
        What is taken off y - centre, of the columns (x - centre)' basis.
    """

    centre: Array
    basis: Array
    coef: Array

    def write(self, X: Array, y: Array | None, out: Array) -> Array:
        """Write the columns to out (N, m), and return their products (m, m)."""
        m, last = out.shape[1], np.empty(0) if y is None else y
        products = np.zeros((m, m))
        for own in in_order(lambda some: self._write(X[some], last[some], out[some]), chunks_of(len(X), _CHUNK)):
            products += own
        return products

    def _write(self, X: Array, y: Array, out: Array) -> Array:
        (n, p), m = X.shape, out.shape[1]
        products = np.zeros((m, m))
        if is_worth_compiling(n, m):
            from hierreg.gram import kernels

            given = read_only(X.view()), read_only(y.view())
            kernels.write_rows(*given, self.centre, self.basis, self.coef, out, products)
            return products + np.tril(products, -1).T
        for some in _parts(n):
            out[some, :p] = (X[some] - self.centre[:p]) @ self.basis
            if m > p:
                out[some, p] = y[some] - self.centre[p] - out[some, :p] @ self.coef
            products += out[some].T @ out[some]
        return products


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


def rotate(A: Array, q: int, place: Index, term: Index) -> tuple[Array, Array, Index]:
    """Rotate rows into triangles by their first q columns.

    Parameters
    ----------
    A : array (n, q + r)
    q : int
    place : int array (n,)
        Entry of each row.
    term : int array (F,)
        Of each entry.

    Returns
    -------
    triangle : array (F, q, q + r)
    left : array (R, r)
        What is left of the other columns, in as few rows as it may be, or all.
    left_term : int array (R,)
    """
    A = np.ascontiguousarray(A)
    n, F, c = len(A), len(term), A.shape[1]
    counts = np.bincount(place, minlength=1) if n <= _FEW_ROWS else None
    if counts is not None and counts.max() * q <= _FEW_ROUNDS:
        return _rotate_in_rounds(A, q, place, term, counts)
    if F > _MANY_ENTRIES:
        triangle = np.zeros((F, q, c))
        parts = in_order(lambda own: _rotate_into(triangle, A, place, term, own), chunks_of(F, -(-F // _RANGES)))
        left = [tuple(rest) for _, *rest in parts]
        rows, terms = (np.concatenate(each) for each in zip(*left, strict=True))
        return _with_roots(triangle), rows, terms
    parts = in_order(
        lambda some: _rotate_into(np.zeros((F, q, c)), A[some], place[some], term),
        chunks_of(n, max(_ROTATED, 8 * F)),  # uniting triangles is little beside the rows of a chunk
    )
    triangle, *first = next(parts)
    left = [tuple(first)]
    for own, rows, own_term in parts:
        _, *more = _rotate_into(triangle, _with_roots(own).reshape(F * q, c), np.repeat(np.arange(F), q), term)
        left += [(rows, own_term), tuple(more)]
    rows, terms = (np.concatenate(each) for each in zip(*left, strict=True))
    return _with_roots(triangle), rows, terms


def _rotate_into(
    triangle: Array, A: Array, place: Index, term: Index, entries: slice | None = None
) -> tuple[Array, Array, Index]:
    """Rotate rows into triangles without roots (F, q, q + r), and return these and what is left with its terms.

    Rows of other than the given entries are left out.
    """
    from hierreg.gram import kernels

    q, K = triangle.shape[1], int(term.max(initial=-1)) + 1
    r = A.shape[1] - q
    left = np.zeros((K, _TURNS if K <= _FEW_TERMS else 1, r, r))
    first, last = (0, len(triangle)) if entries is None else (entries.start, entries.stop)
    given = read_only(A.view()), read_only(place.view())
    kernels.accumulate_triangles(q, *given, first, last, read_only(term.view()), triangle, left)
    rows = _with_roots(left).reshape(-1, r)
    is_used = np.any(rows != 0, axis=1)
    return triangle, rows[is_used], np.repeat(np.arange(K), left.shape[1] * r)[is_used]


def _with_roots(triangles: Array) -> Array:
    """Return D^1/2 R of triangles (..., r, c) that hold D and R."""
    roots = np.sqrt(np.diagonal(triangles, axis1=-2, axis2=-1))
    out = triangles * roots[..., None]
    at = np.arange(triangles.shape[-2])
    out[..., at, at] = roots
    return np.asarray(out)


def _rotate_in_rounds(A: Array, q: int, place: Index, term: Index, counts: Index) -> tuple[Array, Array, Index]:
    """Do what `rotate` does, a row of each entry at a time."""
    n, left = len(A), np.empty((len(A), A.shape[1] - q))
    triangle = np.zeros((len(term), q, A.shape[1]))
    order = np.argsort(place, kind="stable")
    round_of = np.empty(n, dtype=np.intp)
    round_of[order] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    # A round has one row of each place.
    in_rounds = np.split(np.argsort(round_of, kind="stable"), np.cumsum(np.bincount(round_of, minlength=1))[:-1])
    for rows in in_rounds:
        T, row = triangle[place[rows]], A[rows]
        for k in range(q):
            _rotate_column(T[:, k], row, k)
        triangle[place[rows]], left[rows] = T, row[:, q:]
    return triangle, left, term[place]


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
