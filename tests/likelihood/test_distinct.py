"""Groups with the same cross-products of Z: fewer blocks, the same likelihood."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.compiled.lanes import STRIP
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.groups import equal_groups as distinct
from hierreg.likelihood.groups.tiles import Blocks
from tests.helpers.groups import case_of, partly_balanced, strata_within_groups
from tests.oracles import dense

BETAS = ("flat", "ml")


def balanced(rng, groups=14, rows=4):
    index = np.repeat(np.arange(groups), rows)
    return case_of(rng, index, np.tile(rng.normal(size=rows), groups))


def balanced_intercepts(rng):
    return case_of(rng, np.repeat(np.arange(11), 3), None)


def unbalanced_intercepts(rng):
    """Groups of one to three rows: three classes of them."""
    return case_of(rng, np.repeat(np.arange(30), 1 + np.arange(30) % 3), None)


def many_groups(rng):
    """Classes so large that panels of rows are reduced more than once."""
    return balanced(rng, groups=700, rows=2)


def stratum_of_group(rng):
    index = np.repeat(np.arange(20), 4)
    layout = {"labels": ("u", "v"), "dim": "site", "n_sd": 2, "stratum": (index % 2).astype(np.intp)}
    return case_of(rng, index, np.tile(rng.normal(size=4), 20), "by", **layout)


def known_errors(rng):
    index = np.repeat(np.arange(16), 3)
    se = np.tile([0.7, 1.1, 2.0], 16)
    return case_of(rng, index, np.tile(rng.normal(size=3), 16), "known_se", se=se, n_sd=1)


def correlated_within_groups(rng):
    """A unit of two data sets in every group."""
    index = np.repeat(np.arange(40), 2)
    layout = {"labels": ("a", "b"), "dim": "dataset", "n_sd": 2, "has_corr": True}
    layout |= {"stratum": np.tile([0, 1], 40).astype(np.intp), "unit": index.astype(np.intp)}
    return case_of(rng, index, np.tile([0.7, -1.2], 40), "correlated", **layout)


def exchangeable_within_groups(rng):
    """A unit of three rows and one of two in every group."""
    index = np.repeat(np.arange(30), 5)
    unit = 2 * index + np.tile([0, 0, 0, 1, 1], 30)
    layout = {"has_corr": True, "unit": unit.astype(np.intp)}
    return case_of(rng, index, np.tile(rng.normal(size=5), 30), "exchangeable", **layout)


def empty_groups(rng):
    case = balanced(rng)
    (factor,) = case.design.factors
    more = replace(factor, levels=("none", *factor.levels, "nobody"), index=factor.index + 1)
    return replace(case, design=replace(case.design, factors=(more,)))


CASES = (
    balanced,
    balanced_intercepts,
    unbalanced_intercepts,
    partly_balanced,
    many_groups,
    stratum_of_group,
    strata_within_groups,
    known_errors,
    correlated_within_groups,
    exchangeable_within_groups,
    empty_groups,
)


def n_blocks(tiles):
    """Return the number of blocks of tiles that have cross-products."""
    used = np.zeros((len(tiles.levels), tiles.width), dtype=bool)
    for t in range(len(tiles.levels)):
        used[t] = tiles.ZtZ[tiles.indptr[t] : tiles.indptr[t + 1]].any(axis=(0, 1, 2))
    return int(used.sum())


def unmerged(likelihood):
    blocks = likelihood.blocks
    return replace(likelihood, blocks=replace(blocks, distinct=blocks.separate))


def assert_same(mine, expected, mask, *, value, gradient):
    size = max(np.linalg.norm(expected[1]), np.linalg.norm(expected[2]))
    assert mine[0] == pytest.approx(expected[0], rel=value)
    np.testing.assert_allclose(mine[1], expected[1], rtol=0, atol=gradient * size)
    np.testing.assert_allclose(mine[2] * mask, expected[2] * mask, rtol=0, atol=gradient * size)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_value_and_gradient(make, beta, rng):
    case = make(rng)
    likelihood = marginal_likelihood(collect(case.design, case.layout), profile=beta == "ml")
    assert n_blocks(likelihood.blocks.distinct) <= 0.8 * n_blocks(likelihood.blocks.separate)
    if case.layout.kind == "exchangeable":
        # Two components: the variance within units, and that of the means of units by their size.
        case = replace(case, error_cov=np.diag(rng.uniform(0.5, 2.0, likelihood.gram.terms.n_labels)))
    mine = likelihood.value_and_gradient(*case.point)
    mask = np.ones_like(mine[2]) if case.layout.kind == "correlated" else np.eye(len(mine[2]))
    assert_same(mine, unmerged(likelihood).value_and_gradient(*case.point), mask, value=1e-13, gradient=1e-12)
    if case.layout.kind == "exchangeable" or make is many_groups:
        return  # The oracle has another parameter; the oracle is too slow.
    Sigma = case.Lambda @ case.Lambda.T
    expected = (
        dense.log_likelihood(case.design, case.layout, Sigma, case.error_cov, beta=beta),
        *dense.gradient(case.design, case.layout, *case.point, beta=beta),
    )
    assert_same(mine, expected, mask, value=1e-11, gradient=1e-9)


def test_a_balanced_design_costs_the_same_whatever_the_number_of_groups(rng):
    blocks = [
        marginal_likelihood(collect(case.design, case.layout)).blocks
        for case in (balanced(rng, groups=J) for J in (20, 4000))
    ]
    assert [len(b.separate.levels) for b in blocks] == [1, -(-4000 // STRIP)]
    assert [len(b.distinct.levels) for b in blocks] == [1, 1]
    assert [b.distinct.weight.sum() for b in blocks] == [20, 4000]


def test_groups_that_all_differ_stay_as_they_are(rng):
    case = case_of(rng, np.repeat(np.arange(40), 3), rng.normal(size=120))
    blocks = marginal_likelihood(collect(case.design, case.layout)).blocks
    assert blocks.distinct is blocks.separate


def test_the_order_of_rows_does_not_matter(rng):
    case = balanced(rng, groups=50, rows=9)
    expected = marginal_likelihood(collect(case.design, case.layout))
    order = rng.permutation(450)
    factor = case.design.factors[0]
    design = replace(
        case.design,
        y=case.design.y[order],
        X=case.design.X[order],
        factors=(replace(factor, Z=factor.Z[order], index=factor.index[order]),),
    )
    mine = marginal_likelihood(collect(design, case.layout))
    assert len(mine.blocks.distinct.levels) == len(expected.blocks.distinct.levels) == 1
    assert mine.blocks.distinct.weight.max() == 50
    assert mine.value_and_gradient(*case.point)[0] == pytest.approx(
        expected.value_and_gradient(*case.point)[0], rel=1e-13
    )


def test_columns_that_differ_in_the_ninth_digit_are_told_apart(rng):
    z = np.tile(rng.normal(size=4), 14)
    case = case_of(rng, np.repeat(np.arange(14), 4), z * np.repeat(1.0 + 1e-9 * np.arange(14), 4))
    blocks = marginal_likelihood(collect(case.design, case.layout)).blocks
    assert blocks.distinct is blocks.separate


def blocks_with(ZtZ):
    n, m = ZtZ.shape[:2]
    place = np.arange(n)
    return Blocks(levels=place[:, None], block=place, term=0 * place, ZtZ=ZtZ, ZtW=np.ones((n, m, 2)))


def test_many_steps_of_rounding_are_not_taken_for_none():
    ZtZ = (1.0 + 2.0**-46 * np.arange(20))[:, None, None]
    kind = distinct.equal_blocks(blocks_with(ZtZ), np.ones(20, dtype=np.intp))
    assert len(np.unique(kind)) > 1
    for k in np.unique(kind):
        assert np.ptp(ZtZ[kind == k]) <= 2.0**-43


def test_a_column_of_zeros_is_like_another_one_alone():
    ZtZ = np.zeros((3, 2, 2))
    ZtZ[:, 0, 0] = 4.0
    ZtZ[1, 1, 1] = 1e-30
    kind = distinct.equal_blocks(blocks_with(ZtZ), np.ones(3, dtype=np.intp))
    assert kind[0] == kind[2] != kind[1]


def test_fewest_rows_have_the_same_cross_products(rng):
    """Classes of one to thousands of rows, one of rank two, one of zeros, columns on scales far apart."""
    size = np.array([1, 2, 3, 17, 60, 3000, 5, 4])
    label = np.repeat(np.arange(len(size)), size)
    rows = rng.normal(size=(len(label), 4)) * [1.0, 1e-9, 1e7, 3.0]
    rows[label == 4] = (rng.normal(size=(60, 2)) @ rng.normal(size=(2, 4))) * [1.0, 1e-9, 1e7, 3.0]
    rows[label == 7] = 0.0
    few, of = distinct._fewest_rows(rows, label)
    assert np.bincount(of).tolist() == [1, 2, 3, 4, 2, 4, 4, 1]
    for k in range(len(size)):
        expected = rows[label == k].T @ rows[label == k]
        norm = np.sqrt(np.diagonal(expected))
        np.testing.assert_allclose(
            few[of == k].T @ few[of == k], expected, rtol=0, atol=1e-13 * np.outer(norm, norm).max(initial=0.0)
        )


def merged_and_not(formula, table, **options):
    """Return a model, and the same one without merging."""
    mine, other = hr.Model(formula, table, **options), hr.Model(formula, table, **options)
    blocks = mine.problem.blocks
    assert blocks.distinct is not blocks.separate
    other._problem = replace(other.problem, blocks=replace(blocks, distinct=blocks.separate))
    return mine, other


def test_estimates_are_the_same():
    mine, other = (m.estimate("reml") for m in merged_and_not("y ~ x + (x | g)", table_of_slopes()))
    assert mine.criterion == pytest.approx(other.criterion, rel=1e-12)
    for name in ("sd", "cov", "b", "b_cov"):
        np.testing.assert_allclose(getattr(mine, name)["g"], getattr(other, name)["g"], rtol=1e-5, atol=1e-7)


def test_posteriors_are_the_same():
    """The chains start alike; where rounding parts them, means still agree to their Monte-Carlo error."""
    mine, other = (
        m.sample(draws=400, chains=4, seed=3, progress=False)["posterior"]
        for m in merged_and_not("y ~ x + (x | g)", table_of_slopes())
    )
    for name in ("beta", "sd_g", "error_sd", "b_g"):
        a, b = mine[name], other[name]
        error = (a.std(("chain", "draw")) / np.sqrt(1600 / 4)).to_numpy()
        assert np.all(np.abs(a.mean(("chain", "draw")) - b.mean(("chain", "draw"))) < 5 * error)


def table_of_slopes():
    rng = np.random.default_rng(7)
    index, x = np.repeat(np.arange(400), 6), np.tile(np.arange(6.0), 400)
    b = rng.normal(size=(400, 2)) * [1.0, 0.4]
    y = 2.0 + 0.5 * x + b[index, 0] + b[index, 1] * x + rng.normal(size=2400)
    return pd.DataFrame({"y": y, "x": x, "g": np.char.add("g", index.astype(str))})
