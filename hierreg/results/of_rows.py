"""What a point result says of the rows that it was estimated from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def problem_with_rows(result: Any, what: str) -> Any:
    """Return the problem of a result, with rows and normal responses.

    Raises
    ------
    ModelError
        If the rows are not there, or the response is not normal.
    """
    problem = result.problem
    if problem is None:
        raise ModelError(f"{what}: the result does not know its model; take it from Model.estimate or Model.solve.")
    if hasattr(problem, "family"):
        raise ModelError(
            f"{what} of a response with family={problem.family}: use hr.predict for expected responses, and "
            "hr.posterior_predictive to check the model."
        )
    if not len(problem.design.y):
        raise ModelError(
            f"{what} needs the rows of the table, and this model was made of statistics alone (Model.from_gram)."
        )
    return problem


def fitted_values(result: Any, what: str, *, groups: bool) -> Array:
    """Return x beta, and with `groups` x beta + z b, of each row (N,)."""
    design = problem_with_rows(result, what).design
    out = np.asarray(design.X @ result.beta.to_numpy())
    for factor, b in zip(design.factors, result.solution.b, strict=True) if groups else ():
        out = out + np.einsum("nq,nq->n", factor.Z, b[factor.index])
    return out


def n_parameters(problem: Any) -> int:
    """Return the number of free parameters: of the population, variances and correlations, and of a family."""
    free = int(np.sum(~problem.fixed.is_fixed)) if not hasattr(problem, "family") else len(problem.free)
    auxiliary = getattr(problem, "auxiliary", None)
    return int(free + problem.parameters.n_free + (0 if auxiliary is None else len(auxiliary.free_names)))
