"""Estimates against other software and certified values; tests/reference/README.md has their provenance."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.estimate.coordinates import factor_coordinates
from hierreg.estimate.optimise import maximise
from tests.reference import load_reference, reference_data

# case, answers, formula, errors
MIXED_MODELS = [
    ("sleepstudy", "correlated_reml", "Reaction ~ Days + (Days | Subject)", None),
    ("sleepstudy", "correlated_ml", "Reaction ~ Days + (Days | Subject)", None),
    ("sleepstudy", "uncorrelated_reml", "Reaction ~ Days + (Days || Subject)", None),
    ("sleepstudy", "uncorrelated_ml", "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", None),
    ("sleepstudy", "intercept_reml", "Reaction ~ Days + (1 | Subject)", None),
    ("dyestuff", "reml", "Yield ~ 1 + (1 | Batch)", None),
    ("dyestuff", "ml", "Yield ~ 1 + (1 | Batch)", None),
    ("dyestuff2", "reml", "Yield ~ 1 + (1 | Batch)", None),
    ("dyestuff2", "ml", "Yield ~ 1 + (1 | Batch)", None),
    ("math_achieve", "slopes_reml", "MathAch ~ MEANSES + Sector + SES + (SES | School)", None),
    ("math_achieve", "slopes_ml", "MathAch ~ MEANSES + Sector + SES + (SES | School)", None),
    ("math_achieve", "cross_level_reml", "MathAch ~ SES * MEANSES + SES * Sector + (SES | School)", None),
    ("orthodont", "homoscedastic_reml", "distance ~ age11 * Sex + (age11 | Subject)", None),
    ("orthodont", "homoscedastic_ml", "distance ~ age11 * Sex + (age11 | Subject)", None),
    ("orthodont", "by_sex_reml", "distance ~ age11 * Sex + (age11 | Subject)", hr.by("Sex")),
    ("orthodont", "by_sex_ml", "distance ~ age11 * Sex + (age11 | Subject)", hr.by("Sex")),
]


def criterion_of(answers):
    criterion = answers["criterion"]
    return criterion.get("minus2_restricted_loglik", criterion.get("minus2_loglik"))


def method_of(name):
    return "ml" if name.endswith("ml") and not name.endswith("reml") else "reml"


def label_of(coefficient):
    """Return the columns and indicators whose product a coefficient of the answers belongs to."""
    parts = [c["column"] + (f"[T.{c['level']}]" if "level" in c else "") for c in coefficient["product"]]
    return frozenset(parts or ["Intercept"])


def in_order_of(labels, coefficients):
    """Return the place in hierreg of each coefficient of the answers."""
    mine = [frozenset(str(label).split(":")) for label in labels]
    return [mine.index(label_of(c)) for c in coefficients]


def diagonal_root(cov):
    return np.sqrt(np.diagonal(cov, axis1=-2, axis2=-1))


@pytest.mark.parametrize(("case", "name", "formula", "errors"), MIXED_MODELS, ids=lambda x: str(x)[:40])
def test_mixed_model(case, name, formula, errors):
    answers = load_reference(case)["models"][name]
    est = hr.Model(formula, reference_data(case), errors=errors).estimate(method_of(name))
    assert est.converged
    assert est.singular == answers.get("singular", False)
    assert est.criterion == pytest.approx(criterion_of(answers), abs=1e-6)

    fixef = answers["fixef"]
    order = in_order_of(est.beta["coef"].values, fixef["design"])
    np.testing.assert_allclose(est.beta.values[order], fixef["estimate"], rtol=1e-6)
    np.testing.assert_allclose(est.beta_se.values[order], fixef["se"], rtol=1e-6)
    scale = np.sqrt(np.outer(np.diag(fixef["vcov"]), np.diag(fixef["vcov"])))
    np.testing.assert_allclose(est.beta_cov.values[np.ix_(order, order)] / scale, fixef["vcov"] / scale, atol=1e-6)

    (factor,) = est.sd
    sds = np.concatenate([term["sd"] for term in answers["random"]])
    np.testing.assert_allclose(est.sd[factor], sds, rtol=1e-6)
    np.testing.assert_allclose(est.error_sd, answers["residual"]["sd"], rtol=1e-6)
    if len(answers["random"]) == 1:
        np.testing.assert_allclose(est.cov[factor], answers["random"][0]["cov"], atol=1e-6 * sds.max() ** 2)

    # lme4 gives each term of (x || g) a place of its own
    parts = answers["ranef"].values()
    ranef = {what: np.hstack([part[what] for part in parts]) for what in ("mode", "cond_sd", "pev_sd")}
    levels = [str(level) for level in est.b[factor][factor].values]
    rows = [levels.index(level) for level in next(iter(parts))["levels"]]
    np.testing.assert_allclose(est.b[factor].values[rows], ranef["mode"], atol=1e-6 * sds.max())
    np.testing.assert_allclose(diagonal_root(est.b_cond_cov[factor].values)[rows], ranef["cond_sd"], rtol=1e-5)
    np.testing.assert_allclose(diagonal_root(est.b_cov[factor].values)[rows], ranef["pev_sd"], rtol=1e-5)


# ---- regressions with correlated errors


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize(("prefix", "file"), [("distinct_x", "data.csv"), ("same_x", "data_same_x.csv")])
def test_two_regressions_with_paired_errors(prefix, file, method):
    answers = load_reference("sim_d_paired_regressions")["models"][f"{prefix}_gls_{method}"]
    table = reference_data("sim_d_paired_regressions", file)
    model = hr.Model("y ~ 0 + set + set:x", table, errors=hr.correlated("set", unit="pair"))
    est = model.estimate(method)
    assert est.converged
    assert est.criterion == pytest.approx(criterion_of(answers), abs=1e-6)
    names = ["set[a]", "set[a]:x", "set[b]", "set[b]:x"]
    beta, se = est.beta.sel(coef=names), est.beta_se.sel(coef=names)
    np.testing.assert_allclose(beta, answers["coef"]["estimate"], rtol=1e-8)
    np.testing.assert_allclose(se, answers["coef"]["se"], rtol=1e-8)
    np.testing.assert_allclose(est.error_sd, answers["residual"]["sd"], rtol=1e-8)
    assert est.error_corr.values[0, 1] == pytest.approx(answers["residual"]["cor"], rel=1e-8)
    if prefix == "same_x":
        ols = load_reference("sim_d_paired_regressions")["models"]["same_x_ols"]
        np.testing.assert_allclose(beta, ols["coef"]["estimate"], rtol=1e-10)


@pytest.mark.parametrize("name", ["greene_two", "greene_five", "original_two", "original_five"])
def test_maximum_likelihood_of_grunfelds_firms_is_iterated_sur(name):
    answers = load_reference("grunfeld_sur")["models"][f"{name}_iterated_noDfCor"]
    firms = [equation["firm"] for equation in answers["equations"]]
    table = reference_data("grunfeld_sur", answers["data_file"])
    table = table[table["firm"].isin(firms)].assign(firm=lambda rows: rows["firm"].astype(str))
    errors = hr.correlated("firm", unit="year")
    est = hr.Model("invest ~ 0 + firm + firm:value + firm:capital", table, errors=errors).estimate("ml")
    assert est.converged
    assert est.criterion == pytest.approx(-2 * answers["logLik"], abs=1e-6)
    names = [f"firm[{firm}]{x}" for firm in firms for x in ("", ":value", ":capital")]
    np.testing.assert_allclose(est.beta.sel(coef=names), answers["coef"]["estimate"], rtol=1e-7)
    np.testing.assert_allclose(est.beta_se.sel(coef=names), answers["coef"]["se"], rtol=1e-7)
    np.testing.assert_allclose(est.error_sd.sel(firm=firms), answers["residual_sd"], rtol=1e-7)
    corr = est.error_corr.sel(firm=firms, firm_col=firms)
    np.testing.assert_allclose(corr, answers["residual_cor"], atol=1e-7)


# ---- certified values

# correct digits that the coefficients and their standard errors have to reach
DIGITS = {"nist_norris": (12, 12), "nist_noint1": (13, 13), "nist_longley": (10, 10)}


@pytest.mark.parametrize("case", sorted(DIGITS))
def test_certified_regression(case):
    certified = load_reference(case)["models"]["certified"]
    formula = certified.get("formula", "y ~ x")
    est = hr.Model(formula, reference_data(case)).estimate("reml")
    parameters = certified["parameters"]
    for values, expected, digits in (
        (est.beta, parameters["estimate"], DIGITS[case][0]),
        (est.beta_se, parameters["sd"], DIGITS[case][1]),
    ):
        np.testing.assert_allclose(values, expected["value"], rtol=10.0**-digits)
    assert float(est.error_sd) == pytest.approx(certified["residual_sd"]["value"], rel=10.0 ** -DIGITS[case][1])


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("case", ["nist_smls01", "nist_smls04", "nist_smls07", "nist_sirstv"])
def test_variance_components_of_certified_one_way_layouts(case, method):
    reference = load_reference(case)
    answers = reference["models"][f"one_way_random_{method}"]
    # The decimals of the harder cases have no exact doubles; this is what doubles can know.
    exact = reference["exact_on_double_inputs"][method]
    table = reference_data(case)
    group, response = table.columns
    est = hr.Model(f"{response} ~ 1 + (1 | {group})", table).estimate(method)
    assert est.converged
    assert est.singular == answers["boundary"]
    assert float(est.cov[group][0, 0]) == pytest.approx(exact["group_variance"]["value"], rel=1e-10, abs=1e-20)
    assert float(est.error_sd) == pytest.approx(exact["residual_sd"]["value"], rel=1e-10)
    assert float(est.beta[0]) == pytest.approx(exact["mu"]["value"], rel=1e-15)


# ---- hard searches: every start ends at the estimate, or lower


def groups_table(seed, J, r, sds, *, offset=0.0, error_sd=1.0):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(J), r)
    X = np.column_stack([np.ones(J * r)] + [rng.normal(size=J * r) + offset for _ in sds[1:]])
    b = rng.normal(size=(J, len(sds))) * np.array(sds)
    y = np.sum(X * b[group], axis=1) + rng.normal(size=J * r) * error_sd
    columns = {f"x{i}": X[:, i] for i in range(1, len(sds))}
    return pd.DataFrame({"y": y, "g": [f"g{j}" for j in group], **columns})


def paired_table(seed, rho, scale):
    """Two data sets of 60 units, the second in units `scale` times smaller, with three rows missing."""
    rng = np.random.default_rng(seed)
    e = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 60)
    x = rng.normal(size=(60, 2))
    y = (1 + 2 * x + e) * np.array([1.0, scale])
    unit = np.repeat(np.arange(60), 2)
    rows = pd.DataFrame({"unit": unit, "d": ["a", "b"] * 60, "x": x.ravel(), "y": y.ravel()})
    return rows.assign(g=[f"k{u % 7}" for u in unit]).drop(index=[3, 10, 50])


def two_firms():
    table = hr.load_dataset("grunfeld")
    table = table[table["firm"].isin(["General Electric", "Westinghouse"])]
    return table.assign(firm=table["firm"].astype(str))


PAIRED = "y ~ 0 + d + d:x + (0 + d | g)"
BY_UNIT = hr.correlated("d", unit="unit")
HARD = {
    "four columns, six groups": lambda: hr.Model(
        "y ~ x1 + x2 + x3 + (x1 + x2 + x3 | g)", groups_table(0, 6, 5, (1, 1, 1, 1))
    ),
    # has a second, lower maximum
    "four columns without any effect": lambda: hr.Model(
        "y ~ x1 + x2 + x3 + (x1 + x2 + x3 | g)", groups_table(1, 6, 5, (0, 0, 0, 0))
    ),
    "some variances zero": lambda: hr.Model("y ~ x1 + x2 + (x1 + x2 || g)", groups_table(1, 12, 5, (1, 0, 0.5))),
    "slopes of year": lambda: hr.Model("y ~ x1 + (x1 | g)", groups_table(2, 9, 8, (1, 0.3), offset=2000.0)),
    "slopes of year, uncorrelated": lambda: hr.Model(
        "y ~ x1 + (1 | g) + (0 + x1 | g)", groups_table(2, 9, 8, (1, 0.3), offset=2000.0)
    ),
    "intercepts 1e3 times the errors, slopes 1e-3": lambda: hr.Model(
        "y ~ x1 + (x1 | g)", groups_table(3, 9, 8, (1e3, 1e-3))
    ),
    "errors correlated 0.99": lambda: hr.Model(PAIRED, paired_table(4, 0.99, 1.0), errors=BY_UNIT),
    "data sets 1e3 apart, 0.999": lambda: hr.Model(PAIRED, paired_table(5, 0.999, 1e3), errors=BY_UNIT),
    "data sets 1e6 apart, 0.9999": lambda: hr.Model(PAIRED, paired_table(6, 0.9999, 1e6), errors=BY_UNIT),
    "data sets 1e6 apart, by": lambda: hr.Model(PAIRED, paired_table(7, 0.0, 1e6), errors=hr.by("d")),
    "the data set is the group": lambda: hr.Model(
        "invest ~ value + capital + (value + capital | firm)", two_firms(), errors=hr.correlated("firm", unit="year")
    ),
}


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("build", HARD.values(), ids=HARD)
def test_no_other_start_leads_higher(build, method):
    model = build()
    est = model.estimate(method)
    assert est.converged, est.message
    problem = model._problem
    coordinates = factor_coordinates(problem.likelihood(method), problem.parameters)
    start, _ = coordinates.start()
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of line searches from impossible points
        found = [maximise(coordinates, start + rng.normal(size=len(start))).value for _ in range(5)]
    # 1e3 times the errors: six digits of the criterion cancel
    assert est.criterion < -2 * max(found) + 1e-5


def test_the_criterion_of_two_firms():
    model = HARD["the data set is the group"]()
    assert model.estimate("reml").criterion == pytest.approx(332.560907, abs=1e-6)


def test_a_perfect_fit_is_said_to_be_one():
    table = groups_table(0, 5, 4, (1, 1)).assign(y=lambda rows: 2 + 3 * rows["x1"])
    with pytest.raises(hr.exceptions.DataError, match="fitted exactly by the columns 'Intercept', 'x1': no variation"):
        hr.Model("y ~ x1 + (1 | g)", table).estimate("reml")


def test_singular_estimates_say_which_parameter():
    est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")).estimate("reml")
    assert "variance of Intercept between groups of Batch is zero" in est.message
    assert float(est.sd["Batch"][0]) == 0.0
    est = HARD["four columns, six groups"]().estimate("reml")
    assert "correlation matrix of the group coefficients Intercept, x1, x2, x3" in est.message


def test_a_search_leaves_a_saddle():
    """f(a, b) = -(a^2 - 1)^2 - b^2 is stationary at zero, where the gradient shows nothing."""

    def function(x):
        a, b = x
        return -((a * a - 1) ** 2) - b * b, np.array([-4 * a * (a * a - 1), -2 * b])

    found = maximise(function, np.zeros(2))
    assert found.converged
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert abs(found.x[0]) == pytest.approx(1.0)


# ---- standard errors of variance parameters


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize(("prefix", "file"), [("distinct_x", "data.csv"), ("same_x", "data_same_x.csv")])
def test_standard_errors_of_sds_and_correlation_of_paired_errors(prefix, file, method):
    answers = load_reference("sim_d_paired_regressions")["models"][f"{prefix}_gls_{method}"]["residual"]
    table = reference_data("sim_d_paired_regressions", file)
    est = hr.Model("y ~ 0 + set + set:x", table, errors=hr.correlated("set", unit="pair")).estimate(method)
    se = est.variance_se
    assert se["parameter"].values.tolist() == ["error_sd[a]", "error_sd[b]", "error_corr[b, a]"]
    # the answers are from second differences of the criterion
    np.testing.assert_allclose(se[:2] / est.error_sd.to_numpy(), answers["se_log_sd"], rtol=2e-5)
    r = float(est.error_corr[0, 1])
    assert float(se[2]) / (1 - r * r) == pytest.approx(answers["se_atanh_cor"], rel=2e-5)
    if (prefix, method) == ("same_x", "ml"):
        # 200 pairs, the same columns in both: the closed forms of a bivariate sample
        np.testing.assert_allclose(se[:2] / est.error_sd.to_numpy(), 1 / np.sqrt(2 * 200), rtol=1e-7)
        assert float(se[2]) / (1 - r * r) == pytest.approx(1 / np.sqrt(200), rel=1e-7)


def test_standard_errors_of_residual_sds_by_group():
    answers = load_reference("orthodont")["models"]["by_sex_reml"]["accuracy"]["log_sd_se"]
    model = hr.Model("distance ~ age11 * Sex + (age11 | Subject)", reference_data("orthodont"), errors=hr.by("Sex"))
    est = model.estimate("reml")
    names = [f"error_sd[{name.split()[-1]}]" for name in answers["names"]]
    sexes = [name.split()[-1] for name in answers["names"]]
    se = est.variance_se.sel(parameter=names).to_numpy() / est.error_sd.sel(Sex=sexes).to_numpy()
    np.testing.assert_allclose(se, answers["se"], rtol=1e-4)


def test_standard_errors_of_the_balanced_layout_have_a_closed_form():
    """ML: the mean squares within and between batches are independent scaled chi-squares."""
    est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate("ml")
    J, n = 6, 5
    a, s2 = float(est.sd["Batch"][0]) ** 2, float(est.error_sd) ** 2
    # c = s2 + n a has information J / (2 c^2), s2 has J (n - 1) / (2 s2^2)
    var_c, var_s2 = 2 * (s2 + n * a) ** 2 / J, 2 * s2**2 / (J * (n - 1))
    se_a, se_s2 = np.sqrt((var_c + var_s2) / n**2), np.sqrt(var_s2)
    expected = [se_a / (2 * np.sqrt(a)), se_s2 / (2 * np.sqrt(s2))]
    np.testing.assert_allclose(est.variance_se, expected, rtol=1e-5)


def test_a_parameter_on_the_boundary_has_no_standard_error():
    est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")).estimate("ml")
    assert est.singular
    assert np.isnan(est.variance_se.sel(parameter="sd_Batch[Intercept]"))
    # given a zero variance, 30 independent rows
    expected = float(est.error_sd) / np.sqrt(2 * 30)
    assert float(est.variance_se.sel(parameter="error_sd")) == pytest.approx(expected, rel=1e-5)


def test_standard_errors_of_fixed_and_missing_parameters():
    priors = hr.Priors(error_sd=hr.Fixed(25.0))
    est = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"), priors=priors).estimate("map")
    assert est.variance_se["parameter"].values.tolist() == [
        "sd_Subject[Intercept]",
        "sd_Subject[Days]",
        "corr_Subject[Days, Intercept]",
    ]
    assert np.all(est.variance_se > 0)
    np.testing.assert_allclose(est.variance_cov, est.variance_cov.T)
