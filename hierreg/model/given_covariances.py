"""Covariances and precisions that a user gives to `Model.solve`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed
from hierreg.errors.known_covariance import in_order
from hierreg.errors.within_units import covariance_of
from hierreg.exceptions import ModelError
from hierreg.linalg import semidefinite_factor, smallest_eigenvalue, unit_diagonal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.errors.within_units import Components
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]

# Of correlations.
_NOT_SYMMETRIC = 1e-8
_ROUNDING = 1e-12

_WITHIN_UNITS = (
    "a dictionary {'sd': sd, 'corr': rho}: standard deviation and correlation within units, each one number or, by "
    "stratum, one for each in the order of the levels"
)


def group_factor(problem: Problem, cov: Mapping[str, Any] | None) -> Array:
    """Return a factor Lambda (q, q) of Sigma of the columns of all grouping factors, block diagonal as Sigma is."""
    expected = list(problem.labels.factor_names)
    if cov is not None and not isinstance(cov, Mapping):
        raise ModelError(
            f"cov={cov!r} is not a dictionary; give one covariance matrix per grouping factor "
            f"({listed(expected) or 'none here'})."
        )
    given = dict(cov or {})
    if set(given) != set(expected):
        raise ModelError(
            f"cov has the keys {listed(given) or 'none'}; the model needs {listed(expected) or 'none'} "
            "(one covariance matrix per grouping factor)."
        )
    out = np.zeros((problem.parameters.n_factor, problem.parameters.n_factor))
    for factor, mine in zip(problem.labels.factors, problem.parameters.factor_slices, strict=True):
        what = f"cov[{factor.name!r}]"
        Sigma = _semidefinite(given[factor.name], factor.coef, what, "columns")
        out[mine, mine] = semidefinite_factor(Sigma)
    return out


def error_covariance(problem: Problem, error_cov: Any) -> Array:
    """Return the error covariance (D, D)."""
    terms = problem.gram.terms
    D = terms.n_labels
    if terms.n_sd == 0:
        if error_cov is not None:
            raise ModelError(
                f"error_cov was given, but errors={problem.layout.spec} are fully known; leave it out, or use "
                "scale=True for an unknown factor."
            )
        return np.eye(1)
    if error_cov is None:
        if terms.components is not None:
            raise ModelError(f"error_cov is missing: errors={problem.layout.spec} need {_WITHIN_UNITS}.")
        what = "a variance" if D == 1 else f"{D} variances or a ({D}, {D}) matrix for {listed(terms.labels)}"
        raise ModelError(f"error_cov is missing: errors={problem.layout.spec} need {what}.")
    if terms.components is not None:
        return _within_units(problem, terms.components, error_cov)
    values = _numbers(in_order(error_cov, terms.labels, "error_cov"), "error_cov")
    if values.ndim < 2:
        values = np.diag(np.atleast_1d(values))
    matrix = _semidefinite(values, terms.labels, "error_cov", "data sets", definite=True)
    if not terms.has_corr and np.any(matrix != np.diag(np.diagonal(matrix))):
        raise ModelError(
            f"error_cov has covariances, but errors={problem.layout.spec} are independent: give a diagonal matrix "
            "or the variances."
        )
    return matrix


def _within_units(problem: Problem, components: Components, given: Any) -> Array:
    """Return the covariance (C, C) of the components of exchangeable errors, or of two neighbours of AR(1) ones."""
    strata = components.strata
    if not isinstance(given, Mapping) or sorted(given) != ["corr", "sd"]:
        raise ModelError(f"error_cov={given!r}: errors={problem.layout.spec} need {_WITHIN_UNITS}.")
    values = {}
    for name, n in (("sd", components.n_sd), ("corr", len(strata))):
        what = f"error_cov[{name!r}]"
        array = np.atleast_1d(_numbers(in_order(given[name], strata, what), what))
        if array.shape not in {(1,), (n,)}:
            raise ModelError(
                f"error_cov[{name!r}] has shape {array.shape}; one number"
                + (f", or one for each of {listed(strata)}," if n > 1 else "")
                + " is required."
            )
        values[name] = np.broadcast_to(array, n)
    lowest = components.lowest
    if not np.all(np.isfinite(values["sd"]) & (values["sd"] > 0)):
        raise ModelError(f"error_cov['sd']={given['sd']!r} must be finite and positive.")
    if not np.all((values["corr"] > lowest) & (values["corr"] < 1)):
        raise ModelError(f"error_cov['corr']={given['corr']!r}{problem.layout.spec.bounds_of_corr(lowest)}")
    return covariance_of(components.stratum, components.size, values["sd"], values["corr"])


def precision_of_beta(problem: Problem, precision: float | Sequence[float]) -> Array:
    """Return the prior precision (p,) of beta."""
    p = len(problem.labels.coef)
    try:
        given = in_order(precision, problem.labels.coef, "beta_precision")
        values = np.broadcast_to(np.asarray(given, dtype=float), (p,))
    except ValueError:
        raise ModelError(
            f"beta_precision={precision!r}: give one number, or one per coefficient {listed(problem.labels.coef)}."
        ) from None
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise ModelError(f"beta_precision={precision!r} must be finite and not negative.")
    return values


def _numbers(value: Any, name: str) -> Array:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"{name}={value!r} is not a matrix of numbers.") from None


def _semidefinite(value: Any, names: tuple[str, ...], name: str, what: str, *, definite: bool = False) -> Array:
    """Return a covariance in the order of ``names``, checked by its correlations: columns may have any units."""
    size, matrix = len(names), _numbers(in_order(value, names, name), name)
    if matrix.ndim == 0 and size == 1:
        matrix = matrix.reshape(1, 1)
    if matrix.shape != (size, size):
        raise ModelError(f"{name} has shape {matrix.shape}; ({size}, {size}) is required, for {what} {listed(names)}.")
    if not np.all(np.isfinite(matrix)):
        raise ModelError(f"{name} has values that are not finite: {matrix.tolist()}.")
    sd, corr = unit_diagonal(matrix)
    if np.any(np.abs(corr - corr.T) > _NOT_SYMMETRIC):
        raise ModelError(f"{name} is not symmetric: {matrix.tolist()}.")
    kind = "positive definite" if definite else "positive semidefinite"
    still = sd <= 0
    # A column without variance has no covariances either.
    if np.any(matrix[still] != 0) or np.any(matrix[:, still] != 0) or (definite and np.any(still)):
        smallest = smallest_eigenvalue(0.5 * (matrix + matrix.T))
        raise ModelError(f"{name} is not {kind} (smallest eigenvalue {smallest:.3g}).")
    moving = ~still
    if np.any(moving):
        smallest = smallest_eigenvalue(0.5 * (corr + corr.T)[np.ix_(moving, moving)])
        if smallest < -_ROUNDING or (definite and smallest <= _ROUNDING):
            raise ModelError(f"{name} is not {kind} (smallest eigenvalue {smallest:.3g} of its correlations).")
    return np.asarray(0.5 * (matrix + matrix.T))
