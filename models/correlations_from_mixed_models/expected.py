"""Answers about two correlations: lme4 and nlme, the closed form of pairs, and the truth."""

from functools import cache, partial
from typing import Any

import numpy as np

import hierreg as hr
from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate
from models.correlations_from_mixed_models.model import (
    COMMON_AND_EXTRA,
    TRUTH,
    TWO_TERMS,
    alone,
    build,
    common_total,
    components,
    one_residual_variance,
    pair_ml,
    with_predictor,
)

FITS = {
    "two_terms": lambda: one_residual_variance(TWO_TERMS).estimate("reml"),
    "common_and_extra": lambda: one_residual_variance(COMMON_AND_EXTRA).estimate("reml"),
    "first_alone": lambda: alone("P").estimate("reml"),
    "second_alone": lambda: alone("T").estimate("reml"),
    "by_stratum": lambda: build().estimate("reml"),
    "by_stratum_ml": lambda: build().estimate("ml"),
    "with_predictor": lambda: with_predictor().estimate("reml"),
    "common_total": lambda: common_total().estimate("ml"),
    "components": lambda: hr.Model(COMMON_AND_EXTRA, components()).estimate("reml"),
}
# nlme, own_residual_reml: correlations with standard errors by the delta method
RECOVERED = {"P": (0.22666640923867593, 0.021212793553612348), "T": (0.8020177539847736, 0.007977728571724314)}
NLME = "nlme 3.1-162: lme(y ~ 1, random = list(f = pdDiag(~ 0 + R)), weights = varIdent(form = ~ 1 | R)), delta method"
SIMULATED = "set.seed(2021) in R; MASS::mvrnorm: correlations 0.2 and 0.8, all variances one"


@cache
def fit(name: str) -> Any:
    """Return one of the estimates."""
    return FITS[name]()


@cache
def posterior() -> Any:
    """Return draws of the model with residual variances by stratum; of the pairs only summaries are kept."""
    return sample(build(), group_effects="summary")["posterior"]


@cache
def common_posterior() -> Any:
    """Return draws of the model with a common total variance."""
    return sample(common_total())["posterior"]


def of_common_total(answer: dict[str, Any]) -> list[Expectation]:
    """Return the expectations about a common variance and a correlation per stratum."""
    truth, se = answer["estimate"], answer["se"]
    names = ["error_sd", "error_corr[P]", "error_corr[T]"]
    out = [
        Expectation(
            name="(v) common_total: mean, variance and both correlations by ML",
            kind="other software",
            source=answer["source"],
            value=truth,
            found=lambda: [
                float(fit("common_total").beta[0]),
                float(fit("common_total").error_sd) ** 2,
                *fit("common_total").error_corr.values,
            ],
            relative=1e-5,
        ),
        Expectation(
            name="(v) common_total: standard errors of both correlations, delta method",
            kind="other software",
            source=answer["source"],
            value=se[2:],
            found=lambda: fit("common_total").variance_se.sel(parameter=names[1:]).values,
            relative=1e-4,
        ),
        Expectation(
            name="(v) common_total: criterion",
            kind="other software",
            source=answer["source"],
            value=answer["criterion"],
            found=lambda: fit("common_total").criterion,
            relative=1e-9,
        ),
    ]
    for i, stratum in enumerate(TRUTH):
        out += [
            Expectation(
                name=f"(v) correlation of {stratum}: posterior mean",
                kind="other software",
                source=answer["source"],
                value=truth[2 + i],
                found=partial(of_common_draws, stratum),
                sds=0.25,
            ),
            Expectation(
                name=f"(v) correlation of {stratum}: truth",
                kind="truth",
                source=SIMULATED,
                value=TRUTH[stratum],
                found=partial(of_common_draws, stratum),
                sds=3,
            ),
        ]
    return out


def of_common_draws(stratum: str) -> Any:
    """Return the draws of the correlation of a stratum under a common variance."""
    return common_posterior()["error_corr"].sel(R=stratum)


def of_fit(name: str) -> dict[str, float]:
    """Return the two correlations that a fit implies: between pairs over total, by stratum."""
    e = fit(name)
    between = np.asarray(e.sd["f"]) ** 2
    if "Intercept" in e.sd["f"].f_coef.values:  # R2 then stands for what T has in addition
        between = np.cumsum(between)
    within = np.broadcast_to(np.asarray(e.error_sd) ** 2, 2)
    return dict(zip(TRUTH, (between / (between + within)).tolist(), strict=True))


def of_draws(stratum: str) -> Any:
    """Return the draws of the correlation of a stratum."""
    column = {"P": "R1", "T": "R2"}[stratum]
    between = posterior()["sd_f"].sel(f_coef=column) ** 2
    return between / (between + posterior()["error_sd"].sel(R=stratum) ** 2)


def of_strata(stratum: str) -> list[Expectation]:
    """Return the expectations about the correlation of a stratum."""
    r, se = RECOVERED[stratum]
    between, within = pair_ml(stratum)
    return [
        Expectation(
            name=f"(iii) {stratum} alone by ML: variances between, within",
            kind="closed form",
            source="balanced layout of pairs: (SST / J - MSE) / 2 and MSE",
            value=(between, within),
            found=lambda: [float(alone(stratum).estimate("ml").sd["f"][0]) ** 2, ml_within(stratum)],
            relative=1e-6,
        ),
        Expectation(
            name=f"(iv) correlation of {stratum} by REML",
            kind="other software",
            source=NLME,
            value=r,
            found=lambda: of_fit("by_stratum")[stratum],
            relative=1e-5,
        ),
        Expectation(
            name=f"(iv) correlation of {stratum}: posterior mean",
            kind="other software",
            source=NLME,
            value=r,
            found=partial(of_draws, stratum),
            sds=0.25,
        ),
        Expectation(
            name=f"(iv) correlation of {stratum}: posterior sd",
            kind="other software",
            source=NLME,
            value=se,
            found=lambda: float(of_draws(stratum).std()),
            relative=0.1,
        ),
        Expectation(
            name=f"(iv) correlation of {stratum}: truth",
            kind="truth",
            source=SIMULATED,
            value=TRUTH[stratum],
            found=partial(of_draws, stratum),
            sds=3,
        ),
        Expectation(
            name=f"(iv) correlation of {stratum} with a predictor",
            kind="truth",
            source=SIMULATED + "; 0.5 x added",
            value=TRUTH[stratum],
            found=lambda: of_fit("with_predictor")[stratum],
            absolute=3 * se,
        ),
    ]


def ml_within(stratum: str) -> float:
    """Return the ML variance within pairs of a stratum."""
    return float(alone(stratum).estimate("ml").error_sd) ** 2


def implied(answer: dict[str, Any]) -> np.ndarray:
    """Return the correlations that sds of pair effects and one residual sd imply."""
    between = np.array(answer["sd"]) ** 2
    return between / (between + answer["error_sd"] ** 2)


def expectations() -> list[Expectation]:
    """Return all expectations."""
    known, out = answers("correlations_from_mixed_models"), []
    for name, answer in known.items():
        if name in FITS:
            # beta is nearly zero: it is compared through its standard error
            fields = {key: value for key, value in answer.items() if key != "beta"}
            out += of_an_estimate(name, partial(fit, name), fields)
    same = Expectation(
        name="(ii) two ways to write one model: same criterion",
        kind="closed form",
        source="variances a, b of (0 + R1 | f), (0 + R2 | f) are a, b - a of (1 | f), (0 + R2 | f), where b >= a",
        value=fit("two_terms").criterion,
        found=lambda: fit("common_and_extra").criterion,
        relative=1e-10,
    )
    both = Expectation(
        name="(ii) ... and the same correlations, neither 0.2 nor 0.8",
        kind="other software",
        source=f"sd^2 / (sd^2 + error_sd^2) of {known['two_terms']['source']}",
        value=implied(known["two_terms"]),
        found=lambda: list(of_fit("common_and_extra").values()),
        relative=1e-5,
    )
    plain = Expectation(
        name="variance components: variances of the plain model",
        kind="truth",
        source="components() in model.py: 0.2 between pairs, 0.6 more in T, 0.8 within; numpy default_rng(88)",
        value=(0.2, 0.6, 0.8),
        found=lambda: [*(fit("components").sd["f"].values ** 2), float(fit("components").error_sd) ** 2],
        absolute=0.12,
    )
    common = of_common_total(known["common_total_ml"])
    return [*out, same, both, *of_strata("P"), *of_strata("T"), *common, plain]
