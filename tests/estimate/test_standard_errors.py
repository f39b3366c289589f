"""Standard errors and boundaries of variance parameters do not depend on the zero or unit of a predictor."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.estimate.standard_errors import _delta

SHIFTS = [(2000.0, 1.0), (1e6, 1.0), (1e6, 1e3), (-1e5, 1e-4)]


def moved(parameters, shift, scale):
    """sd of the intercept, sd of the slope and correlation where x is (x + shift) * scale; any dtype."""
    s0, s1, r = parameters
    c = -shift
    v0 = s0 * s0 + 2 * c * s0 * s1 * r + c * c * s1 * s1
    root = np.sqrt(v0)
    return np.array([root, s1 / scale, np.sign(scale) * (r * s0 + c * s1) / root])


def jacobian(parameters, shift, scale):
    """By complex steps, which lose no digits to cancellation."""
    columns = []
    for i in range(3):
        step = np.array(parameters, dtype=complex)
        step[i] += 1e-30j
        columns.append(moved(step, shift, scale).imag / 1e-30)
    return np.array(columns).T


@pytest.fixture(scope="module")
def sleep():
    return hr.load_dataset("sleepstudy")


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize(("shift", "scale"), SHIFTS)
def test_standard_errors_move_as_their_parameters_do(sleep, method, shift, scale):
    base = hr.Model("Reaction ~ Days + (Days | Subject)", sleep).estimate(method)
    table = sleep.assign(x=(sleep["Days"] + shift) * scale)
    est = hr.Model("Reaction ~ x + (x | Subject)", table).estimate(method)
    assert est.boundary == ()
    order = ["sd_Subject[Intercept]", "sd_Subject[Days]", "corr_Subject[Days, Intercept]"]
    cov = base.variance_cov.sel(parameter=order, parameter_col=order).to_numpy()
    sd, corr = base.sd["Subject"].to_numpy(), float(base.corr["Subject"][0, 1])
    J = jacobian([*sd, corr], shift, scale)
    expected = np.sqrt(np.diagonal(J @ cov @ J.T))
    se = est.variance_se.to_series()
    assert se["sd_Subject[x]"] == pytest.approx(expected[1], rel=1e-6)
    assert se["error_sd"] == pytest.approx(float(base.variance_se.sel(parameter="error_sd")), rel=1e-6)
    assert se["sd_Subject[Intercept]"] == pytest.approx(expected[0], rel=1e-5)
    if abs(shift) < 1e5:  # the expected one loses its digits to the correlation near one
        assert se["corr_Subject[x, Intercept]"] == pytest.approx(expected[2], rel=1e-3)
    else:
        assert 0 < se["corr_Subject[x, Intercept]"] < 1e-8


def rank_one():
    """Intercepts and slopes that are multiples of each other."""
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(8), 6), np.tile(np.arange(6.0), 8) + 0.1 * rng.normal(size=48)
    b = rng.normal(size=8)
    return pd.DataFrame({"y": 1 + x + b[g] * (1 + 0.5 * x) + rng.normal(size=48), "x": x, "g": g})


@pytest.mark.parametrize("shift", [0.0, 2000.0, 1e6])
def test_a_singular_covariance_is_singular_wherever_zero_is(shift):
    table = rank_one()
    base = hr.Model("y ~ x + (x | g)", table).estimate()
    est = hr.Model("y ~ x + (x | g)", table.assign(x=table["x"] + shift)).estimate()
    assert est.singular
    assert "correlation matrix of the group coefficients Intercept, x of g is singular" in est.message
    assert est.criterion == pytest.approx(base.criterion, abs=1e-6)
    names = ["sd_g[x]", "error_sd"]
    np.testing.assert_allclose(est.variance_se.sel(parameter=names), base.variance_se.sel(parameter=names), rtol=1e-6)
    assert np.isnan(est.variance_se.sel(parameter="corr_g[x, Intercept]"))


def test_standard_errors_of_a_singular_covariance_are_those_of_its_rank():
    """Two rank-one coefficients b_j (a, c) are one coefficient of the column a + c x, up to the ratio of a and c."""
    table = rank_one()
    est = hr.Model("y ~ x + (x | g)", table).estimate("ml")
    a, c = est.sd["g"].to_numpy() * np.array([1.0, np.sign(float(est.corr["g"][0, 1]))])

    def minus_log_likelihood(p):
        z = p[0] + p[1] * table["x"].to_numpy()
        V = np.outer(z, z) * (table["g"].to_numpy()[:, None] == table["g"].to_numpy()) + p[2] ** 2 * np.eye(len(table))
        X = np.column_stack([np.ones(len(table)), table["x"]])
        W = np.linalg.solve(V, np.column_stack([X, table["y"]]))
        beta = np.linalg.solve(X.T @ W[:, :2], X.T @ W[:, 2])
        r = table["y"].to_numpy() - X @ beta
        return 0.5 * np.linalg.slogdet(V)[1] + 0.5 * r @ np.linalg.solve(V, r)

    at, h = np.array([a, c, float(est.error_sd)]), 1e-4
    H = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            e, f = h * np.eye(3)[i], h * np.eye(3)[j]
            H[i, j] = (
                minus_log_likelihood(at + e + f)
                - minus_log_likelihood(at + e - f)
                - minus_log_likelihood(at - e + f)
                + minus_log_likelihood(at - e - f)
            ) / (4 * h * h)
    expected = np.sqrt(np.diagonal(np.linalg.inv(H)))
    se = est.variance_se.sel(parameter=["sd_g[Intercept]", "sd_g[x]", "error_sd"])
    np.testing.assert_allclose(se, expected, rtol=1e-4)


def test_map_standard_errors_do_not_depend_on_where_zero_is(sleep):
    """Default priors are stated at the predictors' means."""
    errors = [
        hr.Model("Reaction ~ x + (x | Subject)", sleep.assign(x=sleep["Days"] + shift)).estimate("map").variance_se
        for shift in (0.0, 2000.0)
    ]
    names = ["sd_Subject[x]", "error_sd"]
    np.testing.assert_allclose(*(se.sel(parameter=names) for se in errors), rtol=1e-6)


def test_no_curvature_at_all_gives_no_standard_error_and_no_warning():
    assert np.isnan(_delta(np.zeros((2, 2)), np.eye(2))).all()


def test_a_direction_without_curvature_leaves_the_others_theirs():
    cov = _delta(np.diag([-4.0, 0.0]), np.eye(2))
    assert cov[0, 0] == pytest.approx(0.25)
    assert np.isnan(cov[1]).all()
