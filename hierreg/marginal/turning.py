"""Internal coordinates of beta in which a prior far stronger than the data does not swamp what the data say.

The precision of beta is P = X'V^-1 X + K'K, K the rows of its prior. A prior of a raw intercept, predictors a billion
away from zero, has rows of 1e9 along several internal coordinates: K'K is 1e18 with a null space, and what the data say
of that space, some dozens, is lost when P is eliminated. An orthogonal change Q of coordinates that makes K Q
triangular, the largest row first, puts each large number into one coordinate of its own; X'X, nearly a multiple of the
identity, stays as it is. The response is taken about its penalised fit, so that residuals of the prior are small too,
and sums of squares are no differences of large ones.

References
----------
Powell, M. J. D. and Reid, J. K. (1969). On applying Householder transformations to linear least squares problems. In
Information Processing 68, 122-126 (large rows first).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram

    Array = NDArray[np.float64]

# Squares of prior rows, relative to those of the data, from which on digits of the data would be lost.
_STRONG = 1e4


def turned_to_prior(gram: Gram, K: Array, gap: Array) -> Gram:
    """Return the Gram basis in coordinates in which the rows of a prior are triangular, where they are large.

    Parameters
    ----------
    gram : Gram
    K : array (r, p)
        Rows of the prior, each divided by its standard deviation, internal scale.
    gap : array (r,)
        Their means less their values at the centre of the response, divided likewise.
    """
    size = np.linalg.norm(K, axis=1)
    if not len(K) or float(size.max()) ** 2 < _STRONG * gram.n:
        return gram
    p, order = K.shape[1], np.argsort(-size, kind="stable")
    Q = np.linalg.qr(K[order].T, mode="complete")[0]
    # The large rows first: a QR decomposition without row exchanges is stable then.
    U, R = np.linalg.qr(np.vstack([K[order] @ Q, np.sqrt(gram.n) * np.eye(p)]))
    fit = np.linalg.solve(R, U[: len(K)].T @ gap[order])
    M = np.eye(p + 1)
    M[:p, :p], M[:p, p] = Q, -Q @ fit
    return replace(
        gram,
        factors=tuple(replace(factor, ZtW=factor.ZtW @ M) for factor in gram.factors),
        WtW=M.T @ gram.WtW @ M,
        x_map=gram.x_map @ Q,
        y_shift=gram.y_shift + gram.x_map @ (Q @ fit),
        frame=None,
    )
