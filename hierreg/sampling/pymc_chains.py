"""The same posteriors through PyMC's models: for comparison, and to check one against the other.

PyMC and nutpie compile such a model before they sample it, for tens of seconds; `hierreg.sampling.nuts`
compiles nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.likelihood.drawn import Recovered
from hierreg.pymc_model import build_pymc_model
from hierreg.results import build
from hierreg.sampling.interrupted import Kept, finished_draws, kept
from hierreg.sampling.warnings_of_draws import stats_group, warn_about
from hierreg.variances.parameters import Covariances, covariances

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.labels import FactorLabels
    from hierreg.problem.problem import Problem
    from hierreg.sampling.request import SampleRequest
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]

_TUNE = 1000
# Stan's and PyMC's, for coordinates of which nothing is known.
_TARGET_ACCEPT = 0.8
# Names in `sample_stats`, and what PyMC and nutpie call them.
_STATS = {
    "lp": ("lp", "logp"),
    "diverging": ("diverging",),
    "step_size": ("step_size",),
    "n_steps": ("n_steps",),
    "tree_depth": ("tree_depth", "depth"),
    "energy": ("energy",),
    "acceptance_rate": ("acceptance_rate", "mean_tree_accept"),
    "reached_max_treedepth": ("reached_max_treedepth", "maxdepth_reached"),
}


def sample_marginal_model(
    problem: Problem, request: SampleRequest, seed: int, cores: int
) -> tuple[Covariances, xr.Dataset]:
    """Return draws of the variance parameters by PyMC's NUTS on the marginal model.

    Parameters
    ----------
    problem : Problem
    request : SampleRequest
        The arguments of `Model.sample`.
    seed : int
    cores : int
        See `sample_explicit_model`.

    Returns
    -------
    Covariances
        At the S draws, chains one after the other.
    Dataset
        The ``sample_stats`` group.
    """
    n = problem.parameters.n_free
    if n == 0:  # nothing to sample, which PyMC refuses to do
        shape = (request.chains, request.draws)
        nothing = {"lp": np.zeros(shape), "diverging": np.zeros(shape, dtype=bool)}
        return covariances(problem.parameters, np.empty((shape[0] * shape[1], 0))), stats_group(nothing, shape)
    trace, whole = _finished(_sample(problem, request, seed, cores), request)
    u = unconstrained(problem.parameters, trace["posterior"], whole.shape)
    stats = _stats(trace["sample_stats"], whole)
    warn_about(problem.parameters.free_names, u, stats)
    return covariances(problem.parameters, u.reshape(-1, n)), stats


def sample_explicit_model(
    problem: Problem, request: SampleRequest, seed: int, cores: int
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return draws of all parameters by NUTS over all parameters, coefficients of the groups included.

    Parameters
    ----------
    problem : Problem
    request : SampleRequest
        The arguments of `Model.sample`; the parametrization is "noncentered" or "centered".
    seed : int
    cores : int
        Chains at once with nutpie. PyMC runs chains in processes, and forking a process with threads, as this
        one has, can deadlock: there it counts only where `request.cores` is given, and is one otherwise.

    Returns
    -------
    Dataset
        The ``posterior`` group.
    Dataset
        The ``sample_stats`` group.
    """
    trace, whole = _finished(_sample(problem, request, seed, cores), request)
    shape = whole.shape
    S = shape[0] * shape[1]
    u = unconstrained(problem.parameters, trace["posterior"], shape)
    beta = _array(trace["posterior"]["beta"])
    b = [_array(trace["posterior"][f"b_{factor}"]) for factor in problem.labels.factor_names]
    stats = _stats(trace["sample_stats"], whole)
    free = np.flatnonzero(~problem.fixed.is_fixed)
    names = [*problem.parameters.free_names, *(f"beta[{problem.labels.coef[i]}]" for i in free)]
    values = [u, beta[:, :, free]]
    if whole.draws >= 4:
        for factor, own in zip(problem.labels.factors, b, strict=True):
            worst_names, worst = _slowest(factor, own)
            names, values = names + worst_names, [*values, worst]
    warn_about(tuple(names), np.concatenate(values, axis=2), stats)
    recovered = Recovered(
        beta=beta.reshape(S, -1),
        b=tuple(own.reshape(S, *own.shape[2:]) for own in b),
        b_summary=None,
        theta_summary=None,
    )
    cov = covariances(problem.parameters, u.reshape(S, u.shape[2]))
    return build.posterior(problem.labels, shape, cov, recovered), stats


def unconstrained(
    parameters: VarianceParameters, posterior: Mapping[Any, xr.DataArray], shape: tuple[int, int]
) -> Array:
    """Return the unconstrained variance parameters u (chains, draws, n_free) of a PyMC model's draws.

    Parameters
    ----------
    parameters : VarianceParameters
    posterior : mapping of DataArray
        ``sd_<factor>``, ``error_sd`` and the partial correlations on (0, 1), ``corr_<factor>_partial`` and
        ``error_corr_partial``, where the model has them.
    shape : (int, int)
        Chains and draws.
    """
    sds: list[xr.DataArray | None] = []
    partials: list[xr.DataArray | None] = []
    for factor in parameters.factors:
        # Of the coefficients that the priors are priors of, where those are others.
        sds += [posterior.get(f"sd_{factor}_at_means", posterior.get(f"sd_{factor}"))]
        partials += [posterior.get(f"corr_{factor}_at_means_partial", posterior.get(f"corr_{factor}_partial"))]
    columns = [_columns(sd) for sd in (*sds, posterior.get("error_sd")) if sd is not None]
    of_corr = [_columns(partial) for partial in (*partials, posterior.get("error_corr_partial")) if partial is not None]
    if not parameters.n_error_sd:  # the constant one that stands for known errors
        columns.append(np.ones((*shape, 1)))
    sd = np.concatenate(columns, axis=2)[:, :, parameters.sd_is_free]
    # (1 + tanh(u)) / 2 is the logistic function of 2 u
    v = [np.clip(partial, 1e-300, 1.0 - 2.0**-53) for partial in of_corr]
    return np.concatenate([np.log(sd), *(0.5 * (np.log(x) - np.log1p(-x)) for x in v)], axis=2)


def _finished(trace: Any, request: SampleRequest) -> tuple[dict[str, xr.Dataset], Kept]:
    """Return draws and their statistics, and which of those asked for they are.

    nutpie and PyMC return what there is when a user interrupts; nutpie fills short chains up.
    """
    first = _array(next(iter(trace["posterior"].data_vars.values())))
    whole = kept(finished_draws(first), chains=request.chains, draws=request.draws)
    here = {"chain": list(whole.chains), "draw": slice(whole.draws)}
    return {name: trace[name].to_dataset().isel(here) for name in ("posterior", "sample_stats")}, whole


def _sample(problem: Problem, request: SampleRequest, seed: int, cores: int) -> Any:
    model = build_pymc_model(
        problem.design,
        problem.layout,
        problem.priors,
        problem.likelihood("prior"),
        request.parametrization,  # type: ignore[arg-type]  # checked with the other arguments
    )
    tune = _TUNE if request.tune is None else request.tune
    factors = problem.labels.factor_names
    kinds = ("b_{}", "sd_{}", "sd_{}_at_means", "corr_{}_partial", "corr_{}_at_means_partial")
    of_groups = [kind.format(factor) for factor in factors for kind in kinds]
    wanted = ("beta", *of_groups, "error_sd", "error_corr_partial")
    names = [name for name in wanted if name in model.named_vars]
    target_accept = _TARGET_ACCEPT if request.target_accept is None else request.target_accept
    if request.sampler == "nutpie":
        import nutpie

        return nutpie.sample(
            nutpie.compile_pymc_model(model, var_names=names),
            draws=request.draws,
            tune=tune,
            chains=request.chains,
            cores=cores,
            seed=seed,
            save_warmup=False,
            progress_bar=request.progress,
            target_accept=target_accept,
        )
    import pymc as pm

    return pm.sample(
        model=model,
        draws=request.draws,
        tune=tune,
        chains=request.chains,
        cores=1 if request.cores is None else cores,
        random_seed=seed,
        target_accept=target_accept,
        nuts_sampler="pymc",  # its default is nutpie where that is installed
        var_names=names,
        progressbar=request.progress,
        quiet=not request.progress,
        compute_convergence_checks=False,
    )


def _slowest(factor: FactorLabels, b: Array) -> tuple[list[str], Array]:
    """Return, per group column, the group whose chains mix worst: names and draws (chains, draws, q)."""
    from arviz_stats.base.array import array_stats

    ess = array_stats.ess(b, chain_axis=0, draw_axis=1)  # (group, column)
    level = np.argmin(np.where(np.isfinite(ess), ess, np.inf), axis=0)
    names = [f"b_{factor.name}[{factor.levels[j]}, {coef}]" for j, coef in zip(level, factor.coef, strict=True)]
    return names, b[:, :, level, np.arange(b.shape[3])]


def _stats(stats: Any, whole: Kept) -> xr.Dataset:
    found = {
        name: _array(stats[theirs]) for name, candidates in _STATS.items() for theirs in candidates if theirs in stats
    }
    out = stats_group(found, whole.shape)
    if whole.message:
        out.attrs["interrupted"] = whole.message
    return out


def _array(values: xr.DataArray) -> NDArray[Any]:
    return values.transpose("chain", "draw", ...).to_numpy()


def _columns(values: xr.DataArray) -> Array:
    array = _array(values)
    return array.reshape((*array.shape[:2], -1))
