"""Simulation-based calibration of every family: ranks of what was drawn from the prior among posterior draws."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hierreg as hr
from hierreg.exceptions import HierregWarning, SamplingError

ROWS, GROUPS, DRAWS, REPLICATIONS, BINS = 60, 12, 99, 500, 10
# Draws of a chain of which one is kept: they are worth a fifth or more of independent ones.
THIN = 5
PRIORS = hr.Priors(beta={"Intercept": hr.Normal(0, 1), "x": hr.Normal(0, 0.7)}, sd={"g": hr.HalfNormal(0.7)})
FAMILIES = {
    "bernoulli": (hr.Bernoulli(), PRIORS),
    "probit": (hr.Bernoulli("probit"), PRIORS),
    "binomial": (hr.Binomial(), PRIORS),
    "poisson": (hr.Poisson(), PRIORS),
    "negative binomial": (hr.NegativeBinomial(), PRIORS),
    "gamma": (hr.Gamma(), PRIORS),
    "beta": (hr.Beta(precision=hr.Gamma(4, 0.4)), PRIORS),
    "student t": (hr.StudentT(4, error_scale=hr.HalfNormal(1)), PRIORS),
    "log normal": (hr.LogNormal(error_sd=hr.HalfNormal(1)), PRIORS),
}


def table(y):
    rng = np.random.default_rng(11)
    x, g = rng.standard_normal(ROWS), np.repeat(np.arange(GROUPS), ROWS // GROUPS)
    return pd.DataFrame({"y": y, "x": x, "g": g, "n": 5})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
@pytest.mark.parametrize("name", FAMILIES)
def test_ranks_are_uniform(name):
    """Data that are refused in words, such as zeros in every row, are left out: which are depends on the data alone."""
    family, priors = FAMILIES[name]
    trials = "n" if isinstance(family, hr.Binomial) else None
    start = np.resize([1.0, 0.0, 1.0], ROWS) if name in {"bernoulli", "probit", "binomial", "poisson"} else None
    start = np.resize([0.2, 0.4, 0.6], ROWS) if start is None and name == "beta" else start
    start = np.resize([1.0, 2.0, 3.0], ROWS) if start is None else start
    model = hr.Model("y ~ x + (1 | g)", table(start), family=family, priors=priors, trials=trials)
    prior = hr.prior_predictive(model, draws=2 * REPLICATIONS, seed=3)
    values, drawn = prior["prior"], prior["prior_predictive"]["y"].to_numpy()[0]
    ranks = []
    for s in range(2 * REPLICATIONS):
        if len(ranks) == REPLICATIONS:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HierregWarning)
            try:
                fitted = hr.Model("y ~ x + (1 | g)", table(drawn[s]), family=family, priors=priors, trials=trials)
                tree = fitted.sample(draws=THIN * DRAWS, chains=1, seed=s, progress=False)
                tree = tree.isel(draw=slice(None, None, THIN))
            except (hr.exceptions.DataError, SamplingError):
                continue
        posterior = tree["posterior"]
        own = []
        for variable in ("beta", "sd_g", "b_g", *fitted.problem.auxiliary.free_names):
            truth = values[variable].to_numpy()[0, s].ravel()
            found = posterior[variable].to_numpy()[0].reshape(DRAWS, -1)
            own += [int(np.sum(found[:, i] < truth[i])) for i in range(min(len(truth), 3))]
        ranks.append(own)
    ranks = np.array(ranks)
    assert len(ranks) == REPLICATIONS
    for column in ranks.T:
        counts = np.bincount(column * BINS // (DRAWS + 1), minlength=BINS)
        assert stats.chisquare(counts).pvalue > 1e-4
