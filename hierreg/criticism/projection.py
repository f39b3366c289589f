"""Residuals of one covariance: P y for many y, and exact variances of its parts, with sparse algebra.

Rows are whitened, so that V = I + G G', with G = L^-1 Z Lambda and L L' = R. Then::

    V^-1 = I - G M^-1 G',  M = I + G'G          P = V^-1 - B B',  B = V^-1 Q (Q'V^-1 Q)^-1/2,  Q an orthonormal X
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Of a dense inverse of M, where groups do not stand apart: 200 MB.
MOST_DENSE = 5_000
_CHUNK = 2_000_000


class TooManyColumnsError(Exception):
    """Groups that do not stand apart have more columns than a dense inverse can have."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projector:
    """P = V^-1 - B B', which takes whitened responses to residuals.

    Attributes
    ----------
    G : sparse array (N, m)
    inverse : array (m, m), or (J, q, q)
        M^-1, or its blocks where groups stand apart.
    B : array (N, r)
    coef : array (p, r)
        Generalised least squares: beta = coef B'y, where B'y has the covariance I.
    """

    G: Any
    inverse: Array
    B: Array
    coef: Array

    @property
    def is_by_group(self) -> bool:
        """Whether M is block diagonal by groups of one factor."""
        return self.inverse.ndim == 3

    def solve(self, v: Array) -> Array:
        """Return V^-1 v, for v (N, b)."""
        return np.asarray(v - self.G @ self._inverse_times(self.G.T @ v))

    def __call__(self, v: Array) -> Array:
        """Return P v, for v (N, b)."""
        return self.solve(v) - self.B @ (self.B.T @ v)

    def diagonal(self) -> Array:
        """Return the diagonal of P (N,)."""
        N = self.G.shape[0]
        out, step = np.ones(N), max(1, _CHUNK // max(1, self.G.shape[1]))
        if self.is_by_group:
            out -= _row_sums(self.G, sparse.csr_array(self.G @ self._sparse_inverse()))
        else:
            for first in range(0, N, step):
                part = self.G[first : first + step]
                out[first : first + step] -= np.asarray((part.multiply(part @ self.inverse)).sum(axis=1)).ravel()
        return out - np.sum(self.B**2, axis=1)

    def own_blocks(self, K: Any, q: int) -> Array:
        """Return the blocks (J, q, q) of K'P K along the diagonal, for a sparse K (N, J q)."""
        J = K.shape[1] // q
        KK = _blocks(sparse.csr_array(K.T @ K), q)
        W = sparse.csr_array(K.T @ self.G)
        if self.is_by_group and self.inverse.shape[:2] == (J, self.inverse.shape[1]):
            own = _rectangles(W, q, self.inverse.shape[1])
            lost = None if own is None else own @ self.inverse @ np.swapaxes(own, 1, 2)
        else:
            lost = None
        if lost is None:
            inverse = self._sparse_inverse() if self.is_by_group else self.inverse
            lost = np.empty((J, q, q))
            step = max(1, _CHUNK // max(1, q * self.G.shape[1]))
            for first in range(0, J, step):
                part = W[first * q : (first + step) * q]
                product = part @ inverse
                product = product.toarray() if sparse.issparse(product) else product
                left, right = part.toarray().reshape(-1, q, part.shape[1]), product.reshape(-1, q, part.shape[1])
                lost[first : first + step] = np.einsum("jam,jbm->jab", right, left)
        KB = np.asarray(K.T @ self.B).reshape(J, q, -1)
        return np.asarray(KK - lost - KB @ np.swapaxes(KB, 1, 2))

    def _inverse_times(self, v: Array) -> Array:
        if not self.is_by_group:
            return np.asarray(self.inverse @ v)
        J, q = self.inverse.shape[:2]
        return np.asarray((self.inverse @ v.reshape(J, q, -1)).reshape(J * q, *v.shape[1:]))

    def _sparse_inverse(self) -> Any:
        J, q = self.inverse.shape[:2]
        rows = np.repeat(np.arange(J * q).reshape(J, q), q, axis=1).ravel()
        columns = np.tile(np.arange(J * q).reshape(J, q), (1, q)).ravel()
        return sparse.csr_array((self.inverse.ravel(), (rows, columns)), shape=(J * q, J * q))


def projector(X: Array, G: Any, q: int, least: float) -> Projector:
    """Return P of whitened population columns.

    Parameters
    ----------
    X : array (N, p)
    G : sparse array (N, m)
        Group columns, scaled by the root of their covariance.
    q : int
        Columns of a group; zero where there are several factors, or none.
    least : float
        Of Q'V^-1 Q, whose eigenvalues are at most one, the smallest of a direction that the groups leave something of.

    Raises
    ------
    TooManyColumnsError
        If groups do not stand apart and have more than `MOST_DENSE` columns.
    """
    M = sparse.csr_array(G.T @ G) + sparse.eye_array(G.shape[1], format="csr")
    blocks = _blocks(M, q) if q and _is_by_group(M, q) else None
    if blocks is None and G.shape[1] > MOST_DENSE:
        raise TooManyColumnsError
    inverse = np.linalg.inv(M.toarray()) if blocks is None else np.linalg.inv(blocks)
    found = Projector(G=G, inverse=inverse, B=np.empty((len(X), 0)), coef=np.empty((X.shape[1], 0)))
    scale = np.sqrt(np.sum(X**2, axis=0))
    Q, R = np.linalg.qr(X / np.where(scale > 0, scale, 1.0))
    VQ = found.solve(Q)
    values, vectors = np.linalg.eigh(Q.T @ VQ)
    kept = values > least
    half = vectors[:, kept] / np.sqrt(values[kept])
    # beta = coef B'y
    coef = np.linalg.lstsq(R * np.where(scale > 0, scale, 1.0), half, rcond=None)[0] if len(R) else half
    return Projector(G=G, inverse=inverse, B=VQ @ half, coef=coef)


def _is_by_group(M: Any, q: int) -> bool:
    entries = M.tocoo()
    return bool(np.all(entries.row // q == entries.col // q))


def _blocks(M: Any, q: int) -> Array:
    """Return the blocks (J, q, q) along the diagonal of a sparse matrix."""
    entries = M.tocoo()
    own = entries.row // q == entries.col // q
    out = np.zeros((M.shape[0] // q, q, q))
    np.add.at(out, (entries.row[own] // q, entries.row[own] % q, entries.col[own] % q), entries.data[own])
    return out


def _rectangles(W: Any, q: int, width: int) -> Array | None:
    """Return the blocks (J, q, width) along the diagonal; None where there is anything beside them."""
    entries = W.tocoo()
    if np.any(entries.row // q != entries.col // width):
        return None
    out = np.zeros((W.shape[0] // q, q, width))
    np.add.at(out, (entries.row // q, entries.row % q, entries.col % width), entries.data)
    return out


def _row_sums(A: Any, B: Any) -> Array:
    return np.asarray(A.multiply(B).sum(axis=1)).ravel()
