"""The unconstrained log density: likelihood, priors and Jacobian, each worked out another way."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

import hierreg as hr
import hierreg.priors as hp
from hierreg.estimate import maximise_posterior
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.posterior import Target
from hierreg.variances.parameters import covariances, partial_correlations, variance_parameters
from tests.helpers.targets import CASES, log_prior, make_target
from tests.oracles import dense


def natural_parameters(parameters, u):
    """Return the free sds and the free correlations below the diagonal, block by block, as one vector."""
    at = covariances(parameters, u[None])
    sd = np.concatenate([at.sd[0], at.error_sd[0]])[parameters.sd_is_free]
    q, values = parameters.n_factor, [sd]
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free:
            corr = at.corr[0] if start < q else at.error_corr[0]
            first = start if start < q else start - q
            block = corr[first : first + size, first : first + size]
            values.append(block[np.tril_indices(size, -1)])
    if parameters.within_units.strata:
        values.append(at.error_corr[0])
    return np.concatenate(values)


def jacobian_of_u(parameters, u, h=1e-6):
    columns = []
    for i in range(len(u)):
        e = np.zeros(len(u))
        e[i] = h
        columns.append((natural_parameters(parameters, u + e) - natural_parameters(parameters, u - e)) / (2 * h))
    return np.column_stack(columns)


@pytest.mark.parametrize("options", CASES, ids=str)
def test_value_is_dense_likelihood_times_priors_times_the_jacobian(options, rng):
    target, case, priors = make_target(rng, **options)
    parameters = target.parameters
    u = rng.normal(0, 0.5, parameters.n_free)
    at = covariances(parameters, u[None])
    Sigma = at.Lambda[0] @ at.Lambda[0].T
    beta = {"prior_mean": np.array([1, -0.5, 0.0]), "prior_cov": np.diag([4.0, 1.0, 9.0])}
    expected = dense.log_likelihood(case.design, case.layout, Sigma, at.error_cov[0], beta="normal", **beta)
    expected += log_prior(priors, parameters, u)
    assert replace(target, natural=True)(u)[0] == pytest.approx(expected, rel=1e-10)
    expected += np.linalg.slogdet(jacobian_of_u(parameters, u))[1]
    # The Jacobian is by differences.
    assert target(u)[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("natural", [False, True])
@pytest.mark.parametrize("prior_on", [True, False])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_gradient_is_that_of_the_value(options, prior_on, natural, rng):
    target, _, _ = make_target(rng, **options, prior_on=prior_on, natural=natural)
    u = rng.normal(0, 0.5, target.parameters.n_free)
    _, gradient = target(u)
    # Richardson extrapolation of central differences, fourth order
    for i in range(len(u)):
        e = np.zeros(len(u))
        e[i] = 1.0
        slopes = [(target(u + h * e)[0] - target(u - h * e)[0]) / (2 * h) for h in (2e-3, 1e-3)]
        slope = (4 * slopes[1] - slopes[0]) / 3
        assert gradient[i] == pytest.approx(slope, abs=1e-7 * (1 + np.abs(gradient).max()))


@pytest.mark.parametrize("value", [-400.0, -60.0, 12.0, 60.0, 720.0])
@pytest.mark.parametrize("options", [*CASES[:6], CASES[-1]], ids=str)
def test_far_away_the_density_is_a_number_or_zero_and_its_gradient_is_finite(options, value, rng):
    target, _, _ = make_target(rng, **options)
    for i in range(target.parameters.n_free):
        u = np.zeros(target.parameters.n_free)
        u[i] = value
        density, gradient = target(u)
        assert density < np.inf
        assert not np.isnan(density)
        assert np.isfinite(gradient).all()


def test_lkj_density_does_not_depend_on_the_order_of_columns(rng):
    """Likelihood off by flat data: two columns exchanged give the same density of the same matrix."""
    _, case, priors = make_target(rng, "independent", q=3)
    sds = (hp.HalfNormal(1.0),) * 3
    corr = hp.LKJ(1.7).draw(rng, (), 3)
    values = []
    for order in ([0, 1, 2], [2, 0, 1]):
        factor = case.design.factors[0]
        design = replace(case.design, factors=(replace(factor, Z=np.ascontiguousarray(factor.Z[:, order])),))
        gram = collect(design, case.layout)
        parameters = variance_parameters(
            gram.terms,
            replace(priors, sd={"g": sds}),
            factors=[("g", ("a", "b", "c"), (3,))],
        )
        u = np.concatenate([np.log([0.5, 1.5, 2.0])[order], [0.1], partial_correlations(corr[np.ix_(order, order)])])
        values.append(Target(parameters=parameters, likelihood=marginal_likelihood(gram), natural=True)(u)[0])
    assert values[0] == pytest.approx(values[1], rel=1e-11)


# ---- MAP


def test_map_is_the_mode_of_the_natural_density(rng):
    target, _, _ = make_target(rng, "correlated", q=2, natural=True)
    found = maximise_posterior(target.likelihood, target.parameters)
    assert found.converged
    result = optimize.minimize(
        lambda u: -target(u)[0],
        np.zeros(target.parameters.n_free),
        method="Nelder-Mead",
        options={"maxiter": 20000, "maxfev": 20000, "xatol": 1e-7, "fatol": 1e-9, "adaptive": True},
    )
    assert found.log_density == pytest.approx(-result.fun, abs=1e-5)
    assert found.log_density >= -result.fun - 1e-7


def test_map_with_fixed_values_keeps_them():
    priors = hr.Priors(sd={"Subject": {"Days": hr.Fixed(6.0)}}, corr={"Subject": hr.LKJ(2)})
    est = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"), priors=priors).estimate("map")
    assert float(est.sd["Subject"][1]) == pytest.approx(6.0, rel=1e-12)
    assert est.converged


def test_reml_with_a_fixed_error_sd_maximises_over_the_rest():
    table = hr.load_dataset("sleepstudy")
    free = hr.Model("Reaction ~ Days + (Days | Subject)", table).estimate("reml")
    priors = hr.Priors(error_sd=hr.Fixed(float(free.error_sd)))
    fixed = hr.Model("Reaction ~ Days + (Days | Subject)", table, priors=priors).estimate("reml")
    assert fixed.criterion == pytest.approx(free.criterion, abs=1e-9)
    np.testing.assert_allclose(fixed.sd["Subject"], free.sd["Subject"], rtol=1e-6)
