"""Draws of all parameters that follow from draws of those sampled: covariances, beta, and the effects of groups."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.effects import StudentT
from hierreg.likelihood.drawn import EffectSummary
from hierreg.likelihood.heavy_tails.target import log_densities
from hierreg.linalg import sd_and_corr
from hierreg.variances.parameters import Covariances, covariances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.heavy_tails.target import EffectsTarget

    Array = NDArray[np.float64]

# Values drawn at a time; part of what a seed means.
_CHUNK_VALUES = 2_000_000
_DRAWS = 2  # what `entry.log_densities` is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsParameters:
    """Parameters of the distributions at S draws, columns as they stand.

    Attributes
    ----------
    within : Covariances
        Scale of a t distribution, or covariance of the first component; and errors.
    beta : array (S, p)
    nu : array (S,) or None
    weight : array (S, c) or None
        Of components; None of Student t, as the next.
    mean : array (S, c, q) or None
        Their deviations from beta.
    component_cov : array (S, L, q, q) or None
        L = 1 where it is common to all.
    """

    within: Covariances
    beta: Array
    nu: Array | None
    weight: Array | None
    mean: Array | None
    component_cov: Array | None

    def total(self) -> tuple[Array, Array] | None:
        """Return sds (S, q) and correlations (S, q, q) of all groups together; None where they have no variance."""
        if self.nu is not None:
            if not np.all(self.nu > 2.0):
                return None
            return self.within.sd * np.sqrt(self.nu / (self.nu - 2.0))[:, None], self.within.corr
        assert self.weight is not None
        assert self.mean is not None
        assert self.component_cov is not None
        cov = np.einsum("sk,ska,skb->sab", self.weight, self.mean, self.mean)
        cov = cov + np.einsum(
            "sk,skab->sab", self.weight, np.broadcast_to(self.component_cov, (*self.mean.shape, cov.shape[1]))
        )
        sd, corr = sd_and_corr(cov)
        corr = np.where(np.isfinite(corr), corr, 0.0)
        corr[:, np.arange(sd.shape[1]), np.arange(sd.shape[1])] = 1.0
        return sd, corr


def effects_parameters(target: EffectsTarget, psi: Array) -> EffectsParameters:
    """Return the parameters of the distributions at S points psi (S, n)."""
    u, beta, shape, further = target.parts(psi)
    within = covariances(target.parameters, u)
    if isinstance(target.shape.effects, StudentT):
        return EffectsParameters(
            within=within, beta=beta, nu=target.shape.nu(shape), weight=None, mean=None, component_cov=None
        )
    weight, mean = target.shape.components(shape)
    Lambdas = np.stack([within.Lambda, *(covariances(target.of_components, one).Lambda for one in further)], axis=1)
    return EffectsParameters(
        within=within,
        beta=beta,
        nu=None,
        weight=weight,
        mean=mean,
        component_cov=Lambdas @ np.swapaxes(Lambdas, 2, 3),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnEffects:
    """Effects of J groups at S draws, columns as they stand; or what is kept of them.

    Attributes
    ----------
    b : array (S, J, q) or None
    b_summary, theta_summary : EffectSummary or None
        Where only summaries are kept.
    weight : array (S, J), or (J,) where only summaries are kept, or None
        1 / s of a t distribution, drawn given the effects; its mean.
    probability : array (S, J, c), or (J, c), or None
        Of the components of a mixture; its mean.
    """

    b: Array | None
    b_summary: EffectSummary | None
    theta_summary: EffectSummary | None
    weight: Array | None
    probability: Array | None


def draw_effects(
    target: EffectsTarget,
    psi: Array,
    beta_of_theta: Array | None,
    *,
    seed: int,
    probs: Sequence[float] | None,
    threads: int,
) -> DrawnEffects:
    """Return exact draws of the effects of all groups: first the scale or the component, then the effects given it.

    The scale of a t distribution is then drawn anew, given the effects: 1 / s ~ gamma((nu + q) / 2, (nu + b'Sigma^-1 b)
    / 2). That leaves the joint distribution as it is, and no trace of the nodes.

    Parameters
    ----------
    target : EffectsTarget
        Of log sds.
    psi : array (S, n)
    beta_of_theta : array (S, q) or None
        What theta adds to the effects of every group; None where there is no theta. Read where summaries are wanted.
    seed : int
        The draws depend on it and on nothing else.
    probs : sequence of float or None
        None keeps every draw, otherwise only means, sds and these quantiles are kept.
    threads : int
    """
    psi = np.ascontiguousarray(psi)
    S, J, q, c = len(psi), target.data.n_groups, len(target.shape.coef), target.shape.n_components
    _, _, shape, _ = target.parts(psi)
    is_t = isinstance(target.shape.effects, StudentT)
    nu = target.shape.nu(shape) if is_t else None
    keep = probs is None
    b = np.empty((S, J, q)) if keep else None
    weight = np.empty((S, J) if keep else J) if is_t else None
    probability = None if is_t else np.empty((S, J, c) if keep else (J, c))
    summaries = np.empty((2, 2 + len(probs or ()), J, q))
    z_map, n = target.data.gram.z_map, max(1, _CHUNK_VALUES // max(1, S * (q + c + 2)))

    def run(first: int) -> None:
        mine = slice(first, min(first + n, J))
        rng = np.random.default_rng([seed, 1, first])
        inner, square, chance = _draw(target, psi, mine, rng)
        effects = inner @ z_map.T
        if weight is not None and nu is not None:
            gamma = rng.standard_gamma(np.broadcast_to(0.5 * (nu + q)[:, None], square.shape))
            drawn = gamma / (0.5 * (nu[:, None] + square))
            weight[..., mine] = drawn if keep else drawn.mean(axis=0)
        if probability is not None:
            probability[..., mine, :] = chance if keep else chance.mean(axis=0)
        if b is not None:
            b[:, mine] = effects
            return
        for t, shift in enumerate((None, beta_of_theta)):
            values = effects if shift is None else effects + shift[:, None]
            summaries[t, 0, mine], summaries[t, 1, mine] = values.mean(axis=0), values.std(axis=0)
            summaries[t, 2:, mine] = np.quantile(values, probs or (), axis=0)

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        list(pool.map(run, range(0, J, n)))
    b_summary, theta_summary = (EffectSummary(mean=one[0], sd=one[1], quantiles=one[2:]) for one in summaries)
    return DrawnEffects(
        b=b,
        b_summary=None if keep else b_summary,
        theta_summary=None if keep or beta_of_theta is None else theta_summary,
        weight=weight,
        probability=probability,
    )


def _draw(target: EffectsTarget, psi: Array, groups: slice, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return effects (S, n, q), internal, their squared distances (S, n) from means, and probabilities (S, n, c)."""
    S, n, q = len(psi), groups.stop - groups.start, len(target.shape.coef)
    effects, square, chance = np.empty((S, n, q)), np.empty((S, n)), np.empty((S, n, target.shape.n_components))
    room = rng.random((S, n)), rng.standard_normal((S, n, q)), effects, square, chance
    table = target.table(n_points=S, wanted=_DRAWS, first=groups.start, room=room)
    value = np.empty(S)
    log_densities()(psi.shape[1], psi.ctypes.data, None, value.ctypes.data, table.address)
    return effects, square, chance
