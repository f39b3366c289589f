"""Estimates of models with several grouping factors: against lme4, and simulated designs against the dense oracle."""

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.optimize import minimize

import hierreg as hr
from hierreg.exceptions import ModelError
from tests.oracles import dense
from tests.reference import load_reference, reference_data

# case, answers, formula, and the name in the answers of each factor
CASES = [
    ("penicillin", "reml", "diameter ~ 1 + (1 | plate) + (1 | sample)", {"plate": "plate", "sample": "sample"}),
    ("penicillin", "ml", "diameter ~ 1 + (1 | sample) + (1 | plate)", {"plate": "plate", "sample": "sample"}),
    ("pastes", "nested_reml", "strength ~ 1 + (1 | batch/cask)", {"batch": "batch", "batch:cask": "sample"}),
    ("pastes", "nested_ml", "strength ~ 1 + (1 | sample) + (1 | batch)", {"batch": "batch", "sample": "sample"}),
    ("pastes", "sample_only_reml", "strength ~ 1 + (1 | sample)", {"sample": "sample"}),
    ("pastes", "sample_only_ml", "strength ~ 1 + (1 | batch:cask)", {"batch:cask": "sample"}),
]


@pytest.mark.parametrize(("case", "name", "formula", "factors"), CASES)
def test_estimates_of_lme4(case, name, formula, factors):
    answers = load_reference(case)["models"][name]
    est = hr.Model(formula, reference_data(case)).estimate("ml" if name.endswith("_ml") or name == "ml" else "reml")
    criterion = answers["criterion"]
    expected = criterion.get("minus2_restricted_loglik", criterion.get("minus2_loglik"))
    assert est.converged
    assert est.criterion == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(est.beta, answers["fixef"]["estimate"], rtol=1e-6)
    np.testing.assert_allclose(est.beta_se, answers["fixef"]["se"], rtol=1e-6)
    np.testing.assert_allclose(est.error_sd, answers["residual"]["sd"], rtol=1e-6)
    assert set(est.sd) == set(factors)
    sds = {term["group"]: term["sd"] for term in answers["random"]}
    for factor, theirs in factors.items():
        np.testing.assert_allclose(est.sd[factor], sds[theirs], rtol=1e-6)
        ranef = answers["ranef"][theirs]
        levels = [str(level) for level in est.b[factor][factor].values]
        rows = [levels.index(level) for level in ranef["levels"]]
        scale = max(sds[theirs])
        np.testing.assert_allclose(est.b[factor].values[rows], ranef["mode"], atol=1e-6 * scale)
        for mine, what in ((est.b_cond_cov, "cond_sd"), (est.b_cov, "pev_sd")):
            sd = np.sqrt(mine[factor].values[rows][:, 0, 0])
            np.testing.assert_allclose(sd, np.ravel(ranef[what]), rtol=1e-5)


FORMULAS = {
    "crossed": "y ~ x + (x | s) + (1 | d)",
    "slopes in both, uncorrelated in one": "y ~ x + (x | s) + (x || d)",
    "nested and crossed": "y ~ x + (1 | c) + (x | s/p)",
}


def simulated(rng, n=120):
    """Rows of 13 s crossed with 9 d and 4 c; p nested in s."""
    s, d, c = rng.integers(0, 13, n), rng.integers(0, 9, n), rng.integers(0, 4, n)
    p = rng.integers(0, 3, n)
    x = rng.normal(1.0, 2.0, n)
    effects = rng.normal(size=(13, 2)) @ np.array([[1.0, 0.3], [0.0, 0.5]])
    y = 2 + 0.5 * x + effects[s, 0] + effects[s, 1] * x + 0.8 * rng.normal(size=9)[d] + 0.4 * rng.normal(size=4)[c]
    y += 0.6 * rng.normal(size=(13, 3))[s, p] + rng.normal(size=n)
    return {"y": y, "x": x, "s": s, "d": d, "c": c, "p": p}


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("name", FORMULAS)
def test_no_dense_search_leads_higher(name, method, rng):
    """The criterion is the dense one at the estimate, and a search on dense matrices finds nothing better."""
    model = hr.Model(FORMULAS[name], simulated(rng))
    est = model.estimate(method)
    assert est.converged
    design, layout = model.problem.design, model.problem.layout
    correlated = [factor.term_correlated[0] for factor in design.factors]
    sizes = [factor.Z.shape[1] for factor in design.factors]

    def criterion(x):
        blocks, at = [], 0
        for q, full in zip(sizes, correlated, strict=True):
            L = np.zeros((q, q))
            where = np.tril_indices(q) if full else np.diag_indices(q)
            L[where] = x[at : at + len(where[0])]
            at += len(where[0])
            blocks.append(L @ L.T)
        error = np.array([[x[at] ** 2]])
        how = "flat" if method == "reml" else "ml"
        return -2 * dense.log_likelihood(design, layout, block_diag(*blocks), error, beta=how)

    start = []
    for factor, q, full in zip(design.factors, sizes, correlated, strict=True):
        cov = est.cov[factor.name].values
        L = np.linalg.cholesky(cov + 1e-12 * np.trace(cov) * np.eye(q))
        start += list(L[np.tril_indices(q)] if full else np.diag(L))
    start.append(float(est.error_sd))
    assert est.criterion == pytest.approx(criterion(start), abs=1e-6)
    better = minimize(criterion, start, method="Nelder-Mead", options={"maxfev": 60})
    assert est.criterion < better.fun + 1e-6


def test_formula_notations_of_nesting_are_one_model():
    data = hr.load_dataset("pastes")
    criteria = [
        hr.Model(formula, data).estimate().criterion
        for formula in (
            "strength ~ 1 + (1 | batch/cask)",
            "strength ~ 1 + (1 | batch) + (1 | batch:cask)",
            "strength ~ 1 + (1 | sample) + (1 | batch)",
        )
    ]
    np.testing.assert_allclose(criteria, criteria[0], rtol=1e-12)


def test_too_many_crossed_levels_are_refused_with_what_is_possible(rng):
    n = 90_000
    data = {"y": rng.normal(size=n), "a": rng.integers(0, 30_000, n), "b": rng.integers(0, 25_000, n)}
    model = hr.Model("y ~ 1 + (1 | a) + (1 | b)", data)
    with pytest.raises(ModelError, match=r"'b' .* crossed with 'a'.*one dense matrix; up to 20000"):
        model.estimate()
