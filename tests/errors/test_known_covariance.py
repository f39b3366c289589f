"""Known covariances: rows matched by label, blocks however they are given, nested factors, units of their own."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.linalg import block_diag

import hierreg as hr
from hierreg.errors.known_covariance import from_matrix
from hierreg.exceptions import DataError, ModelError
from hierreg.gram import collect
from hierreg.likelihood.crossed import plan as crossed_plan
from hierreg.likelihood.engines import marginal_likelihood
from tests.oracles import dense
from tests.oracles.crossed_cases import random_crossed_case

SIZES = (3, 1, 2, 3, 1, 4, 2, 1)
N = sum(SIZES)
STUDY = np.repeat(np.arange(len(SIZES)), SIZES)


@pytest.fixture
def blocks(rng):
    out = []
    for size in SIZES:
        A = rng.normal(size=(size, size + 2))
        out.append(A @ A.T / size + 0.1 * np.eye(size))
    return out


@pytest.fixture
def table(rng):
    x = rng.normal(size=N)
    y = 1 + x + rng.normal(size=N)
    return pd.DataFrame({"y": y, "x": x, "study": STUDY, "effect": np.arange(N)}, index=[f"r{i}" for i in range(N)])


def criterion(table, V, formula="y ~ x", **options):
    return hr.Model(formula, table, errors=hr.known_cov(V, **options)).estimate().criterion


def restricted(table, V):
    """Minus twice the restricted log likelihood of y ~ 1 + x, by the formula."""
    X, y = np.column_stack([np.ones(len(table)), table["x"]]), table["y"].to_numpy()
    V_inv = np.linalg.inv(V)
    P = X.T @ V_inv @ X
    r = y - X @ np.linalg.solve(P, X.T @ V_inv @ y)
    log_dets = np.linalg.slogdet(V)[1] + np.linalg.slogdet(P)[1]
    return (len(y) - 2) * np.log(2 * np.pi) + log_dets + r @ V_inv @ r


# ---- labels


def labelled(table, blocks):
    return pd.DataFrame(block_diag(*blocks), index=table.index, columns=table.index)


def test_rows_are_matched_by_label(table, blocks, rng):
    V = labelled(table, blocks)
    expected = restricted(table, V.to_numpy())
    rows, columns = rng.permutation(N), rng.permutation(N)
    assert criterion(table, V) == pytest.approx(expected, rel=1e-12)
    assert criterion(table, V.iloc[rows, rows]) == pytest.approx(expected, rel=1e-12)
    assert criterion(table, V.iloc[rows, columns]) == pytest.approx(expected, rel=1e-12)
    shuffled = table.iloc[rng.permutation(N)]
    assert criterion(shuffled, V.iloc[rows, columns]) == pytest.approx(expected, rel=1e-12)


def test_rows_of_an_xarray_table_are_matched_by_label(table, blocks, rng):
    import xarray as xr

    order = rng.permutation(N)
    V = labelled(table, blocks).iloc[order, order]
    array = xr.DataArray(V.to_numpy(), dims=("row", "col"), coords={"row": V.index, "col": V.columns})
    assert criterion(table, array) == pytest.approx(restricted(table, block_diag(*blocks)), rel=1e-12)
    bare = xr.DataArray(block_diag(*blocks), dims=("row", "col"))
    assert criterion(table, bare) == pytest.approx(restricted(table, block_diag(*blocks)), rel=1e-12)


def test_labels_in_a_column_serve_tables_without_index(table, blocks, rng):
    import polars as pl

    order = rng.permutation(N)
    V = labelled(table, blocks).iloc[order, order]
    expected = restricted(table, block_diag(*blocks))
    data = pl.DataFrame({"name": list(table.index), "y": table["y"].to_numpy(), "x": table["x"].to_numpy()})
    assert criterion(data, V, labels="name") == pytest.approx(expected, rel=1e-12)
    by_number = V.set_axis([int(label[1:]) for label in V.index], axis=0)
    by_number.columns = by_number.index
    numbered = table.assign(number=np.arange(N, dtype=np.int16))
    assert criterion(numbered, by_number, labels="number") == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ModelError, match=r"has no index to match its labels.*labels='column'.*to_numpy"):
        criterion(data, V)


def test_labels_read_from_a_file_match_by_number(table, blocks, tmp_path, rng):
    """Columns of a table read from CSV are labelled with text where its index is of whole numbers."""
    numbered = table.set_axis(np.arange(100, 100 + N), axis=0)
    order = rng.permutation(N)
    labelled(numbered, blocks).iloc[order, order].to_csv(tmp_path / "V.csv")
    V = pd.read_csv(tmp_path / "V.csv", index_col=0)
    assert V.columns.dtype != V.index.dtype
    assert criterion(numbered, V) == pytest.approx(restricted(table, block_diag(*blocks)), rel=1e-12)


def test_blocks_with_labels_are_matched_by_label(table, blocks, rng):
    V = labelled(table, blocks)
    tables = [V.loc[own, own] for own in (table.index[study == STUDY] for study in rng.permutation(len(SIZES)))]
    assert criterion(table, tables) == pytest.approx(restricted(table, V.to_numpy()), rel=1e-12)
    with pytest.raises(ModelError, match="1 of 2 blocks have labels"):
        hr.known_cov([tables[0], np.eye(2)])
    with pytest.raises(ModelError, match="labels occur in more than one block"):
        hr.known_cov([tables[0], tables[0]])


def test_a_table_without_labels_is_in_the_order_of_the_rows(table, blocks):
    V = pd.DataFrame(block_diag(*blocks))
    expected = restricted(table, V.to_numpy())
    assert criterion(table, V) == pytest.approx(expected, rel=1e-12)
    assert criterion(table.reset_index(), V) == pytest.approx(expected, rel=1e-12)


def _relabelled(V, index):
    return pd.DataFrame(V.to_numpy(), index=index, columns=index)


BAD_LABELS = {
    "others": (
        lambda t, V: (t, _relabelled(V, [f"s{i}" for i in range(N)])),
        {},
        r"V has labels that are not in the index of data: 's0'.*there are 'r0'.*labels='column'.*to_numpy",
    ),
    "data without labels": (lambda t, V: (t.reset_index(drop=True), V), {}, "there are 0, 1, 2"),
    "of another type": (
        lambda t, V: (t.set_axis(np.arange(N) + 5, axis=0), _relabelled(V, [str(i + 5) for i in range(N)])),
        {},
        "They are the same as text: the labels of V have type",
    ),
    "twice in V": (lambda t, V: (t, _relabelled(V, ["a", "a", *V.index[2:]])), {}, r"more than once \('a'\)"),
    "rows and columns": (lambda t, V: (t, V.set_axis([f"s{i}" for i in range(N)], axis=1)), {}, "different labels"),
    "rows only": (lambda t, V: (t, V.set_axis(range(N), axis=1)), {}, "labels for its rows only"),
    "data shuffled": (
        lambda t, V: (t.reset_index(drop=True).iloc[::-1], pd.DataFrame(V.to_numpy())),
        {},
        r"same labels in another order.*V.loc\[data.index, data.index\].*V.to_numpy",
    ),
    "a column for V without": (lambda t, V: (t, V.to_numpy()), {"labels": "study"}, "V has no labels to match"),
    "no name": (lambda t, V: (t, V), {"labels": 3}, "name of a column"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_labels_that_do_not_match_are_refused(name, table, blocks):
    change, options, words = BAD_LABELS[name]
    data, V = change(table, labelled(table, blocks))
    with pytest.raises(ModelError, match=words):
        criterion(data, V, **options)


def test_labels_that_occur_twice_in_the_data_are_refused(table, blocks):
    V = labelled(table, blocks)
    with pytest.raises(DataError, match=r"the index of data has labels that occur more than once \('r1'\)"):
        criterion(table.set_axis(["r1", *table.index[1:]], axis=0), V)
    with pytest.raises(DataError, match="data\\['study'\\] has labels that occur more than once"):
        criterion(table, V, labels="study")


# ---- blocks


def test_every_way_to_give_blocks_is_the_same_matrix(table, blocks):
    V = block_diag(*blocks)
    expected = restricted(table, V)
    ways = [
        V,
        blocks,
        tuple(block.tolist() for block in blocks),
        sparse.coo_matrix(V),
        sparse.csr_array(V),
        sparse.csc_matrix(V),
    ]
    for way in ways:
        errors = hr.known_cov(way)
        assert [batch.rows.shape[1] for batch in errors.V.batches] == [1, 2, 3, 4]
        np.testing.assert_array_equal(np.asarray(errors.V), V)
        assert criterion(table, way) == pytest.approx(expected, rel=1e-12)
    pairs = np.stack([blocks[2], blocks[6]])
    np.testing.assert_array_equal(np.asarray(hr.known_cov(pairs).V), block_diag(*pairs))


def test_blocks_whose_rows_are_apart_are_found(table, blocks, rng):
    order = rng.permutation(N)
    V = block_diag(*blocks)[np.ix_(order, order)]
    assert [batch.rows.shape for batch in hr.known_cov(V).V.batches] == [(3, 1), (2, 2), (2, 3), (1, 4)]
    assert criterion(table.iloc[order], V) == pytest.approx(restricted(table, block_diag(*blocks)), rel=1e-12)


@pytest.mark.parametrize(
    ("V", "words"),
    [
        ([np.eye(2), np.ones((2, 3))], r"block 1 has shape \(2, 3\)"),
        ([np.eye(2), [["a"]]], "block 1 is not a matrix of numbers"),
        (sparse.coo_array(np.ones((2, 3))), r"\(2, 3\); a square"),
        (sparse.eye_array(3).tocsr()[:, [0, 1, 1]], "variance of row 2 is 0"),
        (
            [np.eye(2), [[1.0, 2.0], [2.0, 1.0]]],
            r"smallest eigenvalue -1 of its correlations, of the block of rows 2, 3",
        ),
        ([np.eye(2), [[1.0, np.inf], [np.inf, 1.0]]], r"not finite \(first at \[2, 3\]\)"),
        ([np.eye(2), [[1.0, 0.5], [0.0, 1.0]]], r"not symmetric \(largest difference 0.5 at \[2, 3\]\)"),
        ("abc", "type str"),
        ({"a": 1}, "type dict"),
    ],
)
def test_blocks_that_are_no_covariance_are_refused(V, words):
    with pytest.raises(ModelError, match=words):
        hr.known_cov(V)


def test_units_of_rows_do_not_matter(table, blocks):
    """Rows in metres and others in 1e10 metres: V and y scale, and so does the answer."""
    scale = np.where(np.arange(N) % 2 == 0, 1e-10, 1.0)
    V = block_diag(*blocks)
    one = hr.Model("y ~ 0 + x", table, errors=hr.known_cov(V)).estimate()
    scaled = table.assign(y=table["y"] * scale, x=table["x"] * scale)
    other = hr.Model("y ~ 0 + x", scaled, errors=hr.known_cov(V * scale[:, None] * scale)).estimate()
    np.testing.assert_allclose(other.beta, one.beta, rtol=1e-6)
    np.testing.assert_allclose(other.beta_se, one.beta_se, rtol=1e-6)
    assert other.criterion == pytest.approx(one.criterion + 2 * np.log(scale).sum(), rel=1e-6)
    singular = np.ones((2, 2)) * np.outer([1e-9, 1.0], [1e-9, 1.0])
    with pytest.raises(ModelError, match="not positive definite"):
        hr.known_cov(singular)


def test_twenty_thousand_rows_in_blocks_of_three(rng):
    """No matrix of all rows is made: it would take 3.2 GB."""
    import tracemalloc

    m = 6667
    A = rng.normal(size=(m, 3, 5))
    V = A @ np.swapaxes(A, 1, 2)
    n = 3 * m
    X, y = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.normal(size=n)
    tracemalloc.start()
    est = hr.Model("y ~ x", {"y": y, "x": X[:, 1]}, errors=hr.known_cov(V)).estimate()
    assert tracemalloc.get_traced_memory()[1] < 2e8
    tracemalloc.stop()
    inverse = np.linalg.inv(V)
    Xb, yb = X.reshape(m, 3, 2), y.reshape(m, 3)
    P = np.einsum("mri,mrs,msj->ij", Xb, inverse, Xb)
    np.testing.assert_allclose(est.beta, np.linalg.solve(P, np.einsum("mri,mrs,ms->i", Xb, inverse, yb)), rtol=1e-9)
    np.testing.assert_allclose(est.beta_cov, np.linalg.inv(P), rtol=1e-9)


def test_what_is_asked_of_rows_is_that_of_the_whole_matrix(blocks, rng):
    """Draws of errors, densities and inverses by block against the matrix."""
    V = block_diag(*blocks)
    order = rng.permutation(N)
    V = V[np.ix_(order, order)]
    value = from_matrix(V)
    x = rng.normal(size=(5, N))
    L = value.factor()
    F = L.toarray()
    np.testing.assert_allclose(F @ F.T, V, atol=1e-12)
    np.testing.assert_allclose(L.rows_times(x), x @ F.T, atol=1e-12)
    np.testing.assert_allclose(L.whitened_rows(x) @ F.T, x, atol=1e-12)
    np.testing.assert_allclose(value.inverse().toarray(), np.linalg.inv(V), atol=1e-9)
    assert 2 * L.log_det() == pytest.approx(np.linalg.slogdet(V)[1], rel=1e-12)
    groups = rng.integers(0, 3, N)
    np.testing.assert_array_equal(value.within(groups).toarray(), V * (groups[:, None] == groups))
    place = rng.permutation(N)
    np.testing.assert_array_equal(value.renumbered(place).toarray()[np.ix_(place, place)], V)


def test_large_blocks_are_solved_as_small_ones(rng, monkeypatch):
    from hierreg.errors.known_covariance import value

    A = rng.normal(size=(2, 7, 9))
    L = np.linalg.cholesky(A @ np.swapaxes(A, 1, 2))
    B = rng.normal(size=(2, 7, 4))
    small = value.solve_lower(L, B.copy())
    monkeypatch.setattr(value, "_SMALL", 3)
    np.testing.assert_allclose(value.solve_lower(L, B.copy()), small, rtol=1e-10)
    np.testing.assert_allclose(L @ small, B, atol=1e-12)


# ---- several factors


@pytest.mark.parametrize("shape", ["crossed", "nested twice", "nested and crossed"])
@pytest.mark.parametrize("kind", ["known_cov", "known_cov in blocks"])
def test_large_cliques_go_to_the_dense_tail(shape, kind, rng, monkeypatch):
    monkeypatch.setattr(crossed_plan, "_LARGEST_CLIQUE", 1)
    case = random_crossed_case(rng, shape, kind)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    assert len(likelihood.plan.tail) >= 2
    value, g_Lambda, _ = likelihood.value_and_gradient(*case.point)
    Sigma = case.Lambda @ case.Lambda.T
    assert value == pytest.approx(dense.log_likelihood(case.design, case.layout, Sigma, case.error_cov), rel=1e-9)
    expected, _ = dense.gradient(case.design, case.layout, *case.point)
    np.testing.assert_allclose(g_Lambda, expected, rtol=0, atol=1e-8 * np.linalg.norm(expected))


def total_covariance(V, sd_study, sd_effect):
    return V + sd_study**2 * (STUDY[:, None] == STUDY) + sd_effect**2 * np.eye(N)


def test_three_level_meta_analysis_is_the_dense_formula(table, blocks):
    """metafor's rma.mv(y, V, mods = ~ x, random = ~ 1 | study/effect): REML at the estimate and around it."""
    model = hr.Model("y ~ x + (1 | study/effect)", table, errors=hr.known_cov(blocks))
    est = model.estimate("reml")
    sds = float(est.sd["study"][0]), float(est.sd["study:effect"][0])
    V = block_diag(*blocks)
    best = restricted(table, total_covariance(V, *sds))
    assert est.criterion == pytest.approx(best, rel=1e-10)
    for a in np.linspace(0, 1.5, 16):
        for b in np.linspace(0, 1.5, 16):
            assert best <= restricted(table, total_covariance(V, a, b)) + 1e-8
    at = model.solve({"study": 0.49, "study:effect": 0.25})
    total = np.linalg.inv(total_covariance(V, 0.7, 0.5))
    X = np.column_stack([np.ones(N), table["x"]])
    np.testing.assert_allclose(at.beta_cov, np.linalg.inv(X.T @ total @ X), rtol=1e-9)
    r = table["y"].to_numpy() - X @ at.beta.to_numpy()
    np.testing.assert_allclose(at.b["study:effect"][:, 0], 0.25 * total @ r, rtol=1e-8, atol=1e-12)


def test_each_effect_alone_is_its_own_row(table, blocks):
    """The least-squares value of an effect is its row less the study's prediction, with the row's own variance."""
    model = hr.Model("y ~ 1 + (1 | study/effect)", table, errors=hr.known_cov(blocks))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = model.sample(draws=4, tune=10, chains=1, seed=1, progress=False)
    limit, est = tree["mixed_model_limit"].to_dataset(), model.estimate("reml")
    b = est.b["study"].to_numpy()[STUDY, 0]
    names = [name for name in limit if "no_pooling" in name and "effect" in name and "cov" not in name]
    np.testing.assert_allclose(limit[names[0]].to_numpy()[:, 0], table["y"].to_numpy() - b, rtol=1e-9)
    statistics = model.problem.own_rows(1).factors[1]
    assert not statistics.has_links
    scale = statistics.z_map[0, 0] ** 2
    np.testing.assert_allclose(statistics.ZtZ[:, 0, 0], scale / np.diagonal(block_diag(*blocks)), rtol=1e-9)


def test_statistics_alone_of_linked_effects_are_refused(table, blocks):
    gram = hr.Model("y ~ x + (1 | study/effect)", table, errors=hr.known_cov(blocks)).gram
    with pytest.raises(ModelError, match="link groups of several grouping factors"):
        hr.Model.from_gram(gram)


# ---- errors of very different size


@pytest.mark.parametrize("ratio", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("kind", ["known_se", "known_cov", "weights"])
def test_one_precise_row_does_not_drown_the_others(kind, ratio, rng):
    """Against generalised least squares in 50 digits, in standard errors."""
    mpmath = pytest.importorskip("mpmath")
    x, se = rng.normal(size=30) + 3, np.where(np.arange(30) == 3, ratio, 1.0)
    table = {"y": 1 + x + rng.normal(size=30), "x": x, "se": se, "w": se**-2.0}
    errors = {"known_se": hr.known_se("se"), "known_cov": hr.known_cov(np.diag(se**2)), "weights": None}[kind]
    model = hr.Model("y ~ x", table, errors=errors, weights="w" if kind == "weights" else None)
    at = model.solve(None, 1.0 if kind == "weights" else None)
    with mpmath.workdps(50):
        X, W = mpmath.matrix(np.column_stack([np.ones(30), x]).tolist()), mpmath.diag([mpmath.mpf(s) ** -2 for s in se])
        cov = (X.T * W * X) ** -1
        beta = cov * (X.T * W * mpmath.matrix(table["y"].tolist()))
        off = [float((beta[i] - mpmath.mpf(float(at.beta[i]))) / mpmath.sqrt(cov[i, i])) for i in range(2)]
        ratios = [float(mpmath.sqrt(cov[i, i]) / mpmath.mpf(float(at.beta_se[i]))) for i in range(2)]
    np.testing.assert_allclose(off, 0, atol=5e-4)
    np.testing.assert_allclose(ratios, 1, atol=5e-4)


@pytest.mark.parametrize("ratio", [1e-8, 1e-10])
def test_where_digits_are_lost_it_is_said(ratio, rng):
    x, se = rng.normal(size=30), np.where(np.arange(30) == 3, ratio, 1.0)
    table = {"y": 1 + x + rng.normal(size=30), "x": x, "se": se}
    for errors in (hr.known_se("se"), hr.known_cov(np.diag(se**2))):
        with pytest.raises(ModelError, match=r"lost to rounding.*'y ~ 0 \+ d \+ d:x'"):
            hr.Model("y ~ x", table, errors=errors)
    group = np.where(np.arange(30) < 15, "a", "b")
    table |= {
        "d": group,
        "se": np.where(group == "a", ratio, 1.0),
        "y": np.where(group == "a", ratio, 1.0) * table["y"],
    }
    est = hr.Model("y ~ 0 + d + d:x", table, errors=hr.known_se("se")).estimate()
    for d, scale in (("a", ratio), ("b", 1.0)):
        mine = group == d
        fit = np.linalg.lstsq(np.column_stack([np.ones(15), x[mine]]), table["y"][mine] / scale, rcond=None)[0]
        np.testing.assert_allclose(est.beta.sel(coef=[f"d[{d}]", f"d[{d}]:x"]) / scale, fit, rtol=1e-9)


def test_covariances_with_new_rows_are_in_their_order(table, blocks, rng):
    """Labelled cross_cov and new_cov would be taken by position, so they are refused unless they have no labels."""
    model = hr.Model("y ~ x", table, errors=hr.known_cov(labelled(table, blocks)))
    new = pd.DataFrame({"x": [0.1, 0.2]}, index=["n0", "n1"])
    cross, cov = 0.01 * rng.normal(size=(2, N)), np.eye(2)
    expected = hr.predict(model, new, at=model.estimate(), cross_cov=cross, new_cov=cov)
    default = hr.predict(model, new, at=model.estimate(), cross_cov=pd.DataFrame(cross), new_cov=pd.DataFrame(cov))
    np.testing.assert_array_equal(default["mean"], expected["mean"])
    named = pd.DataFrame(cross, index=new.index, columns=table.index)
    with pytest.raises(ModelError, match=r"cross_cov is labelled.*order of the tables.*to_numpy"):
        hr.predict(model, new, at=model.estimate(), cross_cov=named, new_cov=cov)


def linked_rows(sd, spread=2.0):
    """Return a table of groups that differ by sd, and a covariance that links them; errors differ in size by far."""
    rng = np.random.default_rng(3)
    n, g = 24, np.arange(24) % 6
    se, r = np.exp(spread * rng.normal(size=n)), np.arange(n)
    V = 0.6 ** abs(r[:, None] - r) * np.outer(se, se)
    far = 2e6 + 1e3 * rng.normal(size=n)
    x = rng.integers(1, 5, n).astype(float)
    return {"y": sd * rng.normal(size=6)[g] + rng.normal(size=n), "x": x, "z": far, "g": g}, V


def test_groups_that_a_covariance_links_have_their_digits_or_are_refused():
    """Against generalised least squares in 60 digits, in standard errors; what has no digits is refused in words."""
    mpmath = pytest.importorskip("mpmath")
    table, V = linked_rows(1.0)
    model = hr.Model("y ~ 0 + x + z + (1 | g)", table, errors=hr.known_cov(V))
    for sd in (1.0, 30.0):
        at = model.solve({"g": [[sd**2]]}, None)
        with mpmath.workdps(60):
            X = mpmath.matrix(np.column_stack([table["x"], table["z"]]).tolist())
            Z = mpmath.matrix(np.eye(6)[table["g"]].tolist())
            W = (mpmath.matrix(V.tolist()) + mpmath.mpf(sd) ** 2 * Z * Z.T) ** -1
            cov = (X.T * W * X) ** -1
            beta = cov * (X.T * W * mpmath.matrix(table["y"].tolist()))
            off = [float((beta[i] - mpmath.mpf(float(at.beta[i]))) / mpmath.sqrt(cov[i, i])) for i in range(2)]
        np.testing.assert_allclose(off, 0, atol=1e-5)
    far, V = linked_rows(1e4)
    with pytest.raises(ModelError, match="errors link groups that do not go together"):
        hr.Model("y ~ 0 + x + z + (1 | g)", far, errors=hr.known_cov(V)).estimate()


def test_coefficients_of_which_products_keep_too_few_digits_are_refused():
    """Rows a million times as precise as others swamp what groups leave of the precision of a coefficient."""
    table, V = linked_rows(1.0, spread=3.0)
    model = hr.Model("y ~ 0 + x + z + (1 | g)", table, errors=hr.known_cov(V))
    assert np.isfinite(model.solve({"g": [[100.0]]}, None).beta).all()
    with pytest.raises(ModelError, match="errors link groups that do not go together"):
        model.solve({"g": [[1e6]]}, None)
