"""What a result carries of its model: made again, it is the same model, from a file too."""

import json

import arviz_base
import numpy as np
import pandas as pd
import polars as pl
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, ModelError

pytestmark = pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
N = 72


def table():
    rng = np.random.default_rng(8)
    g = rng.permutation(np.repeat(np.arange(12), 6))
    d = pd.DataFrame(
        {
            "g": np.char.add("s", g.astype(str)),
            "x": rng.normal(size=N),
            "a": pd.Categorical(rng.choice(["low", "mid", "high"], N), categories=["low", "mid", "high", "none"]),
            "is_new": rng.random(N) < 0.5,
            "u": np.tile(np.arange(24), 3),
            "part": np.repeat(["p", "q", "r"], 24),
            "t": np.repeat([0, 1, 3], 24),
            "se": 0.3 + rng.random(N),
            "w": 1.0 + rng.integers(0, 4, N),
            "n": 4 + rng.integers(0, 4, N),
            "e": np.log(1.0 + rng.random(N)),
        }
    )
    d["y"] = 2.0 + d["x"] + 0.3 * g + 0.2 * (g % 4) * d["x"] + d["is_new"] + rng.normal(0, 0.5, N)
    d["count"] = rng.poisson(np.exp(0.3 * d["x"] + d["e"] + 0.1 * g))
    d["k"] = rng.binomial(d["n"], 0.4)
    d["score"] = pd.cut(d["y"], [-9, 2.5, 4, 5.5, 99], labels=["bad", "fair", "good", "best"])
    return d


def covariance():
    A = np.random.default_rng(1).normal(size=(N, 3))
    V = 0.2 * np.eye(N)
    V[:30, :30] += 0.1 * (A @ A.T)[:30, :30]
    return V


FORMULA = "y ~ a * x + is_new + (x | g)"
MODELS = {
    "independent": lambda d: hr.Model(FORMULA, d, priors=hr.Priors(sd={"g": {"x": hr.Gamma(2, 1)}}, corr=hr.LKJ(2))),
    "weights": lambda d: hr.Model("np.log(y + 9) ~ poly(x, 2) + (1 | g)".replace("np.", ""), d, weights="w"),
    "by": lambda d: hr.Model(FORMULA, d, errors=hr.by("part")),
    "correlated": lambda d: hr.Model("y ~ part:x + (1 | g)", d[:60], errors=hr.correlated("part", unit="u")),
    "exchangeable": lambda d: hr.Model("y ~ x + (0 + x | g)", d, errors=hr.exchangeable("u")),
    "ar1": lambda d: hr.Model("y ~ x + (1 | g)", d, errors=hr.ar1("t", unit="u")),
    "known_se": lambda d: hr.Model("y ~ x + (1 | g)", d, errors=hr.known_se("se", scale=True)),
    "known_cov": lambda d: hr.Model("y ~ x + (1 | g)", d, errors=hr.known_cov(covariance(), scale=True)),
    "crossed": lambda d: hr.Model("y ~ x + (1 | g) + (1 | u)", d),
    "fixed": lambda d: hr.Model(
        "y ~ x + (x | g)",
        d,
        priors=hr.Priors(beta={"x": hr.Fixed(1.0)}, corr={"g": hr.Fixed([[1, 0.2], [0.2, 1]])}, error_sd=hr.Fixed(0.5)),
    ),
    "student t": lambda d: hr.Model("y ~ x + (1 | g)", d, effects={"g": hr.StudentT(4)}),
    "bernoulli": lambda d: hr.Model("is_new ~ x + (1 | g)", d, family=hr.Bernoulli),
    "binomial": lambda d: hr.Model("cbind(k, n - k) ~ x + (1 | g)", d, family=hr.Binomial("probit")),
    "poisson": lambda d: hr.Model("count ~ x + (1 | g)", d, family=hr.Poisson(), offset="e"),
    "negative binomial": lambda d: hr.Model("count ~ x + (1 | g)", d, family=hr.NegativeBinomial(by="part")),
    "student t response": lambda d: hr.Model("y ~ x + (1 | g)", d, family=hr.StudentT(by="part")),
    "cumulative": lambda d: hr.Model("score ~ x + (1 | g)", d, family=hr.Cumulative()),
}
SLOW_TO_SAMPLE = {"student t", "student t response", "negative binomial", "cumulative", "crossed"}


def one_draw(model):
    """Return the shortest posterior."""
    return model.sample(draws=20, tune=20, chains=1, seed=3, progress=False)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_made_again_is_the_same(name, tmp_path):
    model = MODELS[name](table())
    from_prior = hr.prior_predictive(model, draws=3, seed=1)
    again = hr.Model.from_tree(hr.load(hr.save(from_prior, tmp_path / "prior.nc")))
    assert again.formula == model.formula
    assert str(again) == str(model)
    assert str(again.priors) == str(model.priors)
    for column, kept in model.problem.kept.columns.items():
        other = again.problem.kept.columns[column]
        np.testing.assert_array_equal(kept.values, other.values)
        assert kept.categories == other.categories
    assert again.problem.kept.arguments == model.problem.kept.arguments
    other = hr.prior_predictive(again, draws=3, seed=1)
    for group in ("prior", "prior_predictive"):
        for variable, values in from_prior[group].data_vars.items():
            np.testing.assert_array_equal(values, other[group][variable])


@pytest.mark.parametrize("name", [name for name in MODELS if name not in SLOW_TO_SAMPLE])
def test_a_file_alone_predicts(name, tmp_path):
    model, d = MODELS[name](table()), table()
    tree = one_draw(model)
    stored = hr.load(hr.save(tree, tmp_path / "fit.nc"))
    # Of units some of which were observed, in other data sets and at other times.
    rows = d.iloc[[0, 7, 40]].assign(u=[12, 13, 40], t=[9, 9, 9], part="r")
    known = {"new_cov": np.eye(3), "cross_cov": covariance()[:3] / 2} if name == "known_cov" else {}
    given, alone = hr.predict(model, rows, tree, seed=2, **known), hr.predict(stored, rows, seed=2, **known)
    for variable in given.data_vars:
        np.testing.assert_array_equal(given[variable], alone[variable])


@pytest.mark.parametrize("name", ["correlated", "poisson"])
def test_groups_of_rows_follow_from_a_file_alone(name, tmp_path):
    model = MODELS[name](table())
    tree = one_draw(model)
    stored = hr.load(hr.save(tree, tmp_path / "fit.zarr"))
    for make in (lambda *a: hr.posterior_predictive(*a, seed=4), hr.log_likelihood):
        one, other = make(tree, model), make(stored)
        group = (set(one.children) - set(tree.children)).pop()
        for variable, values in one[group].data_vars.items():
            np.testing.assert_array_equal(values, other[group][variable])
        assert "g" in other[group].coords


def test_rows_have_their_labels_as_coordinates():
    d = table()
    tree = hr.posterior_predictive(one_draw(MODELS["by"](d)), seed=1)
    for group in ("observed_data", "posterior_predictive"):
        rows = tree[group].to_dataset()
        for column in ("a", "g", "part", "is_new"):
            np.testing.assert_array_equal(rows.coords[column], d[column])
        assert "x" not in rows.coords
        assert (rows["y"].where(rows["part"] == "q", drop=True).sizes["obs"]) == 24
        assert "y" not in rows.coords
    constant = tree["constant_data"].to_dataset()
    assert set(constant.data_vars) == {"y", "a", "x", "is_new", "g", "part"}
    assert list(constant.data_vars)[-1] == "y"
    assert set(constant.dims) == {"obs"}
    assert arviz_base.extract(tree, group="posterior_predictive").coords["g"].dims == ("obs",)


@pytest.mark.parametrize(
    "column", ["obs", "chain_", "unit", "km/h", "posterior", "group", "x y", "error_patterns", "ü"]
)
def test_columns_of_any_name_are_carried(column, tmp_path):
    d = table().rename(columns={"x": column})
    model = hr.Model(f"y ~ `{column}` + (1 | g)", d)
    tree = hr.prior_predictive(model, draws=2, seed=1)
    again = hr.Model.from_tree(hr.load(hr.save(tree, tmp_path / "fit.nc")))
    np.testing.assert_array_equal(again.problem.design.X, model.problem.design.X)


@pytest.mark.parametrize("make", [pl.from_pandas, lambda d: pl.from_pandas(d).to_arrow(), lambda d: d.to_dict("list")])
def test_tables_of_any_library_are_carried(make):
    d = table().drop(columns="score")
    model = hr.Model("y ~ a + x + (1 | u)", make(d.assign(a=d["a"].astype(str))))
    again = hr.Model.from_tree(hr.prior_predictive(model, draws=2, seed=1))
    np.testing.assert_array_equal(again.problem.design.X, model.problem.design.X)
    assert again.problem.labels.factors[0].levels.tolist() == list(range(24))


def test_a_later_change_of_the_table_changes_nothing():
    d = table()
    model = hr.Model("y ~ x + (1 | g)", d)
    d.loc[:, "x"] = 0.0
    again = hr.Model.from_tree(hr.prior_predictive(model, draws=2, seed=1))
    np.testing.assert_array_equal(again.problem.design.X, model.problem.design.X)


def test_statistics_alone_are_carried(tmp_path):
    d = table()
    priors = hr.Priors(error_sd=hr.HalfNormal(3))
    model = hr.Model.from_gram(hr.Gram.from_batches([d[:30], d[30:]], "y ~ x + (x | g)"), priors=priors)
    tree = one_draw(model)
    stored = hr.load(hr.save(tree, tmp_path / "fit.nc"))
    assert "constant_data" not in stored.children
    again = hr.Model.from_tree(stored)
    assert str(again.priors) == str(model.priors)
    rows = d.iloc[[3, 50]]
    np.testing.assert_array_equal(
        hr.predict(stored, rows, seed=1)["mean"], hr.predict(model, rows, tree, seed=1)["mean"]
    )


def test_large_tables_stay_where_they_are(monkeypatch):
    from hierreg.problem import given
    from hierreg.results import carried

    d = table()
    monkeypatch.setattr(given, "MOST_BYTES", 100)
    model = hr.Model("y ~ x + (x | g)", d)
    tree = one_draw(model)
    assert "constant_data" not in tree.children
    rows = d.iloc[[3, 50]]
    expected = hr.predict(model, rows, tree, seed=1)
    np.testing.assert_allclose(hr.predict(tree, rows, seed=1)["mean"], expected["mean"], rtol=1e-12)
    monkeypatch.setattr(carried, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="does not say which model"):
        hr.predict(one_draw(model), rows)


def test_what_is_no_result_or_has_lost_its_model_is_refused():
    d = table()
    model = hr.Model("y ~ x + (1 | g)", d)
    tree = one_draw(model)
    with pytest.raises(ModelError, match="at is missing"):
        hr.predict(model, d)
    with pytest.raises(ModelError, match="give a result alone"):
        hr.predict(tree, d, tree)
    with pytest.raises(ModelError, match="tree has type dict"):
        hr.Model.from_tree({})
    lost = tree.copy()
    del lost["constant_data"]
    with pytest.raises(DataError, match="lost the rows"):
        hr.Model.from_tree(lost)
    for damaged in ({"formula": 3}, {}, {"kind": "os.system"}):
        other = tree.copy()
        other["model"] = other["model"].to_dataset().assign(arguments=json.dumps(damaged))
        with pytest.raises(DataError, match="damaged"):
            hr.Model.from_tree(other)
