"""Answers of students in schools: lme4, and what full Bayes has to agree with when there are 160 groups."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr

import hierreg as hr
from models.catalogue import Expectation, sample
from models.comparisons import answers, of_an_estimate
from models.schools.model import NEW, build, cross_level, three_students


@cache
def estimate(name: str) -> Any:
    """Return one of the three estimates."""
    return cross_level().estimate("reml") if name == "cross_level" else build().estimate(name)  # type: ignore[arg-type]


@cache
def posterior() -> xr.Dataset:
    """Return draws under the default priors."""
    return sample(build())["posterior"].dataset


def expectations() -> list[Expectation]:
    """Return all expectations."""
    known = answers("schools")
    out = []
    for name, answer in known.items():
        # The correlation of the cross-level model is exactly one, where the criterion is flat to first order.
        out += of_an_estimate(name, partial(estimate, name), answer, relative=1e-4 if name == "cross_level" else 1e-5)
    reml = known["reml"]
    # Of 320 effects of schools one slope differs most: 0.252 sds, in 40,000 draws by NUTS and as many by importance
    # sampling (0.246 to 0.259 from seed to seed). What is allowed leaves 4 Monte-Carlo errors of 4,000 draws.
    agreement = (
        ("beta", 0.25, reml["beta"], lambda: posterior()["beta"].sel(coef=reml["coef"])),
        ("error_sd", 0.25, reml["error_sd"], lambda: posterior()["error_sd"]),
        ("school effects", 0.32, reml["b"], lambda: posterior()["b_School"].sel(School=reml["levels"])),
    )
    out += [
        Expectation(
            name=f"posterior mean near REML: {what}",
            kind="other software",
            source=f"{reml['source']}; with 160 schools the variances are known well enough for the plug-in",
            value=value,
            found=found,
            sds=sds,
        )
        for what, sds, value, found in agreement
    ]
    return [*out, *of_predictions(reml)]


@cache
def predicted() -> Any:
    """Return the predictions of a student in an observed school and in a new one, at REML."""
    return hr.predict(build(), NEW, estimate("reml"), level="new group")


def of_predictions(reml: dict[str, Any]) -> list[Expectation]:
    """Return the expectations about an observed school, a new school, and a school with three students."""
    x, z = np.array([1.0, NEW["MEANSES"][0], 1.0, NEW["SES"][0]]), np.array([1.0, NEW["SES"][0]])
    mean, b = float(x @ reml["beta"]), np.array(reml["b"][reml["levels"].index("1224")])
    Sigma = np.array(reml["corr"]) * np.outer(reml["sd"], reml["sd"])
    variance = float(x @ estimate("reml").beta_cov.sel(coef=reml["coef"], coef_col=reml["coef"]).values @ x)
    lme4 = f"x beta + z b from {reml['source']}"
    return [
        Expectation(
            name="predictions: school 1224, a new school",
            kind="other software",
            source=lme4,
            value=(mean + float(z @ b), mean),
            found=lambda: predicted()["mean"],
            relative=1e-6,
        ),
        Expectation(
            name="prediction sds: new school, new student in it",
            kind="closed form",
            source="x cov(beta) x' + z Sigma z', and error_sd^2 added",
            value=np.sqrt(variance + z @ Sigma @ z + np.array([0.0, reml["error_sd"] ** 2])),
            found=lambda: [float(predicted()["sd"][1]), float(predicted()["sd_new"][1])],
            relative=1e-5,
        ),
        Expectation(
            name="a school with three observed students",
            kind="closed form",
            source="b = Sigma Z'(Z Sigma Z' + error_sd^2 I)^-1 (y - X beta) of its three rows",
            value=effect_of_three(),
            found=lambda: of_three().b["School"].sel(School="8367"),
            relative=1e-7,
        ),
    ]


@cache
def of_three() -> Any:
    """Return the REML estimate where one school has three students."""
    return build(three_students()).estimate("reml")


def effect_of_three() -> np.ndarray:
    """Return the effects of the school with three students from its own rows, at the estimate."""
    rows, e = three_students().query("School == '8367'"), of_three()
    Z = np.column_stack([np.ones(3), rows["SES"]])
    X = np.column_stack([np.ones(3), rows["MEANSES"], rows["Sector"] == "Public", rows["SES"]])
    beta = e.beta.sel(coef=["Intercept", "MEANSES", "Sector[T.Public]", "SES"]).values
    Sigma = e.cov["School"].values
    V = Z @ Sigma @ Z.T + float(e.error_sd) ** 2 * np.eye(3)
    return Sigma @ Z.T @ np.linalg.solve(V, rows["MathAch"] - X @ beta)
