"""Groups with the same cross-products of Z, evaluated once.

With b_j the entries of Z'K[k]W of a group, all terms k in one vector, a class of n groups that have the same
Z'K[k]Z enters the likelihood and its gradient only through n times log|M|, its derivative, and a linear function of
``S = sum_j b_j b_j'``. Any other vectors with the same S do as well: the rows of ``diag(s) V'``, from the singular
value decomposition of the matrix whose rows are the b_j, are as few as that matrix has rank, however many groups
there are. One of them carries the weight n, the others the weight zero.

Blocks of one term with triangles [C D] are merged by the same C, with b_j the entries of D.

*The same* means up to the rounding of sums that were added in another order. A coefficient of rounding, eps = 2^-53,
grows with the root of the number of rows; entries count as equal within 2^-45 = 256 eps of
``sqrt(|ZtZ[i, i] ZtZ[j, j]|)``, what sums over 10^4 to 10^5 rows of one group differ by. To take one for the other is
therefore no more than to have read the rows in another order. The class is evaluated at the mean of its members,
where the change of log|M| is zero to first order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.groups.tiles import Blocks, Tiles, join, tiles_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

ROUNDING = 2.0**-45
# Smaller classes hold as many vectors as groups, or nearly.
_SMALLEST_CLASS = 4
# Beyond so many entries of b_j the decomposition costs more than it saves.
_WIDEST = 48
# Blocks left, of those before, above which merging is not worth its weights.
_LARGEST_SHARE = 0.8
# What is dropped of S is the square of this, relative to the diagonal of S.
_NEGLIGIBLE = 1e-10
_PANELS_AT_ONCE = 4096
_ROWS_AT_ONCE = 64


def merge_equal(blocks: Blocks, *, width: int) -> Tiles | None:
    """Return fewer blocks with the same likelihood, or None where they would not be much fewer.

    Parameters
    ----------
    blocks : Blocks
        One group each.
    width : int
        Of the tiles.

    Returns
    -------
    Tiles or None
        Without levels: they stand for no groups in particular. Groups without rows are left out.
    """
    count = np.bincount(blocks.block, minlength=len(blocks.levels))
    kind = equal_blocks(blocks, count)
    many = (np.bincount(kind)[kind] >= _SMALLEST_CLASS) & (count > 0)
    many &= count * blocks.ZtW.shape[1] * blocks.ZtW.shape[2] <= _WIDEST
    most = _LARGEST_SHARE * np.count_nonzero(count)
    # A class keeps one vector at least.
    if not np.any(many) or np.count_nonzero(~many & (count > 0)) + len(np.unique(kind[many])) > most:
        return None
    merged, weight = _concatenate([_merge(blocks, kind, count, many & (count == n)) for n in np.unique(count[many])])
    rest = blocks.where(~many & (count > 0))
    if len(rest.levels) + len(merged.levels) > most:
        return None
    return join(tiles_of(merged, weight, width=width), tiles_of(rest, width=width))


def equal_blocks(blocks: Blocks, count: Index) -> Index:
    """Return a number (n_blocks,) that is the same for blocks with the same terms and equal ZtZ.

    Parameters
    ----------
    blocks : Blocks
    count : int array (n_blocks,)
        Entries of each block.
    """
    label = (_equal_factors if blocks.factored else _equal_entries)(blocks.term, blocks.ZtZ)
    start = np.cumsum(count) - count
    kind = np.zeros(len(count), dtype=np.intp)
    if count.max(initial=0) <= 1:
        kind[blocks.block] = 1 + label
        return _without_chains(blocks, start, kind)
    base = int(label.max(initial=-1)) + 2
    for position in range(int(count.max(initial=0))):
        has = count > position
        here = np.zeros(len(count), dtype=np.intp)
        here[has] = 1 + label[start[has] + position]
        kind = np.unique(kind * base + here, return_inverse=True)[1]
    return _without_chains(blocks, start, kind)


def _equal_entries(term: Index, ZtZ: Array) -> Index:
    """Return a number (E,) that is the same for entries of one term with equal ZtZ (E, m, m)."""
    label = np.unique(term, return_inverse=True)[1]
    m = ZtZ.shape[1] if len(label) else 0
    diagonal = ZtZ[:, range(m), range(m)]
    # The products of two data sets need not be positive.
    size = np.abs(diagonal)
    root = np.sqrt(size)
    for i in range(m):
        for j in range(i + 1):
            if int(label.max(initial=-1)) + 1 == len(label):
                return label
            if i == j:
                values, gap = diagonal[:, i], ROUNDING * size[:, i]
            else:
                scale = root[:, i] * root[:, j]
                values = np.divide(ZtZ[:, i, j], scale, out=np.zeros(len(scale)), where=scale > 0)
                gap = np.full(len(scale), ROUNDING)
            label = _refine(label, values, gap)
    return label


def _equal_factors(term: Index, C: Array) -> Index:
    """Return a number (E,) that is the same for entries of one term with equal C (E, m, m), to rounding of columns."""
    label: Index = np.unique(term, return_inverse=True)[1]
    m = C.shape[1] if len(label) else 0
    length: Array = np.linalg.norm(C, axis=1)
    for j in range(m):
        label = _refine(label, length[:, j], ROUNDING * length[:, j])
        for i in range(j + 1):
            if int(label.max(initial=-1)) + 1 == len(label):
                return label
            values = np.divide(C[:, i, j], length[:, j], out=np.zeros(len(C)), where=length[:, j] > 0)
            label = _refine(label, values, np.full(len(C), ROUNDING))
    return label


def _refine(label: Index, values: Array, gap: Array) -> Index:
    """Return labels that also tell values (E,) apart which are more than ``gap`` (E,) from the next smaller one."""
    order = np.argsort(values)
    new = np.diff(values[order]) > gap[order][1:]
    cell = np.empty(len(order), dtype=np.intp)
    cell[order] = np.concatenate([[0], np.cumsum(new)])
    n_cells = int(np.count_nonzero(new)) + 1
    if n_cells == 1 or n_cells == len(cell):
        return label if n_cells == 1 else cell
    out: Index = np.unique(label * n_cells + cell, return_inverse=True)[1]
    return out


def _without_chains(blocks: Blocks, start: Index, kind: Index) -> Index:
    """Return the classes less the members that small steps have carried away from the first one."""
    size = np.bincount(kind)
    if size.max(initial=0) <= 1:
        return kind
    first = np.zeros(len(size), dtype=np.intp)
    first[kind[::-1]] = np.arange(len(kind))[::-1]
    place = np.arange(len(blocks.block)) - start[blocks.block]
    model = blocks.ZtZ[start[first[kind[blocks.block]]] + place]
    m = model.shape[1]
    if blocks.factored:
        unit: Array = np.linalg.norm(model, axis=1)[:, None, :]
    else:
        root = np.sqrt(np.abs(model[:, range(m), range(m)]))
        unit = root[:, :, None] * root[:, None, :]
    away = np.any(np.abs(blocks.ZtZ - model) > 4.0 * ROUNDING * unit, axis=(1, 2))
    far = np.unique(blocks.block[away])
    kind[far] = len(size) + np.arange(len(far))
    return kind


def _merge(blocks: Blocks, kind: Index, count: Index, which: NDArray[np.bool_]) -> tuple[Blocks, Array]:
    """Return the blocks that stand for those of ``which`` (n_blocks,), which have as many entries each, and weights."""
    mine = np.flatnonzero(which)
    mine = mine[np.argsort(kind[mine], kind="stable")]
    label = np.unique(kind[mine], return_inverse=True)[1]
    size = np.bincount(label)
    first = np.cumsum(size) - size
    entries = (np.cumsum(count) - count)[mine][:, None] + np.arange(int(count[mine[0]]))
    # From the first member on, so that a sum of many equal numbers has no rounding of its own.
    ZtZ = blocks.ZtZ[entries[first]]
    ZtZ += np.add.reduceat(blocks.ZtZ[entries] - ZtZ[label], first, axis=0) / size[:, None, None, None]
    rows, of = _fewest_rows(blocks.ZtW[entries].reshape(len(mine), -1), label)
    weight = np.where(np.diff(of, prepend=-1) > 0, size[of], 0).astype(float)
    n, (q, p1) = entries.shape[1], blocks.ZtW.shape[1:]
    merged = Blocks(
        levels=np.full((len(of), 1), -1, dtype=np.intp),
        block=np.repeat(np.arange(len(of)), n),
        term=blocks.term[entries[first]][of].reshape(-1),
        ZtZ=ZtZ[of].reshape(-1, q, q),
        ZtW=rows.reshape(-1, q, p1),
        factored=blocks.factored,
    )
    return merged, weight


def _fewest_rows(rows: Array, label: Index) -> tuple[Array, Index]:
    """Return as few rows (R, c) as have the same ``rows'rows`` within each label, and their labels (R,), sorted.

    Parameters
    ----------
    rows : array (n, c)
    label : int array (n,)
        0, 1, ..., sorted.
    """
    rows, label = _triangles(rows, label)
    size = np.bincount(label)
    first = np.cumsum(size) - size
    found, labels = [], []
    for some in np.array_split(np.argsort(size, kind="stable"), -(-len(size) // _PANELS_AT_ONCE)):
        panels = np.zeros((len(some), int(size[some].max()), rows.shape[1]))
        panel = np.repeat(np.arange(len(some)), size[some])
        place = np.arange(len(panel)) - np.repeat(np.cumsum(size[some]) - size[some], size[some])
        panels[panel, place] = rows[first[some][panel] + place]
        # Columns in units of their own: y is not on the scale of X.
        norm = np.linalg.norm(panels, axis=1, keepdims=True)
        _, s, Vt = np.linalg.svd(panels / np.where(norm > 0, norm, 1.0), full_matrices=False)
        kept = s > _NEGLIGIBLE * s[:, :1]
        # A class without any cross-product left still has its log|M|.
        kept[:, 0] = True
        found.append((s[:, :, None] * Vt * norm)[kept])
        labels.append(some[np.nonzero(kept)[0]])
    of = np.concatenate(labels)
    order = np.argsort(of, kind="stable")
    return np.concatenate(found)[order], of[order]


def _triangles(rows: Array, label: Index) -> tuple[Array, Index]:
    """Return rows with the same ``rows'rows`` within each label, not many of them, by QR of panels of rows."""
    c = rows.shape[1]
    height = max(4 * c, _ROWS_AT_ONCE)
    size = np.bincount(label)
    while size.max() > height:
        place = np.arange(len(label)) - (np.cumsum(size) - size)[label]
        large = size[label] > height
        new = place % height == 0
        panel = np.cumsum(new[large]) - 1
        panels = np.zeros((int(panel[-1]) + 1, height, c))
        panels[panel, place[large] % height] = rows[large]
        R = np.linalg.qr(panels, mode="r").reshape(-1, c)
        of = np.repeat(label[large & new], c)
        label = np.concatenate([label[~large], of])
        order = np.argsort(label, kind="stable")
        rows, label = np.concatenate([rows[~large], R])[order], label[order]
        size = np.bincount(label)
    return rows, label


def _concatenate(parts: list[tuple[Blocks, Array]]) -> tuple[Blocks, Array]:
    shift = np.cumsum([0, *(len(part.levels) for part, _ in parts)])
    blocks = [part for part, _ in parts]
    merged = Blocks(
        levels=np.concatenate([part.levels for part in blocks]),
        block=np.concatenate([part.block + n for part, n in zip(blocks, shift, strict=False)]),
        term=np.concatenate([part.term for part in blocks]),
        ZtZ=np.concatenate([part.ZtZ for part in blocks]),
        ZtW=np.concatenate([part.ZtW for part in blocks]),
        factored=blocks[0].factored,
    )
    return merged, np.concatenate([weight for _, weight in parts])
