"""`hr.prior_check`: against closed forms, and what it finds absurd."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import ModelError, PriorError

FORMULA = "Reaction ~ Days + (Days | Subject)"
NARROW = hr.Priors(
    beta={"Intercept": hr.Normal(298, 50), "Days": hr.Normal(0, 0.1)},
    sd={"Subject": hr.HalfNormal(0.1)},
    error_sd=hr.HalfNormal(4),
)


@pytest.fixture(scope="module")
def sleep():
    return hr.load_dataset("sleepstudy")


def rows():
    rng = np.random.default_rng(2)
    n = 42
    out = pd.DataFrame(
        {"x": rng.normal(3, 2, n), "g": np.repeat([f"g{j}" for j in range(7)], 6), "t": np.arange(n) % 3}
    )
    out["d"] = np.where(np.arange(n) % 3 == 0, "a", "b")
    out["u"] = np.arange(n) // 3
    out["pair"], out["side"] = np.arange(n) // 2, np.where(np.arange(n) % 2 == 0, "l", "r")
    out["c"] = np.array(list("pqrst"))[rng.integers(0, 5, n)]
    out["se"] = rng.uniform(0.5, 1.5, n)
    out["y"] = 2 + 0.5 * out["x"] + rng.normal(0, 1, 7)[np.repeat(np.arange(7), 6)] + rng.normal(0, 1, n)
    return out


def one(report, name):
    """Return the draws of a quantity."""
    return report["draws"].sel(quantity=name).to_numpy()


def test_shares_and_weights_are_functions_of_the_same_draws(sleep):
    report = hr.prior_check(hr.Model("Reaction ~ Days + (1 | Subject)", sleep), draws=300, size=4)
    rho = one(report, "Subject[Intercept]")
    # With an intercept alone the weight of n rows is that of Spearman and Brown.
    np.testing.assert_allclose(one(report, "Subject[Intercept], weight"), 4 * rho / (1 + 3 * rho), rtol=1e-9)
    assert set(report["kind"].values.tolist()) == {"intraclass", "weight", "line", "response"}


def test_weights_of_fixed_variances_are_those_of_the_equations(sleep):
    Sigma = np.array([[600.0, 9.6], [9.6, 35.0]])
    priors = hr.Priors(
        sd={"Subject": {"Intercept": hr.Fixed(600.0**0.5), "Days": hr.Fixed(35.0**0.5)}},
        corr={"Subject": hr.Fixed([[1.0, 9.6 / 21000**0.5], [9.6 / 21000**0.5, 1.0]])},
        error_sd=hr.Fixed(25.0),
    )
    model = hr.Model(FORMULA, sleep, priors=priors)
    report = hr.prior_check(model, draws=100, size=10)
    # The people of the table have ten rows, alike: the variance of the slope given them, beta known.
    solution = model.solve(cov={"Subject": Sigma}, error_cov=625.0, beta_precision=1e12)
    left = solution.b_cov["Subject"].to_numpy()[3]
    assert one(report, "Subject[Days]")[0] == pytest.approx(1 - left[1, 1] / 35.0, rel=1e-6)
    z = np.array([1.0, 4.5])
    weight = 1 - z @ left @ z / (z @ Sigma @ z)
    np.testing.assert_allclose(one(report, "Subject[at the means], weight"), weight, rtol=1e-6)
    share = z @ Sigma @ z / (z @ Sigma @ z + 625)
    np.testing.assert_allclose(one(report, "Subject[at the means]"), share, rtol=1e-9)


def test_nothing_depends_on_the_zero_of_a_predictor(sleep):
    moved = sleep.assign(Days=sleep["Days"] + 1990)
    # An intercept 1990 days from the means keeps ten digits of sixteen, and fewer where a draw is nearly singular.
    reports = [hr.prior_check(hr.Model(FORMULA, data), draws=400) for data in (sleep, moved)]
    for name in ("Subject[at the means]", "Subject[at the means], weight", "Subject[Days]", "Reaction, sd"):
        np.testing.assert_allclose(one(reports[0], name), one(reports[1], name), rtol=1e-4)


def test_responses_are_those_of_prior_predictive(sleep):
    report = hr.prior_check(hr.Model(FORMULA, sleep), draws=4000, seed=3)
    made = hr.prior_predictive(hr.Model(FORMULA, sleep), draws=4000, seed=8)["prior_predictive"]["Reaction"].to_numpy()[
        0
    ]
    for name, values in (("sd", made.std(axis=1)), ("largest", made.max(axis=1)), ("mean", made.mean(axis=1))):
        found = one(report, f"Reaction, {name}")
        for q in (0.2, 0.5, 0.8):
            # Standard error of a quantile of 4,000 draws: at most 0.008 in probability.
            assert np.mean(found < np.quantile(values, q)) == pytest.approx(q, abs=0.04)
    assert float(report["observed"].sel(quantity="Reaction, largest")) == sleep["Reaction"].max()


@pytest.mark.parametrize(
    ("priors", "words", "instead"),
    [
        (NARROW, "Reaction, sd: observed 56.17, above", "error_sd=hr.HalfNormal(60)"),
        (hr.Priors(sd={"Subject": hr.HalfNormal(1e5)}), "groups are hardly shrunk", 'sd={"Subject": {"Days": hr.HalfN'),
        (
            hr.Priors(sd={"Subject": hr.HalfNormal(1e-3)}),
            "that groups do not differ",
            'sd={"Subject": {"Intercept": hr',
        ),
        (hr.Priors(error_sd=hr.HalfNormal(0.1)), "hardly shrunk", "error_sd=hr.HalfNormal(60)"),
        (hr.Priors(error_sd=hr.HalfNormal(1e5)), "that groups do not differ", "error_sd=hr.HalfNormal(60)"),
        (
            hr.Priors(beta={"Days": hr.Normal(0, 1e4)}),
            "range over more than 10 times",
            'beta={"Days": hr.Normal(0, 50)}',
        ),
        (hr.Priors(beta=hr.Normal(0, 1)), "Reaction, mean: observed 298.5, above", "'Intercept'"),
        (hr.Priors(corr={"Subject": hr.LKJ(0.05)}), "above 0.99 or below -0.99", 'corr={"Subject": hr.LKJ(2)}'),
    ],
)
def test_what_is_absurd_is_said_with_what_to_write_instead(priors, words, instead, sleep):
    report = hr.prior_check(hr.Model(FORMULA, sleep, priors=priors))
    assert words in report.attrs["note"]
    assert instead in report.attrs["note"]
    assert words in " ".join(report["verdict"].values.tolist())
    assert report.attrs["n_absurd"] > 0


def test_advice_is_taken(sleep):
    """What is written in place of an absurd prior is no longer absurd."""
    taken = hr.Priors(sd={"Subject": {"Intercept": hr.HalfNormal(60), "Days": hr.HalfNormal(10)}})
    taken_error = hr.Priors(error_sd=hr.HalfNormal(60), beta={"Days": hr.Normal(0, 50)})
    for priors in (taken, taken_error):
        assert hr.prior_check(hr.Model(FORMULA, sleep, priors=priors)).attrs["n_absurd"] == 0


@pytest.mark.parametrize(
    ("formula", "dataset", "arguments"),
    [
        (FORMULA, "sleepstudy", {}),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", {}),
        ("MathAch ~ SES * Sector + (SES | School)", "math_achieve", {}),
        ("distance ~ age11 * Sex + (age11 | Subject)", "orthodont", {"errors": hr.by("Sex")}),
        ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", {"family": hr.Binomial()}),
    ],
)
def test_defaults_are_not_absurd(formula, dataset, arguments):
    report = hr.prior_check(hr.Model(formula, hr.load_dataset(dataset), **arguments), draws=500)
    assert report.attrs["n_absurd"] == 0


ERRORS = {
    "by": {"errors": hr.by("d")},
    "correlated": {"errors": hr.correlated("side", unit="pair")},
    "exchangeable": {"errors": hr.exchangeable("u")},
    "ar1": {"errors": hr.ar1("t", unit="u")},
    "known_se": {"errors": hr.known_se("se")},
    "weights": {"weights": "se"},
    "known_cov": {"errors": hr.known_cov(np.diag(np.linspace(0.5, 2.0, 42)), scale=True)},
    "heavy tails": {"effects": {"g": hr.StudentT()}},
    "mixture": {"effects": {"g": hr.Mixture(2)}},
}


@pytest.mark.long
@pytest.mark.parametrize("kind", ERRORS)
def test_every_structure(kind, tmp_path):
    model = hr.Model("y ~ x + (x | g)", rows(), **ERRORS[kind])
    report = hr.prior_check(model, draws=300)
    names = report["quantity"].values.tolist()
    assert len(set(names)) == len(names)
    assert {"intraclass", "weight", "response"} <= set(report["kind"].values.tolist())
    assert any(name.startswith("error_corr") for name in names) == (kind in {"correlated", "exchangeable", "ar1"})
    of = {name: one(report, name) for name in names}
    assert all(np.all((of[name] >= 0) & (of[name] <= 1)) for name in names if name.startswith("g["))
    assert report.attrs["n_absurd"] == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = model.sample(draws=20, chains=2, seed=1, progress=False)
    again = hr.prior_check(hr.load(hr.save(tree, tmp_path / "fit.nc")), draws=300)
    np.testing.assert_allclose(again["draws"], report["draws"])


def test_families():
    table = rows().assign(n=np.random.default_rng(1).poisson(4, 42), success=np.arange(42) % 2)
    sure = hr.Priors(beta={"Intercept": hr.Normal(0, 50)})
    report = hr.prior_check(hr.Model("success ~ x + (1 | g)", table, family=hr.Bernoulli(), priors=sure))
    assert "most rows have a probability that is nearly zero or one" in report.attrs["note"]
    assert 'beta={"Intercept": hr.Normal(0, 2)}' in report.attrs["note"]
    wide = hr.Priors(sd={"g": hr.HalfNormal(30)})
    report = hr.prior_check(hr.Model("n ~ x + (1 | g)", table, family=hr.Poisson(), priors=wide))
    assert "responses range over more than 10 times" in report.attrs["note"]
    assert 'sd={"g": {"Intercept": hr.HalfNormal(1)}}' in report.attrs["note"]
    assert "Intraclass correlations and weights of family=Poisson" in report.attrs["note"]
    ranks = table.assign(rank=np.digitize(table["y"], [2.0, 4.0]))
    report = hr.prior_check(hr.Model("rank ~ x + (1 | g)", ranks, family=hr.Cumulative()), draws=200)
    assert float(report["median"].sel(quantity="rank, largest")) <= 2


def test_answers_half_of_which_are_yes_are_as_spread_as_any():
    """The spread of zeros and ones follows from their mean, and is nowhere beyond what a prior says."""
    table = rows().assign(success=np.arange(42) % 2)
    report = hr.prior_check(hr.Model("success ~ x + (1 | g)", table, family=hr.Bernoulli()))
    assert float(report["observed"].sel(quantity="success, sd")) == 0.5
    assert report.attrs["n_absurd"] == 0


@pytest.mark.parametrize("level", [1.0, 300.0])
def test_advice_about_a_default_is_another_prior_and_is_taken(level):
    table = rows().assign(n=np.random.default_rng(1).poisson(level, 42))
    priors, advised = {}, r'hr\.Priors\(beta=\{"(\w+)": hr\.Normal\((\S+), (\S+)\)\}\)'
    for _ in range(9):
        given = {"priors": hr.Priors(beta=priors, sd={"g": hr.HalfNormal(0.2)})}
        note = hr.prior_check(hr.Model("n ~ x + (1 | g)", table, family=hr.Poisson(), **given)).attrs["note"]
        found = re.search(advised, note)
        if found is None:
            break
        assert ("The default prior of" in note) == (found[1] not in priors)
        assert "for the default" not in note
        priors[found[1]] = hr.Normal(float(found[2]), float(found[3]))
    assert priors
    assert "of the draws" not in note


def test_several_factors_no_factor_and_odd_names():
    table = rows().rename(columns={"y": "the response", "g": "a group (1)", "x": "x/1"})
    formula = "`the response` ~ `x/1` + (1 | `a group (1)`) + (1 | c)"
    report = hr.prior_check(hr.Model(formula, table), draws=200)
    assert {"a group (1)[Intercept]", "c[Intercept]"} <= set(report["quantity"].values.tolist())
    total = one(report, "a group (1)[Intercept]") + one(report, "c[Intercept]")
    assert np.all(total < 1)
    report = hr.prior_check(hr.Model("`the response` ~ `x/1`", table), draws=200)
    assert set(report["kind"].values.tolist()) == {"line", "response"}


def test_rows_are_thinned_and_said():
    rng = np.random.default_rng(1)
    n = 60_000
    table = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": rng.integers(0, 50, n)})
    report = hr.prior_check(hr.Model("y ~ x + (1 | g)", table), draws=100)
    assert "every 3-th row" in report.attrs["note"]
    assert float(report["observed"].sel(quantity="y, largest")) == table["y"].to_numpy()[::3].max()


@pytest.mark.parametrize(
    ("arguments", "how", "error", "words"),
    [
        ({"priors": hr.Priors(beta=hr.Flat())}, {}, PriorError, "Flat"),
        ({}, {"draws": 10}, ModelError, "draws"),
        ({}, {"size": 0}, ModelError, "size"),
        ({}, {"ci_prob": 2}, ModelError, "ci_prob"),
    ],
)
def test_what_is_refused(arguments, how, error, words, sleep):
    with pytest.raises(error, match=words):
        hr.prior_check(hr.Model(FORMULA, sleep, **arguments), **how)
    with pytest.raises(ModelError, match="statistics alone"):
        hr.prior_check(hr.Model.from_gram(hr.Gram.from_batches([sleep], FORMULA)))


def test_a_model_without_population_coefficients():
    report = hr.prior_check(hr.Model("y ~ 0 + (1 | g)", rows()), draws=100)
    assert np.isfinite(report["median"]).all()
