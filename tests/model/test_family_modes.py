"""Where searches for parameters of responses that are not normal end, and how they get there."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import hierreg as hr
from hierreg.estimate.of_families import maximise_family
from hierreg.model.family import modes, rules
from hierreg.model.family.estimation import limit, starts_of_chains
from hierreg.model.family.starts import starts_of


def model(n_groups=40, rows=6):
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(n_groups), rows), rng.normal(size=n_groups * rows)
    b = rng.normal(size=(n_groups, 2)) * [1.0, 0.6]
    y = rng.random(len(g)) < special.expit(-0.4 + 0.8 * x + b[g, 0] + b[g, 1] * x)
    return hr.Model("y ~ x + (x | g)", pd.DataFrame({"y": y, "x": x, "g": g}), family=hr.Bernoulli())


def found(problem):
    return rules.at_mode(problem, starts_of_chains(problem, limit(problem)[1]), 1)


def test_the_mode_of_three_nodes_is_where_its_gradient_is_zero():
    """It is nearer to the mode of many nodes than Laplace's, to a part of an sd; and takes few evaluations."""
    problem = model().problem
    target, mode = found(problem)
    in_sds = mode.scale.T @ target(mode.u)[1]
    assert mode.converged
    assert 0.5 * in_sds @ in_sds < 1e-5
    assert mode.log_density == pytest.approx(target(mode.u)[0], rel=1e-12)
    many = modes.highest(
        problem, target.with_nodes(15), [modes.ChainStart(psi=mode.u)], tolerance=1e-8, with_hessian=True
    )
    laplace = modes.highest(problem, problem.target(1), [modes.ChainStart(psi=mode.u)], tolerance=1e-8)
    away, from_laplace = (np.linalg.solve(many.mode.scale, psi - many.psi) for psi in (mode.u, laplace.psi))
    assert np.linalg.norm(away) < 0.1
    assert np.linalg.norm(away) < 0.5 * np.linalg.norm(from_laplace)
    np.testing.assert_allclose(
        np.linalg.inv(mode.scale @ mode.scale.T), np.linalg.inv(many.mode.scale @ many.mode.scale.T), rtol=0.2, atol=3.0
    )


def test_a_search_takes_over_where_steps_do_not_get_shorter(monkeypatch):
    problem = model().problem
    _, near = found(problem)
    monkeypatch.setattr(modes, "_SHORTER", 0.0)
    _, searched = found(problem)
    assert np.any(searched.u != near.u)
    np.testing.assert_allclose(np.linalg.solve(near.scale, searched.u - near.u), 0.0, atol=0.6)


def test_modes_that_are_remembered_change_no_estimate(monkeypatch):
    """And none is lost by parameters at which there is none."""
    table = hr.load_dataset("grouseticks")
    problem = hr.Model("TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", table, family=hr.Poisson()).problem
    target = problem.target(1, prior_on=False)
    likelihood, start = target.likelihood, starts_of(problem)[0]
    evaluate, given = likelihood.remembering(), (start.phi, start.Lambda, start.auxiliary)
    for phi in (start.phi, start.phi + 0.1, start.phi + 1e4, start.phi - 0.1):
        value, *gradient = evaluate(phi, *given[1:])
        expected, *slopes = likelihood.value_and_gradient(phi, *given[1:])
        assert value == pytest.approx(expected, rel=1e-12)
        for one, other in zip(gradient, slopes, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-7)
    remembered = maximise_family(target, starts_of(problem), None)
    monkeypatch.setattr(type(likelihood), "remembering", lambda self: self.value_and_gradient)
    forgotten = maximise_family(target, starts_of(problem), None)
    assert remembered.log_likelihood == pytest.approx(forgotten.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(remembered.phi_cov, forgotten.phi_cov, rtol=1e-4)
