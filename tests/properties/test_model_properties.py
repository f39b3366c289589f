"""Properties that hold for any design: hypothesis chooses sizes, structure and seed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood, recover, solve_equations
from hierreg.linalg import lower_factor, sd_and_corr, semidefinite_factor
from hierreg.variances.parameters import (
    Covariances,
    corr_factor,
    covariances,
    partial_correlations,
    variance_parameters,
)
from tests.oracles import dense
from tests.oracles.cases import KINDS, only_observed, random_case, rows_of

seeds = st.integers(0, 2**32 - 1)


@st.composite
def cases(draw, kinds=KINDS):
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(kinds))
    n = draw(st.integers(16, 40))
    return random_case(rng, kind, n=n, p=draw(st.integers(1, 4)), q=draw(st.integers(1, 3)), J=draw(st.integers(2, 7)))


@settings(max_examples=40)
@given(cases(), st.sampled_from(["flat", "ml"]))
def test_likelihood_and_gradient_equal_the_dense_ones(case, beta):
    likelihood = marginal_likelihood(collect(case.design, case.layout), profile=beta == "ml")
    value, g_Lambda, g_error = likelihood.value_and_gradient(*case.point)
    Sigma = case.Lambda @ case.Lambda.T
    assert value == pytest.approx(
        dense.log_likelihood(case.design, case.layout, Sigma, case.error_cov, beta=beta), rel=1e-8
    )
    expected, expected_error = dense.gradient(case.design, case.layout, *case.point, beta=beta)
    scale = max(np.linalg.norm(expected), np.linalg.norm(expected_error))
    np.testing.assert_allclose(g_Lambda, expected, rtol=0, atol=1e-8 * scale)
    mask = np.ones_like(g_error) if case.layout.has_corr else np.eye(len(g_error))
    np.testing.assert_allclose(g_error * mask, expected_error, rtol=0, atol=1e-8 * scale)


@settings(max_examples=25)
@given(cases(), seeds)
def test_any_factor_of_sigma_gives_the_same_value(case, seed):
    """Sigma = Lambda Lambda' = (Lambda Q)(Lambda Q)' for orthogonal Q."""
    q = len(case.Lambda)
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(q, q)))[0]
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    value, gradient, g_error = likelihood.value_and_gradient(*case.point)
    turned, turned_gradient, turned_error = likelihood.value_and_gradient(case.Lambda @ Q, case.error_cov)
    assert turned == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(turned_gradient, gradient @ Q, atol=1e-9 * (1 + np.abs(gradient).max()))
    np.testing.assert_allclose(turned_error, g_error, atol=1e-9 * (1 + np.abs(g_error).max()))


@settings(max_examples=25)
@given(cases(), seeds)
def test_any_basis_of_the_columns_gives_the_same_model(case, seed):
    """X -> X M, Z -> Z T, Lambda -> T^-1 Lambda, beta -> M^-1 beta, b -> T^-1 b."""
    rng = np.random.default_rng(seed)
    p, q = case.design.X.shape[1], len(case.Lambda)
    M, T = (np.eye(k) + 0.3 * rng.normal(size=(k, k)) / k for k in (p, q))
    factor = case.design.factors[0]
    design = replace(case.design, X=case.design.X @ M, factors=(replace(factor, Z=factor.Z @ T),))
    mine = marginal_likelihood(collect(case.design, case.layout))
    other = marginal_likelihood(collect(design, case.layout))
    Lambda = np.linalg.solve(T, case.Lambda)
    value = other.value_and_gradient(Lambda, case.error_cov)[0]
    expected = mine.value_and_gradient(*case.point)[0] - np.linalg.slogdet(M)[1]
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)
    first, second = solve_equations(mine, *case.point), solve_equations(other, Lambda, case.error_cov)
    np.testing.assert_allclose(M @ second.beta, first.beta, rtol=0, atol=1e-7 * (1 + np.abs(first.beta).max()))
    np.testing.assert_allclose(second.b[0] @ T.T, first.b[0], rtol=0, atol=1e-7 * (1 + np.abs(first.b[0]).max()))


@settings(max_examples=30)
@given(cases(kinds=[k for k in KINDS if not k.startswith("known_cov")]), seeds)
def test_tables_add_in_any_split_that_keeps_units_whole(case, seed):
    rng = np.random.default_rng(seed)
    p, n = case.design.X.shape[1], len(case.design.y)
    unit = case.layout.unit if case.layout.unit is not None else np.arange(n)
    in_a = rng.random(unit.max() + 1)[unit] < 0.5
    parts = [only_observed(rows_of(case, np.flatnonzero(rows))) for rows in (in_a, ~in_a)]
    for part in parts:
        rank = np.linalg.matrix_rank(part.design.X) if len(part.design.y) else 0
        if rank < p or np.linalg.matrix_rank(part.design.factors[0].Z) < len(case.Lambda):
            return
    whole = collect(case.design, case.layout)
    total = collect(parts[0].design, parts[0].layout) + collect(parts[1].design, parts[1].layout)
    order = [whole.terms.labels.index(label) for label in total.terms.labels]
    value = marginal_likelihood(total).value_and_gradient(case.Lambda, case.error_cov[np.ix_(order, order)])[0]
    expected = marginal_likelihood(whole).value_and_gradient(*case.point)[0]
    assert value == pytest.approx(expected, rel=1e-8, abs=1e-8)


@settings(max_examples=20)
@given(cases())
def test_equations_agree_with_the_dense_gaussian(case):
    solution = solve_equations(marginal_likelihood(collect(case.design, case.layout)), *case.point)
    Sigma = case.Lambda @ case.Lambda.T
    mean, cov, _ = dense.coefficients(case.design, case.layout, Sigma, case.error_cov)
    p, q = case.design.X.shape[1], len(Sigma)
    np.testing.assert_allclose(solution.beta, mean[:p], rtol=0, atol=1e-8 * (1 + np.abs(mean).max()))
    np.testing.assert_allclose(solution.b[0].ravel(), mean[p:], rtol=0, atol=1e-8 * (1 + np.abs(mean).max()))
    variances = np.concatenate([np.diagonal(block) for block in solution.b_cov[0]])
    np.testing.assert_allclose(variances, np.diagonal(cov)[p:], rtol=1e-7, atol=1e-10)
    # Knowing beta can only help: prediction-error covariance is at least the conditional one.
    gap = solution.b_cov[0] - solution.b_cond_cov[0]
    assert np.linalg.eigvalsh(gap).min() > -1e-9 * (1 + np.abs(gap).max())
    assert q == gap.shape[1]


def repeated(case, S):
    """Return S times the point of a case."""
    sd, corr = sd_and_corr(case.Lambda @ case.Lambda.T)
    error_sd, error_corr = sd_and_corr(case.error_cov)
    names = ("sd", "corr", "Lambda", "error_sd", "error_corr", "error_cov")
    values = (sd, corr, case.Lambda, error_sd, error_corr, case.error_cov)
    return Covariances(**{name: np.stack([value] * S) for name, value in zip(names, values, strict=True)})


@pytest.mark.long
@settings(max_examples=8)
@given(cases(), seeds)
def test_draws_have_the_moments_of_the_equations_and_summaries_have_them_exactly(case, seed):
    S = 4000
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    solution = solve_equations(likelihood, *case.point)
    (mean,), (cov,) = solution.b, solution.b_cov
    sd = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    drawn = recover(likelihood, repeated(case, S), seed=seed)
    assert np.all(np.abs(drawn.b[0].mean(axis=0) - mean) <= 5.5 * sd / np.sqrt(S) + 1e-9)
    np.testing.assert_allclose(drawn.b[0].std(axis=0), sd, rtol=5.5 / np.sqrt(2 * S), atol=1e-9)
    again = recover(likelihood, repeated(case, S), seed=seed, threads=2)
    np.testing.assert_array_equal(again.b[0], drawn.b[0])
    short = recover(likelihood, repeated(case, 3), seed=seed, probs=(0.5,), theta_columns=[[None] * len(sd[0])])
    (summary,) = short.b_summary
    np.testing.assert_allclose(summary.mean, mean, rtol=0, atol=1e-8 * (1 + np.abs(mean).max()))
    np.testing.assert_allclose(summary.sd, sd, rtol=1e-6, atol=1e-9)


# ---- parametrization


@given(st.integers(2, 5), seeds, st.floats(0.01, 4.0))
def test_partial_correlations_and_correlation_matrices_are_inverse(size, seed, spread):
    u = spread * np.random.default_rng(seed).normal(size=size * (size - 1) // 2)
    L = corr_factor(u[None], size)[0]
    corr = L @ L.T
    np.testing.assert_allclose(np.diagonal(corr), 1.0, rtol=1e-12)
    if np.linalg.eigvalsh(corr)[0] > 1e-6:
        np.testing.assert_allclose(partial_correlations(corr), u, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 6), st.integers(0, 6), seeds)
def test_factors_of_semidefinite_matrices(size, rank, seed):
    A = np.random.default_rng(seed).normal(size=(size, min(rank, size)))
    cov = A @ A.T
    for factor in (semidefinite_factor(cov), lower_factor(cov)):
        np.testing.assert_allclose(factor @ factor.T, cov, atol=1e-12 * (1 + np.abs(cov).max()))
    lower = lower_factor(cov)
    np.testing.assert_allclose(lower, np.tril(lower), atol=1e-12)
    sd, corr = sd_and_corr(cov)
    np.testing.assert_allclose(sd**2, np.diagonal(cov))
    assert np.nanmax(np.abs(corr)) <= 1.0


@settings(max_examples=15)
@given(st.integers(1, 4), seeds)
def test_unconstrained_vectors_give_the_covariances_they_name(q, seed):
    from hierreg.priors import LKJ, HalfNormal, ResolvedPriors

    rng = np.random.default_rng(seed)
    case = random_case(rng, "correlated", q=q)
    priors = ResolvedPriors(
        beta=(),
        beta_basis=np.empty((0, 0)),
        sd={"g": (HalfNormal(1),) * q},
        corr={"g": (LKJ(1),)},
        error_sd=(HalfNormal(1),) * 3,
        error_corr=LKJ(1),
    )
    names = tuple("abcd"[:q])
    gram = collect(case.design, case.layout)
    parameters = variance_parameters(gram.terms, priors, factors=[("g", names, (q,))])
    u = rng.normal(size=(5, parameters.n_free))
    at = covariances(parameters, u)
    assert len(parameters.free_names) == parameters.n_free
    np.testing.assert_allclose(at.sd, np.exp(u[:, :q]))
    np.testing.assert_allclose(at.error_sd, np.exp(u[:, q : q + 3]))
    expected = at.sd[:, :, None] * at.corr * at.sd[:, None, :]
    np.testing.assert_allclose(at.Lambda @ np.swapaxes(at.Lambda, 1, 2), expected, rtol=1e-9, atol=1e-12)
    first = parameters.free_names.index("error_corr[beta, alpha]")
    np.testing.assert_allclose(at.error_corr[:, 1, 0], np.tanh(u[:, first]))
