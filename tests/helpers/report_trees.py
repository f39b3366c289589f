"""Trees that the tests of reports and plots share: short runs of small, asymmetric models."""

import functools
import warnings

import numpy as np
import pandas as pd
import xarray as xr

import hierreg as hr

STRUCTURES = ("independent", "by", "correlated", "known_se", "known_cov")


def table() -> pd.DataFrame:
    """Return 36 rows of 5 groups and 3 data sets; units lack data sets, and one group has a single row."""
    rng = np.random.default_rng(12)
    rows = [(unit, name) for unit in range(18) for d, name in enumerate("pqr") if unit >= 14 or (unit % 7 + 1) >> d & 1]
    frame = pd.DataFrame(rows, columns=["unit", "set"])
    n = len(frame)
    frame["g"] = np.array(list("abcd"))[rng.integers(0, 4, n)]
    frame.loc[n - 1, "g"] = "e"
    frame["x"], frame["w"] = rng.normal(2, 1, n), rng.normal(0, 2, n)
    frame["se"] = rng.uniform(0.4, 1.2, n)
    intercept, slope = rng.normal(0, 1.5, 5), rng.normal(0, 0.8, 5)
    group = frame["g"].map({name: i for i, name in enumerate("abcde")}).to_numpy()
    noise = rng.normal(0, 0.8, n) + rng.normal(0, 0.5, 18)[frame["unit"]]
    frame["y"] = 1 + intercept[group] + (0.5 + slope[group]) * frame["x"] + 0.3 * frame["w"] + noise
    return frame


def known_cov() -> np.ndarray:
    """Return a dense positive definite matrix (36, 36)."""
    n = len(table())
    A = np.random.default_rng(3).normal(size=(n, n))
    return 0.5 * (A @ A.T / n + 0.3 * np.eye(n))


def run(model: hr.Model, **options: object) -> xr.DataTree:
    """Return a sample without hierreg's warnings: runs here are too short on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        return model.sample(**({"seed": 4, "progress": False, "draws": 60, "chains": 3} | options))


@functools.cache
def model(structure: str) -> hr.Model:
    """Return the model with an error structure; all three columns of y differ in role."""
    errors = {
        "independent": hr.independent(),
        "by": hr.by("set"),
        "correlated": hr.correlated("set", unit="unit"),
        "known_se": hr.known_se("se"),
        "known_cov": hr.known_cov(known_cov()),
    }[structure]
    return hr.Model("y ~ x + w + (x | g)", table(), errors=errors)


@functools.cache
def tree(structure: str) -> xr.DataTree:
    """Return a short run; do not change it."""
    return run(model(structure))


@functools.cache
def summarised() -> xr.DataTree:
    """Return the run with independent errors, of which only summaries of the groups are kept."""
    return run(model("independent"), group_effects="summary")


@functools.cache
def sleepstudy() -> xr.DataTree:
    """Return a full run under the priors of the oracle."""
    priors = hr.Priors(
        beta=hr.Normal(0, 1000),
        sd={"Subject": {"Intercept": hr.HalfNormal(100), "Days": hr.HalfNormal(50)}},
        corr={"Subject": hr.LKJ(2)},
        error_sd=hr.HalfNormal(100),
    )
    data = hr.load_dataset("sleepstudy")
    return run(hr.Model("Reaction ~ Days + (Days | Subject)", data, priors=priors), draws=1500, chains=4)


@functools.cache
def dyestuff() -> xr.DataTree:
    """Return a full run under the priors of the oracle."""
    priors = hr.Priors(beta=hr.Normal(0, 10000), sd={"Batch": hr.HalfNormal(100)}, error_sd=hr.HalfNormal(100))
    data = hr.load_dataset("dyestuff")
    return run(hr.Model("Yield ~ 1 + (1 | Batch)", data, priors=priors), draws=1500, chains=4)


@functools.cache
def plain() -> xr.DataTree:
    """Return a regression without groups, one sd of it fixed."""
    errors, priors = hr.by("set"), hr.Priors(error_sd={"q": hr.Fixed(0.9)})
    return run(hr.Model("y ~ x", table(), errors=errors, priors=priors))


@functools.cache
def separate_terms() -> xr.DataTree:
    """Return a run with a correlated term, and an uncorrelated one that has no population column."""
    return run(hr.Model("y ~ x + (x | g) + (0 + w | g)", table()))


@functools.cache
def many_groups() -> xr.DataTree:
    """Return a run with 45 groups, of which each has its own cross-products."""
    return run(many_groups_model())


@functools.cache
def many_groups_model() -> hr.Model:
    """Return a model of 45 groups, of which each has its own cross-products."""
    rng = np.random.default_rng(9)
    group = np.repeat(np.arange(45), 4)
    x = rng.normal(0, 1, len(group))
    y = 3 + rng.normal(0, 1, 45)[group] + (1 + rng.normal(0, 0.7, 45)[group]) * x + rng.normal(0, 1, len(x))
    data = pd.DataFrame({"y": y, "x": x, "g": [f"g{j:02d}" for j in group]})
    return hr.Model("y ~ x + (x | g)", data)


def wide_model() -> hr.Model:
    """Return a model of 60 population and 4 group columns."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame(rng.normal(size=(300, 61)), columns=["y", *(f"x{i}" for i in range(60))])
    data["g"] = np.repeat(np.arange(30), 10)
    columns = " + ".join(f"x{i}" for i in range(60))
    return hr.Model(f"y ~ {columns} + (x0 + x1 + x2 | g)", data)
