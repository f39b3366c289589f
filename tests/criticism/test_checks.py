"""`hr.check`: what it says of right and wrong models, of each kind of model, and what it refuses."""

import functools

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.criticism.checks.spread import _of_halves
from hierreg.criticism.checks.tails import tails
from hierreg.criticism.quantiles import normal_ranks
from hierreg.criticism.reading import examined_of
from hierreg.criticism.table import CHECKS
from hierreg.criticism.values import orthogonal
from hierreg.reports.checks import Checks
from tests.criticism.designs import DESIGNS, checked
from tests.helpers import report_trees as trees

pytestmark = pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
ModelError, DataError = hr.exceptions.ModelError, hr.exceptions.DataError
SHORT = {"draws": 250, "chains": 2, "seed": 4, "progress": False}


@functools.cache
def sleep() -> hr.Model:
    return hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))


def verdicts(found):
    return found["verdict"].to_series().to_dict()


def test_all_checks_are_listed_whatever_was_made():
    found = hr.check(sleep().estimate())
    assert list(found["check"].values) == list(CHECKS)
    assert {name for name, verdict in verdicts(found).items() if verdict == "not made"} == {
        *("dispersion", "order", "units", "between", "slopes", "prior", "sampler"),
    }
    missing = found.isel(check=found["verdict"].values == "not made")
    assert all(missing["evidence"].values)
    assert np.all(np.isnan(missing["p"]))
    assert "no predictor varies both within and between groups" in " ".join(found.text().split())
    assert all(name in hr.check.__doc__ for name in CHECKS)


def test_sleepstudy_has_rows_far_out_and_a_memory():
    """Rows 7, 56 and 59 (subjects 308 and 332) are known for it."""
    found = hr.check(sleep().estimate(), time="Days")
    assert {name for name, one in verdicts(found).items() if one == "alarm"} == {"tails", "order"}
    assert "rows 56 (+5.5), 59 (-4.6), 7 (-4.5)" in found["evidence"].sel(check="tails").item()
    assert "hr.StudentT()" in found["remedy"].sel(check="tails").item()
    z = hr.residuals(sleep().estimate(), "pearson").to_numpy()
    assert set(np.argsort(-np.abs(z))[:3].tolist()) == {56, 59, 7}
    np.testing.assert_allclose(found["fitted"], 251.405 + 10.467 * hr.load_dataset("sleepstudy")["Days"], atol=0.01)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_fault_is_seen_by_its_check(design):
    """One data set each, of the faults that the power is nearly one for."""
    certain = {"160 schools": ["curvature"], "counts": ["more spread than the family"]}.get(
        design, ["a missed slope", "curvature"]
    )
    for fault in certain:
        found = checked(design, fault, seed=11, replicates=199)
        assert found["p"][DESIGNS[design].faults[fault]] <= 0.01
    assert not (checked(design, "none", seed=11, replicates=199)["verdict"] == "alarm").any()


def test_p_values_of_errors_do_not_depend_on_what_was_estimated():
    """Residuals of errors alone, scaled, are functions of the errors over their standard deviation."""
    table = hr.load_dataset("sleepstudy")
    found = hr.check(sleep().estimate(), time="Days", checks=["tails", "spread", "spread_by_group", "order"])
    rng = np.random.default_rng(3)
    b = rng.standard_normal((18, 2)) * [5000.0, 300.0]
    j = np.unique(table["Subject"], return_inverse=True)[1]
    moved = table.assign(Reaction=7.0 * table["Reaction"] + b[j, 0] + b[j, 1] * table["Days"])
    other = hr.Model(sleep().formula, moved)
    again = hr.check(other.estimate(), time="Days", checks=["tails", "spread", "spread_by_group", "order"])
    # But of the fitted value, which is the spread's last column.
    np.testing.assert_allclose(again["p"], found["p"], atol=0.002)
    of_posterior = hr.check(trees.run(sleep(), **SHORT), time="Days", checks=list(found["check"].values))
    np.testing.assert_allclose(of_posterior["p"], found["p"], atol=0.002)


def test_order_of_rows_units_and_zeros_change_nothing():
    table = hr.load_dataset("sleepstudy")
    first = hr.check(sleep().estimate(), time="Days")
    moved = table.assign(Reaction=1e6 + table["Reaction"] / 1000, Days=2000 + 24 * table["Days"])
    again = hr.check(hr.Model(sleep().formula, moved).estimate(), time="Days")
    np.testing.assert_allclose(again["p"], first["p"], atol=0.003)
    shuffled = table.sample(frac=1, random_state=1)
    other = hr.check(hr.Model(sleep().formula, shuffled).estimate(), time="Days")
    for name in ("tails", "order", "outlying_groups", "influence"):
        assert other["statistic"].sel(check=name).item() == pytest.approx(
            first["statistic"].sel(check=name).item(), rel=0.02
        )


def test_scores_are_orthogonal_to_forms():
    rng = np.random.default_rng(1)
    forms = rng.standard_normal((2, 5000)) * [[1.0], [1e6]]
    scores = 3.0 * forms[:1] + rng.standard_normal((1, 5000))
    left, own = orthogonal(scores, forms, (np.array([7.0]), np.array([2.0, 0.0])))
    assert abs(np.corrcoef(left[0], forms[0])[0, 1]) < 1e-8
    assert own[0] == pytest.approx(7.0 - 3.0 * 2.0, abs=0.15)


def test_a_result_that_was_saved_says_the_same(tmp_path):
    tree = trees.tree("by")
    found = hr.check(tree)
    path = hr.save(tree, tmp_path / "fit.nc")
    again = hr.check(hr.load(path))
    np.testing.assert_array_equal(again["p"], found["p"])
    assert again.text() == found.text()
    with_model = hr.check(tree, trees.model("by"))
    assert with_model["p"].sel(check="tails").item() == found["p"].sel(check="tails").item()


@pytest.mark.parametrize("structure", trees.STRUCTURES)
def test_every_error_structure(structure):
    found = hr.check(trees.tree(structure), trees.model(structure), time="unit", replicates=199)
    made = found.isel(check=found["verdict"].values != "not made")
    assert {"tails", "spread", "curvature", "influence"} <= set(made["check"].values)
    p = made["p"].to_numpy()
    assert np.all((p[np.isfinite(p)] > 0) & (p[np.isfinite(p)] <= 1))


def test_models_without_groups_with_within_unit_errors_and_with_separate_terms():
    assert verdicts(hr.check(trees.plain()))["influence"] == "not made"
    assert verdicts(hr.check(trees.separate_terms()))["slopes"] != "alarm"
    rows = hr.load_dataset("orthodont")
    rows["age"] = rows["age"] // 2
    for errors in (hr.exchangeable("Subject"), hr.ar1("age", unit="Subject")):
        found = hr.check(hr.Model("distance ~ age * Sex", rows, errors=errors).estimate(), time="age")
        assert verdicts(found)["units"] == "not made"
        assert "in the model" in found["evidence"].sel(check="units").item()
        assert np.isfinite(found["p"].sel(check="order"))


def test_too_many_crossed_groups_are_said(monkeypatch):
    monkeypatch.setattr("hierreg.criticism.projection.MOST_DENSE", 20)
    crossed = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    found = hr.check(crossed.estimate())
    assert "too many coefficients" in found["evidence"].sel(check="tails").item()
    assert verdicts(found)["boundary"] == "clear"


def test_singular_correlations_are_said():
    found = hr.check(trees.model("correlated").estimate())
    assert verdicts(found)["tails"] == "not made"
    assert "singular correlation" in found["evidence"].sel(check="tails").item()
    assert verdicts(found)["boundary"] == "note"


def test_statistics_alone_have_no_rows():
    model = hr.Model.from_gram(trees.model("by").gram)
    for x in (model.estimate(), trees.run(model)):
        found = hr.check(x)
        rows_needed = [name for name, check in CHECKS.items() if check.needs_rows]
        assert {verdicts(found)[name] for name in rows_needed} == {"not made"}
        assert "statistics alone" in found["evidence"].sel(check="tails").item()
        assert verdicts(found)["boundary"] in {"clear", "note"}
        assert "residual" not in found


def counts(rng, fault):
    g = np.repeat(np.arange(25), 10)
    x = rng.normal(size=250)
    mean = np.exp(1 + 0.5 * x + 0.4 * rng.normal(size=25)[g] + (0.4 * x**2 if fault == "curvature" else 0))
    if fault == "dispersion":
        mean = mean * rng.gamma(1.0, 1.0, 250)
    return pd.DataFrame({"y": rng.poisson(mean), "x": x, "g": g.astype(str)})


@pytest.mark.parametrize("fault", ["none", "dispersion", "curvature"])
def test_families_by_quantile_residuals(fault):
    model = hr.Model("y ~ x + (1 | g)", counts(np.random.default_rng(8), fault), family=hr.Poisson())
    tree = trees.run(model, **SHORT)
    found = hr.check(tree)
    alarms = {name for name, one in verdicts(found).items() if one == "alarm"} - {"sampler"}
    assert (fault in alarms) == (fault != "none")
    assert bool(alarms) == (fault != "none")
    assert "made of normal responses" in found["evidence"].sel(check="between").item()
    assert np.isfinite(found["p"].sel(check=["slopes", "outlying_groups", "group_tails"])).all()
    of_estimate = hr.check(model.estimate())
    assert "sample, and give the tree" in of_estimate["evidence"].sel(check="tails").item()
    few = hr.check(trees.run(model, draws=40, chains=2))
    assert "fewer than 199 draws" in few["evidence"].sel(check="tails").item()


def test_ranks_are_even_with_ties_too():
    z = normal_ranks(np.repeat([[0.0, 0.0, 0.0, 1.0]], 4000, axis=0), seed=2)
    assert np.all(z[:, 3] == z.max())
    assert abs(z[:, 0].mean() - z[:, :3].mean()) < 4 * z[:, 0].std() / np.sqrt(4000)


def test_effects_that_are_not_normal():
    model = hr.Model("y ~ x + (1 | g)", trees.many_groups_model().data, effects={"g": hr.StudentT()})
    found = hr.check(trees.run(model, **SHORT))
    assert verdicts(found)["tails"] == "clear"
    for name in ("slopes", "outlying_groups", "group_tails", "influence", "between"):
        assert "not normal" in found["evidence"].sel(check=name).item()
    with pytest.raises(ModelError, match="EffectsEstimate"):
        hr.check(model.estimate())


def test_known_errors_that_are_too_small():
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(15), 6)
    table = pd.DataFrame({"g": g, "se": rng.uniform(0.5, 1.5, 90)})
    table["y"] = rng.standard_normal(15)[g] + table["se"] * rng.standard_normal(90)
    right = hr.check(hr.Model("y ~ 1 + (1 | g)", table, errors=hr.known_se("se")).estimate())
    assert verdicts(right)["dispersion"] == "clear"
    wrong = hr.Model("y ~ 1 + (1 | g)", table.assign(se=table["se"] / 1.6), errors=hr.known_se("se"))
    found = hr.check(wrong.estimate())
    assert verdicts(found)["dispersion"] == "alarm"
    assert "scale=True" in found["remedy"].sel(check="dispersion").item()
    scaled = hr.Model("y ~ 1 + (1 | g)", table, errors=hr.known_se("se", scale=True))
    assert verdicts(hr.check(scaled.estimate()))["dispersion"] == "not made"


def test_a_variance_that_rests_on_its_prior():
    table = pd.DataFrame({"y": [1.0, 1.2, 0.9, 1.1, 1.4, 1.0, 1.3, 0.8], "g": list("aaaabbbb")})
    narrow = hr.Priors(sd={"g": hr.HalfNormal(0.1)})
    tree = trees.run(hr.Model("y ~ 1 + (1 | g)", table, priors=narrow), method="psis", draws=1000)
    found = hr.check(tree, checks="prior")
    assert verdicts(found) == {"prior": "alarm"}
    assert "sd_g[Intercept]" in found["evidence"].item()
    # Two groups say that the sd is far below what a wide prior holds possible.
    wide = hr.Priors(sd={"g": hr.HalfNormal(100)})
    tree = trees.run(hr.Model("y ~ 1 + (1 | g)", table, priors=wide), method="psis", draws=1000)
    assert verdicts(hr.check(tree, checks="prior")) == {"prior": "clear"}
    held = hr.Model("y ~ 1 + (1 | g)", table, priors=hr.Priors(sd={"g": hr.Fixed(1.0)}, error_sd=hr.Fixed(0.2)))
    assert verdicts(hr.check(trees.run(held), checks="prior")) == {"prior": "not made"}
    assert verdicts(hr.check(trees.run(sleep(), method="psis"), checks="prior")) == {"prior": "clear"}


def test_draws_that_do_not_agree():
    tree = trees.run(sleep(), draws=100, chains=3).copy(deep=True)
    tree["posterior"]["error_sd"][0] += 100.0
    found = hr.check(tree, checks="sampler")
    assert verdicts(found) == {"sampler": "alarm"}
    assert "R-hat of error_sd" in found["evidence"].item()


def test_variances_at_zero_are_a_note():
    est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")).estimate()
    assert est.singular
    found = hr.check(est)
    assert verdicts(found)["boundary"] == "note"
    assert est.boundary[0] in found["evidence"].sel(check="boundary").item()
    tree = trees.run(hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")))
    assert verdicts(hr.check(tree, checks="boundary")) == {"boundary": "note"}


def test_odd_names():
    table = hr.load_dataset("sleepstudy").assign(d=lambda t: np.where(t.index % 3 == 0, "u", "v"))
    renamed = table.rename(columns={"Days": "statistic", "Subject": "check", "Reaction": "residual", "d": "p"})
    model = hr.Model("residual ~ statistic + (1 | check)", renamed)
    found = hr.check(model.estimate(), model, time="statistic")
    plain = hr.Model("Reaction ~ Days + (1 | Subject)", table)
    first = hr.check(plain.estimate(), plain, time="Days")
    np.testing.assert_array_equal(found["p"], first["p"])
    assert found["remedy"].sel(check="slopes").item() == "a slope by group, (statistic | check)"


def other_response() -> hr.Model:
    table = hr.load_dataset("sleepstudy")
    return hr.Model(sleep().formula, table.assign(Reaction=table["Reaction"] + table["Days"] ** 2))


BAD = [
    (lambda e: hr.check("fit.nc"), ModelError, ["x is str", "Model.sample or hr.load"]),
    (lambda e: hr.check(sleep().solve(cov={"Subject": np.eye(2)}, error_cov=1.0)), ModelError, ["given covariances"]),
    (lambda e: hr.check(e, checks=["tail"]), ModelError, ["checks='tail'", "Did you mean 'tails'"]),
    (lambda e: hr.check(e, checks=[]), ModelError, ["checks is empty", "'tails'"]),
    (lambda e: hr.check(e, level=5), ModelError, ["level=5", "between 0 and 1"]),
    (lambda e: hr.check(e, replicates=50), ModelError, ["replicates=50", "199 or more"]),
    (lambda e: hr.check(e, seed=-1), ModelError, ["seed=-1"]),
    (lambda e: hr.check(e, time="days"), ModelError, ["time='days'", "Did you mean 'Days'", "model=model"]),
    (lambda e: hr.check(e, unit="config"), ModelError, ["unit='config'", "'Subject'"]),
    (lambda e: hr.check(e, trees.model("by")), ModelError, ["the estimate is of", "Reaction"]),
    (lambda e: hr.check(e, other_response()), ModelError, ["other responses"]),
    (lambda e: hr.check(e, trees.model("by").data), ModelError, ["a hierreg Model", "DataFrame"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_bad_arguments(call, error, words):
    with pytest.raises(error) as caught:
        call(sleep().estimate())
    assert all(word in str(caught.value) for word in words)


def test_time_must_be_numbers_or_dates():
    table = hr.load_dataset("sleepstudy").assign(when="monday")
    table["date"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(table["Days"], unit="D")
    table["gaps"] = table["Days"].where(table["Days"] != 4)
    model = hr.Model(sleep().formula, table)
    by_date, by_day = (hr.check(model.estimate(), model, time=name) for name in ("date", "Days"))
    assert by_date["p"].sel(check="order") == by_day["p"].sel(check="order")
    with pytest.raises(DataError, match="time='when' is a column of labels such as 'monday'"):
        hr.check(model.estimate(), model, time="when")
    with pytest.raises(DataError, match="time='gaps' has missing values"):
        hr.check(model.estimate(), model, time="gaps")


def test_random_seed_is_seed():
    first = hr.check(sleep().estimate(), random_seed=3, checks="tails")
    np.testing.assert_array_equal(hr.check(sleep().estimate(), seed=3, checks="tails")["p"], first["p"])


def test_it_is_a_report():
    found = hr.check(sleep().estimate())
    assert isinstance(found, Checks)
    frame = found.to_pandas()
    assert list(frame["check"]) == list(CHECKS)
    assert {"statistic", "p", "p_adjusted", "verdict", "found", "evidence", "remedy", "looked_at"} <= set(frame)


def test_groups_of_few_rows_leave_residuals_of_the_whole_model():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(40), 2)
    table = pd.DataFrame({"g": g, "x": rng.normal(size=80), "y": rng.normal(size=40)[g] + rng.normal(size=80)})
    found = hr.check(hr.Model("y ~ x + (x | g)", table).estimate())
    assert "residuals are those of the whole model" in " ".join(found.text().split())
    assert verdicts(found)["tails"] == "clear"
    assert "whole model" not in hr.check(sleep().estimate()).text()


def test_too_few_rows_are_said():
    table = pd.DataFrame({"y": np.random.default_rng(1).normal(size=12), "g": list("aaabbbcccddd")})
    x = hr.Model("y ~ 1 + (1 | g)", table).estimate()
    found, _ = examined_of(x, None, {"time": None, "unit": None, "replicates": 199, "seed": 1})
    assert tails(found).reason == "12 rows have a residual of their own; 20 are needed"
    assert verdicts(hr.check(x))["outlying_groups"] == "not made"


def test_levels_of_a_response_are_no_strata_of_its_errors():
    """Of yes and no the errors differ in size wherever one is rarer; the model explains which it is."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"x": rng.normal(size=300), "g": np.repeat([f"g{j}" for j in range(15)], 20)})
    table["answer"] = np.where(rng.random(300) < 0.15, "yes", "no")
    table["side"] = np.where(rng.random(300) < 0.5, "left", "right")
    model = hr.Model("answer ~ x + (1 | g)", table, family=hr.Bernoulli())
    how = {"replicates": 199, "seed": 1, "time": None, "unit": None}
    found, _ = examined_of(trees.run(model, **SHORT), model, how)
    assert set(found.strata()) == {"side"}
    assert "answer" in found.columns


def test_a_fitted_value_that_is_the_same_for_all_rows_is_not_looked_at():
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"g": np.repeat(np.arange(30), 4).astype(str), "y": 0.3 + 1e3 * rng.normal(size=120)})
    report = hr.check(hr.Model("y ~ 1 + (1 | g)", table).estimate(), checks="spread")
    assert report["verdict"].item() == "not made"
    assert "no predictor varies" in report["evidence"].item()


def test_evidence_of_a_slope_in_one_stratum_is_of_that_stratum():
    x = np.r_[np.zeros(60), np.linspace(1.0, 5.0, 60)]
    size = np.r_[np.ones(60), 0.5 + np.arange(60) / 60]
    words, ratio = _of_halves(size, x, "d[b]:x")
    assert ratio == pytest.approx(np.sqrt(np.mean(size[90:] ** 2) / np.mean(size[60:90] ** 2)))
    assert words.endswith("where that is not zero.")
    # Zeros and ones are compared as they are.
    _, ratio = _of_halves(size, np.repeat([0.0, 1.0], 60), "d[b]")
    assert ratio == pytest.approx(np.sqrt(np.mean(size[60:] ** 2)))


def test_effects_of_single_rows_are_no_tails():
    """A row is in the middle of replicates that have its own effect: those are drawn anew."""
    rng = np.random.default_rng(0)
    g, x = np.repeat(np.arange(16), 10), rng.normal(size=160)
    mean = np.exp(1 + 0.5 * x + 0.5 * rng.normal(size=16)[g] + 0.8 * rng.normal(size=160))
    table = pd.DataFrame({"y": rng.poisson(mean), "x": x, "g": g.astype(str), "row": [f"r{i}" for i in range(160)]})
    model = hr.Model("y ~ x + (1 | g) + (1 | row)", table, family=hr.Poisson())
    report = hr.check(trees.run(model, **SHORT), checks=["tails", "spread", "dispersion"])
    assert set(report["verdict"].values) == {"clear"}
    assert float(report["p"].sel(check="tails")) > 0.05
