"""Signed standard deviations: the same density in other coordinates, chosen where a variance may be zero."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats

import hierreg as hr
from hierreg.likelihood.posterior import Target
from hierreg.sampling import nuts, signed
from hierreg.variances.parameters import corr_factor, covariances
from tests.helpers.targets import CASES, log_prior, make_target
from tests.oracles import dense


def target_of(model):
    problem = model.problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


def all_signed(parameters, rng):
    """Return coordinates with every free sd signed."""
    unit = np.where(parameters.sd_is_free, rng.uniform(0.3, 2.0, parameters.n_columns), 0.0)
    return signed.Coordinates(
        unit=unit, sd=np.flatnonzero(parameters.sd_is_free), pairs=signed._pairs(parameters), extent=unit
    )


def meta_analysis():
    """Return a three-level meta-analysis whose second level has no variance."""
    rng = np.random.default_rng(2)
    study = np.repeat(np.arange(12), rng.integers(1, 5, 12))
    se = rng.uniform(0.1, 0.3, len(study))
    y = 0.3 + 0.15 * rng.normal(size=12)[study] + se * rng.normal(size=len(study))
    table = pd.DataFrame({"study": study, "effect": np.arange(len(study)), "se": se, "y": y})
    return hr.Model("y ~ 1 + (1 | study) + (1 | effect)", table, errors=hr.known_se("se"))


def two_rows():
    """Return two rows a group, which three standard deviations and a correlation can explain in many ways."""
    rng = np.random.default_rng(3)
    g, t = np.repeat(np.arange(20), 2), np.tile([0.0, 1.0], 20)
    y = 1 + 0.5 * t + rng.normal(size=20)[g] + rng.normal(size=40)
    return hr.Model("y ~ t + (t | g)", pd.DataFrame({"g": g, "t": t, "y": y}))


@pytest.mark.parametrize("options", CASES, ids=str)
def test_density_is_dense_likelihood_times_priors_times_the_jacobian_whatever_the_signs(options, rng):
    target, case, priors = make_target(rng, **options)
    parameters = target.parameters
    n, q = int(parameters.sd_is_free.sum()), parameters.n_factor
    coordinates = all_signed(parameters, rng)
    beta = {"prior_mean": np.array([1, -0.5, 0.0]), "prior_cov": np.diag([4.0, 1.0, 9.0])}
    for _ in range(4):
        w = rng.normal(0, 0.7, parameters.n_free)
        u, change = coordinates.to_log(w)
        # The factor with signs, written down directly.
        sd = parameters.sd_parameters[:, 0].copy()
        sd[parameters.sd_is_free] = coordinates.unit[parameters.sd_is_free] * np.sinh(w[:n])
        L, place = np.eye(len(sd)), n
        for start, size, free in zip(
            parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True
        ):
            if free:
                pairs = size * (size - 1) // 2
                L[start : start + size, start : start + size] = corr_factor(w[None, place : place + pairs], size)[0]
                place += pairs
        factor = sd[:, None] * L
        at = covariances(parameters, u[None])
        R = factor[q:, q:] @ factor[q:, q:].T
        if parameters.within_units.strata:
            R = parameters.within_units.covariance(np.abs(sd[None, q:]), at.error_corr)[0]
        Sigma = factor[:q, :q] @ factor[:q, :q].T
        np.testing.assert_allclose(at.Lambda[0] @ at.Lambda[0].T, Sigma, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(at.error_cov[0], R, rtol=1e-10, atol=1e-14)
        expected = dense.log_likelihood(case.design, case.layout, Sigma, R, beta="normal", **beta)
        expected += log_prior(priors, parameters, u)
        # By sds: half of unit cosh(w). By correlations: that of log sds, less the sds themselves.
        natural = replace(target, natural=True)(u)[0]
        jacobian = np.log(0.5 * coordinates.unit[parameters.sd_is_free] * np.cosh(w[:n])).sum()
        jacobian += target(u)[0] - natural - u[:n].sum()
        value = replace(target, sd_unit=coordinates.unit)(w)[0]
        assert value == pytest.approx(expected + jacobian, rel=1e-9)
        assert value + change == pytest.approx(target(u)[0], rel=1e-11)


@pytest.mark.parametrize("prior_on", [True, False])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_gradient_is_that_of_the_value(options, prior_on, rng):
    target, _, _ = make_target(rng, **options, prior_on=prior_on)
    target = replace(target, sd_unit=all_signed(target.parameters, rng).unit)
    n = int(target.parameters.sd_is_free.sum())
    w = rng.normal(0, 0.5, target.parameters.n_free)
    w[:n] = rng.choice([-1.0, 1.0], n) * rng.uniform(0.3, 1.0, n)
    _, gradient = target(w)
    # Richardson extrapolation of central differences, fourth order
    for i, e in enumerate(np.eye(len(w))):
        slopes = [(target(w + h * e)[0] - target(w - h * e)[0]) / (2 * h) for h in (2e-3, 1e-3)]
        assert gradient[i] == pytest.approx((4 * slopes[1] - slopes[0]) / 3, abs=2e-7 * (1 + np.abs(gradient).max()))


def test_zero_is_an_ordinary_point():
    target = target_of(hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")))
    mode = nuts.find_mode(target)
    coordinates = signed.coordinates(target, mode)
    other = replace(target, sd_unit=coordinates.unit)
    w = coordinates.approximation(mode).u
    assert w[0] == 0
    (value, gradient), h = other(w), 1e-5
    assert np.isfinite(value)
    assert gradient[0] == pytest.approx(0, abs=1e-12)
    # Flat, and the same to both sides.
    left, right = (other(w + np.array([step, 0.0]))[0] for step in (-h, h))
    assert left == right == pytest.approx(value, abs=1e-8)
    u, change = coordinates.to_log(w)
    assert np.isfinite(u).all()
    assert np.isfinite(change)


def test_both_coordinates_have_the_same_integral():
    schools = hr.load_dataset("eight_schools")
    target = target_of(hr.Model("effect ~ 1 + (1 | school)", schools, errors=hr.known_se("se")))
    coordinates = signed.coordinates(target, nuts.find_mode(target))
    other = replace(target, sd_unit=coordinates.unit)
    u, w = np.linspace(-25, 8, 20_001), np.linspace(-9, 9, 20_001)
    over_u = np.trapezoid(np.exp(target.values(u[:, None])), u)
    over_w = np.trapezoid(np.exp(other.values(w[:, None])), w)
    assert over_w == pytest.approx(over_u, rel=1e-7)


def signed_names(model):
    target = target_of(model)
    coordinates = signed.coordinates(target, nuts.find_mode(target))
    if coordinates is None:
        return set()
    return {name for name, unit in zip(target.parameters.column_names, coordinates.unit, strict=True) if unit > 0}


def test_signed_are_those_that_may_be_zero():
    dyestuff, sleep = hr.load_dataset("dyestuff2"), hr.load_dataset("sleepstudy")
    assert signed_names(hr.Model("Yield ~ 1 + (1 | Batch)", dyestuff)) == {"sd_Batch[Intercept]"}
    assert signed_names(hr.Model("Reaction ~ Days + (Days | Subject)", sleep)) == set()
    assert signed_names(meta_analysis()) == {"sd_study[Intercept]", "sd_effect[Intercept]"}
    # The errors too where groups can explain all rows.
    assert signed_names(two_rows()) >= {"sd_g[t]", "error_sd"}


@pytest.mark.parametrize("prior", [hr.InverseGamma(3, 40), hr.LogNormal(3, 1), hr.Gamma(2, 0.01)], ids=str)
def test_priors_that_exclude_zero_keep_logarithms(prior):
    priors = hr.Priors(sd={"Batch": prior})
    assert signed_names(hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2"), priors=priors)) == set()


def test_chains_have_the_moments_of_the_density():
    """Two variances that may be zero, against sums over a grid."""
    model = meta_analysis()
    target = target_of(model)
    grid = np.linspace(1e-4, 1.0, 400)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    weight = replace(target, natural=True).values(np.log(points))
    weight = np.exp(weight - weight.max())
    expected = weight @ points / weight.sum()
    tree = model.sample(draws=500, chains=2, seed=1, progress=False)
    assert not tree["sample_stats"]["diverging"].any()
    for i, name in enumerate(("sd_study", "sd_effect")):
        draws = tree["posterior"][name].to_numpy()[..., 0]
        assert (draws > 0).all()
        ess = float(array_stats.ess(draws, chain_axis=0, draw_axis=1))
        assert ess > 0.25 * draws.size
        assert abs(draws.mean() - expected[i]) < 4 * draws.std() / np.sqrt(ess)
    # lp is the density of log sds and partial correlations.
    u = np.log(np.stack([tree["posterior"][name].to_numpy()[0, :5, 0] for name in ("sd_study", "sd_effect")], axis=1))
    np.testing.assert_allclose(tree["sample_stats"]["lp"].to_numpy()[0, :5], target.values(u), rtol=1e-9)


def test_chains_move_along_a_ring_of_sds():
    model = two_rows()
    target = target_of(model)
    mode = nuts.find_mode(target)
    settings = nuts.Settings(draws=500, tune=300, chains=2, seed=2, cores=1, progress=False)
    chains = nuts.sample_chains(target, mode, settings)
    ess = array_stats.ess(chains.u, chain_axis=0, draw_axis=1)
    # With log sds 17 to 166 (five seeds) of these 1,000, with signed ones 254 to 370.
    assert ess.min() > 200
    assert chains.stats["diverging"].sum() == 0
