"""The terms omega of the error precision, and their roots, at many error covariances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def terms_at(error_cov: Array, patterns: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return omega (S, K) and the roots (S, K) that `row_kernels` take in its place; NaN where it is not definite.

    Parameters
    ----------
    error_cov : array (S, D, D)
    patterns : bool array (M, D)
        Labels that occur together; K the number of pairs d <= e of labels of a pattern, in all of them.
    """
    omega, roots = [], []
    for pattern in patterns:
        place = np.flatnonzero(pattern)
        T = _root_of_inverse(error_cov[:, place[:, None], place])
        d, e = np.triu_indices(len(place))
        omega.append((np.swapaxes(T, 1, 2) @ T)[:, d, e])
        roots.append(T[:, e, d])
    return np.hstack(omega), np.hstack(roots)


def _root_of_inverse(S: Array) -> Array:
    """Return T (S, n, n), lower triangular, T'T = S^-1; NaN where S is not positive definite."""
    L, T = np.zeros_like(S), np.zeros_like(S)
    for j in range(S.shape[1]):
        column = S[:, j:, j] - np.einsum("sik,sk->si", L[:, j:, :j], L[:, j, :j])
        with np.errstate(invalid="ignore", divide="ignore"):
            L[:, j:, j] = column / np.sqrt(np.where(column[:, :1] > 0.0, column[:, :1], np.nan))
        T[:, j, j] = 1.0 / L[:, j, j]
        T[:, j, :j] = -np.einsum("sk,ski->si", L[:, j, :j], T[:, :j, :j]) * T[:, j, j, None]
    return T
