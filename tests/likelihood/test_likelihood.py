"""The marginal likelihood and its gradient against dense ones: every error structure and prior of beta."""

from dataclasses import replace

import numpy as np
import pytest

import hierreg as hr
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.population import FixedBeta, PopulationPrior
from tests.helpers.groups import BETAS, assert_equal_to_dense, likelihood_and_oracle
from tests.oracles import dense
from tests.oracles.cases import KINDS, make_layout, random_case


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    "sizes", [{"p": 3, "q": 2, "J": 5}, {"p": 4, "q": 1, "J": 7}, {"p": 1, "q": 3, "J": 4}, {"q": 0}], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient(kind, sizes, beta, rng):
    if kind == "correlated, group = data set" and sizes["q"] == 0:
        pytest.skip("no groups")
    assert_equal_to_dense(random_case(rng, kind, **sizes), beta)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [1, 2])
def test_value_and_gradient_where_variances_are_zero(kind, n_rows, rng):
    case = random_case(rng, kind)
    Lambda = case.Lambda.copy()
    Lambda[:n_rows] = 0.0
    assert_equal_to_dense(replace(case, Lambda=Lambda), "flat")


def test_value_and_gradient_where_a_correlation_is_one(rng):
    case = random_case(rng, "by", q=3)
    Lambda = np.outer([1.0, -2.0, 0.5], [0.3, 0.4, 1.2])
    assert_equal_to_dense(replace(case, Lambda=Lambda), "flat")


@pytest.mark.parametrize("rho", [0.99, 0.99999, -0.499])
def test_value_and_gradient_where_errors_are_nearly_collinear(rho, rng):
    case = random_case(rng, "correlated, group = data set")
    S = np.diag([1.0, 0.5, 2.0]) @ (np.full((3, 3), rho) + (1 - rho) * np.eye(3)) @ np.diag([1.0, 0.5, 2.0])
    assert_equal_to_dense(replace(case, error_cov=S), "flat", rtol=1e-8)


@pytest.mark.parametrize("kind", ["by", "correlated", "correlated, group = data set"])
def test_data_sets_on_scales_a_million_apart_cost_no_digits(kind, rng):
    """All rows of a data set times its scale: log p changes by the logs, the gradient by the chain rule."""
    easy = random_case(rng, kind)
    scale = np.array([1.0, 2.0**-10, 2.0**10])
    rows = scale[easy.layout.stratum]
    factor = easy.design.factors[0]
    hard = replace(
        easy,
        design=replace(
            easy.design,
            y=easy.design.y * rows,
            X=easy.design.X * rows[:, None],
            factors=(replace(factor, Z=factor.Z * rows[:, None]),),
        ),
        error_cov=scale[:, None] * easy.error_cov * scale,
    )
    value, g_Lambda, g_error = likelihood_and_oracle(hard, "flat")[0].value_and_gradient(*hard.point)
    Sigma = easy.Lambda @ easy.Lambda.T
    expected = dense.log_likelihood(easy.design, easy.layout, Sigma, easy.error_cov) - np.sum(np.log(rows))
    expected_Lambda, expected_error = dense.gradient(easy.design, easy.layout, *easy.point)
    norm = np.linalg.norm(expected_Lambda)
    assert value == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(g_Lambda, expected_Lambda, rtol=0, atol=1e-8 * norm)
    mask = np.ones((3, 3)) if easy.layout.has_corr else np.eye(3)
    np.testing.assert_allclose(scale[:, None] * g_error * scale * mask, expected_error, rtol=0, atol=1e-8 * norm)


def test_some_coefficients_fixed_some_normal_some_flat(rng):
    case = random_case(rng, "correlated", p=4)
    fixed = FixedBeta(is_fixed=np.array([False, True, False, False]), value=np.array([0.0, 0.7, 0.0, 0.0]))
    prior = PopulationPrior(basis=np.eye(4)[[2]], mean=np.array([0.3]), sd=np.array([0.9]))
    likelihood = marginal_likelihood(collect(case.design, case.layout), prior=prior, fixed=fixed)
    # integrate the flat columns 0 and 3 densely, the normal one as a variance, the fixed one as an offset
    X, Sigma = case.design.X, case.Lambda @ case.Lambda.T
    V = dense.total_covariance(case.design, case.layout, Sigma, case.error_cov) + 0.9**2 * np.outer(X[:, 2], X[:, 2])
    y, F = case.design.y - 0.7 * X[:, 1] - 0.3 * X[:, 2], X[:, [0, 3]]
    XtVX = F.T @ np.linalg.solve(V, F)
    hat = np.linalg.solve(XtVX, F.T @ np.linalg.solve(V, y))
    expected = dense.normal_log_density(y, F @ hat, V) + np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(XtVX)[1]
    assert likelihood.value_and_gradient(*case.point)[0] == pytest.approx(expected, rel=1e-11)


def dyadic(values, digits=20):
    """Round to multiples of 2^-digits, so that shifts and scales by powers of two are exact."""
    return np.round(values * 2.0**digits) / 2.0**digits


@pytest.mark.parametrize("beta", ["flat", "ml"])
@pytest.mark.parametrize("kind", KINDS)
def test_offsets_of_a_million_and_ill_scaled_columns_cost_no_digits(kind, beta, rng):
    easy = random_case(rng, kind, p=3, q=2)
    factor = replace(easy.design.factors[0], Z=dyadic(easy.design.factors[0].Z))
    design = replace(easy.design, X=dyadic(easy.design.X), y=dyadic(easy.design.y), factors=(factor,))
    easy = replace(easy, design=design, Lambda=dyadic(easy.Lambda))
    # x -> 2^20 + 2^-10 x and w -> 2^12 w are exact in floating point, and so is the map of Lambda
    M = np.array([[1.0, 2.0**20, 0.0], [0.0, 2.0**-10, 0.0], [0.0, 0.0, 2.0**12]])
    Mz = np.array([[1.0, -(2.0**20)], [0.0, 2.0**5]])
    hard = replace(
        easy,
        design=replace(design, X=design.X @ M, factors=(replace(factor, Z=factor.Z @ Mz),)),
        Lambda=np.linalg.inv(Mz) @ easy.Lambda,
    )
    likelihood, oracle = likelihood_and_oracle(hard, beta)
    value, g_Lambda, g_error = likelihood.value_and_gradient(*hard.point)
    Sigma = easy.Lambda @ easy.Lambda.T
    expected = dense.log_likelihood(easy.design, easy.layout, Sigma, easy.error_cov, **oracle)
    expected -= np.linalg.slogdet(M)[1] if beta == "flat" else 0.0
    assert value == pytest.approx(expected, rel=1e-9)
    expected_Lambda, expected_error = dense.gradient(easy.design, easy.layout, *easy.point, **oracle)
    # Carried back to the easy columns, where the entries are comparable
    scale = np.linalg.norm(expected_Lambda)
    np.testing.assert_allclose(np.linalg.solve(Mz.T, g_Lambda), expected_Lambda, rtol=0, atol=1e-8 * scale)
    mask = np.ones_like(g_error) if hard.layout.has_corr else np.eye(len(g_error))
    np.testing.assert_allclose(g_error * mask, expected_error, rtol=0, atol=1e-9 * np.linalg.norm(expected_error))


def test_an_impossible_covariance_has_density_zero(rng):
    case = random_case(rng, "correlated")
    likelihood, _ = likelihood_and_oracle(case, "flat")
    S = case.error_cov.copy()
    S[0, 1] = S[1, 0] = 10 * np.sqrt(S[0, 0] * S[1, 1])
    value, g_Lambda, g_error = likelihood.value_and_gradient(case.Lambda, S)
    assert value == -np.inf
    assert not g_Lambda.any()
    assert not g_error.any()


def test_no_population_coefficients_at_all(rng):
    case = random_case(rng, "by")
    design = replace(case.design, X=np.empty((37, 0)), coef_names=())
    likelihood = marginal_likelihood(collect(design, case.layout))
    Sigma = case.Lambda @ case.Lambda.T
    expected = dense.log_likelihood(design, case.layout, Sigma, case.error_cov, beta="fixed", value=np.empty(0))
    assert likelihood.value_and_gradient(*case.point)[0] == pytest.approx(expected, rel=1e-11)


def test_known_standard_errors_with_a_scale_are_weights(rng):
    """se = 1 / sqrt(weight), R = sigma^2 / weight."""
    case = random_case(rng, "known_se, scaled")
    weight = case.layout.se**-2
    value = likelihood_and_oracle(case, "flat")[0].value_and_gradient(*case.point)[0]
    root = np.sqrt(weight)
    factor = case.design.factors[0]
    scaled = replace(
        case.design,
        y=case.design.y * root,
        X=case.design.X * root[:, None],
        factors=(replace(factor, Z=factor.Z * root[:, None]),),
    )
    other = marginal_likelihood(collect(scaled, make_layout("independent", len(weight))))
    assert value - 0.5 * np.log(weight).sum() == pytest.approx(other.value_and_gradient(*case.point)[0], rel=1e-11)


def test_priors_and_fixed_slopes_of_far_off_predictors_keep_their_digits(rng):
    """Two points of log p(sd): their difference is that of the same model at predictors a hundred million nearer.

    A shift of x by c is beta_0 + c beta_x in place of beta_0: the prior N(0, 1) of both, written for either.
    """
    n, J, c = 60, 8, 1e8
    x, g = rng.normal(size=n), np.arange(n) % J
    y = rng.normal(size=n) + rng.normal(size=J)[g]
    shifted = np.array([[1.0, -c], [0.0, 1.0]])  # raw coefficients of x + c, from those of x
    differences = []
    for data, basis in ((x + c, np.eye(2)), (x, shifted)):
        model = hr.Model("y ~ x + (1 | g)", {"y": y, "x": data, "g": g})
        prior = PopulationPrior(basis=basis, mean=np.zeros(2), sd=np.ones(2))
        likelihood = marginal_likelihood(model.gram, prior=prior)
        at = [likelihood.value_and_gradient(np.array([[sd]]), np.array([[1.2]]))[0] for sd in (0.1, 1.0)]
        differences.append(at[1] - at[0])
    assert differences[0] == pytest.approx(differences[1], abs=1e-6)
    differences = []
    for data, response in ((x + c, y), (x, y - 2.0 * x)):
        formula = "y ~ x + (1 | g)" if data is not x else "y ~ 1 + (1 | g)"
        priors = hr.Priors(beta={"x": hr.Fixed(2.0)}) if data is not x else None
        model = hr.Model(formula, {"y": response, "x": data, "g": g}, priors=priors)
        likelihood = model.problem.likelihood("reml")
        at = [likelihood.value_and_gradient(np.array([[sd]]), np.array([[1.2]]))[0] for sd in (0.1, 1.0)]
        differences.append(at[1] - at[0])
    assert differences[0] == pytest.approx(differences[1], abs=1e-6)
