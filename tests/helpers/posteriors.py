"""Posteriors that are known, and comparisons of draws with them."""

import arviz_stats as azs
import numpy as np
import pytest

import hierreg as hr

SLEEP = hr.Priors(
    beta=hr.Normal(0, 1000),
    sd={"Subject": {"Intercept": hr.HalfNormal(100), "Days": hr.HalfNormal(50)}},
    corr={"Subject": hr.LKJ(2)},
    error_sd=hr.HalfNormal(100),
)

DYE = hr.Priors(beta=hr.Normal(0, 10_000), sd={"Batch": hr.HalfNormal(100)}, error_sd=hr.HalfNormal(100))


def assert_agrees(draws, expected):
    """Mean within four Monte-Carlo errors, sd within five per cent; draws (chain, draw)."""
    values = np.asarray(draws)
    error = float(azs.mcse(values, method="mean"))
    assert float(values.mean()) == pytest.approx(expected["mean"], abs=4 * error)
    assert float(values.std(ddof=1)) == pytest.approx(expected["sd"], rel=0.05)
    assert error < 0.05 * expected["sd"]


def assert_quantiles_agree(draws, expected):
    values = np.asarray(draws)
    for name, prob in (("q05", 0.05), ("q25", 0.25), ("q50", 0.5), ("q75", 0.75), ("q95", 0.95)):
        error = float(azs.mcse(values, method="quantile", prob=prob))
        assert float(np.quantile(values, prob)) == pytest.approx(expected[name], abs=5 * error)


def assert_same_posterior(one, other, names, errors=4.5):
    """Assert that means and quantiles differ by their Monte-Carlo errors at most."""
    for name in names:
        for method, kwargs in (("mean", {}), ("quantile", {"prob": 0.05}), ("quantile", {"prob": 0.95})):
            values, mcse = [], []
            for tree in (one, other):
                draws = tree[name].to_numpy().reshape(*tree[name].shape[:2], -1)
                values.append(draws.mean((0, 1)) if method == "mean" else np.quantile(draws, kwargs["prob"], (0, 1)))
                mcse.append([float(azs.mcse(draws[..., k], method=method, **kwargs)) for k in range(draws.shape[2])])
            allowed = errors * np.hypot(*mcse)
            assert np.all(np.abs(values[0] - values[1]) < allowed), (name, method, kwargs)
