"""Summaries of group coefficients: quantiles of mixtures, and some of the draws in place of all."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood, recover
from hierreg.likelihood.groups import summaries
from hierreg.likelihood.mixtures import quantiles_of_mixture
from hierreg.linalg import sd_and_corr
from hierreg.variances.parameters import Covariances
from tests.oracles.cases import random_case

PROBS = (0.001, 0.025, 0.25, 0.5, 0.9, 0.975)


def mixtures(rng):
    """Return means and sds (S,) of mixtures: nearly normal, skew, with heavy tails, of two modes, partly a point."""
    gamma = rng.gamma(0.7, size=80)
    return {
        "nearly normal": (5 + 0.02 * rng.normal(size=80), 1 + 0.02 * rng.normal(size=80)),
        "skew": (gamma, 0.1 + 0.3 * gamma),
        "heavy tails": (np.zeros(80), np.exp(2 * rng.normal(size=80))),
        "two modes": (np.repeat([-50.0, 3.0], [30, 50]), np.repeat([1.0, 0.2], [30, 50])),
        "partly a point": (np.zeros(80), np.repeat([0.0, 2.0], [20, 60])),
        "one": (np.array([1e8]), np.array([3.0])),
    }


@pytest.mark.parametrize("name", mixtures(np.random.default_rng(0)))
def test_quantiles_are_roots_of_the_distribution_function(name, rng):
    mean, sd = mixtures(rng)[name]
    spread = np.sqrt(np.mean(sd**2) + mean.var())
    found = quantiles_of_mixture(mean, sd, PROBS)[0]
    for quantile, prob in zip(found, PROBS, strict=True):

        def above(x, prob=prob):
            return np.mean(ndtr((x - mean) / np.maximum(sd, 1e-9 * spread))) - prob

        expected = brentq(above, mean.min() - 9 * sd.max(), mean.max() + 9 * sd.max(), xtol=1e-13)
        assert abs(quantile - expected) < (1e-3 if name == "partly a point" else 2e-5) * spread


def test_points_and_units_of_mixtures(rng):
    mean, sd = mixtures(rng)["skew"]
    both = quantiles_of_mixture(np.stack([mean, 7 - 3 * mean]), np.stack([sd, 3 * sd]), (0.2, 0.5, 0.8))[0]
    np.testing.assert_allclose(both[:, 1], 7 - 3 * both[::-1, 0], rtol=0, atol=1e-6)
    points, error = quantiles_of_mixture(np.full(9, 2.5), np.zeros(9), (0.1, 0.9))
    np.testing.assert_array_equal(points, 2.5)
    assert error == 0


@pytest.mark.parametrize("name", ["nearly normal", "skew"])
def test_the_error_is_that_of_samples_of_the_components(name, rng):
    mean, sd = mixtures(rng)[name]
    samples = rng.integers(80, size=(2000, 200))
    found, stated = quantiles_of_mixture(mean[samples], sd[samples], (0.025, 0.975))
    spread = np.sqrt(np.mean(sd**2) + mean.var())
    assert 0.9 < stated.mean() * spread / found.std(axis=1).max() < 1.2


@pytest.mark.parametrize(("kind", "q"), [("independent", 2), ("correlated", 1), ("by", 3)])
def test_some_draws_do_for_all(kind, q, rng, monkeypatch):
    case = random_case(rng, kind, n=200, J=25, q=q)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    S = 3000
    Lambda = case.Lambda * np.exp(0.1 * rng.normal(size=(S, 1, 1)))
    error_cov = case.error_cov * np.exp(0.05 * rng.normal(size=(S, 1, 1)))
    (sd, corr), (error_sd, error_corr) = sd_and_corr(Lambda @ np.swapaxes(Lambda, 1, 2)), sd_and_corr(error_cov)
    drawn = Covariances(sd=sd, corr=corr, Lambda=Lambda, error_sd=error_sd, error_corr=error_corr, error_cov=error_cov)
    asked = {"seed": 1, "probs": (0.025, 0.5, 0.975), "theta_columns": [[0] + [None] * (q - 1)], "threads": 2}
    some = recover(likelihood, drawn, **asked)
    monkeypatch.setattr(summaries, "MOST_ERROR", 1e-9)
    whole = recover(likelihood, drawn, **asked)
    for mine, theirs in ((some.b_summary[0], whole.b_summary[0]), (some.theta_summary[0], whole.theta_summary[0])):
        assert theirs.error < mine.error <= 0.015
        assert np.all(np.abs(mine.mean - theirs.mean) < 5 * mine.error * theirs.sd)
        assert np.all(np.abs(mine.sd - theirs.sd) < 5 * mine.error * theirs.sd)
        assert np.all(np.abs(mine.quantiles - theirs.quantiles) < 5 * mine.error * theirs.sd)
        assert np.any(mine.mean != theirs.mean)


@pytest.mark.parametrize("S", [1, 2, 3, 7, 32, 1000, 4001])
def test_draws_are_taken_from_everywhere(S):
    order = summaries._evenly_spread(S)
    np.testing.assert_array_equal(np.sort(order), np.arange(S))
    first = np.sort(order[:32])
    assert np.diff(first, prepend=0, append=S).max() <= max(1, 2 * S / 32)
