"""ML of strata that coefficients fit exactly: the likelihood has no bound, and the estimate says so."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.problem.no_bound import without_bound


def profiled(V, X, y):
    """Return the log likelihood of ML from a dense V, after a textbook."""
    L = np.linalg.cholesky(V)
    A, b = np.linalg.solve(L, X), np.linalg.solve(L, y)
    rest = b - A @ np.linalg.lstsq(A, b, rcond=None)[0]
    return -np.sum(np.log(np.diagonal(L))) - 0.5 * rest @ rest


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "z": rng.normal(size=n)})


def strata():
    """Eight rows of one stratum, two of the other."""
    return rows(10).assign(s=list("aaaaaaaabb"))


def slopes():
    """Nine rows in groups of 2, 2, 2 and 3, each with two effects: one contrast is left, which z fits."""
    return rows(9).assign(g=list("aabbccddd"), x=[-1.0, 1.1, -0.9, 1.0, -1.2, 1.0, -1.0, 0.2, 1.0])


def test_a_stratum_of_as_many_rows_as_columns_has_no_bound():
    t = strata()
    X = np.column_stack([np.ones(10), t.x])
    at = [profiled(np.diag(np.r_[np.ones(8), [sd * sd] * 2]), X, t.y) for sd in (1e-3, 1e-4, 1e-5)]
    np.testing.assert_allclose(np.diff(at), 2 * np.log(10), rtol=1e-3)
    est = hr.Model("y ~ x", t, errors=hr.by("s")).estimate("ml")
    assert not est.converged
    assert "2 rows of 'b' can be fitted exactly by population coefficients" in est.message
    assert "ML has no maximum" in est.message


def test_groups_take_part():
    t = slopes()
    X = np.column_stack([np.ones(9), t.x, t.z])
    J = (t.g.to_numpy()[:, None] == np.array(list("abcd"))) * 1.0
    Z = np.concatenate([J, J * t.x.to_numpy()[:, None]], axis=1)
    at = [profiled(Z @ Z.T + sd**2 * np.eye(9), X, t.y) for sd in (1e-3, 1e-4, 1e-5)]
    np.testing.assert_allclose(np.diff(at), np.log(10), rtol=1e-2)
    model = hr.Model("y ~ x + z + (x | g)", t)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        est = model.estimate("ml")
    assert not est.converged
    assert "9 rows can be fitted exactly by population coefficients and groups" in est.message


BOUNDED = [
    ("y ~ x", strata().assign(s=list("aaaaaaabbb"))),  # one row more
    ("y ~ 1", strata()),
    ("y ~ x + (1 | g)", slopes().assign(s="a")),
]


@pytest.mark.parametrize(("formula", "t"), BOUNDED)
def test_one_row_more_than_columns_has_a_bound(formula, t):
    errors = hr.by("s") if t.s.nunique() > 1 else None
    assert without_bound(hr.Model(formula, t, errors=errors).problem) is None


def test_as_many_effects_as_rows_leave_nothing_that_vanishes():
    t = rows(8).assign(g=list("aabbccdd"))
    assert without_bound(hr.Model("y ~ x + (x | g)", t).problem) is None


def test_a_known_error_sd_or_a_known_group_sd_has_a_bound():
    known = hr.Priors(error_sd=hr.Fixed(0.5))
    assert without_bound(hr.Model("y ~ x", strata(), errors=hr.by("s"), priors=known).problem) is None
    t = strata().assign(g=list("aabbccddee"))
    free, pinned = hr.Priors(), hr.Priors(sd={"g": hr.Fixed(1.0)})
    found = [
        without_bound(hr.Model("y ~ (1 | g)", t.assign(s=list("aaaaaaaaab")), errors=hr.by("s"), priors=p).problem)
        for p in (free, pinned)
    ]
    assert "1 row of 'b'" in found[0].text
    assert found[1] is None


def test_fixed_coefficients_fit_nothing():
    fixed = hr.Priors(beta={"x": hr.Fixed(1.0)})
    assert without_bound(hr.Model("y ~ x", strata(), errors=hr.by("s"), priors=fixed).problem) is None


def test_reml_of_the_same_rows_converges():
    assert hr.Model("y ~ x", strata(), errors=hr.by("s")).estimate("reml").converged


# ---- exchangeable errors


def exchangeable(t, X, at):
    """Return the log likelihoods of ML from a dense V, v ((1 - rho) I + rho J) in each unit, at pairs a, c.

    a = v (1 - rho) is the variance within units, c = v (1 + (n - 1) rho) n times that of the mean of the largest, n.
    """
    unit, n = t.u.to_numpy(), t.u.value_counts().max()
    covariance = (unit[:, None] == unit) / n
    return np.array([profiled((c - a) * covariance + a * np.eye(len(t)), X, t.y) for a, c in at])


def in_units(*sizes, seed=0):
    return rows(sum(sizes), seed).assign(u=np.repeat(np.arange(len(sizes)), sizes))


SMALL = (1e-4, 1e-6, 1e-8)


def test_one_unit_larger_than_all_others_has_a_mean_that_an_intercept_fits():
    """As rho goes to -1/3 the likelihood grows as c^(-1/2), c four times the variance of the mean of four rows."""
    t = in_units(2, 3, 4, 2, 3, 2)
    values = exchangeable(t, np.ones((16, 1)), [(1.0, c) for c in SMALL])
    np.testing.assert_allclose(np.diff(values), 0.5 * np.log(100), rtol=1e-2)
    found = without_bound(hr.Model("y ~ 1", t, errors=hr.exchangeable("u")).problem)
    assert found.is_far
    assert "the mean of the 1 largest unit, of 4 rows, can be fitted exactly" in found.text
    assert "lower bound -0.3333" in found.text


def test_a_maximum_inside_is_an_answer_with_that_said():
    t = in_units(*[2, 3] * 10, 4)
    t["y"] += 2.0 * np.random.default_rng(3).normal(size=21)[t.u]
    est = hr.Model("y ~ 1", t, errors=hr.exchangeable("u")).estimate("ml")
    assert est.converged
    assert float(est.error_corr) > 0.3
    assert "Beside it, the mean of the 1 largest unit, of 4 rows, can be fitted" in est.message


def test_a_search_that_ends_at_the_lower_bound_has_not_converged():
    """Two units of three rows whose means x and the intercept fit: all else prefers negative correlations."""
    t = in_units(3, 3, 2, 2)
    t["y"] -= t.groupby("u").y.transform("mean")
    t["x"] = np.array([0.0, 1.0, 0.3, 0.6])[t.u]
    t["y"] += 1e-3 * t.x
    values = exchangeable(t, np.column_stack([np.ones(10), t.x]), [(1.0, c) for c in SMALL])
    np.testing.assert_allclose(np.diff(values), np.log(100), rtol=1e-2)
    est = hr.Model("y ~ x", t, errors=hr.exchangeable("u")).estimate("ml")
    assert not est.converged
    assert "the means of the 2 largest units, of 3 rows, can be fitted exactly" in est.message


def test_contrasts_within_units_that_columns_fit():
    """Two pairs, two columns that vary within them: as rho goes to one, a^-1 for two contrasts."""
    t = in_units(2, 2)
    X = np.column_stack([np.ones(4), t.x, t.z])
    values = exchangeable(t, X, [(a, 1.0) for a in SMALL])
    np.testing.assert_allclose(np.diff(values), np.log(100), rtol=1e-2)
    est = hr.Model("y ~ x + z", t, errors=hr.exchangeable("u")).estimate("ml")
    assert not est.converged
    assert "2 contrasts within units can be fitted exactly" in est.message
    assert "the correlation of errors there can go to one" in est.message


@pytest.mark.parametrize(
    ("formula", "sizes"), [("y ~ 1", (3, 3, 2, 2)), ("y ~ x", (3, 3, 3, 2)), ("y ~ x + z", (2, 2, 2, 2))]
)
def test_more_units_than_columns_have_a_bound(formula, sizes):
    """By the dense formula too: nothing grows towards either end."""
    t = in_units(*sizes)
    assert without_bound(hr.Model(formula, t, errors=hr.exchangeable("u")).problem) is None
    X = np.column_stack([np.ones(len(t)), *(t[name] for name in formula.split(" ~ ")[1].split(" + ") if name != "1")])
    for path in ([(1.0, c) for c in SMALL], [(a, 1.0) for a in SMALL]):
        assert np.all(np.diff(exchangeable(t, X, path)) < 0)


def test_a_known_correlation_leaves_the_sd_alone():
    known = hr.Priors(error_corr=hr.Fixed(0.2))
    assert without_bound(hr.Model("y ~ 1", in_units(2, 4), errors=hr.exchangeable("u"), priors=known).problem) is None


def test_a_stratum_of_its_own_sd():
    """Two rows of one unit in a stratum: intercept and slope fit them, and its own sd vanishes."""
    t = in_units(3, 3, 3, 2).assign(s=list("aaaaaaaaabb"))
    known = hr.Priors(error_corr=hr.Fixed(0.2))
    for common in (False, True):
        errors = hr.exchangeable("u", by="s", common_sd=common)
        found = without_bound(hr.Model("y ~ x", t, errors=errors, priors=known).problem)
        assert found is None if common else "2 rows of 'b' can be fitted" in found.text
