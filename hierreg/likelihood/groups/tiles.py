"""Blocks of the group coefficients, several at a time, in the layout that the kernels read.

Groups of one or two coefficients go STRIP at a time where all stand alone, other blocks LANES, or a multiple of it
where the likelihood alone reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lanes import LANES, STRIP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """Blocks of equal size m = slots * q, some at a time, each tile with only the terms that occur in it.

    Attributes
    ----------
    levels : int array (n_tiles, slots, width)
        Level in each slot of a block; -1 where the slot is empty (a group without rows changes nothing).
    indptr : int array (n_tiles + 1,)
        Entries indptr[t] to indptr[t + 1] belong to tile t.
    term : int array (n_entries,)
        Term of each entry.
    ZtZ : array (n_entries, m, m, width)
    ZtW : array (n_entries, m, p + 1, width), or (n_entries, p + 1, m, STRIP)
    weight : array (n_weighted, width)
        How often log|M| of each block counts, in the first tiles; once in the others.
    factored : bool array (n_tiles,)
        Whether the tile has one term, and holds C and D of its blocks in place of ZtZ = C'C and ZtW = C'D.
    """

    levels: Index
    indptr: Index
    term: Index
    ZtZ: Array
    ZtW: Array
    weight: Array
    factored: NDArray[np.bool_]

    @property
    def arrays(self) -> tuple[Index, Index, Array, Array, Array, NDArray[np.bool_]]:
        """The arrays in the order of `record.TilesRecord`."""
        return self.indptr, self.term, self.ZtZ, self.ZtW, self.weight, self.factored

    @property
    def width(self) -> int:
        """Blocks of a tile."""
        return int(self.levels.shape[2])

    @property
    def n_coef(self) -> int:
        """Coefficients of a block."""
        return int(self.ZtZ.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks before they are put into tiles: levels (n_blocks, slots), and entries with their block and term.

    Entries are in the order of their blocks, then of their terms. Of factored blocks, which have one term or none, they
    are C and D in place of ZtZ = C'C and ZtW = C'D.
    """

    levels: Index
    block: Index
    term: Index
    ZtZ: Array
    ZtW: Array
    factored: bool = False

    def where(self, kept: NDArray[np.bool_]) -> Blocks:
        """Return the blocks that are kept (n_blocks,)."""
        place, entries = np.cumsum(kept) - 1, kept[self.block]
        return Blocks(
            levels=self.levels[kept],
            block=place[self.block[entries]],
            term=self.term[entries],
            ZtZ=self.ZtZ[entries],
            ZtW=self.ZtW[entries],
            factored=self.factored,
        )


def slots_of(levels: Index, n_levels: int) -> tuple[Index, Index]:
    """Return the block and the slot of each level (n_levels,), -1 of those that no block (n_blocks, slots) holds."""
    block_of, slot_of = np.full((2, n_levels), -1, dtype=np.intp)
    block, slot = np.nonzero(levels >= 0)
    block_of[levels[block, slot]], slot_of[levels[block, slot]] = block, slot
    return block_of, slot_of


def terms_per_tile(blocks: Blocks, widths: Sequence[int]) -> list[float]:
    """Return how many terms a tile of each width has on average, those of any of its blocks."""
    n = len(blocks.levels)
    place = places(blocks.block, blocks.term, n)
    K = int(blocks.term.max(initial=0)) + 1
    return [len(np.unique(place[blocks.block] // width * K + blocks.term)) / max(1, -(-n // width)) for width in widths]


def tiles_of(blocks: Blocks, weight: Array | None = None, *, width: int = LANES) -> Tiles:
    """Return the blocks in tiles; blocks with the same terms share tiles, lanes to spare stay empty.

    Factored blocks share them with no others.

    Parameters
    ----------
    blocks : Blocks
    weight : array (n_blocks,) or None
        How often log|M| of each block counts; None is once.
    width : int
        A multiple of LANES, or STRIP for blocks of one group with one or two coefficients.
    """
    place = _places_by_term(blocks, width) if blocks.factored else places(blocks.block, blocks.term, len(blocks.levels))
    n_tiles = -(-(int(place.max(initial=-1)) + 1) // width)
    levels = np.full((n_tiles * width, blocks.levels.shape[1]), -1, dtype=np.intp)
    levels[place] = blocks.levels
    tile, lane = place[blocks.block] // width, place[blocks.block] % width
    K = int(blocks.term.max(initial=0)) + 1
    keys, entry = np.unique(tile * K + blocks.term, return_inverse=True)
    ZtZ = np.zeros((len(keys), *blocks.ZtZ.shape[1:], width))
    columns = blocks.ZtW.swapaxes(1, 2) if width == STRIP else blocks.ZtW
    ZtW = np.zeros((len(keys), *columns.shape[1:], width))
    ZtZ[entry, :, :, lane] = blocks.ZtZ
    ZtW[entry, :, :, lane] = columns
    weights = np.zeros(0 if weight is None else n_tiles * width)
    if weight is not None:
        weights[place] = weight
    return Tiles(
        levels=np.ascontiguousarray(levels.reshape(n_tiles, width, levels.shape[1]).transpose(0, 2, 1)),
        indptr=np.searchsorted(keys // K, np.arange(n_tiles + 1)).astype(np.intp),
        term=(keys % K).astype(np.intp),
        ZtZ=ZtZ,
        ZtW=ZtW,
        weight=weights.reshape(-1, width),
        factored=np.full(n_tiles, blocks.factored),
    )


def join(first: Tiles, second: Tiles) -> Tiles:
    """Return the tiles of both."""
    weight = first.weight
    if len(second.weight):
        once = np.ones((len(first.levels) - len(weight), first.width))
        weight = np.concatenate([weight, once, second.weight])
    return Tiles(
        levels=np.concatenate([first.levels, second.levels]),
        indptr=np.concatenate([first.indptr, first.indptr[-1] + second.indptr[1:]]),
        term=np.concatenate([first.term, second.term]),
        ZtZ=np.concatenate([first.ZtZ, second.ZtZ]),
        ZtW=np.concatenate([first.ZtW, second.ZtW]),
        weight=weight,
        factored=np.concatenate([first.factored, second.factored]),
    )


def places(block: Index, term: Index, n: int) -> Index:
    """Return the places of n blocks in an order in which those with the same first and last term are neighbours.

    Of each entry the block and the term.
    """
    first, last = np.full(n, np.iinfo(np.intp).max), np.full(n, -1)
    np.minimum.at(first, block, term)
    np.maximum.at(last, block, term)
    place = np.empty(n, dtype=np.intp)
    place[np.lexsort((last, first))] = np.arange(n)
    return place


def _places_by_term(blocks: Blocks, width: int) -> Index:
    """Return places of blocks of one term, or of none, with which each tile has one term."""
    own = np.full(len(blocks.levels), -1, dtype=np.intp)
    own[blocks.block] = blocks.term
    kind = np.unique(own, return_inverse=True)[1]
    counts = np.bincount(kind)
    tiles = -(-counts // width)
    order = np.argsort(kind, kind="stable")
    within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.repeat(np.cumsum(tiles) - tiles, counts) * width + within
    return place
