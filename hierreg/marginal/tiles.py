"""Blocks of the group coefficients, LANES at a time, in the layout that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.marginal.lanes import LANES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


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
    weight : array (n_weighted, LANES)
        How often log|M| of each block counts, in the first tiles; once in the others.
    """

    levels: Index
    indptr: Index
    term: Index
    ZtZ: Array
    ZtW: Array
    weight: Array

    @property
    def arrays(self) -> tuple[Index, Index, Array, Array, Array]:
        """The arrays in the order in which the kernels read them."""
        return self.indptr, self.term, self.ZtZ, self.ZtW, self.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks before they are put into tiles: levels (n_blocks, slots), and entries with their block and term.

    Entries are in the order of their blocks, then of their terms.
    """

    levels: Index
    block: Index
    term: Index
    ZtZ: Array
    ZtW: Array

    def where(self, kept: NDArray[np.bool_]) -> Blocks:
        """Return the blocks that are kept (n_blocks,)."""
        place, entries = np.cumsum(kept) - 1, kept[self.block]
        return Blocks(
            levels=self.levels[kept],
            block=place[self.block[entries]],
            term=self.term[entries],
            ZtZ=self.ZtZ[entries],
            ZtW=self.ZtW[entries],
        )


def tiles_of(blocks: Blocks, weight: Array | None = None) -> Tiles:
    """Return the blocks in tiles of LANES; blocks with the same terms share tiles, lanes to spare stay empty.

    Parameters
    ----------
    blocks : Blocks
    weight : array (n_blocks,) or None
        How often log|M| of each block counts; None is once.
    """
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
    weights = np.zeros(0 if weight is None else n_tiles * LANES)
    if weight is not None:
        weights[place] = weight
    return Tiles(
        levels=np.ascontiguousarray(levels.reshape(n_tiles, LANES, levels.shape[1]).transpose(0, 2, 1)),
        indptr=np.searchsorted(keys // K, np.arange(n_tiles + 1)).astype(np.intp),
        term=(keys % K).astype(np.intp),
        ZtZ=ZtZ,
        ZtW=ZtW,
        weight=weights.reshape(-1, LANES),
    )


def join(first: Tiles, second: Tiles) -> Tiles:
    """Return the tiles of both; those of the second must have no weights."""
    return Tiles(
        levels=np.concatenate([first.levels, second.levels]),
        indptr=np.concatenate([first.indptr, first.indptr[-1] + second.indptr[1:]]),
        term=np.concatenate([first.term, second.term]),
        ZtZ=np.concatenate([first.ZtZ, second.ZtZ]),
        ZtW=np.concatenate([first.ZtW, second.ZtW]),
        weight=first.weight,
    )


def _by_terms(blocks: Blocks, n: int) -> Index:
    """Return an order of the blocks in which those with the same first and last term are neighbours."""
    first, last = np.full(n, np.iinfo(np.intp).max), np.full(n, -1)
    np.minimum.at(first, blocks.block, blocks.term)
    np.maximum.at(last, blocks.block, blocks.term)
    return np.lexsort((last, first))
