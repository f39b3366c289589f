"""Parameters that studies to come are simulated at: of a prior, a posterior, an estimate, or given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.linalg import semidefinite_factor
from hierreg.predictive.prior_draws import draw_prior
from hierreg.predictive.rows import Draws, draws_of
from hierreg.results.point import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]

_KEYS = ("beta", "sd", "corr", "error_sd", "error_corr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Parameters of a model with normal responses.

    Attributes
    ----------
    beta : array (p,)
    Sigma : tuple of arrays (q, q)
        Covariances of group coefficients, by factor.
    error_sd : array (D,)
        Ones where errors are known.
    error_corr : array
        As in `predictive.rows.Draws`, of one draw.
    """

    beta: Array
    Sigma: tuple[Array, ...]
    error_sd: Array
    error_corr: Array

    def fresh(self, problem: Problem, rng: np.random.Generator) -> Draws:
        """Return the parameters as one draw, with group coefficients that are drawn anew."""
        b = {}
        for factor, Sigma in zip(problem.labels.factors, self.Sigma, strict=True):
            z = rng.standard_normal((len(factor.levels), len(Sigma)))
            b[factor.name] = (z @ semidefinite_factor(Sigma).T)[None]
        return Draws(beta=self.beta[None], b=b, error_sd=self.error_sd[None], error_corr=self.error_corr[None])

    def error_cov(self, problem: Problem) -> Array:
        """Return the error covariance that likelihoods take."""
        if problem.labels.has_corr_by_stratum:
            within = problem.parameters.within_units
            return np.asarray(within.covariance(self.error_sd[None], self.error_corr[None])[0])
        return np.asarray(self.error_sd[:, None] * self.error_corr * self.error_sd)


def truth_of_draw(group: xr.Dataset, problem: Problem) -> Truth:
    """Return the parameters of one draw of a ``posterior`` or ``prior`` group."""
    draws = draws_of(group, problem, with_groups=False)
    Sigma = []
    for factor in problem.labels.factors:
        sd = group[f"sd_{factor.key}"].to_numpy().reshape(-1)
        name = f"corr_{factor.key}"
        corr = group[name].to_numpy().reshape(len(sd), len(sd)) if name in group else np.eye(len(sd))
        Sigma.append(sd[:, None] * corr * sd)
    return Truth(
        beta=draws.beta[0], Sigma=tuple(Sigma), error_sd=draws.error_sd[0], error_corr=np.array(draws.error_corr[0])
    )


def truth_of_prior(problem: Problem, seed: int) -> Truth:
    """Return parameters that are drawn from their priors."""
    return truth_of_draw(draw_prior(problem, 1, [seed]), problem)


def truth_of_estimate(estimate: Estimate, problem: Problem) -> Truth:
    """Return the parameters of an estimate."""
    labels = problem.labels
    if list(estimate.beta["coef"].values) != list(labels.coef) or list(estimate.cov) != list(labels.factor_names):
        raise ModelError("at is the estimate of another model: its coefficients or grouping factors differ.")
    return Truth(
        beta=estimate.beta.to_numpy(),
        Sigma=tuple(estimate.cov[name].to_numpy() for name in labels.factor_names),
        error_sd=_error_sd(problem, np.atleast_1d(estimate.error_sd.to_numpy())),
        error_corr=_error_corr(problem, None if estimate.error_corr is None else estimate.error_corr.to_numpy()),
    )


def truth_given(given: Mapping[str, Any], problem: Problem) -> Truth:
    """Return parameters that a user gives.

    Raises
    ------
    ModelError
        If one is missing, or is not what the model has.
    """
    labels = problem.labels
    for key in given:
        if key not in _KEYS:
            raise ModelError(f"at has {key!r}; parameters are given as {listed(_KEYS)}.{suggestion(key, _KEYS)}")
    sd, corr = given.get("sd", {}), given.get("corr", {})
    for what, one in (("sd", sd), ("corr", corr)):
        _check_keys(f"at[{what!r}]", one, labels.factor_names, whole=what == "sd")
    Sigma = []
    for factor in labels.factors:
        sds = _numbers(f"at['sd'][{factor.name!r}]", sd[factor.name], factor.coef)
        Sigma.append(sds[:, None] * _corr(f"at['corr'][{factor.name!r}]", corr.get(factor.name), len(sds)) * sds)
    return Truth(
        beta=_numbers("at['beta']", _required(given, "beta", labels.coef), labels.coef),
        Sigma=tuple(Sigma),
        error_sd=_given_error_sd(given, problem),
        error_corr=_error_corr(problem, given.get("error_corr")),
    )


def _given_error_sd(given: Mapping[str, Any], problem: Problem) -> Array:
    labels = problem.labels
    if not labels.n_error_sd:
        return _error_sd(problem, np.ones(1))
    names = labels.error_labels if labels.n_error_sd > 1 else ("error_sd",)
    return _numbers("at['error_sd']", _required(given, "error_sd", names), names)


def _required(given: Mapping[str, Any], key: str, names: Sequence[str]) -> Any:
    if key not in given:
        raise ModelError(f"at has no {key!r}: all parameters are needed, here those of {listed(names)}.")
    return given[key]


def _check_keys(what: str, given: Any, names: Sequence[str], *, whole: bool) -> None:
    if not isinstance(given, Mapping):
        raise ModelError(f"{what}={given!r} is no dictionary; give one entry for each of {listed(names)}.")
    unknown = [name for name in given if name not in names]
    missing = [name for name in names if name not in given] if whole else []
    if unknown or missing:
        wrong = f"has {listed(unknown)}" if unknown else f"lacks {listed(missing)}"
        raise ModelError(f"{what} {wrong}; the model has {listed(names) or 'none'}.")


def _numbers(what: str, given: Any, names: Sequence[str]) -> Array:
    """Return numbers by name, in order, or one for all where there is one."""
    if isinstance(given, Mapping):
        _check_keys(what, given, names, whole=True)
        given = [given[name] for name in names]
    try:
        values = np.atleast_1d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (len(names),) or not np.all(np.isfinite(values)):
        raise ModelError(f"{what}={given!r}: a finite number for each of {listed(names)} is required.")
    return values


def _corr(what: str, given: Any, q: int) -> Array:
    if given is None:
        return np.eye(q)
    values = np.asarray(given, dtype=np.float64)
    if values.ndim == 0 and q == 2:
        values = np.array([[1.0, float(values)], [float(values), 1.0]])
    if values.shape != (q, q) or not np.allclose(values, values.T) or not np.allclose(np.diagonal(values), 1.0):
        raise ModelError(f"{what}: a correlation matrix ({q}, {q}) is required; for two columns one number will do.")
    if np.linalg.eigvalsh(values)[0] < -1e-10:
        raise ModelError(f"{what} is no correlation matrix: it has a negative eigenvalue.")
    return values


def _error_sd(problem: Problem, values: Array) -> Array:
    return values if problem.labels.n_error_sd else np.ones(len(problem.layout.labels))


def _error_corr(problem: Problem, given: Any) -> Array:
    labels, D = problem.labels, len(problem.layout.labels)
    if labels.has_corr_by_stratum:
        if given is None:
            raise ModelError("at has no 'error_corr': the correlation of errors within units is needed.")
        return _numbers("at['error_corr']", given, labels.error_labels if np.ndim(given) else ("error_corr",))
    return _corr("at['error_corr']", given, D)


def with_values(truth: Truth, given: Mapping[str, float], problem: Problem) -> Truth:
    """Return parameters with some population coefficients at given values.

    Raises
    ------
    ModelError
        If there is no such coefficient.
    """
    names = list(problem.labels.coef)
    beta = np.array(truth.beta, dtype=np.float64)
    for name, value in given.items():
        if name not in names:
            raise ModelError(
                f"effects has {name!r}; population coefficients are {listed(names)}.{suggestion(name, names)}"
            )
        beta[names.index(name)] = float(value)
    return Truth(beta=beta, Sigma=truth.Sigma, error_sd=truth.error_sd, error_corr=truth.error_corr)
