"""`Model.sample`: from a problem to the DataTree."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.estimate.starting_values import starting_point
from hierreg.exceptions import BoundaryWarning, HierregWarning, IdentificationWarning
from hierreg.likelihood.crossed.blas_threads import blas_threads_for
from hierreg.likelihood.drawn import Recovered
from hierreg.likelihood.engines import ENGINES, check_not_cut_off, on_threads, recover
from hierreg.likelihood.posterior import Target
from hierreg.model.estimation import limit
from hierreg.predictive.of_model import check_has_rows
from hierreg.problem.effects import name_of_prior
from hierreg.problem.few_units import TARGET_ACCEPT, check_density_is_bounded
from hierreg.results import build
from hierreg.results.at_estimate import statistics_of
from hierreg.results.carried import tree_of
from hierreg.results.prior_attributes import prior_attributes
from hierreg.sampling.interrupted import warn_interrupted
from hierreg.threads import available_cores
from hierreg.variances.parameters import Covariances, covariances
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.problem import Problem
    from hierreg.results.point import Estimate
    from hierreg.sampling.approximation import Mode
    from hierreg.sampling.density import Density, Values
    from hierreg.sampling.request import SampleRequest

    type Marginal = Callable[[Any, SampleRequest, int, Estimate], Drawn]
    Array = NDArray[np.float64]

_MAX_BYTES = 2**30


def sample(problem: Problem, request: SampleRequest, marginal: Marginal | None = None) -> xr.DataTree:
    """Return the posterior as a DataTree.

    Parameters
    ----------
    problem : Problem
    request : SampleRequest
    marginal : function, optional
        Problem, request, seed and REML estimate -> Drawn, for ``parametrization="marginal"``; by default that of normal
        group effects.
    """
    request.check()
    if request.parametrization != "marginal":
        check_has_rows(problem, f"parametrization={request.parametrization!r}")
    _check_extra_groups(problem, request)
    is_funnel = check_density_is_bounded(problem) is not None
    begin = time.perf_counter()
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if request.seed is None else int(request.seed)
    own = [problem.own_rows(f) for f in range(len(problem.labels.factors))]
    reml = limit(problem, own)
    if reml.estimate.singular:
        warn(
            f"the REML estimate is on the boundary: {'; '.join(reml.estimate.boundary)}. The posterior averages over "
            "what the data leave open; the plug-in limit beside it does not. If the boundary is not believable, "
            "simplify the group terms, or give the standard deviation a prior that says what you know.",
            BoundaryWarning,
        )
    if reml.estimate.unidentified:
        warn(
            f"{reml.estimate.message}. Their posterior is their prior's where the data do not join them: say with the "
            "priors what you know of them, and do not read their intervals as evidence.",
            IdentificationWarning,
        )
    small_steps = is_funnel and request.method == "nuts" and request.target_accept is None
    steps = replace(request, target_accept=TARGET_ACCEPT) if small_steps else request
    with blas_threads_for(problem.gram):
        draws = (
            (marginal or _marginal)(problem, steps, seed, reml.estimate)
            if request.parametrization == "marginal"
            else _explicit(problem, request, seed)
        )
    sizes = {factor.name: factor.term_sizes for factor in problem.design.factors}
    for name, attributes in prior_attributes(
        problem.labels, problem.priors, sizes, problem.parameters.within_units.lowest.tolist()
    ).items():
        draws.posterior[name_of_prior(problem, name)].attrs.update(attributes)
    groups: dict[str, Any] = {"posterior": draws.posterior, "sample_stats": draws.stats}
    if draws.effects is not None:
        groups["effects"] = draws.effects
    if len(problem.design.y):
        groups["observed_data"] = build.observed_group(problem.labels, problem.design.y)
    groups["statistics"] = statistics_of(problem, own)
    groups["mixed_model_limit"] = build.limit_group(problem.labels, reml)
    tree = tree_of(groups, problem)
    tree.attrs = _attributes(problem, request, seed) | draws.times
    tree.attrs["unidentified"] = ", ".join(reml.estimate.unidentified)
    tree.attrs["wall_time"] = time.perf_counter() - begin
    if "interrupted" in draws.stats.attrs:
        tree.attrs["interrupted"] = draws.stats.attrs["interrupted"]
        warn_interrupted(tree.attrs["interrupted"])
    return _with_extra_groups(tree, problem, request, seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What sampling gives: groups of the tree, and wall times."""

    posterior: xr.Dataset
    stats: xr.Dataset
    effects: xr.Dataset | None
    times: dict[str, float]


def _marginal(problem: Problem, request: SampleRequest, seed: int, reml: Estimate) -> Drawn:
    likelihood, recovered = problem.likelihood("prior"), None
    target = Target(parameters=problem.parameters, likelihood=likelihood)
    begin = time.perf_counter()
    if request.sampler == "pymc":
        from hierreg.sampling.pymc_chains import sample_marginal_model

        cov, stats = sample_marginal_model(problem, request, seed, cores_of(request))
    else:
        mode = _mode(target, request, reml)
        target = target.with_digits_at(mode.u)
        at_mode = covariances(problem.parameters, mode.u[None])
        check_not_cut_off(likelihood, at_mode.Lambda[0], at_mode.error_cov[0])
        if request.method == "psis":
            u, stats, recovered = _by_importance_with_draws(problem, target, mode, request, seed)
        else:
            u, stats = by_nuts(target, mode, request, seed)
        cov = covariances(problem.parameters, u.reshape(u.shape[0] * u.shape[1], u.shape[2]))
    # Fewer than requested where a user interrupted.
    shape = (stats.sizes["chain"], stats.sizes["draw"])
    sampled = time.perf_counter()
    if recovered is None:
        recovered = _recover(problem, request, likelihood, cov, seed)
    recovered = problem.draws_with_fixed(recovered)
    times = {"sampling_time": sampled - begin, "recovery_time": time.perf_counter() - sampled}
    return Drawn(
        posterior=build.posterior(problem.labels, shape, cov, recovered),
        stats=stats,
        effects=None if recovered.b_summary is None else build.effect_summaries(problem.labels, recovered, build.PROBS),
        times=times,
    )


def by_nuts(
    target: Density, mode: Mode, request: SampleRequest, seed: int, names: tuple[str, ...] = ()
) -> tuple[Array, xr.Dataset]:
    """Return u (chains, draws, n_free) and the ``sample_stats`` group; names are those of what is sampled."""
    from hierreg.sampling.nuts import Settings, sample_chains
    from hierreg.sampling.warnings_of_draws import stats_group, warn_about

    settings = Settings(
        draws=request.draws,
        tune=request.tune,
        chains=request.chains,
        seed=seed,
        cores=cores_of(request),
        progress=request.progress,
        target_accept=request.target_accept,
    )
    chains = sample_chains(target, mode, settings)
    stats = stats_group(chains.stats, chains.u.shape[:2])
    stats.attrs["warmup_steps"] = chains.n_warmup_steps
    if chains.interrupted:
        stats.attrs["interrupted"] = chains.interrupted
    if chains.u.shape[2]:
        warn_about(names or target.parameters.free_names, chains.u, stats)
    return chains.u, stats


def _by_importance_with_draws(
    problem: Problem, target: Target, mode: Mode, request: SampleRequest, seed: int
) -> tuple[Array, xr.Dataset, Recovered | None]:
    """Return what `by_importance` does, and draws of the coefficients that were made on the way; None if none were.

    With crossed factors they are half of the work where they are made afterwards.
    """
    likelihood, costly = target.likelihood, target.likelihood.is_costly
    engine = ENGINES[type(likelihood)]
    if mode.u.size and _interpolates(target, request):
        found = _by_interpolation(problem, target, mode, request, seed)
        if found is not None:
            return found
    if engine.drawing is None or engine.draw_kept is None or not mode.u.size or not _keeps_draws(problem, request):
        return *by_importance(target, mode, request, seed, costly=costly), None
    drawing = engine.drawing(target, likelihood, seed=seed, most_bytes=_MAX_BYTES)
    u, stats = by_importance(drawing, mode, request, seed, costly=costly)
    kept = drawing.draws_of(stats["proposal"].to_numpy().ravel())
    if kept is None:
        return u, stats, None
    drawn = covariances(problem.parameters, u.reshape(-1, u.shape[2]))
    return u, stats, engine.draw_kept(likelihood, drawn, kept, seed=seed, threads=cores_of(request))


def _interpolates(target: Target, request: SampleRequest) -> bool:
    """Return whether the density is interpolated, if its polynomial is good enough.

    That is where an evaluation has all threads to itself; and where a gradient takes long, evaluations for the
    polynomial are fewer than draws, and draws of the coefficients need no evaluation each.
    """
    from hierreg.sampling.interpolated import most_evaluations

    likelihood = target.likelihood
    if likelihood.has_all_threads:
        return True
    n_draws = request.chains * request.draws
    is_less = likelihood.is_costly and most_evaluations(target.parameters.n_free) < n_draws
    return is_less and likelihood.can_draw_near


def _by_interpolation(
    problem: Problem, target: Target, mode: Mode, request: SampleRequest, seed: int
) -> tuple[Array, xr.Dataset, Recovered | None] | None:
    """Return the same from an interpolated density; None if it is too bad.

    Draws of the coefficients are then made near the mode, of which the factor is known, where that is possible.
    """
    from hierreg.sampling.interpolated import LARGEST_ERROR, interpolate

    likelihood, draw_near = target.likelihood, ENGINES[type(target.likelihood)].draw_near
    surface = interpolate(target, mode, seed=seed, threads=cores_of(request))
    if not surface.error <= LARGEST_ERROR:
        if likelihood.has_all_threads:
            warn(
                f"the density is not interpolated: the polynomial is off by {surface.error:.2g} at {surface.n_checks} "
                f"points, and at most {LARGEST_ERROR} is allowed. It is evaluated at every proposal instead, which "
                "takes longer.",
                HierregWarning,
            )
        return None
    u, stats = by_importance(surface, mode, request, seed)
    stats.attrs |= surface.attributes
    if draw_near is None:
        return u, stats, None
    drawn = covariances(problem.parameters, u.reshape(-1, u.shape[2]))
    at = covariances(problem.parameters, mode.u[None])
    recovered = draw_near(
        likelihood,
        drawn,
        (at.Lambda[0], at.error_cov[0]),
        seed=seed,
        probs=_probs(problem, request),
        theta_columns=problem.free_theta_columns(),
    )
    return u, stats, recovered


def by_importance(
    target: Values, mode: Mode, request: SampleRequest, seed: int, *, costly: bool = False
) -> tuple[Array, xr.Dataset]:
    """Return u (chains, draws, n_free) and the ``sample_stats`` group."""
    from hierreg.sampling.importance import Settings, sample_by_importance
    from hierreg.sampling.warnings_of_draws import stats_group, warn_about_copies

    settings = Settings(draws=request.draws, chains=request.chains, seed=seed, cores=cores_of(request), costly=costly)
    draws = sample_by_importance(target, mode, settings)
    stats = stats_group(draws.stats, (request.chains, request.draws))
    stats.attrs |= draws.attributes
    warn_about_copies(stats)
    return draws.u, stats


def _mode(target: Target, request: SampleRequest, reml: Estimate) -> Mode:
    """Return the best mode, found on all cores: no chain runs yet."""
    from hierreg.sampling.nuts import find_mode

    target = replace(target, likelihood=on_threads(target.likelihood, cores_of(request)))
    return find_mode(target, [start_at_estimate(target, reml)])


def start_at_estimate(target: Target, reml: Estimate) -> Array:
    """Return u (n_free,) of a REML estimate, where a search for the mode begins."""
    from hierreg.estimate.mode import start_at

    parameters, q = target.parameters, target.parameters.n_factor
    cov = np.zeros((q, q))
    for factor, mine in zip(parameters.factors, parameters.factor_slices, strict=True):
        cov[mine, mine] = reml.cov[factor].to_numpy()
    error_corr = None if reml.error_corr is None else np.atleast_1d(reml.error_corr.to_numpy())
    errors = np.atleast_1d(reml.error_sd.to_numpy()), error_corr
    return start_at(parameters, starting_point(target.likelihood.gram, parameters), cov, errors)


def _recover(problem: Problem, request: SampleRequest, likelihood: Any, cov: Covariances, seed: int) -> Recovered:
    return recover(
        likelihood,
        cov,
        seed=seed,
        probs=_probs(problem, request),
        theta_columns=problem.free_theta_columns(),
        threads=cores_of(request),
    )


def _probs(problem: Problem, request: SampleRequest) -> tuple[float, ...] | None:
    """Return of which quantiles there are summaries of the group coefficients; None keeps draws, () nothing."""
    if request.group_effects == "none" and problem.labels.factors:
        return ()
    return build.PROBS if summaries_only(problem, request) else None


def summaries_only(problem: Problem, request: SampleRequest) -> bool:
    """Return whether only summaries of the group coefficients are kept, and say so where nobody asked."""
    if not problem.labels.factors or _keeps_draws(problem, request):
        return False
    if request.group_effects == "auto":
        gib = _effects_size(problem, request) / 2**30
        n_groups = sum(len(factor.levels) for factor in problem.labels.factors)
        warn(
            f"draws of the coefficients of {n_groups} groups would take {gib:.1f} GiB; only "
            "their means, standard deviations and quantiles are kept, in the group `effects`. Pass "
            "group_effects='draws' to keep all, or 'summary' to choose this, or 'none' for neither.",
            HierregWarning,
        )
    return True


def _keeps_draws(problem: Problem, request: SampleRequest) -> bool:
    """Return whether every draw of the group coefficients is kept: always, never, or where they are not too many."""
    if request.group_effects == "auto":
        return _effects_size(problem, request) <= _MAX_BYTES
    return request.group_effects == "draws"


def _effects_size(problem: Problem, request: SampleRequest) -> int:
    """Return the bytes that draws of the group coefficients take."""
    factors = problem.labels.factors
    per_draw = sum(len(f.levels) * len(f.coef) * (2 if f.has_theta else 1) for f in factors)
    return request.chains * request.draws * per_draw * 8


def _explicit(problem: Problem, request: SampleRequest, seed: int) -> Drawn:
    from hierreg.sampling.pymc_chains import sample_explicit_model

    begin = time.perf_counter()
    posterior, stats = sample_explicit_model(problem, request, seed, cores_of(request))
    return Drawn(posterior=posterior, stats=stats, effects=None, times={"sampling_time": time.perf_counter() - begin})


def cores_of(request: SampleRequest) -> int:
    """Return the cores to use: those asked for, or all."""
    if request.cores is not None:
        return int(request.cores)
    return available_cores()


def _attributes(problem: Problem, request: SampleRequest, seed: int) -> dict[str, Any]:
    from hierreg.predictive.of_model import attributes

    dropped = {"dropped_columns": json.dumps(problem.dropped_columns, ensure_ascii=False)}
    sampler = "psis" if request.method == "psis" else request.sampler
    return (
        build.versions(sampler)
        | attributes(problem)
        | (dropped if problem.dropped_columns else {})
        | {
            "seed": seed,
            "method": request.method,
            "sampler": sampler,
            "parametrization": request.parametrization,
        }
    )


def _check_extra_groups(problem: Problem, request: SampleRequest) -> None:
    """Raise where a group that is asked for cannot be made, before time is spent on sampling."""
    if request.include:
        from hierreg.predictive.groups import check_groups

        has_effects = _keeps_draws(problem, request) or request.parametrization != "marginal"
        check_groups(problem, request.include, request.chains * request.draws, has_effects=has_effects)


def _with_extra_groups(tree: xr.DataTree, problem: Problem, request: SampleRequest, seed: int) -> xr.DataTree:
    for name in request.include:
        from hierreg.predictive import groups

        tree = groups.add_group(tree, problem, name, seed=seed)
    return tree
