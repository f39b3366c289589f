"""Rows with heavy-tailed errors that are fitted exactly: where they are too many, the density has no bound.

Let coefficients fit rows of the weight m exactly, out of rows of the weight n, and the scale s go to zero. Rows that
are fitted contribute 1 / s each to the likelihood; each other one s^nu, as that is how a Student t density falls far
out; and where group effects, which are integrated out, have to fit rows, those within s of the fit have the share s^k,
k the number of effects that these rows pin down. Together that is s^(nu (n - m) + k - m): without bound where

    m - k > nu (n - m).

With nu > 2 unknown, nearly, where more than two thirds of the rows are fitted. Effects may also be zero in the fit:
then their standard deviations go to zero too, and k is none. The posterior density integrates over population
coefficients as well, and may have an integral where the likelihood has no bound; with what follows a search for the
mode, it is refused all the same.

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
# Of the median absolute residual at the beginning: where reweighting ends, and what is nearly zero then.
_SMOOTH, _NEARLY = 1e-6, 1e-3
_STEPS, _FIRST = 30, 12
# Of the same, above which most residuals are not on their way to zero.
_COLLAPSED = 0.05
_RIDGE, _REFINED = 1e-10, 3
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
            f"fitted exactly. With family={problem.family} the density then grows without bound as error_scale goes to "
            "zero, whatever the other rows are. Usual causes: many equal responses, rounded ones, a formula that the "
            "response was computed from, or hardly more rows than coefficients. Give the scale a value, such as half "
            "the unit that responses are rounded to, error_scale=0.5, or take more degrees of freedom, nu=20."
        )


def _unbounded(problem: FamilyProblem, mine: NDArray[np.bool_], nu: float) -> tuple[int, int] | None:
    """Return numbers of rows that are fitted, where they are too many, and of all."""
    X, Z = problem.X[mine][:, problem.free], _effect_columns(problem)[mine]
    y = problem.design.y[mine] - (problem.X @ problem.held)[mine]
    weights = problem.weights[mine]
    tolerance = max(_EXACT * float(np.std(y)), _ROUNDING * float(np.max(np.abs(problem.observed.y[mine]))))
    for with_effects in (False, True) if Z.shape[1] else (False,):
        A = _joined(X, Z if with_effects else Z[:, :0])
        is_exact = np.abs(_residuals(A, y, weights)) <= tolerance
        m, n = float(weights[is_exact].sum()), float(weights.sum())
        if m <= nu * (n - m):
            continue
        k = _rank(Z[is_exact]) if with_effects else 0
        if m - k > nu * (n - m):
            return int(is_exact.sum()), len(y)
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
    """Return residuals of a fit of most rows, exact where there is one: least absolute ones, then of rows near it."""
    r = y - A @ _weighted(A, y, weights)
    size = float(np.median(np.abs(r)))
    for step in range(_STEPS if size and A.shape[1] else 0):
        smooth = size * max(0.5**step, _SMOOTH)
        r = y - A @ _weighted(A, y, weights / np.maximum(np.abs(r), smooth))
        if step == _FIRST and np.median(np.abs(r)) > _COLLAPSED * size:
            return np.asarray(r)
    near = np.abs(r) <= _NEARLY * size
    return np.asarray(y - A @ _weighted(A, y, np.where(near, weights, 0.0)))


def _weighted(A: Any, y: Array, w: Array) -> Array:
    """Return weighted least squares; columns may depend on each other."""
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import splu

    if not A.shape[1]:
        return np.zeros(0)
    AtWA = (A.T @ (diags_array(w) @ A)).tocsc()
    diagonal = AtWA.diagonal()
    ridge = _RIDGE * np.where(diagonal > 0, diagonal, max(float(diagonal.max()), 1.0))
    solve = splu((AtWA + diags_array(ridge)).tocsc()).solve
    x = np.zeros(A.shape[1])
    # What the ridge leaves is taken off.
    for _ in range(_REFINED):
        x = x + solve(A.T @ (w * (y - A @ x)))
    return np.asarray(x)


def _rank(A: Any) -> int:
    """Return the rank of columns, or of very many their number."""
    used = np.flatnonzero(np.asarray((A * A).sum(axis=0)).ravel())
    if len(used) > _MOST_RANKED:
        return int(min(len(used), A.shape[0]))
    dense = A[:, used].toarray()
    return int(np.linalg.matrix_rank(dense)) if dense.size else 0
