"""What is said of districts: the plug-in beside the posterior."""

import numpy as np
import pandas as pd

import hierreg as hr
from models.contraception.expected import estimate, posterior
from models.contraception.model import areas, build

# A woman of mean age with one child, in an area of a district that was not observed.
WOMEN = {"age": [0, 0], "livch": ["1", "1"], "urban": ["N", "Y"], "district": ["new", "new"]}


def tables() -> dict[str, pd.DataFrame]:
    """Return coefficients, rural and urban areas, and predictions for a new district."""
    p, e = posterior()["posterior"], estimate()
    beta = {
        "Laplace": e.beta.to_numpy(),
        "se": e.beta_se.to_numpy(),
        "mean": p["beta"].mean(("chain", "draw")).to_numpy(),
        "sd": p["beta"].std(("chain", "draw")).to_numpy(),
    }
    return {
        "Coefficients (log odds)": pd.DataFrame(beta, index=list(e.beta["coef"].values)).round(4),
        "How districts differ (log odds)": between(),
        "A woman in a new district: probability that she uses contraception": new_district(),
    }


def between() -> pd.DataFrame:
    """Return sds and correlation of the coefficients, and of rural and urban areas."""
    p, e = posterior()["posterior"], estimate()
    sd, corr = p["sd_district"].to_numpy(), p["corr_district"].to_numpy()[..., 1, 0]
    plug_in, its_corr = e.sd["district"].to_numpy(), e.corr["district"].to_numpy()[1, 0]
    draws = [sd[..., 0], sd[..., 1], corr, *areas(sd, corr)[1:]]
    point = [*plug_in, its_corr, *areas(plug_in, its_corr)[1:]]
    quantiles = np.quantile(np.stack([x.ravel() for x in draws]), [0.025, 0.5, 0.975], axis=1)
    rows = ["sd of rural areas", "sd of urban less rural", "correlation of these", "sd of urban areas"]
    return pd.DataFrame(
        {"Laplace": point, "2.5%": quantiles[0], "median": quantiles[1], "97.5%": quantiles[2]},
        index=[*rows, "correlation of rural and urban areas"],
    ).round(2)


def new_district() -> pd.DataFrame:
    """Return predicted probabilities with 95 % intervals, in a rural and an urban area."""
    out = {}
    for name, at in (("Laplace", estimate()), ("posterior", posterior())):
        found = hr.predict(build(), WOMEN, at=at, level="new group")
        for k, area in enumerate(("rural", "urban")):
            out[f"{area}, {name}"] = [float(found[what][k]) for what in ("mean", "sd", "lower", "upper")]
    return pd.DataFrame(out, index=["mean", "sd", "2.5%", "97.5%"]).T.round(2)
