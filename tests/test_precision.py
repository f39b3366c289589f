"""From the covariance of errors to what likelihoods read of it: by NumPy, compiled, and written out."""

import numpy as np
import pytest

from hierreg.gram.terms import ErrorTerms
from hierreg.variances.precision import ErrorPrecision
from hierreg.variances.precision_kernels import error_precision_gradient, weights_of


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


def test_weights_are_those_of_compiled_densities(errors, rng):
    S = covariances_for(errors, rng)
    weights = errors.weights_of_draws(S)
    for s, own in enumerate(S):
        compiled = np.empty(2 * errors.n_terms + 2)
        weights_of(own, errors.arrays, compiled)
        np.testing.assert_allclose(weights[s], compiled, rtol=1e-12, atol=1e-14 * np.abs(compiled).max())
        np.testing.assert_array_equal(weights[s], errors.weights(own))


def test_gradient_is_that_of_compiled_densities(errors, rng):
    for S in covariances_for(errors, rng):
        g_omega, compiled = rng.normal(size=errors.n_terms), np.empty_like(S)
        error_precision_gradient(S, errors.arrays, g_omega, compiled)
        own = errors.gradient(S, g_omega)
        np.testing.assert_allclose((own + own.T) / 2, compiled, rtol=1e-11, atol=1e-13 * np.abs(compiled).max())


def test_weights_are_those_of_the_matrix_written_out(rng):
    errors = errors_of(*CASES["correlated, some missing"])
    S, K = covariances_for(errors, rng)[0], errors.n_terms
    weights, omega, log_det = errors.weights(S), [], 0.0
    for pattern, count in zip(errors.terms.patterns, errors.terms.counts, strict=True):
        own = S[np.ix_(pattern, pattern)]
        omega += list(np.linalg.inv(own)[np.triu_indices(len(own))])
        log_det += count * np.linalg.slogdet(own)[1]
    np.testing.assert_allclose(weights[:K], omega, rtol=1e-11)
    assert weights[2 * K] == pytest.approx(log_det, rel=1e-12)


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
