"""Independent blocks of the group coefficients, in the layout that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.gram import GroupProducts
from hierreg.marginal.lanes import LANES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_MAX_LINKED_VALUES = 2**28


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """Blocks of equal size m = slots * q, LANES at a time, each tile with only the terms that occur in it.

    Attributes
    ----------
    levels : int array (n_tiles, slots, LANES)
        Level in each slot of a block; -1 where the slot is empty (a group without rows changes nothing).
    indptr : int array (n_tiles + 1,)
        Entries indptr[t] to indptr[t + 1] belong to tile t.
    term : int array (n_entries,)
        Term of each entry.
    ZtZ : array (n_entries, m, m, LANES)
    ZtW : array (n_entries, m, p + 1, LANES)
    """

    levels: Index
    indptr: Index
    term: Index
    ZtZ: Array
    ZtW: Array

    @property
    def arrays(self) -> tuple[Index, Index, Array, Array]:
        """The arrays in the order in which the kernels read them."""
        return self.indptr, self.term, self.ZtZ, self.ZtW


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blocks:
    """Blocks before they are put into tiles: levels (n_blocks, slots), and entries with their block and term."""

    levels: Index
    block: Index
    term: Index
    ZtZ: Array
    ZtW: Array


def split_into_blocks(gram: Gram) -> tuple[Tiles, Tiles]:
    """Return the groups that stand alone, one per block, and those linked by correlated errors.

    Groups are linked where a cross-product between them exists; linked groups form connected components,
    all padded to the size of the largest.

    Raises
    ------
    ModelError
        If the linked groups would need more memory than a dense solution can have.
    """
    groups = gram.factors[0] if gram.factors else _no_groups(gram)
    J = groups.n_levels
    linked = groups.pair_row != groups.pair_col
    if not np.any(linked):
        return _tiles(_separate(groups, np.arange(J))), _tiles(_separate(groups, np.empty(0, dtype=np.intp)))
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(int(linked.sum())), (groups.pair_row[linked], groups.pair_col[linked])), shape=(J, J))
    _, component = connected_components(edges, directed=False)
    sizes = np.bincount(component)
    alone = np.flatnonzero(sizes[component] == 1)
    return _tiles(_separate(groups, alone)), _tiles(_linked(groups, gram.terms.n_terms, component, sizes))


def _no_groups(gram: Gram) -> GroupProducts:
    none, width = np.empty(0, dtype=np.intp), len(gram.coef_names) + 1
    return GroupProducts(
        name="",
        coef_names=(),
        levels=np.empty(0, dtype=object),
        z_map=np.empty((0, 0)),
        pair_term=none,
        pair_row=none,
        pair_col=none,
        ZtZ=np.empty((0, 0, 0)),
        level_term=none,
        level_index=none,
        ZtW=np.empty((0, 0, width)),
    )


def _separate(groups: GroupProducts, levels: Index) -> _Blocks:
    """Return one block per given level; pair entries and level entries of a lone group have the same terms."""
    block_of = np.full(groups.n_levels + 1, -1, dtype=np.intp)
    block_of[levels] = np.arange(len(levels))
    mine = np.flatnonzero((groups.pair_row == groups.pair_col) & (block_of[groups.pair_row] >= 0))
    mine = mine[np.lexsort((groups.pair_term[mine], groups.pair_row[mine]))]
    also = np.flatnonzero(block_of[groups.level_index] >= 0)
    also = also[np.lexsort((groups.level_term[also], groups.level_index[also]))]
    return _Blocks(
        levels=levels[:, None],
        block=block_of[groups.pair_row[mine]],
        term=groups.pair_term[mine],
        ZtZ=groups.ZtZ[mine],
        ZtW=groups.ZtW[also],
    )


def _linked(groups: GroupProducts, K: int, component: Index, sizes: Index) -> _Blocks:
    kept = np.flatnonzero(sizes > 1)
    slots, q, p1 = int(sizes.max()), groups.ZtW.shape[1], groups.ZtW.shape[2]
    levels = np.full((len(kept), slots), -1, dtype=np.intp)
    block_of, slot_of = np.full(groups.n_levels, -1, dtype=np.intp), np.zeros(groups.n_levels, dtype=np.intp)
    for b, one in enumerate(kept):
        members = np.flatnonzero(component == one)
        levels[b, : len(members)] = members
        block_of[members], slot_of[members] = b, np.arange(len(members))
    pair_key = block_of[groups.pair_row] * K + groups.pair_term
    level_key = block_of[groups.level_index] * K + groups.level_term
    pairs, entries = block_of[groups.pair_row] >= 0, block_of[groups.level_index] >= 0
    keys = np.unique(np.concatenate([pair_key[pairs], level_key[entries]]))
    if len(keys) * (slots * q) ** 2 * LANES > _MAX_LINKED_VALUES:
        raise ModelError(
            f"correlated errors link {slots} groups of {groups.name!r} into one block of {slots * q} coefficients "
            f"with {len(keys)} error terms, too large for the dense solution. Use groups that contain the units, "
            "fewer data sets, or hr.by() for uncorrelated errors."
        )
    ZtZ = np.zeros((len(keys), slots, q, slots, q))
    ZtW = np.zeros((len(keys), slots, q, p1))
    e = np.searchsorted(keys, pair_key[pairs])
    r, c = slot_of[groups.pair_row[pairs]], slot_of[groups.pair_col[pairs]]
    ZtZ[e, r, :, c, :] += groups.ZtZ[pairs]
    other = r != c
    ZtZ[e[other], c[other], :, r[other], :] += np.swapaxes(groups.ZtZ[pairs][other], 1, 2)
    ZtW[np.searchsorted(keys, level_key[entries]), slot_of[groups.level_index[entries]]] += groups.ZtW[entries]
    return _Blocks(
        levels=levels,
        block=keys // K,
        term=keys % K,
        ZtZ=ZtZ.reshape(len(keys), slots * q, slots * q),
        ZtW=ZtW.reshape(len(keys), slots * q, p1),
    )


def _tiles(blocks: _Blocks) -> Tiles:
    """Return the blocks in tiles of LANES; blocks with the same terms share tiles, lanes to spare stay empty."""
    n = len(blocks.levels)
    order = _by_terms(blocks, n)
    n_tiles = -(-n // LANES)
    place = np.empty(n, dtype=np.intp)
    place[order] = np.arange(n)
    levels = np.full((n_tiles * LANES, blocks.levels.shape[1]), -1, dtype=np.intp)
    levels[place] = blocks.levels
    tile, lane = place[blocks.block] // LANES, place[blocks.block] % LANES
    K = int(blocks.term.max(initial=0)) + 1
    keys, entry = np.unique(tile * K + blocks.term, return_inverse=True)
    ZtZ = np.zeros((len(keys), *blocks.ZtZ.shape[1:], LANES))
    ZtW = np.zeros((len(keys), *blocks.ZtW.shape[1:], LANES))
    ZtZ[entry, :, :, lane] = blocks.ZtZ
    ZtW[entry, :, :, lane] = blocks.ZtW
    return Tiles(
        levels=np.ascontiguousarray(levels.reshape(n_tiles, LANES, levels.shape[1]).transpose(0, 2, 1)),
        indptr=np.searchsorted(keys // K, np.arange(n_tiles + 1)).astype(np.intp),
        term=(keys % K).astype(np.intp),
        ZtZ=ZtZ,
        ZtW=ZtW,
    )


def _by_terms(blocks: _Blocks, n: int) -> Index:
    """Return an order of the blocks in which those with the same first and last term are neighbours."""
    first, last = np.full(n, np.iinfo(np.intp).max), np.full(n, -1)
    np.minimum.at(first, blocks.block, blocks.term)
    np.maximum.at(last, blocks.block, blocks.term)
    return np.lexsort((last, first))
