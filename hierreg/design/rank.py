"""Constant and collinear columns, found and named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import listed
from hierreg.exceptions import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Norm of what a column adds to the others, relative to its own. Below it, cross-products (which square it)
# would have no correct digit; it is also the tolerance of R's lm.
_TOLERANCE = 1e-7
_ROWS_AT_ONCE = 1 << 14
_INTERCEPT = "Intercept"


def check_full_rank(X: NDArray[np.float64], names: Sequence[str], *, what: str) -> None:
    """Raise a `DataError` unless the columns of a matrix are linearly independent.

    Columns are compared after scaling, and after centring where there is an intercept: an offset of a million
    is no collinearity.

    Parameters
    ----------
    X : array (N, p)
    names : sequence of str, length p
    what : str
        What the columns are, for the message: "population columns".
    """
    n, p = X.shape
    if p > n:
        raise DataError(
            f"there are {p} {what} ({listed(names)}) but only {n} rows; more rows or fewer terms are required."
        )
    if p == 0:
        return
    low, high = X.min(axis=0), X.max(axis=0)
    has_intercept = _INTERCEPT in names
    _check_constant(low, high, names, what, has_intercept=has_intercept)
    kept = [i for i, name in enumerate(names) if name != _INTERCEPT]
    R = _triangular_factor(X, kept, centre=has_intercept, largest=np.maximum(np.abs(low), np.abs(high)))
    R = R / np.linalg.norm(R, axis=0)
    if not _has_full_rank(R):
        together = f"the {what} and the intercept" if has_intercept else f"the {what}"
        raise DataError(_collinear(R, [names[i] for i in kept], together))


def _check_constant(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    names: Sequence[str],
    what: str,
    *,
    has_intercept: bool,
) -> None:
    scale = np.maximum(np.abs(low), np.abs(high))
    is_constant = high - low <= 4 * np.finfo(float).eps * scale
    for i, name in enumerate(names):
        if is_constant[i] and scale[i] == 0:
            raise DataError(f"{name!r} ({what}) is zero in every row, so it has no effect; leave it out.")
        if is_constant[i] and has_intercept and name != _INTERCEPT:
            raise DataError(
                f"{name!r} ({what}) is constant ({low[i]:g} in every row) beside the intercept, so the two "
                "cannot be told apart; leave it out, or drop the intercept with `0 +`."
            )


def _triangular_factor(
    X: NDArray[np.float64], kept: Sequence[int], *, centre: bool, largest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return R (p, p) of the QR decomposition of the centred, scaled columns, a block of rows at a time."""
    means = X.mean(axis=0)[kept] if centre else np.zeros(len(kept))
    scale = largest[kept]
    R = np.empty((0, len(kept)))
    for start in range(0, len(X), _ROWS_AT_ONCE):
        block = (X[start : start + _ROWS_AT_ONCE, kept] - means) / scale
        R = np.linalg.qr(np.vstack([R, block]), mode="r")
    return R


def _has_full_rank(R: NDArray[np.float64]) -> bool:
    from scipy.linalg import qr

    if R.shape[1] == 0:
        return True
    pivots = np.abs(np.diagonal(qr(R, mode="r", pivoting=True)[0]))
    return len(pivots) == R.shape[1] and bool(pivots.min() > _TOLERANCE)


def _collinear(R: NDArray[np.float64], names: Sequence[str], what: str) -> str:
    """Return the message: each column that the ones before it determine, with those it takes."""
    independent: list[int] = []
    findings = []
    for i in range(len(names)):
        others = R[:, independent]
        weights = np.linalg.lstsq(others, R[:, i], rcond=None)[0]
        if independent and np.linalg.norm(R[:, i] - others @ weights) <= _TOLERANCE * 10:
            used = [names[k] for k, weight in zip(independent, weights, strict=True) if abs(weight) > 1e-6]
            findings.append(f"{names[i]!r} is a linear combination of {listed(used)}")
        else:
            independent.append(i)
    has_spline = any(name.startswith(("cs(", "cr(", "cc(")) for name in names)
    hint = " The splines cs, cr and cc contain the intercept unless constraints='center'." if has_spline else ""
    return (
        f"{what} are collinear: {'; '.join(findings) or listed(names)}. Their coefficients "
        f"cannot be told apart: leave one column out for each.{hint}"
    )
