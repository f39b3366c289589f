"""`loo`: leave-one-out of rows, units and whole groups, the coefficients integrated out of what is left."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed
from hierreg.exceptions import ConvergenceWarning, ModelError
from hierreg.predictive.groups import some_draws
from hierreg.predictive.leave_out import densities_of_sets, integrable
from hierreg.predictive.left_out.equations import border_for
from hierreg.predictive.left_out.sets import problem_and_data, sets_of
from hierreg.predictive.public import log_likelihood
from hierreg.predictive.rows import chunks
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.problem import Problem
from hierreg.results.carried import draws_in
from hierreg.warning import warn

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.leave_out import LeftOutDensities
    from hierreg.predictive.of_model import ModelLike
    from hierreg.problem.family import FamilyProblem
    from hierreg.studies.left_out_result import LeaveOneOut

# Draws of which ArviZ's smoothing of a tail, a fifth of them, has five.
_FEWEST = 25


def loo(
    tree: xr.DataTree,
    by: str | None = None,
    model: ModelLike | None = None,
    *,
    draws: int | None = None,
    refit: bool = False,
) -> LeaveOneOut:
    """Return the expected log predictive density of what was left out: a row, a unit, or all rows of a group.

    Given a draw of the variance parameters u all coefficients are integrated out of what is left, in closed form:
    ``log p(y_J | y_-J, u)`` for the rows J that are left out. Only u is left to importance sampling, so that a row is
    left out whose group has few others, and a group as a new one to the others. Where the weights of a set cannot be
    trusted (Pareto k), ``refit=True`` samples u again without it, with the priors of all rows.

    - ``by=None``: rows, each given all other rows, those of its group and its unit included.
    - ``by="School"``, a grouping factor: all rows of a group. With several factors, of a level of one of them, the
      others known as far as the other rows know them.
    - ``by`` the unit of errors, or any other column: its groups. What errors connect across them is integrated out.

    With a family, or group effects that are not normal, rows are left out by ArviZ's importance sampling over all
    parameters; so are those of several factors that have more than 400 coefficients beside the largest.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`, or one from `load`.
    by : str, optional
        Grouping factor, or another column of the table, whose groups are left out one at a time; by default rows.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries.
    draws : int, optional
        Draws per chain, evenly spaced; all by default. Where sets are not within groups of a factor, or other factors
        have more than 400 coefficients, time grows with draws x sets x groups, and long ones are announced.
    refit : bool
        Fit again without each row or group whose Pareto k is too large. The result says how many those were.

    Returns
    -------
    LeaveOneOut
        `arviz_stats.utils.ELPDDataLOO`, for `arviz_stats.compare` and its plots; with values by row or group,
        ``.elpd_i``, and the Pareto k of each; ``.refitted`` names what was left out by a refit, and ``.pit`` has of
        rows the probability of a smaller response given all others. ``p`` counts parameters as ArviZ does; of groups
        those of variances alone, since a group that is left out is a new one.

    Raises
    ------
    ModelError
        If there is no such column; the response or the effects are not normal and groups or refits are asked for; the
        rows are not known; or there are not so many draws, or fewer than 25.
    DataError
        If the rows that are left do not determine all coefficients, or rows belong to no group.

    Warns
    -----
    HierregWarning
        If it will take more than two minutes.
    ConvergenceWarning
        If a posterior without a row or group is too far from the one with it; names them.

    See Also
    --------
    log_likelihood : Densities given all coefficients, of rows and of units.
    table : Several fits side by side, with what ArviZ's leave-one-out makes of rows.

    References
    ----------
    Vehtari, A., Gelman, A. and Gabry, J. (2017). Practical Bayesian model evaluation using leave-one-out
    cross-validation and WAIC. Statistics and Computing 27, 1413-1432.
    Merkle, E. C., Furr, D. and Rabe-Hesketh, S. (2019). Bayesian comparison of latent variable models: conditional
    versus marginal likelihoods. Psychometrika 84, 802-829.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(draws=500, seed=1, method="psis")
    >>> hr.loo(tree, by="Batch").elpd_i.sizes
    Frozen({'Batch': 6})
    >>> rows = hr.loo(tree)
    >>> rows.elpd_i.sizes, bool(rows.pareto_k.max() < 0.7)
    (Frozen({'obs': 30}), True)
    """
    found, table = problem_and_data(tree, model)
    if by is None and _needs_all_parameters(found):
        _check_no_refit(found, refit=refit)
        return _of_all_parameters(tree, model, draws)
    problem = integrable(found, by)
    sets = sets_of(problem, table, by)
    posterior = some_draws(draws_in(tree), draws)
    densities = densities_of_sets(problem, posterior, sets)
    out = _weighed(posterior, densities)
    bad = np.flatnonzero(out.pareto_k.to_numpy() > out.good_k)
    if refit and len(bad):
        from hierreg.studies.left_out_result import with_values
        from hierreg.studies.refits import exact_value

        values = {int(k): exact_value(problem, tree, sets, int(k)) for k in bad}
        return with_values(out, values, sets.labels)
    _warn_of(out, f"{sets.what} ", "Fit again without each, hr.loo(..., refit=True).")
    return out


def _needs_all_parameters(problem: Problem | FamilyProblem) -> bool:
    """Return whether rows are left out of the density given all coefficients."""
    if not isinstance(problem, Problem) or isinstance(problem, EffectsProblem):
        return True
    return len(problem.design.y) > 0 and border_for(problem, None) is None


def _check_no_refit(problem: Problem | FamilyProblem, *, refit: bool) -> None:
    if refit:
        why = (
            "several factors of so many coefficients"
            if isinstance(problem, Problem) and not isinstance(problem, EffectsProblem)
            else "a response or group effects that are not normal"
        )
        raise ModelError(
            f"refit=True is for models whose coefficients are integrated out in closed form, and this one has {why}. "
            "Leave it out, or sample models of a part of the table."
        )


def _of_all_parameters(tree: xr.DataTree, model: ModelLike | None, draws: int | None) -> LeaveOneOut:
    """Return ArviZ's leave-one-out of rows, by weights of all parameters."""
    some = tree.copy()
    if draws is not None:
        import xarray as xr

        some["posterior"] = xr.DataTree(some_draws(tree["posterior"].to_dataset(), draws))
    out = _by_arviz(log_likelihood(some, model), "row")
    _warn_of(out, "row ", "Sample again without each.")
    return out


def _weighed(posterior: xr.Dataset, densities: LeftOutDensities) -> LeaveOneOut:
    """Return ArviZ's leave-one-out of densities given the variance parameters alone."""
    import xarray as xr

    name = str(densities.density.name)
    groups = {"posterior": _varying(posterior), "log_likelihood": densities.density.to_dataset(name=name)}
    out = _by_arviz(xr.DataTree.from_dict(groups), densities.sets.what, **_equal_weights(densities.density))
    if densities.z is not None:
        out.pit = _probabilities(densities.z, out.log_weights)
        assert densities.within is not None
        out.p = float(densities.within.sum() - out.elpd)
    return out


def _varying(posterior: xr.Dataset) -> xr.Dataset:
    """Return the variance parameters that vary: how well they mix decides what weights of them are worth."""
    import xarray as xr

    names = [name for name in map(str, posterior.data_vars) if name.startswith(("sd_", "corr_", "error_"))]
    shape = posterior.sizes["chain"], posterior.sizes["draw"], -1
    each = [posterior[name].transpose("chain", "draw", ...).to_numpy().reshape(shape) for name in names]
    u = np.concatenate([np.empty((*shape[:2], 0)), *each], axis=2)
    u = u[:, :, np.ptp(u, axis=(0, 1)) > 0] if u.shape[2] else u
    # Where all are known, any draws that are independent.
    u = u if u.shape[2] else np.random.default_rng(0).standard_normal((*shape[:2], 1))
    return xr.Dataset({"u": (("chain", "draw", "parameter"), u)}, coords={d: posterior[d] for d in ("chain", "draw")})


def _probabilities(z: xr.DataArray, log_weights: Any) -> xr.DataArray:
    """Return P(y_new <= y_r | all other rows) of each row, a weighted mean over draws (chain, draw, rows)."""
    from scipy.special import ndtr

    K, log_weights = z.shape[2], log_weights.transpose(*z.dims)
    out = z.isel(chain=0, draw=0, drop=True).astype(float)
    for part in chunks(K, z.shape[0] * z.shape[1]):
        weights = np.exp(log_weights.to_numpy()[..., part])
        below = ndtr(z.to_numpy()[..., part].astype(float))
        out[part] = np.sum(weights * below, axis=(0, 1)) / np.sum(weights, axis=(0, 1))
    return out


def _equal_weights(density: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return equal weights where all variances are known: there is no tail to smooth."""
    import xarray as xr

    if np.any(np.ptp(density.to_numpy(), axis=(0, 1)) > 0):
        return {}
    weights = xr.full_like(density, -np.log(density.sizes["chain"] * density.sizes["draw"]))
    return {"log_weights": weights, "pareto_k": xr.zeros_like(density.isel(chain=0, draw=0, drop=True))}


def _by_arviz(tree: xr.DataTree, what: str, **weights: xr.DataArray) -> LeaveOneOut:
    """Return ArviZ's leave-one-out of a tree's log likelihood."""
    from arviz_stats.loo import loo as by_arviz

    n = tree["posterior"].sizes["chain"] * tree["posterior"].sizes["draw"]
    if n < _FEWEST:
        raise ModelError(f"hr.loo: {n} draws have no tail to smooth; at least {_FEWEST} in all chains are needed.")
    from hierreg.studies.left_out_result import result_of

    with warnings.catch_warnings():
        # Said by hierreg, with names.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
        return result_of(by_arviz(tree, pointwise=True, **weights), what)


def _warn_of(found: LeaveOneOut, what: str, advice: str) -> None:
    """Warn of what importance sampling cannot leave out, by name."""
    k: Any = found.pareto_k
    bad: NDArray[np.intp] = np.flatnonzero(k.to_numpy() > found.good_k)
    if len(bad):
        names = [str(name) for name in k[k.dims[0]].to_numpy()[bad]]
        warn(
            f"leaving out {what}{listed(names)} changes the posterior more than importance sampling can follow "
            f"(Pareto k up to {float(k.max()):.2f}; at most {found.good_k:.2f} will do), so that "
            f"{'its value is' if len(bad) == 1 else 'their values are'} not reliable. {advice}",
            ConvergenceWarning,
        )
