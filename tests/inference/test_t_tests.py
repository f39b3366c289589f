"""`hr.t_tests`: lmerTest and pbkrtest, t tests that have names, and structures of errors that say the same."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hierreg as hr
from tests.helpers import report_trees as trees


def sleep_without():
    """Return 160 rows of sleepstudy, unbalanced: sleepstudy[-c(3, 4, 5, 17, 40:47, 90, 133:139), ] of R."""
    dropped = [2, 3, 4, 16, *range(39, 47), 89, *range(132, 139)]
    return hr.load_dataset("sleepstudy").drop(index=dropped).reset_index(drop=True)


# lmerTest 3.1-3 and pbkrtest 0.5.2 (tests/reference/scripts/after_fit.R, section degrees of freedom): of each
# coefficient df of Satterthwaite, then se and df of Kenward and Roger; then F, denominator df, p of all but the
# intercept, by each. lme4's optimiser leaves some 1e-7 of its variances.
CASES = {
    "Reaction ~ Days + (Days | Subject)": (
        "sleepstudy",
        [(16.9999940803, 6.82455738958, 17), (17.0000023392, 1.54578881734, 17)],
        None,
    ),
    "distance ~ age * Sex + (1 | Subject)": (
        "orthodont",
        [
            (103.986360967, 0.981312236757, 103.986361016),
            (79.0000007764, 0.0775011046213, 79),
            (103.986360975, 1.53742080542, 103.986361016),
            (79.0000005828, 0.121420895638, 79),
        ],
        [(46.015006881, 95.0312140346, 1.86208798309e-18), (45.3729116941, 66.6466459893, 4.29387494214e-16)],
    ),
    "strength ~ 1 + (1 | batch) + (1 | sample)": ("pastes", [(9.00000002554, 0.676870065102, 9)], None),
    "Reaction ~ Days + (Days || Subject)": (
        "",
        [(18.68827677, 6.973757897, 17.82439634), (18.58765474, 1.579009011, 18.69100305)],
        None,
    ),
    "Reaction ~ Days + I(Days**2) + (Days | Subject)": (
        "",
        [
            (24.926617898, 7.58636978207, 23.9929083496),
            (118.299759479, 3.01759047152, 117.538375353),
            (126.427069887, 0.290019543499, 126.805011311),
        ],
        [(25.6412445785, 47.0838396837, 2.93213409685e-08), (25.1495640274, 38.9096680396, 9.75994988197e-08)],
    ),
}


@pytest.mark.parametrize("formula", CASES)
def test_the_numbers_of_lmertest_and_pbkrtest(formula):
    name, each, together = CASES[formula]
    est = hr.Model(formula, hr.load_dataset(name) if name else sleep_without()).estimate()
    expected = np.array(each)
    simple, adjusted = hr.t_tests(est), hr.t_tests(est, df="kenward-roger")
    np.testing.assert_allclose(simple["df"], expected[:, 0], rtol=5e-7)
    np.testing.assert_allclose(simple["se"], est.beta_se, rtol=1e-12)
    np.testing.assert_allclose(adjusted["se"], expected[:, 1], rtol=2e-7)
    np.testing.assert_allclose(adjusted["df"], expected[:, 2], rtol=1e-7)
    if together is None:
        return
    L = np.eye(len(each))[1:]
    for df, (F, m, p) in zip(("satterthwaite", "kenward-roger"), together, strict=True):
        report = hr.t_tests(est, L, df, joint=True)
        assert float(report["f_statistic"]) == pytest.approx(F, rel=1e-7)
        assert int(report["f_df_numerator"]) == len(L)
        assert float(report["f_df_denominator"]) == pytest.approx(m, rel=2e-7)
        assert float(report["f_p_value"]) == pytest.approx(p, rel=1e-5)


METHODS = pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])


@METHODS
def test_least_squares_has_rows_less_coefficients(df):
    table = trees.table()
    est = hr.Model("y ~ x + w", table).estimate()
    report = hr.t_tests(est, df=df, joint=True)
    np.testing.assert_allclose(report["df"], 33, rtol=1e-5)
    np.testing.assert_allclose(report["se"], est.beta_se, rtol=1e-9)
    fit = stats.linregress(table["x"], table["y"])
    one = hr.t_tests(hr.Model("y ~ x", table).estimate(), {"slope": {"x": 1}}, df, joint=True)
    assert float(one["p_value"][0]) == pytest.approx(fit.pvalue, rel=1e-5)
    assert float(one["f_statistic"]) == pytest.approx((fit.slope / fit.stderr) ** 2, rel=1e-8)
    low = fit.slope - stats.t.ppf(0.975, 34) * fit.stderr
    assert float(one["lower"][0]) == pytest.approx(low, rel=1e-6)


@METHODS
def test_two_variances_are_welch(df):
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 9), rng.normal(1, 4, 14)
    table = {"y": np.concatenate([a, b]), "kind": ["a"] * 9 + ["b"] * 14}
    est = hr.Model("y ~ kind", table, errors=hr.by("kind")).estimate()
    report = hr.t_tests(est, {"gap": {"kind[T.b]": 1}}, df)
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert float(report["statistic"][0]) == pytest.approx(welch.statistic, rel=1e-6)
    assert float(report["df"][0]) == pytest.approx(welch.df, rel=1e-5)
    assert float(report["p_value"][0]) == pytest.approx(welch.pvalue, rel=1e-4)


@METHODS
def test_pairs_with_any_covariance_are_the_paired_test(df):
    rng = np.random.default_rng(7)
    pairs = rng.multivariate_normal([0, 0.4], [[1, 0.7], [0.7, 2]], size=12)
    table = pd.DataFrame({"y": pairs.ravel(), "kind": ["a", "b"] * 12, "unit": np.repeat(np.arange(12), 2)})
    est = hr.Model("y ~ kind", table, errors=hr.correlated("kind", unit="unit")).estimate()
    report = hr.t_tests(est, {"gap": {"kind[T.b]": 1}}, df)
    paired = stats.ttest_rel(pairs[:, 1], pairs[:, 0])
    assert float(report["statistic"][0]) == pytest.approx(paired.statistic, rel=1e-6)
    assert float(report["df"][0]) == pytest.approx(11, rel=1e-5)


@METHODS
def test_exchangeable_errors_are_a_random_intercept(df):
    data = hr.load_dataset("orthodont")
    one = hr.Model("distance ~ age * Sex + (1 | Subject)", data).estimate()
    other = hr.Model("distance ~ age * Sex", data, errors=hr.exchangeable("Subject")).estimate()
    mine, expected = hr.t_tests(other, df=df), hr.t_tests(one, df=df)
    for name in ("se", "df", "p_value"):
        np.testing.assert_allclose(mine[name], expected[name], rtol=2e-5, err_msg=name)


def test_known_errors_leave_a_normal_distribution():
    est = hr.Model("y ~ x", trees.table(), errors=hr.known_se("se")).estimate()
    report = hr.t_tests(est, joint=True)
    assert np.all(np.isinf(report["df"]))
    np.testing.assert_allclose(report["p_value"], hr.summary(est)["p_value"], rtol=1e-9)
    assert np.isfinite(report["f_p_value"])


def test_a_variance_of_zero_is_held():
    est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")).estimate()
    assert float(hr.t_tests(est)["df"][0]) == pytest.approx(29, rel=1e-5)


def test_autoregressive_errors_and_fixed_values_have_the_first_only():
    data = hr.load_dataset("sleepstudy")
    est = hr.Model("Reaction ~ Days", data, errors=hr.ar1("Days", unit="Subject")).estimate()
    # Fewer than rows less coefficients, since neighbours tell the same.
    assert 10 < float(hr.t_tests(est)["df"][0]) < 178
    with pytest.raises(hr.exceptions.ModelError, match="not linear"):
        hr.t_tests(est, df="kenward-roger")
    held = hr.Priors(corr={"Subject": hr.Fixed([[1.0, 0.0], [0.0, 1.0]])})
    uncorrelated = hr.Model("Reaction ~ Days + (Days | Subject)", data, priors=held).estimate()
    with pytest.raises(hr.exceptions.ModelError, match="held fixed"):
        hr.t_tests(uncorrelated, df="kenward-roger")
    priors = hr.Priors(sd={"Subject": {"Intercept": hr.Fixed(30.0)}})
    fixed = hr.Model("Reaction ~ Days + (1 | Subject)", data, priors=priors).estimate()
    assert float(hr.t_tests(fixed)["df"][1]) > 100
    with pytest.raises(hr.exceptions.ModelError, match="held fixed"):
        hr.t_tests(fixed, df="kenward-roger")


def test_units_of_predictors_change_nothing():
    data = hr.load_dataset("sleepstudy")
    moved = data.assign(Days=2000 + 0.01 * data["Days"])
    for df in ("satterthwaite", "kenward-roger"):
        fits = [hr.Model("Reaction ~ Days + (1 | Subject)", table).estimate() for table in (data, moved)]
        one, other = (hr.t_tests(est, {"slope": {"Days": 1}}, df) for est in fits)
        np.testing.assert_allclose(one["df"], other["df"], rtol=1e-5)
        np.testing.assert_allclose(one["statistic"], other["statistic"], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda m: hr.t_tests(m.estimate("map")), "MAP"),
        (lambda m: hr.t_tests(trees.tree("by")), "DataTree"),
        (lambda m: hr.t_tests(m.estimate(), df="residual"), "'residual'"),
        (lambda m: hr.t_tests(m.estimate("ml"), df="kenward-roger"), "REML"),
        (lambda m: hr.t_tests(m.estimate(), {"z": {"z": 1}}), "'z'"),
        (lambda m: hr.t_tests(m.estimate(), {"j": {("a", "x"): 1}}), "coefficients of groups"),
        (lambda m: hr.t_tests(m.estimate(), {"none": {"x": 0}}), "'none'"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        make(trees.model("independent"))
