"""The likelihood of many groups in chunks: the kernel's value, to the last bit the same on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest

from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.groups import threads as chunks
from hierreg.likelihood.posterior import Target
from tests.helpers.groups import partly_balanced, strata_within_groups
from tests.helpers.targets import make_target
from tests.oracles.cases import KINDS, random_case


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of one tile, and no number of them too small."""
    monkeypatch.setattr(chunks, "CHUNK", 1)
    monkeypatch.setattr(chunks, "_FEWEST_CHUNKS", 0)


def kernel(likelihood, Lambda, S):
    errors = likelihood.errors
    g_Lambda, g_omega = np.empty_like(Lambda), np.empty(errors.n_terms)
    value = likelihood.native()(likelihood.z_map_inverse @ Lambda, errors.weights(S), g_Lambda, g_omega)
    return value, likelihood.z_map_inverse.T @ g_Lambda, errors.gradient(S, g_omega)


def assert_on_any_number_of_threads(likelihood, point):
    expected = kernel(likelihood, *point)
    first = likelihood.value_and_gradient(*point)
    for n in (2, 3):
        again = replace(likelihood, threads=n).value_and_gradient(*point)
        for a, b in zip(again, first, strict=True):
            np.testing.assert_array_equal(a, b)
    size = max(np.linalg.norm(expected[1]), np.linalg.norm(expected[2]))
    assert first[0] == pytest.approx(expected[0], rel=1e-13)
    np.testing.assert_allclose(first[1], expected[1], rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(first[2], expected[2], rtol=0, atol=1e-12 * size)


@pytest.mark.long
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient(kind, rng):
    case = random_case(rng, kind, n=330, J=150)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    assert likelihood.is_large
    D = likelihood.gram.terms.n_labels
    error_cov = case.error_cov if len(case.error_cov) == D else np.diag(rng.uniform(0.5, 2.0, D))
    assert_on_any_number_of_threads(likelihood, (case.Lambda, error_cov))


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("q", [1, 2])
def test_groups_with_all_population_coefficients(q, rng):
    case = random_case(rng, "known_se, scaled", n=330, J=150, p=q, q=q)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    assert len(likelihood.blocks.theta.term) > chunks.CHUNK
    assert_on_any_number_of_threads(likelihood, case.point)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("make", [partly_balanced, strata_within_groups])
def test_weights_stay_with_their_tiles(make, rng):
    case = make(rng)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    assert likelihood.blocks.distinct.weight.any()
    assert len(likelihood.blocks.distinct.levels) > chunks.CHUNK
    assert_on_any_number_of_threads(likelihood, case.point)


@pytest.mark.usefixtures("small_chunks")
def test_an_impossible_covariance_has_density_zero(rng):
    case = random_case(rng, "correlated", n=330, J=150)
    likelihood = replace(marginal_likelihood(collect(case.design, case.layout)), threads=2)
    S = case.error_cov.copy()
    S[0, 1] = S[1, 0] = 10 * np.sqrt(S[0, 0] * S[1, 1])
    value, g_Lambda, g_error = likelihood.value_and_gradient(case.Lambda, S)
    assert value == -np.inf
    assert not g_Lambda.any()
    assert not g_error.any()


@pytest.mark.parametrize("kind", ["by", "correlated", "exchangeable, by stratum"])
def test_target(kind, rng, monkeypatch):
    target = make_target(rng, kind)[0]
    u = rng.normal(size=target.parameters.n_free)
    assert not target.likelihood.is_large
    expected = target(u)
    monkeypatch.setattr(chunks, "_FEWEST_CHUNKS", 0)
    values = [replace(target, likelihood=replace(target.likelihood, threads=n))(u) for n in (1, 2)]
    assert values[0][0] == values[1][0] == pytest.approx(expected[0], rel=1e-13)
    np.testing.assert_array_equal(values[0][1], values[1][1])
    np.testing.assert_allclose(values[0][1], expected[1], rtol=1e-11, atol=1e-11 * np.linalg.norm(expected[1]))


def test_target_where_the_density_is_zero(rng, monkeypatch):
    target = make_target(rng, "by")[0]
    monkeypatch.setattr(chunks, "_FEWEST_CHUNKS", 0)
    assert isinstance(target, Target)
    value, gradient = target(np.full(target.parameters.n_free, 800.0))
    assert value == -np.inf
    assert not gradient.any()


def test_few_groups_are_left_to_the_kernel():
    assert not chunks.is_large(8 * chunks.CHUNK - 1)
    assert chunks.is_large(8 * chunks.CHUNK)
