"""The sensitivity of one fit: power scaling, prior against posterior, and a verdict for each quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ConvergenceWarning
from hierreg.linear.quantity import in_link
from hierreg.predictive.power_scaling import Powers, powered_posteriors
from hierreg.predictive.powered import CONDITIONAL, LIKELIHOOD, PRIOR
from hierreg.priors import Flat
from hierreg.priors.changed import priors_by_name
from hierreg.reports.sensitivity import Sensitivity
from hierreg.studies.prior_sensitivity.from_prior import prior_values
from hierreg.studies.prior_sensitivity.measures import (
    moments_of,
    overlap,
    quartile_spread,
)
from hierreg.studies.prior_sensitivity.refitted import priors_by_fits
from hierreg.studies.prior_sensitivity.scaled import POWERS, Scaled, scaled
from hierreg.studies.prior_sensitivity.verdicts import Evidence, in_words, verdict
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.powered import Powered
    from hierreg.problem.family import FamilyProblem
    from hierreg.problem.problem import Problem
    from hierreg.studies.prior_sensitivity.from_prior import PriorValues
    from hierreg.studies.prior_sensitivity.quantities import Quantities

    Array = NDArray[np.float64]

K_LIMIT = 0.7
# Times that weights are moved along the draws to see what noise gives.
_SHIFTS = 8
_MOST_RESAMPLED = 1000
_WHOLE = (PRIOR, LIKELIHOOD)


def scaled_fit(
    problem: Problem | FamilyProblem,
    tree: xr.DataTree,
    quantities: Quantities,
    limits: tuple[float, float],
    how: tuple[int, str],
) -> Sensitivity:
    """Return the sensitivity of a fit.

    Parameters
    ----------
    problem : Problem or FamilyProblem
        That of the tree.
    tree : DataTree
    quantities : Quantities
    limits : (float, float)
        Probability of the intervals, and the threshold of sensitivities.
    how : (int, str)
        The seed, and which likelihood has powers.
    """
    (ci_prob, threshold), (seed, likelihood) = limits, how
    evaluate, every = quantities.recorder()
    asked = Powers(alphas=POWERS, seed=seed, likelihood=likelihood, with_groups=quantities.reads_groups)
    values, powered = powered_posteriors(problem, tree, evaluate, asked)
    varies = np.ptp(values, axis=0) > 0
    sizes = tree["posterior"].sizes
    at, refitted = _with_fits(
        scaled(values, powered),
        lambda: priors_by_fits(problem, quantities, POWERS, (sizes["chain"], sizes["draw"]), seed),
    )
    places = [i for i in range(len(every)) if varies[i]]
    before = prior_values(problem, quantities, seed)
    evidence = [_evidence(at, every[i], i, before, seed) for i in places]
    _warn_of_weights(at)
    report = _report(at, [every[i] for i in places], places, ci_prob).assign(_columns(evidence, before, threshold))
    return report.assign_attrs(
        heading=_heading(tree),
        response=_response(tree),
        ci_prob=ci_prob,
        threshold=threshold,
        likelihood=likelihood,
        note=refitted + _note(problem, [name for i, name in enumerate(every) if not varies[i]], threshold, likelihood),
    )


def _with_fits(at: Scaled, fits: Callable[[], list[Powered] | None]) -> tuple[Scaled, str]:
    """Return posteriors under powers of the priors by fits where weights cannot be trusted, and what to say of it."""
    found = fits() if _is_bad(at, PRIOR) else None
    if found is None:
        return at, ""
    k = max(at.pareto_k(PRIOR, alpha) for alpha in POWERS)
    others = [one for (component, _), one in at.powered.items() if component != PRIOR]
    return scaled(at.values, [*others, *found]), (
        f"Powers of all priors are by fits under them: weights of the draws cannot follow (Pareto k up to {k:.2f}).\n"
    )


def _evidence(at: Scaled, name: str, place: int, before: PriorValues, seed: int) -> Evidence:
    x, y = at.values[:, place], before.values[name]
    shifts = np.random.default_rng([seed, place]).integers(len(x) // 10, len(x) - len(x) // 10, _SHIFTS)
    parts = {one: at.sensitivity(one, place) for one in at.components if one not in _WHOLE}
    is_flat = before.is_flat[name]
    contraction, shared = (1.0, 0.0) if is_flat else _beside_prior(x, y, is_heavy=before.is_heavy[name])
    return Evidence(
        name=name,
        prior=at.sensitivity(PRIOR, place),
        likelihood=at.sensitivity(LIKELIHOOD, place),
        noise=(at.noise(PRIOR, place, shifts), at.noise(LIKELIHOOD, place, shifts)),
        moved_by_prior=at.moved(PRIOR, place),
        moved_by_likelihood=at.moved(LIKELIHOOD, place),
        contraction=contraction,
        overlap=shared,
        is_flat=is_flat,
        most=max(parts, key=lambda one: parts[one]) if parts else "",
        weights_are_bad=(_is_bad(at, PRIOR), _is_bad(at, LIKELIHOOD)),
    )


def _beside_prior(x: Array, y: Array, *, is_heavy: bool) -> tuple[float, float]:
    """Return contraction and overlap of draws x of the posterior and y of the prior; NaN where these are not finite.

    Where a prior has no variance, the distance of quartiles stands for the standard deviations.
    """
    if not np.isfinite(y).all():
        return np.nan, np.nan
    spread = quartile_spread if is_heavy else np.std
    with np.errstate(over="ignore"):
        before = float(spread(y))
    return (1.0 - (float(spread(x)) / before) ** 2 if before > 0 else np.nan), overlap(x, y)


def _is_bad(at: Scaled, component: str) -> bool:
    return any(at.pareto_k(component, alpha) > K_LIMIT for alpha in POWERS)


def _warn_of_weights(at: Scaled) -> None:
    bad = [component for component in _WHOLE if _is_bad(at, component)]
    if bad:
        worst = max(at.pareto_k(component, alpha) for component in bad for alpha in POWERS)
        warn(
            f"powers of the {' and of the '.join(bad)} change the posterior more than weights of its draws can follow "
            f"(Pareto k up to {worst:.2f}; at most {K_LIMIT} will do). Fit again under other priors instead: "
            "hr.sensitivity(model, powers=[0.5, 2]).",
            ConvergenceWarning,
        )


def _columns(evidence: list[Evidence], before: PriorValues, threshold: float) -> dict[str, Any]:
    """Return the evidence and the verdicts, over quantities."""
    fields = ("prior", "likelihood", "moved_by_prior", "moved_by_likelihood", "contraction", "overlap")
    out: dict[str, Any] = {name: [getattr(one, name) for one in evidence] for name in fields}
    out["prior_noise"], out["likelihood_noise"] = ([one.noise[i] for one in evidence] for i in range(2))
    out["prior_median"] = [np.nan if one.is_flat else float(np.median(before.values[one.name])) for one in evidence]
    out["prior_sd"] = [np.inf if one.is_flat else _prior_sd(before, one.name) for one in evidence]
    said = [verdict(one, threshold) for one in evidence]
    words = {"verdict": said, "evidence": [in_words(one, what) for one, what in zip(evidence, said, strict=True)]}
    return {name: (("quantity",), np.array(column, dtype=float)) for name, column in out.items()} | {
        name: (("quantity",), np.array(column, dtype=object)) for name, column in words.items()
    }


def _prior_sd(before: PriorValues, name: str) -> float:
    values = before.values[name]
    if before.is_heavy[name]:
        return np.inf
    with np.errstate(over="ignore"):
        return float(np.std(values)) if np.isfinite(values).all() else np.nan


def _report(at: Scaled, names: list[str], places: list[int], ci_prob: float) -> Sensitivity:
    """Return moments under each power, sensitivities to each prior, and what the weights are worth."""
    S, parts = len(at.values), [one for one in at.components if one not in _WHOLE]
    even = np.full(S, 1.0 / S)
    powers = (POWERS[0], 1.0, POWERS[1])
    under = np.empty((len(_WHOLE), len(powers), len(places), 4))
    for c, component in enumerate(_WHOLE):
        for a, alpha in enumerate(powers):
            one = at.powered.get((component, alpha))
            for q, i in enumerate(places):
                own, weight = (at.values, even) if one is None else (one.values, at.weight(component, alpha, i))
                under[c, a, q] = moments_of(own[:, i], weight, ci_prob)
    over = ("component", "power", "quantity")
    data: dict[str, Any] = {
        f"{name}_at": (over, under[..., i]) for i, name in enumerate(("mean", "sd", "lower", "upper"))
    }
    data |= {name: (("quantity",), under[0, 1, :, i]) for i, name in enumerate(("mean", "sd", "lower", "upper"))}
    data["draws_at"] = (("component", "power", "resampled", "quantity"), _resampled(at, places, powers))
    data["by_prior"] = (
        ("quantity", "part"),
        np.array([[at.sensitivity(part, i) for part in parts] for i in places]).reshape(len(places), len(parts)),
    )
    data["pareto_k"] = (
        ("component", "power"),
        np.array([[_k(at, component, alpha) for alpha in powers] for component in _WHOLE]),
    )
    return Sensitivity(
        data, coords={"quantity": names, "component": list(_WHOLE), "power": list(powers), "part": parts}
    )


def _resampled(at: Scaled, places: list[int], powers: tuple[float, ...]) -> Array:
    """Return draws of equal weight under each power, for figures: (component, power, draw, quantity)."""
    S = len(at.values)
    n = min(S, _MOST_RESAMPLED)
    middle = (np.arange(n) + 0.5) / n
    out = np.empty((len(_WHOLE), len(powers), n, len(places)))
    for c, component in enumerate(_WHOLE):
        for a, alpha in enumerate(powers):
            one = at.powered.get((component, alpha))
            for q, i in enumerate(places):
                weight = np.full(S, 1.0 / S) if one is None else at.weight(component, alpha, i)
                values = at.values if one is None else one.values
                order = np.argsort(values[:, i])
                # Quantiles of the weighted distribution, of each quantity by itself.
                chosen = np.searchsorted(np.cumsum(weight[order]), middle).clip(max=S - 1)
                out[c, a, :, q] = values[order[chosen], i]
    return out


def _k(at: Scaled, component: str, alpha: float) -> float:
    return at.pareto_k(component, alpha) if (component, alpha) in at.powered else np.nan


def _heading(tree: xr.DataTree) -> str:
    sizes = tree["posterior"].sizes
    return f"{tree.attrs['formula']}: powers of priors and likelihood, {sizes['chain']} x {sizes['draw']} draws"


def _response(tree: xr.DataTree) -> str:
    """Return what coefficients are in units of."""
    attrs = tree.attrs
    return in_link(str(attrs["response"]), str(attrs.get("family", "")), str(attrs.get("link", "identity")))


def _note(problem: Problem | FamilyProblem, constant: list[str], threshold: float, likelihood: str) -> str:
    lines = [f"prior, likelihood: how the posterior answers to powers of them, which counts from {threshold:g} on."]
    if likelihood == CONDITIONAL:
        lines.append(
            "The likelihood is that of rows in known groups: its powers stand for more rows, not for more groups."
        )
    names = [
        name
        for name, prior in zip(problem.design.coef_names, problem.priors.beta, strict=False)
        if isinstance(prior, Flat)
    ]
    if names:
        lines.append(f"Flat priors have no powers, and are left as they are: {', '.join(names)}.")
    if constant:
        lines.append(f"Known, and left out: {', '.join(constant)}.")
    if not priors_by_name(problem.priors):
        lines.append("All parameters are known: there is no prior to be scaled.")
    return "\n".join(lines)
