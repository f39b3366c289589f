"""The Gram basis: one pass equals brute force, tables add, and nothing depends on order, offset or units."""

from dataclasses import replace

import numpy as np
import pytest

from hierreg.exceptions import DataError, ModelError
from hierreg.gram import collect
from tests.helpers.gram import assert_same, split
from tests.oracles import dense
from tests.oracles.cases import KINDS, only_observed, random_case, rows_of, spec_of

# ---- brute force


@pytest.mark.parametrize("kind", KINDS)
def test_terms_add_up_to_the_dense_products(kind, rng):
    case = random_case(rng, kind, p=4, q=3, J=6)
    gram, layout = collect(case.design, case.layout), case.layout
    R_inv = np.linalg.inv(dense.error_covariance(layout, case.error_cov))
    X = case.design.X @ gram.x_map
    y = case.design.y - case.design.X @ gram.y_shift
    W = np.column_stack([X, y])
    groups = gram.factors[0]
    Z = dense.spread_z(case.design) @ np.kron(np.eye(groups.n_levels), groups.z_map)
    omega = [
        np.linalg.inv(case.error_cov[np.ix_(pattern, pattern)])[
            np.searchsorted(np.flatnonzero(pattern), d), np.searchsorted(np.flatnonzero(pattern), e)
        ]
        for m, d, e in gram.terms.table.tolist()
        for pattern in [gram.terms.patterns[m]]
    ]
    q = groups.ZtZ.shape[1]
    ZtZ, ZtW = np.zeros((6 * q, 6 * q)), np.zeros((6 * q, 5))
    for k, row, col, product in zip(groups.pair_term, groups.pair_row, groups.pair_col, groups.ZtZ, strict=True):
        ZtZ[row * q : (row + 1) * q, col * q : (col + 1) * q] += omega[k] * product
        if row != col:
            ZtZ[col * q : (col + 1) * q, row * q : (row + 1) * q] += omega[k] * product.T
    for k, level, product in zip(groups.level_term, groups.level_index, groups.ZtW, strict=True):
        ZtW[level * q : (level + 1) * q] += omega[k] * product
    scale = np.linalg.norm(R_inv)
    m = len(Z.T)
    np.testing.assert_allclose(np.einsum("k,kij->ij", omega, gram.WtW), W.T @ R_inv @ W, atol=1e-9 * scale)
    np.testing.assert_allclose(ZtZ[:m, :m], Z.T @ R_inv @ Z, atol=1e-9 * scale)
    np.testing.assert_allclose(ZtW[:m], Z.T @ R_inv @ W, atol=1e-9 * scale)


def test_internal_columns_are_orthonormal_and_the_residual_is_orthogonal(rng):
    case = random_case(rng, "independent", p=4, q=3)
    gram = collect(case.design, case.layout)
    np.testing.assert_allclose(gram.WtW[0, :4, :4] / gram.n, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(gram.WtW[0, :4, 4], 0, atol=1e-10)
    np.testing.assert_allclose(gram.factors[0].ZtZ.sum(axis=0) / gram.n, np.eye(3), atol=1e-12)


def test_collinear_columns_are_an_error(rng):
    case = random_case(rng, "independent", p=3)
    X = case.design.X.copy()
    X[:, 2] = 2 * X[:, 1] + 3
    with pytest.raises(DataError, match="the population columns are collinear"):
        collect(replace(case.design, X=X), case.layout)


# ---- addition


@pytest.mark.parametrize("kind", KINDS)
def test_two_tables_add_to_their_union(kind, rng):
    case, a, b = split(random_case(rng, kind, n=61, J=7), rng)
    whole = collect(case.design, case.layout)
    tables = [collect(t.design, t.layout) for t in (a, b)]
    for first, second in (tables, tables[::-1]):
        total = first + second
        assert total.n == whole.n
        assert sorted(total.factors[0].levels) == sorted(whole.factors[0].levels)
        assert_same(total, whole, case)


def test_a_table_that_brings_new_data_sets_groups_and_patterns(rng):
    case = random_case(rng, "correlated within groups", n=61, J=7)
    layout = case.layout
    present = [frozenset(layout.stratum[layout.unit == u].tolist()) for u in layout.unit]
    first = np.array([p <= {0, 2} for p in present])
    a, b = (only_observed(rows_of(case, np.flatnonzero(rows))) for rows in (first, ~first))
    assert a.layout.labels == ("alpha", "gamma")
    total = collect(a.design, a.layout) + collect(b.design, b.layout)
    assert total.terms.labels == ("alpha", "gamma", "beta")
    assert_same(total, collect(case.design, layout), case)


def test_known_covariances_of_two_tables_link_only_within_each(rng):
    """V of the union is block diagonal over the tables; shared groups are linked to those of either."""
    case, a, b = split(random_case(rng, "known_cov, scaled", n=40, J=6), rng)
    total = collect(a.design, a.layout) + collect(b.design, b.layout)
    groups = total.factors[0]
    linked = set(zip(groups.levels[groups.pair_row].tolist(), groups.levels[groups.pair_col].tolist(), strict=True))
    assert ("g0", "g5") not in linked
    assert ("g5", "g0") not in linked
    assert_same(total, collect(case.design, case.layout), case)


@pytest.mark.parametrize("kind", KINDS)
def test_tables_with_offsets_of_a_billion_add_to_the_rounding_of_their_means(kind, rng):
    case = random_case(rng, kind, n=61, J=7)
    far = replace(case, design=replace(case.design, y=case.design.y + 1e9, X=case.design.X + np.array([0, 1e9, 0])))
    far, a, b = split(far, rng)
    total = collect(a.design, a.layout) + collect(b.design, b.layout)
    # The two tables are centred at means that differ by one part in 1e9.
    assert_same(total, collect(far.design, far.layout), far, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, lay: (replace(d, coef_names=("Intercept", "x", "other")), lay), "coef_names differ"),
        (
            lambda d, lay: (replace(d, factors=(replace(d.factors[0], name="h"),)), lay),
            r"grouping factors differ: \['g'\] and \['h'\]",
        ),
        (lambda d, lay: (d, replace(lay, spec=spec_of("by"), dim="site")), "error structures differ in kind"),
    ],
)
def test_statistics_of_different_models_do_not_add(change, words, rng):
    case = random_case(rng, "independent")
    design, layout = change(case.design, case.layout)
    with pytest.raises(ModelError, match=words):
        collect(case.design, case.layout) + collect(design, layout)


def test_known_errors_with_and_without_a_factor_do_not_add(rng):
    case = random_case(rng, "known_se")
    with pytest.raises(ModelError, match="unknown factor"):
        collect(case.design, case.layout) + collect(case.design, replace(case.layout, n_sd=1))


def test_a_gram_basis_adds_only_to_another(rng):
    case = random_case(rng, "independent")
    with pytest.raises(TypeError):
        collect(case.design, case.layout) + 1


# ---- what must not matter


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_rows_does_not_matter(kind, rng):
    case = random_case(rng, kind)
    other = rows_of(case, rng.permutation(37))
    assert_same(collect(other.design, other.layout), collect(case.design, case.layout), case)


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_groups_does_not_matter(kind, rng):
    case = random_case(rng, kind)
    factor = case.design.factors[0]
    new_place = rng.permutation(len(factor.levels))
    levels = tuple(np.array(factor.levels)[np.argsort(new_place)].tolist())
    factor = replace(factor, index=new_place[factor.index].astype(np.intp), levels=levels)
    other = replace(case, design=replace(case.design, factors=(factor,)))
    assert_same(collect(other.design, other.layout), collect(case.design, case.layout), case)


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_group_changes_nothing(kind, place, rng):
    case = random_case(rng, kind)
    factor = case.design.factors[0]
    if place == "first":
        factor = replace(factor, levels=("none", *factor.levels), index=factor.index + 1)
    else:
        factor = replace(factor, levels=(*factor.levels, "none"))
    other = replace(case, design=replace(case.design, factors=(factor,)))
    assert_same(collect(other.design, other.layout), collect(case.design, case.layout), case)


@pytest.mark.parametrize("kind", KINDS)
def test_an_offset_of_a_billion_in_the_response_costs_nothing_but_its_own_rounding(kind, rng):
    case = random_case(rng, kind)
    y = np.round(case.design.y * 2**20) / 2**20  # exact after the addition
    case = replace(case, design=replace(case.design, y=y))
    far = replace(case, design=replace(case.design, y=y + 2.0**30))
    gram = collect(far.design, far.layout)
    assert_same(gram, collect(case.design, case.layout), case, rtol=1e-9)
    assert gram.y_shift[0] == pytest.approx(2.0**30, rel=1e-6)
