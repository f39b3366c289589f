"""Several grouping factors: the mixed-model equations, linear functions and exact draws against the dense oracle."""

import numpy as np
import pytest

import hierreg as hr
from hierreg.gram import collect
from hierreg.likelihood import solution as joint
from hierreg.likelihood.crossed.draws import recover_crossed
from hierreg.likelihood.engines import marginal_likelihood, solve_equations
from hierreg.likelihood.population import PopulationPrior
from hierreg.likelihood.solution import GroupWeights, LinearFunctions
from hierreg.variances.parameters import Covariances
from tests.oracles import dense
from tests.oracles.crossed_cases import KINDS, SHAPES, random_crossed_case


def dense_parts(case, mean, cov, p=3):
    """Return b, Var(b_j) and Cov(beta, b_j) of each factor from those of all coefficients."""
    out, start = [], p
    for factor in case.design.factors:
        J, q = len(factor.levels), factor.Z.shape[1]
        own = start + np.arange(J * q).reshape(J, q)
        out.append((mean[own], cov[own[:, :, None], own[:, None, :]], np.swapaxes(cov[own, :p], 1, 2)))
        start += J * q
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_solution_equals_the_dense_one(shape, kind, rng):
    case = random_crossed_case(rng, shape, kind)
    solution = solve_equations(marginal_likelihood(collect(case.design, case.layout)), *case.point)
    mean, cov, cond = dense.coefficients(case.design, case.layout, case.Lambda @ case.Lambda.T, case.error_cov)
    np.testing.assert_allclose(solution.beta, mean[:3], rtol=1e-9)
    np.testing.assert_allclose(solution.beta_cov, cov[:3, :3], rtol=0, atol=1e-9 * np.abs(cov[:3, :3]).max())
    start = 0
    for f, (b, b_cov, cross) in enumerate(dense_parts(case, mean, cov)):
        J, q = b.shape
        np.testing.assert_allclose(solution.b[f], b, rtol=0, atol=1e-9 * np.abs(b).max())
        np.testing.assert_allclose(solution.b_cov[f], b_cov, rtol=0, atol=1e-9 * np.abs(b_cov).max())
        np.testing.assert_allclose(solution.beta_b_cov[f], cross, rtol=0, atol=1e-9 * np.abs(cross).max())
        own = start + np.arange(J * q).reshape(J, q)
        expected = cond[own[:, :, None], own[:, None, :]]
        np.testing.assert_allclose(solution.b_cond_cov[f], expected, rtol=0, atol=1e-9 * np.abs(expected).max())
        start += J * q


def test_a_prior_of_beta(rng):
    case = random_crossed_case(rng, "nested and crossed")
    prior = PopulationPrior(basis=np.eye(3), mean=np.array([1.0, -2.0, 0.5]), sd=np.array([0.7, 2.0, 1.1]))
    solution = solve_equations(marginal_likelihood(collect(case.design, case.layout), prior=prior), *case.point)
    mean, cov, _ = dense.coefficients(
        case.design,
        case.layout,
        case.Lambda @ case.Lambda.T,
        case.error_cov,
        prior_precision=np.diag(prior.sd**-2.0),
        prior_mean=prior.mean,
    )
    np.testing.assert_allclose(solution.beta, mean[:3], rtol=1e-9)
    for f, (b, b_cov, _) in enumerate(dense_parts(case, mean, cov)):
        np.testing.assert_allclose(solution.b[f], b, rtol=0, atol=1e-9 * np.abs(b).max())
        np.testing.assert_allclose(solution.b_cov[f], b_cov, rtol=0, atol=1e-9 * np.abs(b_cov).max())


def random_functions(rng, case, s=7):
    weights = np.zeros((s, sum(len(f.levels) * f.Z.shape[1] for f in case.design.factors)))
    groups, start = [], 0
    for factor in case.design.factors:
        J, q = len(factor.levels), factor.Z.shape[1]
        row, level, b = rng.integers(0, s, 6), rng.integers(0, J, 6), rng.normal(size=(6, q))
        groups.append(GroupWeights(row=row, level=level, b=b))
        np.add.at(weights, (row[:, None], start + level[:, None] * q + np.arange(q)), b)
        start += J * q
    beta = rng.normal(size=(s, 3))
    return LinearFunctions(beta=beta, groups=tuple(groups)), np.hstack([beta, weights])


@pytest.mark.parametrize("shape", SHAPES)
def test_linear_functions_of_coefficients_of_several_factors(shape, rng):
    case = random_crossed_case(rng, shape)
    solution = solve_equations(marginal_likelihood(collect(case.design, case.layout)), *case.point)
    mean, cov, _ = dense.coefficients(case.design, case.layout, case.Lambda @ case.Lambda.T, case.error_cov)
    functions, weights = random_functions(rng, case)
    expected = weights @ cov @ weights.T
    np.testing.assert_allclose(joint.means(functions, solution), weights @ mean, rtol=1e-8)
    np.testing.assert_allclose(
        joint.covariance(functions, solution), expected, rtol=0, atol=1e-9 * np.abs(expected).max()
    )
    np.testing.assert_allclose(joint.variances(functions, solution), np.diagonal(expected), rtol=1e-9)


def at_one_point(case, S):
    q, D = len(case.Lambda), len(case.error_cov)
    return Covariances(
        sd=np.ones((S, q)),
        corr=np.tile(np.eye(q), (S, 1, 1)),
        Lambda=np.tile(case.Lambda, (S, 1, 1)),
        error_sd=np.ones((S, D)),
        error_corr=np.tile(np.eye(D), (S, 1, 1)),
        error_cov=np.tile(case.error_cov, (S, 1, 1)),
    )


@pytest.mark.parametrize("shape", ["crossed", "nested and crossed", "nested twice"])
def test_draws_have_the_conditional_mean_and_covariance(shape, rng):
    case = random_crossed_case(rng, shape)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    S = 20_000
    drawn = recover_crossed(likelihood, at_one_point(case, S), seed=3, probs=None, theta_columns=(), threads=2)
    mean, cov, _ = dense.coefficients(case.design, case.layout, case.Lambda @ case.Lambda.T, case.error_cov)
    all_draws = np.hstack([drawn.beta, *(b.reshape(S, -1) for b in drawn.b)])
    sd = np.sqrt(np.diagonal(cov))
    z = (all_draws.mean(axis=0) - mean) / sd * np.sqrt(S)
    assert np.abs(z).max() < 4.5
    # Entries of a sample covariance of standardised draws have a standard error of at most sqrt(2 / S).
    difference = np.cov(all_draws.T) / np.outer(sd, sd) - cov / np.outer(sd, sd)
    assert np.abs(difference).max() < 5 * np.sqrt(2 / S)


def test_draws_depend_on_the_seed_alone(rng):
    case = random_crossed_case(rng, "nested and crossed")
    likelihood = marginal_likelihood(collect(case.design, case.layout))

    def draw(seed, threads):
        return recover_crossed(
            likelihood, at_one_point(case, 120), seed=seed, probs=None, theta_columns=(), threads=threads
        )

    for one, two in zip(draw(5, 1).b, draw(5, 3).b, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(draw(5, 1).beta, draw(6, 1).beta)


def test_summaries_are_those_of_the_conditional_distribution(rng):
    case = random_crossed_case(rng, "nested and crossed")
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    matches = tuple((0, *(None,) * (f.Z.shape[1] - 1)) for f in case.design.factors)
    drawn = recover_crossed(
        likelihood, at_one_point(case, 900), seed=3, probs=(0.025, 0.5), theta_columns=matches, threads=1
    )
    solution = solve_equations(likelihood, *case.point)
    assert drawn.b is None
    assert drawn.beta.shape == (900, 3)
    for f, (b, theta) in enumerate(zip(drawn.b_summary, drawn.theta_summary, strict=True)):
        sd = np.sqrt(np.diagonal(solution.b_cov[f], axis1=1, axis2=2))
        np.testing.assert_allclose(b.mean, solution.b[f], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(b.sd, sd, rtol=1e-9)
        np.testing.assert_allclose(b.quantiles[1], solution.b[f], rtol=0, atol=6 * 1.26 * sd.max() / np.sqrt(400))
        np.testing.assert_allclose(theta.mean[:, 0], solution.b[f][:, 0] + solution.beta[0], rtol=1e-9)
        variance = solution.b_cov[f][:, 0, 0] + 2 * solution.beta_b_cov[f][:, 0, 0] + solution.beta_cov[0, 0]
        np.testing.assert_allclose(theta.sd[:, 0], np.sqrt(variance), rtol=1e-9)


def test_a_variance_of_zero_gives_zeros_however_columns_are_scaled(rng):
    n = 60
    table = {"y": rng.normal(size=n), "x": 50.0 + rng.normal(size=n), "g": np.arange(n) // 6, "h": np.arange(n) % 5}
    for formula, zero in (("y ~ x + (x | g) + (1 | h)", 0), ("y ~ x + (1 | h) + (x | g)", 1)):
        model = hr.Model(formula, table)
        cov = np.diag(np.where(np.arange(2) == zero, 0.0, 0.3))
        solution = model.solve({"g": cov, "h": [[0.5]]}, 1.0)
        assert np.all(solution.b["g"].values[:, zero] == 0.0)
        assert np.all(solution.b["g"].values[:, 1 - zero] != 0.0)
        likelihood = model.problem.likelihood("reml")
        Lambda = np.zeros((3, 3))
        own = slice(0, 2) if formula.index("x |") < formula.index("1 |") else slice(1, 3)
        Lambda[own, own] = np.sqrt(cov)
        points = Covariances(
            sd=np.sqrt(np.diagonal(Lambda @ Lambda.T))[None].repeat(4, axis=0),
            corr=np.eye(3)[None].repeat(4, axis=0),
            Lambda=Lambda[None].repeat(4, axis=0),
            error_sd=np.ones((4, 1)),
            error_corr=np.ones((4, 1, 1)),
            error_cov=np.ones((4, 1, 1)),
        )
        drawn = recover_crossed(likelihood, points, seed=1, probs=None, theta_columns=(), threads=1)
        assert np.all(drawn.b[own.start and 1][:, :, zero] == 0.0)
        assert np.all(drawn.b[own.start and 1][:, :, 1 - zero] != 0.0)
