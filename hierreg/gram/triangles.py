"""Rows of each group as a triangle, from which no products need be subtracted.

Rows [Z W] of a group and error term are rotated into a triangle [C D], C'C = Z'Z and C'D = Z'W; what is *left* of W is
a triangle of its own for all groups.

Errors that are correlated within units are of one precision for all units of a missingness pattern. A unit of s rows is
one *wide* row [Z_1 ... Z_s W_1 ... W_s]: rotations across units leave the errors within each of them as they are. The
units of a pattern that have their rows in the same groups, in each data set one, are a *class*: they become at most s q
wide rows, and the part of data set d stands in the entry of term (d, d) and of its group. The rows of a class in these
entries belong together; other entries hold zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hierreg.gram.columns import rotate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.gram.basis import GroupProducts

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


def classes_of(groups: GroupProducts, table: Index) -> Index | None:
    """Return the class (F,) of each entry of a data set's own term, -1 of others.

    Parameters
    ----------
    groups : GroupProducts
        Entries by term and level (F,), and by term and pair of levels.
    table : int array (K, 3)
        Pattern and data sets d <= e of each term.

    Returns
    -------
    int array (F,) or None
        None where units have rows in groups that do not go together: a group of one data set with several of another.
    """
    pattern, d, e = table[groups.level_term].T
    own = np.flatnonzero(d == e)
    out = np.full(len(d), -1, dtype=np.intp)
    if np.all(table[:, 1] == table[:, 2]):
        out[own] = np.arange(len(own))
        return out
    if not groups.has_links:
        out[own] = np.unique(pattern[own] * groups.n_levels + groups.level_index[own], return_inverse=True)[1]
        return out
    found = _linked_classes(groups, table, own)
    if found is None:
        return None
    out[own] = found
    # Of each class one entry for every data set of its pattern.
    n_sets = pattern_sizes(table)
    places = np.stack([found, d[own]], axis=1)
    size = np.bincount(found)
    is_whole = len(np.unique(places, axis=0)) == len(own) and np.array_equal(size[found], n_sets[pattern[own]])
    return out if is_whole else None


def _linked_classes(groups: GroupProducts, table: Index, own: Index) -> Index | None:
    """Return the components (len(own),) of entries that pairs of levels join; None where one can be read two ways."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    J, D = groups.n_levels, int(table[:, 1:].max()) + 1
    pattern, d, _ = table[groups.level_term[own]].T
    keys = (pattern * D + d) * J + groups.level_index[own]
    order = np.argsort(keys)
    m, first, second = table[groups.pair_term].T
    is_pair = first != second

    def entry(data_set: Index, level: Index) -> Index:
        wanted = ((m * D + data_set) * J + level)[is_pair]
        at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        return np.where(keys[order][at] == wanted, order[at], -1)

    ahead = entry(first, groups.pair_row), entry(second, groups.pair_col)
    back = entry(first, groups.pair_col), entry(second, groups.pair_row)
    is_ahead, is_back = ((a >= 0) & (b >= 0) for a, b in (ahead, back))
    is_one = (groups.pair_row == groups.pair_col)[is_pair]
    if np.any(is_ahead & is_back & ~is_one):
        return None
    edges = [np.where(is_ahead, a, b) for a, b in zip(ahead, back, strict=True)]
    graph = coo_array((np.ones(len(edges[0])), (edges[0], edges[1])), shape=(len(own), len(own)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What rotations leave of the rows of W, as few rows as have the same products.

    Attributes
    ----------
    rows : array (R, p + 1)
    term : int array (R,), sorted
        The own term (d, d) of a data set of a pattern; those of its data sets have as many rows each, and row i of one
        belongs to row i of the others.
    """

    rows: Array
    term: Index


def rotated(groups: GroupProducts, classes: Index, table: Index, rows: tuple[Index, Array]) -> tuple[Array, Left]:
    """Return the triangles (F, h, q + p + 1) of all rows, and what they leave of W.

    Parameters
    ----------
    groups : GroupProducts
        Entries by term and level (F,).
    classes : int array (F,)
        From `classes_of`.
    table : int array (K, 3)
        Pattern and data sets d <= e of each term.
    rows : int array (n,) and array (n, height, q + p + 1)
        Entry of each part, and its rows [Z W]; those of a class stand in the same order, entries that occur several
        times in the order of their classes' parts.
    """
    of, parts = rows
    q, width = groups.n_coef, parts.shape[2]
    if np.all(table[:, 1] == table[:, 2]):
        flat, place = parts.reshape(-1, width), np.repeat(of, parts.shape[1])
        return of_independent_rows(flat[:, :q], flat[:, q:], place, groups.level_term)
    pattern, d, e = table[groups.level_term].T
    sizes = pattern_sizes(table)
    out, left = np.zeros((len(pattern), q * int(sizes.max(initial=1)), width)), []
    for m, s in enumerate(sizes.tolist()):
        mine = np.flatnonzero((pattern == m) & (d == e))
        if not len(mine):
            continue
        order = mine[np.lexsort((d[mine], classes[mine]))].reshape(-1, s)
        place, position = np.full((2, len(pattern)), -1, dtype=np.intp)
        place[order] = np.arange(len(order))[:, None]
        position[order] = np.arange(s)
        some = np.flatnonzero(place[of] >= 0)
        by_class = some[np.lexsort((position[of[some]], _occurrence(of[some]), place[of[some]]))].reshape(-1, s)
        wide = np.moveaxis(parts[by_class], 1, 2).reshape(-1, s, width)
        row_class = np.repeat(place[of[by_class[:, 0]]], parts.shape[1])
        triangle, rest = _wide_triangles(wide, row_class, len(order), q)
        out[order, : s * q] = np.moveaxis(triangle, 2, 1)
        terms = np.flatnonzero((table[:, 0] == m) & (table[:, 1] == table[:, 2]))
        left.append(Left(rows=np.swapaxes(rest, 0, 1).reshape(-1, width - q), term=np.repeat(terms, len(rest))))
    return out, fewest(left, table, width - q)


def of_independent_rows(Z: Array | None, W: Array, place: Index, term: Index) -> tuple[Array, Left]:
    """Return the triangles (F, q, q + p + 1) of rows, and what they leave, where every entry stands for itself.

    Parameters
    ----------
    Z : array (N, q), optional
        By default the columns of W but the last.
    W : array (N, p + 1)
    place : int array (N,)
        Entry of each row.
    term : int array (F,)
        Of each entry.
    """
    p1 = W.shape[1]
    A, q = (W, p1 - 1) if Z is None else (np.concatenate([Z, W], axis=1), Z.shape[1]) if Z.shape[1] else (W, 0)
    triangle, left = of_rows(A, q, place, term)
    if Z is None:
        # Columns that are their own group columns leave nothing.
        triangle = np.concatenate([triangle[:, :, :q], triangle], axis=2)
        left = replace(left, rows=np.concatenate([np.zeros((len(left.rows), q)), left.rows], axis=1))
    return triangle, left


def of_rows(A: Array, q: int, place: Index, term: Index) -> tuple[Array, Left]:
    """Do what `of_independent_rows` does of rows A = [Z W] (N, q + p + 1)."""
    triangle, rows, left_term = rotate(A, q, place, term)
    return triangle, _fewest_independent([Left(rows=rows, term=left_term)])


def fewest(parts: Sequence[Left], table: Index, p1: int) -> Left:
    """Return as few rows (R, p + 1) as have the products of all parts under every precision of the units."""
    if np.all(table[:, 1] == table[:, 2]):
        return _fewest_independent([Left(rows=np.empty((0, p1)), term=np.empty(0, dtype=np.intp)), *parts])
    rows = np.concatenate([np.empty((0, p1)), *(part.rows for part in parts)])
    term = np.concatenate([np.empty(0, dtype=np.intp), *(part.term for part in parts)])
    out, terms = [np.empty((0, p1))], [np.empty(0, dtype=np.intp)]
    for m in np.unique(table[term, 0]):
        own = np.flatnonzero((table[:, 0] == m) & (table[:, 1] == table[:, 2]))
        wide = np.concatenate([rows[term == k] for k in own], axis=1)
        R = _factor(wide).reshape(-1, len(own), p1)
        out.append(np.swapaxes(R, 0, 1).reshape(-1, p1))
        terms.append(np.repeat(own, len(R)))
    rows, term = np.concatenate(out), np.concatenate(terms)
    order = np.argsort(term, kind="stable")
    return Left(rows=rows[order], term=term[order])


def _fewest_independent(parts: Sequence[Left]) -> Left:
    """Do what `fewest` does where every term stands for itself."""
    rows, term = np.concatenate([part.rows for part in parts]), np.concatenate([part.term for part in parts])
    order = np.argsort(term, kind="stable") if np.any(term[1:] < term[:-1]) else slice(None)
    rows, term = rows[order], term[order]
    edges = np.flatnonzero(np.diff(term, prepend=-1, append=-1)) if len(term) else np.zeros(1, dtype=np.intp)
    factors = [_factor(rows[a:b]) for a, b in pairwise(edges)]
    kept = np.repeat(term[edges[:-1]], [len(R) for R in factors]) if factors else term
    return Left(rows=np.concatenate([rows[:0], *factors]), term=kept)


def _factor(rows: Array) -> Array:
    """Return R (r, c) with R'R = rows'rows, without rows of zeros."""
    rows = rows[np.any(rows != 0, axis=1)]
    if len(rows) > rows.shape[1]:
        rows = np.linalg.qr(rows, mode="r")
    return rows


def products_of(left: Left, table: Index) -> Array:
    """Return the products (K, p + 1, p + 1) of what is left, by term; of two data sets those of both orders."""
    p1 = left.rows.shape[1]
    out = np.zeros((len(table), p1, p1))
    own = {(m, d): k for k, (m, d, e) in enumerate(table.tolist()) if d == e}
    edges = np.searchsorted(left.term, np.arange(len(table) + 1))
    for k, (m, d, e) in enumerate(table.tolist()):
        first, second = (left.rows[edges[i] : edges[i + 1]] for i in (own[m, d], own[m, e]))
        products = first.T @ second
        out[k] = products if d == e else products + products.T
    return out


def pattern_sizes(table: Index) -> Index:
    """Return the number of data sets of each pattern."""
    own = table[table[:, 1] == table[:, 2], 0]
    return np.bincount(own)


def _occurrence(values: Index) -> Index:
    """Return how many times each value (n,) has occurred before."""
    order = np.argsort(values, kind="stable")
    counts = np.unique(values[order], return_counts=True)[1]
    out = np.empty(len(values), dtype=np.intp)
    out[order] = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    return out


def _wide_triangles(rows: Array, place: Index, n: int, q: int) -> tuple[Array, Array]:
    """Return triangles (n, s q, s, width) of wide rows (R, s, width), and what they leave (r, s, p + 1)."""
    R, s, width = rows.shape
    Z, W = rows[:, :, :q].reshape(R, s * q), rows[:, :, q:].reshape(R, s * (width - q))
    triangle, left, _ = rotate(np.concatenate([Z, W], axis=1), s * q, place, np.zeros(n, dtype=np.intp))
    left = _factor(left)
    C = triangle[:, :, : s * q].reshape(n, s * q, s, q)
    D = triangle[:, :, s * q :].reshape(n, s * q, s, width - q)
    return np.concatenate([C, D], axis=3), left.reshape(-1, s, width - q)
