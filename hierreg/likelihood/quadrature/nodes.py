"""Nodes and weights of Gauss-Hermite quadrature in q dimensions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@cache
def product_rule(n: int, q: int) -> tuple[Array, Array]:
    """Return nodes t (n^q, q) and log w + t't / 2 (n^q,) for integrals against the normal density.

    Parameters
    ----------
    n : int
        Nodes on each axis.
    q : int
        Axes; none gives one node of no coordinates.
    """
    t, w = np.polynomial.hermite_e.hermegauss(n)
    w /= w.sum()
    axes = np.meshgrid(*[t] * q, indexing="ij")
    nodes = np.stack([axis.ravel() for axis in axes], axis=1) if q else np.zeros((1, 0))
    weights = np.meshgrid(*[np.log(w)] * q, indexing="ij")
    log_w = np.sum([axis.ravel() for axis in weights], axis=0) if q else np.zeros(1)
    return read_only(np.ascontiguousarray(nodes)), read_only(log_w + 0.5 * np.sum(nodes**2, axis=1))
