"""Groups with coefficients theta_j = K beta + b_j: found where they are, and evaluated as dense matrices are."""

from dataclasses import replace

import numpy as np
import pytest

import hierreg as hr
from hierreg.compiled.lanes import LANES, STRIP
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.groups.blocks import _separate, factored
from hierreg.likelihood.groups.theta_kernels import absorb_theta
from hierreg.likelihood.groups.theta_strips import theta_strips
from hierreg.likelihood.population import FixedBeta
from tests.helpers.groups import (
    BETAS,
    MANY,
    alike_beside_different,
    assert_equal_to_dense,
    partly_balanced,
    strata_of_groups,
)
from tests.oracles.cases import make_layout, random_case

SIZES = [(1, 1), (2, 1), (2, 2)]  # group columns and population columns
KINDS_OF_ONE_TERM = ("independent", "known_se", "known_se, scaled")


def likelihood_of(case):
    return marginal_likelihood(collect(case.design, case.layout))


def by_group(rng, *, q, p):
    """Return a case with three error variances, of which each group has one."""
    case = random_case(rng, "independent", q=q, p=p, **MANY)
    stratum = (case.design.factors[0].index % 3).astype(np.intp)
    layout = make_layout("by", MANY["n"], labels=("u", "v", "w"), dim="site", n_sd=3, stratum=stratum)
    return replace(case, layout=layout, error_cov=np.diag([0.5, 2.0, 1.1]))


def with_columns(case, X):
    return replace(case, design=replace(case.design, X=X, coef_names=tuple(f"x{i}" for i in range(X.shape[1]))))


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("q", "p"), SIZES)
@pytest.mark.parametrize("kind", KINDS_OF_ONE_TERM)
def test_value_and_gradient(kind, q, p, beta, rng):
    case = random_case(rng, kind, q=q, p=p, **MANY)
    assert likelihood_of(case).blocks.theta is not None
    # Many groups have one row: their cross-products of two columns are singular.
    assert np.bincount(case.design.factors[0].index).min() == 1
    assert_equal_to_dense(case, beta)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("q", "p"), SIZES)
def test_an_error_variance_for_each_kind_of_group(q, p, beta, rng):
    case = by_group(rng, q=q, p=p)
    theta = likelihood_of(case).blocks.theta
    assert set(theta.term) == {0, 1, 2}
    assert np.all(np.diff(theta.term) >= 0)
    assert_equal_to_dense(case, beta)


@pytest.mark.parametrize(
    "Lambda",
    [
        np.zeros((1, 1)),
        np.zeros((2, 2)),
        np.diag([0.0, 1.3]),
        np.outer([1.0, -2.0], [0.3, 0.4]),
        np.array([[1.0, 0.0], [-1.0, 1e-5]]),
        1e3 * np.array([[1.0, 0.2], [-0.3, 0.5]]),
        1e-7 * np.array([[1.0, 0.2], [-0.3, 0.5]]),
    ],
    ids=str,
)
def test_singular_large_and_small_covariances(Lambda, rng):
    case = by_group(rng, q=len(Lambda), p=len(Lambda))
    assert_equal_to_dense(replace(case, Lambda=Lambda), "flat")


def lone_and_close_rows(rng, ratio):
    """Return a model of 300 groups with so many times the error sd between them; a third has one row.

    Another third has three rows with nearly the same x.
    """
    kind = np.arange(300) % 3
    group = np.repeat(np.arange(300), np.where(kind == 0, 1, 3))
    x = rng.normal(size=300)[group] + np.where(kind == 1, 1e-4, 1.0)[group] * rng.normal(size=len(group))
    b = ratio * rng.normal(size=(300, 2)) @ np.array([[1.0, 0.3], [0.0, 0.8]])
    y = 1.0 + 2.0 * x + b[group, 0] + b[group, 1] * x + rng.normal(size=len(group))
    return hr.Model("y ~ x + (x | g)", {"g": group.astype(str), "x": x, "y": y})


# All but a part in ratio^2 of the data is taken off again: both kernels lose that many digits, and not more.
@pytest.mark.parametrize("ratio", [30.0, 1e3, 1e4])
def test_groups_of_one_row_and_of_rows_close_together_under_large_variances(ratio, rng):
    likelihood = marginal_likelihood(lone_and_close_rows(rng, ratio).problem.gram)
    strips = replace(likelihood, blocks=replace(likelihood.blocks, theta=None))
    point = ratio * np.array([[1.0, 0.0], [0.3, 0.8]]), np.eye(1)
    value, g_Lambda, g_error = likelihood.value_and_gradient(*point)
    expected, e_Lambda, e_error = strips.value_and_gradient(*point)
    assert value == pytest.approx(expected, abs=1e-12 * ratio**2)
    np.testing.assert_allclose(g_Lambda, e_Lambda, rtol=0, atol=1e-14 * ratio**2 * np.linalg.norm(e_Lambda))
    np.testing.assert_allclose(g_error, e_error, rtol=1e-12 * ratio**2)


def test_population_columns_that_are_mixtures_of_group_columns(rng):
    case = random_case(rng, "independent", q=2, p=2, **MANY)
    X = case.design.X @ np.array([[1.0, 4.0], [0.5, -3.0]])
    mixed = with_columns(case, X)
    assert likelihood_of(mixed).blocks.theta is not None
    assert_equal_to_dense(mixed, "flat")


def test_all_population_coefficients_fixed(rng):
    case = random_case(rng, "independent", q=2, p=2, **MANY)
    fixed = FixedBeta(is_fixed=np.ones(2, dtype=bool), value=np.array([1.0, -0.5]))
    likelihood = marginal_likelihood(collect(case.design, case.layout), fixed=fixed)
    assert likelihood.blocks.theta.K.shape == (2, 0)


def test_columns_far_from_zero_are_recognised(rng):
    n = 2000
    data = {"g": rng.integers(300, size=n).astype(str), "year": 2e6 + rng.normal(size=n), "y": rng.normal(size=n)}
    assert hr.Model("y ~ year + (year | g)", data).problem.blocks.theta is not None


@pytest.mark.parametrize(
    "other",
    [
        lambda rng: random_case(rng, "independent", q=2, p=3, **MANY),
        lambda rng: random_case(rng, "independent", q=1, p=2, **MANY),
        lambda rng: random_case(rng, "by", q=2, p=2, **MANY),
        lambda rng: random_case(rng, "independent", q=3, p=3, **MANY),
        lambda rng: random_case(rng, "correlated", q=2, p=2, n=40, J=15),
        lambda rng: strata_of_groups(rng, q=2),
    ],
    ids=["another column", "a slope for all", "variances within groups", "q = 3", "linked", "two terms"],
)
def test_other_groups_stay_as_they_are(other, rng):
    assert likelihood_of(other(rng)).blocks.theta is None


def test_a_column_that_differs_by_more_than_rounding_is_another_column(rng):
    case = random_case(rng, "independent", q=2, p=2, **MANY)
    X = case.design.X.copy()
    X[17, 1] += 1e-9
    assert likelihood_of(case).blocks.theta is not None
    assert likelihood_of(with_columns(case, X)).blocks.theta is None


def test_balanced_groups_are_merged_instead(rng):
    n = 10 * STRIP
    x = np.tile(np.arange(4.0), n)
    data = {"g": np.repeat(np.arange(n), 4).astype(str), "x": x, "y": rng.normal(size=4 * n)}
    balanced = hr.Model("y ~ x + (x | g)", data).problem.blocks
    assert balanced.theta is None
    assert balanced.n_tiles == 1
    # Where merging leaves most strips, all groups are taken one by one.
    case = alike_beside_different(rng, 2)
    layout = make_layout("independent", len(case.design.y))
    partly = with_columns(replace(case, layout=layout, error_cov=np.ones((1, 1))), case.design.factors[0].Z)
    blocks = likelihood_of(partly).blocks
    assert blocks.distinct is blocks.separate
    assert blocks.n_tiles == len(blocks.theta.term) == -(-280 // STRIP)
    assert_equal_to_dense(partly, "flat")
    assert likelihood_of(partly_balanced(rng)).blocks.theta is None


def theta_of(case):
    groups = collect(case.design, case.layout).factors[0]
    blocks = _separate(groups, np.arange(groups.n_levels))
    return theta_strips(factored(groups, blocks, np.ones(groups.n_levels, dtype=bool)), len(case.design.y))


def sum_of_logs(Lambda, theta):
    p = theta[2].shape[1]
    return absorb_theta(np.ones(1), Lambda, theta, np.zeros((2, p + 1, p + 1, LANES)))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e40])
def test_products_of_determinants_do_not_overflow(scale, rng):
    theta = theta_of(random_case(rng, "independent", q=2, p=2, **MANY))
    c00, c01, c11 = theta.products.swapaxes(0, 1)[:3]
    expected = np.log1p(scale**2 * (c00**2 + c01**2 + c11**2) + scale**4 * (c00 * c11) ** 2).sum()
    assert sum_of_logs(scale * np.eye(2), theta.arrays) == pytest.approx(expected, rel=1e-12)


def test_one_strip_has_its_groups_wherever_y_is_counted_from(rng):
    n = 6
    data = {"g": np.repeat(np.arange(n), 4), "x": rng.normal(size=4 * n), "y": rng.normal(size=4 * n)}
    gram = hr.Model("y ~ x + (x | g)", data).problem.gram
    # Sums of squares of y cancel with those of X beta: the residual form is asked for its own.
    far = np.array([[1.0, 0.0, -1e4], [0.0, 1.0, 3e4], [0.0, 0.0, 1.0]])
    moved = replace(
        gram,
        factors=tuple(
            replace(
                f, ZtW=f.ZtW @ far, triangle=np.concatenate([f.triangle[..., :2], f.triangle[..., 2:] @ far], axis=2)
            )
            for f in gram.factors
        ),
        WtW=far.T @ gram.WtW @ far,
        left=gram.left @ far,
    )
    here, there = marginal_likelihood(gram), marginal_likelihood(moved)
    assert len(there.blocks.theta.term) == 1
    point = np.diag([1.0, 0.5]), np.eye(1)
    assert there.value_and_gradient(*point)[0] == pytest.approx(here.value_and_gradient(*point)[0], abs=1e-5)
