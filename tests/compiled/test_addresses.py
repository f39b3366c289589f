"""Compiled functions that read tables of addresses: what these point to stays, in copies, threads and processes."""

import copy
import gc
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import hierreg as hr
from hierreg.compiled.addresses import AddressTable, NativeLikelihood
from hierreg.gram import collect
from hierreg.likelihood.crossed.record import ROWS as CROSSED
from hierreg.likelihood.crossed.record import SourcesRecord
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.groups.record import BASE
from hierreg.likelihood.posterior import Target
from tests.oracles.cases import random_case
from tests.oracles.crossed_cases import SHAPES, random_crossed_case

KINDS = ("strips", "linked", "crossed")


def likelihood_and_point(kind, rng):
    if kind == "crossed":
        case = random_crossed_case(rng, next(iter(SHAPES)))
    else:
        case = random_case(rng, "independent" if kind == "strips" else "correlated")
    return marginal_likelihood(collect(case.design, case.layout)), (case.Lambda, case.error_cov)


def through_pickle(one):
    return pickle.loads(pickle.dumps(one))  # noqa: S301  # what a cluster does


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_outlives_what_it_was_copied_from(kind, copied, rng):
    likelihood, point = likelihood_and_point(kind, rng)
    expected = likelihood.value_and_gradient(*point)
    other = copied(likelihood)
    del likelihood
    gc.collect()
    np.full(10**6, np.nan)  # what was freed does not hold its numbers any more
    assert_same(other.value_and_gradient(*point), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_disturb_each_other(kind, rng):
    likelihood, (Lambda, error_cov) = likelihood_and_point(kind, rng)
    points = [(Lambda * s, error_cov * (1 + s)) for s in np.linspace(0.1, 2.0, 200)]
    expected = [likelihood.value_and_gradient(*point) for point in points]
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(lambda point: likelihood.value_and_gradient(*point), points))
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def test_a_result_is_not_overwritten_by_the_next_one(rng):
    problem = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).problem
    target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    u = rng.normal(size=problem.parameters.n_free)
    _, first = target(u)
    kept = first.copy()
    _, second = target(u + 1.0)
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(first, second)


def test_where_the_density_is_zero_the_gradient_is_zero():
    problem = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).problem
    target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    value, gradient = target(np.full(problem.parameters.n_free, 1e6))
    assert value == -np.inf
    np.testing.assert_array_equal(gradient, 0.0)


def test_addresses_do_not_travel():
    table = AddressTable(SourcesRecord(place=np.ones(3), term=np.ones(3), value=np.ones(3), weight=np.ones(3)))
    with pytest.raises(TypeError, match="another process"):
        pickle.dumps(table)
    with pytest.raises(TypeError, match="another process"):
        copy.copy(table)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_want_of_memory_is_an_error(kind, rng):
    """A C function cannot raise: what it has not written is noticed."""
    likelihood, (Lambda, error_cov) = likelihood_and_point(kind, rng)
    native = likelihood.native()
    # More columns than there is memory for.
    rows = native._table.rows
    if kind == "crossed":
        rows[CROSSED.dense.n, 0] = 2**50
    else:
        rows[BASE.base, 2] = 2**22
    weights = likelihood.errors.weights(error_cov)
    with pytest.raises(MemoryError, match="one evaluation"):
        native(Lambda, weights, np.empty_like(Lambda), np.empty(likelihood.errors.n_terms))


def test_shapes_that_do_not_fit_are_errors(rng):
    likelihood, (Lambda, error_cov) = likelihood_and_point("strips", rng)
    with pytest.raises(ValueError, match="expected"):
        likelihood.native()(Lambda[:1], likelihood.errors.weights(error_cov), Lambda, error_cov)
    with pytest.raises(ValueError, match="expected"):
        likelihood.value_and_gradient(Lambda, error_cov[:, :0])
    problem = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).problem
    target = Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))
    with pytest.raises(ValueError, match="there are 4 parameters"):
        target(np.zeros(3))
    with pytest.raises(ValueError, match="there are 4 parameters"):
        target.values(np.zeros((5, 3)))


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
def test_chains_of_crossed_factors_keep_their_room(monkeypatch):
    """nutpie's threads are not Python's: what belongs to a thread would be made for every gradient."""
    made = []
    monkeypatch.setattr(
        "hierreg.likelihood.crossed.engine.NativeLikelihood",
        lambda *args, **kwargs: made.append(1) or NativeLikelihood(*args, **kwargs),
    )
    model = hr.Model("strength ~ 1 + (1 | batch) + (1 | cask)", hr.load_dataset("pastes"))
    model.sample(draws=50, tune=50, chains=2, seed=1, progress=False)
    assert 0 < len(made) < 20


@pytest.mark.parametrize("n", [1, 64, 65, 130])
@pytest.mark.parametrize("kind", ["strips", "linked"])
def test_moments_at_many_points_are_those_at_each(kind, n, rng):
    likelihood, (Lambda, error_cov) = likelihood_and_point(kind, rng)
    native, p = likelihood.native(), len(likelihood.gram.coef_names)
    sizes = np.linspace(0.5, 2.0, n)
    internal = np.ascontiguousarray(likelihood.z_map_inverse @ (Lambda * sizes[:, None, None]))
    weights = np.array([likelihood.errors.weights(error_cov * size) for size in sizes])
    mean, factor, values = np.zeros((n, p)), np.zeros((n, p, p)), np.zeros(n)
    assert native.moments(internal, weights, mean, factor, values)
    one = np.zeros((1, p)), np.zeros((1, p, p)), np.zeros(1)
    for s in range(n):
        assert native.moments(internal[s : s + 1], weights[s : s + 1], *one)
        assert values[s] == native.value(internal[s], weights[s])
        np.testing.assert_array_equal(mean[s], one[0][0])
        np.testing.assert_array_equal(factor[s], one[1][0])


def test_moments_end_at_a_point_without_a_density(rng):
    likelihood, (Lambda, error_cov) = likelihood_and_point("strips", rng)
    p = len(likelihood.gram.coef_names)
    internal = np.tile(likelihood.z_map_inverse @ Lambda, (100, 1, 1))
    weights = np.tile(likelihood.errors.weights(error_cov), (100, 1))
    weights[70] = np.nan
    mean, factor, values = np.zeros((100, p)), np.zeros((100, p, p)), np.zeros(100)
    assert not likelihood.native().moments(internal, weights, mean, factor, values)
    assert values[70] == -np.inf
    assert (mean[:70] == mean[0]).all()
    assert not mean[70:].any()
