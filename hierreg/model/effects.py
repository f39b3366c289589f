"""What `Model` does where group effects have heavy tails or are mixtures."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_choice
from hierreg.effects import Mixture, StudentT
from hierreg.effects.student_t import LOWEST_NU
from hierreg.estimate.effects import best_mode, starts_of
from hierreg.estimate.mode import start_at
from hierreg.estimate.starting_values import starting_point
from hierreg.exceptions import ConvergenceWarning, IdentificationWarning, ModelError, SamplingError
from hierreg.likelihood.drawn import Recovered
from hierreg.likelihood.first_use import announce
from hierreg.likelihood.heavy_tails.draws import draw_effects, effects_parameters
from hierreg.likelihood.heavy_tails.moments import effect_moments
from hierreg.model.estimation import limit
from hierreg.model.posterior import Drawn, by_importance, by_nuts, cores_of, sample, summaries_only
from hierreg.predictive.of_model import check_has_rows
from hierreg.problem.effects import refuse
from hierreg.pymc_model import PARAMETRIZATIONS
from hierreg.results import build
from hierreg.results.effects import (
    EffectsEstimate,
    group_variables,
    parameter_variables,
    posterior_with_effects,
)
from hierreg.results.prior_attributes import bounded_attributes
from hierreg.warning import warn

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.estimate.optimise import Optimum
    from hierreg.likelihood.heavy_tails.draws import DrawnEffects, EffectsParameters
    from hierreg.likelihood.heavy_tails.target import EffectsTarget
    from hierreg.problem.effects import EffectsProblem
    from hierreg.results.point import Estimate
    from hierreg.sampling.approximation import Mode
    from hierreg.sampling.request import SampleRequest

    Array = NDArray[np.float64]

_SMALLEST_SHARE = 0.01  # of a second mode beside the first, above which it is said
_AT_INFINITY, _AT_ZERO = 300.0, 1e-4
# A component that owns no group with such a probability, or may have less weight than one group, is not supported.
_OWNED, _LOW = 0.9, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """The target in units of the posterior of normal effects, and where searches start."""

    target: EffectsTarget
    starts: list[Array]


def _prepared(problem: EffectsProblem, reml: Estimate, *, with_prior: bool) -> _Start:
    announce("heavy_tails.entry", "log_densities")
    free = np.flatnonzero(~problem.fixed.is_fixed)
    cov = reml.beta_cov.to_numpy()[np.ix_(free, free)]
    target = problem.target(
        reml.beta.to_numpy()[free], np.linalg.cholesky(cov) if len(free) else cov, with_prior=with_prior
    )
    parameters, name = problem.parameters, problem.labels.factors[0].name
    moments = starting_point(problem.likelihood("reml").gram, parameters)
    corr = None if reml.error_corr is None else np.atleast_1d(reml.error_corr.to_numpy())
    errors = np.atleast_1d(reml.error_sd.to_numpy()), corr
    u = start_at(parameters, moments, reml.cov[name].to_numpy(), errors)
    return _Start(target=target, starts=starts_of(target, u, reml.b[name].to_numpy()))


def estimate_effects(problem: EffectsProblem, method: str) -> EffectsEstimate:
    """Return the ML or MAP estimate."""
    if method == "reml":
        refuse(problem, "estimate('reml')")
    reml = limit(problem, [problem.own_rows()]).estimate
    prepared = _prepared(problem, reml, with_prior=method == "map")
    target = replace(prepared.target, natural=True)
    best, others = best_mode(target, prepared.starts, with_hessian=True)
    if not np.isfinite(best.value):
        raise _nowhere_finite(problem)
    constant = float(np.linalg.slogdet(target.scale)[1]) if len(target.data.prior_rows) and len(target.scale) else 0.0
    return _labelled(problem, target, best, others, method, -2.0 * (best.value - constant))


def _nowhere_finite(problem: EffectsProblem) -> ModelError:
    return ModelError(
        "the density is not finite at any starting value: check that the priors allow standard deviations of the size "
        f"of the data ({', '.join(problem.parameters.free_names)})."
    )


def _labelled(
    problem: EffectsProblem,
    target: EffectsTarget,
    best: Optimum,
    others: tuple[Optimum, ...],
    method: str,
    criterion: float,
) -> EffectsEstimate:
    labels, factor = problem.labels, problem.labels.factors[0]
    drawn = with_fixed(problem, effects_parameters(target, best.x[None]))
    moments = effect_moments(target, best.x)
    variables = parameter_variables(labels, drawn, (), ())
    groups = group_variables(labels, _as_drawn(moments), (), ())
    total, beta = drawn.total(), drawn.beta[0]
    theta = {}
    if factor.has_theta:
        theta[factor.name] = labels.array("b", moments.mean + _added(problem, drawn.beta)[0], factor=factor)

    def of(name: str) -> dict[str, Any]:
        found = (variables | groups).get(name)
        return {} if found is None else {factor.name: found}

    boundary = _boundary(target, drawn)
    words = "converged" if best.converged else "not converged: the search ended before a maximum was found"
    if others:
        above = 2 * (best.value - others[0].value)
        words += f"; {len(others)} lower maxima were found besides, the next {above:.3g} above in the criterion"
    return EffectsEstimate(
        method=method,
        effects=_in_words(problem),
        beta=labels.array("beta", beta),
        beta_cov=labels.array("beta_cov", _beta_cov(problem, target, best.hessian)),
        b={factor.name: labels.array("b", moments.mean, factor=factor)},
        b_cov={factor.name: labels.array("b_cov", moments.cov, factor=factor)},
        theta=theta,
        sd={} if total is None else {factor.name: labels.array("sd", total[0][0], factor=factor)},
        corr={factor.name: labels.array("cov", (drawn.within.corr if total is None else total[1])[0], factor=factor)},
        scale=of("scale"),
        nu={name: float(value) for name, value in of("nu").items()},
        weight=of("weight"),
        component_weight=of("component_weight"),
        component_mean=of("component_mean"),
        component_sd=of("component_sd"),
        component_corr=of("component_corr"),
        probability=of("probability"),
        error_sd=labels.array("error_sd", drawn.within.error_sd[0]),
        criterion=criterion,
        boundary=boundary,
        converged=best.converged,
        message="; ".join([words, *boundary]),
    )


def _as_drawn(moments: Any) -> DrawnEffects:
    from hierreg.likelihood.heavy_tails.draws import DrawnEffects

    is_mixture = moments.probability.shape[1] > 1
    return DrawnEffects(
        b=None,
        b_summary=None,
        theta_summary=None,
        weight=None if is_mixture else moments.weight,
        probability=moments.probability if is_mixture else None,
    )


def _in_words(problem: EffectsProblem) -> str:
    return f"{problem.labels.factors[0].name}: {problem.effects}"


def _boundary(target: EffectsTarget, drawn: EffectsParameters) -> tuple[str, ...]:
    """Return which parameters went to the end of their range, in words."""
    factor, out = target.shape.factor, []
    if drawn.nu is not None and target.shape.n_shape and drawn.nu[0] > _AT_INFINITY:
        out.append(f"nu_{factor} goes to infinity: the data see no heavy tails, and normal effects fit as well")
    sd = drawn.within.sd[0]
    largest = max(float(sd.max(initial=0.0)), float(drawn.within.error_sd.max(initial=0.0)))
    out += [
        f"the scale of {name} is zero"
        for name, value in zip(target.shape.coef, sd, strict=True)
        if value < _AT_ZERO * largest
    ]
    if drawn.weight is not None:
        J = target.data.n_groups
        out += [
            f"component {k} has a weight near zero, less than one group of {J}: the data do not support it"
            for k, weight in enumerate(drawn.weight[0])
            if weight * J < 1.0
        ]
    return tuple(out)


def _beta_cov(problem: EffectsProblem, target: EffectsTarget, hessian: Array) -> Array:
    """Return the covariance (p, p) of beta from the curvature in all parameters."""
    from hierreg.sampling.approximation import scale_of

    n, p = target.parameters.n_free, len(target.centre)
    root = scale_of(hessian)[n : n + p]
    free = np.flatnonzero(~problem.fixed.is_fixed)
    out = np.zeros((len(problem.fixed.is_fixed),) * 2)
    to_user = target.data.gram.x_map @ target.scale
    out[np.ix_(free, free)] = to_user @ root @ root.T @ to_user.T
    return out


def with_fixed(problem: EffectsProblem, drawn: EffectsParameters) -> EffectsParameters:
    """Return parameters whose beta (S, p) has the coefficients that are held fixed too."""
    if not problem.fixed.is_fixed.any():
        return drawn
    beta = np.tile(problem.fixed.value, (len(drawn.beta), 1))
    beta[:, ~problem.fixed.is_fixed] = drawn.beta
    return replace(drawn, beta=beta)


def _added(problem: EffectsProblem, beta: Array) -> Array:
    """Return what theta adds to the effects of every group, (S, q)."""
    columns = problem.labels.factors[0].theta_columns
    return np.stack([np.zeros(len(beta)) if c is None else beta[:, c] for c in columns], axis=1)


def sample_effects(problem: EffectsProblem, request: SampleRequest) -> xr.DataTree:
    """Return the posterior as a DataTree."""
    request.check()
    if request.parametrization != "marginal":
        refuse(problem, f"sample(parametrization={request.parametrization!r})")
    if request.sampler == "pymc":
        refuse(problem, "sample(sampler='pymc')")
    if request.group_effects == "none":
        raise ModelError(
            f"group_effects='none' with effects={{{problem.labels.factors[0].name!r}: {problem.effects}}}: whether the "
            "data support the distribution is seen in the effects. Use group_effects='summary', which keeps no draws."
        )
    return sample(problem, request, marginal=_marginal)


def _marginal(problem: EffectsProblem, request: SampleRequest, seed: int, reml: Estimate) -> Drawn:
    begin = time.perf_counter()
    labels, factor = problem.labels, problem.labels.factors[0]
    prepared = _prepared(problem, reml, with_prior=True)
    mode = _mode(problem, prepared)
    psi, stats = _chains(problem, prepared.target, mode, request, seed)
    shape = (stats.sizes["chain"], stats.sizes["draw"])
    sampled = time.perf_counter()
    flat = psi.reshape(shape[0] * shape[1], -1)
    drawn = with_fixed(problem, effects_parameters(prepared.target, flat))
    effects = draw_effects(
        prepared.target,
        flat,
        _added(problem, drawn.beta) if factor.has_theta else None,
        seed=seed,
        probs=build.PROBS if summaries_only(problem, request) else None,
        threads=cores_of(request),
    )
    keeps = effects.b is not None
    recovered = Recovered(
        beta=drawn.beta,
        b=(effects.b,) if effects.b is not None else None,
        b_summary=None if effects.b_summary is None else (effects.b_summary,),
        theta_summary=None if keeps else (effects.theta_summary,),
    )
    total = drawn.total()
    cov = drawn.within if total is None else replace(drawn.within, sd=total[0], corr=total[1])
    posterior = build.posterior(labels, shape, cov, recovered)
    summaries = None
    if not keeps:
        of_groups = {f"{name}_mean": values for name, values in group_variables(labels, effects, (), ()).items()}
        summaries = build.effect_summaries(labels, recovered, build.PROBS)
        summaries = summaries.assign({name.replace("_mean", f"_{factor.key}_mean"): v for name, v in of_groups.items()})
    if isinstance(problem.effects, Mixture):
        _warn_of_components(problem, drawn, effects)
    times = {"sampling_time": sampled - begin, "recovery_time": time.perf_counter() - sampled}
    posterior = posterior_with_effects(labels, shape, posterior, drawn, effects)
    if isinstance(problem.effects, StudentT) and problem.effects.prior is not None:
        posterior[f"nu_{factor.key}"].attrs.update(bounded_attributes(problem.effects.prior, LOWEST_NU))
    return Drawn(
        posterior=posterior,
        stats=stats,
        effects=summaries,
        times=times,
    )


def _mode(problem: EffectsProblem, prepared: _Start) -> Mode:
    from hierreg.sampling.approximation import Mode, scale_of

    target = prepared.target
    if not target.n:
        return Mode(u=np.empty(0), scale=np.empty((0, 0)), log_density=0.0, converged=True)
    best, others = best_mode(target, prepared.starts, with_hessian=True)
    if not np.isfinite(best.value):
        raise _nowhere_finite(problem)
    _warn_of_modes(target, best, others)
    return Mode(u=best.x, scale=scale_of(best.hessian), log_density=best.value, converged=best.converged)


def _warn_of_modes(target: EffectsTarget, best: Optimum, others: tuple[Optimum, ...]) -> None:
    mass = [one.value - 0.5 * _log_det(one.hessian) for one in (best, *others)]
    shares = np.exp(np.array(mass) - max(mass))
    for other, share in zip(others, shares[1:] / shares.sum(), strict=True):
        if share > _SMALLEST_SHARE:
            change = np.abs(best.x - other.x)
            names = [target.names[i] for i in np.argsort(change)[::-1][:3] if change[i] > 0.5 * change.max()]
            what = "a sign that the data do not support so many components" if target.shape.n_components > 1 else "rare"
            warn(
                f"the posterior has several modes, with log densities {best.value:.2f} and {other.value:.2f}, which is "
                f"{what}; they differ in {', '.join(names)}. Chains start at the first. Compare method='nuts' with "
                "method='psis', and give priors that say what you know.",
                ConvergenceWarning,
            )
            return


def _log_det(hessian: Array) -> float:
    return float(np.sum(np.log(np.maximum(np.linalg.eigvalsh(-hessian), 1e-3))))


def _chains(
    problem: EffectsProblem, target: EffectsTarget, mode: Mode, request: SampleRequest, seed: int
) -> tuple[Array, xr.Dataset]:
    if request.method == "nuts":
        return by_nuts(target, mode, request, seed, names=target.names)
    try:
        return by_importance(target, mode, request, seed)
    except SamplingError as error:
        if not isinstance(problem.effects, Mixture):
            raise
        raise SamplingError(
            f"{error} With effects={{{problem.labels.factors[0].name!r}: {problem.effects}}} that is most often a "
            "mixture that the data do not support: compare fewer components, or normal effects."
        ) from error


def _warn_of_components(problem: EffectsProblem, drawn: EffectsParameters, effects: DrawnEffects) -> None:
    """Say where the data do not support the components."""
    assert drawn.weight is not None
    assert effects.probability is not None
    factor, J = problem.labels.factors[0], len(problem.labels.factors[0].levels)
    probability = effects.probability
    owned = (probability.mean(axis=0) if probability.ndim == 3 else probability) > _OWNED
    low = np.quantile(drawn.weight, _LOW, axis=0)
    empty = [k for k in range(drawn.weight.shape[1]) if not owned[:, k].any() or low[k] * J < 1.0]
    if not empty:
        return
    parts = []
    for k in empty:
        most = (probability.mean(axis=0) if probability.ndim == 3 else probability)[:, k].max()
        parts.append(
            f"component {k} has weight {drawn.weight[:, k].mean():.2f} ({_LOW:.0%} quantile {low[k]:.3f}), and "
            f"the largest probability of a group of {factor.name} to belong to it is {most:.2f}"
        )
    warn(
        f"the data do not support {problem.effects} for {factor.name}: {'; '.join(parts)}. What is said of single "
        "components is then mostly their prior. Compare fewer components, normal effects or hr.StudentT().",
        IdentificationWarning,
    )


def to_pymc_with_effects(problem: EffectsProblem, parametrization: str) -> Any:
    """Return the model in PyMC."""
    check_choice(parametrization, PARAMETRIZATIONS, argument="parametrization", error=ModelError)
    if parametrization == "marginal":
        refuse(problem, "to_pymc('marginal')")
    if parametrization == "noncentered" and isinstance(problem.effects, Mixture):
        refuse(problem, "to_pymc('noncentered')")
    check_has_rows(problem, f"parametrization={parametrization!r}")
    from hierreg.pymc_model.effects import build_with_effects

    return build_with_effects(problem.design, problem.layout, problem.priors, problem.shape, parametrization)
