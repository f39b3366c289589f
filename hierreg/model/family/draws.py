"""Draws of a posterior whose response is not normal, by engine: tables, all effects sampled, quadrature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.node_tables.draws import draw_effects as draw_by_table
from hierreg.likelihood.quadrature.draws import draw_effects
from hierreg.likelihood.quadrature.engine import QuadratureLikelihood
from hierreg.model.family.chains import sampled
from hierreg.model.family.joint import effects_of, joint_mode, joint_target
from hierreg.model.family.modes import ChainStart, highest
from hierreg.model.family.rules import choice, error_between, rule_over
from hierreg.model.family.tables import error_at_draws, finer_tables, some_of
from hierreg.model.family.two_modes import check_one_mode, modes_at, warn_of_effects_that_stay
from hierreg.variances.parameters import covariances
from hierreg.warning import kept_warnings, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.node_tables.table import NodeTable
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.model.family.rules import Rule
    from hierreg.problem.family import FamilyProblem
    from hierreg.sampling.approximation import Mode
    from hierreg.sampling.request import SampleRequest

    Array = NDArray[np.float64]

# Error of the log density (sd over the draws) from which draws are weighted by a finer rule, and at how many of them it
# is measured.
_UNWEIGHTED, _AT_DRAWS = 0.01, 200
_STREAM_WEIGHTS = 303


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


def _one_factor(
    problem: FamilyProblem, starts: Sequence[ChainStart], request: SampleRequest, seed: int, cores: int
) -> Drawn:
    """Return draws by tables at fixed nodes, of all effects, or by adaptive quadrature: by what is accurate.

    Where chains of all effects diverge, quadrature takes the model.
    """
    chosen = choice(problem, starts, seed, cores)
    target, mode, tables = chosen.target, chosen.mode, chosen.tables
    if problem.family.has_heavy_tails:
        check_one_mode(problem, modes_at(problem, target, mode.u))
    while tables is not None:
        chains = sampled(tables.target, mode, request, seed, problem, cores)
        psi = chains.u.reshape(-1, target.n)
        error = error_at_draws(tables, psi, cores)
        if error.is_small:
            said = _said(tables.n_nodes, chosen.rule.n_check, error.sd)
            chains.stats.attrs |= said | {"quadrature_far_error": error.far}
            return _drawn(problem, target, tables.target.table, chains.u, chains.stats, seed=seed, cores=cores)
        tables = finer_tables(problem, tables, mode, psi, cores)
    if request.method == "nuts" and chosen.is_nearly_normal:
        with kept_warnings() as kept:
            drawn = _together(replace(problem, engine="joint"), [ChainStart(psi=mode.u)], request, seed, cores)
        if "interrupted" in drawn.stats.attrs or not drawn.stats["diverging"].any():
            for category, message in kept:
                warn(message, category)
            return drawn
    return _by_quadrature(problem, (target, mode), chosen.rule, request, seed=seed, cores=cores)


def _by_quadrature(  # what draws are made of
    problem: FamilyProblem,
    at: tuple[QuadratureTarget, Mode],
    rule: Rule,
    request: SampleRequest,
    *,
    seed: int,
    cores: int,
) -> Drawn:
    """Return draws of psi by quadrature, the effects drawn given each.

    The rule was chosen over the normal approximation, which may be narrower than the posterior. So its error is
    measured again at the draws; what weights by the finer rule cannot take off is sampled again with more nodes.
    """
    target, mode = at
    while True:
        own, finer = target.with_nodes(rule.n_nodes), target.with_nodes(rule.n_check)
        chains = sampled(own, mode, request, seed, problem, cores)
        psi, stats = chains.u, chains.stats
        some = some_of(psi.reshape(-1, target.n), _AT_DRAWS)
        error, _ = error_between(own.values(some, threads=cores), finer.values(some, threads=cores))
        kept = (psi, stats) if error <= _UNWEIGHTED else _weighted(finer, psi, stats, seed, cores)
        if kept is None:
            rule = rule_over(target, some, cores, above=rule.n_nodes)
            continue
        kept[1].attrs |= _said(rule.n_nodes, rule.n_check, error)
        return _drawn(problem, own, None, *kept, seed=seed, cores=cores)


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
    chains = sampled(target, joint_mode(mode, target), request, seed, problem, cores, marginal=(marginal, mode))
    points = chains.u.reshape(-1, chains.u.shape[2])
    sign = None if chains.sign is None else chains.sign.reshape(len(points), -1)
    u, phi, w, _ = target.split(points)

    def effects() -> tuple[Array, ...]:
        out = effects_of(problem, target, points, sign)
        if problem.family.has_heavy_tails:
            two = modes_at(problem, marginal, mode.u)
            Lambda = problem.parameters.from_raw @ covariances(problem.parameters, u).Lambda

            def predictors(j: int, v: Array) -> tuple[Array, Array]:
                assert two is not None
                of_group = target.likelihood.predictors_of_group
                return of_group(j, phi, Lambda, out[0][:, j]), of_group(j, two.phi[None], two.Lambda[None], v)

            warn_of_effects_that_stay(problem, two, out, len(chains.u), predictors)
        return out

    return Drawn(engine="joint", shape=chains.u.shape[:2], u=u, phi=phi, w=w, effects=effects, stats=chains.stats)


def _weighted(
    finer: QuadratureTarget, psi: Array, stats: xr.Dataset, seed: int, cores: int
) -> tuple[Array, xr.Dataset] | None:
    """Return the draws resampled by the ratio of the finer density to the one that they are from.

    None where weights have too heavy a tail.
    """
    from hierreg.sampling.importance import K_LIMIT, smoothed
    from hierreg.sampling.resampling import resample, resampled_ess

    flat = psi.reshape(-1, psi.shape[2])
    log_ratio = finer.values(flat, threads=cores) - stats["lp"].to_numpy().ravel()
    weights = smoothed(log_ratio - log_ratio.max())
    if not weights.k <= K_LIMIT:
        return None
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


# By engine: problem, where chains begin, request, seed and cores -> draws.
DRAWN: dict[str, Callable[[FamilyProblem, Sequence[ChainStart], SampleRequest, int, int], Drawn]] = {
    "quadrature": _one_factor,
    "joint": _together,
}
