"""Draws of all parameters from their priors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.effects import StudentT
from hierreg.effects.student_t import LOWEST_NU
from hierreg.exceptions import PriorError
from hierreg.likelihood.drawn import Recovered
from hierreg.likelihood.heavy_tails.draws import DrawnEffects, EffectsParameters
from hierreg.predictive.new_effects import fresh_effects
from hierreg.predictive.rows import check_size
from hierreg.priors import LKJ, Fixed, Flat
from hierreg.priors.above import draw_above
from hierreg.problem.effects import EffectsProblem
from hierreg.results import build
from hierreg.results.effects import posterior_with_effects
from hierreg.variances.parameters import Covariances, of_raw_coefficients

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.priors import ResolvedPriors
    from hierreg.priors.requested import CorrChoice, SdChoice
    from hierreg.problem.family import FamilyProblem
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]


def check_priors(problem: Problem | FamilyProblem, draws: int) -> None:
    """Raise where the priors cannot be drawn from, or the draws would be too large.

    Raises
    ------
    PriorError
        If a prior is flat.
    ModelError
        If the draws of the group coefficients would take more than 4 GiB.
    """
    for name, prior in zip(problem.design.coef_names, problem.priors.beta, strict=True):
        if isinstance(prior, Flat):
            raise PriorError(
                f"beta[{name!r}] has the prior Flat(), which is improper and cannot be drawn from: give it a "
                f"proper one, hr.Priors(beta={{{name!r}: hr.Normal(mu, sigma)}}), or leave it out for the "
                "default."
            )
    n_effects = sum(len(f.levels) * len(f.coef_names) for f in problem.design.factors)
    check_size(draws, n_effects, "prior", "Use fewer draws, hr.prior_predictive(model, draws=...).")


def draw_prior(problem: Problem, draws: int, seed: list[int]) -> xr.Dataset:
    """Return the ``prior`` group: one chain, with the variables and dimensions of the posterior.

    Parameters
    ----------
    problem : Problem
    draws : int
    seed : list of int
        What it depends on.
    """
    check_priors(problem, draws)
    rng = np.random.default_rng(seed)
    if isinstance(problem, EffectsProblem):
        beta = _draw_beta(problem.priors, draws, rng)
        return _with_effects(problem, beta, _draw_covariances(problem, draws, rng), rng)
    recovered, cov = draw_coefficients(problem, draws, rng)
    return build.posterior(problem.labels, (1, draws), cov, recovered)


def draw_coefficients(
    problem: Problem | FamilyProblem, draws: int, rng: np.random.Generator
) -> tuple[Recovered, Covariances]:
    """Return draws of all coefficients, and of the covariances, from their priors."""
    beta = _draw_beta(problem.priors, draws, rng)
    cov = _draw_covariances(problem, draws, rng)
    b = []
    for factor, mine in zip(problem.labels.factors, problem.parameters.factor_slices, strict=True):
        z = rng.standard_normal((draws, len(factor.levels), len(factor.coef)))
        b.append(np.einsum("sij,snj->sni", cov.Lambda[:, mine, mine], z))
    return Recovered(beta=beta, b=tuple(b), b_summary=None, theta_summary=None), cov


def _with_effects(problem: EffectsProblem, beta: Array, within: Covariances, rng: np.random.Generator) -> xr.Dataset:
    """Return the ``prior`` group where group effects have heavy tails or are mixtures."""
    draws, factor, shape = len(beta), problem.labels.factors[0], problem.shape
    nu = weight = mean = component_cov = None
    if isinstance(shape.effects, StudentT):
        nu = draw_nu(shape.effects, draws, rng)
    else:
        c = shape.effects.components
        weight = rng.dirichlet(np.full(c, shape.effects.concentration), draws)
        free = rng.standard_normal((draws, c, len(shape.coef)))
        free[:, :, 0].sort(axis=1)
        free -= np.einsum("sk,ska->sa", weight, free)[:, None]
        mean = shape.tau * free @ shape.to_raw.T
        further = [_draw_covariances(problem, draws, rng).Lambda for _ in range(shape.n_covariances - 1)]
        Lambdas = np.stack([within.Lambda, *further], axis=1)
        component_cov = Lambdas @ np.swapaxes(Lambdas, 2, 3)
    drawn = EffectsParameters(within=within, beta=beta, nu=nu, weight=weight, mean=mean, component_cov=component_cov)
    b, lam, component = fresh_effects(drawn, len(factor.levels), rng)
    total = drawn.total()
    cov = within if total is None else replace(within, sd=total[0], corr=total[1])
    recovered = Recovered(beta=beta, b=(b,), b_summary=None, theta_summary=None)
    posterior = build.posterior(problem.labels, (1, draws), cov, recovered)
    chance = None if component is None else np.eye(shape.n_components)[component]
    effects = DrawnEffects(b=b, b_summary=None, theta_summary=None, weight=lam, probability=chance)
    return posterior_with_effects(problem.labels, (1, draws), posterior, drawn, effects)


def draw_nu(effects: StudentT, draws: int, rng: np.random.Generator) -> Array:
    """Return draws of degrees of freedom (draws,) from their prior above its bound."""
    if effects.prior is None:
        assert isinstance(effects.nu, float)
        return np.full(draws, effects.nu)
    return draw_above(effects.prior, LOWEST_NU, draws, rng)


def _draw_beta(priors: ResolvedPriors, draws: int, rng: np.random.Generator) -> Array:
    columns = [_draw_column(prior, draws, rng) for prior in priors.beta]
    values = np.stack(columns, axis=1) if columns else np.empty((draws, 0))
    return np.linalg.solve(priors.beta_basis, values.T).T


def _draw_column(prior: object, draws: int, rng: np.random.Generator) -> Array:
    if isinstance(prior, Fixed):
        return np.full(draws, prior.array)
    return prior.draw(rng, draws)  # type: ignore[attr-defined,no-any-return]  # every other choice is a family


def _draw_covariances(problem: Problem | FamilyProblem, draws: int, rng: np.random.Generator) -> Covariances:
    priors, factors = problem.priors, problem.design.factors
    # The columns of all factors one after the other, as the variance parameters have them.
    sd = _draw_sds([sd for factor in factors for sd in priors.sd[factor.name]], draws, rng)
    corrs = [corr for factor in factors for corr in priors.corr[factor.name]]
    corr = _draw_corr(corrs, [size for factor in factors for size in factor.term_sizes], draws, rng)
    D = len(problem.layout.labels)
    error_sd = _draw_sds(priors.error_sd, draws, rng) if problem.labels.n_error_sd else np.ones((draws, D))
    if isinstance(priors.error_corr, tuple):
        within = problem.parameters.within_units
        error_corr = _draw_within_units(priors.error_corr, within.lowest, draws, rng)
        error_cov = within.covariance(error_sd, error_corr)
    else:
        error_corr = _draw_corr((priors.error_corr,), (D,), draws, rng)
        error_cov = error_sd[:, :, None] * error_corr * error_sd[:, None, :]
    root = np.zeros_like(corr)
    for mine in problem.parameters.factor_slices:
        values, vectors = np.linalg.eigh(corr[:, mine, mine])  # not Cholesky: a fixed correlation may be singular
        root[:, mine, mine] = vectors * np.sqrt(np.clip(values, 0.0, None))[:, None, :]
    sd, corr, Lambda = of_raw_coefficients(problem.parameters.to_raw, sd, corr, sd[:, :, None] * root)
    return Covariances(
        sd=sd,
        corr=corr,
        Lambda=Lambda,
        error_sd=error_sd,
        error_corr=error_corr,
        error_cov=error_cov,
    )


def _draw_sds(priors: Sequence[SdChoice], draws: int, rng: np.random.Generator) -> Array:
    columns = [_draw_column(prior, draws, rng) for prior in priors]
    return np.stack(columns, axis=1) if columns else np.empty((draws, 0))


def _draw_within_units(priors: Sequence[CorrChoice], lowest: Array, draws: int, rng: np.random.Generator) -> Array:
    columns = [
        prior.draw_within_units(rng, draws, float(bound)) if isinstance(prior, LKJ) else np.full(draws, prior.array)
        for prior, bound in zip(priors, lowest, strict=True)
    ]
    return np.stack(columns, axis=1)


def _draw_corr(
    priors: Sequence[CorrChoice | None], sizes: Sequence[int], draws: int, rng: np.random.Generator
) -> Array:
    out = np.tile(np.eye(sum(sizes)), (draws, 1, 1))
    start = 0
    for prior, size in zip(priors, sizes, strict=True):
        block = slice(start, start + size)
        if isinstance(prior, Fixed):
            out[:, block, block] = prior.array
        elif isinstance(prior, LKJ):
            out[:, block, block] = prior.draw(rng, draws, size)
        start += size
    return out
