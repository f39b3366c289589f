"""Random models answered as the dense formula in exact arithmetic answers them, or refused in words."""

import warnings
from fractions import Fraction

import numpy as np
import pytest

import hierreg as hr
from tests.fuzz import check, invariances, models
from tests.fuzz.cases import AUTOREGRESSIVE, make
from tests.fuzz.exact import ONE, eliminate, exact, log, log_ratio, number, numbers, product
from tests.fuzz.oracle import Beta, Dense
from tests.fuzz.run import report, run
from tests.oracles import dense
from tests.oracles.cases import KINDS, random_case

CASES, AT_ONCE = 140, 20


ORDINARY = (0, 20, 40, AUTOREGRESSIVE)
FIRST = [*range(0, CASES, AT_ONCE), *range(AUTOREGRESSIVE, AUTOREGRESSIVE + 40, AT_ONCE)]


@pytest.mark.parametrize(
    "first", [pytest.param(first, marks=() if first in ORDINARY else pytest.mark.long) for first in FIRST]
)
def test_every_case_is_right_or_refused(first):
    verdicts = run(range(first, first + AT_ONCE))
    assert not [found for found in verdicts if found.outcome == "failure"], report(verdicts)


@pytest.mark.parametrize("model", sorted({pair[0] for pair in invariances.pairs()}))
def test_what_a_model_says_does_not_depend_on_its_coding(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        rows = [invariances.compared(*pair) for pair in invariances.pairs() if pair[0] == model]
    assert len(rows) > 4
    assert not [row for row in rows if not is_invariant(row)]


def is_invariant(row):
    # Lambda in user units is rounded, and the rounding grows with the distance of x from zero.
    shift = 1e6 if row.transformation == "x + 1e6" else 1.0
    likelihoods = max(row.reml, row.ml) < 1e-9 + 100 * np.finfo(float).eps * shift
    return not row.problem and likelihoods and row.posterior < 1e-8


# ---- the fuzzer itself


def test_a_case_depends_on_its_number_alone():
    one, again = make(17), make(17)
    assert one.formula == again.formula
    assert one.table.equals(again.table)
    assert make(18).formula != one.formula or not make(18).table.equals(one.table)


def test_arithmetic_is_that_of_fractions(rng):
    A = rng.normal(size=(4, 4)) * 10.0 ** rng.uniform(-9, 9, (4, 1))
    A = A @ A.T
    pivots, rest = eliminate(exact(A), 3)
    F = [[Fraction(value) for value in row] for row in A.tolist()]
    for k in range(3):
        assert number(pivots[k]) == pytest.approx(float(F[k][k]), rel=1e-15)
        F = [[F[i][j] - F[i][k] * F[k][j] / F[k][k] for j in range(4)] for i in range(4)]
    assert number(rest[0, 0]) == pytest.approx(float(F[3][3]), rel=1e-15)
    np.testing.assert_array_equal(numbers(product(exact(np.eye(4)), exact(A))), A)


def test_logs_of_numbers_that_are_nearly_equal_keep_their_digits():
    a = exact(3.7)[()]
    assert log(a) == pytest.approx(np.log(3.7), rel=1e-15)
    assert log_ratio(a + a // 10**40, a) == pytest.approx(1e-40, rel=1e-14)
    assert number(ONE) == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_oracle_is_the_dense_formula_of_the_other_tests(kind, rng):
    """Two oracles, written apart: this one in integers, that one in NumPy."""
    from tests.fuzz.oracle import Rows

    case = random_case(rng, kind, n=20, p=2, q=2, J=3)
    layout, factor = case.layout, case.design.factors[0]
    rows = Rows(
        y=case.design.y,
        X=case.design.X,
        Z=(factor.Z,),
        group=(factor.index,),
        kind=layout.kind,
        stratum=layout.stratum,
        unit=np.arange(len(layout.stratum)) if layout.unit is None else layout.unit,
        se=layout.se,
        V=layout.V,
    )
    mine = Dense(rows)
    Lambda, error_cov = exact(case.Lambda), exact(case.error_cov)
    Sigma = case.Lambda @ case.Lambda.T
    for method, name in (("reml", "flat"), ("ml", "ml")):
        expected = dense.log_likelihood(case.design, layout, Sigma, case.error_cov, beta=name)
        assert mine.density(Lambda, error_cov, Beta(method=method)).value == pytest.approx(expected, rel=1e-10)
    prior = Beta(method="prior", prior=(("normal", 0.5, 2.0), ("normal", -1.0, 0.7)))
    options = {"prior_mean": np.array([0.5, -1.0]), "prior_cov": np.diag([4.0, 0.49])}
    expected = dense.log_likelihood(case.design, layout, Sigma, case.error_cov, beta="normal", **options)
    assert mine.density(Lambda, error_cov, prior).value == pytest.approx(expected, rel=1e-10)
    beta, beta_cov, (b,) = mine.solution(Lambda, error_cov)
    mean, covariance, _ = dense.coefficients(case.design, layout, Sigma, case.error_cov)
    np.testing.assert_allclose(beta, mean[:2], rtol=1e-7)
    np.testing.assert_allclose(beta_cov, covariance[:2, :2], rtol=1e-7)
    np.testing.assert_allclose(b.ravel(), mean[2:], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("what", "kind"),
    [("value", "log density"), ("gradient", "gradient"), ("error", "foreign"), ("refusal", "refused an ordinary case")],
)
def test_a_fault_is_found(what, kind, monkeypatch):
    """A fuzzer that finds nothing may be blind: each kind of answer is made wrong, a little."""
    real = models.value_and_gradient

    def wrong(model, method, Lambda, error_cov):
        value, g_Lambda, g_error = real(model, method, Lambda, error_cov)
        if what == "error":
            raise np.linalg.LinAlgError("singular")
        if what == "refusal":
            raise hr.exceptions.ModelError("no")
        return value * (1 + 1e-6 * (what == "value")), g_Lambda, g_error * (1 + 1e-5 * (what == "gradient"))

    seed = next(
        seed
        for seed in range(100)
        if not make(seed).tags and make(seed).errors == ("independent",) and check.verdict(seed).outcome == "answered"
    )
    monkeypatch.setattr(models, "value_and_gradient", wrong)
    found = check.verdict(seed)
    assert found.outcome == "failure"
    assert found.kind.startswith(kind)
