"""`Estimate.fitted`, `.residuals` and `hr.residuals`: against dense matrices, nlme, and identities."""

import numpy as np
import pytest

import hierreg as hr
from tests.helpers import report_trees as trees
from tests.oracles.dense import error_covariance

ERRORS = {"exchangeable": hr.exchangeable("unit"), "ar1": hr.ar1("time", unit="unit")}


def estimated(structure):
    if structure in trees.STRUCTURES:
        return trees.model(structure).estimate()
    table = trees.table()
    count = table.groupby("unit").cumcount()
    table = table.assign(time=count * (count + 1) // 2)
    return hr.Model("y ~ x + (1 | g)", table, errors=ERRORS[structure]).estimate()


@pytest.mark.parametrize("structure", [*trees.STRUCTURES, *ERRORS])
def test_residuals_are_those_of_dense_matrices(structure):
    est = estimated(structure)
    problem = est.problem
    design = problem.design
    R = error_covariance(problem.layout, est.solution.error_cov)
    about = design.y - design.X @ est.beta.to_numpy()
    raw = about - np.einsum("nq,nq->n", design.factors[0].Z, est.b["g"].to_numpy()[design.factors[0].index])
    np.testing.assert_allclose(est.residuals, raw, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(est.fitted, design.y - raw, rtol=1e-10)
    np.testing.assert_allclose(hr.residuals(est, level="population"), about, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(hr.residuals(est, "pearson"), raw / np.sqrt(np.diagonal(R)), rtol=1e-8)
    if np.linalg.cond(R) > 1e8:
        with pytest.raises(hr.exceptions.ModelError, match="singular"):
            hr.residuals(est, "normalized")
        return
    z = hr.residuals(est, "normalized").to_numpy()
    assert z @ z == pytest.approx(raw @ np.linalg.solve(R, raw), rel=1e-8)


def test_predictions_of_the_rows_are_the_fitted_values():
    model = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    est = model.estimate()
    predicted = hr.predict(model, hr.load_dataset("penicillin"), at=est, observation=False)
    np.testing.assert_allclose(est.fitted, predicted["mean"], rtol=1e-10)


def test_refusals():
    data = hr.load_dataset("sleepstudy")
    gram = hr.Gram.from_batches([data], "Reaction ~ Days + (1 | Subject)")
    with pytest.raises(hr.exceptions.ModelError, match="statistics alone"):
        _ = hr.Model.from_gram(gram).estimate().fitted
    est = hr.Model("Reaction ~ Days + (1 | Subject)", data).estimate()
    with pytest.raises(hr.exceptions.ModelError, match="kind='deviance'"):
        hr.residuals(est, "deviance")
    with pytest.raises(hr.exceptions.ModelError, match="an Estimate"):
        hr.residuals(trees.tree("by"))
    counts = hr.Model("y ~ x + (1 | g)", trees.table().assign(y=np.arange(36) % 3), family=hr.Poisson()).estimate()
    with pytest.raises(hr.exceptions.ModelError, match="Poisson"):
        _ = counts.residuals
