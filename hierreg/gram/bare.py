"""Statistics of parts of the rows, without what the triangles of their groups say too.

Where errors of rows are independent and there is one grouping factor, all products follow from the triangles of the
groups (`gram.triangles`) and what these leave. Parts that are still to be joined are *bare*: they have triangles and no
products, and rows of groups that have few stay as they are, each an entry by itself. Joining is then one rotation of
all rows of all parts; products are made once, when all parts are together (`filled`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.gram.keys import compact
from hierreg.gram.triangles import Left, fewest, of_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.gram.basis import Gram, GroupProducts

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


def is_bare(gram: Gram) -> bool:
    """Return whether products are left out that `filled` makes of triangles."""
    return len(gram.WtW) < gram.terms.n_terms


def has_bare_form(gram: Gram) -> bool:
    """Return whether all products follow from triangles: those of one factor, of rows that are independent."""
    table = gram.terms.table
    return is_bare(gram) or (gram.has_triangles and len(gram.factors) == 1 and bool(np.all(table[:, 1] == table[:, 2])))


def united_rows(
    factors: Sequence[GroupProducts], maps: Sequence[Array] | None, keys: Sequence[Index], of: tuple[Index, int]
) -> tuple[GroupProducts, Left]:
    """Return the triangles of all rows of parts, of each term and level one, and what they leave.

    Parameters
    ----------
    factors : sequence of GroupProducts
        Of each part; a term and level may have several entries.
    maps : sequence of arrays (q + p + 1, q + p + 1), optional
        To the internal coordinates of all.
    keys : sequence of int arrays (F,)
        Of the entries of each: term J + level, in the numbering of all.
    of : int array (K,) and int
        The terms, and the number of levels J.
    """
    first, (terms, J) = factors[0], of
    entries, place = compact(np.concatenate(keys), len(terms) * J)
    heights = [one.triangle.shape[1] for one in factors]
    if max(heights) > 1:
        stops = np.cumsum([len(own) for own in keys])[:-1]
        place = np.concatenate([np.repeat(own, h) for own, h in zip(np.split(place, stops), heights, strict=True)])
    c = first.triangle.shape[2]
    rows = np.empty((len(place), c))
    begin = 0
    for i, one in enumerate(factors):
        own = one.triangle.reshape(-1, c)
        into = rows[begin : begin + len(own)]
        begin += len(own)
        if maps is None:
            into[:] = own
        else:
            np.matmul(own, maps[i], out=into)
    term = entries // J
    triangle, left = of_rows(rows, first.n_coef, place, terms[term])
    return replace(first, level_term=terms[term], level_index=entries - term * J, triangle=triangle), left


def filled(gram: Gram) -> Gram:
    """Return the same statistics with all products, and one entry for each term and level."""
    if gram.own is not None:
        gram = replace(gram, own=filled(gram.own))
    if not is_bare(gram):
        return gram
    (factor,), left = gram.factors, Left(rows=gram.left, term=gram.left_term)
    K, J, table = gram.terms.n_terms, max(factor.n_levels, 1), gram.terms.table
    keys = factor.level_term * J + factor.level_index
    if not _is_rotated(factor, keys):
        factor, more = united_rows([factor], None, [keys], (np.arange(K), J))
        left = fewest([left, more], table, len(gram.coef_names) + 1)
    ZtZ, ZtW, WtW = products_of_triangles(factor.triangle, factor.n_coef, factor.level_term, left, K)
    term, level = factor.level_term, factor.level_index
    factor = replace(factor, pair_term=term, pair_row=level, pair_col=level, ZtZ=ZtZ, ZtW=ZtW)
    return replace(gram, factors=(factor,), WtW=WtW, left=left.rows, left_term=left.term)


def _is_rotated(factor: GroupProducts, keys: Index) -> bool:
    """Return whether entries are triangles, one for each term and level, and not rows as they are."""
    height, q = factor.triangle.shape[1], factor.n_coef
    corner = factor.triangle[:, 0, 0]
    return bool(height == q and np.all(keys[1:] > keys[:-1]) and (q > 1 or np.all(corner >= 0)))


def products_of_triangles(triangle: Array, q: int, term: Index, left: Left, K: int) -> tuple[Array, Array, Array]:
    """Return Z'Z (F, q, q) and Z'W (F, q, p + 1) of each entry, and W'W (K, p + 1, p + 1) of each term.

    Parameters
    ----------
    triangle : array (F, h, q + p + 1)
    q : int
    term : int array (F,)
    left : Left
    K : int
    """
    C, D = triangle[:, :, :q], triangle[:, :, q:]
    turned = np.swapaxes(C, 1, 2)
    rows = np.concatenate([left.rows, D.reshape(-1, D.shape[2])])
    of = np.concatenate([left.term, np.repeat(term, triangle.shape[1])])
    return turned @ C, turned @ D, squares_of_terms(rows, of, K)


def squares_of_terms(rows: Array, term: Index, K: int) -> Array:
    """Return the sums (K, c, c) of the products of rows (n, c) of each term."""
    out = np.zeros((K, rows.shape[1], rows.shape[1]))
    for k in range(K):
        own = rows if K == 1 else rows[term == k]
        out[k] = own.T @ own
    return out
