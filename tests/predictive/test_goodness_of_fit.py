"""Chi-square of regressions with known errors: dense formula, scipy's least squares, and its distribution."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hierreg as hr
from tests.helpers import report_trees as trees


def dense_chi_square(X, y, V):
    V_inv = np.linalg.inv(V)
    return y @ (V_inv - V_inv @ X @ np.linalg.solve(X.T @ V_inv @ X, X.T @ V_inv)) @ y


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("structure", ["known_se", "known_cov"])
def test_chi_square_is_the_dense_quadratic_form(structure, method):
    table = trees.table()
    V = trees.known_cov() if structure == "known_cov" else np.diag(table["se"] ** 2)
    est = hr.Model("y ~ x + w", table, errors=trees.model(structure).problem.layout.spec).estimate(method)
    X = np.column_stack([np.ones(36), table["x"], table["w"]])
    expected = dense_chi_square(X, table["y"].to_numpy(), V)
    assert est.chi_square == pytest.approx(expected, rel=1e-10)
    assert est.degrees_of_freedom == 33
    assert est.p_value == pytest.approx(stats.chi2.sf(expected, 33), rel=1e-8)
    assert f"chi-square {expected:.4g} on 33 degrees of freedom" in str(est)


def test_two_data_sets_with_the_covariance_of_all_their_points(rng):
    """Best-fit parameters of both, their joint covariance and chi-square, of N + M points correlated across sets."""
    x = np.concatenate([np.linspace(0, 1, 7), np.linspace(0, 2, 5)])
    A = rng.normal(size=(12, 40))
    V = A @ A.T / 400
    X = np.zeros((12, 4))
    X[:7, 0], X[:7, 1], X[7:, 2], X[7:, 3] = 1, x[:7], 1, x[7:]
    y = X @ [1.0, 2.0, 1.1, 1.9] + np.linalg.cholesky(V) @ rng.normal(size=12)
    table = pd.DataFrame({"y": y, "x": x, "set": np.repeat(["a", "b"], [7, 5])})
    est = hr.Model("y ~ 0 + set + set:x", table, errors=hr.known_cov(V)).estimate()
    names = ["set[a]", "set[a]:x", "set[b]", "set[b]:x"]
    V_inv = np.linalg.inv(V)
    cov = np.linalg.inv(X.T @ V_inv @ X)
    np.testing.assert_allclose(est.beta.sel(coef=names), cov @ X.T @ V_inv @ y, rtol=1e-9)
    np.testing.assert_allclose(est.beta_cov.sel(coef=names, coef_col=names), cov, rtol=1e-8, atol=1e-14)
    assert est.chi_square == pytest.approx(dense_chi_square(X, y, V), rel=1e-9)
    assert est.degrees_of_freedom == 8


def test_an_offset_costs_no_digits(rng):
    table = trees.table()
    near = hr.Model("y ~ x", table, errors=hr.known_se("se")).estimate().chi_square
    far = hr.Model("y ~ x", table.assign(y=table["y"] + 2.0**20), errors=hr.known_se("se")).estimate().chi_square
    assert far == pytest.approx(near, rel=1e-8)


def test_coefficients_held_fixed_count_as_known(rng):
    table = trees.table()
    priors = hr.Priors(beta={"w": hr.Fixed(0.3)})
    est = hr.Model("y ~ x + w", table, errors=hr.known_se("se"), priors=priors).estimate()
    X = np.column_stack([np.ones(36), table["x"]])
    expected = dense_chi_square(X, (table["y"] - 0.3 * table["w"]).to_numpy(), np.diag(table["se"] ** 2))
    assert est.chi_square == pytest.approx(expected, rel=1e-10)
    assert est.degrees_of_freedom == 34


@pytest.mark.long
def test_p_values_are_uniform_where_the_model_holds(rng):
    x, se = rng.normal(size=9), rng.uniform(0.5, 2, 9)
    p_values = [
        hr.Model("y ~ x", {"x": x, "se": se, "y": 1 + x + rng.normal(0, se)}, errors=hr.known_se("se"))
        .estimate()
        .p_value
        for _ in range(200)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-4  # as rare as four standard errors


def test_there_is_none_where_a_variance_is_unknown():
    table = trees.table()
    without = [
        hr.Model("y ~ x", table).estimate(),
        hr.Model("y ~ x", table, errors=hr.known_se("se", scale=True)).estimate(),
        hr.Model("y ~ x + (1 | g)", table, errors=hr.known_se("se")).estimate(),
        hr.Model("y ~ x", table, errors=hr.known_se("se")).estimate("map"),
    ]
    for est in without:
        assert est.chi_square is None
        assert est.degrees_of_freedom is None
        assert est.p_value is None
        assert "chi-square" not in str(est)


def test_as_many_coefficients_as_rows_leave_no_degrees_of_freedom():
    est = hr.Model("y ~ x", {"y": [1.0, 2.0], "x": [0, 1], "se": [0.1, 0.2]}, errors=hr.known_se("se")).estimate()
    assert est.chi_square == pytest.approx(0, abs=1e-20)
    assert est.degrees_of_freedom == 0
    assert est.p_value is None
