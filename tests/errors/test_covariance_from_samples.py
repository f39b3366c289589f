"""Covariance matrices from samples: NumPy's, what kind of samples they are, few of them, shrinkage, and pairs."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import HierregWarning, ModelError

SAMPLES = {"kind": "samples"}


def draw(rng, n, N=4):
    A = np.tril(rng.normal(size=(N, N))) + np.eye(N)
    return rng.normal(size=(n, N)) @ A.T * 10.0 ** np.arange(N) + 100.0


def test_without_shrinkage_it_is_the_sample_covariance_times_the_factor(rng):
    samples = draw(rng, 60)
    S = np.cov(samples, rowvar=False)
    plain = hr.covariance_from_samples(samples, kind="samples", correct=False)
    np.testing.assert_allclose(plain, S, rtol=1e-10)
    np.testing.assert_allclose(
        hr.covariance_from_samples(pd.DataFrame(samples), 0.0, **SAMPLES), S * 59 / 54, rtol=1e-10
    )
    np.testing.assert_allclose(
        hr.covariance_from_samples(samples, kind="samples", n_coef=1), S * 59 * 58 / (56 * 55), rtol=1e-10
    )
    np.testing.assert_allclose(
        hr.covariance_from_samples(samples, kind="samples", n_independent=50), S * 49 / 44, rtol=1e-10
    )


# ---- what the samples are


def test_what_samples_are_is_asked(rng):
    samples = rng.normal(size=(100, 3))
    with pytest.warns(HierregWarning, match=r"100 rows.*kind='bootstrap', n_independent=.*kind='jackknife'.*'samples'"):
        V = hr.covariance_from_samples(samples)
    np.testing.assert_array_equal(V, hr.covariance_from_samples(samples, kind="samples"))
    with pytest.raises(ModelError, match=r"of how many independent configurations are the 100 bootstrap samples"):
        hr.covariance_from_samples(samples, kind="bootstrap")


@pytest.mark.filterwarnings("ignore:samples has 4 independent")
def test_every_bootstrap_sample_of_means_is_the_textbook_formula(rng):
    """All 4^4 resamples of four configurations: their covariance times n / (n - 1) is S / n."""
    x = rng.normal(size=(4, 1))
    every = np.stack(np.meshgrid(*[np.arange(4)] * 4), axis=-1).reshape(-1, 4)
    means = x[every].mean(axis=1)
    V = hr.covariance_from_samples(means, kind="bootstrap", n_independent=4, correct=False)
    rows = len(means)
    assert V[0, 0] * (rows - 1) / rows == pytest.approx(x.var(ddof=1) / 4, rel=1e-12)


def test_the_jackknife_of_means_is_the_covariance_of_means(rng):
    x = draw(rng, 50)
    replicates = (x.sum(axis=0) - x) / 49
    V = hr.covariance_from_samples(replicates, kind="jackknife", correct=False)
    np.testing.assert_allclose(V, np.cov(x, rowvar=False) / 50, rtol=1e-9)
    corrected = hr.covariance_from_samples(replicates, kind="jackknife")
    np.testing.assert_allclose(corrected, V * 49 / 44, rtol=1e-12)


def test_both_layers_of_a_bootstrap_are_corrected(rng):
    x = draw(rng, 200)
    factor = 50 / 49 * (49 / 44) * (199 / 194)
    V = hr.covariance_from_samples(x, kind="bootstrap", n_independent=50)
    np.testing.assert_allclose(V, np.cov(x, rowvar=False) * factor, rtol=1e-10)


def test_a_thousand_resamples_of_thirty_configurations_are_thirty(rng):
    configurations = rng.normal(size=(30, 40))
    resamples = rng.multinomial(30, np.full(30, 1 / 30), size=1000) @ configurations / 30
    with pytest.raises(ModelError, match=r"1000 samples of 40 values, but they span only 29.*n_independent=30"):
        hr.covariance_from_samples(resamples, kind="samples")
    with pytest.raises(ModelError, match="30 independent samples of 40 values"):
        hr.covariance_from_samples(resamples, kind="bootstrap", n_independent=30)
    shrunk = hr.covariance_from_samples(resamples, "ledoit-wolf", kind="bootstrap", n_independent=30)
    corr = shrunk / np.sqrt(np.outer(np.diagonal(shrunk), np.diagonal(shrunk)))
    # uncorrelated values: most of what 30 configurations say of correlations is noise
    assert np.abs(corr[np.triu_indices(40, k=1)]).mean() < 0.03
    one = np.cov(configurations, rowvar=False)
    assert np.trace(shrunk) == pytest.approx(np.trace(one) / 30, rel=0.05)


def test_repeated_samples_are_named(rng):
    samples = rng.normal(size=(100, 2))
    with pytest.warns(HierregWarning, match="150 rows, of which only 100 differ.*n_independent=100"):
        hr.covariance_from_samples(np.vstack([samples, samples[:50]]), kind="samples")


# ---- few samples


def simulate(rng, kind, n, N, p, runs, **options):
    """Return coverage of 95 % intervals, mean chi-square, and mean variance over mean square error, true zero."""
    L = np.linalg.cholesky(0.9 * np.ones((N, N)) + 0.1 * np.eye(N))
    X = np.vander(np.linspace(-1, 1, N), p, increasing=True)
    covered, chi_square, claimed, squares = [], [], [], []
    for _ in range(runs):
        x = rng.normal(size=(n, N)) @ L.T
        y = x.mean(axis=0)
        if kind == "samples":
            y = rng.normal(size=N) @ L.T
        elif kind == "bootstrap":
            x = rng.multinomial(n, np.full(n, 1 / n), size=800) @ x / n
        else:
            x = (x.sum(axis=0) - x) / (n - 1)
        extra = {"n_independent": n} if kind == "bootstrap" else {}
        P = np.linalg.inv(hr.covariance_from_samples(x, kind=kind, **extra, **options))
        cov = np.linalg.inv(X.T @ P @ X)
        b = cov @ X.T @ P @ y
        covered.append(np.abs(b) < 1.959964 * np.sqrt(np.diagonal(cov)))
        chi_square.append(y @ P @ y)
        claimed.append(np.diagonal(cov))
        squares.append(b**2)
    return np.mean(covered), np.mean(chi_square), np.mean(claimed) / np.mean(squares)


# Two coefficients, one from 0.9 of common variance: chi-square is known to 1 %, coverage to 2 %, variances to 8 %.
@pytest.mark.filterwarnings("ignore:samples has 30 independent")
def test_chi_square_of_few_samples_is_right_on_average(rng):
    assert simulate(rng, "samples", 30, 10, 1, 300)[1] == pytest.approx(10, rel=0.1)
    assert simulate(rng, "samples", 30, 10, 1, 300, correct=False)[1] == pytest.approx(10 * 29 / 18, rel=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:samples has 30 independent")
@pytest.mark.parametrize("kind", ["samples", "bootstrap", "jackknife"])
def test_coverage_of_few_samples(kind, rng):
    """30 configurations of 20 values, two coefficients; 12 degrees of freedom are left of 29.

    What a Gaussian interval with the right variance covers is then about that of t: P(|t_11| < 1.96) = 0.924, known
    here to 0.006.
    """
    plain = simulate(rng, kind, 30, 20, 2, 1500, correct=False)
    assert plain[0] < 0.6
    assert plain[1] > 65
    by_chi_square = simulate(rng, kind, 30, 20, 2, 1500)
    assert by_chi_square[1] == pytest.approx(20, rel=0.06)
    right = simulate(rng, kind, 30, 20, 2, 1500, n_coef=2)
    assert right[0] == pytest.approx(0.924, abs=0.025)
    assert right[2] == pytest.approx(1.0, rel=0.12)


def test_the_factors_that_warnings_name_are_right(rng):
    N, n = 5, 20
    inverses = [np.linalg.inv(np.cov(rng.normal(size=(N, n)))) for _ in range(4000)]
    mean = float(np.mean([np.trace(V) / N for V in inverses]))
    assert mean == pytest.approx(19 / 13, rel=0.03)
    samples = rng.normal(size=(n, N))
    with pytest.warns(HierregWarning, match=r"20 independent samples of 5 values.*too large by the factor 1\.46"):
        hr.covariance_from_samples(samples, **SAMPLES, correct=False)
    scatter = np.sqrt(19 * 18 / (15 * 14) / (19 / 13))
    with pytest.warns(HierregWarning, match=rf"scatter more than.*by up to {scatter:.2f}: give n_coef="):
        hr.covariance_from_samples(samples, **SAMPLES)
    hr.covariance_from_samples(samples, **SAMPLES, n_coef=2)


@pytest.mark.parametrize("n", [5, 6])
def test_barely_enough_samples_cannot_be_corrected(n, rng):
    samples = rng.normal(size=(n, 4))
    with pytest.raises(ModelError, match=rf"{n} independent samples of 4 values are too few.*7 are the least"):
        hr.covariance_from_samples(samples, **SAMPLES)
    with pytest.warns(HierregWarning, match="unbounded factor"):
        hr.covariance_from_samples(samples, **SAMPLES, correct=False)


def test_an_ill_conditioned_matrix_is_warned_of(rng):
    samples = rng.normal(size=(200, 3))
    samples[:, 2] = samples[:, 0] + samples[:, 1] + 1e-7 * samples[:, 2]
    with pytest.warns(HierregWarning, match=r"condition number .* Leave out values"):
        hr.covariance_from_samples(samples, **SAMPLES)
    hr.covariance_from_samples(samples, 0.01, **SAMPLES)
    samples[:, 2] = samples[:, 0] + samples[:, 1]
    with pytest.raises(ModelError, match=r"span only 2 directions.*sums of others"):
        hr.covariance_from_samples(samples, **SAMPLES)


# ---- shrinkage


@pytest.mark.parametrize("weight", [0.2, 1, 1.0])
def test_a_fixed_shrinkage_keeps_variances_and_weakens_covariances(weight, rng):
    samples = rng.normal(size=(25, 4)) * 10.0 ** np.arange(4)
    S = np.cov(samples, rowvar=False)
    expected = (1 - weight) * S + weight * np.diag(np.diagonal(S))
    np.testing.assert_allclose(hr.covariance_from_samples(samples, weight, **SAMPLES), expected, rtol=1e-10, atol=1e-12)


def test_ledoit_wolf_is_that_of_scikit_learn_on_standardised_samples(rng):
    covariance = pytest.importorskip("sklearn.covariance")
    samples = rng.normal(size=(15, 6)) + rng.normal(size=(15, 1))
    z = (samples - samples.mean(axis=0)) / samples.std(axis=0, ddof=1)
    fit = covariance.LedoitWolf(assume_centered=True).fit(z)
    V = hr.covariance_from_samples(samples, "ledoit-wolf", **SAMPLES)
    assert 0 < fit.shrinkage_ < 1
    S = np.cov(samples, rowvar=False)
    expected = (1 - fit.shrinkage_) * S + fit.shrinkage_ * np.diag(np.diagonal(S))
    np.testing.assert_allclose(V, expected, rtol=1e-9)


def test_units_do_not_matter(rng):
    samples, scale = rng.normal(size=(12, 6)), 10.0 ** np.array([0, 3, -2, 5, 1, -4])
    for pairs in (None, [(0, 3), (4, 2)]):
        V, scaled = (
            hr.covariance_from_samples(x, "ledoit-wolf", pairs=pairs, **SAMPLES) for x in (samples, samples * scale)
        )
        np.testing.assert_allclose(scaled, V * scale[:, None] * scale, rtol=1e-9)


def test_shrinkage_makes_a_matrix_of_few_samples_usable(rng):
    """More values than samples: singular as it is, positive definite and fit for known_cov after shrinkage."""
    samples = rng.normal(size=(8, 12))
    with pytest.raises(ModelError, match=r"not positive definite.*covariance_from_samples"):
        hr.known_cov(np.cov(samples, rowvar=False))
    V = hr.covariance_from_samples(samples, "ledoit-wolf", **SAMPLES)
    table = {"x": np.arange(12.0), "y": samples.mean(axis=0)}
    est = hr.Model("y ~ x", table, errors=hr.known_cov(V)).estimate()
    assert np.isfinite(est.beta_se).all()


def test_shrinkage_brings_the_inverse_closer_to_the_truth(rng):
    N, n = 20, 30
    truth = 0.5 ** np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    samples = rng.multivariate_normal(np.zeros(N), truth, size=n)
    with pytest.warns(HierregWarning):
        plain = hr.covariance_from_samples(samples, **SAMPLES, correct=False)
    shrunk = hr.covariance_from_samples(samples, "ledoit-wolf", **SAMPLES)
    exact = np.linalg.inv(truth)
    assert np.linalg.norm(np.linalg.inv(shrunk) - exact) < 0.2 * np.linalg.norm(np.linalg.inv(plain) - exact)


# ---- two data sets that are nearly equal

M = 10
PAIRS = [(i, M + i) for i in range(M)]


def nearly_equal():
    """Covariance of ten points of two data sets: correlation 0.99 within pairs, 0.5^distance along x."""
    along = 0.5 ** np.abs(np.subtract.outer(np.arange(M), np.arange(M)))
    return np.kron(np.ones((2, 2)), 0.995 * along) + 0.005 * np.kron([[1, -1], [-1, 1]], np.eye(M))


def slope_difference(V, truth):
    """Return the standard error that V gives the difference of slopes, and the true one of the same estimate."""
    x = np.linspace(-1, 1, M)
    X = np.kron(np.eye(2), np.column_stack([np.ones(M), x]))
    c = np.array([0.0, 1.0, 0.0, -1.0])
    P = np.linalg.inv(V)
    cov = np.linalg.inv(X.T @ P @ X)
    gain = c @ cov @ X.T @ P
    return np.sqrt(c @ cov @ c), np.sqrt(gain @ truth @ gain)


@pytest.mark.parametrize("n", [15, 40])
def test_the_difference_of_nearly_equal_data_sets_is_not_swamped(n, rng):
    """Plain shrinkage makes the standard error of the difference of slopes four times too large, and says so."""
    truth = nearly_equal()
    samples = rng.multivariate_normal(np.zeros(2 * M), truth, size=n)
    with pytest.warns(HierregWarning, match=r"times too large.*pairs=\[\(i, j\), \.\.\.\]"):
        plain = hr.covariance_from_samples(samples, "ledoit-wolf", **SAMPLES)
    said, real = slope_difference(plain, truth)
    assert said > 3 * real
    said, real = slope_difference(hr.covariance_from_samples(samples, "ledoit-wolf", pairs=PAIRS, **SAMPLES), truth)
    assert 0.6 < said / real < 1.3
    assert real < 1.3 * slope_difference(truth, truth)[1]


@pytest.mark.parametrize("shrinkage", ["ledoit-wolf", 0.5, 1.0])
def test_the_covariance_of_a_pair_stays_as_it_is(shrinkage, rng):
    samples = rng.multivariate_normal(np.zeros(2 * M), nearly_equal(), size=12) * np.linspace(1, 5, 2 * M)
    S = np.cov(samples, rowvar=False)
    pairs = PAIRS[:7]
    V = hr.covariance_from_samples(samples, shrinkage, pairs=pairs, **SAMPLES)
    for pair in pairs:
        np.testing.assert_allclose(V[np.ix_(pair, pair)], S[np.ix_(pair, pair)], rtol=1e-10)
    np.testing.assert_allclose(np.diagonal(V), np.diagonal(S), rtol=1e-10)
    assert np.linalg.eigvalsh(V)[0] > 0
    assert not np.allclose(V, S, rtol=0.01)


# ---- arguments


@pytest.mark.parametrize(
    ("samples", "shrinkage", "options", "words"),
    [
        (np.eye(4) + np.arange(4)[:, None], None, {}, "4 independent samples of 4 values; more samples"),
        (np.random.default_rng(1).normal(size=(4, 5)), 0, {}, "4 independent samples of 5 values; more samples"),
        (np.ones(5), None, {}, r"shape \(5,\)"),
        (np.ones((1, 2)), None, {}, "at least two samples"),
        (np.array([[1.0, np.nan], [2.0, 1.0]]), 0.5, {}, r"not finite \(first at \[0, 1\]\)"),
        (np.array([[1.0, 3.0], [2.0, 3.0]]), 0.5, {}, r"1 columns that never vary \(1\)"),
        ("abc", None, {}, "not a matrix of numbers"),
        (np.eye(3), "lw", {}, "shrinkage='lw' must be"),
        (np.eye(3), 1.5, {}, "from 0 to 1"),
        (np.eye(3), True, {}, "must be None"),
        (np.eye(3), 0.5, {"kind": "bootstraps"}, "kind='bootstraps' is not one of.*Did you mean 'bootstrap'"),
        (np.eye(3), 0.5, {"n_independent": 1}, "n_independent=1 must be a whole number, 2 or more"),
        (np.eye(3), 0.5, {"n_independent": 4}, "only 3 samples.*kind='bootstrap'"),
        (np.eye(3), 0.5, {"kind": "jackknife", "n_independent": 2}, "3 jackknife replicates"),
        (np.eye(3), 0.5, {"n_coef": 4}, "n_coef=4 must be a whole number, from 0 to 3"),
        (np.eye(3), 0.5, {"pairs": [0, 1]}, "pairs of positions"),
        (np.eye(3), 0.5, {"pairs": [(0, 3)]}, "from 0 to 2, and each occurs once"),
        (np.eye(3), 0.5, {"pairs": [(0, 0)]}, "each occurs once"),
        (np.eye(3), None, {"pairs": [(0, 1)]}, "no shrinkage"),
        (np.random.default_rng(1).normal(size=(5, 1)) * [1.0, 2.0], 0.5, {"pairs": [(0, 1)]}, "span only 1|one value"),
    ],
)
def test_bad_arguments(samples, shrinkage, options, words):
    with pytest.raises(ModelError, match=words):
        hr.covariance_from_samples(samples, shrinkage, **(SAMPLES | options))
