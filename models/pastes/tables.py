"""Estimates beside the posterior, the likelihood ratio of batches, and predictions."""

import numpy as np
import pandas as pd

import hierreg as hr
from models.pastes.expected import draws, found_variances, likelihood_ratio, posterior, predicted
from models.pastes.model import NEW, PRIORS, build


def tables() -> dict[str, pd.DataFrame]:
    """Return standard deviations, tests of the batches, and predictions with their errors."""
    names = ["sd of batches", "sd of casks", "error sd"]
    sds = {method: np.sqrt(found_variances(method)) for method in ("ml", "reml")}
    sds["posterior mean"] = [float(draws(name).mean()) for name in names]
    sds["2.5%"], sds["97.5%"] = np.array([np.quantile(draws(name), [0.025, 0.975]) for name in names]).T
    return {
        "Standard deviations": pd.DataFrame(sds, index=["batches", "casks within batches", "tests"]).round(3),
        "Do batches differ?": likelihood_ratios(),
        "Predicted strength": predictions(),
    }


def likelihood_ratios() -> pd.DataFrame:
    """Return the likelihood ratio of a variance between batches, with the p value of a variance on the boundary."""
    from scipy.stats import chi2

    ratios = np.array([likelihood_ratio(method) for method in ("ml", "reml")])
    columns = {"likelihood ratio": ratios, "p, chi-square of 1": chi2.sf(ratios, 1), "p, half": chi2.sf(ratios, 1) / 2}
    return pd.DataFrame(columns, index=["ML", "REML"]).round(3)


def predictions() -> pd.DataFrame:
    """Return predictions at REML and from the posterior, with the sd of the expected strength."""
    full = hr.predict(build(priors=PRIORS), NEW, posterior(), level="new group")
    columns = {
        "mean": predicted()["mean"],
        "sd": predicted()["sd"],
        "posterior mean": full["mean"],
        "posterior sd": full["sd"],
    }
    rows = ["cask A:a", "new cask of batch A", "new batch"]
    return pd.DataFrame({name: value.values for name, value in columns.items()}, index=rows).round(2)
