"""Designs: against NumPy, formulaic and R, on every kind of table, and reapplied to new data."""

import subprocess
import sys
from copy import deepcopy

import narwhals as nw
import narwhals.stable.v2 as nw_stable
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from formulaic import model_matrix
from hypothesis import given
from hypothesis import strategies as st

from hierreg.design_matrices import as_table, build_design, column, column_levels, stack
from hierreg.exceptions import DataError
from hierreg.formula import parse_formula

N = 37


def design_of(formula, data):
    return build_design(parse_formula(formula), data)


@pytest.fixture
def data(rng):
    """Columns of every usable type, sizes all different, index out of order."""
    return pd.DataFrame(
        {
            "y": rng.normal(5.0, 1.0, N),
            "x": rng.normal(size=N),
            "z": rng.uniform(1.0, 2.0, N),
            "count": rng.integers(1, 4, N),
            "flag": rng.random(N) < 0.4,
            "f": rng.choice(["c", "a", "b"], N),
            "size": pd.Categorical(rng.choice(["small", "big"], N), categories=["small", "middle", "big"]),
            "school": rng.integers(100, 105, N),
            "pupil (id)": rng.choice(["p", "q"], N),
        },
        index=rng.permutation(N),
    )


def test_arrays_of_a_plain_model(data):
    design, _ = design_of("y ~ x + (x | school)", data)
    assert design.response_name == "y"
    assert design.coef_names == ("Intercept", "x")
    np.testing.assert_array_equal(design.y, data["y"])
    np.testing.assert_array_equal(design.X, np.column_stack([np.ones(N), data["x"]]))
    (factor,) = design.factors
    assert (factor.name, factor.levels) == ("school", tuple(sorted(set(data["school"].tolist()))))
    assert all(type(level) is int for level in factor.levels)
    np.testing.assert_array_equal(np.array(factor.levels)[factor.index], data["school"])
    assert (factor.coef_names, factor.term_sizes, factor.term_correlated) == (
        ("Intercept", "x"),
        (2,),
        (True,),
    )
    assert factor.index.dtype == np.intp


def test_arrays_are_read_only_float64_and_contiguous(data):
    before = data.copy(deep=True)
    design, _ = design_of("y ~ count*flag + (1 | f) + (0 + count | f)", data)
    for array in (design.y, design.X, design.factors[0].Z):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert not array.flags.writeable
    assert not design.factors[0].index.flags.writeable
    pd.testing.assert_frame_equal(data, before)
    data["y"] = 0.0  # the user's table stays the user's


def test_identical_expressions_share_one_array(data):
    design, _ = design_of("y ~ x + (1 + x | school)", data)
    assert design.factors[0].Z is design.X


def test_several_bar_terms_are_concatenated(data):
    (factor,) = design_of("y ~ x + (0 + count | f) + (0 + x + size || f)", data)[0].factors
    assert factor.coef_names == ("count", "x", "size[small]", "size[big]")
    assert factor.term_sizes == (1, 3)
    assert factor.term_correlated == (True, False)
    expected = np.column_stack([data["count"], data["x"], data["size"] == "small", data["size"] == "big"])
    np.testing.assert_array_equal(factor.Z, expected)


def test_models_without_groups_and_without_population_columns(data):
    assert design_of("y ~ x", data)[0].factors == ()
    design, _ = design_of("y ~ 0 + (x | f)", data)
    assert design.X.shape == (N, 0)
    assert design.coef_names == ()


FORMULAS = [
    "x",
    "x * f",
    "0 + f",
    "f / size",
    "(x + z + f) ** 2 - x:z",
    "x:f:size",
    "C(count)",
    "C(count, contr.sum)",
    "C(f, Treatment('b'))",
    "C(f, contr.helmert) + C(size, contr.SAS)",
    "C(count, contr.poly)",
    "C(count, Diff)",
    "poly(x, 3)",
    "poly(x, degree=2, raw=True)",
    "bs(x, df=5)",
    "bs(x, knots=[-0.5, 0.5], degree=2)",
    "cr(x, df=4, constraints='center')",
    "cc(x, df=3, constraints='center')",
    "center(x) + scale(z)",
    "standardize(x, ddof=1)",
    "log(z):f + log10(z):x + exp(x)",
    "I(x ** 2) + I(x / z) + I(-3 * x + 1)",
    "count",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_population_columns_are_formulaics(formula, data):
    design, _ = design_of(f"y ~ {formula}", data)
    data["size"] = data["size"].cat.remove_unused_categories()
    expected = model_matrix(formula, data)
    assert design.coef_names == tuple(expected.columns)
    np.testing.assert_allclose(design.X, expected.to_numpy(dtype=float), rtol=1e-14)


def test_numeric_functions(data):
    design, _ = design_of("y ~ 0 + log2(z) + log1p(z) + expm1(x) + sqrt(z) + abs(x) + sin(x) + cos(x) + tanh(x)", data)
    x, z = data["x"].to_numpy(), data["z"].to_numpy()
    expected = [np.log2(z), np.log1p(z), np.expm1(x), np.sqrt(z), np.abs(x), np.sin(x), np.cos(x), np.tanh(x)]
    np.testing.assert_array_equal(design.X, np.column_stack(expected))


def test_truth_values_are_numbers_and_levels_inside_C(data):
    assert design_of("y ~ flag", data)[0].coef_names == ("Intercept", "flag")
    assert design_of("y ~ C(flag)", data)[0].coef_names == ("Intercept", "C(flag)[T.True]")
    np.testing.assert_array_equal(design_of("y ~ flag", data)[0].X, design_of("y ~ C(flag)", data)[0].X)


def test_powers_of_integers_do_not_overflow():
    design, _ = design_of("y ~ I(x ** 5)", {"y": [1.0, 2.0, 3.0], "x": [1, 2, 100_000]})
    assert design.X[2, 1] == 1e25


def test_poly_and_sum_contrasts_are_those_of_r():
    # R 4.2.2: poly(c(1, 2, 4, 7, 11), 2)
    first = [-0.492365963917331007, -0.369274472937997977, -0.123091490979332752]
    first += [0.246182981958665420, 0.738548945875996399]
    second = [0.475997296813150672, 0.079332882802191779, -0.449553002545753366]
    second += [-0.581774473882739507, 0.475997296813150617]
    design, _ = design_of("y ~ poly(x, 2)", {"y": [0.0, 1.0, 0.0, 1.0, 3.0], "x": [1, 2, 4, 7, 11]})
    np.testing.assert_allclose(design.X[:, 1:], np.column_stack([first, second]), rtol=1e-12)
    # R 4.2.2: model.matrix(~ C(f, contr.sum), data.frame(f = factor(c("a", "b", "c", "b"))))
    design, _ = design_of("y ~ C(f, contr.sum)", {"y": [0.0, 1.0, 0.0, 1.0], "f": list("abcb")})
    np.testing.assert_array_equal(design.X, [[1, 1, 0], [1, 0, 1], [1, -1, -1], [1, 0, 1]])


def test_the_response_is_transformed_and_its_transform_remembered(data):
    design, state = design_of("center(y) ~ x", data)
    assert design.response_name == "center(y)"
    np.testing.assert_allclose(design.y, data["y"] - data["y"].mean())
    again = state.apply(data.head(4), response=True)
    np.testing.assert_array_equal(again.y, design.y[:4])


ODD_NAMES = [
    "my col",
    "dose (mg)",
    "50%",
    "class",
    "log",
    "C",
    "Sepal.Length",
    "a:b",
    "it's",
    'a "b"',
    "é",
    "μ",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_column_name_can_be_used(name, rng):
    data = pd.DataFrame({"y": rng.normal(size=9), name: rng.uniform(1, 2, 9), f"g {name}": list("abcabcabc")})
    design, state = design_of(f"y ~ `{name}` + log(`{name}`) + (`{name}` | `g {name}`)", data)
    assert design.coef_names[:2] == ("Intercept", name)
    assert design.coef_names[2].replace("`", "") == f"log({name})"
    np.testing.assert_array_equal(design.X[:, 1:], np.column_stack([data[name], np.log(data[name])]))
    assert design.factors[0].name == f"g {name}"
    np.testing.assert_array_equal(state.apply(data, response=True).X, design.X)


# --- tables of every kind


def tables(data):
    frame = data.reset_index(drop=True)
    polars = pl.DataFrame(
        {name: frame[name].tolist() for name in frame if name != "size"}
        | {"size": pl.Series(frame["size"].tolist(), dtype=pl.Enum(["small", "middle", "big"]))}
    )
    columns = {name: pa.array(frame[name].tolist()) for name in frame if name != "size"}
    codes = pa.array(frame["size"].cat.codes.astype("int32"))
    columns["size"] = pa.DictionaryArray.from_arrays(codes, pa.array(["small", "middle", "big"]))
    return {
        "polars": polars,
        "pyarrow": pa.table(columns),
        "pyarrow in pieces": pa.concat_tables([pa.table(columns).slice(0, 20), pa.table(columns).slice(20)]),
        "narwhals": nw.from_native(frame),
        "narwhals stable": nw_stable.from_native(polars),
        "dictionary": {name: frame[name].to_numpy() for name in frame if name != "size"} | {"size": frame["size"]},
        "dictionary of lists": {name: frame[name].tolist() for name in frame if name != "size"}
        | {"size": frame["size"].array},
        "objects": frame.astype({name: object for name in frame if name != "size"}),
        "nullable": frame.convert_dtypes(),
        "arrow-backed": frame.convert_dtypes(dtype_backend="pyarrow").assign(size=frame["size"]),
    }


KINDS = [
    "polars",
    "pyarrow",
    "pyarrow in pieces",
    "narwhals",
    "narwhals stable",
    "dictionary",
    "dictionary of lists",
]
KINDS += ["objects", "nullable", "arrow-backed"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_design(kind, data):
    formula = "y ~ x * f + C(count) + flag + log(z) + (x | size) + (0 + flag | size)"
    expected, expected_state = design_of(formula, data)
    design, state = design_of(formula, tables(data)[kind])
    for other in (
        design,
        expected_state.apply(tables(data)[kind], response=True),
        state.apply(data, response=True),
    ):
        assert_same(other, expected)


def assert_same(design, expected):
    np.testing.assert_array_equal(design.y, expected.y)
    np.testing.assert_array_equal(design.X, expected.X)
    assert design.coef_names == expected.coef_names
    assert len(design.factors) == len(expected.factors)
    for factor, other in zip(design.factors, expected.factors, strict=True):
        assert (factor.name, factor.levels, factor.coef_names) == (other.name, other.levels, other.coef_names)
        np.testing.assert_array_equal(factor.index, other.index)
        np.testing.assert_array_equal(factor.Z, other.Z)


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint16", "Int64", "boolean"])
def test_number_types(dtype):
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": pd.Series([0, 1, 1]).astype(dtype)})
    np.testing.assert_array_equal(design_of("y ~ x", data)[0].X[:, 1], [0.0, 1.0, 1.0])


def test_decimals():
    data = pl.DataFrame({"y": [1.0, 2.0, 4.0], "x": ["0.5", "1.5", "1.0"]}).with_columns(
        pl.col("x").cast(pl.Decimal(10, 2))
    )
    np.testing.assert_array_equal(design_of("y ~ x", data)[0].X[:, 1], [0.5, 1.5, 1.0])


def test_permuting_the_rows_permutes_the_arrays(data, rng):
    formula = "y ~ x * f + (x + size | `pupil (id)`:school)"
    order = rng.permutation(N)
    design, permuted = design_of(formula, data)[0], design_of(formula, data.iloc[order])[0]
    np.testing.assert_array_equal(permuted.X, design.X[order])
    np.testing.assert_array_equal(permuted.factors[0].index, design.factors[0].index[order])
    assert permuted.factors[0].levels == design.factors[0].levels


# --- levels


def levels_of(values):
    table = pl.DataFrame({"g": values}) if isinstance(values, pl.Series) else {"g": values}
    return column_levels(as_table(table), "g", role="grouping factor")


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["b", "a", "b", "B"], ("B", "a", "b")),
        ([10, 9, 10], (9, 10)),
        ([2.0, 1.0, 1.0], (1, 2)),
        ([True, False, True], ("False", "True")),
        (np.array([3, 1], dtype="int8"), (1, 3)),
        ([2**62 + 1, 2**62], (2**62, 2**62 + 1)),
        (pd.Categorical(["x", "a", "x"], categories=["x", "q", "a"]), ("x", "a")),
        (pd.Categorical([7, 3], categories=[7, 3]), (7, 3)),
        (pd.cut(np.array([0.5, 1.5, 0.1]), [0, 1, 2]), ("(0, 1]", "(1, 2]")),
        (["", " "], ("", " ")),
        (pl.Series(["b", "a", "b"], dtype=pl.Categorical), ("a", "b")),
        (pl.Series(["b", "a", "b"], dtype=pl.Enum(["q", "b", "a"])), ("b", "a")),
    ],
)
def test_levels(values, levels):
    found, index = levels_of(values)
    assert found == levels
    assert index.dtype == np.intp
    assert [str(levels[i]) for i in index] == [str(int(v) if isinstance(v, float) else v) for v in values]


@given(st.lists(st.integers(-3, 3), min_size=1), st.sampled_from([int, str]))
def test_levels_give_the_values_back(values, kind):
    values = [kind(value) for value in values]
    levels, index = levels_of(values)
    assert [levels[i] for i in index] == values
    assert list(levels) == sorted(set(values))


def test_an_interaction_is_one_factor(data):
    design, state = design_of("y ~ x + (1 | f:school)", data)
    (factor,) = design.factors
    assert factor.name == "f:school"
    pairs = [f"{f}:{school}" for f, school in zip(data["f"], data["school"], strict=True)]
    assert [factor.levels[i] for i in factor.index] == pairs
    assert factor.levels == tuple(sorted(set(pairs)))
    again = state.apply(data.iloc[::-1], response=False)
    np.testing.assert_array_equal(again.factors[0].index, factor.index[::-1])


def test_unseen_combinations_are_new_levels():
    data = {"y": [1.0, 2.0, 3.0, 5.0], "a": ["u", "u", "v", "v"], "b": [1, 2, 3, 3]}
    _, state = design_of("y ~ 1 + (1 | a:b)", data)
    new = {"a": ["v", "u", "w", "u"], "b": [3, 3, 1, 2]}
    index = state.apply(new, response=False, new_levels="allow").factors[0].index
    assert index.tolist() == [2, -1, -1, 1]


# --- new data


def test_new_data_uses_what_was_learned(data):
    formula = (
        "log(y) ~ center(x) + scale(count) + I(center(x) ** 2) + poly(exp(x), 2) + bs(z, df=4) + f*size "
        "+ C(flag, contr.sum) + (x | school)"
    )
    design, state = design_of(formula, data)
    rows = np.array([3, 3, 0, 17])
    new = state.apply(data.iloc[rows], response=True)
    np.testing.assert_allclose(new.X, design.X[rows], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(new.y, design.y[rows])
    assert new.factors[0].levels == design.factors[0].levels
    np.testing.assert_array_equal(new.factors[0].index, design.factors[0].index[rows])
    np.testing.assert_array_equal(new.factors[0].Z, design.factors[0].Z[rows])
    assert_same(state.apply(data, response=True), design)  # applying it has changed nothing


def test_applying_leaves_the_state_alone(data):
    _, state = design_of("y ~ scale(x) + C(f)", data)
    spec = state.expressions["1 + scale(x) + C(f)"].model_spec
    before = deepcopy((spec.transform_state, state.learned, spec.column_names))
    state.apply({"x": [100.0, 300.0], "f": ["a", "a"]}, response=False)
    assert repr((spec.transform_state, state.learned, spec.column_names)) == repr(before)


def test_new_data_needs_no_response_and_may_be_one_row(data):
    _, state = design_of("y ~ x + f + (x | school)", data)
    row = {"x": [0.5], "f": ["b"], "school": [101]}
    design = state.apply(row, response=False)
    np.testing.assert_array_equal(design.X, [[1.0, 0.5, 1.0, 0.0]])
    assert np.isnan(design.y).all()
    assert design.factors[0].levels[design.factors[0].index[0]] == 101


def test_new_groups(data):
    _, state = design_of("y ~ x + (x | school)", data)
    new = {"x": [0.5, 1.0, 2.0], "school": [101, 7, 999]}
    design = state.apply(new, response=False, new_levels="allow")
    assert (design.factors[0].index >= 0).tolist() == [True, False, False]
    with pytest.raises(DataError, match=r"2 rows .*'school' is new \(rows 1, 2: '7', '999'\)"):
        state.apply(new, response=False)


def test_no_rank_is_required_of_new_data(data):
    _, state = design_of("y ~ x + z", data)
    assert state.apply({"x": [1.0, 1.0], "z": [1.0, 1.0]}, response=False).X.shape == (2, 3)


# --- columns


def test_column():
    table = as_table({"x": [1, 2], "b": [True, False], "s": ["u", "v"]})
    assert column(table, "x", role="predictor").dtype == np.float64
    assert column(table, "b", role="predictor").tolist() == [True, False]
    assert column(table, "s", role="unit").tolist() == ["u", "v"]


def test_heavy_libraries_wait_for_the_first_table():
    code = (
        "import sys, hierreg.design_matrices, hierreg.formula;"
        "hierreg.formula.parse_formula('log(y) ~ poly(x, 2) + (x | g)');"
        "print(sorted({'pandas', 'formulaic', 'narwhals', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- collinearity: what must not be taken for it


@pytest.mark.parametrize(
    "x",
    [
        1e9 + np.arange(12.0),
        1e15 + np.arange(12.0) % 2,
        1e-200 * np.arange(12.0),
        1.7e9 + 1e-3 * np.arange(12.0),
        np.r_[np.zeros(11), 1e-12],
    ],
)
def test_offsets_and_scales_are_no_collinearity(x):
    data = {"y": np.sin(np.arange(12.0)), "x": x, "z": np.cos(np.arange(12.0))}
    assert design_of("y ~ x + z + (x | g)", data | {"g": list("abcdef") * 2})[0].X.shape == (12, 3)


def test_longley_is_not_collinear():
    from tests.reference import reference_data

    data = reference_data("nist_longley")
    response, *predictors = data.columns
    formula = f"`{response}` ~ " + " + ".join(f"`{name}`" for name in predictors)
    assert design_of(formula, data)[0].X.shape == (16, 7)


def test_collinear_terms_on_one_factor_are_refused(data):
    with pytest.raises(DataError, match=r"columns of 'school' are collinear: 'f\[c\]' is a linear combination"):
        design_of("y ~ 1 + (1 | school) + (0 + f || school)", data)


def test_large_tables_are_checked_in_blocks(rng):
    n = 40_000
    data = {"y": rng.normal(size=n), "x": rng.normal(size=n), "z": rng.normal(size=n)}
    assert design_of("y ~ x + z", data)[0].X.shape == (n, 3)
    data["w"] = data["x"] - 3 * data["z"] + 2
    with pytest.raises(DataError, match="'w' is a linear combination of 'x', 'z'"):
        design_of("y ~ x + z + w", data)


# --- stack

ALPHA = {"config": [1, 2, 3], "y": [0.1, 0.2, 0.3], "kind": ["u", "v", "u"]}
BETA = {"y": [5, 6], "config": [3, 7], "kind": ["v", "w"]}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_stack(kind):
    stacked = stack({"beta": kind(BETA), "alpha": kind(ALPHA)}, unit="config")
    assert isinstance(stacked, pd.DataFrame if kind is dict else type(kind(ALPHA)))
    table = as_table(stacked)
    assert table.columns == ["dataset", "y", "config", "kind"]
    assert table["config"].to_list() == [3, 7, 1, 2, 3]
    assert table["y"].to_list() == [5.0, 6.0, 0.1, 0.2, 0.3]
    assert table["kind"].to_list() == ["v", "w", "u", "v", "u"]
    levels, index = column_levels(table, "dataset", role="data set")
    assert levels == ("beta", "alpha")  # the order given, not the alphabet's
    assert index.tolist() == [0, 0, 1, 1, 1]
    design, _ = design_of("y ~ 1 + (1 | dataset)", stacked)
    assert design.factors[0].levels == ("beta", "alpha")


def test_stack_of_categories_that_differ():
    a = pd.DataFrame({"unit": pd.Categorical(["p", "q"]), "y": [1.0, 2.0]}, index=[5, 5])
    b = pd.DataFrame({"unit": pd.Categorical(["q", "r"]), "y": [1.0, 2.0]})
    stacked = stack({"a": a, "b": b}, unit="unit", dataset="set")
    assert stacked["unit"].tolist() == ["p", "q", "q", "r"]
    assert stacked.index.tolist() == [0, 1, 2, 3]
    a, b = pl.from_pandas(a.reset_index(drop=True)), pl.DataFrame({"unit": ["q", "r"], "y": [1.0, 2.0]})
    assert stack({"a": a, "b": b}, unit="unit")["unit"].to_list() == ["p", "q", "q", "r"]


# --- several grouping factors


@pytest.mark.parametrize(
    ("bars", "names"), [("(1 | f) + (x | school)", ["f", "school"]), ("(1 | f/school)", ["f", "f:school"])]
)
def test_factors_stand_in_the_order_of_the_formula(bars, names, data):
    design, state = design_of(f"y ~ x + {bars}", data)
    assert [factor.name for factor in design.factors] == names
    assert [learned.name for learned in state.factors] == names
    for factor in design.factors:
        assert len(factor.Z) == len(factor.index) == N
    new = state.apply(
        {"x": [1.0, 1.0], "f": ["?", data["f"].iloc[0]], "school": ["?", "?"]}, response=False, new_levels="allow"
    )
    assert new.factors[0].index[0] == -1
    assert new.factors[0].index[1] >= 0
    assert list(new.factors[1].index) == [-1, -1]
