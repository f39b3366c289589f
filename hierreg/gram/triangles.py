"""Rows of each group as a triangle, from which no products need be subtracted.

Rows [Z W] of a group and error term are rotated into a triangle [C D], C'C = Z'Z and C'D = Z'W; what is left of W is
added up over all groups as the *remainder*, R'R.

Errors that are correlated within units are of one precision for all units of a missingness pattern. A unit of s rows is
one *wide* row [Z_1 ... Z_s W_1 ... W_s]: rotations across units leave the errors within each of them as they are. The
units of a pattern that have their rows in the same groups, in each data set one, are a *class*: they become at most s q
wide rows, and the part of data set d stands in the entry of term (d, d) and of its group. The rows of a class in these
entries belong together; other entries hold zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
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
    n_sets = np.array([len(np.unique(table[table[:, 0] == m, 1])) for m in range(int(table[:, 0].max()) + 1)])
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


def rotated(groups: GroupProducts, classes: Index, table: Index, rows: tuple[Index, Array], remainder: Array) -> Array:
    """Return the triangles (F, h, q + p + 1) of all rows, and add what they leave of W to the remainder.

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
    remainder : array (K, p + 1, p + 1)
        Added to; of two data sets d < e the products of both orders.
    """
    of, parts = rows
    q, width = groups.n_coef, parts.shape[2]
    if np.all(table[:, 1] == table[:, 2]):
        return of_independent_rows(parts, q, of, groups.level_term, remainder)
    pattern, d, e = table[groups.level_term].T
    sizes = np.array([len(np.unique(table[table[:, 0] == m, 1])) for m in range(int(table[:, 0].max(initial=-1)) + 1)])
    out = np.zeros((len(pattern), q * int(sizes.max(initial=1)), width))
    for m, s in enumerate(sizes.tolist()):
        mine = np.flatnonzero((pattern == m) & (d == e))
        if not len(mine):
            continue
        order = mine[np.lexsort((d[mine], classes[mine]))].reshape(-1, s)
        place = np.full(len(pattern), -1, dtype=np.intp)
        place[order] = np.arange(len(order))[:, None]
        position = np.full(len(pattern), -1, dtype=np.intp)
        position[order] = np.arange(s)
        some = np.flatnonzero(place[of] >= 0)
        by_class = some[np.lexsort((position[of[some]], _occurrence(of[some]), place[of[some]]))].reshape(-1, s)
        wide = np.moveaxis(parts[by_class], 1, 2).reshape(-1, s, width)
        row_class = np.repeat(place[of[by_class[:, 0]]], parts.shape[1])
        triangle, left = _wide_triangles(wide, row_class, len(order), q)
        out[order, : s * q] = np.moveaxis(triangle, 2, 1)
        _add_products(left, np.flatnonzero(table[:, 0] == m), remainder)
    return out


def of_independent_rows(parts: Array, q: int, of: Index, term: Index, remainder: Array) -> Array:
    """Do what `rotated` does where every entry stands for itself, of terms (F,)."""
    from hierreg.gram import kernels

    height, width = parts.shape[1:]
    flat, place = parts.reshape(-1, width), np.repeat(of, height)
    out = np.zeros((len(term), q, width))
    W = np.ascontiguousarray(flat[:, q:])
    kernels.accumulate_triangles(np.ascontiguousarray(flat[:, :q]), W, place, term[place], out, remainder)
    return out


def _occurrence(values: Index) -> Index:
    """Return how many times each value (n,) has occurred before."""
    order = np.argsort(values, kind="stable")
    counts = np.unique(values[order], return_counts=True)[1]
    out = np.empty(len(values), dtype=np.intp)
    out[order] = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    return out


def _wide_triangles(rows: Array, place: Index, n: int, q: int) -> tuple[Array, Array]:
    """Return triangles (n, s q, s, width) of wide rows (R, s, width), and the products of what they leave."""
    from hierreg.gram import kernels

    R, s, width = rows.shape
    Z = np.ascontiguousarray(rows[:, :, :q].reshape(R, s * q))
    W = np.ascontiguousarray(rows[:, :, q:].reshape(R, s * (width - q)))
    triangle, left = np.zeros((n, s * q, s * width)), np.zeros((1, s * (width - q), s * (width - q)))
    kernels.accumulate_triangles(Z, W, place, np.zeros(R, dtype=np.intp), triangle, left)
    C = triangle[:, :, : s * q].reshape(n, s * q, s, q)
    D = triangle[:, :, s * q :].reshape(n, s * q, s, width - q)
    return np.concatenate([C, D], axis=3), left[0].reshape(s, width - q, s, width - q)


def _add_products(left: Array, terms: Index, remainder: Array) -> None:
    """Add products (s, p + 1, s, p + 1) of the parts of units to the terms of a pattern, in their order."""
    s, k = len(left), 0
    for d in range(s):
        for e in range(d, s):
            own = left[d, :, e]
            remainder[terms[k]] += own if d == e else own + left[e, :, d]
            k += 1
