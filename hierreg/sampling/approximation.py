"""The normal approximation of a posterior at its mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Gaussian approximation of the unconstrained posterior at its mode.

    Attributes
    ----------
    u : array (n,)
    scale : array (k, k)
        C with C C' = inverse of the negative Hessian; of the first k elements, where the others have unit scale.
    log_density : float
    converged : bool
    """

    u: Array
    scale: Array
    log_density: float
    converged: bool

    def at(self, x: Array) -> Array:
        """Return the vectors (..., n) of points x (..., n) in units of the scale."""
        k = len(self.scale)
        if k == len(self.u):
            return np.asarray(self.u + x @ self.scale.T)
        return np.concatenate([self.u[:k] + x[..., :k] @ self.scale.T, self.u[k:] + x[..., k:]], axis=-1)


def scale_of(hessian: Array) -> Array:
    """Return C with C C' = (-H)^-1; directions without curvature get scale one at most."""
    if hessian.size == 0:
        return hessian
    values, vectors = np.linalg.eigh(-hessian)
    values = np.where(values > 1e-3, values, 1.0)
    return vectors / np.sqrt(values)
