"""Expectations that many worked models share: every field of an estimate, moments of a posterior."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from models.catalogue import HERE, Expectation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _sd_of_b(estimate: Any, answer: Mapping[str, Any]) -> Any:
    factor = answer["factor"]
    cov = estimate.b_cov[factor].sel({factor: answer["levels"]}).values
    return np.sqrt(np.diagonal(cov, axis1=1, axis2=2))


FIELDS = {
    "beta": lambda e, a: e.beta.sel(coef=a["coef"]),
    "beta_se": lambda e, a: e.beta_se.sel(coef=a["coef"]),
    "sd": lambda e, _: np.concatenate([sd.values for sd in e.sd.values()]),
    "corr": lambda e, _: next(iter(e.corr.values())),
    "error_sd": lambda e, _: e.error_sd,
    "error_corr": lambda e, _: e.error_corr,
    "criterion": lambda e, _: e.criterion,
    "b": lambda e, a: e.b[a["factor"]].sel({a["factor"]: a["levels"]}),
    "b_sd": _sd_of_b,
}


def answers(name: str) -> dict[str, Any]:
    """Return the answers of other software that a worked model keeps in ``answers.json``, with their sources."""
    return json.loads((HERE / name / "answers.json").read_text(encoding="utf-8"))


def of_an_estimate(
    title: str, estimate: Callable[[], Any], answer: Mapping[str, Any], *, relative: float = 1e-5
) -> list[Expectation]:
    """Return an expectation for each field that an answer has; the criterion to 1e-9."""
    return [
        Expectation(
            name=f"{title}: {field}",
            kind="other software",
            source=answer["source"],
            value=answer[field],
            found=lambda take=take: take(estimate(), answer),
            relative=1e-9 if field == "criterion" else relative,
            absolute=relative * float(np.max(np.abs(answer[field]))) if field in {"b", "corr"} else 0.0,
        )
        for field, take in FIELDS.items()
        if field in answer
    ]


def of_factors(
    title: str, estimate: Callable[[], Any], answer: Mapping[str, Any], *, relative: float = 1e-6
) -> list[Expectation]:
    """Return an expectation for each field of each grouping factor of an answer that has ``factors``.

    ``b_sd`` has the uncertainty of beta, ``b_cond_sd`` takes beta as known.
    """

    def sds(covs: str, factor: str, levels: list[str]) -> Any:
        return np.sqrt(getattr(estimate(), covs)[factor].sel({factor: levels})[:, 0, 0])

    out = []
    for name, known in answer["factors"].items():
        levels = known["levels"]
        found = {
            "sd": lambda name=name: estimate().sd[name][0],
            "b": lambda name=name, levels=levels: estimate().b[name].sel({name: levels})[:, 0],
            "b_sd": partial(sds, "b_cov", name, levels),
            "b_cond_sd": partial(sds, "b_cond_cov", name, levels),
        }
        out += [
            Expectation(
                name=f"{title}: {field} of {name}",
                kind="other software",
                source=answer["source"],
                value=known[field],
                found=take,
                relative=relative,
                absolute=relative * known["sd"] if field == "b" else 0.0,
            )
            for field, take in found.items()
        ]
    return out


def of_draws(title: str, draws: Callable[[], Any], moments: tuple[float, float], source: str) -> list[Expectation]:
    """Return the expectations that draws have a mean and an sd, to Monte-Carlo error.

    The sd is compared as the mean squared deviation from the expected mean.
    """
    mean, sd = moments
    kind = "other software" if source.startswith("NumPy") else "closed form"
    common = partial(Expectation, kind=kind, source=source, mc_errors=4)
    return [
        common(name=f"{title}, mean", value=mean, found=draws),
        common(name=f"{title}, variance", value=sd**2, found=lambda: (np.asarray(draws()) - mean) ** 2),
    ]


def of_other_draws(
    known: Mapping[str, Any], posterior: Callable[[], Any], scalars: Callable[[str], bool], *, is_chain: bool = True
) -> list[Expectation]:
    """Return the expectations that a posterior has the moments of another sampler's draws, and that none diverges.

    Parameters
    ----------
    known : dict
        ``source``, and ``posterior`` with the mean, sd and Monte-Carlo error of each variable.
    posterior : callable
        Returns the tree.
    scalars : callable
        Whether a variable has one element, which stands in an array of one.
    is_chain : bool
        Whether the draws are those of NUTS, whose trajectories may diverge.
    """

    def draws(name: str) -> Any:
        values = posterior()["posterior"][name].to_numpy()
        return values[..., 0] if scalars(name) else values

    def squares(name: str, mean: Any) -> Any:
        return (draws(name) - mean) ** 2

    common = partial(Expectation, kind="other software", source=known["source"], mc_errors=4)
    out = []
    for name, moments in known["posterior"].items():
        mean, sd, mcse = (np.asarray(moments[what]) for what in ("mean", "sd", "mcse"))
        # Both sides are draws: the error of the reference is added; of a variance, with as many effective draws.
        allowed, of_variance = 4 * float(np.max(mcse)), 4 * float(np.max(np.sqrt(2) * mcse / sd))
        out += [
            common(name=f"posterior: {name}, mean", value=mean, found=partial(draws, name), absolute=allowed),
            common(
                name=f"posterior: {name}, variance",
                value=sd**2,
                found=partial(squares, name, mean),
                relative=of_variance,
            ),
        ]
    divergent = Expectation(
        name="trajectories that diverge",
        kind="truth",
        source="none should",
        value=0.0,
        found=lambda: int(posterior()["sample_stats"]["diverging"].sum()),
        absolute=0.5,
    )
    return [*out, divergent] if is_chain else out
