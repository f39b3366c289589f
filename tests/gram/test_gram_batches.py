"""Tables in parts: the same statistics as one table, whatever the batches, in every error structure."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, FormulaError, ModelError
from hierreg.gram import Gram
from tests.helpers.tables import ERRORS, FORMULA, assert_same, cut, table


def number_rows(frame):
    return range(len(frame))


@pytest.fixture
def data(rng):
    frame = table(rng, n=120)
    frame["stratum"] = np.where(frame["unit"] % 3 == 0, "P", "Q")
    return frame


@pytest.mark.parametrize("kind", ERRORS)
def test_batches_are_the_same_as_one_table(kind, data):
    whole = hr.Model(FORMULA, data, errors=ERRORS[kind]).gram
    gram = Gram.from_batches(cut(data), FORMULA, ERRORS[kind])
    assert_same(gram, whole)
    if gram.own is not None:
        assert_same(gram.own, whole.own)
    assert gram.origin.errors == whole.origin.errors
    np.testing.assert_allclose(gram.frame.mean, whole.frame.mean, rtol=1e-12)
    np.testing.assert_allclose(gram.frame.squares, whole.frame.squares, rtol=1e-10, atol=1e-20)
    np.testing.assert_allclose(gram.response.squares, whole.response.squares, rtol=1e-10)


@pytest.mark.parametrize("kind", ERRORS)
def test_offsets_of_a_billion_in_x_and_y(kind, data):
    far = data.assign(x=data["x"] + 1e9, y=data["y"] + 1e9).sort_values("x" if "corr" not in kind else "unit")
    if "exch" in kind or kind == "ar1":
        far = far.sort_values("unit")
    whole = hr.Model(FORMULA, far, errors=ERRORS[kind]).gram
    assert_same(Gram.from_batches(cut(far), FORMULA, ERRORS[kind]), whole, rtol=1e-9)


@pytest.mark.parametrize("size", [2, 6, 38, 500])
def test_the_size_of_batches_does_not_matter(size, data):
    """Batches of two rows have fewer rows than the model has columns."""
    whole = hr.Model(FORMULA, data).gram
    assert_same(Gram.from_batches(cut(data, size=size), FORMULA), whole)


def test_rows_sorted_by_predictor_give_batches_without_full_rank(data):
    ordered = data.sort_values(["c", "g", "x"])
    assert_same(Gram.from_batches(cut(ordered, size=7), FORMULA), hr.Model(FORMULA, ordered).gram)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ center(x) + (center(x) | g)",
        "y ~ scale(x) + standardize(se) + (scale(x) | g)",
        "y ~ scale(x, center=False, ddof=0) + (1 | g)",
        "y ~ poly(x, 3) + (1 | g)",
        "center(y) ~ poly(h, 2) + (1 | g)",
        "y ~ bs(x, df=5) + (1 | g)",
        "y ~ bs(x, knots=[1.5, 2.5]) + (1 | g)",
        "y ~ cr(x, df=4, constraints='center') + (1 | g)",
        "y ~ cr(x, knots=[1.5, 2.5]) - 1 + (1 | g)",
        "y ~ C(h, contr.sum) * x + (1 | g)",
        "log(y + 100) ~ log(se) + I(x ** 2) + (0 + x || g)",
        "y ~ x + (x | g:h)",
        "y ~ x + c",
    ],
)
def test_transforms_learn_from_all_batches(formula, data):
    formula = formula.replace("log(y + 100)", "log(exp(y))")
    whole = hr.Model(formula, data).gram
    assert_same(Gram.from_batches(cut(data), formula), whole, rtol=1e-9)


def test_polynomials_far_from_zero(data):
    far = data.assign(x=1e4 + data["x"])
    assert_same(Gram.from_batches(cut(far), "y ~ poly(x, 3)"), hr.Model("y ~ poly(x, 3)", far).gram, rtol=1e-9)


def test_every_way_to_give_batches_is_the_same(data):
    parts = cut(data)
    expected = Gram.from_batches(parts, FORMULA)
    assert_same(Gram.from_batches(lambda: iter(parts), FORMULA), expected, rtol=1e-14)
    given = Gram.from_batches(iter(parts), FORMULA, levels={"c": ["u", "v", "w"]})
    assert_same(given, expected, rtol=1e-14)
    with_empty = [parts[0].iloc[:0], *parts, parts[0].iloc[:0]]
    assert_same(Gram.from_batches(with_empty, FORMULA), expected, rtol=1e-14)


def test_one_pass_is_enough_without_categories_and_transforms(data):
    gram = Gram.from_batches((part for part in cut(data)), "y ~ x + (x | g)")
    assert_same(gram, hr.Model("y ~ x + (x | g)", data).gram)


def test_categories_keep_their_order(data):
    ordered = data.assign(
        g=pd.Categorical(data["g"], categories=[f"g{i}" for i in (3, 1, 0, 2, 6, 5, 4)]),
        c=pd.Categorical(data["c"], categories=["w", "u", "v"]),
        site=pd.Categorical(data["site"], categories=["t", "s"]),
    )
    whole = hr.Model(FORMULA, ordered, errors=hr.by("site")).gram
    assert whole.terms.labels == ("t", "s")
    assert_same(Gram.from_batches(cut(ordered), FORMULA, hr.by("site")), whole)


def test_strata_and_groups_that_appear_late(data):
    late = data.sort_values(["site", "g"], ascending=[False, False])
    gram = Gram.from_batches(cut(late, size=10), FORMULA, hr.by("site"))
    assert gram.terms.labels == ("s", "t")
    assert_same(gram, hr.Model(FORMULA, late, errors=hr.by("site")).gram)


def test_whole_number_groups_are_in_order_of_size(data):
    numbered = data.assign(g=data["h"] * 50)
    gram = Gram.from_batches(cut(numbered), "y ~ x + (x | g)")
    assert gram.factors[0].levels.tolist() == [0, 50, 100, 150, 200]
    assert_same(gram, hr.Model("y ~ x + (x | g)", numbered).gram)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "dict"])
def test_tables_of_every_kind(kind, data):
    import polars as pl
    import pyarrow as pa

    make = {"pandas": lambda t: t, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas, "dict": dict}[kind]
    parts = [make(part.reset_index(drop=True)) for part in cut(data)]
    assert_same(Gram.from_batches(parts, FORMULA), hr.Model(FORMULA, data).gram)


# ---- what cannot be


def test_what_needs_a_second_pass_says_so(data):
    with pytest.raises(DataError, match=r"only once.*the levels of 'c'"):
        Gram.from_batches(iter(cut(data)), FORMULA)
    with pytest.raises(DataError, match=r"only once.*what `scale\(x\)` learns"):
        Gram.from_batches(iter(cut(data)), "y ~ scale(x)")


@pytest.mark.parametrize("errors", [ERRORS["correlated"], ERRORS["exchangeable"], ERRORS["ar1"]])
def test_a_unit_in_two_batches_is_an_error(errors, data):
    with pytest.raises(DataError, match="units of the errors have rows in more than one batch"):
        Gram.from_batches(cut(data, size=7), FORMULA, errors)


@pytest.mark.parametrize(
    ("change", "formula", "errors", "exception", "words"),
    [
        ({}, "y ~ x", hr.known_cov(np.eye(120)), ModelError, "cannot come in batches"),
        ({}, "y ~ x", "by", ModelError, "not an error structure"),
        ({"x2": lambda d: 2 * d["x"] + 1}, "y ~ x + x2", None, DataError, "'x2' is a linear combination of 'x'"),
        ({"x2": 0.1}, "y ~ x + x2", None, DataError, "'x2' is constant .0.1 in every row. beside the intercept"),
        ({"x2": 0.0}, "y ~ x + (0 + x2 | g)", None, DataError, "group columns of 'g' are collinear: 'x2' is zero"),
        ({"g": "a"}, FORMULA, None, DataError, "single level 'a'"),
        ({"c": "u"}, FORMULA, None, DataError, "single level 'u'"),
        (
            {"dataset": "alpha", "unit": number_rows},
            FORMULA,
            ERRORS["correlated"],
            ModelError,
            "at least two",
        ),
        ({"unit": number_rows}, FORMULA, ERRORS["correlated"], DataError, "no unit of column 'unit'"),
        ({"unit": number_rows}, FORMULA, ERRORS["exchangeable"], DataError, "has two rows"),
        ({}, "y ~ center(scale(x))", None, FormulaError, "transform of a transform"),
        ({}, "y ~ nothing", None, DataError, "no column 'nothing'"),
    ],
)
def test_bad_batches(change, formula, errors, exception, words, data):
    with pytest.raises(exception, match=words):
        Gram.from_batches(cut(data.assign(**change)), formula, errors)


def test_what_is_no_iterable_of_tables(data):
    for wrong in (data, dict(data), "rows.csv"):
        with pytest.raises(DataError, match=r"give \[table\]"):
            Gram.from_batches(wrong, FORMULA)
    with pytest.raises(DataError, match="not int"):
        Gram.from_batches(3, FORMULA)
    with pytest.raises(DataError, match="no rows"):
        Gram.from_batches([], FORMULA)
    with pytest.raises(DataError, match="must be a dictionary"):
        Gram.from_batches([data], FORMULA, levels={"c": "uvw"})
    with pytest.raises(DataError, match="has not seen"):
        Gram.from_batches([data], FORMULA, levels={"c": ["u", "v"]})


def test_values_kept_for_quantiles_are_limited(data, monkeypatch):
    monkeypatch.setattr("hierreg.design_matrices.transforms.MOST_VALUES", 100)
    with pytest.raises(DataError, match="Give knots="):
        Gram.from_batches(cut(data), "y ~ bs(x, df=5)")


@pytest.mark.parametrize("formula", ["y ~ x + z + (1 | g)", "y ~ x + (x | g)", "y ~ z + x + z:x", "y ~ 0 + x + z"])
@pytest.mark.parametrize("spread", [1.0, 2.0**40])
@pytest.mark.parametrize("cut", [20, 35])
def test_one_batch_whose_predictor_is_2_to_the_40_from_the_others(formula, spread, cut, rng):
    # Columns that are orthogonal in one batch are all but collinear in the coordinates of the other.
    x, z = rng.normal(size=(2, 40))
    x[cut:] = 2.0**40 + spread * x[cut:]
    y = 1.0 + z + (x - x.mean()) / x.std() + rng.normal(size=40)
    table = pd.DataFrame({"y": y, "x": x, "z": z, "g": np.arange(40) % 5})
    whole = hr.Model(formula, table)
    both = hr.Model.from_gram(hr.Gram.from_batches([table[:cut], table[cut:]], formula))
    q = whole.problem.parameters.n_factor
    Lambda = np.diag([0.5, 0.5 / np.abs(x).max()][:q])
    found, want = (m.problem.likelihood("reml").value_and_gradient(Lambda, np.eye(1)) for m in (both, whole))
    assert found[0] == pytest.approx(want[0], rel=1e-11)
    np.testing.assert_allclose(found[1], want[1], rtol=1e-9, atol=1e-9 * np.abs(want[1]).max(initial=0.0))


@pytest.mark.parametrize("formula", ["y ~ 0 + c + c:x + (1 | g)", "y ~ 0 + x + c + c:x + (1 | g) + (1 | h)"])
@pytest.mark.parametrize("cuts", [(3, 10), (10, 20), (1, 2), (2, 29)])
def test_a_response_of_a_billion_that_indicators_fit_in_batches_with_one_row_of_some(formula, cuts, rng):
    # One row tells the level and the slope of its category together: as much of either may be taken off as y is large.
    n = 30
    table = pd.DataFrame({"x": rng.normal(size=n), "c": np.array(list("abz"))[rng.integers(0, 3, n)]})
    table["g"], table["h"] = np.arange(n) % 3, rng.integers(0, 4, n)
    table["y"] = 1e9 + table["x"] + rng.normal(size=n)
    first, second = cuts
    parts = [table[:first], table[first:second], table[second:]]
    whole, both = (hr.Model(formula, table), hr.Model.from_gram(hr.Gram.from_batches(parts, formula)))
    Lambda = np.diag([0.7, 0.4][: whole.problem.parameters.n_factor])
    found, want = (m.problem.likelihood("reml").value_and_gradient(Lambda, np.eye(1)) for m in (both, whole))
    assert found[0] == pytest.approx(want[0], rel=1e-7)
    np.testing.assert_allclose(found[1], want[1], rtol=0, atol=1e-6 * n)
