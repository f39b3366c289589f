"""The sensitivity of one fit: power scaling, prior against posterior, and a verdict for each quantity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ConvergenceWarning
from hierreg.predictive.power_scaling import powered_posteriors
from hierreg.predictive.powered import CONDITIONAL, LIKELIHOOD, PRIOR
from hierreg.priors import Flat
from hierreg.priors.changed import priors_by_name
from hierreg.reports.sensitivity import Sensitivity
from hierreg.studies.prior_sensitivity.from_prior import prior_values
from hierreg.studies.prior_sensitivity.measures import (
    Smoothed,
    distance,
    moments_of,
    noise_of,
    overlap,
    quartile_spread,
    smoothed,
)
from hierreg.studies.prior_sensitivity.verdicts import Evidence, in_words, verdict
from hierreg.warning import warn

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.powered import Powered
    from hierreg.problem.family import FamilyProblem
    from hierreg.problem.problem import Problem
    from hierreg.studies.prior_sensitivity.from_prior import PriorValues
    from hierreg.studies.prior_sensitivity.quantities import Quantities

    Array = NDArray[np.float64]

# Those of `arviz_plots.plot_psense_dist`.
POWERS = (0.8, 1.25)
K_LIMIT = 0.7
# Times that weights are moved along the draws to see what noise gives.
_SHIFTS = 8
_WHOLE = (PRIOR, LIKELIHOOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scaled:
    """A fit under all powers.

    Attributes
    ----------
    values : array (S, Q)
    powered : dict of Powered
        By component and power.
    smoothed : dict of tuples of Smoothed
        By component and power, as many as there are different weights.
    """

    values: Array
    powered: dict[tuple[str, float], Powered]
    smoothed: dict[tuple[str, float], tuple[Smoothed, ...]]

    def weight(self, component: str, alpha: float, place: int) -> Array:
        """Return the weights (S,) of a quantity."""
        which = int(self.powered[component, alpha].which[place])
        return self.smoothed[component, alpha][which].weight

    def pareto_k(self, component: str, alpha: float) -> float:
        """Return the largest k of the weights that quantities have; NaN where they are all the same."""
        used = np.unique(self.powered[component, alpha].which)
        k = np.array([self.smoothed[component, alpha][i].pareto_k for i in used])
        return float(np.max(k, initial=-np.inf, where=~np.isnan(k))) if np.any(~np.isnan(k)) else np.nan

    @property
    def components(self) -> list[str]:
        """Names of what has powers."""
        return list(dict.fromkeys(component for component, _ in self.powered))

    def sensitivity(self, component: str, place: int) -> float:
        """Return the mean rate of the distance from the posterior as it is, by the binary logarithm of the power."""
        rates = [
            self._distance(component, alpha, place) / abs(np.log2(alpha))
            for name, alpha in self.powered
            if name == component
        ]
        return float(np.mean(rates))

    def _distance(self, component: str, alpha: float, place: int) -> float:
        one = self.powered[component, alpha]
        x = self.values[:, place]
        y = x if one.values is self.values else one.values[:, place]
        return distance(x, y, self.weight(component, alpha, place))

    def noise(self, component: str, place: int, shifts: NDArray[np.intp]) -> float:
        """Return what weights that say nothing of a quantity would give."""
        x = self.values[:, place]
        rates = [
            noise_of(x, self.weight(component, alpha, place), shifts) / abs(np.log2(alpha))
            for name, alpha in self.powered
            if name == component
        ]
        return float(np.mean(rates))

    def mean(self, component: str, alpha: float, place: int) -> float:
        """Return the mean of a quantity under a power."""
        return float(self.weight(component, alpha, place) @ self.powered[component, alpha].values[:, place])

    def moved(self, component: str, place: int) -> float:
        """Return how many posterior sds the mean moves where the power is doubled."""
        low, high = (self.mean(component, alpha, place) for alpha in POWERS)
        doublings = np.log2(POWERS[1] / POWERS[0])
        return (high - low) / float(self.values[:, place].std() * doublings)


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
    every = list(quantities.read(tree["posterior"].to_dataset()))
    values, powered = powered_posteriors(problem, tree, quantities.evaluate, POWERS, seed, likelihood)
    varies = np.ptp(values, axis=0) > 0
    at = _Scaled(
        values=values,
        powered={(one.component, one.alpha): one for one in powered},
        smoothed={(one.component, one.alpha): tuple(map(smoothed, one.log_ratio)) for one in powered},
    )
    places = [i for i in range(len(every)) if varies[i]]
    before = prior_values(problem, quantities, seed)
    evidence = [_evidence(at, every[i], i, before, seed) for i in places]
    said = [verdict(one, threshold) for one in evidence]
    _warn_of_weights(at)
    report = _report(at, [every[i] for i in places], places, ci_prob)
    report = report.assign(
        {name: (("quantity",), column) for name, column in _columns(evidence, before).items()}
        | {
            "verdict": (("quantity",), np.array(said, dtype=object)),
            "evidence": (
                ("quantity",),
                np.array([in_words(one, what) for one, what in zip(evidence, said, strict=True)], dtype=object),
            ),
        }
    )
    return report.assign_attrs(
        heading=_heading(tree),
        ci_prob=ci_prob,
        threshold=threshold,
        likelihood=likelihood,
        note=_note(problem, [name for i, name in enumerate(every) if not varies[i]], threshold, likelihood),
    )


def _evidence(at: _Scaled, name: str, place: int, before: PriorValues, seed: int) -> Evidence:
    x, y = at.values[:, place], before.values[name]
    shifts = np.random.default_rng([seed, place]).integers(len(x) // 10, len(x) - len(x) // 10, _SHIFTS)
    parts = {one: at.sensitivity(one, place) for one in at.components if one not in _WHOLE}
    spread = quartile_spread if before.is_heavy[name] else np.std
    is_flat = before.is_flat[name]
    return Evidence(
        name=name,
        prior=at.sensitivity(PRIOR, place),
        likelihood=at.sensitivity(LIKELIHOOD, place),
        noise=(at.noise(PRIOR, place, shifts), at.noise(LIKELIHOOD, place, shifts)),
        moved_by_prior=at.moved(PRIOR, place),
        moved_by_likelihood=at.moved(LIKELIHOOD, place),
        contraction=1.0 if is_flat else 1.0 - float(spread(x) / spread(y)) ** 2,
        overlap=0.0 if is_flat else overlap(x, y),
        is_flat=is_flat,
        most=max(parts, key=lambda one: parts[one]) if parts else "",
        weights_are_bad=(_is_bad(at, PRIOR), _is_bad(at, LIKELIHOOD)),
    )


def _is_bad(at: _Scaled, component: str) -> bool:
    return any(at.pareto_k(component, alpha) > K_LIMIT for alpha in POWERS)


def _warn_of_weights(at: _Scaled) -> None:
    bad = [component for component in _WHOLE if _is_bad(at, component)]
    if bad:
        worst = max(at.pareto_k(component, alpha) for component in bad for alpha in POWERS)
        warn(
            f"powers of the {' and of the '.join(bad)} change the posterior more than weights of its draws can follow "
            f"(Pareto k up to {worst:.2f}; at most {K_LIMIT} will do). Fit again under other priors instead: "
            "hr.sensitivity(model, powers=[0.5, 2]).",
            ConvergenceWarning,
        )


def _columns(evidence: list[Evidence], before: PriorValues) -> dict[str, Array]:
    fields = ("prior", "likelihood", "moved_by_prior", "moved_by_likelihood", "contraction", "overlap")
    out = {name: np.array([getattr(one, name) for one in evidence]) for name in fields}
    out["prior_noise"], out["likelihood_noise"] = np.array([one.noise for one in evidence]).reshape(-1, 2).T
    moments = [
        (np.nan, np.inf) if one.is_flat else (float(np.median(before.values[one.name])), _prior_sd(before, one.name))
        for one in evidence
    ]
    out["prior_median"], out["prior_sd"] = np.array(moments).reshape(-1, 2).T
    return out


def _prior_sd(before: PriorValues, name: str) -> float:
    return np.inf if before.is_heavy[name] else float(np.std(before.values[name]))


def _report(at: _Scaled, names: list[str], places: list[int], ci_prob: float) -> Sensitivity:
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


def _k(at: _Scaled, component: str, alpha: float) -> float:
    return at.pareto_k(component, alpha) if (component, alpha) in at.powered else np.nan


def _heading(tree: xr.DataTree) -> str:
    sizes = tree["posterior"].sizes
    return f"{tree.attrs['formula']}: powers of priors and likelihood, {sizes['chain']} x {sizes['draw']} draws"


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
