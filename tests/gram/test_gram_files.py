"""Gram bases in files and added: nothing is lost, nothing is unpickled, and a damaged file says so."""

import json
from dataclasses import replace

import numpy as np
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, ModelError
from hierreg.gram import Gram, collect
from hierreg.gram.files import pack, write_arrays
from tests.helpers.gram import assert_identical, assert_same, split, value_of
from tests.helpers.tables import table
from tests.oracles.cases import KINDS, only_observed, random_case, rows_of

# ---- offsets


@pytest.mark.parametrize("kind", KINDS)
def test_tables_with_offsets_of_a_billion_add_to_rounding(kind, rng):
    case = random_case(rng, kind, n=61, J=7)
    X, factor = case.design.X, case.design.factors[0]
    offset = np.array([0, 1e9, 0])
    far = replace(
        case.design,
        y=case.design.y + 1e9,
        X=X + offset,
        factors=(replace(factor, Z=factor.Z + offset[: factor.Z.shape[1]]),),
    )
    # Groups that differ by no more than their rows where these are.
    near = np.where(np.arange(len(case.Lambda)) % 3 == 1, 1e-9, 1.0)[:, None] * case.Lambda
    case, a, b = split(replace(case, design=far, Lambda=near), rng)
    total = collect(a.design, a.layout) + collect(b.design, b.layout)
    assert_same(total, collect(case.design, case.layout), case, rtol=1e-10)


def test_a_hundred_tables_in_order_of_time_add_to_rounding(rng):
    """Each table sees a hundredth of the range of x, far from zero and from the others."""
    n = 4000
    case = random_case(rng, "by", n=n, J=7)
    X = case.design.X.copy()
    X[:, 1] = 1e9 + np.sort(rng.uniform(0, 1e6, n))
    factor = case.design.factors[0]
    y = 1e9 + 1e-3 * (X[:, 1] - 1e9) + rng.normal(size=n)
    case = replace(
        case, design=replace(case.design, X=X, y=y, factors=(replace(factor, Z=np.ascontiguousarray(X[:, :2])),))
    )
    parts = [only_observed(rows_of(case, rows)) for rows in np.array_split(np.arange(n), 100)]
    total = sum((collect(part.design, part.layout) for part in parts[1:]), collect(parts[0].design, parts[0].layout))
    whole = collect(case.design, case.layout)
    # Groups differ by as much as their rows do where these are, not where x is zero.
    case = replace(case, Lambda=whole.z_map @ case.Lambda)
    assert np.isfinite(value_of(whole, case)[0])
    assert_same(total, whole, case, rtol=1e-9)
    np.testing.assert_allclose(total.frame.products[:3, :3] / n, np.eye(3), atol=1e-10)


def test_tables_with_another_constant_column_add(rng):
    """A column that is constant in one table alone, in a formula without intercept."""
    case = random_case(rng, "independent", n=50)
    X = case.design.X[:, 1:].copy()
    X[:20, 0] = 2.5
    case = replace(case, design=replace(case.design, X=X, coef_names=("x", "z")))
    a, b = (only_observed(rows_of(case, rows)) for rows in (np.arange(20), np.arange(20, 50)))
    first, second = (collect(t.design, t.layout) for t in (a, b))
    assert first.frame.constant == 0
    assert second.frame.constant is None
    assert_same(first + second, collect(case.design, case.layout), case)
    assert_same(second + first, collect(case.design, case.layout), case)


def test_location_and_scale_add(rng):
    case = random_case(rng, "by", n=61)
    _, a, b = split(case, rng)
    total = collect(a.design, a.layout) + collect(b.design, b.layout)
    whole = collect(case.design, case.layout)
    for mine, theirs in ((total.frame, whole.frame), (total.factors[0].frame, whole.factors[0].frame)):
        np.testing.assert_allclose(mine.mean, theirs.mean, rtol=1e-12)
        np.testing.assert_allclose(mine.sd, theirs.sd, rtol=1e-12)
    response = total.response.reordered(whole.response.labels)
    for name in ("n", "mean", "squares"):
        np.testing.assert_allclose(getattr(response, name), getattr(whole.response, name), rtol=1e-12)


# ---- files

ERRORS = {
    "independent": None,
    "by": hr.by("site"),
    "correlated": hr.correlated("dataset", unit="unit"),
    "exchangeable": hr.exchangeable("unit"),
    "known_se": hr.known_se("se", scale=True),
    "known_cov": hr.known_cov(np.eye(60) + 0.1),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_a_stored_basis_is_the_same(kind, rng, tmp_path):
    gram = hr.Model("y ~ scale(x) + c + (scale(x) | g)", table(rng), errors=ERRORS[kind]).gram
    back = Gram.load(gram.save(tmp_path / "a.npz"))
    if kind == "known_cov":
        assert back.origin.errors.V.shape == (60, 60)
        back, gram = (
            replace(one, own=replace(one.own, origin=None), origin=replace(one.origin, errors=None))
            for one in (back, gram)
        )
    assert_identical(back, gram)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz"]


def test_a_stored_basis_adds_like_the_original(rng, tmp_path):
    data = table(rng)
    halves = [hr.Model("y ~ x + c + (x | g)", data[data["unit"] % 2 == half]).gram for half in (0, 1)]
    back = [Gram.load(half.save(tmp_path / f"{i}.npz")) for i, half in enumerate(halves)]
    assert_identical(back[0] + back[1], halves[0] + halves[1])


def changed(name, change):
    def apply(arrays):
        arrays[name] = change(arrays[name])

    return apply


def dropped(name):
    return lambda arrays: arrays.pop(name)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (dropped("WtW"), "damaged"),
        (dropped("factor0/frame/basis"), "damaged"),
        (changed("WtW", lambda a: a[:, :2]), "WtW has shape"),
        (changed("WtW", lambda a: a * np.nan), "not finite"),
        (changed("WtW", lambda a: a.astype(np.float32)), "float32"),
        (changed("factor0/pair_row", lambda a: a + 100), "positions outside"),
        (changed("factor0/level_index", lambda a: a - 1), "positions outside"),
        (changed("factor0/levels", lambda a: np.array(["a"] * len(a))), "occur twice"),
        (changed("terms/labels", lambda _: np.array("{")), "damaged"),
        (changed("n", lambda _: np.array("61")), "numbers of rows differ"),
        (changed("terms/counts", lambda a: -a), "negative"),
        (changed("terms/n_sd", lambda _: np.array("null")), "None where int is required"),
        (changed("terms/dim", lambda _: np.array("[1, 2]")), "where str . None is required"),
        (changed("factor0/name", lambda _: np.array("1.5")), "1.5 where str is required"),
        (changed("coef_names", lambda _: np.array('{"tuple": [1, 2]}')), "1 where tuple"),
        (changed("origin/levels0.0", lambda a: np.array(["g0"] * len(a))), "levels of 'g' are not those"),
        (changed("origin/head", lambda _: np.array("[]")), "damaged"),
    ],
)
def test_a_damaged_file_is_an_error(damage, words, rng, tmp_path):
    arrays = pack(hr.Model("y ~ x + (x | g)", table(rng)).gram)
    damage(arrays)
    write_arrays(tmp_path / "a.npz", {"kind": "hierreg.Gram"}, arrays)
    with pytest.raises(DataError, match=words):
        Gram.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("factor0/ZtW", lambda a: a[::-1]),
        ("factor0/level_index", lambda a: a[::-1]),
        ("WtW", lambda a: a * (1 + 1e-15)),
        ("factor0/levels", lambda a: a[::-1]),
        ("terms/log_det_known", lambda _: np.array("1.0")),
        ("n", lambda _: np.array("60.0")),
        ("terms/counts", lambda a: a.astype(int)),
    ],
)
def test_what_fits_and_is_not_what_was_saved_is_an_error(name, change, rng, tmp_path):
    """Only the checksum sees it, so that a file without one is refused."""
    path = hr.Model("y ~ x + (x | g)", table(rng)).gram.save(tmp_path / "a.npz")
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    np.savez(path, **arrays)
    assert Gram.load(path).n == 60
    np.savez(path, **(arrays | {name: change(arrays[name])}))
    with pytest.raises(DataError, match="is damaged"):
        Gram.load(path)
    swapped = {"factor0/pair_row": "factor0/pair_col", "factor0/pair_col": "factor0/pair_row"}
    np.savez(path, **{swapped.get(key, key): array for key, array in arrays.items()}, extra=np.zeros(1))
    with pytest.raises(DataError, match="is damaged"):
        Gram.load(path)
    head = json.loads(str(arrays["head"]))
    del head["checksum"]
    np.savez(path, **(arrays | {name: change(arrays[name]), "head": np.array(json.dumps(head))}))
    with pytest.raises(DataError, match="has no checksum"):
        Gram.load(path)


def test_objects_are_never_unpickled(rng, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path = hr.Model("y ~ x", table(rng)).gram.save(tmp_path / "a.npz")
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    for name in ("WtW", "head", "extra"):
        np.savez(path, **(arrays | {name: np.array([Trap()], dtype=object)}))
        with pytest.raises(DataError, match="cannot be read"):
            Gram.load(path)
    assert not (tmp_path / "sprung").exists()


def test_other_files_are_errors(rng, tmp_path):
    with pytest.raises(DataError, match=r"must end in \.npz"):
        Gram.load(tmp_path / "a.nc")
    with pytest.raises(DataError, match="no such file"):
        Gram.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match="cannot be read"):
        Gram.load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", WtW=np.eye(2))
    with pytest.raises(DataError, match="cannot be read"):
        Gram.load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", head=np.array(json.dumps({"kind": "hierreg.Gram", "version": 99})))
    with pytest.raises(DataError, match="version 99"):
        Gram.load(tmp_path / "a.npz")
    # objects would have to be unpickled
    np.savez(tmp_path / "a.npz", head=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        Gram.load(tmp_path / "a.npz")
    with pytest.raises(DataError, match="does not exist"):
        hr.Model("y ~ x", table(rng)).gram.save(tmp_path / "none" / "a.npz")


def test_a_truncated_file_is_an_error(rng, tmp_path):
    path = hr.Model("y ~ x", table(rng)).gram.save(tmp_path / "a.npz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        Gram.load(path)


# ---- what must not be added


@pytest.mark.parametrize(
    ("formula", "other", "words"),
    [
        ("y ~ scale(x)", {}, "transforms"),
        ("y ~ c", {"c": ["u", "v", "x"] * 20}, "levels of the categorical|coef_names differ"),
        ("y ~ C(c, contr.poly)", {"c": ["a", "b", "c"] * 20}, "levels of the categorical"),
    ],
)
def test_tables_whose_columns_mean_different_things_do_not_add(formula, other, words, rng):
    a, b = table(rng), table(rng).assign(**other)
    with pytest.raises(ModelError, match=words):
        hr.Model(formula, a).gram + hr.Model(formula, b).gram
