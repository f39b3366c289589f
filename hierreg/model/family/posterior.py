"""`Model.sample` where the response is not normal: from a problem to the DataTree."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import BoundaryWarning, ModelError, SamplingError
from hierreg.gram.column_means import means_of_rows
from hierreg.likelihood.alone import group_statistics
from hierreg.likelihood.drawn import Recovered
from hierreg.likelihood.groups.threads import available_cores
from hierreg.likelihood.node_tables.draws import draw_effects as draw_by_table
from hierreg.likelihood.quadrature.draws import draw_effects
from hierreg.likelihood.quadrature.engine import QuadratureLikelihood
from hierreg.model.family.estimation import limit, starts_of_chains
from hierreg.model.family.joint import effects_of, joint_mode, joint_target
from hierreg.model.family.modes import ChainStart, highest
from hierreg.model.family.tables import error_at_draws, tables_of
from hierreg.model.family.two_modes import check_one_mode, modes_at, warn_of_effects_that_stay
from hierreg.predictive.of_family import attributes, observed_values, with_auxiliary
from hierreg.problem.family import with_quadrature
from hierreg.problem.reference import references
from hierreg.problem.row_moments import moments_of
from hierreg.results import build
from hierreg.results.carried import tree_of
from hierreg.results.prior_attributes import prior_attributes
from hierreg.sampling.nuts import TARGET_ACCEPT, TARGET_ACCEPT_SIGNED
from hierreg.variances.parameters import covariances
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.joint.density import JointTarget
    from hierreg.likelihood.node_tables.density import NodeTableTarget
    from hierreg.likelihood.node_tables.error import TableError
    from hierreg.likelihood.node_tables.table import NodeTable
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.model.family.tables import Tables
    from hierreg.problem.family import FamilyProblem
    from hierreg.sampling.nuts import Mode
    from hierreg.sampling.request import SampleRequest

    Array = NDArray[np.float64]

# Nodes on each axis that are tried, one after the other, and how many more say how wrong they are.
_NODES, _MORE = (3, 5, 7, 9, 11, 15), 4
# Sd over the posterior of the error of the log density: what is visible in no quantile, and what weights take off.
_ALLOWED, _UNWEIGHTED = 0.1, 0.01
_POINTS = 24
_STREAM_POINTS, _STREAM_WEIGHTS = 301, 303
_MAX_BYTES = 2**30
# Draws of warm-up, and acceptance probabilities as in `sampling.nuts.Settings`, by engine. In coordinates that are
# nearly normal, however many, longer steps pay: by trial. Where a factor has few levels, the tails of its effects are
# long, and steps that fit the middle diverge there: 9 of 72,000 draws of two levels crossed with three, none of 3 x 4.
_TUNE = {"quadrature": 300, "joint": 200}
_ACCEPT = {"quadrature": (TARGET_ACCEPT, TARGET_ACCEPT_SIGNED), "joint": (0.6, 0.8)}
_FEW_LEVELS, _ACCEPT_FEW = 4, TARGET_ACCEPT_SIGNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The quadrature that a posterior is sampled with.

    Attributes
    ----------
    n_nodes : int
        On each axis.
    n_check : int
        Of the finer rule that says how wrong it is.
    error : float
        Sd, over the posterior, of the difference of the two log densities.
    among : arrays (S, n), (S,)
        Draws of its normal approximation, and their log densities by the finer rule.
    """

    n_nodes: int
    n_check: int
    error: float
    among: tuple[Array, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """S draws of the parameters, and how to get the effects of groups at them.

    Attributes
    ----------
    shape : (int, int)
        Chains, and draws of each.
    u, phi, w : arrays (S, n_free), (S, p), (S, n)
    effects : function
        Returns v (S, J, q) of each grouping factor, b = Lambda v.
    stats : Dataset
        The ``sample_stats`` group.
    engine : {"quadrature", "node tables", "joint"}
    """

    engine: str
    shape: tuple[int, int]
    u: Array
    phi: Array
    w: Array
    effects: Callable[[], tuple[Array, ...]]
    stats: xr.Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sampled:
    """What a sampler returns: draws (chains, draws, n), their statistics, and signs as in `sampling.nuts.Chains`."""

    u: Array
    stats: xr.Dataset
    sign: Array | None = None


def sample(problem: FamilyProblem, request: SampleRequest) -> xr.DataTree:
    """Return the posterior as a DataTree."""
    request.check()
    problem = with_quadrature(problem) if request.method == "psis" else problem
    _check_request(problem, request)
    begin = time.perf_counter()
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if request.seed is None else int(request.seed)
    cores = available_cores() if request.cores is None else int(request.cores)
    plug_in, found = limit(problem)
    if plug_in.estimate.singular:
        warn(
            f"the Laplace estimate is on the boundary: {'; '.join(plug_in.estimate.boundary)}. The posterior averages "
            "over what the data leave open; the plug-in limit beside it does not.",
            BoundaryWarning,
        )
    drawn = _DRAWN[problem.engine](problem, starts_of_chains(problem, found), request, seed, cores)
    stats, sampled = drawn.stats, time.perf_counter()
    posterior = _posterior(problem, drawn)
    sizes = {factor.name: factor.term_sizes for factor in problem.design.factors}
    for name, attrs in prior_attributes(problem.labels, problem.priors, sizes).items():
        posterior[name].attrs.update(attrs)
    own = found.working.gram
    constant = build.statistics_group(
        problem.labels,
        own.terms,
        own.terms,
        [group_statistics(own, f) for f in range(len(problem.labels.factors))],
        means_of_rows(problem.design, replace(found.working.layout, se=problem.weights**-0.5)),
        references(problem.labels, problem.state),
        moments_of(problem),
    )
    groups = {
        "posterior": posterior,
        "sample_stats": stats,
        "observed_data": build.observed_group(problem.labels, observed_values(problem)),
        "statistics": _with_population_means(problem, constant),
        "mixed_model_limit": build.limit_group(problem.labels, plug_in),
    }
    tree = tree_of(groups, problem)
    dropped = {"dropped_columns": json.dumps(problem.dropped_columns, ensure_ascii=False)}
    sampler = "psis" if request.method == "psis" else "nutpie"
    tree.attrs = build.versions(sampler) | attributes(problem) | (dropped if problem.dropped_columns else {})
    tree.attrs |= {
        "seed": seed,
        "method": request.method,
        "sampler": sampler,
        "parametrization": request.parametrization,
        "engine": drawn.engine,
        "unidentified": "",
        "sampling_time": sampled - begin,
        "recovery_time": time.perf_counter() - sampled,
        "wall_time": time.perf_counter() - begin,
    }
    if "interrupted" in stats.attrs:
        from hierreg.sampling.interrupted import warn_interrupted

        tree.attrs["interrupted"] = stats.attrs["interrupted"]
        warn_interrupted(tree.attrs["interrupted"])
    for name in request.include:
        from hierreg.predictive.of_family import with_family_group

        tree = with_family_group(tree, problem, name, seed=seed)
    return tree


def _with_population_means(problem: FamilyProblem, constant: xr.Dataset) -> xr.Dataset:
    """Return the group with the means of the population columns and of the offset: where the mean response is told."""
    X, share = problem.design.X[:, problem.kept_coefficients], problem.weights / problem.weights.sum()
    # Of differences from a first row: an offset takes no digits from them.
    means = X[0] + share @ (X - X[0])
    out = constant.assign_coords(coef=list(problem.labels.coef)).assign(population_column_means=(("coef",), means))
    return out.assign_attrs(offset_mean=float(share @ problem.offset))


def _check_request(problem: FamilyProblem, request: SampleRequest) -> None:
    """Raise where something is asked for that these models do not have."""
    what = f"family={problem.family}"
    if request.parametrization != "marginal":
        raise ModelError(
            f"parametrization={request.parametrization!r} with {what}: sample the model that "
            f"Model.to_pymc({request.parametrization!r}) returns, with pymc.sample."
        )
    if request.sampler != "nutpie":
        raise ModelError(f"sampler={request.sampler!r} with {what}: sample what Model.to_pymc() returns, with PyMC.")
    if request.group_effects == "summary":
        raise ModelError(f"group_effects='summary' with {what}: draws are kept; leave group_effects out.")
    if request.method == "psis" and problem.engine == "joint":
        raise ModelError(
            f"method='psis' with {problem.formula!r}: the {problem.n_effects} coefficients of its groups are sampled "
            "too, which is too many for importance sampling. Use method='nuts'."
        )
    size = request.chains * request.draws * max(problem.n_effects, 1) * 16
    if size > _MAX_BYTES and request.group_effects != "draws":
        raise ModelError(
            f"draws of {problem.n_effects} coefficients of groups would take {size / 2**30:.1f} GiB. Ask for fewer "
            "draws, or for all of them with group_effects='draws'."
        )
    from hierreg.predictive.of_family import check_family_groups

    check_family_groups(problem, request.include, request.chains * request.draws)


def at_mode(problem: FamilyProblem, starts: Sequence[ChainStart], cores: int) -> tuple[QuadratureTarget, Mode]:
    """Return the target, whose searches for modes of groups begin at those of the posterior mode, and that mode."""
    target = problem.target(_NODES[0]).on_threads(cores)
    first = highest(problem, problem.target(1).on_threads(cores), starts, tolerance=1e-6)
    effects = first.target.likelihood.standardised()
    target = replace(target, likelihood=target.likelihood.beginning_at(effects)).with_modes_at(first.psi)
    found = highest(problem, target, [ChainStart(psi=first.psi)], tolerance=1e-5, with_hessian=True)
    assert found.mode is not None
    return found.target, found.mode


def measured_tables(problem: FamilyProblem) -> tuple[Tables | None, TableError | None]:
    """Return the tables that a posterior would be sampled with, None where they are too wrong; and their error."""
    cores = available_cores()
    target, mode = at_mode(problem, starts_of_chains(problem, limit(problem)[1]), cores)
    rule = _rule(target, mode, 0, cores)
    return tables_of(problem, target.with_nodes(rule.n_check), mode, rule.among, cores)


def _rule(target: QuadratureTarget, mode: Mode, seed: int, cores: int) -> Rule:
    """Return the first rule that is accurate enough over the posterior, by its normal approximation."""
    q = target.parameters.n_factor
    if not q:
        return Rule(n_nodes=1, n_check=1, error=0.0, among=(mode.u[None], np.array([mode.log_density])))
    rng = np.random.default_rng([seed, _STREAM_POINTS])
    points = mode.u + rng.standard_normal((_POINTS, len(mode.u))) @ mode.scale.T
    for n in _NODES:
        check = n + _MORE
        by = [target.with_nodes(k).values(points, threads=cores) for k in (n, check)]
        kept = np.isfinite(by[0]) & np.isfinite(by[1])
        error = float(np.std((by[0] - by[1])[kept])) if kept.sum() > 1 else np.inf
        if error <= _ALLOWED:
            return Rule(n_nodes=n, n_check=check, error=error, among=(points[kept], by[1][kept]))
    raise SamplingError(
        f"quadrature with {_NODES[-1]} nodes on each axis does not represent the likelihood of a group: with "
        f"{_NODES[-1] + _MORE} the log density differs by {error:.2g} (sd over the posterior). The effects of some "
        "groups have more than one mode."
    )


def _by_quadrature(
    problem: FamilyProblem, starts: Sequence[ChainStart], request: SampleRequest, seed: int, cores: int
) -> Drawn:
    """Return draws of psi by quadrature, the effects drawn given each; by tables at fixed nodes where they do."""
    target, mode = at_mode(problem, starts, cores)
    if problem.family.has_heavy_tails:
        check_one_mode(problem, modes_at(problem, target, mode.u))
    rule = _rule(target, mode, seed, cores)
    finer = target.with_nodes(rule.n_check)
    tables, _ = tables_of(problem, finer, mode, rule.among, cores)
    if tables is not None:
        chains = _sampled(tables.target, mode, request, seed, problem, cores)
        error = error_at_draws(tables, chains.u.reshape(-1, target.n), cores)
        if error.is_small:
            chains.stats.attrs |= _said(tables.n_nodes, rule.n_check, error.sd) | {"quadrature_far_error": error.far}
            return _drawn(problem, target, tables.target.table, chains.u, chains.stats, seed=seed, cores=cores)
    target = target.with_nodes(rule.n_nodes)
    chains = _sampled(target, mode, request, seed, problem, cores)
    psi, stats = chains.u, chains.stats
    if rule.error > _UNWEIGHTED:
        psi, stats = _weighted(finer, psi, stats, seed, cores)
    stats.attrs |= _said(rule.n_nodes, rule.n_check, rule.error)
    return _drawn(problem, target, None, psi, stats, seed=seed, cores=cores)


def _said(n_nodes: int, n_check: int, error: float) -> dict[str, float]:
    return {"quadrature_nodes": n_nodes, "quadrature_check_nodes": n_check, "quadrature_error": error}


def _drawn(  # noqa: PLR0913  # what draws are made of
    problem: FamilyProblem,
    target: QuadratureTarget,
    table: NodeTable | None,
    psi: Array,
    stats: xr.Dataset,
    *,
    seed: int,
    cores: int,
) -> Drawn:
    """Return draws with what makes those of the effects, given a table or none."""
    u, phi, w = target.split(psi.reshape(-1, psi.shape[2]))

    def effects() -> tuple[Array, ...]:
        if not problem.labels.factors:
            return ()
        Lambda = problem.parameters.from_raw @ covariances(problem.parameters, u).Lambda
        likelihood = target.likelihood
        assert isinstance(likelihood, QuadratureLikelihood)
        if table is not None:
            return (draw_by_table(likelihood, table, phi, Lambda, seed=seed, threads=cores),)
        return (draw_effects(likelihood, phi, Lambda, problem.auxiliary.natural(w), seed=seed, threads=cores),)

    engine = problem.engine if table is None else "node tables"
    return Drawn(engine=engine, shape=psi.shape[:2], u=u, phi=phi, w=w, effects=effects, stats=stats)


def _together(
    problem: FamilyProblem, starts: Sequence[ChainStart], request: SampleRequest, seed: int, cores: int
) -> Drawn:
    """Return draws of psi and of all effects."""
    found = highest(problem, problem.target(1), starts, tolerance=1e-5, with_hessian=True)
    marginal, mode = found.target, found.mode
    assert mode is not None
    target = joint_target(problem, marginal, mode.u)
    chains = _sampled(target, joint_mode(mode, target), request, seed, problem, cores, marginal=(marginal, mode))
    points = chains.u.reshape(-1, chains.u.shape[2])
    sign = None if chains.sign is None else chains.sign.reshape(len(points), -1)
    u, phi, w, _ = target.split(points)

    def effects() -> tuple[Array, ...]:
        out = effects_of(problem, target, points, sign)
        if problem.family.has_heavy_tails:
            warn_of_effects_that_stay(problem, modes_at(problem, marginal, mode.u), out, len(chains.u))
        return out

    return Drawn(engine="joint", shape=chains.u.shape[:2], u=u, phi=phi, w=w, effects=effects, stats=chains.stats)


# By engine: problem, where chains begin, request, seed and cores -> draws.
_DRAWN: dict[str, Callable[[FamilyProblem, Sequence[ChainStart], SampleRequest, int, int], Drawn]] = {
    "quadrature": _by_quadrature,
    "joint": _together,
}


def _sampled(  # noqa: PLR0913  # what chains are made of
    target: QuadratureTarget | NodeTableTarget | JointTarget,
    mode: Mode,
    request: SampleRequest,
    seed: int,
    problem: FamilyProblem,
    cores: int,
    *,
    marginal: tuple[QuadratureTarget, Mode] | None = None,
) -> _Sampled:
    """Return draws of psi, and of what is sampled beside it, with the ``sample_stats`` group."""
    from hierreg.sampling.warnings_of_draws import stats_group, warn_about, warn_about_copies

    if request.method == "psis":
        from hierreg.sampling.importance import Settings as PsisSettings
        from hierreg.sampling.importance import sample_by_importance

        drawn = sample_by_importance(
            target, mode, PsisSettings(draws=request.draws, chains=request.chains, seed=seed, cores=cores)
        )
        stats = stats_group(drawn.stats, (request.chains, request.draws))
        stats.attrs |= drawn.attributes
        warn_about_copies(stats)
        return _Sampled(u=drawn.u, stats=stats)
    from hierreg.sampling.nuts import Settings, sample_chains

    chains = sample_chains(
        target,
        mode,
        Settings(
            draws=request.draws,
            tune=_TUNE[problem.engine] if request.tune is None else request.tune,
            chains=request.chains,
            seed=seed,
            cores=cores,
            progress=request.progress,
            target_accept=request.target_accept,
            default_accept=_default_accept(problem),
        ),
        marginal=marginal,
    )
    stats = stats_group(chains.stats, chains.u.shape[:2])
    stats.attrs["warmup_steps"] = chains.n_warmup_steps
    if chains.interrupted:
        stats.attrs["interrupted"] = chains.interrupted
    if problem.names:
        warn_about(problem.names, chains.u[:, :, : len(problem.names)], stats)
    return _Sampled(u=chains.u, stats=stats, sign=chains.sign)


def _default_accept(problem: FamilyProblem) -> tuple[float, float]:
    usual = _ACCEPT[problem.engine]
    levels = (len(factor.levels) for factor in problem.labels.factors)
    is_few = problem.engine == "joint" and min(levels, default=_FEW_LEVELS) < _FEW_LEVELS
    return (max(usual[0], _ACCEPT_FEW), max(usual[1], _ACCEPT_FEW)) if is_few else usual


def _weighted(
    finer: QuadratureTarget, psi: Array, stats: xr.Dataset, seed: int, cores: int
) -> tuple[Array, xr.Dataset]:
    """Return the draws resampled by the ratio of the finer density to the one that they are from."""
    from hierreg.sampling.importance import K_LIMIT, smoothed
    from hierreg.sampling.resampling import resample, resampled_ess

    flat = psi.reshape(-1, psi.shape[2])
    log_ratio = finer.values(flat, threads=cores) - stats["lp"].to_numpy().ravel()
    weights = smoothed(log_ratio - log_ratio.max())
    if not weights.k <= K_LIMIT:
        raise SamplingError(
            f"the weights of the finer quadrature have too heavy a tail (Pareto k {weights.k:.2f}, at most {K_LIMIT}): "
            "the posterior is wider than its normal approximation says."
        )
    rng = np.random.default_rng([seed, _STREAM_WEIGHTS])
    worth = resampled_ess(weights.value, len(flat))
    chosen = resample(weights.value, len(flat), rng)
    # Draws that are kept stay where they were; only those that are not are replaced.
    count = np.bincount(chosen, minlength=len(flat))
    place = np.arange(len(flat))
    place[count == 0] = rng.permutation(np.repeat(np.arange(len(flat)), np.maximum(count - 1, 0)))
    shape = psi.shape[:2]
    stats = stats.assign(
        {name: (values.dims, values.to_numpy().ravel()[place].reshape(shape)) for name, values in stats.items()}
    )
    stats.attrs |= {"quadrature_pareto_k": weights.k, "quadrature_weights_ess": worth}
    return flat[place].reshape(psi.shape), stats


def _posterior(problem: FamilyProblem, drawn: Drawn) -> xr.Dataset:
    """Return the posterior group, one draw of the effects of every group for each draw of psi."""
    cov = covariances(problem.parameters, drawn.u)
    b = tuple(
        np.einsum("sij,sgj->sgi", cov.Lambda[:, mine, mine], v)
        for v, mine in zip(drawn.effects(), problem.parameters.factor_slices, strict=True)
    )
    beta, auxiliary = problem.reported(problem.beta(drawn.phi), problem.auxiliary.natural(drawn.w))
    recovered = Recovered(beta=beta, b=b, b_summary=None, theta_summary=None)
    out = build.posterior(problem.labels, drawn.shape, cov, recovered)
    return with_auxiliary(out, problem.auxiliary, auxiliary)
