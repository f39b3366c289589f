"""Blocks by their rows, LANES at a time, in the layout of `row_kernels`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lanes import LANES
from hierreg.likelihood.groups.tiles import places, slots_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import GroupProducts

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Of columns of length one; what is smaller is rounding of rows that others determine.
_ROUNDING = 256 * np.finfo(float).eps
_NOISE = 16 * np.finfo(float).eps
# Numbers decomposed at once.
_CHUNK_VALUES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTiles:
    """Blocks of equal size m = slots * q, LANES at a time; an entry holds one class of units of each lane's block.

    Attributes
    ----------
    levels : int array (n_tiles, slots, LANES)
        Level in each slot of a block; -1 where the slot is empty.
    indptr : int array (n_tiles + 1,)
        Entries indptr[t] to indptr[t + 1] belong to tile t.
    term : int array (n_entries,)
        First term of the pattern of each entry.
    size : int array (n_entries,)
        Data sets of its pattern.
    height : int array (n_entries,)
        Its rows: those of one unit, in the order of data sets, are neighbours.
    S : array (n_entries, rows, m, LANES)
    W : array (n_entries, rows, p + 1, LANES)
        Z = S basis, and [X y], of each row.
    basis : array (n_tiles, m, m, LANES)
        Upper triangular, with a row of zeros for each column of Z that those before it determine.
    is_left : array (n_tiles, p + 1, LANES)
        Zero where Z fits a column of W exactly, else one. What rounding leaves of such a column is nothing by itself,
        but not beside what is left of others, times a large precision.
    fit : array (n_tiles, m, p + 1, LANES)
        That column in the basis, W = S fit; zeros for others.
    """

    levels: Index
    indptr: Index
    term: Index
    size: Index
    height: Index
    S: Array
    W: Array
    basis: Array
    is_left: Array
    fit: Array

    @property
    def arrays(self) -> tuple[Index, Index, Index, Index, Array, Array, Array, Array, Array]:
        """The arrays in the order of `record.RowTilesRecord`."""
        entries = self.indptr, self.term, self.size, self.height, self.S, self.W
        return *entries, self.basis, self.is_left, self.fit

    @property
    def width(self) -> int:
        """Blocks of a tile."""
        return LANES

    @property
    def n_coef(self) -> int:
        """Coefficients of a block."""
        return int(self.basis.shape[1])


def row_tiles(groups: GroupProducts, classes: Index, table: Index, levels: Index) -> RowTiles:
    """Return blocks of groups by their rows.

    Parameters
    ----------
    groups : GroupProducts
        With triangles.
    classes : int array (F,)
        Class of each of its entries by term and level (`gram.triangles.classes_of`).
    table : int array (K, 3)
        Pattern and data sets d <= e of each term.
    levels : int array (n_blocks, slots)
        The levels of each block, -1 in empty slots; blocks of several levels hold all that errors link.
    """
    q, (n, slots) = groups.n_coef, levels.shape
    block_of, slot_of = slots_of(levels, groups.n_levels)
    mine = np.flatnonzero((classes >= 0) & (block_of[groups.level_index] >= 0))
    pattern, data_set, _ = table[groups.level_term[mine]].T
    mine = mine[np.lexsort((data_set, classes[mine], pattern, block_of[groups.level_index[mine]]))]
    pattern = table[groups.level_term[mine], 0]
    is_first = np.diff(classes[mine], prepend=-1) != 0
    entry = np.cumsum(is_first) - 1
    start = np.flatnonzero(is_first)
    size = np.diff(np.append(start, len(mine)))
    position = np.arange(len(mine)) - start[entry]
    h = groups.triangle.shape[1]
    Z = np.zeros((len(start), h, int(size.max(initial=1)), slots, q))
    W = np.zeros((*Z.shape[:3], groups.ZtW.shape[2]))
    Z[entry, :, position, slot_of[groups.level_index[mine]]] = groups.triangle[mine, :, :q]
    W[entry, :, position] = groups.triangle[mine, :, q:]
    first_term = np.searchsorted(table[:, 0], pattern[start])
    parts = _Parts(block=block_of[groups.level_index[mine[start]]], term=first_term, size=size)
    found = _in_basis(Z.reshape(len(start), -1, slots * q), W.reshape(len(start), -1, W.shape[3]), parts.block, n)
    return _tiles(levels, parts, found[0].reshape(*Z.shape[:3], slots * q), W, found[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Block, first term and data sets of each entry, in the order of blocks, then of terms."""

    block: Index
    term: Index
    size: Index


def _in_basis(Z: Array, W: Array, block: Index, n: int) -> tuple[Array, Array, Array, Array]:
    """Return S (E, rows, m) and a basis C (n, m, m) of each block with Z = S C, C upper triangular.

    And `is_left` (n, p + 1) and `fit` (n, m, p + 1) of `RowTiles`.
    """
    _, rows, m = Z.shape
    S, basis, is_left = np.zeros_like(Z), np.zeros((n, m, m)), np.zeros((n, W.shape[2]))
    fit = np.zeros((n, m, W.shape[2]))
    counts = np.bincount(block, minlength=n)
    first = np.cumsum(counts) - counts
    for k in np.unique(counts[counts > 0]):
        alike = np.flatnonzero(counts == k)
        step = max(1, _CHUNK_VALUES // (int(k) * rows * m))
        for begin in range(0, len(alike), step):
            some = alike[begin : begin + step]
            entries = first[some][:, None] + np.arange(k)
            stacked = Z[entries].reshape(len(some), -1, m)
            turned = _orthonormal(stacked)
            # Nothing but rounding is below the diagonal.
            basis[some] = np.triu(np.swapaxes(turned, 1, 2) @ stacked)
            own = W[entries].reshape(len(some), -1, W.shape[2])
            coef = np.swapaxes(turned, 1, 2) @ own
            is_left[some] = np.linalg.norm(own - turned @ coef, axis=1) > _ROUNDING * np.linalg.norm(own, axis=1)
            fit[some] = np.where(is_left[some][:, None, :] > 0, 0.0, without_noise(coef))
            S[entries] = turned.reshape(len(some), int(k), rows, m)
    return S, basis, is_left, fit


def without_noise(columns: Array) -> Array:
    """Return columns (n, m, c) with zeros for elements that are rounding of their column's length.

    A column that Z fits has its last elements zero, where those of Z have: coefficients that do not vary leave the rows
    there as precise as the errors, and rounding of the others would swamp what is known of them between groups.
    """
    length: Array = np.linalg.norm(columns, axis=1, keepdims=True)
    return np.where(np.abs(columns) > _NOISE * length, columns, 0.0)


def _orthonormal(Z: Array) -> Array:
    """Return Q (n, rows, m) of columns of Z (n, rows, m), each less those before it, zero where nothing is left.

    Orthogonalised twice, which is enough (Giraud, Langou and Rozloznik 2005, Computers and Mathematics with
    Applications 50, 1069-1075).
    """
    Q = np.zeros_like(Z)
    for j in range(Z.shape[2]):
        column = Z[:, :, j, None]
        for _ in range(2):
            column = column - Q @ (np.swapaxes(Q, 1, 2) @ column)
        length: Array = np.linalg.norm(column, axis=1)
        is_new = length > _ROUNDING * np.linalg.norm(Z[:, :, j], axis=1)[:, None]
        Q[:, :, j] = np.where(is_new, column[:, :, 0] / np.where(length > 0, length, 1.0), 0.0)
    return Q


def _tiles(levels: Index, parts: _Parts, S: Array, W: Array, of_blocks: tuple[Array, Array, Array]) -> RowTiles:
    """Return blocks in tiles, those with the same terms side by side; of rows only as many as some lane has.

    ``of_blocks`` are what `_in_basis` finds for each.
    """
    n = len(levels)
    place = places(parts.block, parts.term, n)
    n_tiles = -(-n // LANES)
    all_levels = np.full((n_tiles * LANES, levels.shape[1]), -1, dtype=np.intp)
    all_levels[place] = levels
    K = int(parts.term.max(initial=0)) + 1
    repeat = _repeats(parts.block * K + parts.term)
    tile, lane = place[parts.block] // LANES, place[parts.block] % LANES
    R = int(repeat.max(initial=0)) + 1
    keys, first, entry = np.unique((tile * K + parts.term) * R + repeat, return_index=True, return_inverse=True)
    size = parts.size[first]
    used = np.any(S != 0, axis=(2, 3)) | np.any(W != 0, axis=(2, 3))
    units = np.zeros(len(keys), dtype=np.intp)
    np.maximum.at(units, entry, used.shape[1] - np.argmax(used[:, ::-1], axis=1) * np.any(used, axis=1))
    height = units * size
    out_S = np.zeros((len(keys), int(height.max(initial=0)), S.shape[3], LANES))
    out_W = np.zeros((*out_S.shape[:2], W.shape[3], LANES))
    for s in np.unique(parts.size):
        some = np.flatnonzero(parts.size == s)
        for source, out in ((S, out_S), (W, out_W)):
            flat = source[some, :, :s].reshape(len(some), -1, source.shape[3])[:, : out.shape[1]]
            out[entry[some], : flat.shape[1], :, lane[some]] = flat
    in_lanes = []
    for one in of_blocks:
        padded = np.zeros((n_tiles * LANES, *one.shape[1:]))
        padded[place] = one
        in_lanes.append(np.ascontiguousarray(np.moveaxis(padded.reshape(n_tiles, LANES, *one.shape[1:]), 1, -1)))
    return RowTiles(
        levels=np.ascontiguousarray(all_levels.reshape(n_tiles, LANES, -1).transpose(0, 2, 1)),
        indptr=np.searchsorted(keys // (K * R), np.arange(n_tiles + 1)).astype(np.intp),
        term=(keys // R % K).astype(np.intp),
        size=size,
        height=height,
        S=out_S,
        W=out_W,
        basis=in_lanes[0],
        is_left=in_lanes[1],
        fit=in_lanes[2],
    )


def _repeats(keys: Index) -> Index:
    """Return how many neighbours before each key (n,) are equal to it."""
    new = np.flatnonzero(np.diff(keys, prepend=-1))
    return np.arange(len(keys)) - np.repeat(new, np.diff(np.append(new, len(keys))))
