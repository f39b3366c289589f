"""Gram(a) + Gram(b) == Gram(a and b), for any split of any design, however far its columns are from zero."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierreg.exceptions import DataError
from hierreg.gram import addition, collect
from hierreg.gram.collect import collect_part
from hierreg.gram.dropping import check_rank
from tests.helpers.gram import assert_same
from tests.oracles.cases import only_observed, rows_of
from tests.properties.test_model_properties import cases, seeds


def parts_of(case, rng, n_parts):
    """Return the case, with known covariances cut between parts, and its parts; units are whole."""
    layout = case.layout
    unit = np.arange(len(case.design.y)) if layout.unit is None else layout.unit
    part = rng.integers(0, n_parts, int(unit.max()) + 1)[unit]
    if layout.V is not None:
        case = replace(case, layout=replace(layout, V=layout.V.within(part)))
    rows = [np.flatnonzero(part == i) for i in range(n_parts)]
    return case, [only_observed(rows_of(case, one)) for one in rows if len(one)]


def in_coordinates_of(whole, gram):
    """Return a basis in the internal coordinates of another, which are then those of the user.

    A covariance of group effects at x = 0 says nothing to nine digits about groups at x = 1e9.
    """
    z = [
        (theirs.frame, mine.frame.to(theirs.frame.centre, theirs.frame.basis))
        for mine, theirs in zip(gram.factors, whole.factors, strict=True)
    ]
    moved = addition.moved(gram, gram.frame.to(whole.frame.centre, whole.frame.basis), z)
    factors = tuple(replace(factor, z_map=np.eye(factor.n_coef)) for factor in moved.factors)
    return replace(moved, factors=factors, x_map=whole.x_map, y_shift=whole.y_shift)


@pytest.mark.long
@settings(max_examples=60)
@given(cases(), seeds, st.integers(2, 5), st.sampled_from([0.0, 1e3, 1e9]))
def test_parts_add_to_the_whole(case, seed, n_parts, offset):
    design, factor = case.design, case.design.factors[0]
    far = [offset * (name != "Intercept") for name in design.coef_names]
    own = [offset * (name != "Intercept") for name in factor.coef_names]
    factor = replace(factor, Z=factor.Z + own)
    case = replace(case, design=replace(design, y=design.y + offset, X=design.X + far, factors=(factor,)))
    case, parts = parts_of(case, np.random.default_rng(seed), n_parts)
    total, *rest = (collect_part(part.design, part.layout) for part in parts)
    for one in rest:
        total += one
    whole = collect(case.design, case.layout)
    assert total.n == whole.n
    assert_same(in_coordinates_of(whole, total), in_coordinates_of(whole, whole), case, rtol=1e-10)
    check_rank(total)


@settings(max_examples=40)
@given(cases(("independent",)), seeds, st.integers(2, 5), st.sampled_from([0.0, 1e9]))
def test_collinear_columns_are_found_in_the_sum(case, seed, n_parts, offset):
    X = np.column_stack([case.design.X, 2.0 * case.design.X[:, -1] + 1.0 + offset])
    names = (*case.design.coef_names, "again")
    case = replace(case, design=replace(case.design, X=X + offset * (np.array(names) == "again"), coef_names=names))
    _, parts = parts_of(case, np.random.default_rng(seed), n_parts)
    total, *rest = (collect_part(part.design, part.layout) for part in parts)
    for one in rest:
        total += one
    with pytest.raises(DataError, match="the population columns are collinear: 'again' is "):
        check_rank(total)
