"""`hr.comparisons`, `slopes` and `means`: against contrasts, predictions, closed forms, and marginaleffects."""

import copy

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit

import hierreg as hr
from tests.helpers import report_trees as trees


@pytest.fixture(scope="module")
def schools():
    data = hr.load_dataset("math_achieve")
    model = hr.Model("MathAch ~ SES * Sector + I(SES**2)", data)
    return model, model.estimate(), data


@pytest.fixture(scope="module")
def table():
    frame = trees.table()
    return frame.assign(
        kind=pd.Categorical(np.array(["u", "v", "w"])[np.arange(len(frame)) % 3]), flag=np.arange(len(frame)) % 4 == 0
    )


@pytest.fixture(scope="module")
def mixed(table):
    model = hr.Model("y ~ x * kind + flag + exp(w / 4) + (x | g)", table)
    return model, trees.run(model)


def pairs(report):
    return np.column_stack([report["mean"], report["sd"]])


# marginaleffects 0.6.1 (polars 1.44.2, statsmodels 0.15.0) on smf.ols("MathAch ~ SES * Sector + I(SES**2)").fit() of
# the same rows: avg_comparisons(m, variables={"SES": "sd", "Sector": "pairwise"}), avg_predictions(m,
# newdata="balanced", by="Sector"), avg_comparisons(m, variables={"SES": [-1, 1]}, comparison="ratioavg"): estimate and
# std_error. Those of avg_slopes(m, variables="SES", by="Sector") are compared by their estimates: its standard errors
# are differences, and 1.3e-4 from the exact ones, which the next test has.
MARGINALEFFECTS = {
    "comparisons": [(2.264260221864804, 0.07727213050317941), (-1.9480728306958888, 0.15221839272723273)],
    "means": [(13.849868690078413, 0.12237984192675597), (11.901795859382524, 0.12201381440289438)],
    "ratio": [(1.5870010006319129, 0.026061762034851325)],
    "slopes": [2.3427733306337974, 3.452534502640347],
    "pairwise": 1.1097611720065497,
}


def test_the_numbers_of_marginaleffects(schools):
    model, est, _ = schools
    expected = MARGINALEFFECTS
    mine = hr.comparisons(model, est, {"SES": "sd", "Sector": "pairwise"})
    np.testing.assert_allclose(pairs(mine), expected["comparisons"], rtol=1e-9)
    np.testing.assert_allclose(pairs(hr.means(model, est, "Sector")), expected["means"], rtol=1e-9)
    ratio = hr.comparisons(model, est, {"SES": [-1, 1]}, comparison="ratio")
    np.testing.assert_allclose(pairs(ratio), expected["ratio"], rtol=1e-9)
    slopes = hr.slopes(model, est, "SES", by="Sector")
    np.testing.assert_allclose(slopes["mean"], expected["slopes"], rtol=1e-9)
    gap = hr.slopes(model, est, "SES", by="Sector", hypothesis="difference ~ pairwise")
    np.testing.assert_allclose(gap["mean"], expected["pairwise"], rtol=1e-8)
    assert gap["effect"].values[0].startswith("(SES dY/dX, Sector = Public) - (")


def test_slopes_of_a_square_are_contrasts(schools):
    model, est, data = schools
    means = data.groupby("Sector", observed=True)["SES"].mean()
    weights = {
        "Catholic": {"SES": 1, "I(SES ** 2)": 2 * means["Catholic"]},
        "Public": {"SES": 1, "SES:Sector[T.Public]": 1, "I(SES ** 2)": 2 * means["Public"]},
    }
    coef = {name: next(c for c in est.beta["coef"].values if c.replace(" ", "") == name.replace(" ", "")) for own in
            weights.values() for name in own}  # fmt: skip
    what = {key: {coef[name]: value for name, value in own.items()} for key, own in weights.items()}
    expected = hr.contrasts(est, what)
    mine = hr.slopes(model, est, "SES", by="Sector")
    for name in ("mean", "sd", "lower", "upper"):
        np.testing.assert_allclose(mine[name], expected[name], rtol=1e-8)
    np.testing.assert_allclose(mine["cov"], expected["cov"], rtol=1e-7)


@pytest.mark.parametrize("level", ["population", "group"])
def test_draws_are_differences_of_predictions(mixed, table, level):
    model, tree = mixed
    mine = hr.comparisons(model, tree, {"x": 2, "kind": ["w", "v"], "flag": None}, by="kind", level=level)

    def predicted(**values):
        rows = hr.predict(model, table.assign(**values), at=tree, level=level, observation=False, draws=True)
        return rows["draws"].values

    gaps = [predicted(x=table["x"] + 2) - predicted(), predicted(kind="v") - predicted(kind="w")]
    gaps += [predicted(flag=True) - predicted(flag=False)]
    expected = [gap[..., (table["kind"] == kind).to_numpy()].mean(axis=2) for gap in gaps for kind in "uvw"]
    np.testing.assert_allclose(mine["draws"], np.stack(expected, axis=2), rtol=1e-9, atol=1e-10)
    assert mine["kind"].values.tolist() == list("uvw") * 3
    assert mine["contrast"].values[::3].tolist() == ["+2", "v - w", "True - False"]


def test_estimates_are_the_limit_of_their_rows(mixed, table):
    """By row, at a solution: mean, sd and covariance of predictions."""
    model, _ = mixed
    at = model.solve({"g": [[1.0, 0.2], [0.2, 0.5]]}, 0.8)
    rows = table[:6]
    mine = hr.means(model, at, {"x": [1.5]}, newdata=rows, level="group")
    predicted = hr.predict(model, rows.assign(x=1.5), at=at, observation=False, covariance=True)
    assert float(mine["mean"][0]) == pytest.approx(float(predicted["mean"].mean()), rel=1e-10)
    assert float(mine["sd"][0]) == pytest.approx(float(predicted["cov"].mean()) ** 0.5, rel=1e-9)
    each = hr.comparisons(model, at, "x", rows, by=False, level="group")
    assert each["row"].values.tolist() == list(range(6))
    both = pd.concat([rows.assign(x=rows["x"] + 1), rows])
    cov = hr.predict(model, both, at=at, observation=False, covariance=True)["cov"].values
    B = np.hstack([np.eye(6), -np.eye(6)])
    np.testing.assert_allclose(each["cov"], B @ cov @ B.T, rtol=1e-8, atol=1e-10)


def test_slopes_of_groups_are_their_coefficients():
    model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    est = model.estimate()
    mine = hr.slopes(model, est, by="Subject", level="group")
    np.testing.assert_allclose(mine["mean"], est.theta["Subject"].sel(Subject_coef="Days"), rtol=1e-9)
    se = np.sqrt(est.theta_cov["Subject"].values[:, 1, 1])
    np.testing.assert_allclose(mine["sd"], se, rtol=1e-7)
    what = {"gap": {mine["effect"].values[0]: 1, mine["effect"].values[1]: -1}}
    gap = hr.slopes(model, est, by="Subject", level="group", hypothesis=what)
    expected = hr.contrasts(est, {"gap": {(308, "Days"): 1, (309, "Days"): -1}})
    np.testing.assert_allclose(pairs(gap), pairs(expected), rtol=1e-7)


def test_means_over_a_balanced_grid_and_over_the_rows(mixed, table):
    model, tree = mixed
    grid = hr.datagrid(model, kind=["u", "v", "w"])
    assert grid["x"].tolist() == [pytest.approx(table["x"].mean())] * 3
    assert grid["flag"].tolist() == [False] * 3
    both = hr.datagrid(model, kind=["u", "v", "w"], flag=[False, True])
    rows = hr.predict(model, both, at=tree, level="population", observation=False, draws=True)["draws"].values
    mine = hr.means(model, tree, "kind")
    np.testing.assert_allclose(mine["draws"], rows.reshape(*rows.shape[:2], 3, 2).mean(axis=3), rtol=1e-9)
    assert hr.means(model, tree, "flag")["flag"].values.tolist() == [False, True]
    observed = hr.means(model, tree, "kind", newdata=None)
    for i, kind in enumerate("uvw"):
        rows = hr.predict(model, table.assign(kind=kind), at=tree, level="population", observation=False)
        assert float(observed["mean"][i]) == pytest.approx(float(rows["mean"].mean()), rel=1e-9)
    two = hr.means(model, tree, {"kind": None, "x": [0, 1]}, hypothesis="sequential")
    assert two.sizes["effect"] == 5
    weighted = hr.means(model, tree, {"x": [0]}, newdata=table, wts="se")
    rows = hr.predict(model, table.assign(x=0), at=tree, level="population", observation=False)
    assert float(weighted["mean"][0]) == pytest.approx(np.average(rows["mean"], weights=table["se"]), rel=1e-9)


def test_hypotheses_are_linear(mixed):
    model, tree = mixed
    means = hr.means(model, tree, "kind")["draws"].values
    expected = {
        "pairwise": [(1, 0), (2, 0), (2, 1)],
        "revpairwise": [(0, 1), (0, 2), (1, 2)],
        "reference": [(1, 0), (2, 0)],
        "revreference": [(0, 1), (0, 2)],
        "sequential": [(1, 0), (2, 1)],
        "revsequential": [(0, 1), (1, 2)],
    }
    for word, places in expected.items():
        mine = hr.means(model, tree, "kind", hypothesis=word)["draws"].values
        np.testing.assert_allclose(
            mine, np.stack([means[..., i] - means[..., j] for i, j in places], axis=2), rtol=1e-8
        )
    centred = hr.means(model, tree, "kind", hypothesis="meandev")["draws"].values
    np.testing.assert_allclose(centred, means - means.mean(axis=2, keepdims=True), rtol=1e-7, atol=1e-10)
    matrix = hr.means(model, tree, "kind", hypothesis=[[1, -2, 1]])["draws"].values
    np.testing.assert_allclose(matrix[..., 0], means @ [1, -2, 1], rtol=1e-7, atol=1e-10)


def test_residuals_of_observed_units_play_no_part():
    model, tree = trees.model("correlated"), trees.tree("correlated")
    X = model.problem.design.X
    mine = hr.means(model, tree, {"x": [1.0]}, newdata=None)
    changed = np.column_stack([X[:, 0], np.ones(len(X)), X[:, 2]]).mean(axis=0)
    expected = tree["posterior"]["beta"].values @ changed
    np.testing.assert_allclose(mine["draws"][..., 0], expected, rtol=1e-9)


@pytest.fixture(scope="module")
def logistic():
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(15), 8)
    x, c = rng.normal(size=120), np.array(["no", "yes"])[rng.integers(0, 2, 120)]
    eta = -0.3 + 0.8 * x + 0.7 * (c == "yes") + rng.normal(0, 0.9, 15)[g]
    data = pd.DataFrame({"y": (rng.random(120) < expit(eta)).astype(int), "x": x, "c": c, "g": g})
    return hr.Model("y ~ x + c + (1 | g)", data, family=hr.Bernoulli()), data


def test_responses_that_are_not_normal_are_averaged_over_groups(logistic):
    """At an estimate: population probabilities by dense quadrature, and the delta method by differences in beta."""
    model, data = logistic
    est = model.estimate()
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    def gap(beta):
        def mean(is_yes):
            eta = beta[0] + beta[1] * data["x"].to_numpy() + beta[2] * is_yes
            return float(np.mean(expit(eta[:, None] + float(est.sd["g"][0]) * nodes) @ weights))

        return mean(1) - mean(0)

    beta = est.beta.to_numpy()
    slope = np.array([(gap(beta + h) - gap(beta - h)) / 2e-5 for h in 1e-5 * np.eye(3)])
    mine = hr.comparisons(model, est, "c")
    assert float(mine["mean"][0]) == pytest.approx(gap(beta), rel=1e-7)
    assert float(mine["sd"][0]) == pytest.approx(float(slope @ est.beta_cov.to_numpy() @ slope) ** 0.5, rel=1e-5)
    link = hr.comparisons(model, est, "c", scale="link")
    np.testing.assert_allclose(pairs(link)[0], [beta[2], float(est.beta_se[2])], rtol=1e-9)


def test_draws_of_responses_are_differences_of_predictions(logistic):
    model, data = logistic
    tree = trees.run(model, draws=40, chains=2)
    mine = hr.comparisons(model, tree, "x", comparison="ratio")
    high, low = (
        hr.predict(model, rows, at=tree, level="population", observation=False, draws=True)["draws"].mean("row")
        for rows in (data.assign(x=data["x"] + 1), data)
    )
    np.testing.assert_allclose(mine["draws"][..., 0], high / low, rtol=1e-9)
    assert "scale response" in str(mine)


def test_a_table_that_was_changed_is_noticed(table):
    own = table.copy()
    model = hr.Model("y ~ x + kind + (1 | g)", own)
    est = model.estimate()
    hr.comparisons(model, est, "x")
    own.loc[3, "x"] += 1.0
    with pytest.raises(hr.exceptions.DataError, match="changed since"):
        hr.comparisons(model, est, "x")
    assert hr.comparisons(model, est, "x", newdata=table).sizes["effect"] == 1
    elsewhere = copy.copy(model)  # by what travels to other processes
    assert elsewhere.data is None
    with pytest.raises(hr.exceptions.ModelError, match="newdata=table"):
        hr.comparisons(elsewhere, est, "x")


def test_statistics_alone_need_rows(table):
    gram = hr.Gram.from_batches([table], "y ~ x + kind + (1 | g)")
    model = hr.Model.from_gram(gram)
    est = model.estimate()
    with pytest.raises(hr.exceptions.ModelError, match="statistics alone"):
        hr.comparisons(model, est)
    np.testing.assert_allclose(
        hr.comparisons(model, est, "x", newdata=table)["mean"], est.beta.sel(coef="x"), rtol=1e-9
    )


def test_a_result_alone_carries_its_model(mixed, tmp_path):
    model, tree = mixed
    loaded = hr.load(hr.save(tree, tmp_path / "fit.nc"))
    est = model.estimate()
    for name in ("comparisons", "slopes", "means"):
        function, variables = getattr(hr, name), "x" if name == "slopes" else "kind"
        for result in (tree, est):
            expected = pairs(function(model, result, variables))
            np.testing.assert_allclose(pairs(function(result, variables=variables)), expected, rtol=1e-10, err_msg=name)
        np.testing.assert_allclose(
            pairs(function(loaded, variables=variables)), pairs(function(model, tree, variables))
        )
    pd.testing.assert_frame_equal(hr.datagrid(loaded, x=[0, 1]), hr.datagrid(model, x=[0, 1]), check_dtype=False)
    with pytest.raises(hr.exceptions.ModelError, match=r"hr\.means\(tree, variables=\.\.\.\)"):
        hr.means(tree, "kind")
    with pytest.raises(hr.exceptions.ModelError, match="at is missing"):
        hr.means(model, variables="kind")


def test_kinds_of_tables(table):
    import polars as pl

    frame = pl.DataFrame(table.drop(columns=["kind"])).with_columns(kind=pl.Series(list(table["kind"])))
    model = hr.Model("y ~ x + kind + (1 | g)", frame)
    est = model.estimate()
    assert hr.comparisons(model, est, "kind")["contrast"].values.tolist() == ["v - u", "w - u"]
    one = hr.comparisons(model, est, {"x": "iqr"}, newdata={"x": [0.0, 1.0], "kind": ["u", "v"]})
    assert float(one["mean"][0]) == pytest.approx(0.5 * float(est.beta.sel(coef="x")), rel=1e-9)


def test_it_prints(mixed):
    model, tree = mixed
    text = str(hr.comparisons(model, tree))
    assert "P(>0)" in text
    assert "level population" in text
    xr.testing.assert_identical(hr.comparisons(model, tree), hr.comparisons(model, tree))


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        ("comparisons", {"variables": "z"}, "'z'"),
        ("comparisons", {"variables": {"x": "sds"}}, "'sds'"),
        ("comparisons", {"variables": {"x": 0}}, "not zero"),
        ("comparisons", {"variables": {"x": ["a", "b"]}}, "two numbers"),
        ("comparisons", {"variables": {"kind": ["u", "q"]}}, "level 'q'"),
        ("comparisons", {"variables": {"kind": "first"}}, "'first'"),
        ("comparisons", {"variables": 3}, "variables=3"),
        ("comparisons", {"by": "q"}, "by='q'"),
        ("comparisons", {"by": 2}, "by=2"),
        ("comparisons", {"wts": "q"}, "wts='q'"),
        ("comparisons", {"newdata": "typical"}, "'typical'"),
        ("comparisons", {"comparison": "odds"}, "'odds'"),
        ("comparisons", {"hypothesis": "pair"}, "'pair'"),
        ("comparisons", {"hypothesis": [[1, 2]]}, "matrix with"),
        ("comparisons", {"hypothesis": {"a": {"b": 1}}}, "names 'b'"),
        ("comparisons", {"level": "new group"}, "level='population'"),
        ("comparisons", {"scale": "log"}, "'log'"),
        ("slopes", {"variables": "kind"}, "hr.comparisons"),
        ("slopes", {"variables": "flag"}, "hr.comparisons"),
        ("means", {"variables": "x"}, "at which values"),
        ("means", {"variables": {"kind": ["q"]}}, "levels"),
        ("means", {"variables": {"q": [1]}}, "'q'"),
    ],
)
def test_refusals(mixed, function, arguments, words):
    model, tree = mixed
    with pytest.raises(hr.exceptions.HierregError, match=words):
        getattr(hr, function)(model, tree, **arguments)


def test_results_of_other_models_are_refused(mixed):
    model, _ = mixed
    with pytest.raises(hr.exceptions.ModelError):
        hr.means(model, trees.tree("by"), "kind")
    with pytest.raises(hr.exceptions.ModelError):
        hr.means(model, trees.model("by").estimate(), "kind")
    with pytest.raises(hr.exceptions.ModelError, match="DataTree"):
        hr.means(model, 3, "kind")


def test_heavy_tails_have_draws_only():
    model = hr.Model("y ~ x + (1 | g)", trees.table(), effects={"g": hr.StudentT()})
    est = model.estimate("ml")
    for ask in (hr.comparisons, hr.slopes):
        with pytest.raises(hr.exceptions.ModelError, match="StudentT"):
            ask(model, est)
    with pytest.raises(hr.exceptions.ModelError, match=r"az\.compare"):
        hr.compare_fits(est, est)
    with pytest.raises(hr.exceptions.ModelError, match="StudentT"):
        hr.summary(est)


@pytest.mark.parametrize("errors", [hr.ar1("Days", unit="Subject"), hr.exchangeable("Subject")])
def test_effects_in_groups_that_are_units_leave_their_residuals_out(errors):
    model = hr.Model("Reaction ~ Days + (0 + Days | Subject)", hr.load_dataset("sleepstudy"), errors=errors)
    est = model.estimate()
    report = hr.comparisons(model, est, "Days", by="Subject", level="group")
    slope = est.b["Subject"].sel(Subject_coef="Days") + float(est.beta.sel(coef="Days"))
    np.testing.assert_allclose(report["mean"], slope.sel(Subject=report["Subject"].values), rtol=1e-9)


def test_population_effects_and_predictions_need_no_draws_of_groups():
    data = hr.load_dataset("sleepstudy")
    model = hr.Model("Reaction ~ Days + (0 + Days | Subject)", data, errors=hr.exchangeable("Subject"))
    tree = trees.run(model, group_effects="summary")
    found = hr.predict(tree, {"Days": [0, 5]}, level="population", observation=False)
    beta = tree["posterior"]["beta"].to_numpy().reshape(-1, 2)
    np.testing.assert_allclose(found["mean"], (beta @ [[1, 1], [0, 5]]).mean(axis=0), rtol=1e-12)
    with pytest.raises(hr.exceptions.ModelError, match="only summaries"):
        hr.predict(tree, {"Days": [0], "Subject": ["308"]}, observation=False)
