"""Rows in chunks: the same from NumPy and from compiled loops, to the last bit on any number of threads."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hierreg as hr
from hierreg import threads
from hierreg.design_matrices import moments
from hierreg.exceptions import DataError
from hierreg.gram import Gram, columns
from hierreg.gram.triangles import of_independent_rows
from tests.helpers.gram import assert_identical
from tests.helpers.tables import assert_same

N = 6000


@pytest.fixture
def chunks(monkeypatch):
    """Rows are few, and still in several chunks of compiled loops."""
    monkeypatch.setattr(moments, "_FEW_ROWS", 0)
    monkeypatch.setattr(moments, "_SIZE", 3000)
    monkeypatch.setattr(columns, "_FEW_ROWS", 0)
    monkeypatch.setattr(columns, "_FEW_ROUNDS", 0)
    monkeypatch.setattr(columns, "_CHUNK", 700)
    monkeypatch.setattr(columns, "_ROTATED", 1100)


@pytest.fixture
def data(rng):
    g = rng.integers(0, 40, N)
    x, w = rng.normal(2.0, 3.0, N), rng.exponential(size=N)
    y = 1.0 + x + rng.normal(size=40)[g] + rng.normal(size=N)
    return pd.DataFrame({"y": y, "x": x, "w": w, "g": g, "s": np.array(list("pqr"))[rng.integers(0, 3, N)]})


MODELS = {
    "slopes": ("y ~ x + (x | g)", None),
    "other columns in groups": ("y ~ x + w + (1 | g)", None),
    "no group factor": ("y ~ x * w", None),
    "strata": ("y ~ x + (w | g)", hr.by("s")),
    "strata alone": ("y ~ x", hr.by("s")),
    "known errors": ("y ~ x + (x | g)", hr.known_se("w", scale=True)),
    "two factors": ("y ~ x + (1 | g) + (1 | s)", None),
}


@pytest.mark.parametrize(("formula", "errors"), MODELS.values(), ids=MODELS)
def test_compiled_rows_in_chunks_are_those_of_numpy(formula, errors, data, request):
    expected = hr.Model(formula, data, errors=errors).gram
    request.getfixturevalue("chunks")
    gram = hr.Model(formula, data, errors=errors).gram
    assert_same(gram, expected)
    np.testing.assert_allclose(gram.frame.products, expected.frame.products, atol=1e-12 * N)
    np.testing.assert_allclose(gram.WtW, expected.WtW, atol=1e-12 * np.abs(expected.WtW).max())
    for mine, theirs in zip(gram.factors, expected.factors, strict=True):
        np.testing.assert_allclose(mine.triangle, theirs.triangle, atol=1e-11 * np.abs(theirs.ZtW).max() ** 0.5)


@pytest.mark.parametrize(("formula", "errors"), MODELS.values(), ids=MODELS)
def test_the_number_of_threads_changes_no_bit(formula, errors, data, chunks, monkeypatch):
    grams = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(threads, "available_cores", lambda cores=cores: cores)
        grams.append(hr.Model(formula, data, errors=errors).gram)
    for gram in grams[1:]:
        assert_identical(gram, grams[0])


def test_the_number_of_threads_changes_no_bit_of_a_scan(data, chunks, tmp_path, monkeypatch):
    for i, part in enumerate(np.split(np.arange(N), [1000, 2500, 4700])):
        data.iloc[part].to_parquet(tmp_path / f"part{i}.parquet")
    grams = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(threads, "available_cores", lambda cores=cores: cores)
        grams.append(Gram.scan(tmp_path, "y ~ x + (x | g)", batch_rows=900, progress=False))
    for gram in grams[1:]:
        assert_identical(gram, grams[0])
    assert_same(grams[0], hr.Model("y ~ x + (x | g)", data).gram)


def test_an_offset_takes_no_digits_from_moments(chunks, rng):
    A = np.round(rng.normal(size=(2000, 2)) * 2**10) / 2**10 + [2.0**30, 0.0]
    A[0, 1] = 2.0**20  # the first row is like no other
    found = moments.moments_of(A, A[:, 0] + A[:, 1])
    exact = [[Fraction(value) for value in row] for row in np.column_stack([A, A.sum(axis=1)])]
    means = [sum(column) / len(A) for column in zip(*exact, strict=True)]
    for a in range(3):
        sd = np.sqrt(found.about_mean[a, a] / len(A))
        assert found.mean[a] == pytest.approx(float(means[a]), rel=3e-16, abs=1e-14 * sd)
        for b in range(3):
            product = sum((row[a] - means[a]) * (row[b] - means[b]) for row in exact)
            size = np.sqrt(found.about_mean[a, a] * found.about_mean[b, b])
            assert abs(float(product) - found.about_mean[a, b]) < 1e-13 * size
    assert found.low.tolist() == np.column_stack([A, A.sum(axis=1)]).min(axis=0).tolist()
    assert found.high.tolist() == np.column_stack([A, A.sum(axis=1)]).max(axis=0).tolist()


def test_a_column_that_does_not_vary_has_zeros(chunks):
    A = np.column_stack([np.full(900, 0.1), np.zeros(900), np.arange(900.0)])
    found = moments.moments_of(A)
    assert found.mean[:2].tolist() == [0.1, 0.0]
    assert not found.about_mean[:2].any()
    assert found.constant_before(3) == 0
    assert moments.moments_of(A[:, 1:]).constant_before(2) is None


@pytest.mark.parametrize("is_shared", [True, False])
def test_triangles_have_the_products_of_their_rows(is_shared, chunks, rng):
    """Also groups of one row, of rows that are the same but for rounding, of zeros, and of small values."""
    place = np.repeat([0, 1, 2, 3, 4, 5], [1, 7, 500, 2000, 3, 900])
    W = rng.normal(size=(len(place), 3))
    W[:, 0] = 1.0
    W[place == 1, 1] = 0.1 + 0.2
    W[(place == 1) & (rng.random(len(place)) < 0.5), 1] = 0.3
    W[place == 2] = 0.0
    W[place == 3, 1] *= 1e-9
    term = np.array([0, 0, 0, 1, 1, 1])
    Z = W[:, :2]
    triangle, left = of_independent_rows(None if is_shared else Z, W, place, term)
    assert np.all(np.tril(triangle[:, :, :2], -1) == 0.0)
    rest = np.zeros((2, 3, 3))
    for group in range(6):
        mine = place == group
        C, D = triangle[group][:, :2], triangle[group][:, 2:]
        for found, expected in ((C.T @ C, Z[mine].T @ Z[mine]), (C.T @ D, Z[mine].T @ W[mine])):
            size = np.sqrt(np.outer(np.diagonal(Z[mine].T @ Z[mine]), np.diagonal(W[mine].T @ W[mine])))
            assert np.all(np.abs(found - expected) <= 1e-13 * size[:, : expected.shape[1]])
        rest[term[group]] += W[mine].T @ W[mine] - D.T @ D
    for k in range(2):
        rows = left.rows[left.term == k]
        assert len(rows) <= 3
        np.testing.assert_allclose(rows.T @ rows, rest[k], atol=1e-11 * np.abs(W.T @ W).max())


# ---- text in the dictionaries of Parquet


@pytest.fixture
def labelled(data, rng):
    labels = np.array(["ä", "a", "B", "zz", "Ωmega", *(f"group {i}" for i in range(35))])
    return data.assign(g=labels[data["g"]])


@pytest.mark.parametrize("kinds", [(pa.string(), pa.string()), (pa.large_string(), pa.string())])
def test_text_of_groups_stays_encoded(kinds, labelled, tmp_path):
    """Files have other groups, in another order of appearance."""
    labelled = labelled[(labelled["g"] != "zz") | (np.arange(N) > 3500)]
    for i, (part, kind) in enumerate(zip((labelled[:3100], labelled[3100:]), kinds, strict=True)):
        table = pa.Table.from_pandas(part, preserve_index=False)
        table = table.set_column(3, "g", table["g"].cast(kind))
        pq.write_table(table, tmp_path / f"part{i}.parquet", row_group_size=500)
    gram = Gram.scan(tmp_path, "y ~ x + (x | g)", batch_rows=1200, progress=False)
    assert gram.factors[0].levels.tolist() == sorted(set(labelled["g"]))
    assert_same(gram, hr.Model("y ~ x + (x | g)", labelled).gram)


def test_missing_text_is_an_error(labelled, tmp_path):
    labelled.loc[4321, "g"] = None
    labelled.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"data\['g'\] \(grouping factor\) has 1 missing value \(first at row 321\)"):
        Gram.scan(tmp_path, "y ~ x + (x | g)", batch_rows=1000, progress=False)


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "objects", "arrow dictionary", "polars categories"])
def test_text_in_memory_is_the_same_text(kind, labelled):
    pl = pytest.importorskip("polars")
    tables = {
        "pandas": lambda: labelled,
        "polars": lambda: pl.from_pandas(labelled),
        "arrow": lambda: pa.Table.from_pandas(labelled),
        "objects": lambda: labelled.astype({"g": object}),
        "arrow dictionary": lambda: (t := pa.Table.from_pandas(labelled)).set_column(
            3, "g", t["g"].dictionary_encode()
        ),
        "polars categories": lambda: pl.from_pandas(labelled).with_columns(pl.col("g").cast(pl.Categorical)),
    }
    gram = hr.Model("y ~ x + (x | g)", tables[kind]()).gram
    expected = Gram.from_batches([labelled], "y ~ x + (x | g)")
    found = gram.factors[0].levels.tolist()
    assert sorted(found) == expected.factors[0].levels.tolist()
    if "dictionary" in kind:
        assert found == list(dict.fromkeys(labelled["g"]))  # the order of its dictionary
    else:
        assert_same(gram, expected)
