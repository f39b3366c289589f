"""Groups of one or two coefficients, a strip at a time: the same as dense matrices, and as tiles of LANES."""

from dataclasses import replace

import numpy as np
import pytest

from hierreg.gram import collect
from hierreg.marginal.blocks import _separate
from hierreg.marginal.lanes import LANES, STRIP
from hierreg.marginal.likelihood import marginal_likelihood
from hierreg.marginal.recovery_kernels import block_draws, block_moments
from hierreg.marginal.strip_kernels import absorb_strips, room_for_strips
from hierreg.marginal.strip_recovery_kernels import strip_draws, strip_moments
from hierreg.marginal.tiles import tiles_of
from tests.oracles.cases import KINDS, make_layout, random_case
from tests.test_likelihood import BETAS, assert_equal_to_dense

# More than two strips.
MANY = {"n": 320, "J": 150}


def strata_of_groups(rng, *, q, groups=200):
    """Return a case with three error variances, of which groups meet one or two: tiles of one term, and of several."""
    case = random_case(rng, "independent", n=600, J=groups, q=q)
    group = case.design.factors[0].index
    stratum = np.where(rng.random(600) < 0.2, 2, group % 2).astype(np.intp)
    stratum[group < 120] = (group % 2)[group < 120]
    layout = make_layout("by", 600, labels=("u", "v", "w"), dim="site", n_sd=3, stratum=stratum)
    return replace(case, layout=layout, error_cov=np.diag([0.5, 2.0, 1.1]))


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


@pytest.mark.parametrize("Lambda", [np.zeros((2, 2)), np.diag([0.0, 1.3]), np.outer([1.0, -2.0], [0.3, 0.4])], ids=str)
def test_singular_covariances(Lambda, rng):
    case = random_case(rng, "by", **MANY)
    assert_equal_to_dense(replace(case, Lambda=Lambda), "flat")


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


@pytest.mark.parametrize("n_targets", [0, 2])
@pytest.mark.parametrize("q", [1, 2])
def test_draws_and_moments_are_those_of_narrow_tiles(q, n_targets, rng):
    case = strata_of_groups(rng, q=q)
    tiles, narrow, S, J, p = strips_of(case), narrow_tiles_of(case), 5, 200, 3
    omega, Lambda, user = rng.uniform(0.5, 2.0, (S, 3)), rng.normal(size=(S, q, q)), rng.normal(size=(S, q, q))
    root = rng.normal(size=(S, p, p))
    population = (
        rng.normal(size=(S, p)),
        rng.normal(size=(S, p)),
        root @ root.swapaxes(1, 2),
        rng.normal(size=(n_targets, q, p)),
    )
    normals = rng.normal(size=(S, J, q))
    expected, expected_sums = np.zeros((S, len(narrow.levels), q, LANES)), np.zeros((n_targets, 3, J, q))
    t, level, lane = levels_of(narrow)
    expected[:, t, :, lane] = np.moveaxis(normals[:, level], 1, 0)
    sums = np.zeros((n_targets, 3, len(narrow.levels), q, LANES))
    block_draws((omega, Lambda, user), narrow.arrays, 0, population, expected, sums)
    expected_sums[:, :, level] = np.moveaxis(sums[:, :, t, :, lane], 0, 2)

    draws, moments = np.full((S, J, q), np.nan), np.zeros((n_targets, 3, J, q))
    for strip, (members,) in enumerate(tiles.levels):
        levels = members[members >= 0]
        z, mine = np.moveaxis(normals[:, levels], 1, 2).reshape(S, -1), np.zeros((n_targets, 3, q, STRIP))
        strip_draws((omega, Lambda, user), tiles.arrays, strip, population, z, levels, draws, mine)
        moments[:, :, levels] = np.moveaxis(mine[:, :, :, : len(levels)], 3, 2)
    np.testing.assert_allclose(draws[:, level], np.moveaxis(expected[:, t, :, lane], 0, 1), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(moments, expected_sums, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("q", [1, 2])
def test_moments_are_those_of_narrow_tiles(q, rng):
    case = strata_of_groups(rng, q=q)
    omega, Lambda, user = rng.uniform(0.5, 2.0, 3), rng.normal(size=(q, q)), rng.normal(size=(q, q))
    root, v, found = rng.normal(size=(3, 3)), rng.normal(size=(4, 1)), []
    for tiles, kernel in ((strips_of(case), strip_moments), (narrow_tiles_of(case), block_moments)):
        moments = [np.empty((len(tiles.levels), q, n, tiles.width)) for n in (1, q, q, 3)]
        kernel((omega, Lambda, user), tiles.arrays, v, root @ root.T, tuple(moments))
        t, level, lane = levels_of(tiles)
        order = np.argsort(level)
        found.append([m[t, :, :, lane][order] for m in moments])
    for mine, expected in zip(*found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-11)


def sum_of_logs(Lambda, blocks):
    p1 = blocks[3].shape[1]
    return absorb_strips(np.ones(1), Lambda, blocks, room_for_strips(blocks), np.zeros((2, p1, p1, LANES)))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e40])
def test_products_of_determinants_do_not_overflow(scale, rng):
    root = rng.normal(size=(20, STRIP, 2, 5))
    ZtZ = np.ascontiguousarray(np.moveaxis(root @ root.swapaxes(2, 3), 1, 3))
    blocks = np.arange(21), np.zeros(20, dtype=np.intp), ZtZ, np.zeros((20, 1, 2, STRIP)), np.zeros((0, STRIP))
    expected = np.linalg.slogdet(np.eye(2) + scale**2 * np.moveaxis(ZtZ, 3, 1))[1].sum()
    assert sum_of_logs(scale * np.eye(2), blocks) == pytest.approx(expected, rel=1e-10)


def test_a_matrix_that_is_not_positive_definite_gives_nan(rng):
    indptr, term, ZtZ, ZtW, weight = strips_of(random_case(rng, "independent", n=320, J=150)).arrays
    ZtZ = ZtZ.copy()
    ZtZ[1, :, :, 5] = [[1.0, 3.0], [3.0, 1.0]]
    assert np.isnan(sum_of_logs(np.eye(2), (indptr, term, ZtZ, ZtW, weight)))
