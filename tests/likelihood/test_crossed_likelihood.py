"""Several grouping factors: value and gradient against the dense oracle, and limits where answers must agree."""

from dataclasses import replace

import numpy as np
import pytest

from hierreg.exceptions import ModelError
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.population import FixedBeta, PopulationPrior
from tests.oracles import dense
from tests.oracles.cases import spec_of
from tests.oracles.crossed_cases import KINDS, SHAPES, random_crossed_case


def assert_agrees(likelihood, case, *, rtol=1e-9, **beta):
    value, g_Lambda, g_error = likelihood.value_and_gradient(*case.point)
    expected = dense.log_likelihood(case.design, case.layout, case.Lambda @ case.Lambda.T, case.error_cov, **beta)
    assert value == pytest.approx(expected, rel=rtol, abs=rtol)
    d_Lambda, d_error = dense.gradient(case.design, case.layout, *case.point, **beta)
    inside = np.zeros_like(d_Lambda, dtype=bool)
    for own in dense.columns_of_factors(case.design):
        inside[own, own] = True
    scale = np.abs(d_Lambda[inside]).max() + np.abs(d_error).max() + 1
    np.testing.assert_allclose(g_Lambda, np.where(inside, d_Lambda, 0.0), rtol=0, atol=rtol * scale)
    if case.layout.kind != "correlated":
        d_error = np.diag(np.diagonal(d_error))
        g_error = np.diag(np.diagonal(g_error))
    np.testing.assert_allclose(g_error, d_error, rtol=0, atol=rtol * scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_restricted_likelihood_and_gradient_equal_the_dense_ones(shape, kind, rng):
    case = random_crossed_case(rng, shape, kind)
    assert_agrees(marginal_likelihood(collect(case.design, case.layout)), case)


@pytest.mark.parametrize("shape", SHAPES)
def test_profiled_beta(shape, rng):
    case = random_crossed_case(rng, shape, "by")
    assert_agrees(marginal_likelihood(collect(case.design, case.layout), profile=True), case, beta="ml")


@pytest.mark.parametrize("shape", SHAPES)
def test_normal_prior_of_beta(shape, rng):
    case = random_crossed_case(rng, shape)
    prior = PopulationPrior(basis=np.eye(3), mean=np.array([1.0, -2.0, 0.5]), sd=np.array([0.7, 2.0, 1.1]))
    likelihood = marginal_likelihood(collect(case.design, case.layout), prior=prior)
    assert_agrees(likelihood, case, beta="normal", prior_mean=prior.mean, prior_cov=np.diag(prior.sd**2))


def test_fixed_beta(rng):
    case = random_crossed_case(rng, "nested and crossed")
    fixed = FixedBeta(is_fixed=np.ones(3, dtype=bool), value=np.array([0.3, 1.0, -1.0]))
    likelihood = marginal_likelihood(collect(case.design, case.layout), fixed=fixed)
    assert_agrees(likelihood, case, beta="fixed", value=fixed.value)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("zero", ["one column", "one factor", "all"])
def test_exact_at_zero_variances(shape, zero, rng):
    case = random_crossed_case(rng, shape)
    Lambda = case.Lambda.copy()
    own = dense.columns_of_factors(case.design)[-1]
    rows = {"one column": slice(own.start, own.start + 1), "one factor": own, "all": slice(None)}[zero]
    Lambda[rows] = 0.0
    case = replace(case, Lambda=Lambda)
    assert_agrees(marginal_likelihood(collect(case.design, case.layout)), case)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_factor_without_variance_changes_nothing(shape, rng):
    """With all but one factor at zero the likelihood is that of the model with one factor, by other kernels."""
    case = random_crossed_case(rng, shape)
    for kept, own in enumerate(dense.columns_of_factors(case.design)):
        Lambda = np.zeros_like(case.Lambda)
        Lambda[own, own] = case.Lambda[own, own]
        both = marginal_likelihood(collect(case.design, case.layout)).value_and_gradient(Lambda, case.error_cov)
        one = replace(case.design, factors=(case.design.factors[kept],))
        alone = marginal_likelihood(collect(one, case.layout)).value_and_gradient(Lambda[own, own], case.error_cov)
        assert both[0] == pytest.approx(alone[0], rel=1e-11)
        np.testing.assert_allclose(both[1][own, own], alone[1], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(both[2], alone[2], rtol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_order_of_factors_and_empty_levels_change_nothing(shape, rng):
    case = random_crossed_case(rng, shape)
    slices = dense.columns_of_factors(case.design)
    order = rng.permutation(len(slices))
    columns = np.concatenate([np.arange(slices[f].start, slices[f].stop) for f in order])
    factors = tuple(
        replace(factor, levels=(*factor.levels, "nobody")) for factor in (case.design.factors[f] for f in order)
    )
    other = marginal_likelihood(collect(replace(case.design, factors=factors), case.layout))
    value, g_Lambda, g_error = other.value_and_gradient(case.Lambda[np.ix_(columns, columns)], case.error_cov)
    expected = marginal_likelihood(collect(case.design, case.layout)).value_and_gradient(*case.point)
    assert value == pytest.approx(expected[0], rel=1e-11)
    np.testing.assert_allclose(g_Lambda, expected[1][np.ix_(columns, columns)], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(g_error, expected[2], rtol=1e-9)


def test_a_nested_factor_needs_no_dense_tail(rng):
    case = random_crossed_case(rng, "nested twice")
    plan = marginal_likelihood(collect(case.design, case.layout)).plan
    assert plan.staged == (2, 1, 0)
    assert plan.n_tail == 4
    case = random_crossed_case(rng, "nested and crossed")
    plan = marginal_likelihood(collect(case.design, case.layout)).plan
    assert plan.staged == (2, 1)
    assert plan.tail == (0,)


def test_errors_across_groups_are_refused_with_what_is_possible(rng):
    case = random_crossed_case(rng, "crossed")
    unit = np.arange(45, dtype=np.intp) // 2
    layout = replace(case.layout, spec=spec_of("exchangeable"), unit=unit, has_corr=True)
    with pytest.raises(ModelError, match="each unit must lie within one group of every factor"):
        collect(case.design, layout)
