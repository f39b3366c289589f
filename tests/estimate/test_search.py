"""Searches end at the best of several maxima, and say so where there are others."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.estimate import screening, search
from hierreg.estimate.coordinates import factor_coordinates
from hierreg.estimate.mode import best_mode
from hierreg.estimate.optimise import maximise
from hierreg.estimate.starting_values import expected_curvature, starting_point
from hierreg.exceptions import ConvergenceWarning
from hierreg.likelihood.crossed.engine import CrossedLikelihood
from hierreg.likelihood.groups.engine import MarginalLikelihood
from hierreg.likelihood.posterior import Target
from hierreg.sampling.nuts import find_mode
from hierreg.sampling.warnings_of_draws import stats_group, warn_about

# nlme 3.1-162: lme(y ~ 1, random = ~ 1 | g, weights = varIdent(form = ~ 1 | s), method = ...), -2 logLik
TWO_MAXIMA = {
    "y": [
        *(5.639, 3.879, 2.25, 12.392, 2.433, -5.807, -6.622, 1.774, 3.627, 24.638),
        *(20.377, 5.979, -1.218, -42.857, 1.222, 30.253, 11.168, 28.77, 22.307, -68.126),
    ],
    "g": [0] * 8 + list(range(8, 20)),
    "s": list("10110211220122122002"),
}
NLME = {"ml": 161.576094, "reml": 156.751400}


@pytest.mark.parametrize("method", sorted(NLME))
def test_a_maximum_inside_is_found_beside_one_at_zero_variance(method):
    est = hr.Model("y ~ 1 + (1 | g)", pd.DataFrame(TWO_MAXIMA), errors=hr.by("s")).estimate(method)
    assert est.converged
    assert est.criterion == pytest.approx(NLME[method], abs=2e-6)
    assert not est.singular


def small_model(seed):
    """Groups of one row, one of nine, and errors of three very different strata, or exchangeable in few units."""
    rng = np.random.default_rng(seed)
    J = int(rng.integers(6, 14))
    n = J + 8
    g, s = np.concatenate([np.arange(J), np.zeros(8, dtype=int)]), rng.integers(0, 3, n)
    y = 3 * rng.standard_t(2, size=J)[g] + np.exp(rng.normal(0, 1.5, 3))[s] * rng.normal(size=n)
    if seed % 2:
        return hr.Model("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g, "s": s.astype(str)}), errors=hr.by("s"))
    unit = rng.integers(0, n // 3, n)
    table = pd.DataFrame({"y": y + rng.normal(size=n // 3 + 1)[unit], "g": g, "unit": unit})
    return hr.Model("y ~ 1 + (1 | g)", table, errors=hr.exchangeable("unit"))


# Of these the searches from moments, and from groups that differ as errors do, miss the maximum of the odd ones.
@pytest.mark.parametrize("seed", [1, 3, 11, 19, 52, 65, 67, 69, 117])
def test_no_start_leads_higher(seed):
    model = small_model(seed)
    problem = model.problem
    for method in ("ml", "reml"):
        est = model.estimate(method)
        coordinates = factor_coordinates(problem.likelihood(method), problem.parameters)
        rng, (start, _) = np.random.default_rng(seed), coordinates.start()
        others = [maximise(coordinates, start + 2.0 * rng.normal(size=len(start))) for _ in range(10)]
        best = max(one.value for one in others if one.converged)
        assert est.converged
        assert est.criterion < -2.0 * best + 1e-5


def test_a_second_start_ends_in_the_bowl_of_a_maximum_that_is_known():
    """f = -(x^2 - 1)^2 (1 + 0.1 x) - y^2 has maxima of equal height at x = 1 and x = -1."""
    calls = []

    def function(x):
        calls.append(x)
        a, b = x
        slope = -4 * a * (a * a - 1) * (1 + 0.1 * a) - 0.1 * (a * a - 1) ** 2
        return -((a * a - 1) ** 2) * (1 + 0.1 * a) - b * b, np.array([slope, -2 * b])

    first = maximise(function, np.array([1.3, 0.5]))
    calls.clear()
    again = maximise(function, np.array([1.2, -0.5]), known=[first])
    assert again.n_evaluations == len(calls) < first.n_evaluations
    np.testing.assert_array_equal(again.x, first.x)
    other = maximise(function, np.array([-1.3, 0.5]), known=[first])
    np.testing.assert_allclose(other.x, [-1.0, 0.0], atol=1e-6)


# ---- modes of a posterior


def target_of(J, spread, prior):
    """A prior far below the spread of groups: one mode is the prior's, one is the data's."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(J), 4)
    table = pd.DataFrame({"y": np.linspace(-1.7, 1.7, J)[g] * spread + rng.normal(size=4 * J), "g": g})
    problem = hr.Model("y ~ 1 + (1 | g)", table, priors=hr.Priors(sd={"g": prior})).problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


def test_the_mode_is_the_best_of_those_that_starts_lead_to():
    target = target_of(40, 0.6, hr.LogNormal(np.log(0.02), 0.7))
    gram, parameters = target.likelihood.gram, target.parameters
    grid = np.linspace(-5.0, 1.0, 61)
    ends = [maximise(target, np.array([log_sd, 0.0])).value for log_sd in grid[::6]]
    best, others = best_mode(target)
    assert best.value == pytest.approx(max(ends), abs=1e-6)
    assert others[0].value == pytest.approx(min(ends), abs=1e-6)
    # the usual start leads to the lower one
    usual = maximise(target, starting_point(gram, parameters), curvature=expected_curvature(gram, parameters))
    assert usual.value < best.value - 3


def test_a_second_mode_that_counts_is_said():
    target = target_of(20, 1.0, hr.LogNormal(np.log(0.02), 1.0))
    with pytest.warns(ConvergenceWarning, match=r"two modes, with log densities -1\d\d.*sd_g\[Intercept\] \(0") as said:
        mode = find_mode(target)
    assert f"{mode.log_density:.2f}" in str(said[0].message)


def chains_at(heights, rng):
    """Draws (4, 200, 2) of two parameters, the first of which has another place in each mode, and their log density."""
    u = rng.normal(size=(4, 200, 2))
    lp = -0.5 * np.sum(u**2, axis=2) + np.array(heights)[:, None]
    u[:, :, 0] += np.array(heights)[:, None]
    return u, stats_group({"lp": lp, "diverging": np.zeros(lp.shape, dtype=bool)}, lp.shape)


def test_chains_in_modes_of_different_density_are_said(rng):
    u, stats = chains_at([0.0, 0.0, -30.0, 0.0], rng)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said = warn_about(("sd_g[Intercept]", "error_sd"), u, stats)
    assert said[0].startswith("chains [2] ended in another mode than chain ")
    assert "most in sd_g[Intercept]" in said[0]
    assert {w.category for w in caught} == {ConvergenceWarning}


def test_chains_in_one_mode_are_not(rng):
    u, stats = chains_at([0.0] * 4, rng)
    assert warn_about(("sd_g[Intercept]", "error_sd"), u, stats) == []


@pytest.mark.parametrize("log_sd", [-300.0, -226.0, -149.0, 149.0, 226.0])
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_a_step_to_errors_of_any_size_has_finite_slopes_or_none(log_sd, unit):
    """A search may try any size once: what overflows there is neither a warning nor a slope."""
    rng = np.random.default_rng(2)
    data = {"y": unit * rng.normal(size=12), "x": rng.normal(size=12), "g": np.arange(12) % 4}
    problem = hr.Model("y ~ x + (1 | g)", data).problem
    coordinates = factor_coordinates(problem.likelihood("reml"), problem.parameters)
    value, slopes = coordinates(np.array([1.0, log_sd]))
    assert not np.isnan(value)
    assert np.isfinite(slopes).all()


# ---- where evaluations take long


@pytest.fixture
def costly(monkeypatch):
    for engine in (CrossedLikelihood, MarginalLikelihood):
        monkeypatch.setattr(engine, "is_costly", property(lambda _: True))


@pytest.mark.parametrize("method", sorted(NLME))
def test_a_maximum_inside_is_found_where_evaluations_take_long(method, costly):
    est = hr.Model("y ~ 1 + (1 | g)", pd.DataFrame(TWO_MAXIMA), errors=hr.by("s")).estimate(method)
    assert est.criterion == pytest.approx(NLME[method], abs=2e-6)


@pytest.mark.parametrize("seed", [1, 3, 11, 52, 65, 117])
def test_no_maximum_is_missed_where_evaluations_take_long(seed, costly):
    model = small_model(seed)
    found = [model.estimate(method) for method in ("ml", "reml")]
    with pytest.MonkeyPatch.context() as cheap:
        cheap.setattr(MarginalLikelihood, "is_costly", property(lambda _: False))
        expected = [model.estimate(method) for method in ("ml", "reml")]
    for one, other in zip(found, expected, strict=True):
        assert one.criterion == pytest.approx(other.criterion, abs=1e-6)


def crossed_table(levels=9):
    rng = np.random.default_rng(4)
    s, d = rng.integers(0, 600, 5000), rng.integers(0, levels, 5000)
    x, slope = rng.normal(size=5000), 0.5 * rng.normal(size=600)
    y = 0.8 * rng.normal(size=600)[s] + slope[s] * x + 0.3 * rng.normal(size=levels)[d] + rng.normal(size=5000)
    return {"y": y, "x": x, "s": s, "d": d}


@pytest.mark.parametrize("formula", ["y ~ x + (1 | s) + (1 | d)", "y ~ x + (x | s) + (1 | d)"])
def test_shortcuts_change_no_estimate(formula, monkeypatch):
    """The sd of a few levels is looked at along a line, and standard errors come from the Hessian of the search."""
    model, calls = hr.Model(formula, crossed_table()), []
    gradient = CrossedLikelihood.value_and_gradient
    monkeypatch.setattr(CrossedLikelihood, "value_and_gradient", lambda *a: calls.append(1) or gradient(*a))
    expected, n_before = model.estimate(), len(calls)
    monkeypatch.setattr(CrossedLikelihood, "is_costly", property(lambda _: True))
    est = model.estimate()
    assert est.converged
    assert est.criterion == pytest.approx(expected.criterion, abs=1e-8)
    assert len(calls) - n_before < n_before
    np.testing.assert_allclose(est.cov["d"], expected.cov["d"], rtol=1e-6)
    np.testing.assert_allclose(est.variance_cov, expected.variance_cov, rtol=1e-4, atol=1e-9)


def test_a_second_search_is_made_where_little_is_known(monkeypatch):
    model, asked = hr.Model("y ~ x + (1 | s) + (1 | d)", crossed_table(levels=3)), []
    monkeypatch.setattr(CrossedLikelihood, "is_costly", property(lambda _: True))
    again = search._search_again
    monkeypatch.setattr(search, "_search_again", lambda *arguments: asked.append(1) or again(*arguments))
    assert model.estimate().converged
    assert asked


def one_hill(points):
    return -10.0 * (np.log(1.0 + points[:, 0] ** 2) + 5.0 / (1.0 + points[:, 0] ** 2)) - points[:, 1] ** 2


def line(function, x):
    lines = np.tile(np.array([x, 0.0]), (1, len(screening.ALONG), 1))
    lines[0, :, 0] *= screening.ALONG
    return function, lines, function(np.array([[x, 0.0]]))[0]


def test_a_criterion_that_falls_to_both_sides():
    assert screening.falls_away(*line(one_hill, 2.0))
    assert screening.falls_away(one_hill, np.empty((0, 5, 2)), 0.0)
    # Half way up; and where there is another hill, at zero, or further up.
    assert not screening.falls_away(*line(one_hill, 0.7))
    for place, height in ((0.0, 12.0), (2.0 * np.exp(2.0), 30.0)):

        def with_another(points, place=place, height=height):
            return one_hill(points) + height * np.exp(-8.0 * (points[:, 0] - place) ** 2)

        assert not screening.falls_away(*line(with_another, 2.0))


def test_which_sds_are_weakly_known():
    is_sd = np.array([True, True, False])
    enough = {"is_sd": is_sd, "enough": 6.0}
    np.testing.assert_array_equal(screening.weakly_known(np.diag([20.0, 2000.0, 5000.0]), **enough), [0])
    assert screening.weakly_known(np.diag([2000.0, 2000.0, 5000.0]), **enough).size == 0
    assert screening.weakly_known(np.diag([5.0, 2000.0, 5000.0]), **enough) is None
    assert screening.weakly_known(np.diag([2000.0, 2000.0, 50.0]), **enough) is None
    # Two that are known well, but hardly apart.
    joined = np.array([[2000.0, 1990.0, 0.0], [1990.0, 2000.0, 0.0], [0.0, 0.0, 5000.0]])
    np.testing.assert_array_equal(screening.weakly_known(joined, **enough), [0, 1])
    assert screening.weakly_known(np.full((3, 3), np.nan), **enough) is None
