"""Limits in which the likelihood is the Gaussian one, and changes of the table that leave it as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.problem.effects import EffectsProblem
from tests.likelihood.heavy_tails.dense import point, table, target_of

FORMULA = "y ~ x + w + (x | g)"


def _gaussian(target, psi):
    """The Gaussian log density of u, beta integrated, and that of beta given y and u: their sum is the joint one."""
    from scipy.stats import multivariate_normal

    from hierreg.likelihood.engines import solve_equations
    from hierreg.likelihood.posterior import Target
    from hierreg.variances.parameters import covariances

    problem = hr.Model(FORMULA, table()).problem
    u, beta, _, _ = target.parts(psi[None])
    likelihood = problem.likelihood("prior")
    value = Target(parameters=problem.parameters, likelihood=likelihood)(u[0])[0]
    cov = covariances(problem.parameters, u)
    solution = solve_equations(likelihood, cov.Lambda[0], cov.error_cov[0])
    return value + multivariate_normal.logpdf(beta[0], solution.beta, solution.beta_cov)


def _density_of_beta(target, psi):
    """From the density of beta* to that of beta."""
    scale = target.data.gram.x_map @ target.scale
    return target(psi)[0] - np.linalg.slogdet(scale)[1]


def test_many_degrees_of_freedom_are_the_gaussian_engine():
    target = target_of(hr.Model(FORMULA, table(), effects={"g": hr.StudentT(1e10)}), with_prior=True)
    psi = point(target, 1)
    assert _density_of_beta(target, psi) == pytest.approx(_gaussian(target, psi), abs=2e-5)


def test_equal_components_are_the_gaussian_engine():
    target = target_of(hr.Model(FORMULA, table(), effects={"g": hr.Mixture(3)}), with_prior=True)
    psi = point(target, 2)
    n = target.parameters.n_free + len(target.centre)
    psi[n + 2 : n + 4] = -200.0  # increments of the first mean
    psi[n + 4 :] = 0.0
    from hierreg.likelihood.heavy_tails.shape_kernels import prior_of_components

    shape, c, tau = psi[n:], 3, target.shape.tau
    weight = np.exp(np.concatenate([[0.0], shape[:2]]))
    log_pi, delta = np.log(weight / weight.sum()), np.zeros((3, 2))
    prior = getattr(prior_of_components, "alone", prior_of_components)(
        shape, c, 2.0, tau, log_pi, delta, False, np.zeros(len(shape))
    )
    assert _density_of_beta(target, psi) - prior == pytest.approx(_gaussian(target, psi), abs=1e-8)


def _estimate(rows, effects, formula=FORMULA):
    return hr.Model(formula, rows, effects={"g": effects}).estimate("ml")


EFFECTS = [hr.StudentT(4), hr.Mixture(2)]


def _few_rows():
    return table(seed=1, sizes=(4, 3, 6, 5, 4, 7, 3, 5, 6, 4))


@pytest.mark.parametrize("effects", EFFECTS, ids=str)
def test_the_criterion_does_not_depend_on_zero_or_unit_of_a_predictor(effects):
    rows = _few_rows()
    first = _estimate(rows, effects)
    other = _estimate(rows.assign(x=1e3 * rows["x"] + 2e5), effects)
    assert other.criterion == pytest.approx(first.criterion, abs=1e-5)
    np.testing.assert_allclose(other.beta.to_numpy()[1] * 1e3, first.beta.to_numpy()[1], rtol=1e-3)


@pytest.mark.parametrize("effects", EFFECTS, ids=str)
def test_the_criterion_follows_the_unit_and_not_the_zero_of_the_response(effects):
    rows = _few_rows()
    first, other = _estimate(rows, effects), _estimate(rows.assign(y=100.0 * rows["y"] + 1e7), effects)
    assert other.criterion - 2 * len(rows) * np.log(100.0) == pytest.approx(first.criterion, abs=1e-4)


@pytest.mark.parametrize("effects", EFFECTS, ids=str)
def test_order_and_labels_of_groups_change_nothing(effects):
    rows = _few_rows()
    names = {name: f"{(7 * i) % 10}{name}" for i, name in enumerate(rows["g"].unique())}
    other = rows.assign(g=rows["g"].map(names)).sample(frac=1.0, random_state=3)
    a, b = _estimate(rows, effects), _estimate(other, effects)
    assert b.criterion == pytest.approx(a.criterion, abs=1e-6)
    same = b.b["g"].sel(g=[names[name] for name in a.b["g"]["g"].values]).to_numpy()
    np.testing.assert_allclose(same, a.b["g"].to_numpy(), atol=1e-3)


def test_posterior_density_does_not_depend_on_the_zero_of_a_predictor():
    """Default priors are those at the predictors' means: the same psi means the same."""
    values = []
    for shift in (0.0, 1e6):
        rows = table().assign(x=lambda r, shift=shift: r["x"] + shift)
        problem = hr.Model(FORMULA, rows, effects={"g": hr.Mixture(2)}).problem
        assert isinstance(problem, EffectsProblem)
        target = problem.target(np.zeros(3), np.eye(3), with_prior=True)
        # Internal coordinates of beta are those of centred columns.
        from dataclasses import replace

        target = replace(target, centre=np.zeros(3), scale=np.eye(3))
        values.append(target(point(target, 7))[0])
    assert values[1] == pytest.approx(values[0], abs=1e-6)


def test_an_outlying_group_is_pulled_in_less_and_seen():
    """At the same error variance and as many rows: one row a group, known errors, one group far out."""
    y = np.array([0.3, -0.8, 0.5, 1.1, -0.4, 0.9, -1.2, 10.0])
    rows = pd.DataFrame({"y": y, "g": list("abcdefgh"), "se": 1.0})
    normal = hr.Model("y ~ 1 + (1 | g)", rows, errors=hr.known_se("se")).estimate("ml")
    t = hr.Model("y ~ 1 + (1 | g)", rows, errors=hr.known_se("se"), effects={"g": hr.StudentT(2.5)}).estimate("ml")
    # The share of the way to the population: the far group's, and the average of the others.
    share = {}
    for name, est in (("normal", normal), ("t", t)):
        mean, theta = float(est.beta[0]), est.theta["g"].to_numpy()[:, 0]
        share[name] = (y - theta) / (y - mean)
    assert np.ptp(share["normal"]) < 1e-6
    assert share["t"][7] < 0.3 * np.median(share["t"][:7])
    assert share["t"][7] < share["normal"][7] < np.median(share["t"][:7])
    weight = t.weight["g"].to_numpy()
    assert weight[7] < 0.2 < weight[:7].min()
