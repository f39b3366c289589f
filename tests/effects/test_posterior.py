"""Posteriors of small models against brute-force numerical integration of everything."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats
from scipy.stats import gamma, halfnorm, norm

import hierreg as hr

Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SE = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
SCHOOLS = pd.DataFrame({"y": Y, "se": SE, "school": list("ABCDEFGH")})
PRIORS = hr.Priors(beta=hr.Normal(0, 10), sd=hr.HalfNormal(10))
PROBS = (0.05, 0.95)
METHODS = ("nuts", "psis")


def _normal(x, sd):
    return np.exp(-0.5 * (x / sd) ** 2) / (sd * np.sqrt(2 * np.pi))


def _scales(nu, n=401):
    """Scales and weights of a fine sum over the inverse gamma distribution."""
    x = np.linspace(-30.0, 4.0, n)
    density = gamma.pdf(np.exp(x), nu / 2, scale=2 / nu) * np.exp(x)
    return np.exp(-x), density / density.sum()


def _summary(x, density):
    """Mean, sd and quantiles of a density on an even grid."""
    density = density / density.sum()
    mean = density @ x
    cumulative = np.cumsum(density) - 0.5 * density
    return np.array([mean, np.sqrt(density @ (x - mean) ** 2), *np.interp(PROBS, cumulative, x)])


def _check(draws, expected):
    """Draws (chain, draw) against mean, sd and quantiles, within five Monte-Carlo errors."""
    found = [draws.mean(), draws.std(), *np.quantile(draws, PROBS)]
    errors = [
        array_stats.mcse(draws, method="mean", chain_axis=0, draw_axis=1),
        array_stats.mcse(draws, method="sd", chain_axis=0, draw_axis=1),
        *(array_stats.mcse(draws, method="quantile", prob=p, chain_axis=0, draw_axis=1) for p in PROBS),
    ]
    # Of the grid itself.
    rounding = 2e-3 * expected[1]
    for a, b, error in zip(found, expected, errors, strict=True):
        assert abs(a - b) < 5 * error + rounding, (found, expected, errors)


@pytest.fixture(scope="module")
def schools_by_grid():
    """Mean, sd and quantiles of mu, tau and theta_A with four degrees of freedom, from sums over grids."""
    mu, tau = np.linspace(-32, 40, 181), np.linspace(0.02, 50, 250)
    s, weight = _scales(4.0, 161)
    variance = SE[:, None, None] ** 2 + tau[:, None] ** 2 * s  # (school, tau, s)
    log_p = norm.logpdf(mu, 0, 10)[:, None] + halfnorm.logpdf(tau, scale=10)
    each = np.stack([_normal(y - mu[:, None, None], np.sqrt(v)) @ weight for y, v in zip(Y, variance, strict=True)])
    p = np.exp(log_p + np.log(each).sum(axis=0))
    # theta_A given mu and tau is a mixture over scales of normal distributions.
    edges = np.linspace(-60.5, 100.5, 324)
    of_theta = np.zeros(len(edges) - 1)
    for i in range(0, len(tau), 5):
        v, b = tau[i] ** 2 * s, SE[0] ** 2
        for k in range(0, len(mu), 4):
            share = _normal(Y[0] - mu[k], np.sqrt(b + v)) * weight
            m, sd = mu[k] + v / (b + v) * (Y[0] - mu[k]), np.sqrt(v * b / (b + v))
            below = norm.cdf((edges[:, None] - m) / sd) @ (share / share.sum())
            of_theta += p[k, i] * np.diff(below)
    return {
        "mu": _summary(mu, p.sum(axis=1)),
        "tau": _summary(tau, p.sum(axis=0)),
        "theta": _summary(0.5 * (edges[1:] + edges[:-1]), of_theta),
    }


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")  # of the REML estimate beside it
@pytest.mark.parametrize("method", METHODS)
def test_eight_schools_with_student_t_effects(schools_by_grid, method):
    m = hr.Model("y ~ 1 + (1 | school)", SCHOOLS, hr.known_se("se"), PRIORS, effects={"school": hr.StudentT(nu=4)})
    tree = m.sample(draws=2000, seed=3, progress=False, method=method)
    posterior = tree["posterior"]
    _check(posterior["beta"].to_numpy()[..., 0], schools_by_grid["mu"])
    _check(posterior["scale_school"].to_numpy()[..., 0], schools_by_grid["tau"])
    _check(posterior["theta_school"].sel(school="A").to_numpy()[..., 0], schools_by_grid["theta"])


FAR = np.array([90.0, *Y[1:]])
NU = hr.Gamma(2, 0.2)


@pytest.fixture(scope="module")
def far_by_grid():
    """The same of mu, tau and log(nu - 2) with unknown degrees of freedom and one school far out."""
    mu, tau = np.linspace(-22, 50, 61), np.linspace(0.05, 60, 80)
    # Even steps of log(nu - 2), with the Jacobian.
    excess = np.exp(np.linspace(-9, np.log(120.0), 60))
    p = np.empty((len(excess), len(mu), len(tau)))
    for i, nu in enumerate(2.0 + excess):
        s, weight = _scales(nu, 161)
        variance = SE[:, None, None] ** 2 + tau[:, None] ** 2 * s
        pairs = zip(FAR, variance, strict=True)
        each = sum(np.log(_normal(y - mu[:, None, None], np.sqrt(v)) @ weight) for y, v in pairs)
        p[i] = each + NU.log_density(nu) + np.log(excess[i])
    p = np.exp(p + norm.logpdf(mu, 0, 10)[:, None] + halfnorm.logpdf(tau, scale=10))
    return {
        "mu": _summary(mu, p.sum(axis=(0, 2))),
        "tau": _summary(tau, p.sum(axis=(0, 1))),
        "log_excess": _summary(np.log(excess), p.sum(axis=(1, 2))),
    }


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_unknown_degrees_of_freedom(far_by_grid, method):
    rows, effects = SCHOOLS.assign(y=FAR), {"school": hr.StudentT(NU)}
    m = hr.Model("y ~ 1 + (1 | school)", rows, hr.known_se("se"), PRIORS, effects=effects)
    posterior = m.sample(draws=2000, seed=3, progress=False, method=method)["posterior"]
    _check(posterior["beta"].to_numpy()[..., 0], far_by_grid["mu"])
    _check(posterior["scale_school"].to_numpy()[..., 0], far_by_grid["tau"])
    _check(np.log(posterior["nu_school"].to_numpy() - 2.0), far_by_grid["log_excess"])


@pytest.mark.parametrize("method", METHODS)
def test_two_components(method):
    rng = np.random.default_rng(1)
    J = 14
    y = np.where(np.arange(J) < 5, -4.0, 3.0) + rng.normal(size=J)
    se = rng.uniform(0.4, 0.9, J)
    rows = pd.DataFrame({"y": y, "se": se, "g": [f"g{j:02d}" for j in range(J)]})
    priors = hr.Priors(beta=hr.Normal(0, 3), sd=hr.Fixed(0.8))
    effects = hr.Mixture(2, mean_sd=4.0, concentration=1.5)
    m = hr.Model("y ~ 1 + (1 | g)", rows, hr.known_se("se"), priors, effects={"g": effects})
    tree = m.sample(draws=2000, seed=3, progress=False, method=method)
    mu, gap, w = np.linspace(-4, 4, 101), np.linspace(3, 11, 101), np.linspace(0.005, 0.995, 100)
    M, G, W = np.meshgrid(mu, gap, w, indexing="ij")
    low = M - W * G  # w is the weight of the upper component
    sd = np.sqrt(se**2 + 0.8**2)
    log_p = norm.logpdf(M, 0, 3) + norm.logpdf(G, 0, 4 * np.sqrt(2)) + 0.5 * np.log(W * (1 - W))
    for one, s in zip(y, sd, strict=True):
        log_p += np.log((1 - W) * _normal(one - low, s) + W * _normal(one - low - G, s))
    p = np.exp(log_p - log_p.max())
    posterior = tree["posterior"]
    means = posterior["component_mean_g"].to_numpy()[..., 0]
    _check(posterior["beta"].to_numpy()[..., 0], _summary(mu, p.sum(axis=(1, 2))))
    _check(means[..., 1] - means[..., 0], _summary(gap, p.sum(axis=(0, 2))))
    _check(posterior["component_weight_g"].to_numpy()[..., 1], _summary(w, p.sum(axis=(0, 1))))
    np.testing.assert_allclose((posterior["component_weight_g"].to_numpy() * means).sum(axis=2), 0.0, atol=1e-10)
    chance = posterior["probability_g"].mean(("chain", "draw")).to_numpy()
    np.testing.assert_array_equal(chance.argmax(axis=1), np.arange(J) >= 5)


# Effects, and whose ranks: variable and place of an element.
CALIBRATED = {
    "student t": (
        hr.StudentT(hr.Gamma(4, 0.5)),
        (("beta", 1), ("scale_g", 0), ("nu_g", 0), ("b_g", 0), ("weight_g", 2)),
    ),
    "mixture": (
        hr.Mixture(2, mean_sd=8.0),
        (
            ("beta", 1),
            ("sd_g", 0),
            ("component_weight_g", 0),
            ("component_mean_g", 0),
            ("component_sd_g", 0),
            ("b_g", 0),
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
@pytest.mark.parametrize("name", CALIBRATED)
def test_ranks_are_uniform(name):
    """Simulation-based calibration: of 500 data sets from the prior, the ranks of the truth among posterior draws."""
    effects, places = CALIBRATED[name]
    n, thin, kept = 500, 5, 99
    priors = hr.Priors(beta=hr.Normal(0, 10), sd=hr.Gamma(4, 0.4))
    rng = np.random.default_rng(4)
    rows = pd.DataFrame(
        {
            "y": rng.normal(size=36),
            "x": np.tile([-1.0, 0.0, 1.0], 12),
            "se": 6.0,
            "g": np.repeat(list("abcdefghijkl"), 3),
        }
    )
    formula = "y ~ x + (x | g)" if name == "student t" else "y ~ x + (1 | g)"

    def model_of(y):
        return hr.Model(formula, rows.assign(y=y), hr.known_se("se"), priors, effects={"g": effects})

    prior = hr.prior_predictive(model_of(rows["y"]), draws=n, seed=9)
    ranks = []
    for i in range(n):
        tree = model_of(prior["prior_predictive"]["y"].to_numpy()[0, i]).sample(
            draws=thin * kept, chains=1, seed=i, progress=False
        )
        own = []
        for variable, place in places:
            draws = tree["posterior"][variable].transpose("chain", "draw", ...).to_numpy()[0, ::thin].reshape(kept, -1)
            truth = prior["prior"][variable].transpose("chain", "draw", ...).to_numpy()[0, i].reshape(-1)
            own.append(int(np.sum(draws[:, place] < truth[place])))
        ranks.append(own)
    counts = np.stack([np.bincount(r * 10 // (kept + 1), minlength=10) for r in np.array(ranks).T])
    chi_square = ((counts - n / 10) ** 2 / (n / 10)).sum(axis=1)
    assert np.all(chi_square < 33.7), counts  # 1e-4 of nine degrees of freedom
