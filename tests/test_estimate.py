"""Estimates against other software and certified values; tests/reference/README.md has their provenance."""

import numpy as np
import pytest

import hierreg as hr
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
    np.testing.assert_allclose(
        est.beta_cov.values[np.ix_(order, order)] / scale, fixef["vcov"] / scale, atol=1e-6
    )

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
    np.testing.assert_allclose(
        diagonal_root(est.b_cond_cov[factor].values)[rows], ranef["cond_sd"], rtol=1e-5
    )
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
    assert float(est.error_sd) == pytest.approx(
        certified["residual_sd"]["value"], rel=10.0 ** -DIGITS[case][1]
    )


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
    assert float(est.cov[group][0, 0]) == pytest.approx(
        exact["group_variance"]["value"], rel=1e-10, abs=1e-20
    )
    assert float(est.error_sd) == pytest.approx(exact["residual_sd"]["value"], rel=1e-10)
    assert float(est.beta[0]) == pytest.approx(exact["mu"]["value"], rel=1e-15)
