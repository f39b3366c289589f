"""Linear functions of coefficients: against the dense joint covariance, and there and back again."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hierreg as hr
from hierreg.gram import collect
from hierreg.likelihood import solution as joint
from hierreg.likelihood.engines import marginal_likelihood, solve_equations
from hierreg.likelihood.population import FixedBeta
from hierreg.likelihood.solution import GroupWeights, LinearFunctions
from tests.helpers import report_trees as trees
from tests.oracles import dense
from tests.oracles.cases import KINDS, random_case
from tests.reference import load_reference, reference_data


def solved(case, **options):
    return solve_equations(marginal_likelihood(collect(case.design, case.layout), **options), *case.point)


def random_functions(rng, case, s=7):
    """Return functions of beta and of some groups, a group more than once in some, and the dense weights."""
    p, q, J = case.design.X.shape[1], len(case.Lambda), len(case.design.factors[0].levels)
    E = 3 * s
    functions = LinearFunctions(
        beta=rng.normal(size=(s, p)),
        groups=(GroupWeights(row=rng.integers(0, s, E), level=rng.integers(0, J, E), b=rng.normal(size=(E, q))),),
    )
    weights = np.zeros((s, p + J * q))
    weights[:, :p] = functions.beta
    (groups,) = functions.groups
    for r, j, b in zip(groups.row, groups.level, groups.b, strict=True):
        weights[r, p + j * q : p + (j + 1) * q] += b
    return functions, weights


def assert_close(mine, expected, rtol=1e-9):
    np.testing.assert_allclose(mine, expected, rtol=0, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_joint_covariance_of_all_coefficients_is_the_dense_one(kind, rng):
    case = random_case(rng, kind, p=3, q=2, J=6)
    functions, B = random_functions(rng, case)
    mean, cov, _ = dense.coefficients(case.design, case.layout, case.Lambda @ case.Lambda.T, case.error_cov)
    solution = solved(case)
    assert_close(joint.means(functions, solution), B @ mean)
    assert_close(joint.covariance(functions, solution), B @ cov @ B.T)
    assert_close(joint.variances(functions, solution), np.diagonal(B @ cov @ B.T))


def test_joint_covariance_is_the_inverse_of_hendersons_system(rng):
    case = random_case(rng, "correlated", p=2, q=3, J=4)
    functions, B = random_functions(rng, case)
    mean, inverse = dense.henderson(case.design, case.layout, case.Lambda @ case.Lambda.T, case.error_cov)
    assert_close(joint.means(functions, solved(case)), B @ mean, rtol=1e-7)
    assert_close(joint.covariance(functions, solved(case)), B @ inverse @ B.T, rtol=1e-7)


def test_coefficients_that_are_fixed_have_no_variance(rng):
    priors = hr.Priors(beta={"x": hr.Fixed(0.4)})
    model = hr.Model("y ~ x + w + (x | g)", trees.table(), priors=priors)
    est = model.estimate()
    report = hr.contrasts(est, {"x": {"x": 2}, "theta": {("b", "x"): 1}, "b": {("b", "b", "x"): 1}})
    assert float(report["mean"][0]) == pytest.approx(0.8)
    assert float(report["sd"][0]) == 0
    np.testing.assert_allclose(report["mean"][1] - report["mean"][2], 0.4, rtol=1e-12)
    np.testing.assert_allclose(report["sd"][1], report["sd"][2], rtol=1e-12)


def test_fixed_coefficients_agree_with_taking_them_off(rng):
    case = random_case(rng, "by", p=4)
    fixed = FixedBeta(is_fixed=np.array([True, False, True, False]), value=np.array([0.7, 0.0, -2.0, 0.0]))
    X = case.design.X
    rest = replace(case, design=replace(case.design, X=X[:, ~fixed.is_fixed], y=case.design.y - X @ fixed.value))
    functions, B = random_functions(rng, rest)
    _, cov, _ = dense.coefficients(rest.design, rest.layout, case.Lambda @ case.Lambda.T, case.error_cov)
    assert_close(joint.covariance(functions, solved(case, fixed=fixed)), B @ cov @ B.T)


# ---- the report


@pytest.fixture(scope="module")
def sleep():
    return hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))


def test_values_of_an_estimate_are_its_own(sleep):
    est = sleep.estimate()
    report = hr.contrasts(est, {"slope": {"Days": 1}, "of 335": {("335", "Days"): 1}, "b": {("b", 335, "Days"): 1}})
    np.testing.assert_allclose(report["mean"][0], est.beta[1], rtol=1e-14)
    np.testing.assert_allclose(report["sd"][0], est.beta_se[1], rtol=1e-12)
    np.testing.assert_allclose(report["mean"][1], est.theta["Subject"].sel(Subject="335")[1], rtol=1e-12)
    np.testing.assert_allclose(report["sd"][1] ** 2, est.theta_cov["Subject"].sel(Subject="335")[1, 1], rtol=1e-11)
    np.testing.assert_allclose(report["sd"][2] ** 2, est.b_cov["Subject"].sel(Subject="335")[1, 1], rtol=1e-11)
    np.testing.assert_allclose(report["upper"] - report["mean"], 1.959963984540054 * report["sd"], rtol=1e-12)


def test_groups_that_share_no_errors_are_correlated_through_beta_alone(sleep):
    at = sleep.solve({"Subject": [[600.0, 10.0], [10.0, 35.0]]}, 650.0)
    report = hr.contrasts(at, {j: {("b", j, "Days"): 1} for j in (308, 309)})
    cov = at.beta_cov.to_numpy()
    G = np.swapaxes(at.solution.beta_b_cov[0], 1, 2) @ np.linalg.inv(cov)
    np.testing.assert_allclose(report["cov"][0, 1], (G[0] @ cov @ G[1].T)[1, 1], rtol=1e-10)
    assert float(report["cov"][0, 1]) > 0


def test_draws_converge_to_the_solution_where_variances_are_known():
    """theta_alpha - theta_beta with errors that link the groups: the joint covariance of exact draws."""
    rng = np.random.default_rng(5)
    n = 60
    errors = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=n)
    x = rng.normal(2, 1, n)
    table = pd.DataFrame(
        {
            "y": np.concatenate([1 + 0.5 * x + errors[:, 0], 1.2 + 0.6 * x + errors[:, 1]]),
            "x": np.tile(x, 2),
            "set": np.repeat(["alpha", "beta"], n),
            "unit": np.tile(np.arange(n), 2),
        }
    )
    priors = hr.Priors(
        beta=hr.Flat(),
        sd={"set": hr.Fixed(0.5)},
        corr={"set": hr.Fixed(np.eye(2))},
        error_sd=hr.Fixed(1.0),
        error_corr=hr.Fixed([[1, 0.9], [0.9, 1]]),
    )
    model = hr.Model("y ~ x + (x | set)", table, errors=hr.correlated("set", unit="unit"), priors=priors)
    what = {
        "slope": {("alpha", "x"): 1, ("beta", "x"): -1},
        "intercept": {("alpha", "Intercept"): 1, ("beta", "Intercept"): -1},
        "population": {"Intercept": 1, "x": 2},
    }
    at = hr.contrasts(model.solve({"set": 0.25 * np.eye(2)}, [[1, 0.9], [0.9, 1]]), what)
    drawn = hr.contrasts(trees.run(model, draws=2000, chains=4), what)
    assert drawn["draws"].dims == ("chain", "draw", "contrast")
    assert np.all(np.abs(drawn["mean"] - at["mean"]) < 4 * at["sd"] / np.sqrt(8000))
    scale = at["sd"].to_numpy()[:, None] * at["sd"].to_numpy()
    assert np.abs((drawn["cov"] - at["cov"]) / scale).max() < 4 * np.sqrt(2 / 8000)
    # What the correlation buys: with the same marginal errors but independent, the difference is far less certain.
    alone = hr.Model("y ~ x + (x | set)", table, errors=hr.by("set"))
    apart = hr.contrasts(alone.solve({"set": 0.25 * np.eye(2)}, [1.0, 1.0]), what)
    assert float(at["sd"].sel(contrast="slope")) < 0.5 * float(apart["sd"].sel(contrast="slope"))


def test_draws_are_transformed_one_by_one():
    tree = trees.tree("correlated")
    report = hr.contrasts(tree, {"f": {("c", "x"): 2, "w": -1, ("b", "d", "Intercept"): 0.5}}, ci_prob=0.8)
    post = tree["posterior"]
    expected = (
        2 * post["theta_g"].sel(g="c", g_coef="x")
        - post["beta"].sel(coef="w")
        + 0.5 * post["b_g"].sel(g="d", g_coef="Intercept")
    )
    np.testing.assert_allclose(report["draws"][..., 0], expected, rtol=1e-12)
    np.testing.assert_allclose(report["sd"][0] ** 2, report["cov"][0, 0], rtol=1e-12)
    assert float(report["prob_positive"][0]) == pytest.approx(float((expected > 0).mean()))
    assert "P(>0)" in str(report)


def test_a_column_without_population_coefficient_is_a_deviation_alone():
    tree = trees.separate_terms()
    report = hr.contrasts(tree, {"w": {("a", "w"): 1}})
    np.testing.assert_allclose(report["draws"][..., 0], tree["posterior"]["b_g"].sel(g="a", g_coef="w"), rtol=1e-12)


def test_every_form_of_a_matrix_is_the_same(sleep):
    est = sleep.estimate()
    B = np.array([[1.0, 4.5], [0.0, 2.0], [1.0, 0.0]])
    names = ["middle", "two days", "start"]
    expected = hr.contrasts(
        est,
        {"middle": {"Intercept": 1, "Days": 4.5}, "two days": {"Days": 2}, "start": {"Intercept": 1}},
    )
    frame = pd.DataFrame(B[:, ::-1], index=names, columns=["Days", "Intercept"])
    array = xr.DataArray(B.T, dims=("coef", "phi"), coords={"coef": ["Intercept", "Days"], "phi": names})
    for what in (frame, array):
        xr.testing.assert_allclose(hr.contrasts(est, what), expected, rtol=1e-13)
    plain = hr.contrasts(est, B)
    assert list(plain["contrast"].values) == ["phi[0]", "phi[1]", "phi[2]"]
    np.testing.assert_allclose(plain["cov"], B @ est.beta_cov.to_numpy() @ B.T, rtol=1e-11)
    slope = hr.contrasts(est, frame[["Days"]])
    np.testing.assert_allclose(slope["mean"], B[:, 1] * float(est.beta[1]), rtol=1e-13)


def test_saved_and_loaded_is_the_same(tmp_path):
    tree, what = trees.tree("by"), {"f": {("a", "x"): 1, "w": 1}}
    loaded = hr.load(hr.save(tree, tmp_path / "fit.nc"))
    xr.testing.assert_identical(hr.contrasts(loaded, what), hr.contrasts(tree, what))


def test_population_coefficients_need_no_draws_of_the_groups():
    report = hr.contrasts(trees.summarised(), {"w": {"w": 1}})
    np.testing.assert_array_equal(report["draws"][..., 0], trees.summarised()["posterior"]["beta"].sel(coef="w"))
    with pytest.raises(hr.exceptions.ModelError, match=r"only summaries.*group_effects='draws'"):
        hr.contrasts(trees.summarised(), {"x": {("a", "x"): 1}})


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"f": {"Dayz": 1}}, "names 'Dayz'.*Did you mean 'Days'"),
        ({"f": {(1, "Days"): 1}}, "names 1.*groups of Subject"),
        ({"f": {(308, "Day"): 1}}, "names 'Day'.*Did you mean 'Days'"),
        ({"f": {("gamma", 308, "Days"): 1}}, "has the key"),
        ({"f": {(308,): 1}}, "has the key"),
        ({"f": {"Days": "one"}}, "must be a finite number"),
        ({"f": {"Days": np.nan}}, "must be a finite number"),
        ({"f": 1.0}, "weights are required"),
        ({}, "is empty"),
        (np.ones((2, 3)), r"shape \(2, 3\)"),
        (np.ones((1, 1, 2)), "shape"),
        ("Days", "does not say which"),
        (np.array([[np.inf, 0.0]]), "not finite"),
        (xr.DataArray(np.eye(2), dims=("a", "b")), "labelled matrix"),
        (xr.DataArray(np.eye(2), dims=("a", "coef"), coords={"coef": ["Intercept", "x"]}), "column 'x'"),
        (pd.DataFrame([[1.0, 2.0]], columns=["Days", "Days"]), "same name"),
    ],
)
def test_what_cannot_be_read_is_said(sleep, what, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        hr.contrasts(sleep.estimate(), what)


def test_other_bad_arguments(sleep):
    with pytest.raises(hr.exceptions.ModelError, match="x has type dict"):
        hr.contrasts({}, np.eye(2))
    with pytest.raises(hr.exceptions.ModelError, match="ci_prob"):
        hr.contrasts(sleep.estimate(), np.eye(2), ci_prob=95)
    plain = hr.Model("Reaction ~ Days", hr.load_dataset("sleepstudy")).estimate()
    with pytest.raises(hr.exceptions.ModelError, match="no groups"):
        hr.contrasts(plain, {"f": {(308, "Days"): 1}})


# ---- re-parametrizations


def test_centring_a_line_makes_the_normal_equations_block_diagonal_and_back(rng):
    """y = a + b x in phi = (value at the mean of x, slope): uncorrelated, and B^-1 leads back to (a, b)."""
    x = rng.normal(1950, 3, 40)
    table = pd.DataFrame({"x": x, "y": 2.0 + 0.3 * x + rng.normal(0, 1, 40)})
    table["c"] = table["x"] - x.mean()
    B = np.array([[1.0, x.mean()], [0.0, 1.0]])
    there = hr.contrasts(hr.Model("y ~ x", table).estimate(), B)
    fitted = hr.Model("y ~ c", table).estimate()
    np.testing.assert_allclose(there["mean"], fitted.beta, rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(there["cov"]), np.diagonal(fitted.beta_cov), rtol=1e-12)
    sd = there["sd"].to_numpy()
    np.testing.assert_allclose(there["cov"] / (sd[:, None] * sd), np.eye(2), atol=1e-12)
    back = hr.contrasts(fitted, np.linalg.inv(B))
    raw = hr.Model("y ~ x", table).estimate()
    np.testing.assert_allclose(back["mean"], raw.beta, rtol=1e-12)
    np.testing.assert_allclose(back["cov"], raw.beta_cov, rtol=1e-12)


def test_centring_a_plane_and_back(rng):
    n = 50
    x, z = rng.normal(40, 2, n), rng.normal(-300, 50, n)
    table = pd.DataFrame({"x": x, "z": z, "y": 1 + 0.5 * x - 0.02 * z + rng.normal(0, 1, n)})
    table["cx"], table["cz"] = x - x.mean(), z - z.mean()
    B = np.array([[1.0, x.mean(), z.mean()], [0, 1, 0], [0, 0, 1]])
    there, fitted = hr.contrasts(hr.Model("y ~ x + z", table).estimate(), B), hr.Model("y ~ cx + cz", table).estimate()
    np.testing.assert_allclose(there["mean"], fitted.beta, rtol=1e-12)
    np.testing.assert_allclose(there["sd"], fitted.beta_se, rtol=1e-12)
    assert abs(float(there["cov"][0, 2])) < 1e-12 * float(there["sd"][0] * there["sd"][2])
    back = hr.contrasts(fitted, np.linalg.inv(B))
    np.testing.assert_allclose(back["mean"], hr.Model("y ~ x + z", table).estimate().beta, rtol=1e-12)


@pytest.mark.parametrize("errors", trees.STRUCTURES)
def test_fitting_in_phi_is_transforming_afterwards(errors, rng):
    """Columns of X and Z times B^-1: the same predictions, so the same phi, of the population and of each group."""
    B = np.array([[1.0, 2.5], [0.0, -0.5]])
    table = trees.table()
    X = np.column_stack([np.ones(len(table)), table["x"]]) @ np.linalg.inv(B)
    table["u"], table["v"] = X.T
    structure = trees.model(errors).problem.layout.spec
    raw = hr.Model("y ~ x + (x | g)", table, errors=structure)
    phi = hr.Model("y ~ 0 + u + v + (0 + u + v | g)", table, errors=structure)
    Sigma = np.array([[0.9, 0.2], [0.2, 0.4]])
    S = {"by": [0.5, 0.8, 0.6], "independent": 0.7, "correlated": 0.2 + np.diag([0.5, 0.8, 0.6])}.get(errors)
    mine, fitted = raw.solve({"g": Sigma}, S), phi.solve({"g": B @ Sigma @ B.T}, S)
    what = {f"{g}{i}": {(g, c): B[i, k] for k, c in enumerate(["Intercept", "x"])} for g in "abcde" for i in (0, 1)}
    of_groups = hr.contrasts(mine, what)
    np.testing.assert_allclose(of_groups["mean"], fitted.theta["g"].to_numpy().ravel(), rtol=1e-11)
    blocks = of_groups["cov"].to_numpy().reshape(5, 2, 5, 2)[np.arange(5), :, np.arange(5)]
    assert_close(blocks, fitted.theta_cov["g"].to_numpy(), rtol=1e-11)
    population = hr.contrasts(mine, B)
    np.testing.assert_allclose(population["mean"], fitted.beta, rtol=1e-11)
    np.testing.assert_allclose(population["cov"], fitted.beta_cov, rtol=1e-10)


def test_longley_there_and_back():
    """The hard case: condition number 5e9. phi is the fit at the mean of the predictors, and the slopes."""
    answers = load_reference("nist_longley")["models"]["certified"]["parameters"]
    table = reference_data("nist_longley")
    names = [f"x{i}" for i in range(1, 7)]
    est = hr.Model("y ~ " + " + ".join(names), table).estimate()
    B = np.eye(7)
    B[0, 1:] = table[names].mean()
    phi = hr.contrasts(est, B)
    # The mean of y, whose standard error is the residual sd over root n: known without any regression.
    assert float(phi["mean"][0]) == pytest.approx(table["y"].mean(), rel=1e-12)
    assert float(phi["sd"][0]) == pytest.approx(float(est.error_sd) / 4, rel=1e-10)
    back = np.linalg.inv(B) @ phi["mean"].to_numpy()
    np.testing.assert_allclose(back, answers["estimate"]["value"], rtol=1e-9)
    se = np.sqrt(np.diagonal(np.linalg.inv(B) @ phi["cov"].to_numpy() @ np.linalg.inv(B).T))
    np.testing.assert_allclose(se, answers["sd"]["value"], rtol=1e-9)


def test_there_and_back_is_the_identity(sleep, rng):
    B = rng.normal(size=(2, 2))
    for result in (sleep.estimate(), trees.sleepstudy()):
        raw, there = hr.contrasts(result, np.eye(2)), hr.contrasts(result, B)
        back = np.linalg.inv(B)
        np.testing.assert_allclose(back @ there["mean"].to_numpy(), raw["mean"], rtol=1e-12)
        np.testing.assert_allclose(back @ there["cov"].to_numpy() @ back.T, raw["cov"], rtol=1e-10)
        if "draws" in there:
            np.testing.assert_allclose(there["draws"].to_numpy() @ back.T, raw["draws"], rtol=1e-10)
