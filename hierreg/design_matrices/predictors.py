"""X beta + Z b of the rows of a design, at draws of the coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.design_matrices.values import Design

    Array = NDArray[np.float64]

_ALL = slice(None)


def linear_predictors(
    design: Design,
    beta: Array,
    b: Sequence[Array],
    *,
    columns: slice | NDArray[np.intp] = _ALL,
    rows: slice = _ALL,
) -> Array:
    """Return X beta + Z b, (S, N) or of some rows.

    Parameters
    ----------
    design : Design
    beta : array (S, p)
        Of some population columns of the design.
    b : sequence of arrays (S, J, q)
        By factor.
    columns : slice or array (p,)
        Which population columns.
    rows : slice
    """
    eta = beta @ design.X[rows, columns].T
    for factor, mine in zip(design.factors, b, strict=True):
        index = factor.index[rows]
        for column in range(factor.Z.shape[1]):
            eta += factor.Z[rows, column] * mine[:, index, column]
    return np.asarray(eta)
