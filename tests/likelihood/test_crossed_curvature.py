"""The exact Hessian of crossed factors against differences of gradients, and what penalised effects leave."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.estimate.coordinates import factor_coordinates
from hierreg.estimate.mode import best_mode
from hierreg.estimate.optimise import hessian
from hierreg.exceptions import DataError
from hierreg.likelihood.crossed import plan
from hierreg.likelihood.crossed.curvature import curvature_of_crossed
from hierreg.likelihood.engines import left_by_effects, log_curvature
from hierreg.likelihood.posterior import Target

FORMULAS = ["y ~ x + (1 | s) + (1 | d)", "y ~ 0 + x + (1 | c) + (1 | d) + (1 | s)", "y ~ x + (0 + x | s) + (1 | c)"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(8)
    n = 500
    s, d, c = rng.integers(0, 37, n), rng.integers(0, 13, n), rng.integers(0, 4, n)
    x = rng.normal(1.0, 2.0, n)
    effects = 0.9 * rng.standard_normal(37)[s] + 0.5 * rng.standard_normal(13)[d] + rng.standard_normal(4)[c]
    part = np.where(rng.random(n) < 0.4, "a", "b")
    y = 2.0 + 0.5 * x + effects + 1.3 * rng.standard_normal(n)
    return pd.DataFrame({"y": y, "x": x, "s": s, "d": d, "c": c, "part": part, "se": rng.uniform(0.5, 1.5, n)})


@pytest.fixture
def costly(monkeypatch):
    monkeypatch.setattr(plan, "_COSTLY", 0.0)


def over_logs(likelihood, log_sd):
    """Value and gradient over the log sds of factors and errors."""
    sd = np.exp(log_sd)
    value, g, g_errors = likelihood.value_and_gradient(np.diag(sd[:-1]), np.diag(sd[-1:] ** 2))
    return value, np.append(np.diagonal(g) * sd[:-1], 2.0 * g_errors[0, 0] * sd[-1] ** 2)


@pytest.mark.parametrize("method", ["reml", "ml", "prior"])
@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("errors", [None, hr.known_se("se", scale=True)], ids=["independent", "scaled"])
def test_it_is_that_of_differences(formula, method, errors, table):
    priors = hr.Priors(beta={"x": hr.Normal(3.0, 0.2)})
    likelihood = hr.Model(formula, table, errors=errors, priors=priors).problem.likelihood(method)
    log_sd = np.log([0.7, 0.4, 1.1, 1.2])[-1 - len(likelihood.gram.factors) :]
    sd = np.exp(log_sd)
    H = curvature_of_crossed(likelihood, np.diag(sd[:-1]), np.diag(sd[-1:] ** 2))
    expected = hessian(lambda x: over_logs(likelihood, x), log_sd)
    size = np.sqrt(np.abs(np.diag(expected)))
    np.testing.assert_allclose(H / size / size[:, None], expected / size / size[:, None], atol=2e-7)


@pytest.mark.parametrize(
    ("formula", "errors"),
    [
        ("y ~ x + (x | s) + (1 | d)", None),
        ("y ~ x + (1 | s) + (1 | s:d)", None),
        ("y ~ x + (1 | s) + (1 | d)", hr.by("part")),
        ("y ~ x + (1 | s) + (1 | d)", hr.known_se("se")),
    ],
)
def test_there_is_none_of_other_models(formula, errors, table, costly):
    likelihood = hr.Model(formula, table, errors=errors).problem.likelihood("reml")
    assert likelihood.is_costly
    q, D = len(likelihood.z_map_inverse), likelihood.gram.terms.n_labels
    assert log_curvature(likelihood, np.eye(q), np.eye(D)) is None


def test_there_is_none_at_a_zero_sd_and_none_where_gradients_are_cheap(table, costly, monkeypatch):
    likelihood = hr.Model(FORMULAS[0], table).problem.likelihood("reml")
    assert log_curvature(likelihood, np.diag([0.0, 1.0]), np.eye(1)) is None
    assert log_curvature(likelihood, np.eye(2), np.eye(1)) is not None
    monkeypatch.setattr(plan, "_COSTLY", 1e9)
    assert log_curvature(likelihood, np.eye(2), np.eye(1)) is None


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_over_the_search_space(method, table, costly):
    problem = hr.Model(FORMULAS[1], table).problem
    coordinates = factor_coordinates(problem.likelihood(method), problem.parameters)
    x = np.array([0.4, -0.7, 1.3, 0.1])
    H = coordinates.hessian(x, coordinates(x)[1])
    np.testing.assert_allclose(H, hessian(coordinates, x), rtol=1e-5, atol=1e-5 * np.abs(H).max())
    assert coordinates.hessian(np.array([0.4, 0.0, 1.3, 0.1]), coordinates(x)[1]) is None


def test_over_the_posterior(table, costly):
    priors = hr.Priors(sd={"s": hr.LogNormal(0.0, 0.3), "d": hr.Gamma(2.0, 1.0)})
    problem = hr.Model(FORMULAS[0], table, priors=priors).problem
    target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    mode, others = best_mode(target, with_hessian=True)
    assert mode.converged
    assert not others
    np.testing.assert_allclose(mode.hessian, hessian(target, mode.x), rtol=1e-4, atol=1e-4)


# ---- a fit that is not exact, without least squares


def test_what_effects_leave_beside_their_penalty(table, costly):
    gram = (problem := hr.Model(FORMULAS[1], table).problem).gram
    design, sd = problem.design, 0.8
    Z = np.hstack([np.eye(len(f.levels))[f.index] * f.Z for f in design.factors])
    scale = np.concatenate([np.full(f.n_levels, f.z_map[0, 0]) for f in gram.factors])
    A = np.vstack([np.hstack([design.X, Z * scale]), np.hstack([np.zeros((Z.shape[1], 1)), np.eye(Z.shape[1]) / sd])])
    y = np.append(design.y, np.zeros(Z.shape[1]))
    expected = np.sum((y - A @ np.linalg.lstsq(A, y)[0]) ** 2)
    assert left_by_effects(problem.likelihood("reml"), np.ones(1), sd) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_an_exact_fit_is_refused_where_evaluations_are_costly(unit, table, costly):
    y = np.sin(table.s) + np.cos(table.d) + 0.2 * table.x
    formula = "y ~ x + (1 | s) + (1 | d)"
    with pytest.raises(DataError, match=r"the groups of 's', 'd'"):
        hr.Model(formula, table.assign(y=unit * y)).estimate()
    nearly = unit * (y + 1e-3 * np.random.default_rng(0).standard_normal(len(y)))
    assert hr.Model(formula, table.assign(y=nearly)).estimate().converged
