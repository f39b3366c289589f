"""Chains of the parameters where the response is not normal, by NUTS or importance sampling, with their statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hierreg.sampling.trajectories import TARGET_ACCEPT_SIGNED

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.joint.density import JointTarget
    from hierreg.likelihood.node_tables.density import NodeTableTarget
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.problem.family import FamilyProblem
    from hierreg.sampling.approximation import Mode
    from hierreg.sampling.request import SampleRequest

    Array = NDArray[np.float64]

# Where all effects are sampled: draws of warm-up, and acceptance probabilities as in `sampling.nuts.Settings`. In
# coordinates that are nearly normal, however many, longer steps pay: by trial. Where a factor has few levels, the tails
# of its effects are long, and steps that fit the middle diverge there: 9 of 72,000 draws of two levels crossed with
# three, none of 3 x 4.
_TUNE, _ACCEPT = 200, (0.6, 0.7, 0.8)
_FEW_LEVELS, _ACCEPT_FEW = 4, TARGET_ACCEPT_SIGNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What a sampler returns: draws (chains, draws, n), their statistics, and signs as in `sampling.nuts.Chains`."""

    u: Array
    stats: xr.Dataset
    sign: Array | None = None


def sampled(  # noqa: PLR0913  # what chains are made of
    target: QuadratureTarget | NodeTableTarget | JointTarget,
    mode: Mode,
    request: SampleRequest,
    seed: int,
    problem: FamilyProblem,
    cores: int,
    *,
    marginal: tuple[QuadratureTarget, Mode] | None = None,
) -> Sampled:
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
        return Sampled(u=drawn.u, stats=stats)
    from hierreg.sampling.nuts import Settings, sample_chains

    chains = sample_chains(
        target,
        mode,
        Settings(
            draws=request.draws,
            tune=_TUNE if request.tune is None and problem.engine == "joint" else request.tune,
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
    return Sampled(u=chains.u, stats=stats, sign=chains.sign)


def _default_accept(problem: FamilyProblem) -> tuple[float, float, float] | None:
    if problem.engine != "joint":
        return None
    far, near, zero = _ACCEPT
    levels = (len(factor.levels) for factor in problem.labels.factors)
    least = _ACCEPT_FEW if min(levels, default=_FEW_LEVELS) < _FEW_LEVELS else 0.0
    return max(far, least), max(near, least), max(zero, least)
