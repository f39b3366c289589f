"""Independent blocks of the group coefficients, in the layout that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.compiled.lanes import LANES, STRIP, WIDEST
from hierreg.errors.within_units import WITHIN
from hierreg.exceptions import ModelError
from hierreg.gram import GroupProducts
from hierreg.gram.triangles import classes_of, pattern_sizes
from hierreg.likelihood.groups.equal_groups import merge_equal
from hierreg.likelihood.groups.rows import RowTiles, row_tiles, without_noise
from hierreg.likelihood.groups.theta_strips import ThetaStrips, theta_strips
from hierreg.likelihood.groups.tiles import Blocks, Tiles, join, slots_of, terms_per_tile, tiles_of

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
# Rounding of the log density by row, and of a column's precision beside itself, from which rows are better.
_DIGITS_OF_A_ROW = 1e-10
_DIGITS_OF_A_COLUMN = 2e-8
# What may be lost where there are no rows to go to: error correlations near one lose digits too, and draws come near.
_WITHOUT_BETTER = 1e3
# Error variances that draws may have are above this share of those that the rows suggest.
_MARGIN = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitBlocks:
    """The groups of a factor in independent blocks.

    Attributes
    ----------
    separate : Tiles
        Groups that stand alone, one per block.
    distinct : Tiles
        Fewer blocks with the same likelihood as `separate` (see `equal_groups.merge_equal`), or the same ones in wider
        tiles; the same tiles where `theta` is evaluated.
    linked : Tiles
        Groups linked by errors, where they have no triangles.
    rows : RowTiles or None
        Groups of several error terms, and linked ones, where they have triangles.
    theta : ThetaStrips or None
        The groups of `separate` once more, where all population coefficients vary between groups and merging does not
        leave a few strips: what the likelihood is evaluated from then.
    most_subtracted : tuple of float
        What products may subtract of W'R^-1 W: of y in all, of a population column beside what is left of it.
    can_be_exact : bool
        Whether groups that are here by their products could be by rows.
    base : array (K, p + 1, p + 1)
        W'K[k]W to which factored blocks and rows add, and from which the others subtract.
    left : array (R, p + 1)
    left_of : int array (M, 4) or None
        Rows that have the products of the base, and of each missingness pattern: the first of them, how many there are
        of each data set, the number of data sets, and its first term. None where the base has no rows.
    """

    separate: Tiles
    distinct: Tiles
    linked: Tiles
    rows: RowTiles | None
    most_subtracted: tuple[float, float]
    can_be_exact: bool
    base: Array
    left: Array
    left_of: Index | None
    theta: ThetaStrips | None = None

    @property
    def arrays(self) -> tuple[tuple[Any, ...] | None, ...]:
        """The arrays that the kernels read: two kinds of strips, tiles of groups alone, of linked groups, and of rows.

        There is one kind of strips, or there are tiles, or tiles and rows, or nothing: no groups. What is missing is
        None, and no code is compiled for it.
        """
        if self.rows is None and not len(self.distinct.levels) and not len(self.linked.levels):
            return None, None, None, None, None
        if self.theta is not None:
            return self.theta.arrays, None, None, None, None
        if self.distinct.width == STRIP:
            return None, self.distinct.arrays, None, None, None
        if self.rows is not None:
            return None, None, self.distinct.arrays, None, self.rows.arrays
        return None, None, self.distinct.arrays, self.linked.arrays, None

    @property
    def tiles(self) -> tuple[Tiles | RowTiles, ...]:
        """All groups, each once: those that stand alone, linked ones without triangles, those by rows."""
        return (self.separate, self.linked) if self.rows is None else (self.separate, self.linked, self.rows)

    @property
    def n_tiles(self) -> int:
        """Number of strips or tiles that the likelihood reads, linked groups aside."""
        rows = 0 if self.rows is None else len(self.rows.levels)
        return rows + len(self.distinct.levels if self.theta is None else self.theta.term)


def split_into_blocks(gram: Gram, *, by_rows: bool = False) -> SplitBlocks:
    """Return the groups that stand alone, and those linked by correlated errors.

    Groups are linked where a cross-product between them exists; linked groups form connected components,
    all padded to the size of the largest.

    Parameters
    ----------
    gram : Gram
    by_rows : bool
        Take groups of several error terms, and linked ones, by their rows where they have triangles. Products take an
        eighth to a half of the time, and digits only where errors are not far smaller than groups; where the data leave
        room for such errors, rows are taken in any case.

    Raises
    ------
    ModelError
        If the linked groups would need more memory than a dense solution can have.
    """
    groups = gram.factors[0] if gram.factors else _no_groups(gram)
    alone, components = _components(groups)
    classes = classes_of(groups, gram.terms.table) if len(groups.triangle) else None
    blocks = _separate(groups, alone)
    count = np.bincount(blocks.block, minlength=len(alone))
    can_have_rows = classes is not None and (components is not None or bool(np.any(count > 1)))
    has_links = bool(np.any(gram.terms.table[:, 1] != gram.terms.table[:, 2]))
    # Without groups products of linked data sets take far less time than their rows.
    can_be_exact = not by_rows and (
        has_links and gram.has_triangles if not gram.factors else can_have_rows and _keeps_digits(gram)
    )
    rows, linked = None, _separate(groups, alone[:0])
    if can_be_exact:
        # Products of all groups for now: those that have triangles of their own too, which would add to another base.
        classes = None
    if classes is None and components is not None:
        linked = _linked(groups, gram.terms.n_terms, components)
    elif classes is not None and can_have_rows:
        rows = row_tiles(groups, classes, gram.terms.table, _blocks_by_rows(alone[count > 1], components))
        blocks = _separate(groups, alone[count <= 1])
        count = count[count <= 1]
    width = STRIP if components is None and rows is None and _suits_strips(blocks) else LANES
    own = factored(groups, blocks, count == 1) if classes is not None else None
    rest = blocks.where((count != 1) | (classes is None))
    parts = [part for part in (own, rest) if part is not None and len(part.levels)] or [blocks]
    separate = _joined([tiles_of(part, width=width) for part in parts])
    merged = [merge_equal(part, width=width) for part in parts]
    distinct = separate
    if any(one is not None for one in merged):
        distinct = _joined([one or tiles_of(part, width=width) for one, part in zip(merged, parts, strict=True)])
    elif width == LANES:
        distinct = _joined([tiles_of(part, width=_widest(sum(len(one.levels) for one in parts))) for part in parts])
    is_worth_it = width == STRIP and len(distinct.levels) > _LARGEST_SHARE_MERGED * len(separate.levels)
    # Groups without rows are in the rest.
    is_worth_it &= own is not None and not len(rest.block)
    theta = theta_strips(own, gram.n) if own is not None and is_worth_it and not by_rows else None
    has_left = classes is not None or (gram.has_triangles and not gram.factors and not can_be_exact)
    return SplitBlocks(
        separate=separate,
        distinct=distinct if theta is None else separate,
        linked=tiles_of(linked),
        rows=rows,
        most_subtracted=_most_subtracted(gram.n, 1.0 if can_be_exact else _WITHOUT_BETTER),
        can_be_exact=can_be_exact,
        theta=theta,
        base=gram.remainder if has_left else gram.WtW,
        left=gram.left,
        left_of=_patterns_left(gram) if has_left else None,
    )


def _widest(n: int) -> int:
    """Return how many of n groups go together in as few tiles as can be, with few lanes to spare."""
    tiles = max(1, -(-n // WIDEST))
    return LANES * max(1, -(-n // (tiles * LANES)))


def _most_subtracted(n: int, share: float) -> tuple[float, float]:
    return share * _DIGITS_OF_A_ROW * n / np.finfo(float).eps, share * _DIGITS_OF_A_COLUMN / np.finfo(float).eps


def _keeps_digits(gram: Gram) -> bool:
    """Return whether the rows bound the errors of every combination of data sets, far above what products need.

    What no group fits of y bounds them: where it is nothing, an error variance may be as small as it likes.
    """
    label, components = np.arange(gram.terms.n_labels), gram.terms.components
    if gram.terms.structure.is_in_time:
        return _pairs_keep_digits(gram)
    if components is not None:
        # Variances of means of units go together, whatever their size.
        label = np.unique(np.stack([components.stratum, components.size > WITHIN]), axis=1, return_inverse=True)[1]
    D = int(label.max()) + 1
    left, own = np.zeros((D, D)), np.zeros((D, D))
    remainder = gram.remainder
    for k, (_, d, e) in enumerate(gram.terms.table):
        for out, one in ((left, remainder), (own, gram.WtW)):
            # Of two data sets the products of both orders.
            out[label[d], label[e]] += 0.5 * one[k, -1, -1]
            out[label[e], label[d]] += 0.5 * one[k, -1, -1]
    return _least_left(left, own) * _most_subtracted(gram.n, 1.0)[0] > _MARGIN * gram.n


def _least_left(left: Array, own: Array) -> float:
    """Return the least share of its own products (D, D) that is left of a combination of data sets; zero of nothing."""
    # Sums of batches may have the rounding of zero there.
    root = np.sqrt(np.maximum(np.diagonal(own), 0.0))
    return float(np.linalg.eigvalsh(left / root / root[:, None])[0]) if np.all(root > 0) else 0.0


def _pairs_keep_digits(gram: Gram) -> bool:
    """Return what `_keeps_digits` does, of AR(1) errors: of what neighbours leave of each other.

    Where that vanishes rho is near one or minus one: pairs with odd gaps, and with even ones, have one combination.
    """
    terms, remainder = gram.terms, gram.remainder
    pattern, d, e = terms.table.T
    most = _most_subtracted(gram.n, 1.0)[0]
    for is_odd in (0, 1):
        left, own = np.zeros((2, 2)), np.zeros((2, 2))
        for k in np.flatnonzero((terms.gaps[pattern] > 0) & (terms.gaps[pattern] % 2 == is_odd)):
            for out, one in ((left, remainder), (own, gram.WtW)):
                out[d[k], e[k]] += 0.5 * one[k, -1, -1]
                out[e[k], d[k]] += 0.5 * one[k, -1, -1]
        if not np.any(terms.gaps[terms.gaps > 0] % 2 == is_odd):
            continue
        if not _least_left(left, own) * most > _MARGIN * gram.n:
            return False
    return True


def _patterns_left(gram: Gram) -> Index:
    table = gram.terms.table
    first = np.flatnonzero(np.diff(table[:, 0], prepend=-1))
    size = pattern_sizes(table)[table[first, 0]]
    begin, height = np.searchsorted(gram.left_term, first), np.bincount(gram.left_term, minlength=len(table))[first]
    return np.stack([begin, height, size, first], axis=1)[height > 0]


def _components(groups: GroupProducts) -> tuple[Index, Index | None]:
    """Return the levels that stand alone, and the component (J,) of every level where errors link some."""
    J = groups.n_levels
    links = groups.pair_row != groups.pair_col
    if not np.any(links):
        return np.arange(J), None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(int(links.sum())), (groups.pair_row[links], groups.pair_col[links])), shape=(J, J))
    _, component = connected_components(edges, directed=False)
    return np.flatnonzero(np.bincount(component)[component] == 1), component


def _members(component: Index) -> Index:
    """Return the levels (n, slots) of each component of several, -1 in empty slots."""
    sizes = np.bincount(component)
    kept = np.flatnonzero(sizes > 1)
    levels = np.full((len(kept), int(sizes.max())), -1, dtype=np.intp)
    for b, one in enumerate(kept):
        members = np.flatnonzero(component == one)
        levels[b, : len(members)] = members
    return levels


def _blocks_by_rows(several: Index, components: Index | None) -> Index:
    """Return the levels (n, slots) of blocks: of linked levels, and of levels of several terms that stand alone."""
    if components is None:
        return several[:, None]
    linked = _members(components)
    alone = np.pad(several[:, None], ((0, 0), (0, linked.shape[1] - 1)), constant_values=-1)
    return np.concatenate([linked, alone])


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
    q = groups.n_coef
    # Of one data set there are no more rows; a height beyond is that of units of several.
    triangle = groups.triangle[entry[kept.levels[kept.block, 0]], :q]
    return replace(kept, ZtZ=triangle[:, :, :q], ZtW=without_noise(triangle[:, :, q:]), factored=True)


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


def _linked(groups: GroupProducts, K: int, component: Index) -> Blocks:
    levels = _members(component)
    slots, q, p1 = levels.shape[1], groups.ZtW.shape[1], groups.ZtW.shape[2]
    block_of, slot_of = slots_of(levels, groups.n_levels)
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
