"""Small asymmetric models of every error structure and engine, with priors that do not depend on the response."""

from collections.abc import Callable

import numpy as np
import pandas as pd

import hierreg as hr

GROUPS, IN_GROUP = 11, 6


def rows() -> pd.DataFrame:
    """Return 66 rows of 11 groups, which cross 5 others; some units lack a data set."""
    rng = np.random.default_rng(21)
    n = GROUPS * IN_GROUP
    frame = pd.DataFrame({"g": np.repeat([f"g{j:02d}" for j in range(GROUPS)], IN_GROUP)})
    frame["h"] = np.resize(list("vwxyz"), n)
    frame["x"], frame["w"] = rng.normal(0.4, 1.0, n), rng.normal(0.0, 1.5, n)
    frame["time"] = np.tile([0, 1, 2, 4, 5, 9], GROUPS)
    frame["set"] = np.tile(list("pqpqpr"), GROUPS)
    frame["unit"] = np.repeat(np.arange(n // 3), 3)
    # Of each unit of three rows one for each data set, but where there are two of one.
    frame["pair"] = np.arange(n) // 2
    frame["side"] = np.tile(list("ab"), n // 2)
    frame.loc[n - 3, "side"] = "a"
    frame.loc[n - 3, "pair"] = n
    frame["se"] = rng.uniform(0.4, 1.1, n)
    frame["y"] = 1 + 0.5 * frame["x"] + rng.normal(0, 0.8, GROUPS)[np.arange(n) // IN_GROUP] + rng.normal(0, 1, n)
    return frame


def covariance() -> np.ndarray:
    """Return a covariance (66, 66) in blocks of two and four rows."""
    rng = np.random.default_rng(5)
    V, n, start = np.zeros((GROUPS * IN_GROUP,) * 2), GROUPS * IN_GROUP, 0
    while start < n:
        size = min(2 + 2 * (start % 3 == 0), n - start)
        A = rng.normal(size=(size, size + 2))
        V[start : start + size, start : start + size] = A @ A.T / size
        start += size
    return V


def priors(sd: tuple[str, ...] = ("g",), **others: object) -> hr.Priors:
    """Return priors that are given, all of them."""
    coefficients = {name: hr.Normal(0.5, 1) for name in ("Intercept", "x")}
    return hr.Priors(beta=coefficients, sd=dict.fromkeys(sd, hr.HalfNormal(0.8)) or None, **others)


ERROR_SD = hr.HalfNormal(1)
LKJ = {"corr": {"g": hr.LKJ(2)}}

# By name: formula, error structure, priors.
GAUSSIAN: dict[str, tuple[str, Callable[[], object], hr.Priors]] = {
    "independent, small engine q=2": ("y ~ x + (x | g)", hr.independent, priors(error_sd=ERROR_SD, **LKJ)),
    "independent, small engine q=1": ("y ~ x + (1 | g)", hr.independent, priors(error_sd=ERROR_SD)),
    "independent, ||": ("y ~ x + (x || g)", hr.independent, priors(error_sd=ERROR_SD)),
    "independent, general engine": (
        "y ~ x + (x + w | g)",
        hr.independent,
        priors(error_sd=ERROR_SD, **LKJ),
    ),
    "independent, crossed engine": (
        "y ~ x + (x | g) + (1 | h)",
        hr.independent,
        priors(("g", "h"), error_sd=ERROR_SD, **LKJ),
    ),
    "independent, no groups": ("y ~ x", hr.independent, priors((), error_sd=ERROR_SD)),
    "by": ("y ~ x + (1 | g)", lambda: hr.by("set"), priors(error_sd=ERROR_SD)),
    "correlated": (
        "y ~ x + (1 | g)",
        lambda: hr.correlated("side", unit="pair"),
        priors(error_sd=ERROR_SD, error_corr=hr.LKJ(2)),
    ),
    "exchangeable": (
        "y ~ x + (1 | g)",
        lambda: hr.exchangeable("unit"),
        priors(error_sd=ERROR_SD, error_corr=hr.LKJ(2)),
    ),
    "ar1": (
        "y ~ x + (1 | g)",
        lambda: hr.ar1("time", unit="g"),
        priors(error_sd=ERROR_SD, error_corr=hr.LKJ(2)),
    ),
    "known_se": ("y ~ x + (x | g)", lambda: hr.known_se("se"), priors(**LKJ)),
    "known_cov": (
        "y ~ x + (1 | g)",
        lambda: hr.known_cov(covariance(), scale=True),
        priors(error_sd=ERROR_SD),
    ),
}


def gaussian(name: str, table: pd.DataFrame | None = None) -> hr.Model:
    """Return the model of a name, of its own rows or of others."""
    formula, errors, given = GAUSSIAN[name]
    return hr.Model(formula, rows() if table is None else table, errors=errors(), priors=given)
