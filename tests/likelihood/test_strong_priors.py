"""Priors of population coefficients that outweigh the data, against the dense formula in exact arithmetic."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.likelihood.pivots import on_axes_of_their_own
from tests.fuzz.exact import exact
from tests.fuzz.oracle import Beta, Dense, Rows


def answers(X, y, group, priors, sds):
    """Return the log density of the likelihood "prior" at (group sd, error sd), hierreg's and the oracle's.

    X (n, p) without the intercept; a mean and an sd for each coefficient, or None where its prior is flat.
    """
    names = [f"x{i}" for i in range(X.shape[1])]
    table = pd.DataFrame({"y": y, "g": group, **dict(zip(names, X.T, strict=True))})
    own = [hr.Flat() if prior is None else hr.Normal(*prior) for prior in priors]
    beta = dict(zip(["Intercept", *names], own, strict=True))
    model = hr.Model(f"y ~ {' + '.join(names)} + (1 | g)", table, priors=hr.Priors(beta=beta))
    rows = Rows(
        y=np.asarray(y, dtype=float),
        X=np.column_stack([np.ones(len(X)), X]),
        Z=(np.ones((len(X), 1)),),
        group=(np.unique(group, return_inverse=True)[1],),
        kind="independent",
        stratum=np.zeros(len(X), dtype=int),
        unit=np.arange(len(X)),
    )
    Lambda, error_cov = np.array([[sds[0]]]), np.array([[sds[1] ** 2]])
    beta = Beta(method="prior", prior=tuple(("flat",) if prior is None else ("normal", *prior) for prior in priors))
    found = model.problem.likelihood("prior").value_and_gradient(Lambda, error_cov)[0]
    return found, Dense(rows).density(exact(Lambda), exact(error_cov), beta).value


@pytest.mark.parametrize("error_sd", [1.0, 1e-4])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e9])
@pytest.mark.parametrize("intercept", [(0.0, 1e-7), (40.0, 0.02), (3.0, 10.0)])
@pytest.mark.parametrize("slope", [(2.0, 1e-6), (-3.0, 0.3), (0.0, 1e3)])
def test_priors_of_any_strength_beside_groups_that_fit_the_intercept(error_sd, offset, intercept, slope, rng):
    x, group = rng.normal(size=20), np.repeat(np.arange(5), 4)
    y = 1.0 + x + rng.normal(size=5)[group] + 0.5 * rng.normal(size=20)
    slope = (slope[0] / (1.0 + offset), slope[1] / (1.0 + offset))
    found, want = answers(x[:, None] + offset, y, group, (intercept, slope), (0.7, error_sd))
    assert found == pytest.approx(want, rel=1e-8, abs=2e-7)


@pytest.mark.parametrize("error_sd", [1.0, 1e-4])
@pytest.mark.parametrize("sd", [1e-7, 0.1, 11.0, 1e7])
def test_a_prior_of_the_intercept_beside_flat_slopes_far_from_zero(error_sd, sd, rng):
    # A statement about all slopes together: on axes of their own they would all hold the groups' column.
    X, group = rng.normal(size=(30, 3)), np.repeat(np.arange(6), 5)
    y = 1.0 + X[:, 0] + rng.normal(size=6)[group] + 0.5 * rng.normal(size=30)
    priors = ((-4.0, sd), None, None, None)
    found, want = answers(X + np.array([1e9, -3e8, 1e6]), y, group, priors, (0.7, error_sd))
    assert found == pytest.approx(want, rel=1e-8, abs=3e-7)


def test_pseudo_observations_keep_their_meaning_in_other_coordinates(rng):
    K, target = rng.normal(size=(3, 4)) * np.array([1e9, 1.0, 1e3])[:, None], rng.normal(size=3)
    at = rng.normal(size=(2, 4))
    for n_first in range(4):
        U, rows, move = on_axes_of_their_own(K, target, (at[0], at[1]), n_first, 1.0)
        beta = rng.normal(size=4)
        found = rows[:, :4] @ U @ (beta - at.sum(axis=0) - move) - rows[:, 4]
        np.testing.assert_allclose(found, K @ beta - target, rtol=1e-9)
        assert not np.any(U[n_first:, :n_first])
