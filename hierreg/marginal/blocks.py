"""Independent blocks of the group coefficients, in the layout that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.gram import GroupProducts
from hierreg.gram.collect import fitted
from hierreg.marginal.distinct import merge_equal
from hierreg.marginal.lanes import LANES, STRIP
from hierreg.marginal.theta_strips import ThetaStrips, theta_strips
from hierreg.marginal.tiles import Blocks, Tiles, join, terms_per_tile, tiles_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

_MAX_LINKED_VALUES = 2**28
# A tile is summed over the terms of all its groups; a strip is several times as fast where it has no more of them.
_MOST_MORE_TERMS = 2.0
# Strips left after merging, of those before, above which it is faster to take all of them as `theta_strips`.
_LARGEST_SHARE_MERGED = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitBlocks:
    """The groups of a factor in independent blocks.

    Attributes
    ----------
    separate : Tiles
        Groups that stand alone, one per block.
    distinct : Tiles
        Fewer blocks with the same likelihood as `separate` (see `distinct.merge_equal`); the same ones where `theta` is
        evaluated.
    linked : Tiles
        Groups linked by correlated errors.
    theta : ThetaStrips or None
        The groups of `separate` once more, where all population coefficients vary between groups and merging does not
        leave a few strips: what the likelihood is evaluated from then.
    base : array (K, p + 1, p + 1)
        W'K[k]W to which factored blocks add, and from which the others subtract.
    """

    separate: Tiles
    distinct: Tiles
    linked: Tiles
    base: Array
    theta: ThetaStrips | None = None

    @property
    def arrays(self) -> tuple[tuple[Any, ...] | None, ...]:
        """The arrays that the kernels read: two kinds of strips, tiles of groups alone, tiles of linked groups.

        There is one kind of strips, or there are tiles. What is missing is None, and no code is compiled for it.
        """
        if self.theta is not None:
            return self.theta.arrays, None, None, None
        if self.distinct.width == STRIP:
            return None, self.distinct.arrays, None, None
        return None, None, self.distinct.arrays, self.linked.arrays

    @property
    def n_tiles(self) -> int:
        """Number of strips or tiles that the likelihood reads, linked groups aside."""
        return len(self.distinct.levels if self.theta is None else self.theta.term)


def split_into_blocks(gram: Gram) -> SplitBlocks:
    """Return the groups that stand alone, and those linked by correlated errors.

    Groups are linked where a cross-product between them exists; linked groups form connected components,
    all padded to the size of the largest.

    Raises
    ------
    ModelError
        If the linked groups would need more memory than a dense solution can have.
    """
    groups = gram.factors[0] if gram.factors else _no_groups(gram)
    J = groups.n_levels
    links = groups.pair_row != groups.pair_col
    if not np.any(links):
        alone, linked = np.arange(J), _separate(groups, np.empty(0, dtype=np.intp))
    else:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        edges = coo_array((np.ones(int(links.sum())), (groups.pair_row[links], groups.pair_col[links])), shape=(J, J))
        _, component = connected_components(edges, directed=False)
        sizes = np.bincount(component)
        alone = np.flatnonzero(sizes[component] == 1)
        linked = _linked(groups, gram.terms.n_terms, component, sizes)
    blocks = _separate(groups, alone)
    width = STRIP if not np.any(links) and _suits_strips(blocks) else LANES
    one_term = np.bincount(blocks.block, minlength=len(alone)) == 1
    own, rest = factored(groups, blocks, one_term), blocks.where(~one_term | (len(groups.triangle) == 0))
    parts = [part for part in (own, rest) if part is not None and len(part.levels)] or [blocks]
    separate = _joined([tiles_of(part, width=width) for part in parts])
    merged = [merge_equal(part, width=width) for part in parts]
    distinct = separate
    if any(one is not None for one in merged):
        distinct = _joined([one or tiles_of(part, width=width) for one, part in zip(merged, parts, strict=True)])
    is_worth_it = width == STRIP and len(distinct.levels) > _LARGEST_SHARE_MERGED * len(separate.levels)
    # Groups without rows are in the rest.
    is_worth_it &= own is not None and not len(rest.block)
    theta = theta_strips(own, gram.n) if own is not None and is_worth_it else None
    base = gram.remainder
    if len(groups.triangle):
        several = np.ones(J, dtype=bool)
        several[alone[one_term]] = False
        several = several[groups.level_index]
        base = base + fitted(groups.triangle[several], groups.level_term[several], len(base))
    return SplitBlocks(
        separate=separate,
        distinct=distinct if theta is None else separate,
        linked=tiles_of(linked),
        theta=theta,
        base=base,
    )


def _joined(parts: list[Tiles]) -> Tiles:
    return parts[0] if len(parts) == 1 else join(*parts)


def factored(groups: GroupProducts, blocks: Blocks, which: NDArray[np.bool_]) -> Blocks | None:
    """Return those of the blocks of one group each which are in ``which`` (n_blocks,), and have one term, by triangles.

    None where there are no triangles, or no such blocks.
    """
    if not len(groups.triangle) or not np.any(which):
        return None
    kept = blocks.where(which)
    entry = np.full(groups.n_levels, -1, dtype=np.intp)
    entry[groups.level_index] = np.arange(len(groups.level_index))
    triangle, q = groups.triangle[entry[kept.levels[kept.block, 0]]], groups.n_coef
    return replace(kept, ZtZ=triangle[:, :, :q], ZtW=triangle[:, :, q:], factored=True)


def _suits_strips(blocks: Blocks) -> bool:
    """Return whether groups have one or two coefficients, and 64 together not many more error terms than eight."""
    if not 0 < blocks.ZtZ.shape[1] <= 2:
        return False
    if blocks.term.max(initial=0) == 0:
        return True
    in_strip, in_tile = terms_per_tile(blocks, (STRIP, LANES))
    return in_strip <= _MOST_MORE_TERMS * in_tile


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
        triangle=np.empty((0, 0, width)),
    )


def _separate(groups: GroupProducts, levels: Index) -> Blocks:
    """Return one block per given level; pair entries and level entries of a lone group have the same terms."""
    block_of = np.full(groups.n_levels + 1, -1, dtype=np.intp)
    block_of[levels] = np.arange(len(levels))
    mine = np.flatnonzero((groups.pair_row == groups.pair_col) & (block_of[groups.pair_row] >= 0))
    mine = mine[np.lexsort((groups.pair_term[mine], groups.pair_row[mine]))]
    also = np.flatnonzero(block_of[groups.level_index] >= 0)
    also = also[np.lexsort((groups.level_term[also], groups.level_index[also]))]
    return Blocks(
        levels=levels[:, None],
        block=block_of[groups.pair_row[mine]],
        term=groups.pair_term[mine],
        ZtZ=groups.ZtZ[mine],
        ZtW=groups.ZtW[also],
    )


def _linked(groups: GroupProducts, K: int, component: Index, sizes: Index) -> Blocks:
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
    return Blocks(
        levels=levels,
        block=keys // K,
        term=keys % K,
        ZtZ=ZtZ.reshape(len(keys), slots * q, slots * q),
        ZtW=ZtW.reshape(len(keys), slots * q, p1),
    )
