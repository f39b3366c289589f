"""Log densities of responses against SciPy, and in extended precision; derivatives against differences."""

import math

import mpmath as mp
import numpy as np
import pytest
from numba import njit
from scipy import special, stats

from hierreg.compiled.parts import whole
from hierreg.response import kernels, mixed_kernels
from hierreg.response.links import LINKS

ETAS = (-6.0, -1.3, 0.2, 2.1, 5.0)
CASES = [
    *(
        ("binomial", link, y, n, 0.0, 0.0)
        for link in ("logit", "probit", "cloglog")
        for y, n in ((0, 1), (1, 1), (3, 7), (7, 7))
    ),
    *(("poisson", "log", y, 1, 0.0, 0.0) for y in (0, 1, 12)),
    *(("negative binomial", "log", y, 1, a, 0.0) for y in (0, 1, 12, 200) for a in (1e-3, 0.5, 3.0)),
    *(("gamma", "log", y, 1, a, 0.0) for y in (0.2, 4.0) for a in (0.5, 3.0)),
    *(("beta", "logit", y, 1, a, 0.0) for y in (0.2, 0.9) for a in (0.5, 30.0)),
    *(("normal", "identity", y, 1, a, 0.0) for y in (0.2, 9.0) for a in (0.5, 3.0)),
    *(("student", "identity", y, 1, a, c) for y in (0.2, 20.0) for a in (0.5, 3.0) for c in (1.5, 8.0, 300.0)),
    *(
        ("cumulative", link, 0, 1, a, c)
        for link in ("logit", "probit")
        for a, c in ((-math.inf, -1.0), (-1.0, 0.3), (0.3, math.inf), (3.0, 3.4))
    ),
]
CODES = {
    "binomial": kernels.BINOMIAL,
    "poisson": kernels.POISSON,
    "negative binomial": kernels.NEGATIVE_BINOMIAL,
    "gamma": kernels.GAMMA,
    "beta": kernels.BETA,
    "normal": kernels.NORMAL,
    "student": kernels.STUDENT_T,
    "cumulative": kernels.CUMULATIVE,
}


@whole
def evaluate(family, link, y, n, eta, a, c, out):
    out[0], out[1], out[2], out[3] = kernels.row_terms(family, link, y, n, eta, a, c)
    out[4] = kernels.row_constant(family, y, n, a, c)
    out[5], out[6] = kernels.auxiliary_slopes(family, link, y, eta, a, c)
    return len(out)


@whole
def evaluate_mixed(family, link, y, eta, a, c, out):
    out[0], out[1], out[2], out[3] = mixed_kernels.mixed_slopes(family, link, y, eta, a, c)
    return len(out)


def terms(case, eta, a=None, c=None):
    family, link, y, n, own_a, own_c = case
    out = np.empty(7)
    a, c = own_a if a is None else a, own_c if c is None else c
    evaluate(CODES[family], LINKS[link].code, float(y), float(n), float(eta), float(a), float(c), out)
    return out


def scipy_log_density(case, eta):
    family, link, y, n, a, c = case
    mean = LINKS[link].inverse(np.array(eta))
    if family == "binomial":
        if link == "probit":  # of small probabilities 1 - p has no digits
            return y * special.log_ndtr(eta) + (n - y) * special.log_ndtr(-eta) + math.log(special.comb(n, y))
        if link == "cloglog":
            return y * np.log(-np.expm1(-np.exp(eta))) - (n - y) * np.exp(eta) + math.log(special.comb(n, y))
        return stats.binom.logpmf(y, n, mean)
    if family == "cumulative":
        F = stats.logistic if link == "logit" else stats.norm
        lower, upper = F.cdf(a - eta), F.cdf(c - eta)
        return np.log(upper - lower if c - eta < 0 or a == -math.inf else F.sf(a - eta) - F.sf(c - eta))
    return {
        "poisson": lambda: stats.poisson.logpmf(y, mean),
        "negative binomial": lambda: stats.nbinom.logpmf(y, 1 / a, 1 / (1 + a * mean)),
        "gamma": lambda: stats.gamma.logpdf(y, a, scale=mean / a),
        "beta": lambda: stats.beta.logpdf(y, mean * a, (1 - mean) * a),
        "normal": lambda: stats.norm.logpdf(y, eta, a),
        "student": lambda: stats.t.logpdf(y, c, eta, a),
    }[family]()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_density_equals_scipy(case):
    for eta in ETAS:
        found = terms(case, eta)
        assert found[0] + found[4] == pytest.approx(float(scipy_log_density(case, eta)), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_derivatives_equal_differences(case):
    h = 1e-4
    for eta in ETAS:
        here = terms(case, eta)
        for order in range(3):
            slope = (terms(case, eta + h)[order] - terms(case, eta - h)[order]) / (2 * h)
            size = max(1.0, abs(here[order]), abs(here[order + 1]))
            assert here[order + 1] == pytest.approx(slope, abs=1e-7 * size)


@pytest.mark.parametrize("case", [case for case in CASES if case[0] not in {"binomial", "poisson"}], ids=str)
def test_derivatives_in_further_parameters_equal_differences(case):
    _, _, _, _, a, c = case
    for eta in ETAS:
        here = terms(case, eta)
        for place, value in ((5, a), (6, c)):
            if not math.isfinite(value) or value == 0.0:
                continue
            h = 1e-6 * max(abs(value), 1e-2)
            moved = [terms(case, eta, **{"a" if place == 5 else "c": value + step}) for step in (h, -h)]
            slope = (moved[0][0] + moved[0][4] - moved[1][0] - moved[1][4]) / (2 * h)
            assert here[place] == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("y", [0, 3, 60, 61, 5000])
@pytest.mark.parametrize("a", [1e-12, 1e-6, 1e-3, 0.02, 5.0])
def test_negative_binomial_has_all_digits_down_to_poisson(y, a):
    """Against 50 digits: Gamma(y + 1/a) / Gamma(1/a) is a difference of large numbers where a is small."""
    eta = math.log(max(y, 1)) - 0.3
    found = terms(("negative binomial", "log", y, 1, a, 0.0), eta)
    with mp.workdps(50):
        A, mu = mp.mpf(a), mp.exp(mp.mpf(eta))
        r = 1 / A

        def log_density(A):
            r = 1 / A
            return (
                mp.loggamma(y + r)
                - mp.loggamma(r)
                - mp.loggamma(y + 1)
                + y * mp.log(A * mu)
                - (y + r) * mp.log(1 + A * mu)
            )

        expected, slope = log_density(A), mp.diff(log_density, A, h=A * mp.mpf(10) ** -15)
        assert found[0] + found[4] == pytest.approx(float(expected), rel=2e-12, abs=2e-10)
        if a > 1e-9:
            assert found[5] == pytest.approx(float(slope), rel=1e-5, abs=1e-5 * float(1 + mu**2))
        assert float(r) > 0


@pytest.mark.parametrize("c", [1.2, 150.0, 250.0, 1e4, 1e6, 1e12])
@pytest.mark.parametrize("z", [0.0, 0.3, 3.0, 80.0])
def test_student_t_has_all_digits_up_to_the_normal(z, c):
    """Against 50 digits: logarithms of gamma functions are large, and differ little, where there are many degrees."""
    y, a = 0.7, 1.3
    found = terms(("student", "identity", y, 1, a, c), y - a * z)
    with mp.workdps(50):
        Y, A, ETA = mp.mpf(y), mp.mpf(a), mp.mpf(y - a * z)

        def log_density(eta, A, C):
            q = ((Y - eta) / A) ** 2 / C
            constant = mp.loggamma((C + 1) / 2) - mp.loggamma(C / 2) - mp.log(C * mp.pi) / 2 - mp.log(A)
            return constant - (C + 1) / 2 * mp.log1p(q)

        C = mp.mpf(c)
        expected = log_density(ETA, A, C)
        assert found[0] + found[4] == pytest.approx(float(expected), rel=1e-13)
        for order in (1, 2, 3):
            slope = mp.diff(lambda x: log_density(x, A, C), ETA, order)
            assert found[order] == pytest.approx(float(slope), rel=1e-12, abs=1e-14)
        assert found[5] == pytest.approx(float(mp.diff(lambda x: log_density(ETA, x, C), A)), rel=1e-12, abs=1e-14)
        # The last derivative is about 1 / nu^2; of its logarithm, about 1 / nu.
        slope = float(mp.diff(lambda x: log_density(ETA, A, x), C, h=C * mp.mpf(10) ** -15))
        assert found[6] == pytest.approx(slope, rel=1e-9, abs=1e-14 / c)


@pytest.mark.parametrize("eta", [-700.0, -40.0, -8.0, 8.0, 40.0])
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_probabilities_near_zero_and_one_keep_their_digits(link, eta):
    if link == "cloglog" and eta > 30:
        return  # exp(eta) failures are beyond all numbers
    with mp.workdps(400):
        x = mp.mpf(eta)
        p, q = {
            "logit": lambda: (1 / (1 + mp.exp(-x)), 1 / (1 + mp.exp(x))),
            "probit": lambda: (mp.ncdf(x), mp.ncdf(-x)),
            "cloglog": lambda: (-mp.expm1(-mp.exp(x)), mp.exp(-mp.exp(x))),
        }[link]()
        for y, probability in ((1, p), (0, q)):
            if link == "probit" and abs(eta) > 500:
                continue
            found = terms(("binomial", link, y, 1, 0.0, 0.0), eta)[0]
            assert found == pytest.approx(float(mp.log(probability)), rel=5e-13, abs=1e-300)


def test_polygammas_equal_scipy():
    from hierreg.response.special_kernels import polygammas

    compiled = njit(polygammas.py_func)
    for x in (1e-3, 0.4, 1.0, 3.7, 11.9, 12.0, 250.0):
        expected = [special.polygamma(k, x) for k in range(3)]
        np.testing.assert_allclose(compiled(x), expected, rtol=1e-13)


@whole
def evaluate_expected(a, c, out):
    out[0] = kernels.expected_information(a, c)
    out[1], out[2] = mixed_kernels.slopes_of_expected_information(a, c)
    return len(out)


@pytest.mark.parametrize(("a", "c"), [(0.5, 1.5), (3.0, 8.0), (1.0, 300.0)])
def test_expected_information_is_the_mean_of_what_is_observed(a, c):
    def found(a, c):
        out = np.empty(3)
        evaluate_expected(a, c, out)
        return out

    mean = stats.t.expect(lambda y: -terms(("student", "identity", y, 1, a, c), 0.0)[2], (c,), scale=a)
    assert found(a, c)[0] == pytest.approx(mean, rel=1e-6)
    h = 1e-6
    assert found(a, c)[1] == pytest.approx((found(a + h, c)[0] - found(a - h, c)[0]) / (2 * h), rel=1e-6)
    h = 1e-5 * c
    assert found(a, c)[2] == pytest.approx((found(a, c + h)[0] - found(a, c - h)[0]) / (2 * h), rel=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if case[0] != "student"], ids=str)
def test_mixed_derivatives_equal_differences(case):
    """Of the slope and curvature in the further parameters; those that are fixed, or infinite, have none."""
    family, link, y, _, a, c = case
    for eta in ETAS:
        found = np.empty(4)
        evaluate_mixed(CODES[family], LINKS[link].code, float(y), eta, a, c, found)
        for place, value, name in ((0, a, "a"), (2, c, "c")):
            if not value or not math.isfinite(value):
                assert not np.any(found[place : place + 2])
                continue
            h = 1e-5 * abs(value)
            moved = [terms(case, eta, **{name: value + step})[1:3] for step in (h, -h)]
            expected = (moved[0] - moved[1]) / (2 * h)
            size = max(1.0, float(np.abs(moved[0]).max()) / abs(value))
            np.testing.assert_allclose(found[place : place + 2], expected, rtol=2e-6, atol=2e-8 * size)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 41, 1100])
@pytest.mark.parametrize("once", [True, False])
def test_sums_of_logits_equal_those_of_rows(size, once):
    """With far predictors, whose probabilities are zero and one, and in the second of two rows of predictors."""
    rng = np.random.default_rng(size)
    n = np.ones(size) if once else rng.integers(1, 9, size).astype(float)
    weight = np.ones(size) if once else rng.uniform(0.2, 3.0, size)
    y = np.floor(rng.random(size) * (n + 1.0))
    flat, share = np.zeros(2 * size + 8), np.empty(2 * size + 8)
    flat[: 2 * size] = rng.normal(0.0, 4.0, 2 * size)
    if size > 3:
        flat[size : size + 4] = 40.0, -40.0, 700.0, -700.0
    kernels.write_shares.alone(flat, 2 * size, share)
    eta, shares = flat[: 2 * size].reshape(2, size), share[: 2 * size].reshape(2, size)
    assert kernels.counts_once.alone(n, weight) == (once or size == 0)
    rows = np.empty((size, 7))
    for r in range(size):
        evaluate(kernels.BINOMIAL, kernels.LOGIT, y[r], n[r], eta[1, r], 0.0, 0.0, rows[r])
    total = kernels.sum_of_logits.alone(y, n, weight, bool(once), eta, shares, 1)
    assert total == pytest.approx(math.fsum(weight * rows[:, 0]), rel=1e-12, abs=1e-11)
    slope, other, information, third = (np.empty(size) for _ in range(4))
    kernels.write_logit_slopes.alone(y, n, weight, eta, shares, 1, other)
    kernels.write_logit_terms.alone(y, n, weight, eta, shares, 1, slope, information)
    kernels.write_third_of_logits.alone(eta[1:], shares[1:], information, third)
    np.testing.assert_allclose(slope, weight * rows[:, 1], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(other, slope, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(information, -weight * rows[:, 2], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(third, weight * rows[:, 3], rtol=1e-9, atol=1e-13)
