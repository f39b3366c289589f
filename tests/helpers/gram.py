"""Statistics compared, and rows in parts."""

from dataclasses import fields, is_dataclass, replace

import numpy as np

from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from tests.oracles.cases import only_observed, rows_of


def value_of(gram, case):
    """Return log p at the point of a case; data sets in a Gram may be in another order than in the case."""
    order = [labels_of(case).index(label) for label in gram.terms.labels]
    error_cov = case.error_cov[np.ix_(order, order)]
    value, g_Lambda, g_error = marginal_likelihood(gram).value_and_gradient(case.Lambda, error_cov)
    back = np.argsort(order)
    return value, g_Lambda, g_error[np.ix_(back, back)]


def labels_of(case):
    """Return the labels that the rows and columns of the error covariance of a case have."""
    if case.layout.kind != "exchangeable":
        return case.layout.labels
    return collect(case.design, case.layout).terms.labels


def assert_same(gram, other, case, *, rtol=1e-11):
    found = value_of(other, case)
    assert np.isfinite(found[0])
    for mine, expected in zip(value_of(gram, case), found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=0, atol=rtol * (1 + np.abs(expected).max()))


def split(case, rng):
    """Return two tables that share groups, each with groups or data sets of its own, and units kept whole."""
    layout, design = case.layout, case.design
    n = len(design.y)
    if layout.unit is not None:
        in_a = layout.unit < 3 * (layout.unit.max() + 1) // 5
    else:
        in_a = rng.permutation(n) < 3 * n // 5
    index = design.factors[0].index
    if layout.kind != "correlated" or "data set" not in str(layout.dim):
        # the last group only in the second table, the first group only in the first
        in_a = np.where(layout.unit is None, (in_a | (index == 0)) & (index != index.max()), in_a)
    a, b = np.flatnonzero(in_a), np.flatnonzero(~in_a)
    if layout.V is not None:
        case = replace(case, layout=replace(layout, V=layout.V.within(in_a)))
    return case, only_observed(rows_of(case, a)), only_observed(rows_of(case, b))


def assert_identical(a, b):
    assert type(a) is type(b)
    if is_dataclass(a):
        for field in fields(a):
            assert_identical(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_identical(one, other)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        assert_identical(list(a.values()), list(b.values()))
    else:
        assert a == b
