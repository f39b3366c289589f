"""Sums of rows by labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def sums_by(codes: NDArray[np.intp], values: Array, n: int) -> Array:
    """Return the sums (n, b) of rows (N, b) that have the same code.

    Examples
    --------
    >>> sums_by(np.array([0, 2, 0]), np.array([[1.0], [2.0], [3.0]]), 3).ravel()
    array([4., 0., 2.])
    """
    # Many times as fast as numpy.add.at of rows.
    N = len(codes)
    indicator = sparse.csr_array((np.ones(N), (codes, np.arange(N))), shape=(n, N))
    return np.asarray(indicator @ values)
