"""A model whose response is not normal, in PyMC: effects are sampled, rows have the family's density."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.priors import Fixed
from hierreg.problem.labels import response_variable
from hierreg.pymc_model.build import add_group_covariance, add_group_effects, add_theta, coords_of, group_part
from hierreg.pymc_model.names import check_names
from hierreg.pymc_model.parameters import add_above, add_beta, add_scalar, add_vector
from hierreg.response import (
    Bernoulli,
    Beta,
    Binomial,
    Cumulative,
    GammaResponse,
    LogNormalResponse,
    NegativeBinomial,
    Poisson,
    StudentTResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hierreg.problem.family import FamilyProblem
    from hierreg.pymc_model.parameters import Tensor


def build_family_model(problem: FamilyProblem, parametrization: str) -> pm.Model:
    """Return the PyMC model in the "noncentered" or the "centered" parametrization."""
    design, priors = problem.design, problem.priors
    check_names(design, problem.layout, problem.auxiliary.result_names)
    coords, kept = coords_of(design, problem.layout), problem.kept_coefficients
    names = tuple(design.coef_names[k] for k in kept)
    if not problem.family.has_level:
        coords |= {"coef": list(names), "threshold": problem.auxiliary.coords["threshold"]}
    with pm.Model(coords=coords) as model:
        Lambdas = [add_group_covariance(factor, priors) for factor in design.factors]
        X = pm.Data("population_columns", design.X[:, kept], dims=("obs", "coef"))
        if problem.family.has_level:
            beta = add_beta(priors, names)
            parts = [_add_parameter(problem, m) for m in range(len(problem.auxiliary.names))]
        else:
            beta, thresholds = _beta_and_thresholds(problem, names)
            parts = [thresholds]
        eta = pt.as_tensor(problem.offset) + X @ beta
        for factor, Lambda in zip(design.factors, Lambdas, strict=True):
            b = add_group_effects(factor, Lambda, priors, parametrization)
            add_theta(factor, b, beta, names)
            eta = eta + group_part(factor, b)
        _add_rows(problem, eta, parts)
    return model


def _beta_and_thresholds(problem: FamilyProblem, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Register the coefficients that are reported (p,), and the thresholds (m,), which stand for the level.

    The random variables are ``C @ beta``, C = ``priors.beta_basis``, of which that of the level is zero, and increasing
    thresholds at the origin of that frame. They are called ``_at_means`` where they are not those that are reported.
    """
    priors, kept, auxiliary = problem.priors, problem.kept_coefficients, problem.auxiliary
    (out,) = set(range(len(priors.beta))) - set(kept.tolist())
    inverse = np.linalg.inv(np.asarray(priors.beta_basis, dtype=np.float64))
    is_plain = np.array_equal(inverse, np.eye(len(inverse)))
    ending = "" if is_plain else "_at_means"
    phi = add_vector(f"beta{ending}", [priors.beta[k] for k in kept], labels=names, dim="coef")
    m = auxiliary.shape[1]
    moved = pm.Normal(
        f"{auxiliary.names[0]}{ending}",
        np.array([prior.mu for prior in auxiliary.flat]),
        np.array([prior.sigma for prior in auxiliary.flat]),
        transform=pm.distributions.transforms.ordered,
        initval=np.linspace(-1.0, 1.0, m),
        dims="threshold",
    )
    if is_plain:
        return phi, moved
    beta = pm.Deterministic("beta", pt.as_tensor(inverse[np.ix_(kept, kept)]) @ phi, dims="coef")
    level = float(problem.design.X[0, out]) * (pt.as_tensor(inverse[out, kept]) @ phi)
    return beta, pm.Deterministic(auxiliary.names[0], moved - level, dims="threshold")


def _add_rows(problem: FamilyProblem, eta: Tensor, parts: list[Tensor]) -> None:
    """Register the observed response; where rows have weights, their log densities times those."""
    family, observed = problem.family, problem.observed
    name = response_variable(problem.design.response_name)
    values = np.exp(observed.y) if isinstance(family, LogNormalResponse) else observed.y
    whole = values if isinstance(family, _NUMBERS) else values.astype(np.int64)
    distribution, arguments = ROWS[type(family)](problem, eta, parts)
    if np.all(problem.weights == 1):
        distribution(name, **arguments, observed=whole, dims="obs")
        return
    log_density = pm.logp(distribution.dist(**arguments), whole)
    pm.Potential(name, (problem.weights * log_density).sum())


def _add_parameter(problem: FamilyProblem, m: int) -> Tensor:
    """Register a further parameter, or those of all strata, and return that of each row."""
    auxiliary, stratum = problem.auxiliary, problem.observed.stratum
    name = auxiliary.names[m]
    lowest = auxiliary.lowest.get(name, 0.0)

    def add(label: str, prior: Any) -> Tensor:
        return add_above(label, prior, lowest) if lowest and not isinstance(prior, Fixed) else add_scalar(label, prior)

    if not auxiliary.has_strata(name):
        return add(name, auxiliary.priors[0][m])
    rows = zip(auxiliary.priors, auxiliary.strata, strict=True)
    return pt.stack([add(f"{name}_{label}", row[m]) for row, label in rows])[stratum]


def _probability(problem: FamilyProblem, eta: Tensor) -> Tensor:
    return {
        "logit": pm.math.invlogit,
        # pm.math.invprobit takes the root of two in single precision.
        "probit": lambda x: 0.5 * pt.erfc(-x / np.sqrt(2.0)),
        "cloglog": lambda x: -pt.expm1(-pt.exp(x)),
    }[problem.family.link](eta)


def _binomial(problem: FamilyProblem, eta: Tensor, _: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    n = problem.observed.trials.astype(np.int64)
    return pm.Binomial, {"n": n, "p": _probability(problem, eta)}


def _bernoulli(problem: FamilyProblem, eta: Tensor, _: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    if problem.family.link == "logit":
        return pm.Bernoulli, {"logit_p": eta}
    return pm.Bernoulli, {"p": _probability(problem, eta)}


def _poisson(_: FamilyProblem, eta: Tensor, __: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    return pm.Poisson, {"mu": pt.exp(eta)}


def _negative_binomial(_: FamilyProblem, eta: Tensor, parts: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    return pm.NegativeBinomial, {"mu": pt.exp(eta), "alpha": 1.0 / parts[0]}


def _gamma(_: FamilyProblem, eta: Tensor, parts: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    return pm.Gamma, {"alpha": parts[0], "beta": parts[0] * pt.exp(-eta)}


def _beta(problem: FamilyProblem, eta: Tensor, parts: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    p = _probability(problem, eta)
    return pm.Beta, {"alpha": p * parts[0], "beta": (1.0 - p) * parts[0]}


def _log_normal(_: FamilyProblem, eta: Tensor, parts: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    return pm.LogNormal, {"mu": eta, "sigma": parts[0]}


def _cumulative(problem: FamilyProblem, eta: Tensor, parts: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    # pm.OrderedLogistic and pm.OrderedProbit, but from the side where tails are small: differences keep their digits.
    ends = [pt.as_tensor(np.array([end])) for end in (-np.inf, np.inf)]
    thresholds: Any = pt.concatenate([ends[0], parts[0], ends[1]])  # type: ignore[no-untyped-call]  # no types
    edges = thresholds - eta[:, None]
    lower, upper = edges[:, :-1], edges[:, 1:]
    is_above = lower > 0
    high, low = pt.switch(is_above, -lower, upper), pt.switch(is_above, -upper, lower)
    return pm.Categorical, {"p": _probability(problem, high) - _probability(problem, low)}


def _student_t(_: FamilyProblem, eta: Tensor, parts: list[Tensor]) -> tuple[Any, dict[str, Any]]:
    return pm.StudentT, {"nu": parts[1], "mu": eta, "sigma": parts[0]}


# Families of numbers that are not whole.
_NUMBERS = (GammaResponse, Beta, LogNormalResponse, StudentTResponse)
# By family: the distribution of the rows and its arguments.
ROWS: dict[type[Any], Callable[..., tuple[Any, dict[str, Any]]]] = {
    Bernoulli: _bernoulli,
    Binomial: _binomial,
    Poisson: _poisson,
    NegativeBinomial: _negative_binomial,
    GammaResponse: _gamma,
    Beta: _beta,
    LogNormalResponse: _log_normal,
    Cumulative: _cumulative,
    StudentTResponse: _student_t,
}
