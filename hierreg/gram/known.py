"""Cross-products of rows whose errors have a known covariance, block by block.

Rows are multiplied by V^-1 through the Cholesky factor of their block, L L' = V, so that ``Z'V^-1 Z`` is the sum of
squares ``(L^-1 Z)'(L^-1 Z)``. A group's columns are spread over *slots*, one for each group of a factor that occurs in
a block: (row, slot, column), zero but in the slot of the row's own group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import listed
from hierreg.errors.known_covariance import BlocksOfSize, solve_lower
from hierreg.exceptions import ModelError
from hierreg.linalg import smallest_eigenvalue, unit_diagonal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hierreg.errors.known_covariance import BlockCovariance
    from hierreg.gram.basis import Gram

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
    Keyed = tuple[Index, Array]

# Numbers in the arrays that are held at once.
_CHUNK_VALUES = 2**24
# Smallest eigenvalue of the precision of columns of length one, below which few digits of it may be left.
_LOST = 1e-14


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProducts:
    """Cross-products under V^-1; keys are ascending.

    Attributes
    ----------
    WtW : array (m, m)
    pairs : tuple of (keys (E,), ZtZ (E, q, q))
        For each factor, by pair of groups g <= h: key g J + h.
    entries : tuple of (keys (F,), ZtW (F, q, m))
        By group.
    crossed : tuple of (keys (E,), ZtZ (E, q_a, q_b))
        For each pair of factors a < b, in the order of b, then a; key g J_b + h.
    log_det : float
        log|V|.
    """

    WtW: Array
    pairs: tuple[Keyed, ...]
    entries: tuple[Keyed, ...]
    crossed: tuple[Keyed, ...]
    log_det: float


def known_products(
    V: BlockCovariance, W: Array, Z: Sequence[Array], index: Sequence[Index], J: Sequence[int]
) -> KnownProducts:
    """Return the cross-products of all rows.

    Parameters
    ----------
    V : BlockCovariance
    W : array (N, m)
    Z : sequence of arrays (N, q)
        Columns of each factor.
    index : sequence of int arrays (N,)
        Group of each row, by factor.
    J : sequence of int
        Number of groups of each factor.
    """
    factors = range(len(Z))
    WtW, log_det = np.zeros((W.shape[1], W.shape[1])), 0.0
    pairs: list[list[Keyed]] = [[] for _ in factors]
    entries: list[list[Keyed]] = [[] for _ in factors]
    crossed: dict[tuple[int, int], list[Keyed]] = {(a, b): [] for b in factors for a in range(b)}
    for part in _parts(V, W.shape[1], Z, index):
        L = np.linalg.cholesky(part.V)
        log_det += 2.0 * float(np.sum(np.log(np.diagonal(L, axis1=1, axis2=2))))
        white = solve_lower(L, W[part.rows])
        WtW += white.reshape(-1, W.shape[1]).T @ white.reshape(-1, W.shape[1])
        spread = []
        for f in factors:
            groups, slot = _slots(index[f][part.rows])
            own = solve_lower(L, _spread(Z[f][part.rows], slot, groups.shape[1]))
            spread.append((groups, own))
            pairs[f].append(_pairs(groups, own, J[f]))
            entries[f].append(_entries(groups, own, white))
        for (a, b), found in crossed.items():
            found.append(_crossed(spread[a], spread[b], J[b]))
    return KnownProducts(
        WtW=WtW,
        pairs=tuple(_summed(one) for one in pairs),
        entries=tuple(_summed(one) for one in entries),
        crossed=tuple(_summed(one) for one in crossed.values()),
        log_det=log_det,
    )


def rows_are_within(V: BlockCovariance, index: Index) -> bool:
    """Return whether V links only rows of one group, ``index`` (N,) the group of each row."""
    return all(bool(np.all(index[one.rows] == index[one.rows[:, :1]])) for one in V.batches)


def whitened_rows(V: BlockCovariance, arrays: Sequence[Array]) -> tuple[list[Array], float]:
    """Return L^-1 times arrays (N, c), L L' = V in blocks that keep the places of their rows, and log|V|."""
    out, log_det = [np.empty_like(one) for one in arrays], 0.0
    for part in _parts(V, sum(one.shape[1] for one in arrays), (), ()):
        L = np.linalg.cholesky(part.V)
        log_det += 2.0 * float(np.sum(np.log(np.diagonal(L, axis1=1, axis2=2))))
        for to, array in zip(out, arrays, strict=True):
            to[part.rows] = solve_lower(L, array[part.rows])
    return out, log_det


def _parts(V: BlockCovariance, m: int, Z: Sequence[Array], index: Sequence[Index]) -> Iterator[BlocksOfSize]:
    """Return blocks of one size that have the same number of groups of each factor, some at a time."""
    for batch in V.batches:
        M, s = batch.rows.shape
        n_groups = np.stack([_n_distinct(one[batch.rows]) for one in index] or [np.ones(M, dtype=np.intp)], axis=1)
        kinds, kind = np.unique(n_groups, axis=0, return_inverse=True)
        for k, counts in enumerate(kinds):
            mine = np.flatnonzero(kind.ravel() == k)
            width = m + s + sum(int(c) * one.shape[1] for c, one in zip(counts, Z, strict=False))
            step = max(1, _CHUNK_VALUES // (s * width))
            for first in range(0, len(mine), step):
                some = mine[first : first + step]
                yield BlocksOfSize(rows=batch.rows[some], V=batch.V[some])


def _n_distinct(groups: Index) -> Index:
    return np.asarray(1 + np.sum(np.diff(np.sort(groups, axis=1), axis=1) != 0, axis=1), dtype=np.intp)


def _slots(groups: Index) -> tuple[Index, Index]:
    """Return the c distinct groups of each block (m, c), ascending, and the slot of each row (m, s) among them."""
    order = np.argsort(groups, axis=1, kind="stable")
    in_order = np.take_along_axis(groups, order, axis=1)
    is_new = np.ones(groups.shape, dtype=bool)
    is_new[:, 1:] = in_order[:, 1:] != in_order[:, :-1]
    slot = np.empty_like(groups)
    np.put_along_axis(slot, order, np.cumsum(is_new, axis=1) - 1, axis=1)
    return in_order[is_new].reshape(len(groups), -1), slot


def _spread(Z: Array, slot: Index, c: int) -> Array:
    """Return the columns (m, s, q) of rows in their slots, (m, s, c q)."""
    m, s, q = Z.shape
    out = np.zeros((m, s, c, q))
    out[np.arange(m)[:, None], np.arange(s), slot] = Z
    return out.reshape(m, s, c * q)


def _pairs(groups: Index, own: Array, J: int) -> Keyed:
    m, c = groups.shape
    q = own.shape[2] // c
    products = (np.swapaxes(own, 1, 2) @ own).reshape(m, c, q, c, q)
    i, j = np.triu_indices(c)
    keys = groups[:, i] * J + groups[:, j]
    values = products[:, i, :, j, :].swapaxes(0, 1)  # advanced indices come first
    # What is zero does not link: a group may have columns of zeros.
    used = (i == j) | np.any(values != 0, axis=(2, 3))
    return keys[used], values[used]


def _entries(groups: Index, own: Array, white: Array) -> Keyed:
    m, c = groups.shape
    values = (np.swapaxes(own, 1, 2) @ white).reshape(m * c, own.shape[2] // c, white.shape[2])
    return groups.ravel(), values


def _crossed(a: tuple[Index, Array], b: tuple[Index, Array], J: int) -> Keyed:
    (first, own_a), (second, own_b) = a, b
    m, c, d = len(first), first.shape[1], second.shape[1]
    products = np.swapaxes(own_a, 1, 2) @ own_b
    products = products.reshape(m, c, own_a.shape[2] // c, d, own_b.shape[2] // d).swapaxes(2, 3)
    keys = first[:, :, None] * J + second[:, None, :]
    return keys.ravel(), products.reshape(m * c * d, *products.shape[3:])


def _summed(parts: list[Keyed]) -> Keyed:
    """Return distinct keys, ascending, and the sum of the values of each."""
    keys, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(values[order], first, axis=0)


def check_known_errors(gram: Gram) -> None:
    """Raise where known errors, or weights, differ so much that the rows of large errors are lost to rounding.

    Raises
    ------
    ModelError
        If the precision of the population columns, of columns of length one, is singular to working precision.
    """
    p = len(gram.coef_names)
    if gram.terms.structure.has_units or not p:
        return
    precision = gram.WtW[:, :p, :p].sum(axis=0)
    smallest = smallest_eigenvalue(unit_diagonal(precision)[1])
    if smallest < _LOST:
        raise ModelError(
            "the known errors, or weights, differ so much from row to row that what the rows of large errors say of "
            f"the coefficients {listed(gram.coef_names)} is lost to rounding (smallest eigenvalue {smallest:.2g} of "
            "their precision). Give data sets of different units coefficients of their own, 'y ~ 0 + d + d:x', or no "
            "row an error millions of times smaller than those of the others."
        )
