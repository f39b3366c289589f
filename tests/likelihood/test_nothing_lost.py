"""Numbers that are zero, or small beside an offset, in summaries, equations and weights: against exact values."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.likelihood.alone import group_statistics


def crossed_table(offset: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    a, b = np.repeat(np.arange(6), 10), np.tile(np.repeat(np.arange(5), 2), 6)
    x = 2.0 + rng.standard_normal(60)
    y = 0.8 * rng.standard_normal(6)[a] * x + rng.standard_normal(5)[b] + rng.standard_normal(60)
    return pd.DataFrame({"y": y + offset, "x": x, "a": a, "b": b})


# ---- several factors at zero variance


@pytest.mark.parametrize("tail", [False, True])
def test_a_zero_variance_gives_zero_prediction_errors(tail):
    # The factor with most levels is eliminated level by level, the other is in the dense tail.
    table = crossed_table()
    if tail:
        table = pd.concat([table, table.assign(b=table["b"] + 5)], ignore_index=True)
    model = hr.Model("y ~ x + (x || a) + (1 | b)", table)
    solution = model.solve(cov={"a": np.diag([0.0, 0.64]), "b": np.eye(1)}, error_cov=1.0)
    cov, conditional = solution.b_cov["a"].values, solution.b_cond_cov["a"].values
    for values in (cov, conditional):
        assert np.all(values[:, 0] == 0)
        assert np.all(values[:, :, 0] == 0)
        assert np.all(values[:, 1, 1] > 0)
    X = np.column_stack([np.ones(len(table)), table["x"]])
    Z = np.eye(6)[table["a"]] * table["x"].to_numpy()[:, None]
    B = np.eye(table["b"].nunique())[table["b"]]
    full = np.column_stack([X, Z, B])
    precision = full.T @ full
    precision[2:, 2:] += np.diag([1 / 0.64] * 6 + [1.0] * B.shape[1])
    expected = np.linalg.inv(precision)
    np.testing.assert_allclose(cov[:, 1, 1], np.diagonal(expected)[2:8], rtol=1e-9)
    np.testing.assert_allclose(solution.beta_cov, expected[:2, :2], rtol=1e-9)


# ---- summaries of the groups


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | a)", "y ~ 1 + (1 | a) + (1 | b)", "y ~ x + (1 + x + b || a)"])
def test_sds_of_summaries_do_not_depend_on_an_offset(formula):
    # Variances known, so that both runs draw the same.
    priors = hr.Priors(
        beta=hr.Flat(), sd={name: hr.Fixed(0.7) for name in "ab" if f"| {name}" in formula}, error_sd=hr.Fixed(1.0)
    )
    sds = [
        hr.Model(formula, crossed_table(offset), priors=priors)
        .sample(draws=50, chains=2, seed=4, progress=False, group_effects="summary")["effects"]
        .theta_a_sd
        for offset in (0.0, 1e8)
    ]
    np.testing.assert_allclose(sds[1], sds[0], rtol=1e-6)


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
@pytest.mark.filterwarnings("ignore:the posterior has two modes")  # the intercept is held far from the data
def test_a_fixed_intercept_is_in_the_summaries_of_several_factors():
    model = hr.Model("y ~ 1 + (1 | a) + (1 | b)", crossed_table(), priors=hr.Priors(beta={"Intercept": hr.Fixed(23.0)}))
    tree = model.sample(draws=50, chains=2, seed=4, progress=False, method="psis", group_effects="summary")
    effects = tree["effects"]
    np.testing.assert_allclose(effects.theta_b_mean, effects.b_b_mean + 23.0, rtol=1e-12)
    np.testing.assert_array_equal(effects.theta_b_sd, effects.b_b_sd)
    assert "23" in hr.shrinkage(tree, factor="b").text()


# ---- weights


def zero_in_a_group() -> hr.Model:
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(5), 4)
    x = np.where(g == 2, 0.0, 3.0 + rng.standard_normal(20))
    return hr.Model("y ~ x + (x | g)", pd.DataFrame({"y": rng.standard_normal(20) + g, "x": x, "g": g}))


def test_squares_of_a_column_that_is_zero_in_a_group_are_not_negative():
    statistics = group_statistics(zero_in_a_group().problem.gram, 0)
    squares = np.diagonal(statistics.ZtZ, axis1=1, axis2=2)
    assert np.all(squares >= 0)
    assert squares[2, 1] < 1e-28


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
def test_weights_of_a_column_that_is_zero_in_a_group():
    tree = zero_in_a_group().sample(draws=50, chains=2, seed=1, progress=False, method="psis")
    report = hr.shrinkage(tree)
    np.testing.assert_allclose(report["weight"][2, :, 1], 0.0, atol=1e-12)
    assert "-0.00" not in report.text()
