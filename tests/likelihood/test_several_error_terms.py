"""Groups whose rows have several error terms, as error variances go to zero: against exact arithmetic."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.likelihood.engines import marginal_likelihood, solve_equations
from hierreg.likelihood.posterior import Target
from tests.fuzz.columns import codes
from tests.fuzz.exact import exact, number
from tests.fuzz.oracle import Beta, Dense, Rows

REML = Beta(method="reml")
LOG_SDS = (0, -5, -10, -15)
SHIFT = 60  # a step of 2^-60


def table(n_groups, sizes, seed=0):
    """Return rows of groups with times t, x and a position within the group."""
    rng = np.random.default_rng(seed)
    size = np.resize(sizes, n_groups)
    g = np.repeat(np.arange(n_groups), size)
    t, x, noise = rng.standard_normal((3, len(g)))
    b = rng.standard_normal((n_groups, 2))
    y = 1.0 + b[g, 0] + (1.0 + 0.5 * b[g, 1]) * t + 0.3 * x + 0.5 * noise
    return pd.DataFrame({"y": y, "t": t, "x": x, "g": g, "position": np.concatenate([np.arange(n) for n in size])})


def strata(sizes, formula="y ~ t + x + (t | g)", n_strata=2):
    data = table(8, sizes)
    data["s"] = data["position"] % n_strata
    return data, formula, hr.by("s"), {"kind": "by", "stratum": data["s"]}


def correlated(group, formula="y ~ t + (t | g)", n_sets=2, dropped=(3, 8), n_units=12):
    data = table(n_units, [n_sets], seed=1).rename(columns={"g": "u", "position": "s"})
    data = data.drop(index=list(dropped)).reset_index(drop=True)
    data["s"] = np.array(["a", "b", "c"])[data["s"]]
    data["g"] = group(data)
    return data, formula, hr.correlated("s", unit="u"), {"kind": "correlated", "stratum": data["s"], "unit": data["u"]}


def exchangeable():
    data = table(6, [4, 2, 3], seed=2)
    data["u"] = data["g"] * 2 + (data["position"] > 1)
    return data, "y ~ t + (t | g)", hr.exchangeable("u"), {"kind": "exchangeable", "unit": data["u"]}


def known_cov():
    data = table(8, [3, 2], seed=3)
    rng = np.random.default_rng(4)
    A = rng.standard_normal((len(data), len(data)))
    V = np.where(data["g"].to_numpy()[:, None] == data["g"].to_numpy(), A @ A.T / len(data), 0.0)
    return data, "y ~ t + (t | g)", hr.known_cov(V), {"kind": "known_cov", "V": V}


# Table, formula, errors and what the oracle is told of them.
CASES = {
    "many rows": lambda: strata([6]),
    "many units in groups": lambda: correlated(lambda d: d["u"] // 6),
    "as many rows as coefficients": lambda: strata([2]),
    "rows to spare": lambda: strata([3]),
    "groups of one row": lambda: strata([1, 2, 3]),
    "intercepts": lambda: strata([2], "y ~ t + (1 | g)"),
    "three coefficients": lambda: strata([3, 2], "y ~ t + x + (t + x | g)"),
    "three strata": lambda: strata([4], n_strata=3),
    "units in groups": lambda: correlated(lambda d: d["u"] // 3),
    "groups are data sets": lambda: correlated(lambda d: d["s"]),
    "groups are data sets by school": lambda: correlated(lambda d: d["s"] + (d["u"] % 3).astype(str)),
    "three data sets": lambda: correlated(lambda d: d["u"] // 2, n_sets=3, dropped=(0, 4, 7, 10, 11), n_units=8),
    "exchangeable": exchangeable,
    "known": known_cov,
}


def covariances(case, log_sd, D):
    """Return error covariances with all variances, and with the first alone, near zero."""
    sd = np.exp(log_sd + 0.3 * np.arange(D))
    one = np.exp(np.where(np.arange(D) == 0, log_sd, 0.0))
    if "units" in case or "data sets" in case:
        R = 0.6 ** np.abs(np.subtract.outer(np.arange(D), np.arange(D)))
        return [R * np.outer(own, own) for own in (sd, one)]
    return [np.diag(own**2) for own in ((sd, one) if D > 1 else (sd,))]


def model_and_oracle(case):
    data, formula, errors, of_errors = CASES[case]()
    model = hr.Model(formula, data, errors=errors)
    labels = model.problem.labels
    names = {"Intercept": np.ones(len(data)), "t": data["t"].to_numpy(), "x": data["x"].to_numpy()}
    stratum = of_errors.get("stratum", pd.Series(np.zeros(len(data), dtype=int)))
    rows = Rows(
        y=data["y"].to_numpy(),
        X=np.column_stack([names[c] for c in labels.coef]),
        Z=(np.column_stack([names[c] for c in labels.factors[0].coef]),),
        group=(codes(data["g"]),),
        kind=of_errors["kind"],
        stratum=np.unique(stratum, return_inverse=True)[1],
        unit=np.asarray(of_errors.get("unit", np.arange(len(data)))),
        V=of_errors.get("V"),
    )
    return model, Dense(rows), data


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_as_errors_vanish(case):
    model, dense, _ = model_and_oracle(case)
    likelihood = marginal_likelihood(model.problem.gram)
    q, D = dense.rows.sizes[0], model.problem.gram.terms.n_labels
    rng = np.random.default_rng(5)
    Lambda = np.tril(0.3 * rng.standard_normal((q, q))) + np.diag([1.0, 0.6, 0.4][:q])
    direction = np.tril(rng.standard_normal((q, q)))
    for log_sd in LOG_SDS:
        for S in covariances(case, log_sd, D):
            sd = np.sqrt(np.diagonal(S))
            turn = rng.standard_normal((D, D)) * np.outer(sd, sd)
            turn = np.where(S != 0, turn + turn.T, 0.0)
            value, g_Lambda, g_S = likelihood.value_and_gradient(Lambda, S)
            want = dense.density(exact(Lambda), exact(S), REML)
            size = abs(want.value) + want.n
            # Correlated errors are inverted: to the condition of their covariance.
            lost = 1.0 if D == 1 or not np.any(S - np.diag(np.diagonal(S))) else np.linalg.cond(S / np.outer(sd, sd))
            assert value == pytest.approx(want.value, abs=1e-11 * lost * size)
            ends = [
                dense.density(
                    exact(Lambda) + sign * (exact(direction) >> SHIFT), exact(S) + sign * (exact(turn) >> SHIFT), REML
                )
                for sign in (1, -1)
            ]
            slope = ends[0].minus(ends[1]) * 2.0 ** (SHIFT - 1)
            parts = np.concatenate([(g_Lambda * direction).ravel(), (g_S * turn).ravel()])
            allowed = 1e-10 * lost * (want.n + number(want.quadratic) + np.abs(parts).sum())
            assert parts.sum() == pytest.approx(slope, abs=allowed)


@pytest.mark.parametrize("case", CASES)
def test_coefficients_as_errors_vanish(case):
    model, dense, data = model_and_oracle(case)
    likelihood = marginal_likelihood(model.problem.gram)
    q, D = dense.rows.sizes[0], model.problem.gram.terms.n_labels
    Lambda = np.tril(0.3 * np.random.default_rng(6).standard_normal((q, q))) + np.diag([1.0, 0.6, 0.4][:q])
    levels = pd.Index(model.problem.gram.factors[0].levels)
    first = data.drop_duplicates("g")["g"]
    order = levels.get_indexer(pd.Index(first))
    sd = np.sqrt(np.sum(Lambda**2, axis=1))
    for log_sd in LOG_SDS:
        for S in covariances(case, log_sd, D):
            beta, beta_cov, effects = dense.solution(exact(Lambda), exact(S))
            found = solve_equations(likelihood, Lambda, S)
            se = np.sqrt(np.diagonal(beta_cov))
            # Through a covariance of data sets whose sds differ by that factor.
            allowed = max(1e-8, 2e-14 * np.sqrt(np.diagonal(S).max() / np.diagonal(S).min()))
            assert np.all(np.abs(found.beta - beta) < allowed * (se + np.abs(beta)))
            np.testing.assert_allclose(np.sqrt(np.diagonal(found.beta_cov)), se, rtol=1e-8)
            gap = np.abs(found.b[0][order] - effects[0])
            assert np.all(gap < allowed * (sd + np.abs(effects[0]).max(axis=0)))


@pytest.mark.parametrize("case", ["rows to spare", "units in groups", "groups are data sets", "three data sets"])
def test_tables_in_parts_have_the_same_digits(case):
    model, dense, data = model_and_oracle(case)
    formula, errors = CASES[case]()[1:3]
    # All rows of a unit in one part; without units any rows.
    half = data["u"] % 2 if "u" in data else data["position"] % 2
    gram = hr.Gram.from_batches([data[half == 0], data[half == 1]], formula, errors)
    whole, parts = (marginal_likelihood(one) for one in (model.problem.gram, gram))
    assert parts.by_rows().blocks.rows is not None
    q, D = dense.rows.sizes[0], gram.terms.n_labels
    Lambda = np.diag([1.0, 0.6, 0.4][:q])
    for log_sd in LOG_SDS:
        for S in covariances(case, log_sd, D):
            value, g_Lambda, g_S = parts.value_and_gradient(Lambda, S)
            expected, expected_g_Lambda, expected_g_S = whole.value_and_gradient(Lambda, S)
            assert value == pytest.approx(expected, rel=1e-10, abs=1e-9)
            allowed = 2e-10 * (len(data) + abs(value))
            np.testing.assert_allclose(g_Lambda, expected_g_Lambda, rtol=1e-8, atol=allowed)
            unit = np.sqrt(np.outer(np.diagonal(S), np.diagonal(S)))
            np.testing.assert_allclose(g_S * unit, expected_g_S * unit, rtol=1e-8, atol=allowed)


def test_units_of_groups_that_do_not_go_together_have_no_triangles():
    data, formula, errors, _ = correlated(lambda d: (d["u"] + (d["s"] == "b") * (d["u"] // 3)) % 4)
    gram = hr.Model(formula, data, errors=errors).problem.gram
    assert not len(gram.factors[0].triangle)
    np.testing.assert_array_equal(gram.remainder, gram.WtW)


@pytest.mark.parametrize("case", ["many rows", "many units in groups"])
def test_products_are_used_while_they_have_digits(case):
    model, _, _ = model_and_oracle(case)
    likelihood = marginal_likelihood(model.problem.gram)
    assert likelihood.blocks.can_be_exact
    assert likelihood.blocks.rows is None
    exact_one = likelihood.by_rows()
    assert exact_one.blocks.rows is not None
    Lambda, D = np.diag([1.0, 0.6]), model.problem.gram.terms.n_labels
    for S in covariances(case, 0, D):
        value, *gradient = likelihood.value_and_gradient(Lambda, S)
        expected, *expected_gradient = exact_one.value_and_gradient(Lambda, S)
        assert value == pytest.approx(expected, rel=1e-12)
        for mine, other in zip(gradient, expected_gradient, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-9)
    assert likelihood.has_digits_around(Lambda, np.eye(D))
    assert not likelihood.has_digits_around(Lambda, 1e-6 * np.eye(D))


def test_samplers_take_rows_where_priors_put_the_errors_far_below_the_groups():
    data, formula, errors, _ = CASES["many rows"]()
    prior = hr.Priors(error_sd=hr.HalfNormal(1e-5))
    model = hr.Model(formula, data, errors=errors, priors=prior)
    likelihood = model.problem.likelihood("prior")
    target = Target(parameters=model.problem.parameters, likelihood=likelihood)
    u = np.zeros(model.problem.parameters.n_free)
    assert target.with_digits_at(u) is target
    u[-2:] = -11.0
    small = target.with_digits_at(u)
    assert small.likelihood.blocks.rows is not None
    value, gradient = small(u)
    assert np.isfinite(value)
    again, same = target(u)
    assert again == value
    np.testing.assert_array_equal(same, gradient)


@pytest.mark.parametrize("kind", ["by", "correlated"])
def test_gradient_where_population_columns_fit_the_rows(kind):
    n = 24
    rng = np.random.default_rng(7)
    t, b = rng.standard_normal(n), rng.standard_normal(4)
    g, s = np.repeat(np.arange(4), 6), np.tile([0, 1], n // 2)
    unit = np.arange(n) // 2 if kind == "correlated" else np.arange(n)
    data = pd.DataFrame({"y": 1000.0 + 0.5 * t + b[g], "t": t, "g": g, "s": s.astype(str), "u": unit})
    errors = hr.by("s") if kind == "by" else hr.correlated("s", unit="u")
    X = np.column_stack([np.ones(n), t])
    dense = Dense(Rows(y=data["y"].to_numpy(), X=X, Z=(X[:, :1],), group=(g,), kind=kind, stratum=s, unit=unit))
    likelihood = marginal_likelihood(hr.Model("y ~ t + (1 | g)", data, errors=errors).problem.gram)
    Lambda, R = np.eye(1), np.eye(2) if kind == "by" else np.array([[1.0, 0.4], [0.4, 1.0]])
    for log_sd in (-8.0, -14.0, -20.0):
        S = np.exp(2.0 * log_sd) * R
        _, _, g_S = likelihood.value_and_gradient(Lambda, S)
        for d in range(2):
            turn = np.zeros((2, 2))
            turn[d, d] = S[d, d]
            ends = [dense.density(exact(Lambda), exact(S) + sign * (exact(turn) >> SHIFT), REML) for sign in (1, -1)]
            slope = ends[0].minus(ends[1]) * 2.0 ** (SHIFT - 1)
            assert np.sum(g_S * turn) == pytest.approx(slope, rel=1e-9)
