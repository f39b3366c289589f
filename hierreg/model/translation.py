"""A problem as a PyMC model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hierreg.predictive.of_model import check_has_rows
from hierreg.pymc_model import build_pymc_model

if TYPE_CHECKING:
    from hierreg.problem.problem import Problem


def to_pymc(problem: Problem, parametrization: Literal["marginal", "noncentered", "centered"]) -> Any:
    """Return the model of a problem in one of the parametrizations of `Model.to_pymc`."""
    if parametrization != "marginal":
        check_has_rows(problem, f"parametrization={parametrization!r}")
    return build_pymc_model(
        problem.design, problem.layout, problem.priors, problem.likelihood("prior"), parametrization
    )
