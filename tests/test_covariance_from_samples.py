"""Covariance matrices from samples: NumPy's, scikit-learn's shrinkage, and what is said of too few samples."""

import sys

import numpy as np
import pandas as pd
import pytest

import hierreg as hr


def draw(rng, n, N=4):
    A = np.tril(rng.normal(size=(N, N))) + np.eye(N)
    return rng.normal(size=(n, N)) @ A.T * 10.0 ** np.arange(N) + 100.0


def test_without_shrinkage_it_is_the_sample_covariance(rng):
    samples = draw(rng, 60)
    np.testing.assert_allclose(hr.covariance_from_samples(samples), np.cov(samples, rowvar=False), rtol=1e-10)
    np.testing.assert_allclose(hr.covariance_from_samples(pd.DataFrame(samples), 0.0), np.cov(samples.T), rtol=1e-10)


@pytest.mark.parametrize("weight", [0.2, 1, 1.0])
def test_a_fixed_shrinkage_keeps_variances_and_weakens_covariances(weight, rng):
    samples = draw(rng, 25)
    S = np.cov(samples, rowvar=False)
    expected = (1 - weight) * S + weight * np.diag(np.diagonal(S))
    np.testing.assert_allclose(hr.covariance_from_samples(samples, weight), expected, rtol=1e-10, atol=1e-12)


def test_ledoit_wolf_is_that_of_scikit_learn_on_standardised_samples(rng):
    covariance = pytest.importorskip("sklearn.covariance")
    samples = draw(rng, 15, N=6)
    z = (samples - samples.mean(axis=0)) / samples.std(axis=0)
    fit = covariance.LedoitWolf().fit(z)
    V = hr.covariance_from_samples(samples, "ledoit-wolf")
    assert 0 < fit.shrinkage_ < 1
    sd = samples.std(axis=0, ddof=1)
    np.testing.assert_allclose(V, sd[:, None] * fit.covariance_ * sd, rtol=1e-10)


def test_units_do_not_matter(rng):
    samples, scale = draw(rng, 12, N=6), 10.0 ** np.array([0, 3, -2, 5, 1, -4])
    V, scaled = (hr.covariance_from_samples(x, "ledoit-wolf") for x in (samples, samples * scale))
    np.testing.assert_allclose(scaled, V * scale[:, None] * scale, rtol=1e-10)


def test_shrinkage_makes_a_matrix_of_few_samples_usable(rng):
    """More values than samples: singular as it is, positive definite and fit for known_cov after shrinkage."""
    samples = draw(rng, 8, N=12) / 10.0 ** np.arange(12)
    with pytest.raises(hr.exceptions.ModelError, match=r"not positive definite.*covariance_from_samples"):
        hr.known_cov(np.cov(samples, rowvar=False))
    V = hr.covariance_from_samples(samples, "ledoit-wolf")
    table = {"x": np.arange(12.0), "y": samples.mean(axis=0)}
    est = hr.Model("y ~ x", table, errors=hr.known_cov(V)).estimate()
    assert np.isfinite(est.beta_se).all()


def test_shrinkage_brings_the_inverse_closer_to_the_truth(rng):
    N, n = 20, 30
    truth = 0.5 ** np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    samples = rng.multivariate_normal(np.zeros(N), truth, size=n)
    with pytest.warns(hr.exceptions.HierregWarning):
        plain = hr.covariance_from_samples(samples)
    shrunk = hr.covariance_from_samples(samples, "ledoit-wolf")
    exact = np.linalg.inv(truth)
    assert np.linalg.norm(np.linalg.inv(shrunk) - exact) < 0.2 * np.linalg.norm(np.linalg.inv(plain) - exact)


def test_the_factor_that_the_warning_names_is_right(rng):
    N, n = 5, 20
    inverses = [np.linalg.inv(np.cov(rng.normal(size=(N, n)))) for _ in range(4000)]
    mean = float(np.mean([np.trace(V) / N for V in inverses]))
    assert mean == pytest.approx(19 / 13, rel=0.03)
    with pytest.warns(hr.exceptions.HierregWarning, match=r"20 samples of 5 values.*too large by the factor 1\.46"):
        hr.covariance_from_samples(rng.normal(size=(n, N)))


@pytest.mark.parametrize("n", [5, 6])
def test_barely_enough_samples_are_warned_of(n, rng):
    with pytest.warns(hr.exceptions.HierregWarning, match="unbounded factor"):
        hr.covariance_from_samples(rng.normal(size=(n, 4)))


def test_an_ill_conditioned_matrix_is_warned_of(rng):
    samples = rng.normal(size=(200, 3))
    samples[:, 2] = samples[:, 0] + samples[:, 1] + 1e-7 * samples[:, 2]
    with pytest.warns(hr.exceptions.HierregWarning, match="condition number .* Leave out values"):
        hr.covariance_from_samples(samples)
    hr.covariance_from_samples(samples, 0.01)


@pytest.mark.parametrize(
    ("samples", "shrinkage", "words"),
    [
        (np.zeros((4, 4)) + np.arange(4)[:, None], None, "4 samples of 4 values; more samples"),
        (np.ones((4, 5)) * np.arange(4)[:, None], 0, "4 samples of 5 values; more samples"),
        (np.ones(5), None, r"shape \(5,\)"),
        (np.ones((1, 2)), None, "at least two samples"),
        (np.array([[1.0, np.nan], [2.0, 1.0]]), 0.5, r"not finite \(first at \[0, 1\]\)"),
        (np.array([[1.0, 3.0], [2.0, 3.0]]), 0.5, r"1 columns that never vary \(1\)"),
        ("abc", None, "not a matrix of numbers"),
        (np.eye(3), "lw", "shrinkage='lw' must be"),
        (np.eye(3), 1.5, "from 0 to 1"),
        (np.eye(3), True, "must be None"),
    ],
)
def test_bad_arguments(samples, shrinkage, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        hr.covariance_from_samples(samples, shrinkage)


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "sklearn.covariance", None)
    with pytest.raises(ImportError, match=r"hierreg\[shrinkage\]"):
        hr.covariance_from_samples(rng.normal(size=(50, 3)), "ledoit-wolf")
