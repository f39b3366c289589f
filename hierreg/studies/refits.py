"""Fits of the rows that are left where some are left out, under the priors of all rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from hierreg.errors.within_units import WITHIN
from hierreg.exceptions import ConvergenceWarning, HierregError, ModelError
from hierreg.model.posterior import sample
from hierreg.predictive.leave_out import by_products, densities_of_sets
from hierreg.predictive.left_out.without import gram_of_rows, rows_of_design, rows_of_layout
from hierreg.predictive.recovered import covariances_of
from hierreg.problem.problem import of_parts
from hierreg.results.carried import draws_in
from hierreg.sampling.request import SampleRequest
from hierreg.warning import kept_warnings, warn

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.left_out.sets import RowSets
    from hierreg.problem.problem import Problem

_STREAM = 307
# Draws times rows of which all probabilities are worked out, for one of them.
_MOST_VALUES = 20_000_000


def exact_value(problem: Problem, tree: xr.DataTree, sets: RowSets, k: int) -> tuple[float, float]:
    """Return log p(y_J | y_-J) of a set of rows J, from a posterior of the other rows, and P(y_new <= y_r) of a row.

    Given a draw of its variance parameters both are exact: what is left is the mean over draws. The probability is NaN
    of sets of several rows, and of tables that are so large that it would take longer than the fit.

    Raises
    ------
    ModelError
        If the other rows cannot be fitted.
    """
    rest = problem_of_rows(problem, sets.others(k), sets.name(k))
    sizes = tree["posterior"].sizes
    seed = int(np.random.SeedSequence([int(tree.attrs.get("seed", 0)), _STREAM, k]).generate_state(1)[0])
    request = SampleRequest.plain(
        draws=sizes["draw"],
        chains=sizes["chain"],
        seed=seed,
        method=str(tree.attrs.get("method", "nuts")),
        group_effects="none",
    )
    with kept_warnings() as kept:
        try:
            found = sample(rest, request)
        except HierregError as error:
            raise ModelError(f"without {sets.name(k)} the other rows cannot be fitted: {error}") from error
    for category, message in kept:
        # What is said of boundaries and priors was said of the model with all rows.
        if issubclass(category, ConvergenceWarning):
            warn(f"without {sets.name(k)}: {message}", category)
    posterior = draws_in(found)
    density = by_products(problem, covariances_of(problem, posterior), sets, [k])[:, 0]
    value = float(np.logaddexp.reduce(density) - np.log(len(density)))
    return value, _probability(problem, posterior, sets, k)


def _probability(problem: Problem, posterior: xr.Dataset, sets: RowSets, k: int) -> float:
    if sets.index is not None or posterior.sizes["chain"] * posterior.sizes["draw"] * problem.n_rows > _MOST_VALUES:
        return float("nan")
    z = densities_of_sets(problem, posterior, sets).z
    return float("nan") if z is None else float(np.mean(ndtr(z.to_numpy()[:, :, k].astype(float))))


def problem_of_rows(problem: Problem, rows: NDArray[np.intp], left_out: str) -> Problem:
    """Return the problem of some rows under the priors of all: defaults are not made again.

    Raises
    ------
    DataError
        If the rows do not determine all coefficients.
    """
    gram = gram_of_rows(problem, rows, left_out)
    # What is known of priors in internal coordinates is of those of all rows.
    priors = replace(problem.priors, beta_inner=None)
    design, layout = rows_of_design(problem.design, rows), rows_of_layout(problem.layout, rows)
    made = of_parts(problem.formula, design, problem.state, layout, gram, priors)
    changed: dict[str, Any] = {"internal": None}
    if made.parameters.within_units.strata:
        own, lowest = made.parameters.within_units, problem.parameters.within_units.lowest
        rest = 1.0 + (own.component_size - 1.0) * lowest[own.component_stratum]
        rest = np.where(own.component_size == WITHIN, 0.0, np.maximum(rest, 0.0))
        # The prior of a correlation has the bound of the largest unit of all.
        changed["within_units"] = replace(own, lowest=lowest, rest=rest)
    labels = made.labels
    if any(f.dim == labels.error_dim and len(f.levels) < len(labels.error_labels) for f in labels.factors):
        # The errors of a group that is left out have their parameters still, which its coordinate has not.
        labels = replace(labels, error_dim=f"{labels.error_dim}_errors")
    return replace(made, parameters=replace(made.parameters, **changed), labels=labels)
