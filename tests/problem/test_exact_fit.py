"""Responses without variation, or fitted exactly: refused in words where the error variance is unknown."""

import contextlib

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, HierregError
from hierreg.gram import collect
from hierreg.likelihood.least_squares import least_squares
from tests.oracles.cases import random_case
from tests.oracles.crossed_cases import SHAPES, random_crossed_case

N = 24
E = np.random.default_rng(0).normal(size=N)
BASE = pd.DataFrame(
    {
        "x": np.arange(N) * 1.0,
        "g": np.arange(N) // 4,
        "h": np.arange(N) % 4,
        "stratum": np.repeat(["a", "b"], 12),
        "unit": np.arange(N) // 2,
        "kind": ["p", "q"] * 12,
        "se": 0.5,
    }
)
PAIRS = hr.correlated("kind", unit="unit")

# response, formula, errors, words
EXACT = {
    "constant": (0.1, "y ~ x", None, "'y' is constant .0.1 in every row."),
    "constant, groups": (0.1, "y ~ x + (1 | g)", None, "'y' is constant"),
    "zero, no intercept": (0.0, "y ~ 0 + x", None, "'y' is constant .0 in every row."),
    "population": (2.0 * BASE.x, "y ~ x", None, "fitted exactly by the columns 'Intercept', 'x': no var"),
    "population, groups": (2.0 * BASE.x, "y ~ x + (1 | g)", None, "by the columns 'Intercept', 'x': no var"),
    "groups": (np.sin(BASE.g), "y ~ 1 + (1 | g)", None, "'Intercept' and the groups of 'g'"),
    "slopes": (np.sin(BASE.g) * BASE.x, "y ~ x + (x | g)", None, "'x' and the groups of 'g'"),
    "crossed": (np.sin(BASE.g) + np.cos(BASE.h), "y ~ 1 + (1 | g) + (1 | h)", None, "the groups of 'g', 'h'"),
    "stratum": (np.where(BASE.stratum == "b", 0.1, E), "y ~ x", hr.by("stratum"), "in the rows of 'b' .* another"),
    "units": (np.sin(BASE.unit), "y ~ x", hr.exchangeable("unit"), "within or between units"),
    "data set": (np.where(BASE.kind == "p", E, BASE.x), "y ~ x + (x | kind)", PAIRS, "in the rows of 'q'"),
    "copies": (np.repeat(E[:12], 2), "y ~ x", PAIRS, "'p' and 'q' .'kind'. determine each other exactly in the 12"),
    "multiples": (np.repeat(E[:12], 2) * np.tile([1.0, -2.0], 12), "y ~ x", PAIRS, "determine each other"),
    "factor on known errors": (2.0 * BASE.x, "y ~ x", hr.known_se("se", scale=True), "fitted exactly"),
    "known covariance with a factor": (BASE.x, "y ~ x", hr.known_cov(np.eye(N) + 0.5, scale=True), "fitted exactly"),
}


@pytest.mark.parametrize("offset", [0.0, 1e9])
@pytest.mark.parametrize(("y", "formula", "errors", "words"), EXACT.values(), ids=EXACT.keys())
def test_what_is_fitted_exactly_is_refused(y, formula, errors, words, offset):
    if offset and "0 +" in formula:
        return
    table = BASE.assign(y=y) if not offset else BASE.assign(y=np.asarray(y) + offset)
    if offset:
        words = words.replace(".0.1 in", ".1e.09 in")
    for method in ("reml", "map"):
        with pytest.raises(DataError, match=words):
            hr.Model(formula, table, errors).estimate(method)
    for method in ("nuts", "psis"):
        with pytest.raises(DataError, match=words):
            hr.Model(formula, table, errors).sample(draws=10, chains=1, seed=1, progress=False, method=method)


@pytest.mark.parametrize("y", [0.1, np.sin(BASE.g), 1e9 + np.sin(BASE.g), 3.0 * BASE.x])
def test_cross_products_alone_know_it(y):
    table = BASE.assign(y=y)
    with pytest.raises(DataError, match=r"constant|fitted exactly"):
        hr.Model.from_gram(hr.Gram.from_batches([table[:5], table[5:]], "y ~ x + (1 | g)")).estimate()


@pytest.mark.parametrize(
    ("y", "formula", "errors", "priors"),
    [
        (2.0 * BASE.x, "y ~ x", hr.known_se("se"), None),
        (2.0 * BASE.x, "y ~ x + (1 | g)", hr.known_se("se"), None),
        (2.0 * BASE.x, "y ~ x", hr.known_cov(np.eye(N)), None),
        (0.1, "y ~ x", hr.known_se("se"), hr.Priors(beta=hr.Normal(0, 1))),
        (2.0 * BASE.x, "y ~ x", None, hr.Priors(error_sd=hr.Fixed(1.0))),
        (2.0 * BASE.x, "y ~ x", None, hr.Priors(beta={"x": hr.Fixed(1.0)})),
        (np.sin(BASE.g), "y ~ x + (1 | g)", None, hr.Priors(sd={"g": hr.Fixed(0.0)})),
        # as many coefficients as rows in each group is no exact fit: nothing could be left
        (E, "y ~ 1 + (x | unit)", None, None),
        (2.0 * BASE.x + 1e-7 * E, "y ~ x", None, None),
        (1e6 * np.sin(BASE.g) + 0.01 * E, "y ~ x + (1 | g)", None, None),
    ],
)
def test_what_is_no_exact_fit_is_estimated(y, formula, errors, priors):
    estimate = hr.Model(formula, BASE.assign(y=y), errors, priors).estimate()
    assert np.isfinite(estimate.beta).all()


def test_known_variances_solve_what_is_fitted_exactly():
    solution = hr.Model("y ~ x + (1 | g)", BASE.assign(y=2.0 * BASE.x)).solve({"g": [[1.0]]}, 1.0)
    np.testing.assert_allclose(solution.beta, [0.0, 2.0], atol=1e-12)


def test_as_many_coefficients_as_rows():
    with pytest.raises(DataError, match="2 rows and 2 population coefficients"):
        hr.Model("y ~ x", BASE.assign(y=E)[:2]).estimate()


def dense_fit(design, factors, rows):
    """Return residual sum of squares and rank of least squares on [X Z], by a decomposition of the rows."""
    blocks = [design.X]
    for f in factors:
        factor = design.factors[f]
        blocks.append(
            np.einsum("ij,iq->ijq", np.eye(len(factor.levels))[factor.index], factor.Z).reshape(len(rows), -1)
        )
    A = np.hstack(blocks)[rows]
    coef, _, rank, _ = np.linalg.lstsq(A, design.y[rows], rcond=1e-11)
    return np.sum((design.y[rows] - A @ coef) ** 2), rank


@pytest.mark.parametrize("kind", ["independent", "by"])
def test_least_squares_of_one_factor(kind, rng):
    case = random_case(rng, kind, p=2, q=2)
    gram = collect(case.design, case.layout)
    for d in range(len(case.layout.labels)):
        fit = least_squares(gram, np.arange(gram.terms.n_terms) == d, (0,))
        after, rank = dense_fit(case.design, (0,), case.layout.stratum == d)
        assert fit.rank == rank
        assert fit.after == pytest.approx(after, rel=1e-8, abs=1e-12)


def test_least_squares_of_several_factors(rng):
    case = random_crossed_case(rng, next(iter(SHAPES)))
    gram = collect(case.design, case.layout)
    every = np.ones(gram.terms.n_terms, dtype=bool)
    for factors in [(), (0,), (1,), tuple(range(len(gram.factors)))]:
        fit = least_squares(gram, every, factors)
        after, rank = dense_fit(case.design, factors, np.ones(gram.n, dtype=bool))
        assert (fit.rank, fit.after) == (rank, pytest.approx(after, rel=1e-8, abs=1e-12))


@pytest.mark.long
def test_degenerate_tables_raise_nothing_foreign():
    values = [0.1, BASE.x, np.where(BASE.g > 2, 1.0, 0.0), np.r_[np.zeros(N - 1), 1.0], np.round(E), 1e15 + BASE.g]
    formulas = ["y ~ 1", "y ~ x", "y ~ 1 + (1 | g)", "y ~ x + (x | g)", "y ~ 1 + (1 | g) + (1 | h)", "y ~ 0 + (x || g)"]
    for y in values:
        for formula in formulas:
            for errors in (None, hr.by("stratum"), PAIRS, hr.exchangeable("unit")):
                with contextlib.suppress(HierregError):
                    hr.Model(formula, BASE.assign(y=y), errors).estimate()
