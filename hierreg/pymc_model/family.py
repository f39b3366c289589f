"""A model whose response is not normal, in PyMC: effects are sampled, rows have the family's density."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.exceptions import ModelError
from hierreg.priors import Fixed
from hierreg.problem.labels import response_variable
from hierreg.pymc_model.build import add_group_covariance, add_group_effects, add_theta, coords_of, group_part
from hierreg.pymc_model.names import check_names
from hierreg.pymc_model.parameters import add_above, add_beta, add_scalar
from hierreg.response import (
    Bernoulli,
    Beta,
    Binomial,
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
    check_names(design, problem.layout)
    if not problem.family.has_level:
        raise ModelError(
            f"family={problem.family} as a PyMC model: thresholds that stand for the intercept are not translated. Use "
            "Model.sample(), which needs no PyMC model."
        )
    with pm.Model(coords=coords_of(design, problem.layout)) as model:
        Lambdas = [add_group_covariance(factor, priors) for factor in design.factors]
        X = pm.Data("population_columns", design.X, dims=("obs", "coef"))
        beta = add_beta(priors, design.coef_names)
        eta = pt.as_tensor(problem.offset) + X @ beta
        for factor, Lambda in zip(design.factors, Lambdas, strict=True):
            b = add_group_effects(factor, Lambda, priors, parametrization)
            add_theta(factor, b, beta, design.coef_names)
            eta = eta + group_part(factor, b)
        _add_rows(problem, eta)
    return model


def _add_rows(problem: FamilyProblem, eta: Tensor) -> None:
    """Register the observed response; where rows have weights, their log densities times those."""
    family, observed = problem.family, problem.observed
    name = response_variable(problem.design.response_name)
    values = np.exp(observed.y) if isinstance(family, LogNormalResponse) else observed.y
    whole = values if isinstance(family, _NUMBERS) else values.astype(np.int64)
    parts = [_add_parameter(problem, m) for m in range(len(problem.auxiliary.names))]
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
        "probit": pm.math.invprobit,
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
    StudentTResponse: _student_t,
}
