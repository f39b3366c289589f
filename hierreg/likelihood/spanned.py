"""Population columns that the groups' own columns fit exactly: no rounding of theirs is left beside the triangles.

Such a column has nothing within groups, and its coefficient a precision of order one where those of others grow as the
inverse of the error variance. What rotations leave of it is rounding, which would be multiplied by that inverse too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.gram.triangles import of_independent_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]

_ROUNDING = 256 * np.finfo(float).eps  # of a column beside its own length


def fitted_first(gram: Gram) -> tuple[Array, int]:
    """Return an orthogonal matrix (p, p) whose first columns span what the groups fit of X, and how many they are.

    Internal scale; the unit matrix where they come first already. A combination of columns counts that each group fits
    by its own columns, in all its rows, with coefficients of its own.
    """
    p = len(gram.coef_names)
    left = _left_by_groups(gram)[:, :p]
    unit = np.sqrt(np.maximum(np.diagonal(_squares(gram)[0])[:p], np.finfo(float).tiny))
    _, s, Vt = np.linalg.svd(np.concatenate([left / unit, np.zeros((p, p))]))
    n = int(np.count_nonzero(s <= _ROUNDING))
    if n in {0, p} or np.all(np.linalg.norm(left[:, :n] / unit[:n], axis=0) <= _ROUNDING):
        return np.eye(p), n
    null = Vt[p - n :] / unit
    # The axes nearest to those of the columns, in their order.
    Q, _ = np.linalg.qr(null.T)
    near = np.argsort(-np.linalg.norm(Q, axis=1), kind="stable")[:n]
    first = np.linalg.qr(Q @ Q[np.sort(near)].T)[0]
    return np.linalg.qr(np.concatenate([first, np.eye(p)], axis=1))[0], n


def _left_by_groups(gram: Gram) -> Array:
    """Return rows (R, p + 1) with the products of what groups leave of [X y], whatever the error terms of rows."""
    factor = gram.factors[0]
    if len(np.unique(factor.level_index)) == len(factor.level_index):
        return gram.left
    rows = factor.triangle.reshape(-1, factor.triangle.shape[2])
    place = np.repeat(factor.level_index, factor.triangle.shape[1])
    none = np.zeros(factor.n_levels, dtype=np.intp)
    left = of_independent_rows(rows[:, : factor.n_coef], rows[:, factor.n_coef :], place, none)[1]
    return np.concatenate([left.rows, gram.left])


def _squares(gram: Gram) -> tuple[Array, Array]:
    """Return W'W (p + 1, p + 1) of all rows, each by itself, and what is left of it: no products of two data sets."""
    of_one = gram.terms.table[:, 1] == gram.terms.table[:, 2]
    return gram.WtW[of_one].sum(axis=0), gram.remainder[of_one].sum(axis=0)


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
