"""`hr.r2`: against dense variances of the rows, lme4 with Johnson's formula, and R's `performance`."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hierreg as hr
from tests.helpers import report_trees as trees
from tests.oracles.dense import error_covariance


def naive(model, est):
    """Return variances by source from dense matrices; of all rows, and within each label of the errors."""
    design, layout = model.problem.design, model.problem.layout
    mu = design.X @ est.beta.to_numpy()
    z = sum(np.diagonal(f.Z @ est.cov[f.name].to_numpy() @ f.Z.T) for f in design.factors)
    sd = np.atleast_1d(est.error_sd.to_numpy())
    inner = np.diag(sd**2) if est.error_cov is None else est.error_cov.to_numpy()
    error = np.diagonal(error_covariance(layout, inner if len(inner) == len(layout.labels) else np.eye(1)))
    out = {}
    for name, rows in [("", slice(None)), *((label, layout.stratum == d) for d, label in enumerate(layout.labels))]:
        parts = np.array([mu[rows].var(ddof=1), z[rows].mean(), error[rows].mean()])
        out[name] = parts
    return out


def value(report, kind, source, where=""):
    found = (report["kind"] == kind) & (report["source"] == source) & (report["where"] == where)
    (place,) = np.flatnonzero(found)
    return float(report["mean"][place])


@pytest.mark.parametrize("structure", trees.STRUCTURES)
def test_variances_of_an_estimate_are_those_of_dense_matrices(structure):
    model = trees.model(structure)
    est = model.estimate()
    report, expected = hr.r2(est), naive(model, est)
    for name, v in zip(("population", "g", "error"), expected[""], strict=True):
        assert value(report, "variance", name) == pytest.approx(v, rel=1e-9)
        assert value(report, "share", name) == pytest.approx(v / expected[""].sum(), rel=1e-9)
    labels = ["", *(model.problem.layout.labels if structure in {"by", "correlated"} else ())]
    assert sorted(set(report["where"].values)) == labels
    for where in labels:
        v = expected[where]
        assert value(report, "r2", "marginal", where) == pytest.approx(v[0] / v.sum(), rel=1e-9)
        conditional = (v[0] + v[1]) / v.sum()
        assert value(report, "r2", "conditional", where) == pytest.approx(conditional, rel=1e-9)


@pytest.mark.parametrize("structure", trees.STRUCTURES)
def test_a_tree_has_the_plug_in_values_and_draws_of_the_same(structure):
    model, tree = trees.model(structure), trees.tree(structure)
    report, at = hr.r2(tree), hr.r2(model.estimate())
    np.testing.assert_allclose(report["reml"], at["mean"], rtol=1e-9)
    assert report["quantity"].values.tolist() == at["quantity"].values.tolist()
    posterior = tree["posterior"].to_dataset()
    draws = (model.problem.design.X @ posterior["beta"].values.reshape(-1, 3).T).var(axis=0, ddof=1)
    place = int(np.flatnonzero((report["kind"] == "variance") & (report["source"] == "population"))[0])
    assert float(report["mean"][place]) == pytest.approx(draws.mean(), rel=1e-9)
    assert float(report["upper"][place]) == pytest.approx(np.quantile(draws, 0.975), rel=1e-9)


# tests/reference/scripts/after_fit.R, section r2 (lme4 1.1-31, performance 0.10.2): r2_nakagawa(m), which with random
# slopes is Johnson's formula, and that formula for the second, of a singular fit.
R_VALUES = {
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)"): (0.278652026262, 0.799218916537),
    ("math_achieve", "MathAch ~ SES * Sector + (SES | School)"): (0.118298779466, 0.202181420834),
}


@pytest.mark.parametrize("case", R_VALUES)
def test_the_values_of_performance(case):
    report = hr.r2(hr.Model(case[1], hr.load_dataset(case[0])).estimate())
    np.testing.assert_allclose(report["mean"][:2], R_VALUES[case], rtol=1e-6)


def test_a_posterior_brackets_the_plug_in():
    tree = trees.sleepstudy()
    report = hr.r2(tree)
    for i in range(2):
        assert float(report["lower"][i]) < float(report["reml"][i]) < float(report["upper"][i])
    total = report["mean"].where(report["kind"] == "share", drop=True).sum()
    assert float(total) == pytest.approx(1, abs=1e-12)
    assert "conditional" in str(report)


def test_bayesian_r2_is_the_variance_of_the_fitted_values():
    """Gelman et al. (2019): draw by draw, from mu of every row."""
    tree, model = trees.tree("by"), trees.model("by")
    report = hr.r2(tree, model=model)
    mu = hr.predict(model, trees.table(), at=tree, observation=False, draws=True)["draws"].values.reshape(-1, 36)
    sd = tree["posterior"]["error_sd"].values.reshape(-1, 3)
    error = (sd[:, model.problem.layout.stratum] ** 2).mean(axis=1)
    expected = mu.var(axis=1, ddof=1) / (mu.var(axis=1, ddof=1) + error)
    assert report["source"].values[2] == "bayesian"
    assert float(report["mean"][2]) == pytest.approx(expected.mean(), rel=1e-9)
    assert float(report["sd"][2]) == pytest.approx(expected.std(ddof=1), rel=1e-9)


def test_weights_are_averaged_as_error_variances():
    table = trees.table().assign(n=lambda rows: 1 + np.arange(len(rows)) % 4)
    est = hr.Model("y ~ x + (1 | g)", table, weights="n").estimate()
    expected = float(est.error_sd) ** 2 * np.mean(1 / table["n"])
    assert value(hr.r2(est), "variance", "error") == pytest.approx(expected, rel=1e-10)


def test_units_and_zeros_of_predictors_change_nothing():
    table = trees.table()
    moved = table.assign(x=1e4 + 100 * table["x"], y=1e5 + 0.01 * table["y"])
    one, other = (hr.r2(hr.Model("y ~ x + w + (1 | g)", data).estimate()) for data in (table, moved))
    is_share = one["kind"].values != "variance"
    np.testing.assert_allclose(one["mean"][is_share], other["mean"][is_share], rtol=1e-6)


def test_statistics_alone_have_the_moments_of_all_rows():
    data = hr.load_dataset("sleepstudy")
    formula = "Reaction ~ Days + (Days | Subject)"
    gram = hr.Gram.from_batches([data[:90], data[90:]], formula)
    report, expected = hr.r2(hr.Model.from_gram(gram).estimate()), hr.r2(hr.Model(formula, data).estimate())
    np.testing.assert_allclose(report["mean"], expected["mean"], rtol=1e-6)
    strata = hr.Gram.from_batches([data], formula, errors=hr.by("Subject"))
    with pytest.raises(hr.exceptions.DataError, match="statistics alone"):
        hr.r2(hr.Model.from_gram(strata).estimate())


def test_latent_responses_have_the_variance_of_the_link():
    """Nakagawa, Johnson and Schielzeth (2017): pi^2 / 3 for the logit link."""
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(20), 10)
    x = rng.normal(size=200)
    y = (rng.normal(0, 1, 20)[g] + x + rng.logistic(size=200) > 0).astype(int)
    est = hr.Model("y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x, "g": g}), family=hr.Bernoulli()).estimate()
    v = np.array([float(est.beta[1]) ** 2 * x.var(ddof=1), float(est.sd["g"][0]) ** 2, np.pi**2 / 3])
    report = hr.r2(est)
    np.testing.assert_allclose(report["mean"][:2], [v[0] / v.sum(), (v[0] + v[1]) / v.sum()], rtol=1e-9)
    assert "latent" in str(report)
    counts = hr.Model("y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x, "g": g}), family=hr.Poisson()).estimate()
    with pytest.raises(hr.exceptions.ModelError, match="Poisson"):
        hr.r2(counts)


def test_the_same_from_a_file(tmp_path):
    tree = trees.tree("correlated")
    hr.save(tree, tmp_path / "fit.nc")
    xr.testing.assert_identical(hr.r2(tree), hr.r2(hr.load(tmp_path / "fit.nc")))


def test_refusals():
    tree = trees.tree("independent")
    with pytest.raises(hr.exceptions.ModelError, match="Give the model that the tree was sampled from"):
        hr.r2(tree, model=hr.Model("y ~ x + (x | g)", trees.table()))
    with pytest.raises(hr.exceptions.ModelError, match="Bayesian R2, which needs draws"):
        hr.r2(trees.summarised(), model=trees.model("independent"))
    with pytest.raises(hr.exceptions.ModelError, match="needs an Estimate"):
        hr.r2(trees.model("independent").solve({"g": np.eye(2)}, 1.0))
    old = tree.copy()
    old["statistics"] = old["statistics"].to_dataset().drop_vars("rows_cov")
    with pytest.raises(hr.exceptions.DataError, match="earlier version"):
        hr.r2(old)
