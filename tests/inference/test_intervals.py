"""`hr.intervals`: confint of lme4, closed forms, and the likelihood-ratio tests that profiles invert."""

import numpy as np
import pytest
from scipy import optimize, stats

import hierreg as hr
from tests.helpers import report_trees as trees

# lme4 1.1-31 (tests/reference/scripts/after_fit.R, section profile): confint(profile(lmer(..., REML = FALSE), maxpts =
# 400, delta.cutoff = 1/32)), which interpolates the profile by splines.
CONFINT = {
    ("dyestuff", "Yield ~ 1 + (1 | Batch)"): {
        "beta[Intercept]": (1486.45148787, 1568.54851213),
        "sd_Batch[Intercept]": (12.1966150784, 84.0634075481),
        "error_sd": (38.2301233, 67.6576726466),
    },
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)"): {
        "beta[Intercept]": (237.680690144, 265.129519553),
        "beta[Days]": (7.3586520492, 13.57591987),
        "sd_Subject[Intercept]": (14.3813845293, 37.7160546458),
        "sd_Subject[Days]": (3.80117728373, 8.7533919091),
        "corr_Subject[Days, Intercept]": (-0.481492569993, 0.685018960007),
        "error_sd": (22.8982565146, 28.8579992076),
    },
    ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"): {
        "beta[Intercept]": (21.2666083808, 24.6778360638),
        "sd_plate[Intercept]": (0.63356518659, 1.18210332892),
        "sd_sample[Intercept]": (1.09583146344, 3.55632237788),
        "error_sd": (0.485845559374, 0.629453426525),
    },
    ("dyestuff2", "Yield ~ 1 + (1 | Batch)"): {
        "beta[Intercept]": (4.31284180281, 7.01835820675),
        "sd_Batch[Intercept]": (0, 2.08404785139),
        "error_sd": (2.89284504176, 4.81583029963),
    },
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.slow) if case[0] in {"dyestuff", "penicillin"} else case for case in CONFINT],
)
def test_profiles_are_those_of_lme4(case):
    report = hr.intervals(hr.Model(case[1], hr.load_dataset(case[0])).estimate("ml"))
    assert report["parameter"].values.tolist() == list(CONFINT[case])
    for name, (lower, upper) in CONFINT[case].items():
        own = report.sel(parameter=name)
        width = upper - lower
        assert float(own["lower"]) == pytest.approx(lower, abs=2e-6 * width)
        assert float(own["upper"]) == pytest.approx(upper, abs=2e-6 * width)


def test_a_correlation_at_its_end_is_profiled_from_there():
    """lme4 1.1-31, the same call for MathAch ~ SES * Sector + (SES | School), a singular fit (after_fit.R singular)."""
    formula, data = "MathAch ~ SES * Sector + (SES | School)", hr.load_dataset("math_achieve")
    est = hr.Model(formula, data).estimate("ml")
    report = hr.intervals(est, ["sd_School[SES]", "corr_School[SES, Intercept]"])
    np.testing.assert_allclose(report["upper"], [0.669380299142, 1], rtol=1e-5)
    # Here the splines of R have an error of 2.4e-4: the criterion says which is right.
    np.testing.assert_allclose(report["lower"], [0.0337301299969, 0.156634929246], atol=3e-4)
    rho = float(report["lower"][1])
    held = hr.Priors(corr={"School": hr.Fixed([[1.0, rho], [rho, 1.0]])})
    there = hr.Model(formula, data, priors=held).estimate("ml")
    assert there.criterion - est.criterion == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-5)


def test_least_squares_in_closed_form():
    """The profile of beta is n log(1 + t^2 / (n - p)), that of sigma n (s^2/v - 1 - log(s^2/v))."""
    table = trees.table()
    est = hr.Model("y ~ x", table).estimate("ml")
    report = hr.intervals(est, ci_prob=0.9)
    q, n = stats.chi2.ppf(0.9, 1), 36
    fit = stats.linregress(table["x"], table["y"])
    half = np.sqrt((np.exp(q / n) - 1) * (n - 2)) * fit.stderr
    np.testing.assert_allclose(report.sel(parameter="beta[x]")["upper"], fit.slope + half, rtol=1e-6)
    s = float(est.error_sd)
    root = optimize.brentq(lambda v: n * ((s / v) ** 2 - 1 - 2 * np.log(s / v)) - q, s, 3 * s)
    np.testing.assert_allclose(report.sel(parameter="error_sd")["upper"], root, rtol=1e-6)


def test_restricted_profiles_of_variances():
    """Least squares under REML: as ML with n - p rows."""
    table = trees.table()
    est = hr.Model("y ~ x", table).estimate()
    report = hr.intervals(est)
    assert report["parameter"].values.tolist() == ["error_sd"]
    assert "hr.t_tests" in str(report)
    s, q = float(est.error_sd), stats.chi2.ppf(0.95, 1)
    root = optimize.brentq(lambda v: 34 * ((s / v) ** 2 - 1 - 2 * np.log(s / v)) - q, 0.3 * s, s)
    np.testing.assert_allclose(report["lower"][0], root, rtol=1e-6)


@pytest.mark.parametrize("errors", [hr.by("set"), hr.exchangeable("unit")])
def test_ends_are_where_the_ratio_is_the_quantile(errors):
    model = hr.Model("y ~ x + (1 | g)", trees.table(), errors=errors)
    est = model.estimate("ml")
    names = [name for name in hr.summary(est)["parameter"].values if name.startswith("error_")]
    report = hr.intervals(est, names[-1])
    value = float(report["upper"][0])
    key = "error_corr" if names[-1].startswith("error_corr") else "error_sd"
    held = (
        {names[-1].removeprefix("error_sd[").removesuffix("]"): hr.Fixed(value)}
        if "[" in names[-1]
        else hr.Fixed(value)
    )
    there = hr.Model("y ~ x + (1 | g)", trees.table(), errors=errors, priors=hr.Priors(**{key: held})).estimate("ml")
    assert there.criterion - est.criterion == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-4)


def test_wald_is_that_of_the_summary():
    est = trees.model("correlated").estimate()
    report, expected = hr.intervals(est, method="wald"), hr.summary(est)
    for name in ("lower", "upper"):
        np.testing.assert_array_equal(report[name], expected[name])
    one = hr.intervals(est, "beta[x]", "wald", 0.5)
    assert one.sizes["parameter"] == 1
    assert float(one["upper"][0] - one["lower"][0]) == pytest.approx(2 * 0.6744897501960817 * float(est.beta_se[1]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: hr.intervals(m.estimate("map")), "MAP"),
        (lambda m: hr.intervals(m.estimate(), "beta[x]"), "no population coefficients"),
        (lambda m: hr.intervals(m.estimate("ml"), "beta[z]"), "beta\\[z\\]"),
        (lambda m: hr.intervals(m.estimate("ml"), method="bootstrap"), "'bootstrap'"),
        (lambda m: hr.intervals(trees.tree("by")), "DataTree"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        call(trees.model("independent"))
