"""Schools under normal and under t effects, as they are and with school A far out."""

import numpy as np
import pandas as pd

import hierreg as hr
from models.catalogue import sample
from models.robust_schools.expected import CASES
from models.robust_schools.model import FAR, PRIORS, build, data, integrated


def tables() -> dict[str, pd.DataFrame]:
    """Return posterior means of the schools, their weights, and what is learnt of the degrees of freedom."""
    cases = {"normal, as they are": (None, None)} | CASES
    found = {title: integrated(*case) for title, case in cases.items()}
    schools = list(data()["school"])
    means = pd.DataFrame({title: one.theta[:, 0] for title, one in found.items()}, index=schools)
    means.loc["beta"] = [one.beta[0] for one in found.values()]
    means.loc["scale (exp of the mean log)"] = [np.exp(one.log_scale[0]) for one in found.values()]
    weights = pd.DataFrame({title: one.weight for title, one in found.items() if title[0] == "t"}, index=schools)
    return {
        "Posterior means (points)": means.round(1),
        "Mean of 1/s: what a school counts for": weights.round(2),
        "Degrees of freedom, unknown": unknown(),
    }


def unknown() -> pd.DataFrame:
    """Return quantiles of nu under its default prior, and of its posteriors."""
    free = hr.StudentT()
    prior = free.prior.draw(np.random.default_rng(1), 100_000)
    rows = {"prior": prior[prior > 2]}
    for title, of_a in (("as they are", None), ("A far out", FAR)):
        tree = sample(build(data(of_a), PRIORS, effects=free))
        rows[title] = tree["posterior"]["nu_school"].to_numpy().ravel()
    quantiles = {title: np.quantile(nu, [0.025, 0.5, 0.975]) for title, nu in rows.items()}
    return pd.DataFrame(quantiles, index=["2.5%", "50%", "97.5%"]).T.round(1)
