"""Rows with heavy-tailed errors that are fitted exactly: where they are too many, the density has no bound.

Let coefficients fit rows of the weight m exactly, out of rows of the weight n, and the scale s go to zero. Rows that
are fitted contribute 1 / s each; each other one s^nu, as that is how a Student t density falls far out; and the share
of the coefficients that are within s of the fit is s^k, where the rows that are fitted pin down k of them. Together
that is s^(nu (n - m) + k - m): without bound, under every prior that does not exclude s = 0, where

    m - k > nu (n - m).

With nu > 2 unknown, nearly, where more than two thirds of the rows are fitted by what few of them determine. Effects of
groups that are zero in the fit are pinned down by their standard deviations, which go to zero too.

References
----------
Fernandez, C. and Steel, M. F. J. (1999). Multivariate Student-t regression models: pitfalls and inference. Biometrika
86, 153-167.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import counted
from hierreg.exceptions import DataError
from hierreg.priors import Fixed

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

# Of the sd of the response, and of its size: what is a residual of zero.
_EXACT, _ROUNDING = 1e-8, 16 * np.finfo(float).eps
_STEPS, _FIRST = 40, 12
# Of the median absolute residual at the beginning, above which most residuals are not on their way to zero.
_COLLAPSED = 0.05
_RIDGE = 1e-9
# Columns whose rank is found; of more it is taken to be their number.
_MOST_RANKED = 1500


def check_exact_rows(problem: FamilyProblem) -> None:
    """Raise where so many rows can be fitted exactly that the scale of heavy-tailed errors has no lower bound.

    Raises
    ------
    DataError
    """
    place = problem.auxiliary.names.index("error_scale")
    for t, (row, label) in enumerate(zip(problem.auxiliary.priors, problem.auxiliary.strata, strict=True)):
        if isinstance(row[place], Fixed):
            continue
        nu = row[problem.auxiliary.names.index("nu")]
        lowest = float(nu.array) if isinstance(nu, Fixed) else problem.auxiliary.lowest["nu"]
        found = _unbounded(problem, problem.observed.stratum == t, lowest)
        if found is None:
            continue
        what = "" if len(problem.auxiliary.strata) == 1 else f" of stratum {label}"
        raise DataError(
            f"the response `{problem.design.response_name}`: {found[0]} of {counted(found[1], 'row')}{what} can be "
            f"fitted exactly by {counted(found[2], 'coefficient')}. With family={problem.family} the density then "
            "grows without bound as error_scale goes to zero, whatever the other rows are. Usual causes: many equal "
            "responses, rounded ones, or a formula that the response was computed from. Give the scale a value, such "
            "as half the unit that responses are rounded to, error_scale=0.5, or take more degrees of freedom, nu=20."
        )


def _unbounded(problem: FamilyProblem, mine: NDArray[np.bool_], nu: float) -> tuple[int, int, int] | None:
    """Return numbers of rows that are fitted, of all, and of coefficients they pin down, where these are too few."""
    X, Z = problem.X[mine][:, problem.free], _effect_columns(problem)[mine]
    y = problem.design.y[mine] - (problem.X @ problem.held)[mine]
    weights = problem.weights[mine]
    tolerance = np.maximum(_EXACT * np.std(y), _ROUNDING * np.max(np.abs(problem.observed.y)))
    for with_effects in (False, True) if Z.shape[1] else (False,):
        A = _joined(X, Z) if with_effects else _joined(X, Z[:, :0])
        is_exact = np.abs(_residuals(A, y, weights)) <= tolerance
        m, n = float(weights[is_exact].sum()), float(weights.sum())
        if m <= nu * (n - m):
            continue
        k = _rank(A[is_exact]) + (0 if with_effects else problem.parameters.n_factor)
        if m - k > nu * (n - m):
            return int(is_exact.sum()), len(y), k
    return None


def _effect_columns(problem: FamilyProblem) -> Any:
    """Return the columns of all effects (N, n), sparse."""
    from scipy.sparse import coo_array, hstack

    parts = [coo_array((problem.n_rows, 0))]
    rows = np.arange(problem.n_rows)
    for factor, mine in zip(problem.design.factors, problem.parameters.factor_slices, strict=True):
        J, q = len(factor.levels), mine.stop - mine.start
        for k in range(q):
            shape = (problem.n_rows, J)
            parts.append(coo_array((problem.Z[:, mine.start + k], (rows, factor.index)), shape=shape))
    return hstack(parts).tocsr()


def _joined(X: Array, Z: Any) -> Any:
    from scipy.sparse import csr_array, hstack

    return hstack([csr_array(X), Z]).tocsr()


def _residuals(A: Any, y: Array, weights: Array) -> Array:
    """Return residuals of least absolute size, nearly, by reweighted least squares; early where most are not zero."""
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import splu

    n = A.shape[1]
    if not n:
        return y
    ridge = _RIDGE * float(np.max((A * A).T @ weights, initial=0.0))
    r, size = y, 0.0
    w = weights
    for step in range(_STEPS):
        AtWA = (A.T @ (diags_array(w) @ A)).tocsc()
        largest = float(AtWA.diagonal().max(initial=0.0))
        solve = splu(AtWA + diags_array(np.full(n, max(_RIDGE * largest, ridge * 1e-12, np.finfo(float).tiny)))).solve
        x = solve(A.T @ (w * y))
        r = y - A @ x
        # The ridge pulls; a step against what it leaves takes that off.
        r = r - A @ solve(A.T @ (w * r))
        middle = float(np.median(np.abs(r)))
        size = size or middle
        if not middle or (step == _FIRST and middle > _COLLAPSED * size):
            break
        w = weights / np.maximum(np.abs(r), 1e-12 * size)
    return np.asarray(r)


def _rank(A: Any) -> int:
    """Return the rank of columns, or of very many their number."""
    used = np.flatnonzero(np.asarray((A * A).sum(axis=0)).ravel())
    if len(used) > _MOST_RANKED:
        return int(min(len(used), A.shape[0]))
    dense = A[:, used].toarray()
    return int(np.linalg.matrix_rank(dense)) if dense.size else 0
