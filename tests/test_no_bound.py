"""ML of strata that coefficients fit exactly: the likelihood has no bound, and the estimate says so."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.model.no_bound import without_bound


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
    assert "1 row of 'b'" in found[0]
    assert found[1] is None


def test_fixed_coefficients_fit_nothing():
    fixed = hr.Priors(beta={"x": hr.Fixed(1.0)})
    assert without_bound(hr.Model("y ~ x", strata(), errors=hr.by("s"), priors=fixed).problem) is None


def test_reml_of_the_same_rows_converges():
    assert hr.Model("y ~ x", strata(), errors=hr.by("s")).estimate("reml").converged
