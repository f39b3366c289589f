"""What simulated studies say of their design."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.display.numbers import percent
from hierreg.exceptions import ModelError
from hierreg.reports.study_plan import StudyPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.studies.planned import Plan, Simulated

    Array = NDArray[np.float64]


def report_of(plan: Plan, found: dict[int, Simulated], n: int, attrs: dict[str, Any]) -> StudyPlan:
    """Return the report of simulated studies, by number.

    Raises
    ------
    ModelError
        If too few have an analysis.
    """
    by_size = [[one for number, one in sorted(found.items()) if number // n == k] for k in range(len(plan.sizes))]
    good = [[one for one in own if not one.message] for own in by_size]
    bad = [one for own in by_size for one in own if one.message]
    if any(len(own) < 2 for own in good):
        raise ModelError(
            f"fewer than two studies of a size have an analysis; the first: {bad[0].message if bad else ''}"
        )
    columns = [_summary(own) for own in good]
    variables = {name: (("study", "contrast"), np.array([one[name] for one in columns])) for name in columns[0]}
    effects = [f"{f.name}, {coef}" for f in plan.problem.labels.factors for coef in f.coef]
    effects = [name.partition(", ")[2] for name in effects] if len(plan.problem.labels.factors) == 1 else effects
    counts = np.array([(own[0].groups, np.mean([one.rows for one in own])) for own in good])
    coords: dict[str, Any] = {"study": [_named(*size) for size in counts], "contrast": list(plan.names)}
    extra: dict[str, Any] = {"groups": (("study",), counts[:, 0].astype(np.intp)), "rows": (("study",), counts[:, 1])}
    if effects:
        means = np.array([np.mean([one.reliability for one in own], axis=0) for own in good])
        extra["reliability"], coords["effect"] = (("study", "effect"), means), effects
    said = f"{plan.problem.formula}: {n} simulated studies of each size, method={plan.method!r}"
    is_posterior = plan.method != "reml"
    about = {"heading": said, "ci_prob": plan.prob, "is_posterior": is_posterior, "method": plan.method}
    return StudyPlan(variables | extra, coords=coords, attrs=attrs | about | {"note": _note(plan, bad, good)})


def _summary(own: list[Simulated]) -> dict[str, Array]:
    """Return what is said of each contrast, from the studies of one size."""
    truth, mean, sd, lower, upper = (
        np.array([getattr(one, name) for one in own]) for name in ("truth", "mean", "sd", "lower", "upper")
    )
    without = (lower > 0) | (upper < 0)
    power = without.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        decided = without.sum(axis=0)
        wrong = np.sum(without & (np.sign(mean) != np.sign(truth)), axis=0) / decided
        ratio = np.where(without & (truth != 0), np.abs(mean / truth), 0.0).sum(axis=0) / decided
    ratio = np.where(np.any(truth == 0, axis=0), np.nan, ratio)
    return {
        "sd": sd.mean(axis=0),
        "sd_mcse": sd.std(axis=0, ddof=1) / np.sqrt(len(own)),
        "power": power,
        "power_mcse": np.sqrt(np.maximum(power * (1 - power), 0.5 / len(own) * (1 - 0.5 / len(own))) / len(own)),
        "coverage": np.mean((lower <= truth) & (truth <= upper), axis=0),
        "wrong_sign": np.where(np.any(truth == 0, axis=0), np.nan, wrong),
        "exaggeration": ratio,
    }


def _named(groups: float, rows: float) -> str:
    each = f"{rows:.0f} rows" if abs(rows - round(rows)) < 1e-9 else f"{rows:.1f} rows"
    return f"{groups:.0f} groups of {each}" if groups else each


def _note(plan: Plan, bad: list[Simulated], good: list[list[Simulated]]) -> str:
    where = "draws of the posterior" if plan.draws is not None else "draws from the priors"
    where = "the same parameters" if plan.truth is not None else where
    given = f", with {', '.join(f'{name} = {value:g}' for name, value in plan.effects.items())}" if plan.effects else ""
    what = "se: standard error" if plan.method == "reml" else "sd: posterior sd"
    about = (
        f"Simulated at {where}{given}. {what} of the contrast, on average; share of {percent(plan.prob)} intervals "
        "without zero; of those, wrong signs and exaggeration (estimate over true value). rel.: reliability, the share "
        "of the variance of group coefficients that their rows determine, variances known."
    )
    lines = [about]
    if bad:
        lines.append(f"{len(bad)} studies have no analysis and are left out; the first: {bad[0].message}")
    others = sum(one.by_nuts for own in good for one in own)
    if others:
        lines.append(f"{others} studies were analysed by NUTS: importance sampling does not represent their posterior.")
    return "\n".join(lines)
