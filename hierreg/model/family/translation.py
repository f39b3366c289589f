"""A problem whose response is not normal as a PyMC model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from hierreg.problem.family import FamilyProblem


def to_pymc(problem: FamilyProblem, parametrization: str) -> Any:
    """Return the model in an explicit parametrization.

    Raises
    ------
    ModelError
        If it is asked for with the effects integrated out.
    """
    from hierreg.pymc_model.family import build_family_model

    if parametrization == "marginal":
        raise ModelError(
            f"parametrization='marginal' with family={problem.family}: the quadrature is not an operation of PyMC. Use "
            "'noncentered' or 'centered', which sample the effects, or Model.sample(), which integrates them out."
        )
    return build_family_model(problem, parametrization)
