"""Joining statistics of many tables: the same whichever are joined first, and as those of one table."""

import threading

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import ModelError
from hierreg.gram import Gram, batches, columns
from hierreg.gram.bare import filled, is_bare
from hierreg.gram.columns import rotate
from hierreg.gram.keys import compact, sum_by_key
from hierreg.gram.labels import unite_levels
from hierreg.gram.part import part_of
from hierreg.threads import one_thread
from tests.helpers.gram import assert_identical
from tests.helpers.tables import ERRORS, FORMULA, assert_same, cut, table

FORMULAS = {
    "slopes": FORMULA,
    "other columns": "y ~ c + (0 + x + se | h)",
    "two factors": "y ~ x + (x | g) + (1 | h)",
    "two columns": "y ~ x + (x | g:h)",
    "no factor": "y ~ x + c",
}


@pytest.fixture
def data(rng):
    frame = table(rng, n=120)
    frame["stratum"] = np.where(frame["unit"] % 3 == 0, "P", "Q")
    # each factor has units within its groups, as several factors must
    frame["g"] = [f"g{i * 5 % 7}" for i in frame["unit"]]
    return frame


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize(("held", "wait"), [(0, 1), (1, 3)])
def test_it_does_not_matter_how_many_are_joined_at_once(formula, kind, held, wait, data, monkeypatch):
    monkeypatch.setattr(batches, "_HELD", held)
    monkeypatch.setattr(batches, "_WAIT", wait)
    gram = Gram.from_batches(cut(data, size=6), FORMULAS[formula], ERRORS[kind])
    assert_same(gram, hr.Model(FORMULAS[formula], data, errors=ERRORS[kind]).gram)


@pytest.mark.parametrize("n", [24, 40, 400])
@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (0 + x | g)", "y ~ x + (x + I(x ** 2) | g)"])
def test_groups_of_few_rows_and_of_many(n, formula, rng):
    """Rows that stay as they are until they are joined, triangles, and both together; one row has a negative column."""
    data = pd.DataFrame({"x": rng.normal(size=n) - 1.0, "g": rng.permutation(n) % 20 * 3, "y": rng.normal(size=n)})
    whole = hr.Model(formula, data).gram
    for parts in ([data], [data[: n // 3], data[n // 3 :]], [data.sort_values("g")], cut(data, size=n // 4)):
        assert_same(Gram.from_batches(parts, formula), whole)


@pytest.mark.parametrize("kind", ["independent", "by", "known_se", "exchangeable"])
@pytest.mark.parametrize("n", [36, 120])
def test_products_follow_from_triangles(kind, n, data):
    """What is left out of a part is what one table has."""
    from hierreg.design_matrices import as_table
    from hierreg.design_matrices.first_pass import learn, needs_of
    from hierreg.design_matrices.learned import restore
    from hierreg.formula import parse_formula

    errors, rows = ERRORS[kind] or hr.independent(), data[:n]
    spec, given = parse_formula(FORMULA), as_table(rows)
    state = restore(learn(spec, needs_of(spec, given), [given], {}))
    part = part_of(state, errors, given)
    assert is_bare(part.gram)
    mine, whole = filled(part.gram), hr.Model(FORMULA, rows, errors=errors).gram
    assert filled(mine) is mine
    for name in ("WtW", "remainder"):
        np.testing.assert_allclose(getattr(mine, name), getattr(whole, name), atol=1e-11 * np.abs(whole.WtW).max())
    for name in ("ZtZ", "ZtW", "level_term", "level_index", "pair_row", "pair_col", "pair_term"):
        found, expected = getattr(mine.factors[0], name), getattr(whole.factors[0], name)
        np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


def test_statistics_of_three_are_those_of_each_two(data):
    one, two, three = (Gram.from_batches([part], "y ~ x + (x | g)") for part in (data[:31], data[31:76], data[76:]))
    assert_same((one + two) + three, one + (two + three))
    with pytest.raises(ModelError, match="grouping factors differ"):
        one + Gram.from_batches([data], "y ~ x + (x | h)")


@pytest.mark.parametrize("q", [0, 1, 3])
def test_ranges_of_entries_are_rotated_as_rows_are(q, rng, monkeypatch):
    n, F = 40_000, 50
    A, place, term = rng.normal(size=(n, q + 2)), rng.integers(0, F, n), np.sort(rng.integers(0, 3, F))
    before, _, _ = rotate(A, q, place, term)
    monkeypatch.setattr(columns, "_MANY_ENTRIES", 10)
    triangle, left, left_term = rotate(A, q, place, term)
    with one_thread():
        assert_identical(rotate(A, q, place, term), (triangle, left, left_term))
    np.testing.assert_allclose(triangle[:, :, :q], before[:, :, :q], rtol=0, atol=1e-11)
    for k in range(3):
        own, rest, all_rows = triangle[term == k], left[left_term == k], A[term[place] == k]
        products = all_rows[:, q:].T @ all_rows[:, q:]
        found = np.einsum("fij,fik->jk", own[:, :, q:], own[:, :, q:]) + rest.T @ rest
        np.testing.assert_allclose(found, products, rtol=0, atol=1e-9 * len(all_rows))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([[2, 5], [1, 5, 9]], [1, 2, 5, 9]),
        ([[5, 2], [1, 5, 9]], [5, 2, 1, 9]),
        ([[-(2**62), 0], [2**62]], [-(2**62), 0, 2**62]),
        ([[1], [2**63 + 1]], [1, 2**63 + 1]),
        ([["b", "c"], ["a", "cc"], ["c"]], ["a", "b", "c", "cc"]),
        ([["c", "b"], ["a", "c"]], ["c", "b", "a"]),
        ([[3, "y"], ["x", 3]], [3, "y", "x"]),
    ],
)
def test_levels_are_sorted_where_those_of_all_are(parts, expected):
    mixed = {type(label) for part in parts for label in part} == {int, str}
    arrays = [np.array(part, dtype=object) if mixed else np.asarray(part) for part in parts]
    levels, places = unite_levels(arrays)
    assert levels.tolist() == expected
    for array, place in zip(arrays, places, strict=True):
        assert levels[place].tolist() == array.tolist()


@pytest.mark.parametrize("n", [5, 3000])
@pytest.mark.parametrize("bound", [7, 10**12])
def test_distinct_keys_are_sorted(n, bound, rng):
    keys, values = rng.integers(0, bound, n), rng.normal(size=(n, 2, 3))
    distinct, place = compact(keys, bound)
    np.testing.assert_array_equal(distinct, np.unique(keys))
    np.testing.assert_array_equal(distinct[place], keys)
    _, total = sum_by_key(keys, values, bound)
    np.testing.assert_allclose(total[0], values[keys == distinct[0]].sum(axis=0), atol=1e-12)


def test_batches_are_worked_out_on_threads_whose_number_changes_nothing(data, monkeypatch):
    names = set()
    real = batches.part_of

    def noted(*args):
        names.add(threading.current_thread().name)
        return real(*args)

    monkeypatch.setattr(batches, "part_of", noted)
    monkeypatch.setattr("hierreg.threads.available_cores", lambda: 3)
    gram = Gram.from_batches(cut(data, size=6), FORMULA)
    assert threading.current_thread().name not in names
    with one_thread():
        assert_identical(Gram.from_batches(cut(data, size=6), FORMULA), gram)
    # one batch has all threads for itself
    names.clear()
    Gram.from_batches([data], FORMULA)
    assert names == {threading.current_thread().name}


def test_an_error_names_its_batch_whichever_thread_finds_it(data, monkeypatch):
    monkeypatch.setattr("hierreg.threads.available_cores", lambda: 3)
    parts = cut(data, size=6)
    parts[4] = parts[4].assign(y=np.nan)
    with pytest.raises(hr.exceptions.DataError, match=r"^batch 4 \(rows from 24 of all"):
        Gram.from_batches(parts, "y ~ x + (x | g)")
    parts[4] = parts[3].assign(g=5)
    with pytest.raises(hr.exceptions.DataError, match=r"^batch 4 \(rows from 24 of all.*holds text in one part"):
        Gram.from_batches(parts, "y ~ x + (x | g)")
