"""Alarms of right models are rare, and faults are seen: fewer data sets than `python -m tests.criticism.power` has."""

import numpy as np
import pytest

from tests.criticism.designs import DESIGNS
from tests.criticism.power import RIGHT, many, rates_of_right, row_of_wrong, table_of_right

# Data sets of each right model, and of each fault: three standard errors of a rate of one half are then 0.24.
N_RIGHT, N_WRONG = 100, 40
# Alarms of its check per fault that is faint on purpose: of few rows, or a moderate size.
_FAINT = {
    ("counts", "an outlying group"): 0.15,
    ("160 schools", "heavy tails of groups"): 0.1,
    ("160 schools", "an outlying group"): 0.3,
    ("sleepstudy", "an outlying group"): 0.3,
    ("penicillin", "heavy tails"): 0.35,
    ("penicillin", "unequal variances"): 0.3,
    ("two data sets", "heavy tails"): 0.3,
    ("two data sets", "unequal variances"): 0.3,
    ("two data sets", "dependence in time"): 0.3,
}


def test_rates_and_tables():
    found = [({"tails"}, {"tails": 0.001, "order": 0.2}), (set(), {"tails": 0.04})]
    rates = rates_of_right(found)
    assert rates == {"any": 0.5, "tails": 0.5, "tails p": 1.0, "order": 0.0, "order p": 0.0}
    assert table_of_right({"a": rates}).splitlines()[2] == "| a | 50.0 | 0.0 (0.0) | 50.0 (100.0) |"
    row = row_of_wrong("sleepstudy", "curvature", [{"curvature", "order"}, {"order"}, set(), {"curvature"}])
    assert row == "| sleepstudy | curvature | curvature | 50 | 75 | order 50 |"


@pytest.mark.slow
@pytest.mark.parametrize("posterior", [False, True])
@pytest.mark.parametrize("design", DESIGNS)
def test_right_models_have_few_alarms(design, posterior):
    if not (posterior or DESIGNS[design].has_estimate):
        pytest.skip("looked at by a posterior alone")
    rates = rates_of_right(many(design, RIGHT, N_RIGHT, 499, posterior=posterior))
    three = 3 * np.sqrt(0.05 * 0.95 / N_RIGHT)
    assert rates["any"] <= 0.05 + three
    for name, rate in rates.items():
        assert rate <= (0.05 + three if name.endswith(" p") else 0.05), name


@pytest.mark.slow
@pytest.mark.parametrize(("design", "fault"), [(name, fault) for name, one in DESIGNS.items() for fault in one.faults])
def test_faults_are_seen(design, fault):
    own = DESIGNS[design].faults[fault]
    found = many(design, fault, N_WRONG, 499)
    assert np.mean([own in alarms for alarms, _ in found]) >= _FAINT.get((design, fault), 0.6)
