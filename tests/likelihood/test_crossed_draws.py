"""Draws of effects beside densities, the tail by LAPACK, and large tails, which change no answer."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.compiled.lapack import addresses_of_lapack
from hierreg.exceptions import HierregWarning, SamplingError
from hierreg.likelihood.crossed import blas_threads, large_kernels, plan
from hierreg.likelihood.crossed.draws import recover_kept
from hierreg.likelihood.crossed_draws import WithDraws
from hierreg.likelihood.engines import solve_equations
from hierreg.likelihood.posterior import Target
from hierreg.model import default_method
from hierreg.variances.parameters import covariances

FORMULA = "y ~ x + (x | s) + (1 | d) + (1 | c)"


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    s, d, c = rng.integers(0, 31, 400), rng.integers(0, 11, 400), rng.integers(0, 5, 400)
    x = rng.standard_normal(400)
    effects = rng.standard_normal(31)[s] + 0.6 * rng.standard_normal(11)[d] + 0.4 * rng.standard_normal(5)[c]
    slope = 0.5 + 0.7 * rng.standard_normal(31)[s]
    return pd.DataFrame({"y": 2.0 + slope * x + effects + rng.standard_normal(400), "x": x, "s": s, "d": d, "c": c})


@pytest.fixture(scope="module")
def target(table):
    problem = hr.Model(FORMULA, table).problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


@pytest.fixture
def points(target, rng):
    return rng.normal(-0.5, 0.3, (7, target.parameters.n_free))


# ---- LAPACK, by its address


@pytest.mark.parametrize(("n", "D"), [(1, 3), (37, 40), (150, 151)])
def test_factor_and_inverse_of_the_leading_columns(n, D, rng):
    A = rng.standard_normal((D, D))
    A = A @ A.T + np.eye(D)
    C, lapack = np.tril(A), addresses_of_lapack()
    assert large_kernels.factor_leading(C, n, lapack)
    L = np.linalg.cholesky(A[:n, :n])
    np.testing.assert_allclose(np.tril(C[:n, :n]), L, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(C[n:, :n], np.linalg.solve(L, A[:n, n:]).T, rtol=1e-10, atol=1e-10)
    large_kernels.invert_leading(C, n, lapack)
    np.testing.assert_allclose(C[:n, :n], np.linalg.inv(A[:n, :n]), rtol=1e-9, atol=1e-10)
    assert not C[n:].any()
    assert not C[:, n:].any()


def test_a_matrix_that_is_not_definite_has_no_factor():
    C = np.diag([1.0, 2.0, -1.0, 4.0])
    assert not large_kernels.factor_leading(C, 4, addresses_of_lapack())
    assert large_kernels.factor_leading(np.diag([1.0, 2.0, -1.0, 4.0]), 2, addresses_of_lapack())


# ---- draws beside densities


@pytest.mark.parametrize("threads", [1, 3])
def test_densities_are_the_same_with_draws_beside_them(target, points, threads):
    drawing = WithDraws(target, target.likelihood, seed=1, most_bytes=2**30)
    np.testing.assert_array_equal(drawing.values(points, threads=threads), target.values(points))


def test_draws_depend_on_seed_and_number_alone(target, points):
    whole, parts, other = (WithDraws(target, target.likelihood, seed=s, most_bytes=2**30) for s in (1, 1, 2))
    whole.values(points, threads=2)
    parts.values(points[:3])
    parts.values(points[3:])
    other.values(points)
    places = np.array([5, 0, 3])
    np.testing.assert_array_equal(whole.draws_of(places), parts.draws_of(places))
    assert not np.isclose(whole.draws_of(places)[:, 0], other.draws_of(places)[:, 0]).any()


def test_draws_have_mean_and_covariance_of_the_equations(target, points):
    """At one point 4,000 times: means within 4.5 standard errors, sds and a correlation too."""
    n = 4000
    repeated = np.repeat(points[:1], n, axis=0)
    drawing = WithDraws(target, target.likelihood, seed=3, most_bytes=2**30)
    drawing.values(repeated, threads=2)
    cov = covariances(target.parameters, repeated)
    drawn = recover_kept(target.likelihood, cov, drawing.draws_of(np.arange(n)), seed=3, threads=1)
    solution = solve_equations(target.likelihood, cov.Lambda[0], cov.error_cov[0])
    for draws, mean, covariance in zip(drawn.b, solution.b, solution.b_cov, strict=True):
        sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        assert np.abs((draws.mean(axis=0) - mean) / sd).max() < 4.5 / np.sqrt(n)
        assert np.abs(draws.std(axis=0) / sd - 1.0).max() < 4.5 / np.sqrt(2 * n)
    error = (np.cov(drawn.beta.T) - solution.beta_cov) / np.sqrt(np.outer(*2 * [np.diag(solution.beta_cov)]))
    assert np.abs(error).max() < 6.0 / np.sqrt(n)


def test_a_point_that_comes_again_gets_a_draw_of_its_own(target, points):
    drawing = WithDraws(target, target.likelihood, seed=1, most_bytes=2**30)
    drawing.values(points)
    which = np.array([4, 2, 4, 4])
    kept = drawing.draws_of(which)
    np.testing.assert_array_equal(np.isnan(kept[:, 0]), [False, False, True, True])
    cov = covariances(target.parameters, points[which])
    drawn = recover_kept(target.likelihood, cov, kept, seed=1, threads=2)
    assert len(np.unique(drawn.beta[:, 0])) == 4
    assert np.isfinite(drawn.b[0]).all()


def test_no_draws_are_kept_where_they_take_too_much(target, points):
    drawing = WithDraws(target, target.likelihood, seed=1, most_bytes=100)
    np.testing.assert_array_equal(drawing.values(points), target.values(points))
    drawing.values(points)
    assert drawing.draws_of(np.arange(3)) is None


@pytest.mark.long
def test_posteriors_with_draws_beside_and_after_agree(table):
    """Means of effects, of draws made at the proposals and of draws made afterwards (NUTS), in standard errors."""
    model = hr.Model(FORMULA, table)
    trees = [model.sample(draws=500, seed=4, progress=False, method=method) for method in ("psis", "nuts")]
    b = [tree["posterior"]["b_d"].to_numpy().reshape(2000, -1) for tree in trees]
    error = np.sqrt(sum(one.var(axis=0) for one in b) / 1000)
    assert np.abs((b[0].mean(axis=0) - b[1].mean(axis=0)) / error).max() < 4.0


# ---- large tails, and the default


def test_one_evaluation_with_all_threads_says_the_same(table, monkeypatch):
    model = hr.Model(FORMULA, table)
    expected = model.estimate()
    monkeypatch.setattr(plan, "_ALL_THREADS", 3)
    assert plan.takes_all_threads(model.problem.gram)
    likelihood = replace(model.problem.likelihood("reml"), threads=4)
    assert likelihood.side_by_side == 1
    with blas_threads.blas_threads_for(model.problem.gram):
        found = hr.Model(FORMULA, table).estimate()
    np.testing.assert_allclose(found.criterion, expected.criterion, rtol=1e-12)
    np.testing.assert_allclose(found.b["s"], expected.b["s"], rtol=1e-8, atol=1e-8)


def test_nested_factors_have_no_large_tail(table, monkeypatch):
    monkeypatch.setattr(plan, "_ALL_THREADS", 18)
    nested = table.assign(g=table["s"] // 4)
    assert not plan.takes_all_threads(hr.Model("y ~ x + (1 | s) + (1 | g)", nested).problem.gram)
    # Levels of d and c cross those of s, which g does not: 11 + 5, those of x, and y.
    assert plan.takes_all_threads(hr.Model("y ~ x + (1 | s) + (1 | d) + (1 | c) + (1 | g)", nested).problem.gram)
    monkeypatch.setattr(plan, "_ALL_THREADS", 19)
    assert not plan.takes_all_threads(hr.Model("y ~ x + (1 | s) + (1 | d) + (1 | c) + (1 | g)", nested).problem.gram)


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
def test_the_default_is_importance_sampling_where_gradients_take_long(table, monkeypatch, caplog):
    model = hr.Model(FORMULA, table)
    few = {"draws": 50, "chains": 2, "seed": 1, "progress": False}
    with caplog.at_level(logging.WARNING, logger="hierreg"):
        assert model.sample(tune=100, **few).attrs["method"] == "nuts"
        monkeypatch.setattr(plan, "_COSTLY", 10.0)
        assert not [one for one in caplog.records if "importance" in one.message]
        tree = model.sample(**few)
        assert tree.attrs["method"] == "psis"
        assert len([one for one in caplog.records if "method='nuts' takes NUTS" in one.message]) == 1
        caplog.clear()
        for asked in ({"tune": 100}, {"target_accept": 0.9}, {"method": "nuts", "tune": 100}):
            assert model.sample(**few, **asked).attrs["method"] == "nuts"
        assert not [one for one in caplog.records if "importance" in one.message]
    asked = model.sample(**few, method="psis")
    np.testing.assert_array_equal(tree["posterior"]["sd_s"], asked["posterior"]["sd_s"])


def test_describe_says_how_a_posterior_is_sampled(table, monkeypatch):
    model = hr.Model(FORMULA, table)
    assert "posterior:" not in repr(model.describe())
    monkeypatch.setattr(plan, "_COSTLY", 10.0)
    assert "posterior: by importance sampling unless method='nuts'" in repr(model.describe())
    monkeypatch.setattr(plan, "_ALL_THREADS", 3)
    assert "interpolation_error" in repr(model.describe())


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
def test_one_factor_is_sampled_by_nuts_whatever_it_costs(table, monkeypatch):
    monkeypatch.setattr(plan, "_COSTLY", 0.0)
    tree = hr.Model("y ~ x + (1 | s)", table).sample(draws=20, chains=1, seed=1, progress=False)
    assert tree.attrs["method"] == "nuts"


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
def test_nuts_follows_where_importance_sampling_fails(table, monkeypatch):
    model = hr.Model(FORMULA, table)
    monkeypatch.setattr(plan, "_COSTLY", 10.0)
    kind = default_method.kind_of(model.problem)

    def fails(problem, request):
        if request.method == "psis":
            raise SamplingError("Pareto k is 0.9.")
        return kind.sample(problem, request)

    monkeypatch.setattr(default_method, "kind_of", lambda _: replace(kind, sample=fails))
    with pytest.warns(HierregWarning, match=r"Pareto k is 0\.9.*NUTS takes its place"):
        tree = model.sample(draws=100, chains=2, seed=1, progress=False)
    assert tree.attrs["method"] == "nuts"


def test_what_a_gradient_costs_is_decided_by_sizes_alone():
    """About ten milliseconds of one core: 700 levels that cross another factor, whatever their rows say."""
    rng = np.random.default_rng(0)

    def costs(crossing):
        s, d = rng.integers(0, 2000, 20_000), rng.integers(0, crossing, 20_000)
        y = rng.standard_normal(20_000)
        return hr.Model("y ~ 1 + (1 | s) + (1 | d)", pd.DataFrame({"y": y, "s": s, "d": d})).problem.likelihood("reml")

    assert not costs(500).plan.is_costly
    assert costs(900).plan.is_costly
