"""Columns that others determine, dropped with `collinear="drop"`: from rows and from cross-products."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, HierregWarning, ModelError

N = 120


@pytest.fixture(scope="module")
def data():
    """A table of two factors without one of the six combinations, far from zero, and columns that repeat others."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "a": rng.choice(list("pqr"), N),
            "c": rng.choice(list("uv"), N),
            "x": 1e9 + rng.normal(size=N),
            "g": np.arange(N) % 10,
            "k": 0.1,
            "zero": 0.0,
        }
    )
    table = table[(table.a != "r") | (table.c != "v")].reset_index(drop=True)
    table["w"] = 3.0 * table.x - 2.0
    effect = rng.normal(size=10)
    table["y"] = (table.x - 1e9) + effect[table.g] + (table.a == "q") + rng.normal(size=len(table))
    return table


def dropping(make, *args, match="", **kwargs):
    """Return what is made with dropped columns, of which it warns."""
    with pytest.warns(HierregWarning, match=match):
        return make(*args, **kwargs, collinear="drop")


def from_rows(formula, data, match=""):
    return dropping(hr.Model, formula, data, match=match)


def from_batches(formula, data, match=""):
    # a batch of one row, in which every column is constant
    batches = [data[:30], data[30:31], data[31:]]
    return hr.Model.from_gram(dropping(hr.Gram.from_batches, batches, formula, match=match))


@pytest.mark.parametrize("make", [from_rows, from_batches])
def test_an_empty_cell_leaves_the_means_of_the_others(make, data):
    words = r"of the population columns, 'a\[T.r\]:c\[T.v\]' is left out, since .* zero in every row"
    model = make("y ~ a * c", data, words)
    assert "dropped: a[T.r]:c[T.v]" in repr(model)
    estimate = model.estimate()
    cells = data.groupby(["a", "c"])["y"].mean().reset_index()
    predicted = hr.predict(model, cells[["a", "c"]], at=estimate, observation=False)
    np.testing.assert_allclose(predicted["mean"], cells["y"], rtol=1e-9)
    with pytest.raises(DataError, match=r"1 row .*row 1.* 'a\[T.r\]:c\[T.v\]' is zero .* never observed"):
        hr.predict(model, {"a": ["p", "r"], "c": ["v", "v"]}, at=estimate, observation=False)


DROPPED = {
    "y ~ x + w + (1 | g)": "y ~ x + (1 | g)",
    "y ~ k + x + zero + w": "y ~ x",
    "y ~ x + (1 | g) + (0 + k | g)": "y ~ x + (1 | g)",
    "y ~ 1 + (x + w || g)": "y ~ 1 + (x || g)",
    "y ~ x + w + zero + (x + w + zero | g)": "y ~ x + (x | g)",
}


# With || and a predictor a billion away from zero, intercepts and slopes of groups are hardly told apart.
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.IdentificationWarning")
@pytest.mark.parametrize("make", [from_rows, from_batches])
@pytest.mark.parametrize("formula", DROPPED)
def test_what_is_left_is_the_model_without_the_columns(make, formula, data):
    model, other = make(formula, data), hr.Model(DROPPED[formula], data)
    mine, theirs = model.estimate(), other.estimate()
    assert mine.criterion == pytest.approx(theirs.criterion, rel=1e-9)
    assert mine.beta["coef"].to_numpy().tolist() in (theirs.beta["coef"].to_numpy().tolist(), ["Intercept", "k"])
    if mine.sd:
        np.testing.assert_allclose(mine.sd["g"], theirs.sd["g"], rtol=1e-4)


@pytest.mark.parametrize("make", [from_rows, from_batches])
def test_a_constant_stands_before_the_dummy_columns(make, data):
    # one column of `a` is left out, whichever: the fitted values are the means of the three groups
    model = make("y ~ 0 + a + k", data, r"'a\[r\]' is left out")
    means = data.groupby("a")["y"].mean()
    predicted = hr.predict(model, {"a": list("pqr"), "k": [0.1] * 3}, at=model.estimate(), observation=False)
    np.testing.assert_allclose(predicted["mean"], means, rtol=1e-9)
    with pytest.raises(DataError, match="never observed"):
        hr.predict(model, {"a": ["p"], "k": [0.2]}, at=model.estimate(), observation=False)


def test_shared_columns_stay_one_array(data):
    design = from_rows("y ~ x + w + (x + w | g)", data).problem.design
    assert design.factors[0].Z is design.X
    assert (design.factors[0].term_sizes, design.factors[0].coef_names) == ((2,), ("Intercept", "x"))


def test_a_term_of_nothing_is_refused(data):
    formula, words = "y ~ x + (0 + zero | g)", "no column of the terms on 'g' varies: 'zero' is zero in every row"
    with pytest.raises(DataError, match=words):
        hr.Model(formula, data, collinear="drop")
    with pytest.raises(DataError, match=words):
        hr.Gram.from_batches([data], formula, collinear="drop")


def test_nothing_to_drop_is_no_warning(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = hr.Model("y ~ x + (1 | g)", data, collinear="drop")
    assert "dropped" not in repr(model)
    with pytest.raises(ModelError, match="collinear='remove' is not one of 'refuse', 'drop'"):
        hr.Model("y ~ x", data, collinear="remove")
    with pytest.raises(ModelError, match="collinear='remove' is not one of 'refuse', 'drop'"):
        hr.Gram.from_batches([data], "y ~ x", collinear="remove")


def test_statistics_keep_what_was_dropped_in_a_file(data, tmp_path):
    gram = from_rows("y ~ x + w + (1 | g)", data).gram
    gram.save(tmp_path / "rows.npz")
    model = hr.Model.from_gram(hr.Gram.load(tmp_path / "rows.npz"))
    row = data[["x", "w", "g"]].head(2)
    at = model.estimate()
    first = hr.predict(from_rows("y ~ x + w + (1 | g)", data), row, at=at, observation=False)
    np.testing.assert_allclose(hr.predict(model, row, at=at, observation=False)["mean"], first["mean"], rtol=1e-12)
    with pytest.raises(DataError, match="'w' is a linear combination of 'x'"):
        hr.predict(model, row.assign(w=0.0), at=at, observation=False)


def test_statistics_add_where_the_same_determines_the_same_columns(data):
    formula = "y ~ x + w + (1 | g)"
    halves = [data[: N // 2], data[N // 2 :]]
    both = sum((from_rows(formula, half).gram for half in halves[1:]), from_rows(formula, halves[0]).gram)
    whole = from_rows(formula, data).estimate()
    assert hr.Model.from_gram(both).estimate().criterion == pytest.approx(whole.criterion, rel=1e-9)
    for other in (halves[1].assign(w=2.0 * halves[1].x), halves[1].assign(w=3.0 * halves[1].x - 1.0)):
        with pytest.raises(ModelError, match="not collinear in both together"):
            from_rows(formula, halves[0]).gram + from_rows(formula, other).gram
    with pytest.raises(ModelError, match="none dropped"):
        from_rows(formula, halves[0]).gram + hr.Model(formula, halves[1].assign(w=np.arange(len(halves[1])))).gram


def test_results_record_what_was_dropped(data):
    model = from_rows("y ~ x + w", data)
    tree = model.sample(draws=100, chains=1, seed=1, method="psis")
    assert json.loads(tree.attrs["dropped_columns"]) == ["w"]


@pytest.mark.parametrize("seed", [0, 1, 5, 8])
def test_no_more_columns_are_kept_than_there_are_rows(seed):
    """Whatever rounding of cross-products leaves of the others: eight rows tell eight columns."""
    rng = np.random.default_rng(seed)
    names = [f"x{i}" for i in range(12)]
    table = pd.DataFrame({name: rng.normal(size=8) + (100.0 if i % 2 else 0.0) for i, name in enumerate(names)})
    table["y"], table["se"] = rng.normal(size=8), 1.0
    formula, batches = "y ~ " + " + ".join(names), [table[:6], table[6:]]
    gram = dropping(hr.Gram.from_batches, batches, formula, hr.known_se("se"))
    assert gram.coef_names == ("Intercept", *names[:7])
    assert dropping(hr.Model, formula, table, hr.known_se("se")).problem.labels.coef == gram.coef_names
