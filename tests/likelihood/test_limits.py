"""Limits in which two models must agree, as equalities."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from tests.oracles import dense
from tests.oracles.cases import make_layout, random_case


def log_likelihood(design, layout, Lambda, error_cov, **options):
    return marginal_likelihood(collect(design, layout), **options).value_and_gradient(Lambda, error_cov)[0]


@pytest.fixture
def table(rng):
    """Five unbalanced groups, two strata that do not line up with them."""
    n = 41
    group = np.concatenate([np.arange(5), rng.choice(5, n - 5, p=[0.1, 0.15, 0.2, 0.25, 0.3])])
    x = rng.normal(2, 1, n)
    return pd.DataFrame(
        {
            "g": [f"g{j}" for j in group],
            "x": x,
            "site": np.where(rng.random(n) < 0.4, "north", "south"),
            "y": 1 + 2 * x + rng.normal(0, 1, 5)[group] + rng.normal(0, 0.5, n),
        }
    )


def ols(X, y):
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    return beta, np.linalg.inv(X.T @ X)


# ---- Sigma


def test_no_variance_between_groups_is_complete_pooling(table):
    at = hr.Model("y ~ x + (x | g)", table).solve({"g": np.zeros((2, 2))}, 0.7)
    X = np.column_stack([np.ones(41), table["x"]])
    beta, unscaled = ols(X, table["y"].to_numpy())
    np.testing.assert_allclose(at.beta, beta, rtol=1e-12)
    np.testing.assert_allclose(at.beta_cov, 0.7 * unscaled, rtol=1e-10)
    assert not at.b["g"].values.any()
    np.testing.assert_allclose(at.theta["g"], np.tile(beta, (5, 1)), rtol=1e-12)


@pytest.mark.parametrize("size", [1e6, 1e8])
def test_infinite_variance_between_groups_is_no_pooling(table, size):
    at = hr.Model("y ~ x + (x | g)", table).solve({"g": size * np.eye(2)}, 0.7)
    for label, rows in table.groupby("g"):
        beta, unscaled = ols(np.column_stack([np.ones(len(rows)), rows["x"]]), rows["y"].to_numpy())
        theta = at.theta["g"].sel(g=label)
        np.testing.assert_allclose(theta, beta, rtol=0, atol=1e3 / size)
        np.testing.assert_allclose(at.theta_cov["g"].sel(g=label), 0.7 * unscaled, rtol=0, atol=1e4 / size)


def test_independent_data_sets_with_unrelated_coefficients_are_separate_fits(rng):
    """Diagonal error covariance, one coefficient vector per data set: the likelihood is a product."""
    case = random_case(rng, "correlated", q=0, n=37)
    stratum, X = case.layout.stratum, case.design.X
    by_set = np.hstack([X * (stratum == d)[:, None] for d in range(3)])
    design = replace(case.design, X=by_set, coef_names=tuple(f"c{i}" for i in range(9)))
    S = np.diag([0.5, 2.0, 1.2])
    total = 0.0
    for d in range(3):
        rows = stratum == d
        part = replace(case.design, X=np.ascontiguousarray(X[rows]), y=case.design.y[rows])
        total += log_likelihood(part, make_layout("independent", rows.sum()), np.empty((0, 0)), S[d : d + 1, d : d + 1])
    assert log_likelihood(design, case.layout, np.empty((0, 0)), S) == pytest.approx(total, rel=1e-11)


def test_block_diagonal_sigma_and_errors_are_separate_mixed_models(rng):
    """(0 + set | g) with a diagonal Sigma and hr.by("set") is one mixed model for each set."""
    n = 60
    rows = pd.DataFrame({"g": rng.integers(0, 6, n).astype(str), "x": rng.normal(size=n)})
    rows["set"] = np.where(rng.random(n) < 0.4, "a", "b")
    rows["y"] = rows["x"] + rows["g"].astype(float) + rng.normal(size=n) * np.where(rows["set"] == "a", 0.5, 2.0)
    joint = hr.Model("y ~ 0 + set + set:x + (0 + set || g)", rows, errors=hr.by("set")).estimate("reml")
    criterion = 0.0
    for label in ("a", "b"):
        mine = hr.Model("y ~ x + (1 | g)", rows[rows["set"] == label]).estimate("reml")
        criterion += mine.criterion
        np.testing.assert_allclose(joint.beta.sel(coef=[f"set[{label}]", f"set[{label}]:x"]), mine.beta, rtol=1e-6)
        np.testing.assert_allclose(joint.sd["g"].sel(g_coef=f"set[{label}]"), mine.sd["g"][0], rtol=1e-6)
        np.testing.assert_allclose(joint.error_sd.sel(set=label), mine.error_sd, rtol=1e-6)
    assert joint.criterion == pytest.approx(criterion, abs=1e-8)


# ---- R


def test_strata_with_equal_variances_are_independent_errors(rng):
    case = random_case(rng, "by")
    value = log_likelihood(case.design, case.layout, case.Lambda, 1.7 * np.eye(3))
    same = make_layout("independent", 37)
    assert value == pytest.approx(log_likelihood(case.design, same, case.Lambda, np.array([[1.7]])), rel=1e-12)


def test_correlated_errors_without_correlation_are_strata(rng):
    case = random_case(rng, "correlated")
    S = np.diag([0.4, 1.0, 3.0])
    strata = make_layout("by", 37, labels=case.layout.labels, dim="d", n_sd=3, stratum=case.layout.stratum)
    value = log_likelihood(case.design, case.layout, case.Lambda, S)
    assert value == pytest.approx(log_likelihood(case.design, strata, case.Lambda, S), rel=1e-12)


@pytest.mark.parametrize("kind", ["correlated", "correlated within groups", "correlated, group = data set"])
def test_a_known_covariance_with_the_values_of_correlated_errors_is_the_same_model(kind, rng):
    case = random_case(rng, kind)
    V = dense.error_covariance(case.layout, case.error_cov)
    known = make_layout("known_cov", 37, n_sd=0, V=V)
    expected, g_expected, _ = marginal_likelihood(collect(case.design, case.layout)).value_and_gradient(*case.point)
    value, g, _ = marginal_likelihood(collect(case.design, known)).value_and_gradient(case.Lambda, np.eye(1))
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(g, g_expected, rtol=0, atol=1e-9 * np.linalg.norm(g_expected))


def test_a_diagonal_known_covariance_is_known_standard_errors(rng):
    case = random_case(rng, "known_se")
    known = make_layout("known_cov", 37, n_sd=0, V=np.diag(case.layout.se**2))
    value = log_likelihood(case.design, known, case.Lambda, np.eye(1))
    assert value == pytest.approx(log_likelihood(case.design, case.layout, *case.point), rel=1e-12)


def test_known_standard_errors_with_a_scale_are_weighted_least_squares(table):
    table["se"] = np.linspace(0.5, 2.0, len(table))
    est = hr.Model("y ~ x", table, errors=hr.known_se("se", scale=True)).estimate("reml")
    X = np.column_stack([np.ones(41), table["x"]]) / table["se"].to_numpy()[:, None]
    y = (table["y"] / table["se"]).to_numpy()
    beta, unscaled = ols(X, y)
    scale = np.sum((y - X @ beta) ** 2) / 39
    np.testing.assert_allclose(est.beta, beta, rtol=1e-11)
    np.testing.assert_allclose(est.error_sd, np.sqrt(scale), rtol=1e-9)
    np.testing.assert_allclose(est.beta_cov, scale * unscaled, rtol=1e-8)


def test_regressions_on_the_same_predictors_are_least_squares_whatever_the_correlation(rng):
    x = np.repeat(rng.normal(size=23), 2)
    rows = pd.DataFrame({"unit": np.repeat(np.arange(23), 2), "d": ["a", "b"] * 23, "x": x})
    rows["y"] = rng.multivariate_normal([0, 0], [[1, 1.4], [1.4, 4]], 23).ravel() + x
    model = hr.Model("y ~ 0 + d + d:x", rows, errors=hr.correlated("d", unit="unit"))
    for rho in (-0.9, 0.0, 0.99):
        at = model.solve(error_cov=np.array([[1, 2 * rho], [2 * rho, 4]]))
        for label in ("a", "b"):
            mine = rows[rows["d"] == label]
            beta, _ = ols(np.column_stack([np.ones(23), mine["x"]]), mine["y"].to_numpy())
            np.testing.assert_allclose(at.beta.sel(coef=[f"d[{label}]", f"d[{label}]:x"]), beta, rtol=1e-9)


def test_a_unit_with_missing_data_sets_is_the_marginal_of_the_full_one(rng):
    """Rows that are missing tell nothing: their variances may be anything."""
    case = random_case(rng, "correlated", q=0)
    only_two = case.layout.stratum < 2
    rows = np.flatnonzero(only_two)
    design = replace(case.design, X=case.design.X[rows], y=case.design.y[rows])
    unit = np.unique(case.layout.unit[rows], return_inverse=True)[1].astype(np.intp)
    layout = replace(case.layout, unit=unit, stratum=case.layout.stratum[rows])
    values = []
    for factor in (1.0, 7.0):
        S = case.error_cov.copy()
        S[2] *= factor
        S[:, 2] *= factor
        values.append(log_likelihood(design, layout, np.empty((0, 0)), S))
    assert values[0] == pytest.approx(values[1], rel=1e-14)


# ---- units of measurement, order, offsets


def carried_back(est, factor="g"):
    return est.criterion, est.beta.values, est.sd[factor].values, float(est.error_sd)


def test_metres_and_kilometres_give_the_same_estimate(table):
    metres = hr.Model("y ~ x + (x | g)", table).estimate("reml")
    kilometres = hr.Model("y ~ x + (x | g)", table.assign(x=table["x"] / 1000)).estimate("reml")
    # REML's determinant of X'V^-1 X depends on the unit of x
    assert kilometres.criterion == pytest.approx(metres.criterion - 2 * np.log(1000), abs=1e-7)
    np.testing.assert_allclose(kilometres.beta / [1, 1000], metres.beta, rtol=1e-7)
    np.testing.assert_allclose(kilometres.sd["g"] / [1, 1000], metres.sd["g"], rtol=1e-5)
    np.testing.assert_allclose(kilometres.b["g"] / [1, 1000], metres.b["g"], atol=1e-6)


def test_an_offset_and_a_unit_of_the_response_change_only_what_they_must(table):
    base = hr.Model("y ~ x + (x | g)", table).estimate("ml")
    far = hr.Model("y ~ x + (x | g)", table.assign(y=table["y"] + 1e9)).estimate("ml")
    large = hr.Model("y ~ x + (x | g)", table.assign(y=1e9 * table["y"])).estimate("ml")
    assert far.criterion == pytest.approx(base.criterion, abs=1e-5)
    assert large.criterion == pytest.approx(base.criterion + 2 * 41 * np.log(1e9), abs=1e-7)
    # y + 1e9 keeps seven decimals of y
    np.testing.assert_allclose(far.beta - [1e9, 0], base.beta, rtol=0, atol=1e-6)
    np.testing.assert_allclose(far.sd["g"], base.sd["g"], rtol=1e-5)
    np.testing.assert_allclose(large.beta / 1e9, base.beta, rtol=1e-8)
    np.testing.assert_allclose(large.sd["g"] / 1e9, base.sd["g"], rtol=1e-6)
    np.testing.assert_allclose(large.b["g"] / 1e9, base.b["g"], atol=1e-7)


def test_centring_a_slope_is_a_linear_map_of_the_coefficients(table):
    raw = hr.Model("y ~ x + (x | g)", table.assign(x=table["x"] + 2000)).estimate("reml")
    centred = hr.Model("y ~ x + (x | g)", table).estimate("reml")
    T = np.array([[1.0, 2000.0], [0.0, 1.0]])
    assert raw.criterion == pytest.approx(centred.criterion, abs=1e-6)
    np.testing.assert_allclose(T @ raw.beta.values, centred.beta, rtol=1e-6)
    np.testing.assert_allclose(T @ raw.cov["g"].values @ T.T, centred.cov["g"], atol=1e-4)


def test_order_of_rows_and_names_of_groups_do_not_matter(table, rng):
    base = hr.Model("y ~ x + (x | g)", table).estimate("reml")
    names = dict(zip(sorted(set(table["g"])), "vqzak", strict=True))
    shuffled = table.assign(g=table["g"].map(names)).iloc[rng.permutation(41)].reset_index(drop=True)
    other = hr.Model("y ~ x + (x | g)", shuffled).estimate("reml")
    assert other.criterion == pytest.approx(base.criterion, abs=1e-10)
    np.testing.assert_allclose(other.sd["g"], base.sd["g"], rtol=1e-6)
    for old, new in names.items():
        np.testing.assert_allclose(other.b["g"].sel(g=new), base.b["g"].sel(g=old), atol=1e-7)


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (1 | g)", "y ~ x + (1 | g) + (1 | h)"])
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_a_density_that_is_not_there_has_no_gradient_and_divides_nothing_by_zero(formula, method, rng):
    n = 24
    data = {"y": rng.normal(size=n), "x": rng.normal(size=n), "g": np.arange(n) % 4, "h": np.arange(n) % 5}
    model = hr.Model(formula, {**data, "s": np.arange(n) % 2}, errors=hr.by("s"))
    likelihood = model.problem.likelihood(method)
    q = len(likelihood.z_map_inverse)
    value, g_Lambda, g_error_cov = likelihood.value_and_gradient(0.4 * np.eye(q), np.diag([0.7, 0.0]))
    assert value == -np.inf
    assert g_Lambda.shape == (q, q)
    assert not g_Lambda.any()
    assert g_error_cov.shape == (2, 2)
    assert not g_error_cov.any()
