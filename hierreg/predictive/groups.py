"""Prior, predictive and density groups of the DataTree: how each is made, and when it cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice, check_whole
from hierreg.exceptions import ModelError
from hierreg.predictive.densities import log_densities, log_prior_variables
from hierreg.predictive.effects_prior import log_prior_with_effects
from hierreg.predictive.of_family import as_family_group
from hierreg.predictive.of_model import check_has_rows
from hierreg.predictive.prior_draws import check_priors, draw_prior
from hierreg.predictive.replicated import replicated, replication
from hierreg.predictive.rows import check_size, draws_of, replicate, row_means
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.family import FamilyProblem
from hierreg.problem.labels import response_variable
from hierreg.results.carried import draws_in, with_group, with_mu

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]

GROUPS = (
    "prior",
    "prior_predictive",
    "posterior_predictive",
    "log_likelihood",
    "log_likelihood_units",
    "log_prior",
    "mu",
)
PRIOR_DRAWS = 500
# Streams of random numbers, apart from those of the sampler: the same seed serves all.
PRIOR_STREAM, PRIOR_PREDICTIVE_STREAM, POSTERIOR_PREDICTIVE_STREAM = 101, 102, 103


def check_groups(problem: Problem, names: Sequence[str], n_draws: int, *, has_effects: bool) -> None:
    """Raise where a group that is asked for cannot be made, before anything is sampled.

    Parameters
    ----------
    problem : Problem
    names : sequence of str
        From `GROUPS`.
    n_draws : int
        Draws of the posterior, all chains.
    has_effects : bool
        Whether draws of the group coefficients will be kept.
    """
    for name in names:
        check_choice(name, GROUPS, argument="include", error=ModelError)
        if name in {"prior", "prior_predictive"}:
            check_priors(problem, PRIOR_DRAWS)
        if name == "prior_predictive":
            check_rows(problem, PRIOR_DRAWS, name, "Use hr.prior_predictive(model, draws=...).")
        if name == "log_likelihood_units":
            _check_units(problem, f"include={name!r}")
        if name in {"posterior_predictive", "log_likelihood", "log_likelihood_units", "mu"}:
            if problem.labels.factors and not has_effects:
                raise ModelError(
                    f"include={name!r} needs draws of the group coefficients, but only summaries would be "
                    "kept: pass group_effects='draws', with fewer draws where memory is short."
                )
            check_rows(problem, n_draws, name, "Use fewer draws.")


def add_group(tree: xr.DataTree, problem: Problem, name: str, *, seed: int) -> xr.DataTree:
    """Return the tree with one more group, or ``mu`` in its posterior; with ``prior_predictive`` comes ``prior``.

    Parameters
    ----------
    tree : DataTree
        With a posterior.
    problem : Problem
    name : str
        From `GROUPS`.
    seed : int
        That of the posterior: other random numbers follow from it.
    """
    check_choice(name, GROUPS, argument="include", error=ModelError)
    if name == "posterior_predictive":
        return with_group(tree, name, posterior_predictive_of(tree, problem, None, seed))
    if name.startswith("log_likelihood"):
        return with_group(tree, name, log_likelihood_of(tree, problem, "rows" if name == "log_likelihood" else "units"))
    if name == "log_prior":
        return with_group(tree, name, log_prior_of(tree, problem))
    if name == "mu":
        posterior = draws_in(tree)
        return with_mu(tree, row_means(problem.design, draws_of(posterior, problem)))
    prior = draw_prior(problem, PRIOR_DRAWS, [seed, PRIOR_STREAM])
    tree = with_group(tree, "prior", prior)
    if name == "prior":
        return tree
    return with_group(tree, name, replicates(problem, prior, [seed, PRIOR_PREDICTIVE_STREAM]))


def posterior_predictive_of(tree: xr.DataTree, problem: Problem, draws: int | None, seed: int) -> xr.Dataset:
    """Return the ``posterior_predictive`` group: one replicated response per draw.

    Parameters
    ----------
    tree : DataTree
        With draws of the group coefficients.
    problem : Problem
    draws : int or None
        Draws per chain, evenly spaced; None for all.
    seed : int
    """
    posterior = some_draws(draws_in(tree), draws)
    n = posterior.sizes["chain"] * posterior.sizes["draw"]
    check_rows(
        problem,
        n,
        "posterior_predictive",
        "Use fewer draws, hr.posterior_predictive(tree, model, draws=...).",
    )
    return replicates(problem, posterior, [seed, POSTERIOR_PREDICTIVE_STREAM])


def replicated_group(
    tree: xr.DataTree, problem: Problem | FamilyProblem, draws: int | None, seed: int, of: tuple[Any, Any]
) -> xr.Dataset:
    """Return the ``posterior_predictive`` group of new groups, or given data sets: `of` is level and given.

    Rows of data sets that are given stay as observed.
    """
    what = replication(problem, *of)
    posterior = some_draws(draws_in(tree), draws)
    n = posterior.sizes["chain"] * posterior.sizes["draw"]
    check_size(n, problem.n_rows, "posterior_predictive", "Use fewer draws, hr.posterior_predictive(draws=...).")
    y = np.empty((n, problem.n_rows))
    if what.given is not None:
        y[:] = problem.design.y
    for part, made in replicated(what, posterior, seed):
        y[part, what.rows] = made
    if isinstance(problem, FamilyProblem):
        return as_family_group(problem, posterior, y).assign_attrs(seed=seed)
    return _response_group(problem, posterior, y, "obs", np.arange(problem.n_rows)).assign_attrs(seed=seed)


def some_draws(posterior: xr.Dataset, draws: int | None) -> xr.Dataset:
    """Return so many draws of each chain, evenly spaced; all for None.

    Raises
    ------
    ModelError
        If there are not so many.
    """
    if draws is None:
        return posterior
    check_whole("draws", draws, least=1)
    available = posterior.sizes["draw"]
    if draws > available:
        raise ModelError(f"draws={draws} per chain were asked for, but the tree has {available}.")
    return posterior.isel(draw=np.arange(draws) * available // draws)


def replicates(problem: Problem, draws: xr.Dataset, seed: list[int]) -> xr.Dataset:
    """Return replicated responses (chain, draw, obs), one per draw of a ``posterior`` or ``prior`` group."""
    y = replicate(problem, draws_of(draws, problem), seed)
    return _response_group(problem, draws, y, "obs", np.arange(y.shape[1])).assign_attrs(seed=seed[0])


def log_likelihood_of(tree: xr.DataTree, problem: Problem, of: Literal["rows", "units", "all"]) -> xr.Dataset:
    """Return the ``log_likelihood`` or ``log_likelihood_units`` group.

    See `hierreg.predictive.public.log_likelihood`, and `log_densities` for `of`.
    """
    check_has_rows(problem, "log_likelihood")
    posterior, layout = draws_in(tree), problem.layout
    if of == "units":
        _check_units(problem, "by='unit'")
    labels: Any = {"rows": range(len(problem.design.y)), "units": layout.unit_labels, "all": ()}[of]
    advice = "Thin the tree, tree.isel(draw=slice(None, None, 10)), or use joint=True."
    check_size(posterior.sizes["chain"] * posterior.sizes["draw"], max(1, len(labels)), "log_likelihood", advice)
    values = log_densities(problem, draws_of(posterior, problem), of)
    dim = {"rows": "obs", "units": "unit", "all": None}[of]
    given = "all other rows" if layout.V is not None else "the other rows of its unit"
    element = {"rows": "row", "units": "all rows of a unit", "all": "all rows"}[of]
    if of == "rows" and (layout.V is not None or layout.unit is not None):
        element = f"row given {given}"
    return _response_group(problem, posterior, values, dim, list(labels)).assign_attrs(element=element)


def _check_units(problem: Problem, what: str) -> None:
    if problem.layout.unit is None:
        raise ModelError(
            f"{what} asks for the densities of units, but errors={problem.layout.spec} have none: use "
            "hr.correlated(dataset, unit=...), hr.exchangeable(unit) or hr.ar1(time, unit=...), or the densities of "
            "rows, 'log_likelihood'."
        )


def _response_group(problem: Problem, draws: xr.Dataset, values: Array, dim: str | None, labels: Any) -> xr.Dataset:
    import xarray as xr

    shape = (draws.sizes["chain"], draws.sizes["draw"])
    name = response_variable(problem.labels.response)
    dims = ("chain", "draw") if dim is None else ("chain", "draw", dim)
    coords = {d: draws.coords[d].to_numpy() for d in ("chain", "draw")} | ({} if dim is None else {dim: labels})
    return xr.Dataset({name: (dims, values.reshape(shape + values.shape[1:]))}, coords=coords)


def log_prior_of(tree: xr.DataTree, problem: Problem) -> xr.Dataset:
    """Return the ``log_prior`` group; see `hierreg.predictive.public.log_prior`."""
    import xarray as xr

    posterior = draws_in(tree)
    if isinstance(problem, EffectsProblem):
        return xr.Dataset(log_prior_with_effects(problem, posterior))
    return xr.Dataset(log_prior_variables(problem, posterior))


def check_rows(problem: Problem, n_draws: int, name: str, advice: str) -> None:
    """Raise where the rows are not there, or draws of all of them would take more than 4 GiB."""
    check_has_rows(problem, name)
    check_size(n_draws, len(problem.design.y), name, advice)
