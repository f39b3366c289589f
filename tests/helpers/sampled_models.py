"""Small models with every error structure, shared by the tests of draws and of the tree.

Sizes are all different: 5 groups, 3 data sets, 2 columns; units have every pattern of missing data sets.
"""

import functools

import numpy as np
import pandas as pd
import xarray as xr

import hierreg as hr
from hierreg.results.pairs import as_matrices

FORMULA = "y ~ x + w + (x | g)"
STRUCTURES = (
    "independent",
    "by",
    "correlated",
    "exchangeable",
    "exchangeable_by",
    "ar1",
    "known_se",
    "known_se_scaled",
    "known_cov",
    "known_cov_scaled",
)


def table() -> pd.DataFrame:
    """Return 42 rows, in random order: 20 units of 3 data sets, some missing."""
    rng = np.random.default_rng(5)
    rows = []
    for unit in range(20):
        pattern = unit % 7 + 1
        common = rng.normal(0, 0.7)
        for d, name in enumerate(("p", "q", "r")):
            if pattern >> d & 1 or unit >= 14:
                rows.append((unit, name, common + rng.normal(0, 0.4 + 0.3 * d)))
    frame = pd.DataFrame(rows, columns=["unit", "set", "error"])
    n = len(frame)
    frame["g"] = np.array(list("abcde"))[rng.integers(0, 5, n)]
    frame["x"] = rng.normal(3, 1, n)
    frame["w"] = rng.normal(-1, 2, n)
    frame["kind"] = np.where(frame["unit"] % 3 == 0, "u", "v")
    frame["time"] = frame["set"].map({"p": 4, "q": 5, "r": 8})
    frame["se"] = rng.uniform(0.3, 1.2, n)
    intercept, slope = rng.normal(0, 1, 5), rng.normal(0, 0.6, 5)
    group = frame["g"].map({name: i for i, name in enumerate("abcde")}).to_numpy()
    frame["y"] = 2 + intercept[group] + (0.5 + slope[group]) * frame["x"] - 0.3 * frame["w"] + frame.pop("error")
    return frame.sample(frac=1.0, random_state=1).reset_index(drop=True)


def known_covariance(n: int) -> np.ndarray:
    """Return a dense positive definite matrix (n, n)."""
    A = np.random.default_rng(8).normal(size=(n, n))
    return 0.3 * (A @ A.T / n + 0.2 * np.eye(n))


@functools.cache
def model(structure: str) -> hr.Model:
    """Return the model with an error structure."""
    data = table()
    V = known_covariance(len(data))
    errors = {
        "independent": hr.independent(),
        "by": hr.by("set"),
        "correlated": hr.correlated("set", unit="unit"),
        "exchangeable": hr.exchangeable("unit"),
        "exchangeable_by": hr.exchangeable("unit", by="kind", common_sd=False),
        "ar1": hr.ar1("time", unit="unit"),
        "known_se": hr.known_se("se"),
        "known_se_scaled": hr.known_se("se", scale=True),
        "known_cov": hr.known_cov(V),
        "known_cov_scaled": hr.known_cov(V, scale=True),
    }[structure]
    return hr.Model(FORMULA, data, errors=errors)


@functools.cache
def sampled(structure: str) -> xr.DataTree:
    """Return a short run with every group that can be asked for; do not change it."""
    include = ["log_prior", "prior_predictive", "log_likelihood", "posterior_predictive"]
    include += ["log_likelihood_units"] if structure.startswith(("correlated", "exchangeable", "ar1")) else []
    return model(structure).sample(draws=40, chains=3, seed=11, progress=False, include=include)


def response_parts(name: str, draw: dict[str, int], group: str = "posterior") -> tuple[np.ndarray, np.ndarray]:
    """Return mean (N,) and error covariance (N, N) of the rows at one draw, by loops over the table."""
    data = table().to_dict("records")
    at = as_matrices(sampled(name)[group].to_dataset()).isel(draw)
    N = len(data)
    beta, b = at["beta"].to_series(), at["b_g"].to_series()
    mu = np.array(
        [
            beta["Intercept"] + b[r["g"], "Intercept"] + (beta["x"] + b[r["g"], "x"]) * r["x"] + beta["w"] * r["w"]
            for r in data
        ]
    )
    V = known_covariance(N)
    is_single = "error_sd" not in at or not at["error_sd"].dims
    sd = {} if is_single else at["error_sd"].to_series().to_dict()
    corr = at["error_corr"].to_series() if name == "correlated" else None
    scale = float(at["error_sd"]) if is_single and "error_sd" in at else 1.0
    R = np.zeros((N, N))
    for i, one in enumerate(data):
        for j, other in enumerate(data):
            if name.startswith("known_cov"):
                R[i, j] = V[i, j] * scale**2
            elif name.startswith("exchangeable") and one["unit"] == other["unit"]:
                rho = float(np.ravel(at["error_corr"])["uv".index(one["kind"]) if sd else 0])
                R[i, j] = (1.0 if i == j else rho) * sd.get(one["kind"], scale) ** 2
            elif name == "ar1" and one["unit"] == other["unit"]:
                R[i, j] = float(at["error_corr"]) ** abs(one["time"] - other["time"]) * scale**2
            elif corr is not None and one["unit"] == other["unit"]:
                R[i, j] = corr[one["set"], other["set"]] * sd[one["set"]] * sd[other["set"]]
            elif i == j and not name.startswith(("correlated", "exchangeable", "ar1")):
                known = one["se"] if name.startswith("known_se") else 1.0
                R[i, i] = (sd.get(one["set"], scale) * known) ** 2
    return mu, R
