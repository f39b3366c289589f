"""Bad formulas and tables: what is given, which error, and the words that it must say."""

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from hierreg.checks import check_choice, counted, first_rows, listed, suggestion
from hierreg.design_matrices import as_table, build_design, column, column_levels, stack
from hierreg.exceptions import DataError, FormulaError, HierregError, ModelError
from hierreg.formula import parse_formula

N = 8
GOOD = {
    "y": np.array([1.0, 3.0, 2.0, 5.0, 4.0, 8.0, 7.0, 9.0]),
    "x": np.array([0.5, 1.0, 4.0, 2.0, 3.0, 7.0, 5.0, 6.0]),
    "z": np.array([1.0, 0.0, 2.0, 1.0, 5.0, 4.0, 3.0, 1.0]),
    "f": np.array(list("abcabcab"), dtype=object),
    "g": np.array(list("uuvvwwuv"), dtype=object),
    "h": np.array([1, 2, 1, 2, 1, 2, 1, 2]),
}


def with_values(name, replacements):
    """Return the good table with some entries of one column replaced."""
    values = list(GOOD[name])
    for row, value in replacements.items():
        values[row] = value
    return GOOD | {name: values}


def polars_with_null(name):
    return pl.DataFrame({key: list(values) for key, values in with_values(name, {2: None, 5: None}).items()})


def pandas_with_duplicate():
    return pd.concat([pd.DataFrame(GOOD), pd.DataFrame({"x": GOOD["z"]})], axis=1)


F = "y ~ x + f + (x | g)"
NEVER_DROPS = "never drops rows"

# formula, table, exception, words that must appear
TABLES = {
    # missing values
    "NaN in a predictor": (
        F,
        with_values("x", {4: np.nan, 6: np.nan}),
        DataError,
        ["data['x'] (predictor)", "2 missing values", "rows 4, 6", NEVER_DROPS],
    ),
    "one NaN": (F, with_values("x", {4: np.nan}), DataError, ["1 missing value ", "row 4"]),
    "NaN in the response": (
        F,
        with_values("y", {0: np.nan}),
        DataError,
        ["data['y'] (response)", "1 missing value", "row 0", NEVER_DROPS, "hr.correlated"],
    ),
    "None in a categorical": (F, with_values("f", {1: None}), DataError, ["data['f'] (predictor)", "row 1"]),
    "None in the groups": (
        F,
        with_values("g", {7: None}),
        DataError,
        ["data['g'] (grouping factor)", "row 7"],
    ),
    "NaN in numeric groups": (
        "y ~ x + (1 | h)",
        with_values("h", {7: np.nan}),
        DataError,
        ["data['h']", "row 7"],
    ),
    "null in polars": (F, polars_with_null("x"), DataError, ["data['x']", "2 missing values", "rows 2, 5"]),
    "null in polars text": (F, polars_with_null("g"), DataError, ["data['g']", "rows 2, 5"]),
    "NaN in polars, not null": (F, pl.DataFrame(with_values("x", {3: float("nan")})), DataError, ["row 3"]),
    "null and NaN in polars": (
        F,
        pl.DataFrame(GOOD | {"x": [None, float("nan"), *GOOD["x"][2:]]}),
        DataError,
        ["2 missing values", "rows 0, 1"],
    ),
    "null in pyarrow": (F, pa.table(with_values("x", {3: None})), DataError, ["data['x']", "row 3"]),
    "null in a dictionary array": (
        F,
        pa.table(GOOD | {"g": pa.array([None, *GOOD["g"][1:]]).dictionary_encode()}),
        DataError,
        ["data['g']", "row 0"],
    ),
    "missing category": (
        F,
        GOOD | {"f": pd.Categorical.from_codes([0, 1, -1] * 2 + [0, 1], ["a", "b"])},
        DataError,
        ["data['f']", "2 missing values", "rows 2, 5"],
    ),
    "nothing but missing": (F, pl.DataFrame(GOOD | {"x": [None] * N}), DataError, ["8 missing values"]),
    "only the first rows are named": (
        F,
        GOOD | {"x": [np.nan] * N},
        DataError,
        ["8 missing", "rows 0, 1, 2)"],
    ),
    # infinities
    "infinite predictor": (
        F,
        with_values("x", {2: np.inf}),
        DataError,
        ["data['x'] (predictor)", "1 infinite value", "row 2", "finite"],
    ),
    "infinite response": (F, with_values("y", {2: -np.inf}), DataError, ["data['y'] (response)", "infinite"]),
    "infinite group": (
        "y ~ x + (1 | h)",
        with_values("h", {2: np.inf}),
        DataError,
        ["data['h']", "infinite"],
    ),
    # transforms out of their range
    "logarithm of a negative number": (
        "y ~ log(x) + (1 | g)",
        with_values("x", {1: -1.0, 3: -2.0}),
        DataError,
        ["`log(x)`", "2 rows", "rows 1, 3", "'x'", "negative"],
    ),
    "logarithm of zero in a bar term": ("y ~ x + (log(z) | g)", GOOD, DataError, ["`log(z)`", "row 1: -inf"]),
    "logarithm in the response": ("log(y) ~ x", with_values("y", {2: 0.0}), DataError, ["`log(y)`", "row 2"]),
    "overflow": ("y ~ exp(x)", with_values("x", {2: 1e4}), DataError, ["`exp(x)`", "row 2: inf", "overflow"]),
    "division by zero": ("y ~ I(x / z)", GOOD, DataError, ["`I(x / z)`", "row 1: inf", "division by zero"]),
    "scale of a constant": ("y ~ scale(x)", GOOD | {"x": np.full(N, 2.0)}, DataError, ["`scale(x)`", "nan"]),
    # constant and collinear columns
    "constant column": (
        "y ~ x + z",
        GOOD | {"z": np.full(N, 0.1)},
        DataError,
        ["'z'", "constant", "0.1 in every row", "intercept"],
    ),
    "zero column": ("y ~ 0 + x + z", GOOD | {"z": np.zeros(N)}, DataError, ["'z'", "zero in every row"]),
    "constant after a transform": ("y ~ I(x - x)", GOOD, DataError, ["'I(x - x)'", "zero in every row"]),
    "constant in a bar term": (
        "y ~ 1 + (z | g)",
        GOOD | {"z": np.full(N, 3.0)},
        DataError,
        ["'z'", "constant", "group columns of 'g'", "intercept"],
    ),
    "collinear": (
        "y ~ x + z + w",
        GOOD | {"w": 2 * GOOD["x"] - GOOD["z"] + 1},
        DataError,
        ["'w' is a linear combination of 'x', 'z'", "intercept", "leave one"],
    ),
    "collinear pair": (
        "y ~ x + z + w",
        GOOD | {"w": 100 * GOOD["x"]},
        DataError,
        ["'w' is a linear combination of 'x'."],
    ),
    "two collinear columns": (
        "y ~ x + z + v + w",
        GOOD | {"v": -GOOD["x"], "w": GOOD["z"] + 1e6},
        DataError,
        ["'v' is a linear combination of 'x'; 'w' is a linear combination of 'z'"],
    ),
    "collinear without an intercept": (
        "y ~ 0 + x + z + w",
        GOOD | {"w": GOOD["x"] + GOOD["z"]},
        DataError,
        ["the population columns are collinear", "'w'", "'x', 'z'"],
    ),
    "collinear categoricals": ("y ~ f + k", GOOD | {"k": GOOD["f"]}, DataError, ["'k[T.b]'", "'f[T.b]'"]),
    "collinear in a bar term": (
        "y ~ 1 + (x + w | g)",
        GOOD | {"w": 3 * GOOD["x"]},
        DataError,
        ["'w'", "'x'"],
    ),
    "a spline and the intercept": (
        "y ~ cr(x, df=3)",
        GOOD,
        DataError,
        ["cr(x, df=3)", "constraints='center'"],
    ),
    "more columns than rows": ("y ~ C(x) * f", GOOD, DataError, ["24 population columns", "only 8 rows"]),
    # columns that are not there
    "unknown predictor": ("y ~ X1", GOOD, DataError, ["no column 'X1' (predictor)", "columns are 'y', 'x'"]),
    "unknown predictor, nearly right": (
        "y ~ Days",
        GOOD | {"days": GOOD["x"]},
        DataError,
        ["no column 'Days'", "Did you mean 'days'?"],
    ),
    "unknown response": ("yy ~ x", GOOD, DataError, ["no column 'yy' (response)", "Did you mean 'y'?"]),
    "unknown group": ("y ~ x + (1 | group)", GOOD, DataError, ["no column 'group' (grouping factor)"]),
    "unknown column in a call": ("y ~ log(w)", GOOD, DataError, ["no column 'w'"]),
    "a name of formulaic's": ("y ~ np", GOOD, DataError, ["no column 'np'"]),
    # types
    "truth values as response": ("b ~ x", GOOD | {"b": GOOD["x"] > 2}, DataError, ["data['b']", "astype(float)"]),
    "a function of truth values as response": ("I(2 * b) ~ x", GOOD | {"b": GOOD["x"] > 2}, DataError, ["truth"]),
    "truth values among objects as response": (
        "b ~ x",
        GOOD | {"b": (GOOD["x"] > 2).astype(object)},
        DataError,
        ["truth values"],
    ),
    "text as response": ("f ~ x", GOOD, DataError, ["data['f'] (response)", "text or categories", "numeric"]),
    "categories as response": (
        "f ~ x",
        GOOD | {"f": pd.Categorical(GOOD["f"])},
        DataError,
        ["data['f'] (response)"],
    ),
    "numbers as text": (
        F,
        GOOD | {"y": [str(value) for value in GOOD["y"]]},
        DataError,
        ["'1.0'", "numeric"],
    ),
    "a function of text": ("y ~ log(f)", GOOD, DataError, ["data['f']", "needs numbers", "'a'"]),
    "dates": (F, GOOD | {"x": pd.date_range("2020-01-01", periods=N)}, DataError, ["data['x']", "Datetime"]),
    "durations": (F, GOOD | {"x": pd.to_timedelta(range(N), unit="s")}, DataError, ["data['x']", "Duration"]),
    "dates in polars": (
        F,
        pl.DataFrame(GOOD | {"x": [dt.date(2020, 1, 1)] * N}),
        DataError,
        ["data['x']", "Date", "convert"],
    ),
    "lists": (F, pl.DataFrame(GOOD | {"x": [[1, 2]] * N}), DataError, ["data['x']", "List"]),
    "lists as objects": (F, pd.DataFrame(GOOD | {"x": [[1, 2]] * N}), DataError, ["data['x']", "list"]),
    "mixed types": (F, with_values("f", {3: 1.5}), DataError, ["data['f']", "float, str"]),
    "complex numbers": (F, GOOD | {"x": GOOD["x"] + 1j}, DataError, ["data['x']", "cannot use"]),
    "dates as groups": (
        "y ~ x + (1 | h)",
        GOOD | {"h": pd.date_range("2020-01-01", periods=N)},
        DataError,
        ["data['h'] (grouping factor)", "to text"],
    ),
    "mixed groups": (F, with_values("g", {3: 1}), DataError, ["data['g'] (grouping factor)", "int, str"]),
    # groups
    "groups numeric by accident": (
        "y ~ x + (1 | z)",
        GOOD | {"z": GOOD["x"] / 3},
        DataError,
        ["data['z'] (grouping factor)", "fractions", "0.1666", "text"],
    ),
    "huge groups as decimals": ("y ~ x + (1 | h)", GOOD | {"h": 1e16 + GOOD["h"]}, DataError, ["too large"]),
    "one group": (F, GOOD | {"g": ["u"] * N}, DataError, ["'g'", "single level 'u'", "at least two"]),
    "one combination of groups": (
        "y ~ x + (1 | f:g)",
        GOOD | {"f": ["a"] * N, "g": ["u"] * N},
        DataError,
        ["'f:g'", "single level 'a:u'"],
    ),
    "labels that run together": (
        "y ~ x + (1 | f:g)",
        GOOD | {"f": ["a:b"] * 4 + ["a"] * 4, "g": ["c"] * 4 + ["b:c"] * 4},
        DataError,
        ["'f:g'", "look the same", "a:b:c"],
    ),
    "one category": ("y ~ x + f", GOOD | {"f": ["a"] * N}, DataError, ["data['f']", "single level 'a'"]),
    "one level in C": ("y ~ x + C(h)", GOOD | {"h": [3] * N}, DataError, ["data['h']", "single level 3"]),
    # formulas that only the data show to be wrong
    "the same column twice": (
        "y ~ x + (1 | g) + (x | g)",
        GOOD,
        FormulaError,
        ["'Intercept'", "more than one bar term", "(1 | g) + (0 + x | g)"],
    ),
    "the same bar term twice": ("y ~ x + (1 | g) + (1 | g)", GOOD, FormulaError, ["'Intercept'", "'g'"]),
    "no columns at all": ("y ~ 0", GOOD, FormulaError, ["no terms at all", "y ~ 1"]),
    "impossible argument": ("y ~ poly(x, 'two')", GOOD, FormulaError, ["`1 + poly(x, 'two')`", "evaluated"]),
    "unknown base level": ("y ~ C(f, Treatment('q'))", GOOD, FormulaError, ["Treatment('q')", "'q'"]),
    "columns of one name": (
        "y ~ `x:z` + x:z",
        GOOD | {"x:z": GOOD["x"] ** 2},
        FormulaError,
        ["same name", "'x:z'"],
    ),
    # tables
    "no rows": (F, pd.DataFrame(GOOD).head(0), DataError, ["no rows", "'y', 'x'"]),
    "no rows and no columns": (F, {}, DataError, ["no rows"]),
    "no rows in polars": (F, pl.DataFrame(GOOD).head(0), DataError, ["no rows"]),
    "two columns of one name": (
        F,
        pandas_with_duplicate(),
        DataError,
        ["same name", "'x' 2 times", "Rename"],
    ),
    "two columns of one name in pyarrow": (
        F,
        pa.table([pa.array(GOOD["x"])] * 2, names=["x", "x"]),
        DataError,
        ["same name", "'x'"],
    ),
    "lazy": (F, pl.DataFrame(GOOD).lazy(), DataError, ["lazy", ".collect()"]),
    "no table": (F, [1, 2], DataError, ["must be a pandas or polars DataFrame", "not list"]),
    "an array": (F, np.zeros((2, 2)), DataError, ["not ndarray"]),
    "a series": (F, pd.Series([1.0]), DataError, ["not Series"]),
    "nothing": (F, None, DataError, ["not NoneType"]),
    "a path": (F, "data.csv", DataError, ["not str"]),
    "columns of unequal length": (F, GOOD | {"x": [1.0, 2.0]}, DataError, ["equally long", "'x': 2"]),
    "a matrix as column": (F, GOOD | {"x": np.zeros((N, 2))}, DataError, ["data['x']", "one-dimensional"]),
    "text as column": (F, GOOD | {"x": "abcdefgh"}, DataError, ["data['x']", "one-dimensional"]),
    "scalars": (F, {"y": 1.0, "x": 2.0}, DataError, ["data['y']", "one-dimensional"]),
}


@pytest.mark.parametrize(("formula", "data", "exception", "words"), TABLES.values(), ids=TABLES.keys())
def test_bad_tables(formula, data, exception, words):
    spec = parse_formula(formula)
    with pytest.raises(HierregError) as caught:
        build_design(spec, data)
    assert type(caught.value) is exception
    message = str(caught.value)
    for word in words:
        assert word in message
    assert "HIERREG" not in message
    assert message.endswith((".", "'", "?"))


def test_the_good_table_is_good():
    design, _ = build_design(parse_formula(F), GOOD)
    assert design.X.shape == (N, 4)


# table of new data, whether it has the response, words that must appear
NEW_DATA = {
    "new category": (
        GOOD | {"f": ["q"] + ["a"] * 6 + ["r"]},
        True,
        ["data['f']", "'q', 'r'", "rows 0, 7", "'a', 'b', 'c'", "no coefficient"],
    ),
    "new group": (GOOD | {"g": ["u"] * 7 + ["nobody"]}, True, ["1 row ", "'g'", "row 7", "'nobody'"]),
    "group of another type": (GOOD | {"g": [1] * N}, True, ["8 rows", "'g'", "rows 0, 1, 2", "'1'"]),
    "no response": ({key: GOOD[key] for key in "xfg"}, True, ["no column 'y' (response)"]),
    "no predictor": ({key: GOOD[key] for key in "yfg"}, False, ["no column 'x' (predictor)"]),
    "no group": ({key: GOOD[key] for key in "yxf"}, False, ["no column 'g' (grouping factor)"]),
    "missing values": (with_values("x", {3: np.nan}), False, ["data['x']", "row 3", NEVER_DROPS]),
    "text for numbers": (GOOD | {"x": list("abcdefgh")}, False, ["data['x']", "was numeric", "'a'"]),
    "numbers for text": (GOOD | {"f": range(N)}, False, ["data['f']", "not seen", "0, 1, 2"]),
    "no rows": (pd.DataFrame(GOOD).head(0), False, ["no rows"]),
}


@pytest.mark.parametrize(("data", "response", "words"), NEW_DATA.values(), ids=NEW_DATA.keys())
def test_bad_new_data(data, response, words):
    _, state = build_design(parse_formula(F), GOOD)
    with pytest.raises(DataError) as caught:
        state.apply(data, response=response)
    for word in words:
        assert word in str(caught.value)


def test_new_data_outside_of_a_spline():
    _, state = build_design(parse_formula("y ~ bs(x, df=4)"), GOOD)
    words = r"^`bs\(x, df=4\)`, which the model knows from 0\.5 to 7: .* beyond .* lower_bound.* extrapolation='extend'"
    with pytest.raises(FormulaError, match=words):
        state.apply({"x": [100.0]}, response=False)


@pytest.mark.parametrize("remedy", ["lower_bound=0, upper_bound=200", "extrapolation='extend'", "extrapolation='clip'"])
def test_the_remedies_for_new_data_outside_of_a_spline_help(remedy):
    _, state = build_design(parse_formula(f"y ~ bs(x, df=4, {remedy})"), GOOD)
    assert np.isfinite(state.apply({"x": [0.0, 100.0]}, response=False).X).all()


def test_bad_choices():
    _, state = build_design(parse_formula(F), GOOD)
    with pytest.raises(ModelError, match=r"new_levels='allowed' is not one of 'error', 'allow'\. Did you mean 'allow'"):
        state.apply(GOOD, response=True, new_levels="allowed")
    with pytest.raises(ModelError, match="collinear='keep' is not one of 'refuse', 'drop'"):
        build_design(parse_formula(F), GOOD, collinear="keep")


A = {"unit": [1, 2, 3], "y": [1.0, 2.0, 3.0]}

# tables, arguments, words that must appear
STACKS = {
    "one table": ({"a": A}, {}, ["at least two tables"]),
    "no dictionary": ([A, A], {}, ["dictionary", "at least two"]),
    "other columns": ({"a": A, "b": A | {"x": [1, 2, 3]}}, {}, ["'a'", "lacks", "'x'"]),
    "fewer columns": ({"a": A, "b": {"unit": [1]}}, {}, ["'b'", "lacks", "'y'"]),
    "no unit": (
        {"a": A, "b": A},
        {"unit": "units"},
        ["no column 'units'", "table 'a'", "Did you mean 'unit'"],
    ),
    "repeated units": (
        {"a": A, "b": A | {"unit": [1, 2, 1]}},
        {},
        ["'b'", "more than one row for 1 of its units", "(1;", "rows 0, 2"],
    ),
    "missing unit": ({"a": A, "b": A | {"unit": [1, None, 2]}}, {}, ["data['unit']", "table 'b'", "row 1"]),
    "column there already": ({"a": A, "b": A}, {"dataset": "y"}, ["dataset='y'", "another name"]),
    "kinds of table": (
        {"a": pd.DataFrame(A), "b": pl.DataFrame(A)},
        {},
        ["different kinds", "pandas", "polars"],
    ),
    "types": ({"a": A, "b": A | {"y": list("abc")}}, {}, ["'y'", "different types", "Float64", "String"]),
    "an empty table": ({"a": A, "b": pd.DataFrame(A).head(0)}, {}, ["no rows"]),
    "no table": ({"a": A, "b": None}, {}, ["not NoneType"]),
}


@pytest.mark.parametrize(("tables", "arguments", "words"), STACKS.values(), ids=STACKS.keys())
def test_bad_stacks(tables, arguments, words):
    with pytest.raises(DataError) as caught:
        stack(tables, **({"unit": "unit"} | arguments))
    for word in words:
        assert word in str(caught.value)


def test_column_roles_are_named():
    table = as_table(GOOD)
    with pytest.raises(DataError, match=r"no column 'se' \(known standard errors\)"):
        column(table, "se", role="known standard errors")
    with pytest.raises(DataError, match=r"data\['x'\] \(unit\) holds numbers with fractions"):
        column_levels(table, "x", role="unit")


def test_no_warning_comes_with_an_error():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DataError):
            build_design(parse_formula("y ~ log(z) + I(x / z)"), GOOD)
    assert not caught


def test_pieces_of_messages():
    assert listed([]) == ""
    assert listed(range(9)) == "0, 1, 2, 3, 4, 5, 6, 7, ... (9 in all)"
    assert suggestion("beta", ["Beta", "x"]) == " Did you mean 'Beta'?"
    assert suggestion("beta", []) == ""
    assert counted(0, "row") == "0 rows"
    assert first_rows(np.ones(5, dtype=bool)) == "rows 0, 1, 2"
    check_choice("a", ["a"], argument="x", error=ModelError)
