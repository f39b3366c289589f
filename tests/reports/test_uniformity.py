"""Bands and probabilities of ranks: against simulation, and against faults that are known."""

import numpy as np
import pytest
from scipy import stats

from hierreg.reports.calibration import LEVELS, Replication, coverage_band, coverage_of, report_of
from hierreg.reports.uniformity import band, counts_below, evidence_of, holm, places, probability

DRAWS = 199


def ranks(rng, n, *, sd=1.0, shift=0.0):
    """Return ranks of standard normal true values among draws with another sd and mean."""
    truth = rng.standard_normal(n)
    return np.sum(shift + sd * rng.standard_normal((n, DRAWS)) < truth[:, None], axis=1)


@pytest.mark.parametrize(("n", "prob"), [(40, 0.8), (300, 0.95)])
def test_the_band_holds_uniform_ranks_as_often_as_it_says(n, prob):
    rng = np.random.default_rng(4)
    _, lower, upper = band(n, DRAWS, prob)
    S = 4000
    inside = 0
    for _ in range(S):
        share = counts_below(rng.integers(0, DRAWS + 1, n), DRAWS) / n
        inside += bool(np.all((share >= lower - 1e-12) & (share <= upper + 1e-12)))
    # The band is of counts, so that it holds a little more than asked for.
    error = np.sqrt(prob * (1 - prob) / S)
    assert prob - 4 * error < inside / S < prob + 0.03 + 4 * error


def test_the_band_is_arviz_s_but_for_what_it_simulates():
    """ArviZ has the same band by simulation, at as many places as there are ranks."""
    from arviz_stats.ecdf_utils import ecdf_pit

    rng, n = np.random.default_rng(4), 100
    at, _, low, high = ecdf_pit(rng.random(n), 0.9, 5000, rng=rng)
    z, lower, upper = band(n, DRAWS, 0.9)
    np.testing.assert_allclose(at[1:-1], z)
    # Counts, of which a simulated level may move some by one.
    np.testing.assert_allclose(lower, low[1:-1], atol=1.01 / n)
    np.testing.assert_allclose(upper, high[1:-1], atol=1.01 / n)


def test_probabilities_are_those_of_simulation():
    """The same statistic of 20,000 sets of uniform ranks, whose share below is the probability."""
    rng, n = np.random.default_rng(6), 60
    observed = counts_below(ranks(rng, n, shift=0.35), DRAWS)
    z = places(DRAWS)
    many = rng.random((20_000, n, 1)) < z
    counts = np.concatenate([observed[None], many.sum(axis=1)])
    tails = np.minimum(stats.binom.cdf(counts, n, z), stats.binom.sf(counts - 1, n, z)).min(axis=1)
    share = np.mean(tails[1:] <= tails[0] * (1 + 1e-9))
    error = np.sqrt(share * (1 - share) / len(many))
    assert 0.005 < share < 0.5
    assert probability(observed, n) == pytest.approx(share, abs=4 * error)


def test_uniform_ranks_have_uniform_probabilities():
    rng = np.random.default_rng(3)
    found = evidence_of(rng.integers(0, DRAWS + 1, (150, 150)), DRAWS)
    for p in (found.ecdf, found.bias, found.spread):
        assert stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"sd": 0.9}, "too narrow"),
        ({"sd": 1.12}, "too wide"),
        ({"shift": 0.15}, "biased up"),
        ({"shift": -0.15}, "biased down"),
    ],
)
def test_a_fault_of_a_tenth_is_named(fault, words):
    rng = np.random.default_rng(11)
    columns = [ranks(rng, 1000) for _ in range(2)] + [ranks(rng, 1000, **fault)]
    report = made(np.stack(columns, axis=1))
    assert report["verdict"].to_numpy().tolist() == ["", "", words]
    assert "1 of 3 quantities deviate" in str(report)


def made(values, **others):
    found = [Replication(number=i, ranks=tuple(row), ess=400.0) for i, row in enumerate(values.tolist())]
    names = [(f"q{i}", "variance") for i in range(values.shape[1])]
    return report_of([*found, *others.get("more", [])], names, DRAWS, {"heading": "made"})


def test_a_quantity_of_another_shape_is_named():
    # Half of the ranks in the middle and half at the ends: mean and spread as they should be.
    rng = np.random.default_rng(2)
    n = 1000
    middle, ends = rng.integers(60, 140, n // 2), rng.choice(np.r_[0:12, 188:200], n // 2)
    report = made(np.concatenate([middle, ends])[:, None])
    assert float(report["ecdf_p"][0]) < 1e-6
    assert report["verdict"].item()


@pytest.mark.parametrize("largest", [39, 99, 199, 279, 1399])
def test_places_are_equally_far_from_each_other(largest):
    z = places(largest)
    np.testing.assert_allclose(np.diff(z, prepend=0.0, append=1.0), 1 / (len(z) + 1))
    # and at ranks
    np.testing.assert_allclose(z * (largest + 1), np.round(z * (largest + 1)), atol=1e-9)


def test_coverage_counts_ranks_within_intervals():
    uniform = np.arange(DRAWS + 1)[:, None]
    np.testing.assert_allclose(coverage_of(uniform, DRAWS)[0], LEVELS)
    lower, upper = coverage_band(400)
    for level, a, b in zip(LEVELS, lower, upper, strict=True):
        inside = stats.binom.cdf(round(400 * b), 400, level) - stats.binom.cdf(round(400 * a) - 1, 400, level)
        assert 0.95 <= inside < 0.98


def test_replications_without_a_posterior_are_counted_and_named():
    more = [
        Replication(number=500, status="refused", message="zero in every row"),
        Replication(number=501, status="refused", message="zero in every row"),
        Replication(number=502, status="failed", message="SamplingError: no"),
        Replication(number=503, ranks=(3, 4), ess=20.0, warnings=("ConvergenceWarning: a", "ConvergenceWarning: b")),
    ]
    report = made(np.random.default_rng(1).integers(0, DRAWS + 1, (50, 2)), more=more)
    assert report.attrs["n"] == 51
    assert report.sizes["replication"] == 54
    assert np.isnan(report["rank"].sel(replication=502)).all()
    note = report.attrs["note"]
    for words in ("2 replications (500, 501) have a response", "2 x zero in every row", "1 replication (502) failed"):
        assert words in note
    assert "(503), counted above, with warnings: ConvergenceWarning 1." in note
    assert "fewer effective draws than the 199" in note


def test_probabilities_of_all_are_those_of_holm():
    p = np.array([0.2, 0.004, 0.03, 0.9])
    np.testing.assert_allclose(holm(p), [0.4, 0.016, 0.09, 0.9])
