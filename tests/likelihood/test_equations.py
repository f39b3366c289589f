"""Mixed-model equations against dense generalised least squares, BLUP, and conditioned Gaussians."""

from dataclasses import replace

import numpy as np
import pytest

import hierreg as hr
from hierreg.exceptions import ModelError
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood, solve_equations
from hierreg.likelihood.population import FixedBeta, PopulationPrior
from tests.oracles import dense
from tests.oracles.cases import KINDS, random_case


def assert_equal_to_dense(solution, case, *, rtol=1e-9, **prior):
    design = case.design
    Sigma = case.Lambda @ case.Lambda.T
    mean, cov, cond_cov = dense.coefficients(design, case.layout, Sigma, case.error_cov, **prior)
    p, q = design.X.shape[1], len(Sigma)
    J = (len(mean) - p) // q if q else 0
    blocks = [slice(p + j * q, p + (j + 1) * q) for j in range(J)]

    def close(mine, expected):
        np.testing.assert_allclose(mine, expected, rtol=0, atol=rtol * np.abs(expected).max(initial=1e-300))

    close(solution.beta, mean[:p])
    close(solution.beta_cov, cov[:p, :p])
    for j, block in enumerate(blocks):
        close(solution.b[0][j], mean[block])
        close(solution.b_cov[0][j], cov[block, block])
        close(solution.b_cond_cov[0][j], cond_cov[j * q : (j + 1) * q, j * q : (j + 1) * q])
        close(solution.beta_b_cov[0][j], cov[:p, block])


@pytest.mark.parametrize(
    "sizes", [{"p": 3, "q": 2, "J": 5}, {"p": 4, "q": 3, "J": 6}, {"p": 2, "q": 1, "J": 7}], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_blue_blup_and_their_covariances(kind, sizes, rng):
    case = random_case(rng, kind, **sizes)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    assert_equal_to_dense(solve_equations(likelihood, *case.point), case)


@pytest.mark.parametrize("kind", KINDS)
def test_blup_at_singular_covariances(kind, rng):
    case = random_case(rng, kind, q=3)
    Lambda = case.Lambda.copy()
    Lambda[1] = 0.0
    case = replace(case, Lambda=Lambda)
    solution = solve_equations(marginal_likelihood(collect(case.design, case.layout)), *case.point)
    assert_equal_to_dense(solution, case)
    assert not solution.b[0][:, 1].any()
    assert not solution.b_cov[0][:, 1].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_normal_prior_of_beta_gives_the_gaussian_posterior(kind, rng):
    case = random_case(rng, kind)
    basis = np.eye(3)
    basis[0] = case.design.X.mean(axis=0)
    prior = PopulationPrior(basis=basis, mean=np.array([1.0, -2.0, 0.5]), sd=np.array([0.3, 2.0, 0.1]))
    precision = basis.T @ np.diag(prior.sd**-2) @ basis
    likelihood = marginal_likelihood(collect(case.design, case.layout), prior=prior)
    mean = np.linalg.solve(basis, prior.mean)
    assert_equal_to_dense(solve_equations(likelihood, *case.point), case, prior_precision=precision, prior_mean=mean)


def test_fixed_coefficients_are_taken_off(rng):
    case = random_case(rng, "correlated", p=4)
    fixed = FixedBeta(is_fixed=np.array([True, False, True, False]), value=np.array([0.7, 0.0, -2.0, 0.0]))
    likelihood = marginal_likelihood(collect(case.design, case.layout), fixed=fixed)
    X = case.design.X
    rest = replace(case.design, X=X[:, ~fixed.is_fixed], y=case.design.y - X @ fixed.value)
    assert_equal_to_dense(solve_equations(likelihood, *case.point), replace(case, design=rest))


def test_hendersons_one_linear_system_has_the_same_solution(rng):
    """[X'X/s2  X'Z/s2; Z'X/s2  Z'Z/s2 + Sigma^-1], the 1 / s2 on Z'Z included."""
    case = random_case(rng, "by")
    solution, inverse = dense.henderson(case.design, case.layout, case.Lambda @ case.Lambda.T, case.error_cov)
    mine = solve_equations(marginal_likelihood(collect(case.design, case.layout)), *case.point)
    np.testing.assert_allclose(mine.beta, solution[:3], rtol=1e-9)
    np.testing.assert_allclose(mine.b[0].ravel(), solution[3:], rtol=1e-8)
    np.testing.assert_allclose(mine.beta_cov, inverse[:3, :3], rtol=1e-8)
    np.testing.assert_allclose(mine.b_cov[0][2], inverse[7:9, 7:9], rtol=1e-8)


# ---- Model.solve


@pytest.fixture
def sleep():
    return hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))


SIGMA = np.array([[600.0, 10.0], [10.0, 35.0]])


def test_solve_converges_to_blue_and_blup_as_the_prior_precision_goes_to_zero(sleep):
    limit = sleep.solve({"Subject": SIGMA}, 650.0)
    gaps = []
    for kappa in (1e-4, 1e-6, 1e-8, 1e-10):
        at = sleep.solve({"Subject": SIGMA}, 650.0, beta_precision=kappa)
        gaps.append(
            [
                float(np.abs(at.beta - limit.beta).max()),
                float(np.abs(at.b["Subject"] - limit.b["Subject"]).max()),
                float(np.abs(at.b_cov["Subject"] - limit.b_cov["Subject"]).max()),
            ]
        )
    ratios = np.array(gaps[1:]) / np.array(gaps[:-1])
    np.testing.assert_allclose(ratios, 0.01, rtol=0.05)  # linear in kappa
    assert max(gaps[-1]) < 1e-4


def test_solve_with_a_finite_precision_is_the_dense_gaussian_posterior(sleep):
    problem = sleep._problem
    kappa = np.array([0.01, 0.5])
    at = sleep.solve({"Subject": SIGMA}, 650.0, beta_precision=kappa)
    mean, cov, _ = dense.coefficients(
        problem.design, problem.layout, SIGMA, np.array([[650.0]]), prior_precision=np.diag(kappa)
    )
    np.testing.assert_allclose(at.beta, mean[:2], rtol=1e-9)
    np.testing.assert_allclose(at.beta_cov, cov[:2, :2], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(at.b["Subject"].values.ravel(), mean[2:], rtol=1e-8)
    E = np.zeros((36, 38))
    E[:, :2], E[:, 2:] = np.tile(np.eye(2), (18, 1)), np.eye(36)
    theta_cov = E @ cov @ E.T
    np.testing.assert_allclose(at.theta["Subject"].values.ravel(), E @ mean, rtol=1e-9)
    for j in range(18):
        block = slice(2 * j, 2 * j + 2)
        np.testing.assert_allclose(at.theta_cov["Subject"].values[j], theta_cov[block, block], rtol=1e-7)


def test_prediction_error_covariance_is_that_of_simulated_prediction_errors(sleep, rng):
    """Var(b_hat - b), both random: b_hat is linear in y, so its error has an exact covariance."""
    problem = sleep._problem
    X, Z = problem.design.X, dense.spread_z(problem.design)
    prior = np.kron(np.eye(18), SIGMA)
    V = Z @ prior @ Z.T + 650.0 * np.eye(180)
    V_inv = np.linalg.inv(V)
    P = V_inv - V_inv @ X @ np.linalg.solve(X.T @ V_inv @ X, X.T @ V_inv)
    gain = prior @ Z.T @ P
    error_cov = gain @ V @ gain.T - gain @ Z @ prior - prior @ Z.T @ gain.T + prior
    mine = sleep.solve({"Subject": SIGMA}, 650.0).b_cov["Subject"].values
    for j in (0, 11):
        np.testing.assert_allclose(mine[j], error_cov[2 * j : 2 * j + 2, 2 * j : 2 * j + 2], rtol=1e-8)


def test_solve_at_the_reml_estimate_gives_its_coefficients(sleep):
    est = sleep.estimate("reml")
    at = sleep.solve({"Subject": est.cov["Subject"]}, float(est.error_sd) ** 2)
    np.testing.assert_allclose(at.beta, est.beta, rtol=1e-12)
    np.testing.assert_allclose(at.b["Subject"], est.b["Subject"], rtol=1e-9)
    np.testing.assert_allclose(at.b_cov["Subject"], est.b_cov["Subject"], rtol=1e-9)


def test_known_generalised_least_squares_of_paired_regressions():
    from tests.reference import load_reference, reference_data

    answers = load_reference("sim_d_paired_regressions")["models"]["distinct_x_gls_known_covariance"]
    table = reference_data("sim_d_paired_regressions")
    model = hr.Model("y ~ 0 + set + set:x", table, errors=hr.correlated("set", unit="pair"))
    at = model.solve(error_cov=[[0.25, 0.36], [0.36, 0.64]])
    names = ["set[a]", "set[a]:x", "set[b]", "set[b]:x"]
    np.testing.assert_allclose(at.beta.sel(coef=names), answers["coef"]["estimate"], rtol=1e-11)
    np.testing.assert_allclose(
        at.beta_cov.sel(coef=names, coef_col=names), answers["coef"]["vcov"], rtol=1e-9, atol=1e-15
    )


# ---- units and offsets


UNITS = np.array([1.0, 1e5, 1e-5])


def test_the_answer_in_metres_is_that_in_kilometres(rng):
    """Columns in other units: the same estimates and standard errors, in those units, up to rounding."""
    n, J = 80, 12
    x, g = rng.normal(size=(n, 2)), np.arange(n) % J
    b = rng.normal(size=(J, 3)) @ np.array([[1.0, 0.3, 0.1], [0.0, 0.5, 0.2], [0.0, 0.0, 0.4]])
    y = 1 + x @ [0.5, -0.2] + b[g, 0] + b[g, 1] * x[:, 0] + b[g, 2] * x[:, 1] + rng.normal(size=n)
    S = np.array([[1.0, 0.3, 0.1], [0.3, 0.4, 0.05], [0.1, 0.05, 0.2]])
    one, other = (
        hr.Model("y ~ u + v + (u + v | g)", {"y": y, "u": x[:, 0] * unit[1], "v": x[:, 1] * unit[2], "g": g}).solve(
            {"g": S / unit[:, None] / unit}, 1.3
        )
        for unit in (np.ones(3), UNITS)
    )
    np.testing.assert_allclose(other.beta * UNITS, one.beta, rtol=1e-9)
    np.testing.assert_allclose(other.beta_se * UNITS, one.beta_se, rtol=1e-9)
    np.testing.assert_allclose(other.b["g"] * UNITS, one.b["g"], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(other.b_cov["g"] * UNITS[:, None] * UNITS, one.b_cov["g"], rtol=1e-8, atol=1e-10)


def test_data_sets_may_have_units_of_their_own(rng):
    """Response of one data set in 1e-7 of its unit: its coefficients scale, the others stay."""
    n = 30
    table = {"u": np.repeat(np.arange(n), 2), "d": ["a", "b"] * n, "x": rng.standard_normal(2 * n)}
    y, R, unit = rng.standard_normal(2 * n), np.array([[1.0, 0.6], [0.6, 2.0]]), np.array([1e-7, 1.0])
    one, other = (
        hr.Model("y ~ 0 + d + d:x", {**table, "y": y * np.tile(s, n)}, errors=hr.correlated("d", unit="u")).solve(
            None, R * s[:, None] * s
        )
        for s in (np.ones(2), unit)
    )
    np.testing.assert_allclose(other.beta, one.beta * np.tile(unit, 2), rtol=1e-8)
    np.testing.assert_allclose(other.beta_se, one.beta_se * np.tile(unit, 2), rtol=1e-8)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
def test_a_prior_of_the_raw_intercept_keeps_what_the_data_say(offset, rng):
    """Against the augmented least squares problem, y = X beta and 0 = beta / sd, in 50 digits."""
    mpmath = pytest.importorskip("mpmath")
    table = {name: rng.standard_normal(20) for name in "yzxw"}
    table["x"] += offset
    kappa = [1.0, 0.0, 1.0, 0.0]
    at = hr.Model("y ~ z + x + w", table).solve(None, 1.0, kappa)
    with mpmath.workdps(50):
        X = mpmath.matrix(np.column_stack([np.ones(20), table["z"], table["x"], table["w"]]).tolist())
        cov = (X.T * X + mpmath.diag(kappa)) ** -1
        beta = cov * (X.T * mpmath.matrix(table["y"].tolist()))
        se = [mpmath.sqrt(cov[i, i]) for i in range(4)]
        off = [float((beta[i] - mpmath.mpf(float(at.beta[i]))) / se[i]) for i in range(4)]
    np.testing.assert_allclose(off, 0, atol=1e-6)
    np.testing.assert_allclose(at.beta_se, [float(one) for one in se], rtol=1e-6)


def test_covariances_are_matched_by_label(rng):
    import pandas as pd

    table = {"y": rng.normal(size=40), "x": rng.normal(size=40), "g": np.arange(40) % 8}
    model = hr.Model("y ~ x + (x | g)", table, errors=hr.independent())
    S = pd.DataFrame([[2.0, 0.3], [0.3, 0.5]], index=["Intercept", "x"], columns=["Intercept", "x"])
    expected = model.solve({"g": S.to_numpy()}, 1.0)
    for given in (S, S.loc[["x", "Intercept"], ["x", "Intercept"]], S.loc[["x", "Intercept"]]):
        np.testing.assert_array_equal(model.solve({"g": given}, 1.0).beta, expected.beta)
    kappa = pd.Series({"x": 2.0, "Intercept": 0.0})
    np.testing.assert_array_equal(
        model.solve({"g": S}, 1.0, kappa).beta, model.solve({"g": S.to_numpy()}, 1.0, [0.0, 2.0]).beta
    )
    est = model.estimate()
    np.testing.assert_allclose(model.solve({"g": est.cov["g"]}, est.error_sd**2).beta, est.beta, rtol=1e-9)
    with pytest.raises(ModelError, match=r"cov\['g'\] is labelled 'a', 'b'; the model has 'Intercept', 'x'"):
        model.solve({"g": S.set_axis(["a", "b"], axis=0).set_axis(["a", "b"], axis=1)}, 1.0)


@pytest.mark.parametrize(
    ("S", "words"),
    [
        ([[1.0, 1e-6], [1e-6, 1e-14]], r"positive semidefinite \(smallest eigenvalue -9 of its correlations"),
        ([[1.0, 0.1], [0.1, 0.0]], "positive semidefinite"),
        ([[1.0, 1e-9], [2e-9, 1e-16]], "not symmetric"),
        ([[1.0, 0.0], [0.0, -1e-30]], "positive semidefinite"),
    ],
)
def test_a_covariance_is_judged_by_its_correlations(S, words, rng):
    table = {"y": rng.normal(size=40), "x": rng.normal(size=40), "g": np.arange(40) % 8}
    with pytest.raises(ModelError, match=words):
        hr.Model("y ~ x + (x | g)", table).solve({"g": S}, 1.0)
