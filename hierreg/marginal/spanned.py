"""Population columns that the groups' own columns fit exactly: no rounding of theirs is left beside the triangles.

Such a column has nothing within groups, and its coefficient a precision of order one where those of others grow as the
inverse of the error variance. What rotations leave of it is rounding, which would be multiplied by that inverse too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]

_ROUNDING = 256 * np.finfo(float).eps  # of a column beside its own length
_ROUNDING_OF_SQUARES = 1e-12  # of products, where a column is a sum of others


def in_groups(gram: Gram, inverse: Array) -> NDArray[np.bool_]:
    """Return which population columns (p,) vary between the groups of the only factor.

    Parameters
    ----------
    gram : Gram
    inverse : array (p, p)
        The columns in internal coordinates, ``X = X_internal inverse``; up to a constant where that varies too.
    """
    names = gram.factors[0].coef_names
    out = np.array([name in names for name in gram.coef_names], dtype=bool)
    own, left = (np.einsum("ic,ij,jc->c", inverse, one[:-1, :-1], inverse) for one in _squares(gram))
    shared: NDArray[np.bool_] = out & (np.abs(left) <= _ROUNDING_OF_SQUARES * own)
    return shared


def _squares(gram: Gram) -> tuple[Array, Array]:
    """Return W'W (p + 1, p + 1) of all rows, each by itself, and what is left of it: no products of two data sets."""
    of_one = gram.terms.table[:, 1] == gram.terms.table[:, 2]
    return gram.WtW[of_one].sum(axis=0), gram.remainder[of_one].sum(axis=0)


def axes_first(inverse: Array, which: NDArray[np.bool_]) -> Array:
    """Return an orthogonal matrix (p, p) whose first columns span some columns of X, given as in `in_groups`.

    The unit matrix where they come first already: internal coordinates are triangular.
    """
    if np.all(which[: int(which.sum())]):
        return np.eye(len(which))
    return np.linalg.qr(inverse[:, which], mode="complete")[0]


def without_rounding(gram: Gram, n: int) -> Gram:
    """Return the Gram basis with nothing left of the first n columns, nor of others of which rounding is left."""
    p = len(gram.coef_names)
    own, rest = (np.diagonal(one)[:p] for one in _squares(gram))
    fitted = np.flatnonzero((np.arange(p) < n) | (rest <= _ROUNDING**2 * own))
    if not len(fitted):
        return gram
    left = gram.left.copy()
    left[:, fitted] = 0.0
    return replace(gram, left=left)
