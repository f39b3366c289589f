"""What the correlation buys: the standard error of theta_alpha - theta_beta by method."""

import numpy as np
import pandas as pd

import hierreg as hr
from models.two_lines.expected import CASES, difference, feasible, found_alone, known, likelihood, predicted
from models.two_lines.model import DIFFERENCE, TRUTH, alone, lonely


def tables() -> dict[str, pd.DataFrame]:
    """Return the standard errors, and the differences themselves."""
    columns = pd.MultiIndex.from_product([CASES, ["intercept", "slope"]])
    se, estimate = {}, {}
    for name, take in METHODS.items():
        pairs = [take(case) for case in CASES]
        se[name] = np.concatenate([pair[1] for pair in pairs])
        estimate[name] = np.concatenate([pair[0] for pair in pairs])
    estimate["truth"] = np.tile(TRUTH["alpha"] - TRUTH["beta"], 2)
    as_table = [pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(4) for rows in (se, estimate)]
    return {
        "Standard error (posterior sd) of theta_alpha - theta_beta": as_table[0],
        "Estimate (posterior mean) of theta_alpha - theta_beta": as_table[1],
        "Alpha where only beta was observed: sd of a prediction": _predictions(),
    }


def _predictions() -> pd.DataFrame:
    alone_fit = alone("broken", "alpha")
    new = lonely().drop(columns=["y", "dataset", "unit"])
    sds = {
        "alpha alone": hr.predict(alone_fit, new, alone_fit.estimate("reml"))["sd_new"],
        "with beta of the same unit": predicted()["sd_new"],
    }
    return pd.DataFrame(
        {name: [float(sd.min()), float(sd.max())] for name, sd in sds.items()}, ["least", "most"]
    ).round(3)


def _least_squares(case: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = (np.array(found_alone(name, case)) for name in TRUTH)
    return a[:2] - b[:2], np.hypot(a[2:], b[2:])


def _contrast(result: object) -> tuple[np.ndarray, np.ndarray]:
    report = hr.contrasts(result, DIFFERENCE)
    return report["mean"].values, report["sd"].values


METHODS = {
    "least squares, each alone": _least_squares,
    "GLS, covariance known": lambda case: _contrast(known(case)),
    "FGLS (one-step SUR)": lambda case: _contrast(feasible(case)),
    "ML": lambda case: _contrast(likelihood(case)),
    "REML": lambda case: _contrast(likelihood(case, "reml")),
    "hierarchical, posterior": lambda case: (difference(case).mean((0, 1)), difference(case).std((0, 1))),
}
