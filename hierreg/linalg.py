"""Small dense linear algebra shared by all layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def smallest_eigenvalue(A: NDArray[np.float64]) -> float:
    """Return the smallest eigenvalue of a symmetric matrix."""
    return float(np.linalg.eigvalsh(A)[0])


def sd_and_corr(cov: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return standard deviations (..., q) and correlations (..., q, q) of covariance matrices.

    A column whose variance is zero has no correlation: NaN off the diagonal, one on it.
    """
    # A variance of zero may come out of products as its own rounding, on either side.
    sd = np.sqrt(np.maximum(np.diagonal(cov, axis1=-2, axis2=-1), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        corr = cov / (sd[..., :, None] * sd[..., None, :])
    corr = np.clip(corr, -1.0, 1.0)
    index = np.arange(cov.shape[-1])
    corr[..., index, index] = 1.0
    return sd, corr


def unit_diagonal(cov: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return D (..., q) and C (..., q, q) with cov = diag(D) C diag(D) and ones on the diagonal of C.

    A row whose variance is not positive has D = 0 and zeros in C. Everything that is judged or factored is C: rows may
    have units of their own.
    """
    D = np.sqrt(np.clip(np.diagonal(cov, axis1=-2, axis2=-1), 0.0, None))
    inverse = np.divide(1.0, D, out=np.zeros_like(D), where=D > 0)
    return D, cov * inverse[..., :, None] * inverse[..., None, :]


def semidefinite_factor(cov: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a square factor F of positive semidefinite matrices (..., q, q), F F' = cov, exact at rank deficiency."""
    D, C = unit_diagonal(cov)
    values, vectors = np.linalg.eigh(C)
    return np.asarray(D[..., :, None] * vectors * np.sqrt(np.clip(values, 0.0, None))[..., None, :])


def lower_factor(A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a lower triangular factor L of a positive semidefinite matrix, L L' = A, diagonal not negative."""
    try:
        return np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        R = np.linalg.qr(semidefinite_factor(A).T, mode="r")
        sign = np.where(np.diagonal(R) < 0, -1.0, 1.0)
        return (sign[:, None] * R).T
