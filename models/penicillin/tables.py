"""What is known about one sample, and the estimates beside the posterior."""

import numpy as np
import pandas as pd

import hierreg as hr
from models.penicillin.expected import A_MINUS_F, draws, estimate, found_sds, posterior
from models.penicillin.model import data, layout, posterior_moments


def tables() -> dict[str, pd.DataFrame]:
    """Return the standard deviations by method, and the uncertainty of beta and samples."""
    sds = {
        method: [float(e.sd["plate"][0]), float(e.sd["sample"][0]), float(e.error_sd)]
        for method, e in ((name, estimate(name)) for name in ("ml", "reml"))
    }
    names = ["sd of plates", "sd of samples", "error sd"]
    moments = posterior_moments(layout(data()), 0, 5)
    sds["posterior mean"] = [moments[name][0] for name in names]
    sds["2.5%"], sds["97.5%"] = np.array([np.quantile(draws(name), [0.025, 0.975]) for name in names]).T
    p = posterior()["posterior"]
    level = hr.contrasts(posterior(), A_MINUS_F | {"A": {("sample", "A", "Intercept"): 1}})["sd"].values
    spread = [float(p["beta"].std()), float(p["b_sample"].sel(sample="A").std()), *level]
    rows = ["beta", "effect b of A", "A - F", "level of A: beta + b"]
    return {
        "Standard deviations (mm)": pd.DataFrame(sds, index=["plates", "samples", "errors"]).round(3),
        "How well is it known? (sd, mm)": pd.DataFrame({"REML": found_sds(), "posterior": spread}, index=rows).round(3),
    }
