"""Other responses of the same rows: the same as a model made of them, for every structure and family."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError
from hierreg.likelihood.posterior import Target
from hierreg.problem.replaced import twice, with_response
from hierreg.problem.resampled import of_other_rows
from hierreg.problem.rotated import with_rotated_rows
from tests.helpers import structures

PRIORS = hr.Priors(beta={"Intercept": hr.Normal(0, 1), "x": hr.Normal(0, 0.7)}, sd={"g": hr.HalfNormal(0.7)})


def target(problem):
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


def assert_same_density(one, other):
    assert one.parameters.free_names == other.parameters.free_names
    rng = np.random.default_rng(8)
    evaluate, wanted = target(one).evaluator(), target(other).evaluator()
    for _ in range(5):
        u = rng.normal(0, 0.6, len(one.parameters.free_names))
        (value, gradient), (expected, slopes) = evaluate(u), wanted(u)
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-10)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", structures.GAUSSIAN)
def test_another_response_is_that_of_a_new_model(name):
    table = structures.rows()
    y = 300 + 40 * np.random.default_rng(2).normal(size=len(table))
    problem = with_response(structures.gaussian(name).problem, y)
    assert_same_density(problem, structures.gaussian(name, table.assign(y=y)).problem)
    # and not by chance: the response matters
    assert target(problem).evaluator()(np.zeros(len(problem.parameters.free_names)))[0] != pytest.approx(
        target(structures.gaussian(name).problem).evaluator()(np.zeros(len(problem.parameters.free_names)))[0]
    )


def twice_as_long(name):
    table = structures.rows()
    again = table.assign(pair=table["pair"] + 1000, unit=table["unit"] + 1000)
    both = pd.concat([table, again], ignore_index=True)
    formula, errors, given = structures.GAUSSIAN[name]
    if name == "known_cov":
        V = structures.covariance()
        errors = lambda: hr.known_cov(np.kron(np.eye(2), V), scale=True)  # noqa: E731
    if name == "ar1":
        both["series"] = np.repeat(["first", "second"], len(table)) + both["g"]
        errors = lambda: hr.ar1("time", unit="series")  # noqa: E731
    return both, lambda rows: hr.Model(formula, rows, errors=errors(), priors=given)


@pytest.mark.parametrize("name", structures.GAUSSIAN)
def test_rows_that_are_observed_twice_are_those_of_a_longer_table(name):
    both, make = twice_as_long(name)
    y = both["y"].to_numpy().copy()
    y[len(y) // 2 :] = np.random.default_rng(3).normal(1, 2, len(y) // 2)
    problem = with_response(twice(structures.gaussian(name).problem), y)
    assert problem.n_rows == len(both)
    assert_same_density(problem, make(both.assign(y=y)).problem)


def test_rows_that_are_observed_twice_keep_priors_that_data_scaled():
    """Default priors are in coordinates of the columns, which are the same of a table twice as long."""
    problem = hr.Model("y ~ x + w + (x | g)", structures.rows().assign(x=lambda rows: rows["x"] + 2000)).problem
    again = twice(problem)
    assert_same_density(again, of_other_rows(problem, again.design, again.layout))


INDEPENDENT = [
    name
    for name in structures.GAUSSIAN
    if (name.startswith("independent") and "crossed" not in name) or name in {"by", "known_se"}
]


@pytest.mark.parametrize("name", INDEPENDENT)
def test_rotated_rows_have_the_likelihood_of_statistics(name):
    own = structures.gaussian(name)
    alone = hr.Model.from_gram(own.gram, structures.GAUSSIAN[name][2]).problem
    rotated = with_rotated_rows(alone, "this")
    assert rotated.n_rows == len(rotated.design.y) == own.problem.n_rows
    rng = np.random.default_rng(4)
    ours, theirs = target(rotated).evaluator(), target(own.problem).evaluator()
    points = rng.normal(0, 0.6, (4, len(own.problem.parameters.free_names)))
    values = np.array([[one(u)[0] for one in (ours, theirs)] for u in points])
    # But for the logarithms of known standard errors, which are the same at all parameters.
    constant = 0.0 if name != "known_se" else values[0, 1] - values[0, 0]
    np.testing.assert_allclose(values[:, 0] + constant, values[:, 1], rtol=1e-9, atol=1e-8)


def test_rows_that_are_there_are_not_rotated():
    problem = structures.gaussian("by").problem
    assert with_rotated_rows(problem, "this") is problem


FAMILIES = {
    "poisson": (hr.Poisson(), lambda rng, n: rng.poisson(2.0, n).astype(float), {}),
    "binomial": (hr.Binomial(), lambda rng, n: rng.integers(0, 5, n).astype(float), {"trials": "trials"}),
    "gamma": (hr.Gamma(), lambda rng, n: rng.gamma(2.0, 1.0, n), {}),
    "log normal": (hr.LogNormal(error_sd=hr.HalfNormal(1)), lambda rng, n: np.exp(rng.normal(size=n)), {}),
    "student t": (hr.StudentT(5, error_scale=hr.HalfNormal(1)), lambda rng, n: rng.normal(size=n), {}),
    "negative binomial": (hr.NegativeBinomial(), lambda rng, n: rng.poisson(3.0, n).astype(float), {}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_another_response_of_a_family_is_that_of_a_new_model(name):
    family, draw, given = FAMILIES[name]
    rng = np.random.default_rng(9)
    table = structures.rows().assign(trials=5)
    first, second = draw(rng, len(table)), draw(rng, len(table))

    def made(y):
        return hr.Model("y ~ x + (1 | g)", table.assign(y=y), family=family, priors=PRIORS, **given).problem

    problem, wanted = with_response(made(first), second), made(second)
    nodes = 1 if problem.engine == "joint" else 9
    psi = rng.normal(0, 0.3, len(problem.names))
    assert problem.names == wanted.names
    if problem.engine == "joint":
        np.testing.assert_allclose(problem.X, wanted.X, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(problem.observed.y, wanted.observed.y)
        return
    beta = problem.beta(problem.population.mean + psi[: len(problem.free)])
    # Both are in the frames of their own working responses: compare at the same coefficients.
    values = [one.target(nodes, prior_on=True).evaluator()(_psi(one, beta, psi))[0] for one in (problem, wanted)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def _psi(problem, beta, psi):
    n_u = len(problem.parameters.free_names)
    phi = (problem.priors.beta_basis @ beta)[problem.free]
    rest = psi[n_u + len(phi) :]
    return np.concatenate([psi[:n_u], phi, rest])


def test_responses_that_say_nothing_are_refused():
    table = structures.rows().assign(y=np.resize([0.0, 1.0, 3.0], len(structures.rows())))
    counts = hr.Model("y ~ x + (1 | g)", table, family=hr.Poisson(), priors=PRIORS).problem
    with pytest.raises(DataError, match="zero in every row"):
        with_response(counts, np.zeros(len(table)))
    ranks = hr.Model("y ~ x + (1 | g)", table, family=hr.Cumulative()).problem
    with pytest.raises(DataError, match="categories '1'"):
        with_response(ranks, np.resize([0.0, 2.0], len(table)))
    shares = hr.Model("y ~ x + (1 | g)", table.assign(y=np.resize([0.2, 0.6], len(table))), family=hr.Beta()).problem
    with pytest.raises(DataError, match="between 0 and 1"):
        with_response(shares, np.r_[1.0, np.full(len(table) - 1, 0.3)])
    with pytest.raises(DataError, match="1 values that are not finite"):
        with_response(structures.gaussian("by").problem, np.r_[np.inf, np.zeros(len(table) - 1)])
