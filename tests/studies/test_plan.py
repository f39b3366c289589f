"""`hr.design`: closed forms of balanced designs, drawn groups and rows, and what is refused."""

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hierreg as hr
from hierreg.exceptions import HierregError, ModelError, PriorError
from hierreg.problem.replaced import with_response
from hierreg.problem.resampled import drawn_rows, resampled
from tests.helpers import structures
from tests.problem.test_replaced import target

QUICK = {"cores": 1, "progress": False, "seed": 3}
SD_GROUP, SD_ERROR = 1.5, 2.0


@functools.cache
def one_way():
    """Return a balanced one-way layout whose variances are known."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"g": np.repeat(np.arange(7), 4), "y": rng.normal(size=28)})
    priors = hr.Priors(beta=hr.Flat(), sd={"g": hr.Fixed(SD_GROUP)}, error_sd=hr.Fixed(SD_ERROR))
    return hr.Model("y ~ 1 + (1 | g)", table, priors=priors)


AT = {"beta": {"Intercept": 1.0}, "sd": {"g": SD_GROUP}, "error_sd": SD_ERROR}
MEAN = {"mean": {"Intercept": 1}}


@pytest.mark.long
def test_one_way_layouts_are_those_of_the_closed_form():
    """Known variances: the posterior sd of the mean is sqrt((sd^2 + error_sd^2 / r) / J), and power is normal's."""
    n = 60
    plan = hr.design(one_way(), MEAN, groups=[3, 12], rows=[2, 9], at=AT, n=n, **QUICK)
    assert plan["study"].to_numpy().tolist() == [
        *("3 groups of 2 rows", "3 groups of 9 rows", "12 groups of 2 rows", "12 groups of 9 rows"),
    ]
    for i, (J, r) in enumerate([(3, 2), (3, 9), (12, 2), (12, 9)]):
        sd = np.sqrt((SD_GROUP**2 + SD_ERROR**2 / r) / J)
        # Each study has the sd of a thousand draws, whose relative error is 1 / sqrt(2000).
        assert float(plan["sd"][i, 0]) == pytest.approx(sd, rel=4 / np.sqrt(2000 * n) + 1e-3)
        power = stats.norm.cdf(1 / sd - 1.96) + stats.norm.cdf(-1 / sd - 1.96)
        assert float(plan["power"][i, 0]) == pytest.approx(power, abs=4 * np.sqrt(power * (1 - power) / n) + 0.01)
        assert float(plan["coverage"][i, 0]) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / n) + 0.005)
        weight = SD_GROUP**2 / (SD_GROUP**2 + SD_ERROR**2 / r)
        assert float(plan["reliability"][i, 0]) == pytest.approx(weight, rel=1e-10)


def test_a_posterior_without_draws_of_group_coefficients_is_enough():
    """Groups of simulated studies are new ones, so that those of the table do not matter."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"g": np.repeat(np.arange(7), 4), "y": rng.normal(size=28) + np.repeat(rng.normal(size=7), 4)})
    model = hr.Model("y ~ 1 + (1 | g)", table)
    options = {"draws": 50, "seed": 1, "method": "psis", "progress": False}
    plans = [
        hr.design(model, MEAN, at=model.sample(group_effects=what, **options), n=3, method="reml", **QUICK)
        for what in ("draws", "summary")
    ]
    np.testing.assert_array_equal(plans[1]["sd"], plans[0]["sd"])


@pytest.mark.long
def test_wrong_signs_and_exaggeration_are_those_of_the_normal_distribution():
    """Where power is low (Gelman and Carlin 2014): of normal estimates beyond 1.96 standard errors."""
    n = 200
    plan = hr.design(one_way(), MEAN, groups=3, rows=2, at=AT, n=n, effects={"Intercept": 0.6}, **QUICK)
    sd = np.sqrt((SD_GROUP**2 + SD_ERROR**2 / 2) / 3)
    z = np.random.default_rng(2).normal(0.6, sd, 400_000)
    far = np.abs(z) > 1.96 * sd
    decided = n * far.mean()
    assert float(plan["power"][0, 0]) == pytest.approx(far.mean(), abs=4 * np.sqrt(far.mean() / n))
    share = np.mean(z[far] < 0)
    assert float(plan["wrong_sign"][0, 0]) == pytest.approx(share, abs=4 * np.sqrt(share / decided))
    ratio = np.abs(z[far]) / 0.6
    assert float(plan["exaggeration"][0, 0]) == pytest.approx(ratio.mean(), abs=4 * ratio.std() / np.sqrt(decided))


def test_slopes_of_a_two_level_design_are_those_of_the_closed_form():
    """Balanced slopes about zero: sd of the mean slope is sqrt((sd^2 + error_sd^2 / sum x^2) / J)."""
    x = np.array([-2.0, -1.0, 0.0, 3.0])
    table = pd.DataFrame({"g": np.repeat(np.arange(5), 4), "x": np.tile(x, 5)})
    table["y"] = np.random.default_rng(3).normal(size=20)
    priors = hr.Priors(
        beta=hr.Flat(),
        sd={"g": {"Intercept": hr.Fixed(0.7), "x": hr.Fixed(0.4)}},
        corr={"g": hr.Fixed(np.eye(2))},
        error_sd=hr.Fixed(1.1),
    )
    model = hr.Model("y ~ x + (x | g)", table, priors=priors)
    at = {"beta": {"Intercept": 0.0, "x": 0.5}, "sd": {"g": {"Intercept": 0.7, "x": 0.4}}, "error_sd": 1.1}
    plan = hr.design(model, {"slope": {"x": 1}}, groups=[9], at=at, n=40, method="reml", **QUICK)
    expected = np.sqrt((0.4**2 + 1.1**2 / np.sum(x**2)) / 9)
    assert float(plan["sd"][0, 0]) == pytest.approx(expected, rel=1e-8)
    assert float(plan["rows"][0]) == 4
    assert plan["effect"].to_numpy().tolist() == ["Intercept", "x"]


def test_rows_of_a_group_are_drawn_as_often_as_each_other():
    problem = structures.gaussian("independent, small engine q=2").problem
    rows, group = drawn_rows(problem, 0, (5, 15), np.random.default_rng(1))
    index = problem.design.factors[0].index
    assert len(rows) == 75
    for j in range(5):
        own = rows[group == j]
        assert len(set(index[own])) == 1
        # Six rows, of which 15 are drawn: twice each, and three of them once more.
        assert sorted(np.unique(own, return_counts=True)[1]) == [2, 2, 2, 3, 3, 3]


@pytest.mark.parametrize("priors", ["given", "default"])
def test_rows_as_they_are_make_the_same_model(priors):
    """No new groups and all rows: the densities are those of the model itself, also under priors that data scale."""
    model = structures.gaussian("by") if priors == "given" else hr.Model("y ~ x + (x | g)", structures.rows())
    problem = model.problem
    rows, group = drawn_rows(problem, 0, (None, None), np.random.default_rng(1))
    again = with_response(resampled(problem, 0, rows, group), problem.design.y[rows])
    for u in np.random.default_rng(2).normal(0, 0.5, (3, len(problem.parameters.free_names))):
        assert target(again).evaluator()(u)[0] == pytest.approx(target(problem).evaluator()(u)[0], rel=1e-10)


@pytest.mark.parametrize("name", ["independent, small engine q=2", "known_se", "by", "independent, crossed engine"])
def test_drawn_rows_have_the_density_of_a_table_of_them(name):
    """Other predictors in each study, and the priors of the model as they were."""
    table, problem = structures.rows(), structures.gaussian(name).problem
    rows, group = drawn_rows(problem, 0, (8, 5), np.random.default_rng(5))
    y = np.random.default_rng(6).normal(size=len(rows))
    ours = with_response(resampled(problem, 0, rows, group), y)
    drawn = table.iloc[rows].assign(y=y, g=[f"new{j}" for j in group])
    theirs = structures.gaussian(name, drawn).problem
    for u in np.random.default_rng(7).normal(0, 0.5, (3, len(problem.parameters.free_names))):
        values = [target(one).evaluator()(u)[0] for one in (ours, theirs)]
        assert values[0] == pytest.approx(values[1], rel=1e-10)


def test_factors_within_another_are_drawn_with_it_and_crossed_ones_stay():
    table = structures.rows()
    table["sub"] = table["g"] + table["side"]
    nested = hr.Model("y ~ x + (1 | g) + (1 | sub)", table).problem
    rows, group = drawn_rows(nested, 0, (20, None), np.random.default_rng(1))
    new = resampled(nested, 0, rows, group)
    assert [len(factor.levels) for factor in new.labels.factors] == [20, 40]
    crossed = structures.gaussian("independent, crossed engine").problem
    rows, group = drawn_rows(crossed, 0, (20, None), np.random.default_rng(1))
    new = resampled(crossed, 0, rows, group)
    assert [len(factor.levels) for factor in new.labels.factors] == [20, 5]


STRUCTURES = [name for name in structures.GAUSSIAN if name != "known_cov"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_can_be_planned(name):
    model = structures.gaussian(name)
    has_units = model.problem.layout.unit is not None
    sizes = {"groups": [6, 14]} if name != "independent, no groups" else {}
    sizes |= {} if has_units else {"rows": [5]}
    factor = {"factor": "g"} if "crossed" in name else {}
    plan = hr.design(model, {"slope": {"x": 1}}, **sizes, **factor, n=4, **QUICK)
    assert np.isfinite(plan["sd"]).all()
    if "groups" in sizes:
        assert plan["groups"].to_numpy().tolist() == [6, 14]
    assert str(plan)


@pytest.mark.long
def test_studies_do_not_depend_on_processes_and_other_sizes():
    model = structures.gaussian("independent, small engine q=1")
    one = hr.design(model, {"slope": {"x": 1}}, groups=[5, 9], n=4, **QUICK)
    two = hr.design(model, {"slope": {"x": 1}}, groups=[9], n=4, **(QUICK | {"cores": 2}))
    np.testing.assert_array_equal(one["sd"][1], two["sd"][0])


@pytest.mark.long
def test_parameters_of_a_posterior_vary_and_those_of_an_estimate_do_not():
    model = structures.gaussian("independent, small engine q=1")
    tree = model.sample(draws=100, seed=1, method="psis", progress=False)
    fixed = hr.design(model, {"slope": {"x": 1}}, at=model.estimate(), n=20, **QUICK)
    drawn = hr.design(model, {"slope": {"x": 1}}, at=tree, n=20, **QUICK)
    given = hr.design(model, {"slope": {"x": 1}}, at=tree, effects={"x": 2.0}, n=20, **QUICK)
    assert "the same parameters" in fixed.attrs["note"]
    assert "draws of the posterior" in drawn.attrs["note"]
    assert "x = 2" in given.attrs["note"]
    assert float(given["power"][0, 0]) == 1.0
    ends = [hr.design(model, {"slope": {"x": 1}}, at=tree, n=4, **QUICK)["sd"] for _ in range(2)]
    np.testing.assert_array_equal(*ends)


def plain(**given):
    return hr.design(one_way(), **({"contrast": MEAN, "at": AT, "n": 4} | QUICK | given))


BAD = [
    (lambda: hr.design("y ~ x", MEAN), ModelError, "model has type str"),
    (lambda: plain(contrast={"a": {"x": 1}}), ModelError, "'x'"),
    (lambda: plain(groups=1), ModelError, "groups=1"),
    (lambda: plain(groups=[]), ModelError, "groups is empty"),
    (lambda: plain(rows=0), ModelError, "rows=0"),
    (lambda: plain(n=1), ModelError, "n=1"),
    (lambda: plain(method="ml"), ModelError, "method='ml'"),
    (lambda: plain(factor="h"), ModelError, "factor='h'.*'g'"),
    (lambda: plain(at=None), PriorError, "improper"),
    (lambda: plain(at=3), ModelError, "at has type int"),
    (lambda: plain(at={"beta": {"Intercept": 1}}), ModelError, "lacks 'g'"),
    (lambda: plain(at=AT | {"sigma": 1}), ModelError, "at has 'sigma'"),
    (lambda: plain(at={"sd": {"g": 1.0}, "error_sd": 1.0}), ModelError, "at has no 'beta'"),
    (lambda: plain(at=AT | {"error_sd": "two"}), ModelError, r"at\['error_sd'\]='two'"),
    (lambda: plain(effects={"x": 1.0}), ModelError, "effects has 'x'"),
    (lambda: plain(ci_prob=2), HierregError, "ci_prob"),
    (lambda: plain(prob=0.9), HierregError, "ci_prob="),
    (
        lambda: hr.design(structures.gaussian("independent, crossed engine"), MEAN, groups=9, n=4, **QUICK),
        ModelError,
        "factor= is needed",
    ),
    (
        lambda: hr.design(structures.gaussian("independent, no groups"), MEAN, groups=9, n=4, **QUICK),
        ModelError,
        "no grouping factor",
    ),
    (
        lambda: hr.design(structures.gaussian("known_cov"), MEAN, groups=9, n=4, **QUICK),
        ModelError,
        "known covariance",
    ),
    (
        lambda: hr.design(structures.gaussian("ar1"), MEAN, rows=9, n=4, **QUICK),
        ModelError,
        "not taken apart",
    ),
    (lambda: hr.design(hr.Model.from_gram(one_way().gram), MEAN, n=4, **QUICK), ModelError, "needs the rows"),
    (lambda: hr.design(counts(), MEAN, n=4, **QUICK), ModelError, "normal responses"),
    (lambda: hr.design(heavy(), MEAN, n=4, **QUICK), ModelError, "normal group effects"),
]


def counts():
    table = structures.rows().assign(y=np.resize([0, 2, 1], len(structures.rows())))
    return hr.Model("y ~ x + (1 | g)", table, family=hr.Poisson())


def heavy():
    return hr.Model("y ~ x + (1 | g)", structures.rows(), effects={"g": hr.StudentT(5)})


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_what_cannot_be_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_model_without_population_coefficients_has_no_contrast():
    model = hr.Model("Yield ~ 0 + (1 | Batch)", hr.load_dataset("dyestuff"))
    with pytest.raises(ModelError, match="no population coefficients"):
        hr.design(model, {"mean": {"Intercept": 1}}, n=2, **QUICK)
