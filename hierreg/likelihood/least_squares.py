"""What least squares on all columns, those of groups included, leaves of the response: from cross-products alone.

Terms of the error precision have weights: ones for the rows of some strata, and entries of V V' for the combinations
V'(X_i, Z_i, y_i) of the data sets of a unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from hierreg.gram import Gram
    from hierreg.gram.basis import CrossProducts, GroupProducts

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_DIRECTION = 1e-12  # eigenvalue, relative to the largest of its group, of a direction in which the group has no rows
_DIRECTION_OF_BORDER = 1e-10  # the same of the border, less what groups explain of it
# Of a column's squares in the rows themselves, what combinations of rows leave of a column that is the same in them.
_DIFFERENCE = 1e-12
_MOST_BORDER = 2500
_MOST_NUMBERS = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastSquares:
    """A least-squares fit.

    Attributes
    ----------
    before, after : float
        Sum of squares of the response, less its fit to X in all rows, and what the fit leaves of it.
    rank : int
        Of the columns.
    """

    before: float
    after: float
    rank: int


def is_too_large(gram: Gram, factors: tuple[int, ...]) -> bool:
    """Return whether the border of some factors is certainly too large for `least_squares`."""
    sizes = [gram.factors[f].n_levels * gram.factors[f].n_coef for f in factors]
    return sum(sizes) - max(sizes, default=0) > _MOST_BORDER


def least_squares(gram: Gram, weights: NDArray[Any], factors: tuple[int, ...]) -> LeastSquares | None:
    """Return the least-squares fit of some terms' rows on X and groups; None where it is too large to be made.

    The factor of most columns is eliminated group by group; the others and X are one dense border. Groups that have no
    rows in these terms are left out.

    Parameters
    ----------
    gram : Gram
    weights : array (K,)
        Of the terms; their sum is positive semidefinite. Whether a term counts will do.
    factors : tuple of int
        Places of the grouping factors that count.
    """
    terms = np.asarray(weights, dtype=float)
    found = _equations(gram, terms, factors)
    if found is None:
        return None
    F, D, E = found
    if np.any(terms < 0):
        _drop_rounding(found, _equations(gram, np.abs(terms), factors))
    values, vectors = np.linalg.eigh(D)
    keep = values > _DIRECTION * np.maximum(values[:, -1:], np.finfo(float).tiny)
    half = np.swapaxes(vectors, 1, 2) @ E / np.sqrt(np.where(keep, values, np.inf))[:, :, None]
    half = half.reshape(-1, len(F))
    rank, S = int(keep.sum()), F - half.T @ half
    size = np.sqrt(np.maximum(np.diagonal(F)[:-1], np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(S[:-1, :-1] / size / size[:, None])
    keep = values > _DIRECTION_OF_BORDER
    along = (vectors.T @ (S[:-1, -1] / size))[keep]
    after = float(S[-1, -1] - np.sum(along**2 / values[keep]))
    return LeastSquares(before=float(F[-1, -1]), after=max(after, 0.0), rank=rank + int(keep.sum()))


def _drop_rounding(equations: tuple[Array, Array, Array], rows: tuple[Array, Array, Array] | None) -> None:
    """Set columns to zero of which combinations of rows, those of AR(1) errors or data sets, leave only rounding.

    Parameters
    ----------
    equations, rows : tuples of arrays, from `_equations`
        Of the combinations, changed in place, and of the rows themselves.
    """
    assert rows is not None
    F, D, E = equations
    border = np.flatnonzero(np.diagonal(F)[:-1] <= _DIFFERENCE * np.diagonal(rows[0])[:-1])
    F[border], F[:, border], E[:, :, border] = 0.0, 0.0, 0.0
    squares, whole = (np.diagonal(one, axis1=1, axis2=2) for one in (D, rows[1]))
    level, column = np.nonzero(squares <= _DIFFERENCE * whole)
    D[level, column], D[level, :, column], E[level, column] = 0.0, 0.0, 0.0


def _equations(gram: Gram, terms: Array, factors: tuple[int, ...]) -> tuple[Array, Array, Array] | None:
    """Return border F (B, B), y last, groups D (J, q, q) beside it, and E (J, q, B); None where they are too large."""
    W = np.einsum("k,kab->ab", terms, gram.WtW)
    gram = _with_rows(gram, terms)
    used = [gram.factors[f] for f in factors]
    sizes = [factor.n_levels * factor.n_coef for factor in used]
    linked = any(np.any((f.pair_row != f.pair_col) & (terms[f.pair_term] != 0)) for f in used)
    main = int(np.argmax(sizes)) if sizes and not linked else None
    others = [i for i in range(len(used)) if i != main]
    start = np.cumsum([len(W) - 1, *(sizes[i] for i in others)])
    B = int(start[-1]) + 1
    block = used[main].n_coef * used[main].n_levels if main is not None else 0
    if B > _MOST_BORDER or block * B > _MOST_NUMBERS:
        return None
    place = {i: int(at) for i, at in zip(others, start, strict=False)}
    F = np.zeros((B, B))
    to = np.append(np.arange(len(W) - 1), B - 1)
    F[np.ix_(to, to)] = W
    for i in others:
        _put_factor(F, used[i], place[i], terms, to)
    for crossed in gram.crossed:
        a, b = (factors.index(f) if f in factors else None for f in (crossed.first, crossed.second))
        if a in place and b in place:
            _put_crossed(F, crossed, place[a], place[b], terms)
    if main is None:
        return F, np.zeros((0, 1, 1)), np.zeros((0, 1, B))
    return F, *_main_block(gram, factors, main, place, B, (terms, to))


def _with_rows(gram: Gram, terms: Array) -> Gram:
    """Return the products that terms of some weight have, with the groups that occur in them, counted anew."""
    kept = terms != 0
    places: list[Index] = []
    factors: list[GroupProducts] = []
    for factor in gram.factors:
        pairs, levels = kept[factor.pair_term], kept[factor.level_term]
        occurs = np.zeros(factor.n_levels, dtype=bool)
        occurs[factor.pair_row[pairs]] = occurs[factor.pair_col[pairs]] = True
        place = np.cumsum(occurs) - 1
        factors.append(
            replace(
                factor,
                levels=factor.levels[occurs],
                pair_term=factor.pair_term[pairs],
                pair_row=place[factor.pair_row[pairs]],
                pair_col=place[factor.pair_col[pairs]],
                ZtZ=factor.ZtZ[pairs],
                level_term=factor.level_term[levels],
                level_index=place[factor.level_index[levels]],
                ZtW=factor.ZtW[levels],
            )
        )
        places.append(place)
    crossed = []
    for one in gram.crossed:
        mine = kept[one.term]
        row, col = places[one.first][one.row[mine]], places[one.second][one.col[mine]]
        crossed.append(replace(one, term=one.term[mine], row=row, col=col, ZtZ=one.ZtZ[mine]))
    return replace(gram, factors=tuple(factors), crossed=tuple(crossed))


def _put_factor(F: Array, factor: GroupProducts, at: int, terms: Array, to: Index) -> None:
    """Add the products of a factor with itself and with [X y] to a dense matrix."""
    q = factor.n_coef
    inside = np.arange(q)
    ZtZ = terms[factor.pair_term, None, None] * factor.ZtZ
    rows = at + factor.pair_row[:, None] * q + inside
    cols = at + factor.pair_col[:, None] * q + inside
    np.add.at(F, (rows[:, :, None], cols[:, None, :]), ZtZ)
    off = factor.pair_row != factor.pair_col
    np.add.at(F, (cols[off][:, :, None], rows[off][:, None, :]), np.swapaxes(ZtZ[off], 1, 2))
    rows = at + factor.level_index[:, None] * q + inside
    products = terms[factor.level_term, None, None] * factor.ZtW
    np.add.at(F, (rows[:, :, None], to[None, None, :]), products)
    np.add.at(F, (to[None, :, None], rows[:, None, :]), np.swapaxes(products, 1, 2))


def _put_crossed(F: Array, crossed: CrossProducts, a: int, b: int, terms: Array) -> None:
    """Add the products of two factors to a dense matrix."""
    ZtZ = terms[crossed.term, None, None] * crossed.ZtZ
    rows = a + crossed.row[:, None] * ZtZ.shape[1] + np.arange(ZtZ.shape[1])
    cols = b + crossed.col[:, None] * ZtZ.shape[2] + np.arange(ZtZ.shape[2])
    np.add.at(F, (rows[:, :, None], cols[:, None, :]), ZtZ)
    np.add.at(F, (cols[:, :, None], rows[:, None, :]), np.swapaxes(ZtZ, 1, 2))


def _main_block(  # the parts of a matrix
    gram: Gram, factors: tuple[int, ...], main: int, place: Mapping[int, int], B: int, rest: tuple[Array, Index]
) -> tuple[Array, Array]:
    """Return the products of each group of a factor with itself (J, q, q), and with the border (J, q, B)."""
    terms, to = rest
    factor = gram.factors[factors[main]]
    q = factor.n_coef
    D, E = np.zeros((factor.n_levels, q, q)), np.zeros((factor.n_levels, q, B))
    np.add.at(D, factor.pair_row, terms[factor.pair_term, None, None] * factor.ZtZ)
    np.add.at(
        E,
        (factor.level_index[:, None, None], np.arange(q)[None, :, None], to[None, None, :]),
        terms[factor.level_term, None, None] * factor.ZtW,
    )
    for crossed in gram.crossed:
        a, b = (factors.index(f) if f in factors else None for f in (crossed.first, crossed.second))
        if main not in (a, b) or a is None or b is None:
            continue
        ZtZ, row, col, other = terms[crossed.term, None, None] * crossed.ZtZ, crossed.row, crossed.col, b
        if b == main:
            ZtZ, row, col, other = np.swapaxes(ZtZ, 1, 2), col, row, a
        cols = place[other] + col[:, None] * ZtZ.shape[2] + np.arange(ZtZ.shape[2])
        np.add.at(E, (row[:, None, None], np.arange(q)[None, :, None], cols[:, None, :]), ZtZ)
    return D, E
