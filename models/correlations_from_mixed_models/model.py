"""Pairs of measurements whose correlation depends on the stratum: 0.2 in P, 0.8 in T, all variances one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import hierreg as hr
from models.catalogue import HERE

TRUTH = {"P": 0.2, "T": 0.8}
TWO_TERMS = "y ~ 1 + (0 + R1 | f) + (0 + R2 | f)"
COMMON_AND_EXTRA = "y ~ 1 + (1 | f) + (0 + R2 | f)"


def data() -> Any:
    """Return 2,000 pairs f in each stratum R, one row per measurement; R1 and R2 are the indicators of P and T."""
    table = pd.read_csv(HERE / "correlations_from_mixed_models" / "pairs.csv.gz")
    return table.assign(R1=(table["R"] == "P") * 1.0, R2=(table["R"] == "T") * 1.0)


def build(data: Any = None, priors: hr.Priors | None = None) -> hr.Model:
    """Return the model that recovers both: pair effects and residual variance by stratum."""
    return hr.Model(TWO_TERMS, globals()["data"]() if data is None else data, errors=hr.by("R"), priors=priors)


def one_residual_variance(formula: str) -> hr.Model:
    """Return one of the two models that cannot return both correlations."""
    return hr.Model(formula, data())


def common_total() -> hr.Model:
    """Return the model of one variance for all and a correlation per stratum: exchangeable errors within pairs."""
    return hr.Model("y ~ 1", data(), errors=hr.exchangeable("f", by="R"))


def alone(stratum: str) -> hr.Model:
    """Return the fit to one stratum."""
    table = data()
    return hr.Model("y ~ 1 + (1 | f)", table[table["R"] == stratum])


def with_predictor() -> hr.Model:
    """Return the model with an explanatory variable, of effect 0.5, added to data and formula; seeded."""
    table = data()
    x = np.random.default_rng(7).normal(size=len(table))
    table = table.assign(x=x, y=table["y"] + 0.5 * x)
    return hr.Model(TWO_TERMS.replace("1 +", "1 + x +", 1), table, errors=hr.by("R"))


def components(pairs: int = 2000) -> Any:
    """Return data for which the plain model is right: T has one more component, and so a larger variance; seeded.

    Variances: 0.2 between pairs in both strata, 0.6 more in T, 0.8 within; correlations 0.2 and 0.5.
    """
    rng = np.random.default_rng(88)
    f = np.repeat(np.arange(2 * pairs), 2)
    is_T = f >= pairs
    common, extra = rng.normal(0, 0.2**0.5, 2 * pairs), rng.normal(0, 0.6**0.5, 2 * pairs)
    y = common[f] + is_T * extra[f] + rng.normal(0, 0.8**0.5, len(f))
    return pd.DataFrame({"y": y, "f": f, "R": np.where(is_T, "T", "P"), "R1": 1.0 * ~is_T, "R2": 1.0 * is_T})


def sample_correlations() -> dict[str, float]:
    """Return the plain correlation of first and second measurement in each stratum."""
    out = {}
    for stratum, rows in data().groupby("R"):
        y = rows.sort_values("f", kind="stable")["y"].to_numpy().reshape(-1, 2)
        out[str(stratum)] = float(np.corrcoef(y.T)[0, 1])
    return out


def pair_ml(stratum: str) -> tuple[float, float]:
    """Return the ML variances between and within pairs of one stratum in closed form (see ``one_way``)."""
    table = data()
    rows = table[table["R"] == stratum].sort_values("f", kind="stable")
    y = rows["y"].to_numpy().reshape(-1, 2)
    within = float(np.mean(np.diff(y, axis=1) ** 2) / 2)
    between = float(2 * np.var(y.mean(axis=1)))
    return (between - within) / 2, within
