"""Types of columns over all files: the answer of the table in memory, or an error that names file and column."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, ModelError
from hierreg.gram import Gram
from tests.helpers.tables import assert_same

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

GROUPED, PLAIN, LEVELS = "y ~ x + (1 | g)", "y ~ x + g", "y ~ x + C(g)"
QUIET = {"progress": False, "batch_rows": 7}


@pytest.fixture
def data(rng):
    g = np.repeat([3, 1, 2, 5, 4, 6], 10)
    return pd.DataFrame({"y": rng.normal(size=7)[g] + rng.normal(size=60), "x": rng.normal(size=60), "g": g})


def write(data, folder, first, second, *, column="g"):
    """Write two Parquet files with a column in the types of two functions."""
    for i, (make, part) in enumerate(((first, data[:30]), (second, data[30:]))):
        table = pa.table({name: part[name].to_numpy() for name in data if name != column})
        pq.write_table(table.append_column(column, make(part[column])), folder / f"part{i}.parquet")
    return folder


def as_type(kind):
    return lambda column: pa.array(column.to_numpy()).cast(kind)


def as_text(column):
    return pa.array(column.astype(str).tolist())


def as_decimal(column):
    return pa.array([Decimal(int(value)) for value in column], pa.decimal128(10, 2))


def as_dictionary(column):
    return as_text(column).dictionary_encode()


def test_numbers_of_one_file_do_not_round_those_of_others(data, tmp_path):
    """Values of single precision in the first file; 1e6 + 0.01 needs more."""
    data["y"] = 1e6 + 0.01 * data["y"]
    write(data, tmp_path, as_type(pa.float32()), as_type(pa.float64()), column="y")
    whole = data.assign(y=np.r_[data["y"][:30].astype("float32"), data["y"][30:]])
    gram = Gram.scan(tmp_path, GROUPED, **QUIET)
    right, found = (hr.Model.from_gram(one).estimate("reml") for one in (hr.Model(GROUPED, whole).gram, gram))
    assert float(found.error_sd) == pytest.approx(float(right.error_sd), rel=1e-8)


NUMBERS = {
    "int32": as_type(pa.int32()),
    "int64": as_type(pa.int64()),
    "uint64": as_type(pa.uint64()),
    "float32": as_type(pa.float32()),
    "float64": as_type(pa.float64()),
    "decimal": as_decimal,
}
TEXT = {
    "string": as_text,
    "large_string": lambda column: as_text(column).cast(pa.large_string()),
    "string_view": lambda column: as_text(column).cast(pa.string_view()),
    "dictionary": as_dictionary,
}


@pytest.mark.parametrize("formula", [GROUPED, PLAIN, LEVELS])
@pytest.mark.parametrize(
    ("first", "second"),
    [("int32", "int64"), ("int64", "float32"), ("uint64", "int64"), ("float32", "float64"), ("decimal", "int32")],
)
def test_numbers_of_any_type_are_the_same_numbers(formula, first, second, data, tmp_path):
    gram = Gram.scan(write(data, tmp_path, NUMBERS[first], NUMBERS[second]), formula, **QUIET)
    assert_same(gram, hr.Model(formula, data.assign(g=data["g"].astype("int64"))).gram)


@pytest.mark.parametrize("formula", [GROUPED, PLAIN])
@pytest.mark.parametrize(
    ("first", "second"), [("string", "large_string"), ("dictionary", "string_view"), *[("dictionary",) * 2]]
)
def test_text_of_any_type_is_the_same_text(formula, first, second, data, tmp_path):
    """Two files of categories with other categories each are, together, text."""
    gram = Gram.scan(write(data, tmp_path, TEXT[first], TEXT[second]), formula, **QUIET)
    assert_same(gram, hr.Model(formula, data.assign(g=data["g"].astype(str))).gram)


def test_whole_numbers_and_fractions_are_levels_together(data, tmp_path):
    data["g"] = data["g"] + 0.5 * (np.arange(60) >= 30)
    write(data, tmp_path, as_type(pa.int64()), as_type(pa.float64()))
    assert_same(Gram.scan(tmp_path, LEVELS, **QUIET), hr.Model(LEVELS, data).gram)
    batches = [data[:30].astype({"g": int}), data[30:]]
    assert_same(Gram.from_batches(batches, LEVELS), hr.Model(LEVELS, data).gram)


@pytest.mark.parametrize("ordered", [["mid", "low", "high"], ["high", "mid", "low"]])
def test_categories_keep_their_order_though_no_batch_has_all(ordered, data, tmp_path):
    """The first rows have 'low' and 'high' alone; polynomial contrasts depend on the order."""
    names = np.array(["low", "high", "mid"])[np.r_[np.zeros(10, int), np.ones(20, int), np.arange(30) % 3]]
    data["c"] = pd.Categorical(names, categories=ordered)
    for i, part in enumerate((data[:30], data[30:])):
        part.to_parquet(tmp_path / f"part{i}.parquet")
    batches = [data[i : i + 7] for i in range(0, 60, 7)]
    for formula in ("y ~ C(c, contr.poly) + (1 | g)", "y ~ x + (1 | c)", "y ~ x + (1 | c:g)"):
        whole = hr.Model(formula, data).gram
        for gram in (Gram.scan(tmp_path, formula, **QUIET), Gram.from_batches(batches, formula)):
            assert_same(gram, whole)
            assert [f.levels.tolist() for f in gram.factors] == [f.levels.tolist() for f in whole.factors]
    by = hr.by("c")
    assert Gram.from_batches(batches, "y ~ x", by).terms.labels == hr.Model("y ~ x", data, errors=by).gram.terms.labels


def to_dates(column):
    return pa.array([dt.date(2020, 1, int(value)) for value in column])


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (as_type(pa.int64()), as_text, "'g' holds numbers in .*part0.* and text in .*part1"),
        (as_text, as_decimal, "'g' holds text in .*part0.* and numbers in .*part1"),
        (as_type(pa.bool_()), as_type(pa.int8()), "truth values in .*part0.* and numbers in .*part1"),
        (as_text, as_type(pa.timestamp("us")), r"part1.*'g' has type timestamp.*convert it"),
        (to_dates, to_dates, r"part0.*'g' has type date32.*convert it"),
        (as_text, lambda column: pa.nulls(len(column)), r"part1.*'g'\] .grouping factor. has 7 missing"),
        (as_dictionary, lambda column: pa.nulls(len(column)), r"part1.*'g'\] .grouping factor. has 7 missing"),
        (
            lambda column: pa.array(column.to_numpy() + 2**60),
            as_type(pa.float64()),
            r"part0.*'g' has labels that change as double",
        ),
    ],
)
def test_types_that_do_not_go_together_are_named(first, second, words, data, tmp_path):
    with pytest.raises(DataError, match=words):
        Gram.scan(write(data, tmp_path, first, second), GROUPED, **QUIET)


def test_files_without_rows_say_nothing_of_types(data, tmp_path):
    data.to_parquet(tmp_path / "b.parquet")
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in data}), tmp_path / "a.parquet")
    assert_same(Gram.scan(tmp_path, GROUPED, **QUIET), hr.Model(GROUPED, data).gram)


# ---- text files: the first megabyte does not decide


N = 40_000


@pytest.fixture
def long(rng):
    x = rng.integers(0, 5, N)
    return pd.DataFrame({"y": (x + rng.normal(size=N)).round(6), "x": x, "g": np.arange(N) % 7, "pad": "z" * 20})


@pytest.mark.parametrize(
    ("column", "last", "formula"),
    [("x", 2.5, GROUPED), ("x", 1e300, "y ~ I(x / 1e300) + (1 | g)"), ("g", "a1", GROUPED), ("g", "True", LEVELS)],
)
def test_a_value_of_another_type_in_the_last_row(column, last, formula, long, tmp_path):
    long = long.astype({column: object})
    long.loc[N - 2 :, column] = last
    long.to_csv(tmp_path / "a.csv", index=False)
    assert (tmp_path / "a.csv").stat().st_size > 1 << 20
    whole = pd.read_csv(tmp_path / "a.csv", low_memory=False)
    gram = Gram.scan(tmp_path / "a.csv", formula, progress=False)
    assert gram.n == N
    assert gram.coef_names == hr.Model(formula, whole).gram.coef_names
    assert_same(gram, hr.Model(formula, whole).gram, rtol=1e-9)


def test_a_column_that_is_empty_in_the_first_megabyte(long, tmp_path):
    long.assign(x=np.where(np.arange(N) < N - 5, "", "3")).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=rf"a\.csv.*'x'\] .predictor. has {N - 5} missing values"):
        Gram.scan(tmp_path / "a.csv", GROUPED, progress=False)


def test_text_among_the_numbers_of_a_predictor_is_named(long, tmp_path):
    long.astype({"x": object}).assign(x=[*long["x"][:-3], "unknown", 1, 2]).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=rf"a\.csv.*'x' holds numbers.*'unknown' in row {N - 3}"):
        Gram.scan(tmp_path / "a.csv", GROUPED, progress=False)


@pytest.mark.parametrize(
    "values", [["1", "2", "a3", "04"], ["2020-01-01", "2020-01-02"], ["12:30", "1"], ["0x1A", "26"], ["true", "1"]]
)
def test_labels_in_text_files_are_those_that_pandas_reads(values, data, tmp_path):
    """Neither dates nor hexadecimal numbers, which Arrow would find; the first file has the first label alone."""
    data["g"] = np.array(values)[np.r_[np.zeros(30, int), np.arange(30) % len(values)]]
    for i in (0, 1):
        data[30 * i : 30 * i + 30].to_csv(tmp_path / f"{i}.csv", index=False)
    data.to_csv(tmp_path.parent / "all.csv", index=False)
    whole = hr.Model(GROUPED, pd.read_csv(tmp_path.parent / "all.csv", low_memory=False)).gram
    gram = Gram.scan(tmp_path, GROUPED, **QUIET)
    assert_same(gram, whole)
    assert gram.factors[0].levels.tolist() == whole.factors[0].levels.tolist()


# ---- batches


@pytest.mark.parametrize("formula", [GROUPED, PLAIN, LEVELS])
@pytest.mark.parametrize("turn", [False, True])
def test_batches_of_unlike_types_are_refused(formula, turn, data):
    """3 and "3" would be two groups, without a word."""
    batches = [data[:20], data[20:40], data[40:].astype({"g": str})]
    with pytest.raises(DataError, match=r"batch \d .*data\['g'\].*(numbers.*text|text.*numbers|holds text)"):
        Gram.from_batches(batches[::-1] if turn else batches, formula)


def test_units_and_strata_of_unlike_types_are_refused(data):
    data["u"] = np.arange(60) // 2
    for errors in (hr.exchangeable("u"), hr.exchangeable("u", by="g"), hr.by("g")):
        column = "u" if "by=" not in str(errors) and "by(" not in str(errors) else "g"
        batches = [data[:30], data[30:].astype({column: str})]
        with pytest.raises(DataError, match=rf"batch 1.*data\['{column}'\] holds numbers.*and text"):
            Gram.from_batches(batches, "y ~ x", errors)


def test_statistics_of_unlike_labels_do_not_add(data):
    a, b = hr.Model(GROUPED, data[:30]).gram, hr.Model(GROUPED, data[30:].astype({"g": str})).gram
    with pytest.raises(ModelError, match="'g' are numbers in the first and text in the second"):
        a + b


def test_an_error_of_a_batch_says_which(data):
    data.loc[45, "x"] = np.nan
    with pytest.raises(DataError, match=r"batch 2 \(rows from 40 .*has 1 missing value .first at row 5"):
        Gram.from_batches([data[i : i + 20].reset_index(drop=True) for i in (0, 20, 40)], GROUPED)
