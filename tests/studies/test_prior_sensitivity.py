"""hr.sensitivity: against closed forms, ArviZ, refits, and in every kind of model."""

import warnings

import arviz_stats as azs
import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats
from scipy import stats

import hierreg as hr
from hierreg.exceptions import ConvergenceWarning, ModelError, PriorError
from hierreg.predictive.power_scaling import Powers, powered_posteriors
from hierreg.studies.prior_sensitivity import scaling, verdicts
from hierreg.studies.prior_sensitivity.measures import distance, moments_of, overlap, quartile_spread, smoothed
from hierreg.studies.prior_sensitivity.quantities import read_quantities
from hierreg.studies.prior_sensitivity.scaled import POWERS
from hierreg.studies.prior_sensitivity.verdicts import Evidence, in_words, verdict

SLEEP = "Reaction ~ Days + (Days | Subject)"


def quietly(function, *arguments, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        return function(*arguments, **named)


def sampled(model, draws=250, seed=1, **how):
    return quietly(model.sample, draws=draws, seed=seed, progress=False, **({"method": "psis"} | how))


@pytest.fixture(scope="module")
def sleep():
    return hr.Model(SLEEP, hr.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def tree(sleep):
    return sampled(sleep, draws=1000)


@pytest.fixture(scope="module")
def found(tree):
    return hr.sensitivity(tree)


def dyestuff(**priors):
    return hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"), priors=hr.Priors(**priors))


# Numbers


def test_distances_are_arviz():
    rng = np.random.default_rng(0)
    x = rng.gamma(3, size=800)
    low, high = (smoothed(power * (0.4 * x - 0.1 * x**2)).weight for power in (-0.2, 0.25))
    expected = array_stats.power_scale_sense(*(one.reshape(4, 200) for one in (x, low, high)), 0.8, 1.25)
    mine = 0.5 * (distance(x, x, low) / -np.log2(0.8) + distance(x, x, high) / np.log2(1.25))
    assert mine == pytest.approx(float(expected), rel=1e-10)
    # Of other draws at the same places it is the same, in whatever order.
    order = rng.permutation(len(x))
    assert distance(x, x[order], high[order]) == pytest.approx(distance(x, x, high), rel=1e-10)
    assert distance(x, x.copy(), np.full(len(x), 1 / len(x))) < 1e-7
    assert distance(np.ones(5), np.ones(5), np.full(5, 0.2)) == 0.0


def test_overlap_of_normals():
    u = (np.arange(4000) + 0.5) / 4000
    for shift, scale in ((0.0, 1.0), (1.3, 1.0), (0.0, 2.5), (9.0, 1.0)):
        x, y = stats.norm.ppf(u), stats.norm.ppf(u) * scale + shift
        grid = np.linspace(-20, 20, 200_001)
        exact = np.trapezoid(np.minimum(stats.norm.pdf(grid), stats.norm.pdf(grid, shift, scale)), grid)
        assert overlap(x, y) == pytest.approx(exact, abs=2e-3)
        assert overlap(y, x) == pytest.approx(overlap(x, y), abs=1e-9)
        assert quartile_spread(y) == pytest.approx(scale, rel=1e-3)


def test_weighted_moments():
    rng = np.random.default_rng(1)
    x, copies = rng.normal(size=400), rng.integers(0, 5, 400)
    repeated = np.repeat(x, copies)
    mean, sd, lower, upper = moments_of(x, copies / copies.sum(), 0.9)
    assert (mean, sd) == pytest.approx((repeated.mean(), repeated.std()))
    assert (lower, upper) == pytest.approx(np.quantile(repeated, [0.05, 0.95]), abs=0.06)


def test_weights_raise_what_has_a_larger_ratio():
    ratio = np.linspace(-1, 1, 200)
    assert np.corrcoef(smoothed(ratio).weight, np.exp(ratio))[0, 1] > 0.999
    constant = smoothed(np.full(50, 3.0))
    assert np.ptp(constant.weight) == 0
    assert np.isnan(constant.pareto_k)


# One fit


def test_a_mean_of_normals_is_a_closed_form():
    """Known errors: a normal posterior, whose precision under powers is a (prior's) + c (data's)."""
    y, se, m0, s0 = np.array([4.0, 6.5, 5.2]), 2.0, 0.0, 1.5
    table = pd.DataFrame({"y": y, "se": se})
    model = hr.Model("y ~ 1", table, errors=hr.known_se("se"), priors=hr.Priors(beta=hr.Normal(m0, s0)))
    report = hr.sensitivity(sampled(model, draws=2500)).sel(quantity="beta[Intercept]")
    prior, data = s0**-2, len(y) / se**2

    def closed(a, c):
        return (a * prior * m0 + c * data * y.mean()) / (a * prior + c * data), (a * prior + c * data) ** -0.5

    mean, sd = closed(1, 1)
    for c, component in enumerate(("prior", "likelihood")):
        for a, alpha in enumerate((0.8, 1.0, 1.25)):
            exact = closed(*((alpha, 1) if component == "prior" else (1, alpha)))
            assert float(report["mean_at"][c, a]) == pytest.approx(exact[0], abs=4 * sd / 100)
            assert float(report["sd_at"][c, a]) == pytest.approx(exact[1], rel=4 / np.sqrt(2 * 10_000))
    doublings = np.log2(POWERS[1] / POWERS[0])
    moved = (closed(1.25, 1)[0] - closed(0.8, 1)[0]) / sd / doublings
    assert float(report["moved_by_prior"]) == pytest.approx(moved, abs=0.02)
    # What the prior gains the data lose.
    assert float(report["moved_by_likelihood"]) == pytest.approx(-moved, abs=0.05)
    assert float(report["contraction"]) == pytest.approx(1 - sd**2 / s0**2, abs=0.03)
    grid = np.linspace(-15, 20, 100_001)
    shared = np.trapezoid(np.minimum(stats.norm.pdf(grid, mean, sd), stats.norm.pdf(grid, m0, s0)), grid)
    assert float(report["overlap"]) == pytest.approx(shared, abs=0.03)
    rates = []
    for alpha in POWERS:
        other, width = closed(alpha, 1)
        quantiles = (np.arange(20_000) + 0.5) / 20_000
        x, z = stats.norm.ppf(quantiles, mean, sd), stats.norm.ppf(quantiles, other, width)
        rates.append(distance(x, z, np.full(20_000, 1 / 20_000)) / abs(np.log2(alpha)))
    assert float(report["prior"]) == pytest.approx(np.mean(rates), rel=0.1)
    assert str(report["verdict"].to_numpy()) == "prior and data disagree"


def test_usual_weights_say_the_same_where_groups_are_few(tree, found):
    with_both = hr.log_likelihood(hr.log_prior(tree), joint=True)
    names = ["sd_Subject", "corr_Subject", "error_sd", "beta"]
    usual = quietly(azs.psense_summary, with_both, var_names=names, alphas=POWERS)
    mine = hr.sensitivity(tree, names, likelihood="conditional")
    for name in mine["quantity"].to_numpy():
        here = mine.sel(quantity=name)
        # Powers of p(y | beta, b) at drawn coefficients are noise beside what they say of one of them.
        assert float(here["prior"]) == pytest.approx(usual.loc[name, "prior"], abs=0.012)
        assert float(here["likelihood"]) == pytest.approx(usual.loc[name, "likelihood"], abs=0.05)
    assert found.sizes["quantity"] == len(usual)


def test_what_is_read_of_sleepstudy(found):
    by_name = dict(zip(found["quantity"].values.tolist(), found["verdict"].values.tolist(), strict=True))
    assert by_name["corr_Subject[Days, Intercept]"] == "prior and data both count"
    assert {said for name, said in by_name.items() if not name.startswith("corr")} == {"determined by the data"}
    parts = found["by_prior"].sel(quantity="corr_Subject[Days, Intercept]").to_series()
    assert parts.idxmax() == "corr_Subject"
    text = str(found)
    assert "corr_Subject[Days, Intercept] prior and data both count" in text
    assert "eta={'corr_Subject': [1, 2, 4]}" in text
    assert found["pareto_k"].max() < 0.5


def test_a_narrow_prior_disagrees_and_a_wide_one_does_not():
    said = {}
    for width in (8.0, 400.0):
        report = hr.sensitivity(dyestuff(sd={"Batch": hr.HalfNormal(width)}), ["sd_Batch"], seed=1)
        said[width] = str(report["verdict"].to_numpy()[0])
        assert float(report["moved_by_prior"][0]) < 0
    assert said == {8.0: "prior and data disagree", 400.0: "determined by the data"}


def test_a_uniform_prior_that_is_all_there_is_rests_on_itself():
    """Powers of LKJ(1) are LKJ(1): contraction shows what powers cannot."""
    people = hr.load_dataset("sleepstudy")
    two = people[people["Subject"].isin(people["Subject"].unique()[:2])]
    model = hr.Model(SLEEP, two, priors=hr.Priors(corr={"Subject": hr.LKJ(1)}, error_sd=hr.Fixed(400.0)))
    report = quietly(hr.sensitivity, model, ["corr_Subject"], seed=2)
    assert float(report["by_prior"].sel(part="corr_Subject")[0]) < 1e-6
    assert float(report["prior"][0]) < 0.05
    assert abs(float(report["contraction"][0])) < 0.1
    assert report["verdict"].to_numpy()[0] == "rests on the prior"


def test_flat_and_fixed_and_heavy_priors():
    model = dyestuff(beta=hr.Flat(), sd={"Batch": hr.HalfCauchy(40)}, error_sd=hr.Fixed(50.0))
    report = hr.sensitivity(model, seed=1)
    assert report["quantity"].values.tolist() == ["beta[Intercept]", "sd_Batch[Intercept]"]
    assert "Flat priors have no powers" in report.attrs["note"]
    assert "left out: error_sd" in report.attrs["note"]
    flat, heavy = (report.sel(quantity=name) for name in report["quantity"].to_numpy())
    assert (float(flat["contraction"]), float(flat["overlap"]), float(flat["prior_sd"])) == (1.0, 0.0, np.inf)
    assert float(heavy["prior_sd"]) == np.inf
    # Of quartiles: those of a half-Cauchy are its scale times tan(pi / 8) and tan(3 pi / 8).
    spread = 40 * (np.tan(3 * np.pi / 8) - np.tan(np.pi / 8)) / 1.349
    own = hr.sensitivity(model, {"s": "sd_Batch"}, seed=1)
    assert float(own["contraction"][0]) == pytest.approx(1 - (float(heavy["sd"]) / spread) ** 2, abs=0.12)


def test_contrasts_functions_and_names_are_quantities(tree, found):
    quantities = {
        "day 5": {"Intercept": 1, "Days": 5},
        "308": {("308", "Days"): 1},
        "share": lambda p: p["sd_Subject"][..., 0] ** 2 / (p["sd_Subject"][..., 0] ** 2 + p["error_sd"] ** 2),
        "ratio": lambda p: p["error_sd"].to_numpy() / 20,
        "sds": "sd_Subject",
        "one": "sd_Subject[Days]",
    }
    report = hr.sensitivity(tree, quantities)
    assert report["quantity"].values.tolist() == [
        "day 5", "308", "share", "ratio", "sds[Intercept]", "sds[Days]", "one"
    ]  # fmt: skip
    as_named = found.sel(quantity=["sd_Subject[Intercept]", "sd_Subject[Days]", "sd_Subject[Days]", "error_sd"])
    mine = report.sel(quantity=["sds[Intercept]", "sds[Days]", "one", "ratio"])
    for name in ("prior", "likelihood", "moved_by_prior", "moved_by_likelihood", "contraction"):
        np.testing.assert_allclose(mine[name], as_named[name], rtol=1e-6)
    exact = hr.contrasts(tree, {"day 5": {"Intercept": 1, "Days": 5}})
    assert float(report["mean"][0]) == pytest.approx(float(exact["mean"][0]), abs=4 * float(exact["mcse"][0]) * 1.5)


def test_what_is_not_finite_under_the_prior_has_no_contraction():
    quantities = {
        "bounded": lambda p: np.where(p["sd_Batch"][..., 0] > 500, np.inf, p["sd_Batch"][..., 0]),
        "constant": lambda p: 0 * p["error_sd"] + 1,
    }
    report = hr.sensitivity(dyestuff(), quantities, seed=1)
    assert report["quantity"].values.tolist() == ["bounded"]
    assert "left out: constant" in report.attrs["note"]
    assert np.isnan(report["contraction"]).all()
    assert np.isnan(report["overlap"]).all()
    assert np.isfinite(report["prior"]).all()


@pytest.mark.long
def test_saved_trees_statistics_alone_and_summaries_say_the_same(sleep, tmp_path):
    short = sampled(sleep)
    expected = hr.sensitivity(short)
    path = tmp_path / "fit.nc"
    hr.save(short, path)
    without_rows = sampled(hr.Model.from_gram(sleep.gram))
    others = [hr.load(path), without_rows, sampled(sleep, group_effects="summary")]
    for other in others:
        report = hr.sensitivity(other)
        for name in ("prior", "likelihood", "contraction", "by_prior", "mean_at"):
            np.testing.assert_allclose(report[name], expected[name], rtol=1e-7, atol=1e-9)
    assert hr.sensitivity(others[2], {"308": {("308", "Days"): 1}}).sizes["quantity"] == 1
    assert hr.sensitivity(short, model=sleep).equals(expected)


def test_crossed_factors_and_odd_names():
    assay = hr.load_dataset("penicillin").rename(columns={"sample": "the sample (no)"})
    model = hr.Model("diameter ~ 1 + (1 | plate) + (1 | `the sample (no)`)", assay)
    report = hr.sensitivity(sampled(model, draws=100))
    assert set(report["part"].to_numpy()) == {"beta", "sd_plate", "sd_the sample (no)", "error_sd"}
    grid = hr.sensitivity(model, ["error_sd"], scales={"sd_the sample (no)": [0.5]}, draws=50, seed=1)
    assert grid["prior"].values.tolist() == ["as given", "sd_the sample (no) x 0.5"]


def test_a_factor_with_a_slash_is_called_as_its_variable():
    table = hr.load_dataset("dyestuff").rename(columns={"Batch": "lot/batch"})
    model = hr.Model("Yield ~ 1 + (1 | `lot/batch`)", table)
    report = hr.sensitivity(model, seed=1)
    assert "sd_lot per batch" in report["part"].to_numpy()
    grid = hr.sensitivity(model, ["sd_lot per batch"], scales={"sd_lot per batch": [0.2]}, draws=50, seed=1)
    assert float(grid["moved"][0, 1]) < -0.2


@pytest.mark.long
def test_families_and_effects_have_the_weights_that_there_are(sleep):
    herds = hr.load_dataset("cbpp")
    counts = hr.Model("cbind(incidence, size - incidence) ~ 1 + (1 | herd)", herds, family=hr.Binomial())
    heavy = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"), effects={"Batch": hr.StudentT()})
    for model in (counts, heavy):
        short = sampled(model, draws=100, chains=2, method="nuts")
        report = hr.sensitivity(short)
        assert report.attrs["likelihood"] == "conditional"
        assert "more rows, not for more groups" in report.attrs["note"]
        prior = hr.log_prior(short)["log_prior"].to_dataset()
        total = sum(prior[one].sum([d for d in prior[one].dims if d not in {"chain", "draw"}]) for one in prior)
        rows = hr.log_likelihood(short, joint=True)["log_likelihood"]
        for component, density in (("prior", total), ("likelihood", next(iter(rows.data_vars.values())))):
            low, high = (smoothed((a - 1) * density.to_numpy().ravel()).weight.reshape(2, 100) for a in POWERS)
            x = short["posterior"]["beta"].to_numpy()[:, :, 0]
            expected = float(array_stats.power_scale_sense(x, low, high, *POWERS))
            assert float(report[component][0]) == pytest.approx(expected, rel=1e-8)


def test_weights_that_cannot_be_trusted_are_replaced_by_fits(tree, found, monkeypatch):
    monkeypatch.setattr(scaling, "K_LIMIT", -5.0)
    with pytest.warns(ConvergenceWarning, match=r"powers of the likelihood.*powers=\[0.5, 2\]"):
        report = hr.sensitivity(tree)
    assert "Powers of all priors are by fits under them" in report.attrs["note"]
    assert np.isnan(report["pareto_k"].sel(component="prior")).all()
    fitted, weighted = report["mean_at"].sel(component="prior"), found["mean_at"].sel(component="prior")
    se = found["sd"] / np.sqrt(4000 / 2)
    assert float(np.abs((fitted - weighted) / se).max()) < 4
    sure = report.sel(quantity="error_sd")
    assert str(sure["verdict"].to_numpy()) == "determined by the data"


def test_weights_that_no_fit_can_replace_are_said(monkeypatch):
    """A half-Cauchy prior to the power 0.4 is none."""
    from hierreg.studies.prior_sensitivity import scaled

    monkeypatch.setattr(scaling, "K_LIMIT", -5.0)
    monkeypatch.setattr(scaling, "POWERS", (0.4, 1.25))
    monkeypatch.setattr(scaled, "POWERS", (0.4, 1.25))
    with pytest.warns(ConvergenceWarning, match="powers of the prior and of the likelihood"):
        report = hr.sensitivity(dyestuff(sd=hr.HalfCauchy(30)), seed=1)
    assert set(report["verdict"].to_numpy()) == {"not known from these draws"}


def evidence(**changes):
    plain = {"prior": 0.01, "likelihood": 0.1, "noise": (0.0, 0.0), "moved_by_prior": -0.4, "moved_by_likelihood": 0.4}
    plain |= {"contraction": 0.8, "overlap": 0.3, "is_flat": False, "most": "sd_g", "name": "sd_g[x]"}
    return Evidence(**plain | changes)


@pytest.mark.parametrize(
    ("changes", "said", "remedy"),
    [
        ({}, verdicts.DATA, ""),
        ({"is_flat": True, "contraction": 1.0, "overlap": 0.0}, verdicts.DATA, ""),
        ({"contraction": 0.02, "overlap": 0.9}, verdicts.PRIOR, "Say what you know"),
        ({"contraction": 0.02, "overlap": 0.1}, verdicts.DATA, ""),
        ({"prior": 0.1}, verdicts.DISAGREE, "hr.prior_predictive"),
        ({"prior": 0.1, "moved_by_likelihood": 0.1}, verdicts.BOTH, "scales={'sd_g': [0.5, 1, 2]}"),
        ({"prior": 0.1, "moved_by_prior": 0.5}, verdicts.BOTH, "scales="),
        ({"prior": 0.1, "likelihood": 0.01, "contraction": 0.2}, verdicts.PRIOR, "several priors"),
        ({"prior": 0.1, "likelihood": 0.01, "contraction": 0.9}, verdicts.BOTH, "scales="),
        ({"prior": 0.1, "noise": (0.06, 0.0)}, verdicts.UNKNOWN, "take more draws"),
        ({"prior": 0.1, "noise": (0.0, 0.06), "contraction": 0.2}, verdicts.PRIOR, "several priors"),
        ({"weights_are_bad": (True, False)}, verdicts.UNKNOWN, "powers=[0.5, 2]"),
        ({"weights_are_bad": (False, True)}, verdicts.DATA, ""),
        ({"prior": 0.1, "weights_are_bad": (False, True)}, verdicts.UNKNOWN, "powers="),
        ({"prior": 0.1, "most": "corr_g", "moved_by_prior": 0.1}, verdicts.BOTH, "eta={'corr_g'"),
        ({"prior": 0.1, "most": "nu_g", "moved_by_prior": 0.1}, verdicts.BOTH, "powers=[0.5, 2]"),
    ],
)
def test_verdicts(changes, said, remedy):
    one = evidence(**changes)
    assert verdict(one) == said
    assert in_words(one, said) == "" if not remedy else remedy in in_words(one, said)
    assert verdict(evidence(prior=0.1), threshold=0.5) == verdicts.DATA


# Several fits


@pytest.mark.long
def test_each_fit_is_that_of_a_model_with_its_priors():
    """A grid takes scales, families, eta and priors for what they say: fits of models made with such priors agree."""
    own = {"sd": {"Batch": hr.HalfNormal(30.0)}, "error_sd": hr.Exponential(0.02), "beta": hr.Normal(1500.0, 40.0)}
    model = dyestuff(**own)
    grid = hr.sensitivity(
        model,
        scales={"sd_Batch": [0.5], "beta": [0.3]},
        families={"sd_Batch": [hr.HalfCauchy, hr.Gamma(2, 1)]},
        powers=[3.0],
        priors={"other": hr.Priors(sd=hr.HalfNormal(7.0))},
        seed=3,
        draws=600,
    )
    median = 30.0 * stats.norm.ppf(0.75)
    gamma = stats.gamma.ppf(0.5, 2)
    by_hand = {
        "as given": own,
        "sd_Batch x 0.5": own | {"sd": hr.HalfNormal(15.0)},
        "beta x 0.3": own | {"beta": hr.Normal(1500.0, 12.0)},
        "sd_Batch, HalfCauchy": own | {"sd": hr.HalfCauchy(median)},
        "sd_Batch, shape of Gamma(2, 1)": own | {"sd": hr.Gamma(2, gamma / median)},
        "all to the power 3": {
            "sd": hr.HalfNormal(30 / np.sqrt(3)),
            "error_sd": hr.Exponential(0.06),
            "beta": hr.Normal(1500.0, 40 / np.sqrt(3)),
        },
        "other": {"sd": hr.HalfNormal(7.0)},
    }
    assert grid["prior"].values.tolist() == list(by_hand)
    for name, priors in by_hand.items():
        summary = hr.summary(sampled(dyestuff(**priors), draws=600, seed=8)).to_pandas()
        here = grid.sel(prior=name)
        for quantity in grid["quantity"].to_numpy():
            row = summary[summary["parameter"] == quantity].iloc[0]
            se = np.hypot(float(here["mcse"].sel(quantity=quantity)), row["sd"] / np.sqrt(2400))
            assert float(here["mean"].sel(quantity=quantity)) == pytest.approx(row["mean"], abs=4.5 * se)
    np.testing.assert_allclose(grid["moved"].sel(prior="as given"), 0.0)
    assert set(grid["kind_of_prior"].to_numpy()) == {"as given", "scale", "family", "power", "priors"}


def test_eta_of_correlations(sleep):
    grid = hr.sensitivity(sleep, ["corr_Subject"], eta=[1, 2, 8], draws=500, seed=1)
    assert grid["prior"].values.tolist() == ["as given", "LKJ, eta 1", "LKJ, eta 2", "LKJ, eta 8"]
    assert grid["of"].values.tolist() == [""] * 4
    sd = grid["sd"].to_numpy()[0]
    assert sd[1] > sd[2] > sd[3]
    # Two is the default.
    np.testing.assert_allclose(grid["mean"][0, 0], grid["mean"][0, 2], rtol=1e-12)


def test_powers_of_priors_by_fits_and_by_weights():
    model = dyestuff(sd={"Batch": hr.HalfNormal(40.0)}, beta=hr.Normal(1500.0, 20.0))
    grid = hr.sensitivity(model, powers=list(POWERS), draws=1500, seed=4)
    report = hr.sensitivity(model, draws=1500, seed=5)
    for alpha in POWERS:
        fitted = grid.sel(prior=f"all to the power {alpha:g}")
        weighted = report.sel(component="prior", power=alpha)
        se = np.sqrt(2) * fitted["mcse"] * 1.2
        assert float(np.abs((fitted["mean"] - weighted["mean_at"]) / se).max()) < 4
        np.testing.assert_allclose(fitted["sd"], weighted["sd_at"], rtol=0.09)


def _firms():
    firms = hr.load_dataset("grunfeld")
    two = firms[firms["firm"].isin(["General Electric", "Westinghouse"])]
    errors = hr.correlated("firm", unit="year")
    priors = hr.Priors(error_corr=hr.LKJ(5), error_sd=hr.Exponential(0.05))
    return hr.Model("invest ~ 0 + firm + firm:value + firm:capital", two, errors=errors, priors=priors)


def _schools():
    y, se = [28.0, 8, -3, 7, -1, 1, 18, 12], [15.0, 10, 16, 11, 9, 11, 10, 18]
    table = pd.DataFrame({"y": y, "se": se, "school": list("ABCDEFGH")})
    priors = hr.Priors(beta=hr.Normal(0, 5), sd=hr.HalfNormal(10))
    return hr.Model("y ~ 1 + (1 | school)", table, errors=hr.known_se("se"), priors=priors)


def _of_sleep(formula, priors, **errors):
    return hr.Model(formula, hr.load_dataset("sleepstudy"), priors=priors, **errors)


DATA_SETS = {
    "sleepstudy": lambda: _of_sleep(SLEEP, hr.Priors(beta={"Days": hr.Normal(0, 5)})),
    "dyestuff": lambda: dyestuff(sd=hr.HalfCauchy(20), error_sd=hr.Gamma(3, 0.1), beta=hr.Normal(1500, 15)),
    "penicillin": lambda: hr.Model(
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        hr.load_dataset("penicillin"),
        priors=hr.Priors(sd={"sample": hr.LogNormal(0, 0.7), "plate": hr.InverseGamma(3, 2)}),
    ),
    "grunfeld": _firms,
    "eight schools": _schools,
    "autoregressive": lambda: _of_sleep(
        "Reaction ~ Days + (1 | Subject)",
        hr.Priors(error_corr=hr.LKJ(3)),
        errors=hr.ar1("Days", unit="Subject"),
    ),
    "exchangeable": lambda: _of_sleep(
        "Reaction ~ Days + (0 + Days | Subject)",
        hr.Priors(error_corr=hr.LKJ(15)),
        errors=hr.exchangeable("Subject"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA_SETS)
def test_weights_agree_with_refits(name):
    """Moments under powers of the priors, from the weights of one fit and from fits with those priors."""
    model = DATA_SETS[name]()
    alphas = (0.6, 1.7)
    tree = sampled(model, draws=2500)
    quantities = read_quantities(None, model.problem.labels)
    evaluate, names = quantities.recorder()
    _, powered = powered_posteriors(model.problem, tree, evaluate, Powers(alphas=alphas, seed=1, with_groups=False))
    grid = quietly(hr.sensitivity, model, powers=list(alphas), draws=2500, seed=7)
    moved = []
    for one in powered:
        if one.component != "prior":
            continue
        weight = smoothed(one.log_ratio[0]).weight
        fitted = grid.sel(prior=f"all to the power {one.alpha:g}")
        for place, quantity in enumerate(names):
            mean, sd, *_ = moments_of(one.values[:, place], weight, 0.95)
            here = fitted.sel(quantity=quantity)
            se = np.hypot(float(here["mcse"]), sd * np.sqrt(np.sum(weight**2)))
            assert mean == pytest.approx(float(here["mean"]), abs=4 * se)
            assert sd == pytest.approx(float(here["sd"]), rel=0.12)
            moved.append(abs(float(here["moved"])))
    # The powers do something to be agreed upon.
    assert max(moved) > 0.1


def test_grids_of_trees_statistics_families_and_effects(tree, sleep):
    own = {"wide": hr.Priors(sd=hr.HalfNormal(500.0))}
    of_tree = hr.sensitivity(tree, ["sd_Subject"], scales=[2], priors=own, draws=100)
    of_model = hr.sensitivity(sleep, ["sd_Subject"], scales=[2], priors=own, draws=100, seed=1)
    assert of_tree.equals(of_model)
    assert of_tree.equals(hr.sensitivity(tree, ["sd_Subject"], scales=[2], priors=own, draws=100))
    gram = hr.sensitivity(hr.Model.from_gram(sleep.gram), ["sd_Subject"], scales=[2], priors=own, draws=100, seed=1)
    np.testing.assert_allclose(gram["mean"], of_tree["mean"])
    heavy = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"), effects={"Batch": hr.StudentT()})
    herds = hr.Model("incidence ~ 1 + (1 | herd)", hr.load_dataset("cbpp"), family=hr.Poisson())
    for model, name, tiny in ((heavy, "scale_Batch", 1.0), (herds, "sd_herd", 1e-3)):
        grid = quietly(
            hr.sensitivity,
            model,
            [name],
            scales=[0.03],
            priors={"tiny": hr.Priors(sd=hr.HalfNormal(tiny))},
            draws=50,
            seed=1,
        )
        mean = grid["mean"].to_numpy()[0]
        # Of 200 draws, whose means under the narrower prior are 0.35 to 0.54 of herds, for 0.76.
        assert mean[0] > 1.3 * mean[1] > 0
        assert mean[2] < 2 * tiny


def test_warnings_and_errors_name_the_prior():
    with pytest.raises(PriorError, match=r"priors 'all to the power 0\.5': HalfCauchy\(20\)"):
        hr.sensitivity(dyestuff(sd={"Batch": hr.HalfCauchy(20)}), powers=[0.5], draws=20)
    with pytest.raises(PriorError, match=r"priors 'mine': sd names 'Bach'"):
        hr.sensitivity(dyestuff(), priors={"mine": hr.Priors(sd={"Bach": hr.HalfNormal(1)})}, draws=20)


NORMAL = hr.HalfNormal(1)
BAD = [
    ({"scales": []}, ModelError, "a list is required"),
    ({"scales": 2.0}, ModelError, "a list is required"),
    ({"scales": [0]}, ModelError, "scales has 0: positive numbers"),
    ({"scales": [True]}, ModelError, "scales has True: positive numbers"),
    ({"powers": [np.inf]}, ModelError, "powers has inf: positive numbers"),
    ({"eta": [2]}, ModelError, r"eta=\[2\]: the model has no prior"),
    ({"scales": {"sd_Bach": [2]}}, ModelError, "scales names 'sd_Bach'.*'sd_Batch'"),
    ({"scales": {"sd_Batch": "2"}}, ModelError, "a list is required"),
    ({"scales": [2, 2]}, ModelError, "same name: 'all scales x 2'"),
    ({"families": [hr.Normal]}, ModelError, "families has 'Normal'"),
    ({"families": [hr.Gamma]}, ModelError, "families has 'Gamma'.*hr.Gamma"),
    ({"families": ["HalfNormal"]}, ModelError, "families has 'HalfNormal'"),
    ({"priors": hr.Priors()}, PriorError, "{name: hr.Priors"),
    ({"priors": {"a": NORMAL}}, PriorError, "{name: hr.Priors"),
    ({"draws": 3}, ModelError, "draws"),
    ({"method": "hmc"}, ModelError, "method"),
    ({"seed": -1}, ModelError, "seed"),
    ({"threshold": 0}, ModelError, "threshold=0 must be a positive number"),
    ({"ci_prob": 95}, ModelError, "ci_prob=95"),
    ({"likelihood": "rows"}, ModelError, "likelihood"),
    ({"quantities": ["beta[x]"]}, ModelError, r"'beta\[x\]', which is none of 'beta\[Intercept\]'"),
    ({"quantities": ["nothing"]}, ModelError, "'nothing', which is none of"),
    ({"quantities": []}, ModelError, "quantities is empty"),
    ({"quantities": 3}, ModelError, "quantities=3: names of parameters"),
    ({"quantities": {"a": 3}}, ModelError, r"quantities\['a'\]=3: weights"),
    ({"quantities": {"a": lambda p: 1.0}}, ModelError, r"quantities\['a'\] returned 1.0"),
    ({"quantities": {"a": lambda p: p["error_sd"] * np.nan}}, ModelError, "finite numbers"),
    ({"quantities": {"a": {"nothing": 1}}}, ModelError, "names 'nothing'"),
    ({"quantities": {"error_sd": "sd_Batch[Intercept]", "a": "error_sd", "a ": "error_sd"}}, None, ""),
    ({"hdi_prob": 0.9}, hr.exceptions.ArgumentError, "ci_prob="),
]


@pytest.mark.parametrize(("arguments", "error", "words"), BAD)
def test_bad_arguments(arguments, error, words):
    model = dyestuff()
    arguments = {"draws": 20, "seed": 1} | arguments
    if error is None:
        assert hr.sensitivity(model, **arguments).sizes["quantity"] == 3
        return
    with pytest.raises(error, match=words):
        hr.sensitivity(model, **arguments)


def test_few_draws_are_refused():
    tree = sampled(dyestuff(), draws=10, chains=3)
    with pytest.raises(ModelError, match="the tree has 30 draws, from which"):
        hr.sensitivity(tree)


@pytest.mark.parametrize("x", [None, "tree", 3.0])
def test_what_is_asked_is_a_tree_or_a_model(x):
    with pytest.raises(ModelError, match=r"a DataTree from Model\.sample or hr\.load, or a Model, is required"):
        hr.sensitivity(x)


def test_an_estimate_has_no_posterior_and_other_models_do_not_match(sleep, tree):
    with pytest.raises(ModelError, match="an estimate has no posterior"):
        hr.sensitivity(sleep.estimate())
    with pytest.raises(ModelError, match="leave it out"):
        hr.sensitivity(sleep, model=sleep)
    other = hr.Model(SLEEP, hr.load_dataset("sleepstudy"), priors=hr.Priors(sd=hr.HalfNormal(3)))
    with pytest.raises(ModelError, match="another priors"):
        hr.sensitivity(tree, model=other)


# Figures


def test_figures(found, sleep):
    figure = hr.plots.sensitivity(found, ["error_sd", "sd_Subject[Days]"])
    assert [axis.get_xlabel() for axis in figure.axes] == [
        "error_sd (in units of Reaction)",
        "sd_Subject[Days]\n(change of Reaction per unit)",
    ]
    # Six densities: three powers of the priors above, three of the likelihood below.
    heights = [line.get_ydata() for line in figure.axes[0].lines if len(line.get_ydata()) > 2]
    assert [np.sign(np.sum(y)) for y in heights] == [1, 1, 1, -1, -1, -1]
    area = [abs(np.trapezoid(y, line.get_xdata())) for y, line in zip(heights, figure.axes[0].lines, strict=False)]
    np.testing.assert_allclose(area, 1.0, atol=0.03)
    grid = hr.sensitivity(sleep, ["sd_Subject"], scales={"sd_Subject": [0.2, 4]}, draws=50, seed=1)
    (one,) = hr.plots.sensitivity(grid, "sd_Subject[Days]").axes
    assert one.get_xlabel() == "factor of the scale of the prior of sd_Subject"
    line = next(line for line in one.lines if len(line.get_xdata()) == 3)
    np.testing.assert_allclose(line.get_xdata(), [0.2, 1, 4])
    np.testing.assert_allclose(line.get_ydata(), grid["mean"].to_numpy()[1][[1, 0, 2]])
    mixed = hr.sensitivity(sleep, ["error_sd"], scales=[0.2], eta=[1], draws=50, seed=1)
    (one,) = hr.plots.sensitivity(mixed).axes
    assert [label.get_text() for label in one.get_yticklabels()] == mixed["prior"].values.tolist()
    assert one.get_ylabel() == "prior"


def test_figures_refuse_in_words(found, tree):
    for x in (tree, found["prior"].to_dataset(), found.isel(quantity=0)):
        with pytest.raises(ModelError, match=r"what hr\.sensitivity returned"):
            hr.plots.sensitivity(x)
    with pytest.raises(ModelError, match="'x', which is none of"):
        hr.plots.sensitivity(found, "x")
    with pytest.raises(ModelError, match="quantities is empty"):
        hr.plots.sensitivity(found, [])


def test_a_model_without_population_coefficients():
    model = hr.Model("Yield ~ 0 + (1 | Batch)", hr.load_dataset("dyestuff"))
    report = hr.sensitivity(model.sample(draws=250, seed=1, method="psis", progress=False))
    assert report["quantity"].values.tolist() == ["sd_Batch[Intercept]", "error_sd"]
    assert np.isfinite(report["prior"]).all()
    assert np.isfinite(hr.r2(model.sample(draws=50, seed=1, method="psis", progress=False))["mean"]).all()
