"""Groups of one or two coefficients, a strip at a time: the same as dense matrices, and as tiles of LANES."""

from dataclasses import replace

import numpy as np
import pytest

from hierreg.compiled.lanes import LANES, STRIP
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood, recover, solve_equations
from hierreg.likelihood.groups import draws as recovery
from hierreg.likelihood.groups.blocks import _separate
from hierreg.likelihood.groups.moments_by_numpy import draw, moments
from hierreg.likelihood.groups.moments_kernels import block_draws
from hierreg.likelihood.groups.strip_kernels import absorb_strips, room_for_strips
from hierreg.likelihood.groups.strip_moments_kernels import strip_draws
from hierreg.likelihood.groups.tiles import tiles_of
from hierreg.variances.parameters import Covariances
from tests.helpers.groups import BETAS, MANY, alike_beside_different, assert_equal_to_dense, strata_of_groups
from tests.oracles.cases import KINDS, make_layout, random_case


def strips_of(case):
    return marginal_likelihood(collect(case.design, case.layout)).blocks.separate


def narrow_tiles_of(case):
    """Return the same groups as other models have them."""
    groups = collect(case.design, case.layout).factors[0]
    return tiles_of(_separate(groups, np.arange(groups.n_levels)))


@pytest.mark.parametrize("q", [1, 2])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "correlated, group = data set"])
def test_value_and_gradient_of_several_strips(kind, q, rng):
    assert_equal_to_dense(random_case(rng, kind, q=q, **MANY), "flat")


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("q", [1, 2])
def test_strips_of_one_term_beside_strips_of_several(q, beta, rng):
    case = strata_of_groups(rng, q=q)
    terms = np.diff(strips_of(case).indptr)
    assert terms.min() == 1
    assert terms.max() > 1
    assert_equal_to_dense(case, beta)


@pytest.mark.parametrize("p", [1, 2, 4])
def test_any_number_of_columns(p, rng):
    assert_equal_to_dense(random_case(rng, "independent", p=p, **MANY), "flat")


@pytest.mark.parametrize(
    "Lambda", [np.zeros((1, 1)), np.zeros((2, 2)), np.diag([0.0, 1.3]), np.outer([1.0, -2.0], [0.3, 0.4])], ids=str
)
def test_singular_covariances(Lambda, rng):
    case = random_case(rng, "by", q=len(Lambda), **MANY)
    assert_equal_to_dense(replace(case, Lambda=Lambda), "flat")


@pytest.mark.parametrize("q", [1, 2])
def test_strips_with_weights_beside_strips_without(q, rng):
    case = alike_beside_different(rng, q)
    blocks = marginal_likelihood(collect(case.design, case.layout)).blocks
    assert 0 < len(blocks.distinct.weight) < len(blocks.distinct.levels) < len(blocks.separate.levels)
    assert np.diff(blocks.distinct.indptr).max() == 2
    assert_equal_to_dense(case, "flat")


def with_empty_groups(case, n):
    """Return a case with n groups more that have no rows, before the others."""
    (factor,) = case.design.factors
    levels = (*(f"empty {i}" for i in range(n)), *factor.levels)
    return replace(case, design=replace(case.design, factors=(replace(factor, levels=levels, index=factor.index + n),)))


@pytest.mark.parametrize("q", [1, 2])
def test_strips_without_rows(q, rng):
    case = random_case(rng, "by", q=q)
    likelihood, more = (
        marginal_likelihood(collect(c.design, c.layout)) for c in (case, with_empty_groups(case, 3 * STRIP))
    )
    for mine, expected in zip(
        more.value_and_gradient(*case.point), likelihood.value_and_gradient(*case.point), strict=True
    ):
        np.testing.assert_allclose(mine, expected, rtol=1e-12)
    solution = solve_equations(more, *case.point)
    np.testing.assert_allclose(solution.b[0][: 3 * STRIP], 0.0, atol=0)
    Sigma = case.Lambda @ case.Lambda.T
    np.testing.assert_allclose(
        solution.b_cov[0][: 3 * STRIP], np.broadcast_to(Sigma, (3 * STRIP, q, q)), rtol=1e-12, atol=1e-14
    )


def test_groups_that_share_hardly_a_term_stay_in_narrow_tiles(rng):
    """A strip would sum over the terms of 64 groups for each of them."""
    case = random_case(rng, "independent", n=600, J=200)
    stratum = np.concatenate([np.arange(150), rng.integers(150, size=450)]).astype(np.intp)
    labels = tuple(f"s{i}" for i in range(150))
    layout = make_layout("by", 600, labels=labels, dim="site", n_sd=150, stratum=stratum)
    case = replace(case, layout=layout, error_cov=np.diag(rng.uniform(0.5, 2.0, 150)))
    assert strips_of(case).width == LANES
    assert_equal_to_dense(case, "flat")


def draws_of(likelihood, *, draws=600, **options):
    Lambda = np.array([[0.8, 0.0], [0.3, 0.5]]) * np.linspace(0.5, 1.5, draws)[:, None, None]
    q = likelihood.gram.n_coef
    parts = Covariances(
        sd=np.ones((draws, q)),
        corr=np.broadcast_to(np.eye(q), (draws, q, q)),
        Lambda=np.ascontiguousarray(Lambda[:, :q, :q]),
        error_sd=np.ones((draws, 1)),
        error_corr=np.ones((draws, 1, 1)),
        error_cov=np.ones((draws, 1, 1)),
    )
    return recover(likelihood, parts, seed=7, **options)


@pytest.mark.parametrize("q", [1, 2])
def test_draws_of_several_strips_depend_on_the_seed_alone(q, rng, monkeypatch):
    case = random_case(rng, "independent", q=q, **MANY)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    expected = draws_of(likelihood)
    monkeypatch.setattr(recovery, "_DRAWS_AT_ONCE", 7)
    for threads in (1, 3):
        mine = draws_of(likelihood, threads=threads)
        np.testing.assert_array_equal(mine.b[0], expected.b[0])
    assert np.abs(np.corrcoef(expected.b[0][:, 0, 0], expected.b[0][:, 100, 0])[0, 1]) < 0.9
    summaries = draws_of(likelihood, threads=2, probs=(0.1, 0.5), theta_columns=[list(range(q))])
    one = draws_of(likelihood, threads=1, probs=(0.1, 0.5), theta_columns=[list(range(q))])
    for mine, theirs in zip(
        summaries.b_summary + summaries.theta_summary, one.b_summary + one.theta_summary, strict=True
    ):
        for what in ("mean", "sd", "quantiles"):
            np.testing.assert_array_equal(getattr(mine, what), getattr(theirs, what))
        assert 0 < mine.error == theirs.error < 3 / np.sqrt(600)
    # Beside 600 draws: their Monte-Carlo error, and that of fewer draws of the variances.
    for summary, drawn in (
        (summaries.b_summary[0], expected.b[0]),
        (summaries.theta_summary[0], expected.b[0] + expected.beta[:, None, :q]),
    ):
        error = summary.sd * np.hypot(1 / np.sqrt(600), summary.error)
        assert np.all(np.abs(summary.mean - drawn.mean(axis=0)) < 5 * error)
        below = (drawn < summary.quantiles[:, None]).mean(axis=1)
        for share, prob in zip(below, (0.1, 0.5), strict=True):
            assert np.all(np.abs(share - prob) < 5 * np.sqrt(prob * (1 - prob) / 600 + 0.16 * summary.error**2))
    assert np.all(np.abs(expected.b[0].std(axis=0) / summaries.b_summary[0].sd - 1) < 5 / np.sqrt(1200) + 0.03)


def test_groups_beside_linked_ones_stay_in_narrow_tiles(rng):
    case = random_case(rng, "correlated", n=40, J=15)
    blocks = marginal_likelihood(collect(case.design, case.layout)).blocks
    assert len(blocks.linked.levels) > 0
    assert blocks.separate.width == LANES


def test_only_groups_of_one_or_two_coefficients_go_into_strips(rng):
    widths = [strips_of(random_case(rng, "independent", q=q)).width for q in (1, 2, 3)]
    assert widths == [STRIP, STRIP, LANES]


def levels_of(tiles):
    """Return tile, level and lane of every block."""
    t, _, lane = np.nonzero(tiles.levels >= 0)
    return t, tiles.levels[t, 0, lane], lane


@pytest.mark.long
@pytest.mark.parametrize("q", [1, 2])
def test_draws_are_those_of_narrow_tiles(q, rng):
    case = strata_of_groups(rng, q=q)
    tiles, narrow, S, J, p = strips_of(case), narrow_tiles_of(case), 5, 200, 3
    covariances = rng.uniform(0.5, 2.0, (S, 3)), rng.normal(size=(S, q, q)), rng.normal(size=(S, q, q))
    beta, normals = rng.normal(size=(S, p)), rng.normal(size=(S, J, q))
    expected = np.zeros((S, len(narrow.levels), q, LANES))
    t, level, lane = levels_of(narrow)
    expected[:, t, :, lane] = np.moveaxis(normals[:, level], 1, 0)
    block_draws(covariances, narrow.arrays, None, 0, beta, expected)
    of_levels = np.empty((S, J, q))
    of_levels[:, level] = np.moveaxis(expected[:, t, :, lane], 0, 1)
    for layout in (tiles, narrow):
        for k, (members,) in enumerate(layout.levels):
            levels = members[members >= 0]
            mine = draw(covariances, layout, k, beta, np.moveaxis(normals[:, levels], 1, 2))
            np.testing.assert_allclose(mine, np.moveaxis(of_levels[:, levels], 1, 2), rtol=1e-10, atol=1e-11)
    draws = np.full((S, J, q), np.nan)
    for strip, (members,) in enumerate(tiles.levels):
        levels = members[members >= 0]
        z = np.moveaxis(normals[:, levels], 1, 2).reshape(S, -1)
        for some in (slice(0, 2), slice(2, S)):
            mine = tuple(array[some] for array in covariances)
            strip_draws(mine, tiles.arrays, strip, beta[some], z[some], levels, draws[some])
    np.testing.assert_allclose(draws[:, level], of_levels[:, level], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("q", [1, 2])
def test_moments_are_those_of_narrow_tiles(q, rng):
    case = strata_of_groups(rng, q=q)
    omega, Lambda, user = rng.uniform(0.5, 2.0, 3), rng.normal(size=(q, q)), rng.normal(size=(q, q))
    root, v, found = rng.normal(size=(3, 3)), rng.normal(size=(4, 1)), []
    for tiles in (strips_of(case), narrow_tiles_of(case)):
        t, level, lane = levels_of(tiles)
        order = np.argsort(level)
        found.append([m[t, :, :, lane][order] for m in moments((omega, Lambda, user), tiles, v, root @ root.T)])
    for mine, expected in zip(*found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-11)


def sum_of_logs(Lambda, blocks):
    p1 = blocks[3].shape[1]
    return absorb_strips(np.ones(1), Lambda, blocks, room_for_strips(blocks), np.zeros((2, p1, p1, LANES)))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e40])
def test_products_of_determinants_do_not_overflow(scale, rng):
    root = rng.normal(size=(20, STRIP, 2, 5))
    ZtZ = np.ascontiguousarray(np.moveaxis(root @ root.swapaxes(2, 3), 1, 3))
    terms, no_weights, is_triangle = np.zeros(20, dtype=np.intp), np.zeros((0, STRIP)), np.zeros(20, dtype=bool)
    blocks = np.arange(21), terms, ZtZ, np.zeros((20, 1, 2, STRIP)), no_weights, is_triangle
    expected = np.linalg.slogdet(np.eye(2) + scale**2 * np.moveaxis(ZtZ, 3, 1))[1].sum()
    assert sum_of_logs(scale * np.eye(2), blocks) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("A", [[[1.0, 3.0], [3.0, 1.0]], [[-3.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, -3.0]]], ids=str)
def test_matrices_that_are_not_positive_definite_give_nan(A, rng):
    indptr, term, C, ZtW, weight, _ = strips_of(random_case(rng, "independent", n=320, J=150)).arrays
    ZtZ, is_triangle = np.einsum("ekil,ekjl->eijl", C, C), np.zeros(len(term), dtype=bool)
    # Two of them: the product of two negative determinants is positive.
    ZtZ[1, :, :, 5] = ZtZ[0, :, :, 5] = A
    assert np.isnan(sum_of_logs(np.eye(2), (indptr, term, ZtZ, ZtW, weight, is_triangle)))
