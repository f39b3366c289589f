"""Draws near a factored point, and interpolated densities: against the equations, and against each evaluated."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import hierreg as hr
from hierreg.exceptions import HierregWarning
from hierreg.likelihood.crossed import near, plan
from hierreg.likelihood.crossed.equations import split_coefficients
from hierreg.likelihood.engines import recover, solve_equations
from hierreg.likelihood.posterior import Target
from hierreg.sampling import interpolated
from hierreg.sampling.approximation import Mode
from hierreg.sampling.nuts import find_mode
from hierreg.variances.parameters import covariances

ERRORS = {"independent": None, "by": hr.by("part"), "known": hr.known_se("se", scale=True)}
U = np.array([0.1, -0.4, -0.7, 0.05, 0.2])


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    s, d, c = rng.integers(0, 43, 900), rng.integers(0, 17, 900), rng.integers(0, 5, 900)
    x = rng.standard_normal(900)
    effects = rng.standard_normal(43)[s] + 0.6 * rng.standard_normal(17)[d] + 0.4 * rng.standard_normal(5)[c]
    y = 2.0 + 0.5 * x + effects + rng.standard_normal(900)
    part = np.where(rng.random(900) < 0.4, "a", "b")
    return pd.DataFrame({"y": y, "x": x, "s": s, "d": d, "c": c, "part": part, "se": rng.uniform(0.5, 1.5, 900)})


def target_of(formula, table, errors="independent"):
    problem = hr.Model(formula, table, errors=ERRORS[errors]).problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


def at(target, u, n=1):
    return covariances(target.parameters, np.repeat(u[None, : target.parameters.n_free], n, axis=0))


def nearby(target):
    point = at(target, U + 0.05)
    return point.Lambda[0], point.error_cov[0]


class NoNoise:
    """A generator of zeros: draws are means."""

    def standard_normal(self, shape):
        return np.zeros(shape)


# ---- draws near a factored point


@pytest.mark.parametrize("errors", ERRORS)
@pytest.mark.parametrize("formula", ["y ~ x + (1 | s) + (1 | d)", "y ~ x + (1 | c) + (1 | d) + (1 | s)"])
def test_means_are_those_of_the_equations(formula, errors, table, monkeypatch):
    target = target_of(formula, table, errors)
    cov = at(target, U)
    monkeypatch.setattr(np.random, "default_rng", lambda *_: NoNoise())
    ((_, means),) = near._batches(target.likelihood, cov, nearby(target), 1)
    beta, b = split_coefficients(target.likelihood, means, cov.Lambda)
    solution = solve_equations(target.likelihood, cov.Lambda[0], cov.error_cov[0])
    np.testing.assert_allclose(beta[0], solution.beta, atol=1e-8)
    for draws, expected in zip(b, solution.b, strict=True):
        np.testing.assert_allclose(draws[0], expected, atol=1e-8)


def test_means_where_a_level_has_zeros_alone(table, monkeypatch):
    zeros = table.assign(x=np.where(table.d == 3, 0.0, table.x))
    target = target_of("y ~ 1 + (1 | s) + (0 + x | d)", zeros)
    cov = at(target, U)
    monkeypatch.setattr(np.random, "default_rng", lambda *_: NoNoise())
    monkeypatch.setattr(near, "standard_draws", None)
    ((_, means),) = near._batches(target.likelihood, cov, nearby(target), 1)
    _, b = split_coefficients(target.likelihood, means, cov.Lambda)
    solution = solve_equations(target.likelihood, cov.Lambda[0], cov.error_cov[0])
    np.testing.assert_allclose(b[1][0], solution.b[1], atol=1e-8)
    assert b[1][0][3] == 0.0


@pytest.mark.parametrize("errors", ["independent", "by"])
def test_draws_have_mean_and_covariance_of_the_equations(errors, table):
    target, n = target_of("y ~ x + (1 | s) + (1 | d) + (1 | c)", table, errors), 4000
    cov = at(target, U, n)
    drawn = near.recover_near(target.likelihood, cov, nearby(target), seed=2, probs=None, theta_columns=())
    solution = solve_equations(target.likelihood, cov.Lambda[0], cov.error_cov[0])
    for draws, mean, covariance in zip(drawn.b, solution.b, solution.b_cov, strict=True):
        sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        assert np.abs((draws.mean(axis=0) - mean) / sd).max() < 4.5 / np.sqrt(n)
        assert np.abs(draws.std(axis=0) / sd - 1.0).max() < 4.5 / np.sqrt(2 * n)
    sd = np.sqrt(np.diag(solution.beta_cov))
    assert np.abs((np.cov(drawn.beta.T) - solution.beta_cov) / np.outer(sd, sd)).max() < 6.0 / np.sqrt(n)
    # Of beta and the effects of d, by the covariance that the equations have of them.
    cross = np.cov(drawn.beta[:, 0], drawn.b[1][:, 3, 0])[0, 1]
    scale = sd[0] * np.sqrt(solution.b_cov[1][3, 0, 0])
    assert cross / scale == pytest.approx(solution.beta_b_cov[1][3, 0, 0] / scale, abs=6.0 / np.sqrt(n))


@pytest.mark.parametrize("errors", ERRORS)
def test_draws_far_from_the_point_take_no_factorisation(errors, table, monkeypatch):
    """Five levels leave their sd to a factor: it is three times, or a third of, that of the point."""
    target = target_of("y ~ x + (1 | s) + (1 | d) + (1 | c)", table, errors)
    point, n = nearby(target), 3000
    monkeypatch.setattr(near, "standard_draws", None)
    for change in (-1.1, 1.1):
        cov = at(target, U + change * (np.arange(len(U)) == 2), n)
        drawn = near.recover_near(target.likelihood, cov, point, seed=3, probs=None, theta_columns=())
        solution = solve_equations(target.likelihood, cov.Lambda[0], cov.error_cov[0])
        for draws, mean, covariance in zip(drawn.b, solution.b, solution.b_cov, strict=True):
            sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
            assert np.abs((draws.mean(axis=0) - mean) / sd).max() < 4.5 / np.sqrt(n)
            assert np.abs(draws.std(axis=0) / sd - 1.0).max() < 4.5 / np.sqrt(2 * n)


@pytest.mark.parametrize("k", [3, 8])
def test_roots_of_a_matrix_by_krylov_spaces(k, rng):
    """A = L0^-1 C L0'^-1 of size 12 with k different eigenvalues takes k products; a column of zeros takes none."""
    vectors = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    values = np.resize(np.linspace(0.3, 4.0, k), 12)
    A, calls = (vectors * values) @ vectors.T, []

    def products(x):
        calls.append(1)
        return x, np.vstack([A @ x[:-1], np.zeros((1, x.shape[1]))])

    start = rng.standard_normal((12, 10))
    start[:, 1] = 0.0
    out = near._roots(products, lambda x, transposed: x, start)
    expected = np.linalg.solve(A, start[:, :5]) + (vectors / np.sqrt(values)) @ vectors.T @ start[:, 5:]
    np.testing.assert_allclose(out, expected, atol=1e-8)
    assert len(calls) <= k + 1


def test_digits_that_do_not_come_are_replaced_by_a_factorisation(table, monkeypatch):
    target = target_of("y ~ x + (1 | s) + (1 | d)", table)
    cov, point = at(target, U, 30), nearby(target)
    monkeypatch.setattr(near, "_MOST_PRODUCTS", 1)
    drawn = near.recover_near(target.likelihood, cov, point, seed=2, probs=None, theta_columns=())
    solution = solve_equations(target.likelihood, cov.Lambda[0], cov.error_cov[0])
    assert np.isfinite(drawn.b[0]).all()
    sd = np.sqrt(solution.b_cov[1][:, 0, 0])
    assert np.abs((drawn.b[1][:, :, 0].mean(axis=0) - solution.b[1][:, 0]) / sd).max() < 4.5 / np.sqrt(30)


def test_summaries_are_those_of_draws(table):
    target = target_of("y ~ x + (1 | s) + (1 | d)", table)
    cov, point = at(target, U, 300), nearby(target)
    given = {"seed": 2, "theta_columns": [(0,), (0,)]}
    draws = near.recover_near(target.likelihood, cov, point, probs=None, **given)
    found = near.recover_near(target.likelihood, cov, point, probs=(0.1, 0.5), **given)
    np.testing.assert_array_equal(found.beta, draws.beta)
    none = near.recover_near(target.likelihood, cov, point, probs=(), **given)
    np.testing.assert_array_equal(none.beta, draws.beta)
    assert none.b is None
    assert none.b_summary is None
    np.testing.assert_allclose(found.b_summary[1].mean, draws.b[1].mean(axis=0))
    theta = draws.b[0] + draws.beta[:, None, :1]
    np.testing.assert_allclose(found.theta_summary[0].quantiles, np.quantile(theta, (0.1, 0.5), axis=0))
    exact = recover(target.likelihood, cov, probs=(0.1, 0.5), **given)
    sd = exact.theta_summary[0].sd
    assert np.abs(found.theta_summary[0].mean - exact.theta_summary[0].mean).max() < 4.5 * sd.max() / np.sqrt(300)
    np.testing.assert_allclose(found.theta_summary[0].sd, sd, rtol=4.5 / np.sqrt(600))


def test_where_it_is_possible(table):
    def can(formula):
        return hr.Model(formula, table).problem.likelihood("reml").can_draw_near

    assert can("y ~ x + (1 | s) + (1 | d)")
    assert not can("y ~ x + (x | s) + (1 | d)")
    assert not can("y ~ x + (1 | s) + (1 | s:d)")


# ---- interpolated densities


class Skewed:
    """log N(z; 0, I) and a cubic, times a size, with u = centre + z."""

    def __init__(self, size):
        self.size = size

    def values(self, points, *, threads=1):
        z = points - 3.0
        return multivariate_normal.logpdf(z, np.zeros(2)) + self.size * (z[:, 0] ** 2 * z[:, 1] + np.sin(z[:, 1]))


def mode_at(value):
    return Mode(u=np.full(2, 3.0), scale=np.eye(2), log_density=value, converged=True)


def test_a_polynomial_is_recovered_and_what_is_none_has_an_error():
    rng = np.random.default_rng(0)
    points = 3.0 + rng.standard_normal((50, 2))
    for size, worst in ((0.0, 1e-10), (0.01, 0.05)):
        target = Skewed(size)
        found = interpolated.interpolate(target, mode_at(-np.log(2.0 * np.pi)), seed=1, threads=1)
        error = np.abs(found.values(points) - target.values(points))
        assert error.max() < worst
        assert found.error < worst
        assert np.quantile(error, 0.9) < 2.0 * found.error + 1e-10
    assert interpolated.interpolate(Skewed(3.0), mode_at(-np.log(2.0 * np.pi)), seed=1, threads=1).error > 0.05


def test_far_from_the_mode_the_remainder_is_that_of_the_edge():
    found = interpolated.interpolate(Skewed(0.01), mode_at(-np.log(2.0 * np.pi)), seed=1, threads=1)
    edge, far = 3.0 + np.array([[0.0, 5.0]]), 3.0 + np.array([[0.0, 50.0]])
    assert found.values(far) - found.values(edge) == pytest.approx(-0.5 * (50.0**2 - 5.0**2))


@pytest.mark.filterwarnings("ignore:the density is not interpolated")
def test_posteriors_of_interpolated_and_evaluated_densities_agree(table, monkeypatch):
    """At the same proposals' seed: means and sds of sds within what 2,000 draws of each leave open."""
    model = hr.Model("y ~ x + (1 | s) + (1 | d)", table)
    exact = model.sample(draws=500, seed=3, method="psis", progress=False)
    assert "interpolation_error" not in exact["sample_stats"].attrs
    monkeypatch.setattr(plan, "_ALL_THREADS", 3)
    monkeypatch.setattr(interpolated, "LARGEST_ERROR", 0.5)
    other = model.sample(draws=500, seed=3, method="psis", progress=False)
    stats = other["sample_stats"].attrs
    assert 0.0 < stats["interpolation_error"] <= 0.5
    assert stats["n_evaluations"] < 150 < stats["n_proposals"]
    for name in ("sd_s", "sd_d", "error_sd", "beta", "b_d"):
        one, two = (tree["posterior"][name].to_numpy().reshape(2000, -1) for tree in (exact, other))
        z = (one.mean(axis=0) - two.mean(axis=0)) / (one.std(axis=0) * np.sqrt(2.0 / 1900))
        assert np.abs(z).max() < 4.0, name
        np.testing.assert_allclose(two.std(axis=0), one.std(axis=0), rtol=0.1)


def test_a_density_that_is_no_polynomial_is_evaluated_and_it_is_said(table, monkeypatch):
    model = hr.Model("y ~ x + (1 | s) + (1 | d)", table)
    expected = model.sample(draws=50, seed=3, method="psis", progress=False)
    monkeypatch.setattr(plan, "_ALL_THREADS", 3)
    monkeypatch.setattr(interpolated, "LARGEST_ERROR", 1e-12)
    with pytest.warns(HierregWarning, match="off by .* at 12 points"):
        found = model.sample(draws=50, seed=3, method="psis", progress=False)
    np.testing.assert_allclose(found["posterior"]["sd_s"], expected["posterior"]["sd_s"])


def test_the_error_is_that_of_the_density_at_the_posterior(table):
    """At 200 draws of the normal approximation the largest error is of the size of that at the 12 checks."""
    target = target_of("y ~ x + (1 | s) + (1 | d)", table)
    mode = find_mode(target)
    found = interpolated.interpolate(target, mode, seed=1, threads=1)
    points = mode.at(np.random.default_rng(9).standard_normal((200, len(mode.u))))
    error = np.abs(found.values(points) - target.values(points))
    assert np.quantile(error, 0.9) < 2.0 * found.error


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
def test_densities_that_take_long_are_interpolated_where_that_is_less_work(table, monkeypatch):
    def is_interpolated(formula, draws):
        tree = hr.Model(formula, table).sample(draws, chains=1, seed=1, method="psis", progress=False)
        return "interpolation_error" in tree["sample_stats"].attrs

    formula = "y ~ x + (1 | s) + (1 | d)"
    monkeypatch.setattr(interpolated, "LARGEST_ERROR", 0.5)
    assert interpolated.most_evaluations(3) == 80
    assert not is_interpolated(formula, 200)
    monkeypatch.setattr(plan, "_COSTLY", 0.0)
    assert is_interpolated(formula, 81)
    assert not is_interpolated(formula, 80)
    # A draw of the coefficients would take an evaluation after all.
    assert not is_interpolated("y ~ x + (x | s) + (1 | d)", 500)
    # Nothing is lost but the time for the polynomial: no warning.
    monkeypatch.setattr(interpolated, "LARGEST_ERROR", 1e-12)
    assert not is_interpolated(formula, 81)
