"""Block-diagonal covariance matrices: rows in blocks, blocks of one size side by side.

A *block* is a set of rows that the matrix connects; rows of different blocks are independent. A matrix without zeros
is one block of all rows, a diagonal one N blocks of one row. Work and memory are those of the blocks, the sum of size^3
and of size^2, and never those of an N x N matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Blocks up to this size are solved side by side, a row at a time; larger ones one after the other, by LAPACK.
_SMALL = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlocksOfSize:
    """The m blocks of s rows.

    Attributes
    ----------
    rows : int array (m, s)
    V : array (m, s, s)
        A covariance, or whatever belongs to the blocks.
    """

    rows: Index
    V: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockCovariance:
    """A symmetric positive definite matrix (N, N) in blocks.

    Attributes
    ----------
    n : int
        Number of rows N.
    batches : tuple of BlocksOfSize
        Ascending by size; none where the size alone is known.
    """

    n: int
    batches: tuple[BlocksOfSize, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        return self.n, self.n

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers of all blocks."""
        return sum(batch.V.nbytes for batch in self.batches)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the matrix (N, N) where NumPy asks for an array."""
        del copy  # it is always a new one
        return self.toarray().astype(dtype or float, copy=False)

    def toarray(self) -> Array:
        """Return the matrix (N, N)."""
        out = np.zeros(self.shape)
        for batch in self.batches:
            out[batch.rows[:, :, None], batch.rows[:, None, :]] = batch.V
        return out

    def renumbered(self, place: Index) -> BlockCovariance:
        """Return the matrix with row i at place[i]."""
        return replace(self, batches=tuple(replace(batch, rows=place[batch.rows]) for batch in self.batches))

    def within(self, index: Index) -> BlockCovariance:
        """Return the matrix with zeros between rows of different groups, ``index`` (N,) the group of each row."""
        parts = []
        for batch in self.batches:
            same = index[batch.rows][:, :, None] == index[batch.rows][:, None, :]
            which, i, j = np.nonzero(same & (batch.V != 0))
            parts.append((batch.rows[which, i], batch.rows[which, j], batch.V[which, i, j]))
        row, col, value = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return from_entries(self.n, row, col, value)

    def factor(self) -> BlockCovariance:
        """Return the lower triangular Cholesky factors of the blocks."""
        return self._blocks(np.linalg.cholesky)

    def inverse(self) -> BlockCovariance:
        """Return the inverses of the blocks, each scaled to a unit diagonal before it is inverted."""
        return self._blocks(_inverse)

    def log_det(self) -> float:
        """Return the sum of the logarithms of the diagonal: of a Cholesky factor, half of log|V|."""
        return float(sum(np.sum(np.log(np.diagonal(batch.V, axis1=1, axis2=2))) for batch in self.batches))

    def diagonal(self) -> Array:
        """Return the diagonal (N,)."""
        out = np.empty(self.n)
        for batch in self.batches:
            out[batch.rows] = np.diagonal(batch.V, axis1=1, axis2=2)
        return out

    def rows_times(self, x: Array) -> Array:
        """Return x V' (S, N), block by block, for x (S, N)."""
        out = np.empty_like(x)
        for batch in self.batches:
            mine = np.moveaxis(x[:, batch.rows], 1, 0)  # (block, S, row)
            out[:, batch.rows] = np.moveaxis(mine @ np.swapaxes(batch.V, 1, 2), 0, 1)
        return out

    def whitened_rows(self, x: Array) -> Array:
        """Return x L^-T (S, N) for x (S, N), where these are the lower triangular factors L."""
        out = np.empty_like(x)
        for batch in self.batches:
            mine = np.ascontiguousarray(np.moveaxis(x[:, batch.rows], 0, 2))  # (block, row, S)
            out[:, batch.rows] = np.moveaxis(solve_lower(batch.V, mine), 2, 0)
        return out

    def _blocks(self, function: object) -> BlockCovariance:
        assert callable(function)
        return replace(self, batches=tuple(replace(batch, V=function(batch.V)) for batch in self.batches))


def _inverse(V: Array) -> Array:
    sd = np.sqrt(np.diagonal(V, axis1=1, axis2=2))
    return np.asarray(np.linalg.inv(V / sd[:, :, None] / sd[:, None, :]) / sd[:, :, None] / sd[:, None, :])


def solve_lower(L: Array, A: Array) -> Array:
    """Return L^-1 A (m, s, k), where L (m, s, s) are lower triangular; A is overwritten where blocks are small."""
    s = L.shape[1]
    if s > _SMALL:
        from scipy.linalg import solve_triangular

        return np.stack([solve_triangular(one, a, lower=True) for one, a in zip(L, A, strict=True)])
    for i in range(s):
        if i:
            A[:, i] -= (L[:, i, None, :i] @ A[:, :i])[:, 0]
        A[:, i] /= L[:, i, i, None]
    return A


def from_matrix(V: Array) -> BlockCovariance:
    """Return a matrix (N, N), not checked, in the blocks that its zeros leave."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    n = len(V)
    if connected_components(csr_array(V != 0), directed=False, return_labels=False) == 1:
        return BlockCovariance(n=n, batches=(BlocksOfSize(rows=np.arange(n, dtype=np.intp)[None], V=V[None]),))
    row, col = np.nonzero(V)
    return from_entries(n, row, col, V[row, col])


def from_entries(n: int, row: Index, col: Index, value: Array) -> BlockCovariance:
    """Return the matrix (n, n) of these entries, all of which count: each connects its row and column."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pattern = coo_array((np.ones(len(row), dtype=bool), (row, col)), shape=(n, n))
    block = connected_components(pattern, directed=False)[1]
    order = np.argsort(block, kind="stable")
    size = np.bincount(block)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    place = np.empty(n, dtype=np.intp)
    place[order] = np.arange(n) - first[block[order]]
    number = np.empty(len(size), dtype=np.intp)
    batches = []
    for s in np.unique(size):
        mine = np.flatnonzero(size == s)
        number[mine] = np.arange(len(mine))
        entries = size[block[row]] == s
        r, c = row[entries], col[entries]
        V = np.zeros((len(mine), s, s))
        V[number[block[r]], place[r], place[c]] = value[entries]
        rows = order[first[mine][:, None] + np.arange(s)].astype(np.intp)
        batches.append(BlocksOfSize(rows=rows, V=V))
    return BlockCovariance(n=n, batches=tuple(batches))
