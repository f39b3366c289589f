"""Functions for users that add groups to a result, or make them of a model alone.

Every function returns a new tree and leaves the one it was given as it was; the data are shared, not copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice, check_whole
from hierreg.exceptions import ModelError
from hierreg.hints import SEED, understands
from hierreg.predictive import of_family
from hierreg.predictive.groups import (
    PRIOR_DRAWS,
    PRIOR_PREDICTIVE_STREAM,
    PRIOR_STREAM,
    check_rows,
    log_likelihood_of,
    log_prior_of,
    posterior_predictive_of,
    replicated_group,
    replicates,
)
from hierreg.predictive.of_model import any_problem_of, attributes, gaussian, problem_of
from hierreg.predictive.prior_draws import draw_prior
from hierreg.problem.family import FamilyProblem
from hierreg.results import build
from hierreg.results.carried import tree_of, with_group

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from hierreg.predictive.of_model import ModelLike


@understands("hr.prior_predictive", same=SEED)
def prior_predictive(model: ModelLike, draws: int = PRIOR_DRAWS, seed: int | None = None) -> xr.DataTree:
    """Return draws of the parameters from their priors, and of the response from them.

    Parameters
    ----------
    model : Model
    draws : int
        One chain of this length.
    seed : int, optional
        Determines every draw; a random one is chosen and recorded where none is given.

    Returns
    -------
    DataTree
        Groups ``prior`` (variables and dimensions of the posterior), ``prior_predictive`` (the response;
        chain, draw, obs) and ``observed_data``.

    Raises
    ------
    PriorError
        If a prior is flat.
    ModelError
        If an argument is impossible, or the result would take more than 4 GiB.

    See Also
    --------
    posterior_predictive : Given the response.
    Model.priors : The priors.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = hr.prior_predictive(model, draws=50, seed=1)
    >>> tree["prior_predictive"]["Reaction"].sizes
    Frozen({'chain': 1, 'draw': 50, 'obs': 180})
    """
    found = any_problem_of(model)
    check_whole("draws", draws, least=1)
    seed = _chosen_seed(seed)
    if isinstance(found, FamilyProblem):
        return of_family.prior_predictive(found, draws, seed)
    problem = gaussian(found, "hr.prior_predictive")
    check_rows(problem, draws, "prior_predictive", "Use fewer draws, draws=...")
    prior = draw_prior(problem, draws, [seed, PRIOR_STREAM])
    tree = tree_of(
        {
            "prior": prior,
            "prior_predictive": replicates(problem, prior, [seed, PRIOR_PREDICTIVE_STREAM]),
            "observed_data": build.observed_group(problem.labels, problem.design.y),
        },
        problem,
    )
    tree.attrs = build.versions() | attributes(problem) | {"seed": seed}
    return tree


@understands("hr.posterior_predictive", same=SEED)
def posterior_predictive(  # every argument after the first has a default
    tree: xr.DataTree,
    model: ModelLike | None = None,
    draws: int | None = None,
    seed: int | None = None,
    *,
    level: str | Mapping[str, str] = "group",
    given: Any = None,
) -> xr.DataTree:
    """Return the tree with replicated responses of the same rows, one per draw of the posterior.

    Errors are drawn anew, correlated within units where they are. Groups keep their coefficients, or get those of new
    groups, ``level="new group"``: what the model says of groups is checked by these, while coefficients that have seen
    the data make replicates that are like them.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries (`Model.from_tree`).
    draws : int, optional
        Draws per chain, evenly spaced; all by default.
    seed : int, optional
        Determines every draw; a random one is chosen and recorded where none is given.
    level : str or dict factor -> str
        "group" or "new group", of all grouping factors or of those named.
    given : label or sequence of labels, optional
        Data sets of correlated errors that stay as observed; rows of the others are replicated given what was observed
        of their units.

    Returns
    -------
    DataTree
        With the group ``posterior_predictive`` (the response, chain, draw, obs).

    Raises
    ------
    ModelError
        If tree and model do not match, the tree has summaries of the group coefficients only, or the result
        would take more than 4 GiB.

    See Also
    --------
    prior_predictive : Before any response is seen.
    predictive_check : Test statistics of replicates, without keeping them.
    predict : Of other rows, with intervals.
    log_likelihood : Densities of the response that was seen.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> hr.posterior_predictive(tree, seed=2)["posterior_predictive"]["Yield"].dims
    ('chain', 'draw', 'obs')
    """
    found = problem_of(tree, model)
    seed = _chosen_seed(seed)
    if level != "group" or given is not None:
        return with_group(tree, "posterior_predictive", replicated_group(tree, found, draws, seed, (level, given)))
    if isinstance(found, FamilyProblem):
        return with_group(tree, "posterior_predictive", of_family.posterior_predictive(found, tree, draws, seed))
    problem = gaussian(found, "hr.posterior_predictive")
    return with_group(tree, "posterior_predictive", posterior_predictive_of(tree, problem, draws, seed))


def log_likelihood(
    tree: xr.DataTree, model: ModelLike | None = None, *, by: Literal["row", "unit"] = "row", joint: bool = False
) -> xr.DataTree:
    """Return the tree with the log likelihood of its draws, given all coefficients.

    The elements are rows, as in ``observed_data`` and ``posterior_predictive``, so that ArviZ can put them side by
    side. They are what `arviz_stats.loo` leaves out, one at a time, for a prediction in known groups:

    - independent errors, strata, known standard errors: ``log p(y_r | beta, b)``;
    - errors correlated, exchangeable or AR(1) within units: given the other rows of the unit,
      ``log p(y_r | y_-r, beta, b)``;
    - known covariance: given all other rows, ``log p(y_r | y_-r, beta, b)``.

    Where ArviZ sets them beside ``posterior_predictive`` (`loo_metrics`, `loo_pit`), what it predicts without row r is
    x_r beta + z_r b: replicates have errors of their own, not those given the other rows.

    With ``by="unit"`` the elements are units, each with the joint density of all its rows, in a group of its own,
    ``log_likelihood_units``: to leave out whole units with ArviZ, give it a tree in which they stand alone, ::

        units = xr.DataTree.from_dict({"posterior": tree["posterior"], "log_likelihood": tree["log_likelihood_units"]})
        arviz_stats.loo(units)

    Power scaling (`arviz_stats.psense`) asks for elements that add up to the log density of all rows. Rows do where
    errors are independent; where they are not, use ``joint=True`` for it.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries (`Model.from_tree`).
    by : str
        "row" or "unit".
    joint : bool
        One value per draw, the log density of all rows, instead of elements.

    Returns
    -------
    DataTree
        With the group ``log_likelihood`` (the response, chain, draw[, obs]), or ``log_likelihood_units`` (the
        response, chain, draw, unit).

    Raises
    ------
    ModelError
        If tree and model do not match, the tree has summaries of the group coefficients only, there are no units, or
        the result would take more than 4 GiB.

    See Also
    --------
    log_prior : Of the priors.
    posterior_predictive : Responses instead of their densities.
    table : Shows what ArviZ's leave-one-out makes of it.

    References
    ----------
    Buerkner, P.-C., Gabry, J. and Vehtari, A. (2021). Efficient leave-one-out cross-validation for Bayesian
    non-factorized normal and Student-t models. Computational Statistics 36, 1243-1261.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> hr.log_likelihood(tree)["log_likelihood"]["Yield"].dims
    ('chain', 'draw', 'obs')
    """
    found = problem_of(tree, model)
    check_choice(by, ("row", "unit"), argument="by", error=ModelError)
    if isinstance(found, FamilyProblem):
        return with_group(tree, "log_likelihood", of_family.log_likelihood(found, tree, by=by, joint=joint))
    problem = gaussian(found, "hr.log_likelihood")
    if by == "unit":
        if joint:
            raise ModelError("by='unit' and joint=True: the elements are units, or all rows together; ask for one.")
        return with_group(tree, "log_likelihood_units", log_likelihood_of(tree, problem, "units"))
    return with_group(tree, "log_likelihood", log_likelihood_of(tree, problem, "all" if joint else "rows"))


def log_prior(tree: xr.DataTree, model: ModelLike | None = None) -> xr.DataTree:
    """Return the tree with the log prior densities of its draws.

    Normalised densities of beta, of standard deviations and of correlation matrices, each on its own scale;
    zero where a value is fixed, and for flat priors. The distribution N(0, Sigma) of the group coefficients
    is part of the model, not of this group: power scaling of the prior leaves it as it is. So the group is
    the same whether the coefficients were sampled or integrated out.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries (`Model.from_tree`).

    Returns
    -------
    DataTree
        With the group ``log_prior``: variables named as in the posterior, one value per draw for a
        correlation matrix and for the thresholds of ordered categories, and one per element for the others.

    Raises
    ------
    ModelError
        If tree and model do not match.

    See Also
    --------
    log_likelihood : Of the response.
    Model.priors : The priors.

    References
    ----------
    Kallioinen, N., Paananen, T., Buerkner, P.-C. and Vehtari, A. (2024). Detecting and diagnosing prior and
    likelihood sensitivity with power-scaling. Statistics and Computing 34, 57.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> sorted(map(str, hr.log_prior(tree)["log_prior"].data_vars))
    ['beta', 'error_sd', 'sd_Batch']
    """
    found = problem_of(tree, model, also=("priors",))
    if isinstance(found, FamilyProblem):
        return with_group(tree, "log_prior", of_family.log_prior(found, tree))
    problem = gaussian(found, "hr.log_prior")
    return with_group(tree, "log_prior", log_prior_of(tree, problem))


def _chosen_seed(seed: int | None) -> int:
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    check_whole("seed", seed, least=0)
    return int(seed)
