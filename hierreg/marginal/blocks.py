"""Independent blocks of the group coefficients, in the layout that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_MAX_LINKED_VALUES = 2**28


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks of equal size m = slots * q, each with only the terms that occur in it.

    Attributes
    ----------
    levels : int array (n_blocks, slots)
        Level in each slot of a block; -1 where the slot is empty (a group without rows changes nothing).
    indptr : int array (n_blocks + 1,)
        Entries indptr[b] to indptr[b + 1] belong to block b.
    term : int array (n_entries,)
        Term of each entry.
    ZtZ : array (n_entries, m, m)
    ZtW : array (n_entries, m, p + 1)
    """

    levels: Index
    indptr: Index
    term: Index
    ZtZ: Array
    ZtW: Array


def split_into_blocks(gram: Gram) -> tuple[Blocks, Blocks]:
    """Return the groups that stand alone, one per block, and those linked by correlated errors.

    Groups are linked where a cross-product between them exists; linked groups form connected components,
    all padded to the size of the largest.

    Raises
    ------
    ModelError
        If the linked groups would need more memory than a dense solution can have.
    """
    J = gram.n_levels
    linked = gram.pair_row != gram.pair_col
    if not np.any(linked):
        return _separate(gram, np.arange(J)), _separate(gram, np.empty(0, dtype=np.intp))
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array(
        (np.ones(int(linked.sum())), (gram.pair_row[linked], gram.pair_col[linked])), shape=(J, J)
    )
    _, component = connected_components(edges, directed=False)
    sizes = np.bincount(component)
    alone = np.flatnonzero(sizes[component] == 1)
    return _separate(gram, alone), _linked(gram, component, sizes)


def _separate(gram: Gram, levels: Index) -> Blocks:
    """Return one block per given level; pair entries and level entries of a lone group have the same terms."""
    block_of = np.full(gram.n_levels + 1, -1, dtype=np.intp)
    block_of[levels] = np.arange(len(levels))
    mine = np.flatnonzero((gram.pair_row == gram.pair_col) & (block_of[gram.pair_row] >= 0))
    mine = mine[np.lexsort((gram.pair_term[mine], gram.pair_row[mine]))]
    also = np.flatnonzero(block_of[gram.level_index] >= 0)
    also = also[np.lexsort((gram.level_term[also], gram.level_index[also]))]
    counts = np.bincount(block_of[gram.pair_row[mine]], minlength=len(levels))
    return Blocks(
        levels=levels[:, None],
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.intp),
        term=gram.pair_term[mine],
        ZtZ=np.ascontiguousarray(gram.ZtZ[mine]),
        ZtW=np.ascontiguousarray(gram.ZtW[also]),
    )


def _linked(gram: Gram, component: Index, sizes: Index) -> Blocks:
    kept = np.flatnonzero(sizes > 1)
    slots, q, p1 = int(sizes.max()), gram.ZtW.shape[1], gram.ZtW.shape[2]
    levels = np.full((len(kept), slots), -1, dtype=np.intp)
    block_of, slot_of = np.full(gram.n_levels, -1, dtype=np.intp), np.zeros(gram.n_levels, dtype=np.intp)
    for b, c in enumerate(kept):
        members = np.flatnonzero(component == c)
        levels[b, : len(members)] = members
        block_of[members], slot_of[members] = b, np.arange(len(members))
    K = gram.terms.n_terms
    pair_key = block_of[gram.pair_row] * K + gram.pair_term
    level_key = block_of[gram.level_index] * K + gram.level_term
    pairs, entries = block_of[gram.pair_row] >= 0, block_of[gram.level_index] >= 0
    keys = np.unique(np.concatenate([pair_key[pairs], level_key[entries]]))
    if len(keys) * (slots * q) ** 2 > _MAX_LINKED_VALUES:
        raise ModelError(
            f"correlated errors link {slots} groups of {gram.factor!r} into one block of {slots * q} coefficients "
            f"with {len(keys)} error terms, too large for the dense solution. Use groups that contain the units, "
            "fewer data sets, or hr.by() for uncorrelated errors."
        )
    ZtZ = np.zeros((len(keys), slots, q, slots, q))
    ZtW = np.zeros((len(keys), slots, q, p1))
    e = np.searchsorted(keys, pair_key[pairs])
    r, c = slot_of[gram.pair_row[pairs]], slot_of[gram.pair_col[pairs]]
    ZtZ[e, r, :, c, :] += gram.ZtZ[pairs]
    other = r != c
    ZtZ[e[other], c[other], :, r[other], :] += np.swapaxes(gram.ZtZ[pairs][other], 1, 2)
    ZtW[np.searchsorted(keys, level_key[entries]), slot_of[gram.level_index[entries]]] += gram.ZtW[entries]
    return Blocks(
        levels=levels,
        indptr=np.searchsorted(keys // K, np.arange(len(kept) + 1)).astype(np.intp),
        term=keys % K,
        ZtZ=ZtZ.reshape(len(keys), slots * q, slots * q),
        ZtW=ZtW.reshape(len(keys), slots * q, p1),
    )
