"""Internal coordinates of the columns: centred, scaled and orthogonalised, with the map that undoes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def orthogonalise(X: Array) -> tuple[Array, Array]:
    """Return X_internal with nearly orthonormal columns (times sqrt(N)) and the map, X_internal = X @ map.

    Where X has a constant column the others are centred first, by subtraction, so that an offset of 1e9
    costs no digits. The second factor is a Cholesky-QR step, or QR where the columns are nearly collinear.
    """
    n, p = X.shape
    if p == 0:
        return np.empty((n, 0)), np.empty((0, 0))
    centred, to_centred = _centre_and_scale(X)
    G = centred.T @ centred / n
    if np.linalg.cond(G) < 1e10:
        R = np.linalg.cholesky(G).T
    else:
        R = np.linalg.qr(centred / np.sqrt(n), mode="r")
        if np.any(np.abs(np.diagonal(R)) < 1e-13 * np.abs(R).max()):
            raise ModelError("a design matrix is rank deficient: remove columns that repeat each other.")
    T = np.linalg.inv(R)
    return centred @ T, to_centred @ T


def _centre_and_scale(X: Array) -> tuple[Array, Array]:
    p = X.shape[1]
    constant = constant_column(X)
    centred = np.array(X, dtype=float, order="C")
    shift = np.eye(p)
    if constant is not None:
        others = np.arange(p) != constant
        mean = X[:, others].mean(axis=0)
        centred[:, others] -= mean
        shift[constant, others] = -mean / X[0, constant]
    scale = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(X))
    scale[scale == 0] = 1.0
    centred /= scale
    return centred, shift / scale


def take_off_least_squares(y: Array, X: Array, X_internal: Array, x_map: Array) -> tuple[Array, Array]:
    """Return the least-squares residual of y (N,) and the coefficients (p,) of X that were taken off.

    Where X has a constant column the mean of y goes first, by subtraction, so that an offset of 1e9 costs no
    more digits than y itself has lost to it.
    """
    shift = np.zeros(X.shape[1])
    if X.shape[1] == 0:
        return y.copy(), shift
    constant = constant_column(X)
    if constant is not None:
        shift[constant] = y.mean() / X[0, constant]
        y = y - shift[constant] * X[0, constant]
    G = X_internal.T @ X_internal
    coef = np.linalg.lstsq(G, X_internal.T @ y, rcond=None)[0]
    residual = y - X_internal @ coef
    # A second pass removes what rounding left of a large offset.
    more = np.linalg.lstsq(G, X_internal.T @ residual, rcond=None)[0]
    return residual - X_internal @ more, shift + x_map @ (coef + more)


def constant_column(X: Array) -> int | None:
    """Return the first column of X that has one value other than zero, or None."""
    return next((c for c in range(X.shape[1]) if X[0, c] != 0 and np.all(X[:, c] == X[0, c])), None)
