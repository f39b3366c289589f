"""Answers about lecturers: the truth of the simulation within sampling error, and Henderson's equations written out."""

from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from models.catalogue import Expectation, sample
from models.lecturers.model import TRUTH, Equations, build, equations, number_of_ratings, simulated

GENERATOR = "simulate() in model.py: numpy default_rng(20263), TRUTH"
HENDERSON = "Henderson (1975), section 5: the equations of all 4,116 coefficients, by conjugate gradients"
FACTORS = ("student", "lecturer", "department")
EDGES = (0, 5, 20, 60, np.inf)
TOP = 113  # a tenth of the lecturers


@cache
def reml() -> Any:
    """Return the REML estimate."""
    return build().estimate("reml")


@cache
def posterior() -> xr.DataTree:
    """Return independent draws, by importance sampling."""
    return sample(build(), draws=100, method="psis")


@cache
def henderson() -> Equations:
    """Return the mixed-model equations at the REML estimate."""
    e = reml()
    return equations({factor: float(e.sd[factor][0]) for factor in FACTORS}, float(e.error_sd))


@cache
def solution() -> np.ndarray:
    """Return the solution of the equations."""
    return henderson().solve()


def truth() -> pd.Series:
    """Return the true effects of the lecturers."""
    return simulated().effects["lecturer"]


def by_size() -> pd.Series:
    """Return lecturers with few, median and many ratings."""
    ordered = number_of_ratings().sort_values(kind="stable")
    return ordered.iloc[[0, len(ordered) // 2, -1]]


def found_b(factor: str) -> np.ndarray:
    """Return the REML effects of a factor in the order of the equations."""
    e = reml()
    return e.b[factor].sel({factor: [level for name, level in henderson().places if name == factor]}).values[:, 0]


def plug_in() -> pd.DataFrame:
    """Return effects and prediction-error sds of the lecturers at REML, in the order of the true effects."""
    e, order = reml(), list(truth().index)
    b, cov = e.b["lecturer"].sel(lecturer=order), e.b_cov["lecturer"].sel(lecturer=order)
    return pd.DataFrame({"b": b.values[:, 0], "sd": np.sqrt(cov.values[:, 0, 0])}, index=order)


def draws() -> np.ndarray:
    """Return the draws of the effects of lecturers (sample, lecturer), in the order of the true effects."""
    b = posterior()["posterior"]["b_lecturer"].sel(lecturer=list(truth().index)).values[..., 0]
    return b.reshape(-1, b.shape[-1])


def ranks(effects: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis, 1 the best."""
    return 1 + np.argsort(np.argsort(-effects, axis=-1), axis=-1)


def errors_in_se() -> list[float]:
    """Return the errors of the REML estimates in their standard errors: intercept, service, four sds."""
    e = reml()
    beta = [(float(e.beta.sel(coef=c)) - TRUTH[c]) / float(e.beta_se.sel(coef=c)) for c in ("Intercept", "service")]
    sds = [float(e.sd[factor][0]) - TRUTH[factor] for factor in FACTORS]
    names = [f"sd_{factor}[Intercept]" for factor in FACTORS]
    se = e.variance_se.sel(parameter=[*names, "error_sd"]).values
    return [*beta, *np.array([*sds, float(e.error_sd) - TRUTH["error_sd"]]) / se]


def coverage() -> list[float]:
    """Return the share of lecturers whose 95 % interval has the true effect: at the plug-in, in the posterior."""
    p, b = plug_in(), truth()
    mean, sd = draws().mean(axis=0), draws().std(axis=0, ddof=1)
    return [float(np.mean(abs(b - p["b"]) < 1.96 * p["sd"])), float(np.mean(abs(b - mean) < 1.96 * sd))]


def calibration() -> np.ndarray:
    """Return, by number of ratings, mean squared error over mean predicted variance, less one, in standard errors."""
    p, groups = plug_in(), pd.cut(number_of_ratings(), EDGES)
    z = ((truth() - p["b"]) / p["sd"]) ** 2
    each = z.groupby(groups.values, observed=True)
    return (np.sqrt(each.size() / 2) * (each.mean() - 1)).to_numpy()


def slope_of_truth() -> float:
    """Return the slope of the true effects on the predicted ones, less one, in its standard error."""
    p = plug_in()
    squares = float(p["b"] @ p["b"])
    return (float(p["b"] @ truth()) / squares - 1) * squares / float(np.sqrt(np.sum((p["b"] * p["sd"]) ** 2)))


def winners() -> float:
    """Return true less predicted effect of the twenty best by prediction, in standard errors of their mean."""
    p = plug_in()
    best = p.nlargest(20, "b").index
    return float((truth() - p["b"])[best].sum() / np.sqrt(np.sum(p["sd"][best] ** 2)))


def rank_coverage() -> float:
    """Return the share of lecturers whose true rank is in the central 90 % of the ranks in the draws."""
    lower, upper = np.quantile(ranks(draws()), [0.05, 0.95], axis=0)
    true = ranks(truth().to_numpy())
    return float(np.mean((lower <= true) & (true <= upper)))


def in_the_top_tenth() -> pd.Series:
    """Return the posterior probability that a lecturer is among the best tenth."""
    return pd.Series((ranks(draws()) <= TOP).mean(axis=0), index=truth().index)


def found_in_the_top_tenth() -> float:
    """Return how many of the likeliest tenth are in the best tenth, less their probabilities, in standard errors."""
    likeliest = in_the_top_tenth().nlargest(TOP)
    true = pd.Series(ranks(truth().to_numpy()), index=truth().index)[likeliest.index]
    return float(((true <= TOP).sum() - likeliest.sum()) / np.sqrt(np.sum(likeliest * (1 - likeliest))))


def of_henderson() -> list[Expectation]:
    """Return the expectations about effects and their errors at the REML variances."""
    exact = partial(Expectation, kind="closed form", source=HENDERSON)
    out = [
        exact(
            name=f"effects of all {factor}s",
            value=[solution()[place] for (name, _), place in henderson().places.items() if name == factor],
            found=partial(found_b, factor),
            absolute=1e-8,
        )
        for factor in FACTORS
    ]
    return [
        *out,
        exact(
            name="population coefficients",
            value=solution()[:2],
            found=lambda: reml().beta.sel(coef=["Intercept", "service"]),
            relative=1e-8,
        ),
        exact(
            name="prediction-error sds: fewest, median, most ratings",
            value=[henderson().error_variance("lecturer", level) ** 0.5 for level in by_size().index],
            found=lambda: plug_in()["sd"][by_size().index],
            relative=1e-6,
        ),
    ]


def expectations() -> list[Expectation]:
    """Return all expectations; a share of n lecturers is binomial."""
    true = partial(Expectation, kind="truth", source=GENERATOR)
    n = len(truth())
    out = [
        true(
            name="errors of REML in standard errors: beta, four sds",
            value=np.zeros(6),
            found=errors_in_se,
            absolute=3.0,
        ),
        true(
            name="95 % intervals of lecturers: plug-in, posterior",
            value=[0.95, 0.95],
            found=coverage,
            absolute=4 * np.sqrt(0.95 * 0.05 / n),
        ),
        true(
            name="squared errors by number of ratings, in standard errors",
            value=np.zeros(len(EDGES) - 1),
            found=calibration,
            absolute=3.0,
        ),
        true(
            name="slope of true on predicted effects less one, in standard errors",
            value=0.0,
            found=slope_of_truth,
            absolute=3.0,
        ),
        true(name="the best twenty are not overrated, in standard errors", value=0.0, found=winners, absolute=3.0),
        true(
            name="90 % intervals of ranks",
            value=0.90,
            found=rank_coverage,
            absolute=4 * np.sqrt(0.90 * 0.10 / n),
        ),
        true(
            name="in the best tenth, of the likeliest: truth less probability, in standard errors",
            value=0.0,
            found=found_in_the_top_tenth,
            absolute=3.0,
        ),
    ]
    names = {"sd_student": "student", "sd_lecturer": "lecturer", "sd_department": "department"}
    out += [
        true(
            name=f"posterior of {name}",
            value=TRUTH[of],
            found=lambda name=name: posterior()["posterior"][name][..., 0],
            sds=3,
        )
        for name, of in names.items()
    ]
    return out + of_henderson()
