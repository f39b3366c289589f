"""Correlations of the errors, and standard errors of coefficients, by method."""

import numpy as np
import pandas as pd

import hierreg as hr
from models.comparisons import answers
from models.seemingly_unrelated.expected import ml, posterior
from models.seemingly_unrelated.model import FIVE, TWO, coefs


def tables() -> dict[str, pd.DataFrame]:
    """Return the correlations of both sets of firms, and the coefficients of two firms."""
    known = answers("seemingly_unrelated")
    out = {}
    for firms, label in ((TWO, "two"), (FIVE, "five")):
        r = hr.correlation_matrices(posterior(firms))["error_corr"].values
        pairs = [(i, j) for i in range(len(firms)) for j in range(i)]
        rows = {
            f"{firms[j]}, {firms[i]}": (
                known[f"{label}_onestep"]["error_corr"][i][j],
                float(ml(firms).error_corr[i, j]),
                r[..., i, j].mean(),
                *np.quantile(r[..., i, j], [0.025, 0.975]),
            )
            for i, j in pairs
        }
        columns = ["FGLS", "ML", "posterior", "2.5%", "97.5%"]
        out[f"Correlations of the errors of {label} firms"] = pd.DataFrame.from_dict(
            rows, orient="index", columns=columns
        ).round(3)
    beta = posterior()["posterior"]["beta"].sel(coef=coefs(TWO))
    out["Standard errors of the coefficients of two firms"] = pd.DataFrame(
        {
            "least squares": known["two_ols"]["beta_se"],
            "FGLS": known["two_onestep"]["beta_se"],
            "ML": ml(TWO).beta_se.sel(coef=coefs(TWO)).values,
            "posterior sd": beta.std(("chain", "draw")).values,
        },
        index=coefs(TWO),
    ).round(4)
    return out
