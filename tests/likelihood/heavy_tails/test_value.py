"""The likelihood of heavy tails and mixtures against dense distributions, numerically integrated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_t

import hierreg as hr
from hierreg.likelihood.heavy_tails.moments import effect_moments
from tests.likelihood.heavy_tails.dense import at, log_likelihood, model, point, target_of

ERRORS = {"independent": None, "by": hr.by("s"), "known": hr.known_se("se"), "factor": hr.known_se("se", scale=True)}
FORMULAS = ["y ~ x + w + (x | g)", "y ~ x + (1 | g)", "y ~ w + (0 + x | g)", "y ~ x + (x || g)", "y ~ 1 + (x + w | g)"]
EFFECTS = {
    "t": hr.StudentT(),
    "t2": hr.StudentT(2.0),
    "t30": hr.StudentT(30),
    "mixture": hr.Mixture(2),
    "own": hr.Mixture(3, common=False),
}


@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize("errors", ERRORS)
def test_value_is_that_of_dense_distributions(effects, errors):
    m = model(EFFECTS[effects], errors=ERRORS[errors])
    target = target_of(m, with_prior=False)
    for seed in (0, 1):
        psi = point(target, seed)
        # The error of 40 scales, summed over six groups.
        tolerance = 2e-6 if effects.startswith("t") else 1e-9
        assert target(psi)[0] == pytest.approx(log_likelihood(m, at(target, psi)), abs=tolerance)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("effects", ["t", "own"])
def test_value_for_one_to_three_coefficients(effects, formula):
    m = model(EFFECTS[effects], formula=formula)
    target = target_of(m, with_prior=False)
    psi = point(target, 3)
    assert target(psi)[0] == pytest.approx(log_likelihood(m, at(target, psi)), abs=2e-6)


def test_rows_without_noise_are_multivariate_t():
    rng = np.random.default_rng(2)
    g, x = np.repeat(np.arange(5), 2), np.tile([0.0, 1.0], 5)
    rows = pd.DataFrame({"y": rng.normal(size=10) * 3, "x": x, "g": g, "se": 1e-5})
    m = hr.Model("y ~ x + (x | g)", rows, errors=hr.known_se("se"), effects={"g": hr.StudentT(3.0)})
    target = target_of(m, with_prior=False)
    psi = point(target, 1)
    drawn = at(target, psi)
    Z = np.array([[1.0, 0.0], [1.0, 1.0]])
    shape = Z @ drawn.within.Lambda[0] @ drawn.within.Lambda[0].T @ Z.T
    residual = (rows["y"].to_numpy() - m.problem.design.X @ drawn.beta[0]).reshape(5, 2)
    expected = multivariate_t(shape=shape, df=3.0).logpdf(residual).sum()
    assert target(psi)[0] == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize("natural", [False, True])
@pytest.mark.parametrize("effects", EFFECTS)
def test_gradient_is_that_of_central_differences(effects, natural):
    m = model(EFFECTS[effects], errors=hr.by("s"))
    target = replace(target_of(m, with_prior=True), natural=natural)
    psi, h = point(target, 4), 1e-5
    gradient = target(psi)[1]
    steps = h * np.eye(target.n)
    expected = np.array([(target(psi + s)[0] - target(psi - s)[0]) / (2 * h) for s in steps])
    np.testing.assert_allclose(gradient, expected, rtol=2e-7, atol=2e-7 * np.abs(expected).max())


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_gradient_with_signed_sds(sign):
    target = target_of(model(hr.StudentT()), with_prior=True)
    unit = np.zeros(target.parameters.n_columns)
    unit[0] = 2.0
    signed, psi, h = target.with_signed(unit), point(target, 4), 1e-5
    psi[0] = 0.7 * sign
    expected = [(signed(psi + s)[0] - signed(psi - s)[0]) / (2 * h) for s in h * np.eye(target.n)]
    np.testing.assert_allclose(signed(psi)[1], expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def test_many_points_have_the_values_of_one_whatever_the_threads():
    target = target_of(model(hr.Mixture(2)), with_prior=True)
    points = np.stack([point(target, seed) for seed in range(7)])
    one = np.array([target(psi)[0] for psi in points])
    for threads in (1, 3):
        np.testing.assert_array_equal(target.values(points, threads=threads), one)


def test_error_of_the_scales_where_groups_are_far_out_and_near():
    """The table of accuracy in the documentation: the largest error of one group's log likelihood, nu >= 2."""
    from hierreg.likelihood.heavy_tails.shape_kernels import N_SCALES, place_scales

    place = getattr(place_scales, "alone", place_scales)
    rng, worst = np.random.default_rng(0), 0.0
    for nu in (2.0, 2.5, 4.0, 8.0, 30.0, 200.0):
        for q in (1, 2, 3):
            x, log_weight = np.empty(N_SCALES), np.empty(N_SCALES)
            place(nu, q, x, log_weight)
            fine = np.linspace(-60.0, 6.0, 20001)
            weight = 0.5 * nu * (fine - np.exp(fine))
            for _ in range(20):
                d = 10 ** rng.uniform(-3, 4) * 10 ** rng.uniform(-1, 1, q)
                # Up to twenty scales out.
                w = rng.normal(size=q) * np.sqrt(1 + d * rng.choice([1.0, 30.0, 400.0]))
                found = _log_sum(x, log_weight, d, w)
                worst = max(worst, abs(found - _log_sum(fine, weight - _log_sum(fine, weight, d * 0, w * 0), d, w)))
    assert worst < 1e-6


def _log_sum(x, log_weight, d, w):
    from scipy.special import logsumexp

    s = np.exp(-x)[:, None]
    return logsumexp(log_weight - 0.5 * np.sum(np.log1p(s * d) + w**2 / (1 + s * d), axis=1))


@pytest.mark.parametrize("effects", ["t", "mixture", "own"])
def test_moments_are_those_of_draws(effects):
    """NumPy's closed forms at one point against exact draws of the compiled code there."""
    from hierreg.likelihood.heavy_tails.draws import draw_effects

    target = target_of(model(EFFECTS[effects], errors=hr.by("s")), with_prior=True)
    psi, S = point(target, 6), 40_000
    moments = effect_moments(target, psi)
    drawn = draw_effects(target, np.tile(psi, (S, 1)), None, seed=1, probs=None, threads=2)
    error = np.sqrt(np.diagonal(moments.cov, axis1=1, axis2=2) / S)
    assert np.all(np.abs(drawn.b.mean(axis=0) - moments.mean) < 5 * error)
    for j in range(len(moments.cov)):
        np.testing.assert_allclose(np.cov(drawn.b[:, j].T), moments.cov[j], rtol=0.15, atol=0.05 * moments.cov[j].max())
    if effects == "t":
        np.testing.assert_allclose(drawn.weight.mean(axis=0), moments.weight, rtol=0.03)
    else:
        np.testing.assert_allclose(drawn.probability.mean(axis=0), moments.probability, atol=1e-10)
