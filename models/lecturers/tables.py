"""Lecturers by number of ratings, and the best of them."""

import numpy as np
import pandas as pd

from models.lecturers.expected import (
    EDGES,
    FACTORS,
    draws,
    in_the_top_tenth,
    plug_in,
    posterior,
    ranks,
    reml,
    truth,
)
from models.lecturers.model import TRUTH, data, number_of_ratings


def tables() -> dict[str, pd.DataFrame]:
    """Return standard deviations, what is known by number of ratings, and the ten best."""
    return {
        "Standard deviations": deviations(),
        "Lecturers by number of ratings": by_number(),
        "The ten best by posterior mean": best(),
    }


def raw_means() -> pd.Series:
    """Return the mean rating of each lecturer less the mean of all ratings, in the order of the true effects."""
    table = data()
    return (table.groupby("lecturer")["rating"].mean() - table["rating"].mean()).reindex(truth().index)


def deviations() -> pd.DataFrame:
    """Return truth, REML with standard errors, and the posterior of the four standard deviations."""
    e, p = reml(), posterior()["posterior"]
    columns = [*(p[f"sd_{factor}"][..., 0] for factor in FACTORS), p["error_sd"]]
    names = [*(f"sd_{factor}[Intercept]" for factor in FACTORS), "error_sd"]
    out = {
        "truth": [TRUTH[name] for name in (*FACTORS, "error_sd")],
        "REML": [*(float(e.sd[factor][0]) for factor in FACTORS), float(e.error_sd)],
        "se": e.variance_se.sel(parameter=names).values,
        "posterior mean": [float(c.mean()) for c in columns],
        "posterior sd": [float(c.std()) for c in columns],
    }
    return pd.DataFrame(out, index=[*FACTORS, "error"]).round(4)


def by_number() -> pd.DataFrame:
    """Return errors of raw means and of predictions, reliability, and the share that differs from the average."""
    p, b = plug_in(), truth()
    each = pd.DataFrame(
        {
            "lecturers": 1,
            "rms error of raw mean": (raw_means() - b) ** 2,
            "rms error of prediction": (p["b"] - b) ** 2,
            "predicted": p["sd"] ** 2,
            "reliability": 1 - p["sd"] ** 2 / float(reml().sd["lecturer"][0]) ** 2,
            "95 % coverage": abs(p["b"] - b) < 1.96 * p["sd"],
            "differ from average": abs(p["b"]) > 1.96 * p["sd"],
        }
    )
    groups = each.groupby(pd.cut(number_of_ratings(), EDGES).rename("ratings"), observed=True)
    out = groups.mean().assign(lecturers=groups.size())
    squares = ["rms error of raw mean", "rms error of prediction", "predicted"]
    out[squares] = np.sqrt(out[squares])
    return out.round(3)


def best() -> pd.DataFrame:
    """Return raw mean, posterior, ranks and the truth of the ten lecturers with the highest posterior means."""
    sample = draws()
    lower, upper = np.quantile(ranks(sample), [0.05, 0.95], axis=0).astype(int)
    each = pd.DataFrame(
        {
            "ratings": number_of_ratings(),
            "raw mean": raw_means(),
            "posterior": sample.mean(axis=0),
            "sd": sample.std(axis=0),
            "P(best tenth)": in_the_top_tenth(),
            "rank, 90 %": [f"{a} to {b}" for a, b in zip(lower, upper, strict=True)],
            "true effect": truth(),
            "true rank": ranks(truth().to_numpy()),
        },
        index=truth().index,
    )
    return each.nlargest(10, "posterior").round(2)
