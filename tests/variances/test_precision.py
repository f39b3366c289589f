"""From the covariance of errors to what likelihoods read of it, and the same written out."""

import numpy as np
import pytest

from hierreg.gram.terms import ErrorTerms
from hierreg.variances.precision import ErrorPrecision


def errors_of(patterns, gaps, counts):
    D = np.shape(patterns)[1]
    terms = ErrorTerms(
        kind="correlated",
        labels=tuple("abcd"[:D]),
        dim="quantity",
        n_sd=D,
        has_corr=D > 1,
        patterns=np.array(patterns, dtype=bool),
        counts=np.array(counts, dtype=float),
        log_det_known=0.0,
        gaps=np.array(gaps, dtype=np.int64),
    )
    return ErrorPrecision(terms=terms)


CASES = {
    "independent": ([[1]], [0], [40]),
    "strata": ([[0, 1, 0], [1, 0, 0], [0, 0, 1]], [0, 0, 0], [7, 9, 2]),
    "correlated": ([[1, 1, 1]], [0], [17]),
    "correlated, some missing": ([[1, 0, 1], [1, 1, 1], [0, 1, 0]], [0, 0, 0], [3, 5, 2]),
    "autoregressive": ([[1, 0], [1, 1], [1, 1]], [0, 1, 3], [4, 9, 2]),
}


def covariance(D, rng):
    return np.cov(rng.normal(size=(D, D + 3)) * [[0.5], [2.0], [30.0]][:D] if D > 1 else rng.normal(size=(1, 9)))


@pytest.fixture(params=CASES)
def errors(request):
    return errors_of(*CASES[request.param])


def covariances_for(errors, rng):
    D = errors.terms.n_labels
    S = np.array([covariance(D, rng).reshape(D, D) for _ in range(5)])
    if errors.terms.gaps.any():
        S[:, 1, 1] = S[:, 0, 0]
        S[:, 0, 1] = S[:, 1, 0] = S[:, 0, 0] * np.array([0.9999, -0.3, 0.0, 0.5, -0.97])
    return S


def written_out(errors, S):
    """Return the precision (n, n) and the covariance of each pattern, with how often it counts."""
    for gap, pattern, count in zip(errors.terms.gaps, errors.terms.patterns, errors.terms.counts, strict=True):
        own = S[np.ix_(pattern, pattern)]
        if gap == 0:
            yield np.linalg.inv(own), own, count
            continue
        rho = own[0, 1] / own[0, 0]
        pair = own[0, 0] * np.array([[1.0, rho**gap], [rho**gap, 1.0]])
        # The density of the second row given the first: that of both less that of the first.
        yield np.linalg.inv(pair) - np.diag([1.0 / pair[0, 0], 0.0]), pair, count


def test_weights_are_those_of_the_matrices_written_out(errors, rng):
    K = errors.n_terms
    many = covariances_for(errors, rng)
    for S, weights in zip(many, errors.weights_of_draws(many), strict=True):
        omega, log_det = [], 0.0
        for (precision, own, count), gap in zip(written_out(errors, S), errors.terms.gaps, strict=True):
            omega += list(precision[np.triu_indices(len(own))])
            log_det += count * (np.linalg.slogdet(own)[1] - (np.log(own[0, 0]) if gap else 0.0))
        np.testing.assert_allclose(weights[:K], omega, rtol=1e-9, atol=1e-12 * np.abs(omega).max())
        assert weights[2 * K] == pytest.approx(log_det, rel=1e-9)
        np.testing.assert_allclose(weights, errors.weights(S), rtol=1e-13)
        assert errors.weights_of_draws(many).flags.c_contiguous


def test_roots_are_those_of_the_precisions(errors, rng):
    S, K, first = covariances_for(errors, rng)[1], errors.n_terms, 0
    weights = errors.weights(S)
    for precision, own, _ in written_out(errors, S):
        d, e = np.triu_indices(len(own))
        root = np.zeros_like(own)
        root[e, d] = weights[K + first : K + first + len(d)]
        np.testing.assert_allclose(root.T @ root, precision, rtol=1e-11, atol=1e-13 * np.abs(precision).max())
        first += len(d)


def test_gradient_is_that_of_the_density(errors, rng):
    """Of f = g'omega - log|R| / 2, along a direction in which covariances stay definite."""
    S, K = covariances_for(errors, rng)[1], errors.n_terms
    g = rng.normal(size=K)
    root = np.linalg.cholesky(S)
    change = root @ np.diag(rng.normal(size=len(S))) @ root.T
    if errors.terms.gaps.any():
        change = 0.1 * S[0, 0] * np.array([[1.0, 0.4], [0.4, 1.0]])

    def value(step):
        weights = errors.weights(S + step * change)
        return g @ weights[:K] - 0.5 * weights[2 * K]

    slopes = [(value(h) - value(-h)) / (2 * h) for h in (2e-4, 1e-4)]
    found = errors.gradient(S, g)
    np.testing.assert_allclose(found, found.T, rtol=1e-13)
    assert np.sum(found * change) == pytest.approx((4 * slopes[1] - slopes[0]) / 3, rel=1e-8)


@pytest.mark.parametrize("S", [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[1.0, -1.0], [-1.0, 1.0]]])
@pytest.mark.parametrize("gap", [0, 2])
def test_a_matrix_that_is_no_covariance_has_no_determinant(S, gap):
    errors = errors_of([[1, 1]], [gap], [3])
    if gap and S[1][1] != S[0][0]:
        S = [[0.0, 0.0], [0.0, 0.0]]
    weights = errors.weights(np.array(S))
    assert np.isnan(weights[2 * errors.n_terms])


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 1\); expected \(2, 2\)"):
        errors_of([[1, 1]], [0], [3]).weights(np.eye(1))
