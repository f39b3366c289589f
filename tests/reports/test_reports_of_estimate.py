"""`hr.summary` of an estimate and its likelihood: lme4, closed forms, and counts of parameters."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

import hierreg as hr
from tests.helpers import report_trees as trees

# lme4 1.1-31, lmer / glmer of the same formulas (tests/reference/scripts/after_fit.R, section likelihood): logLik, its
# df, AIC, BIC.
LME4 = {
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "reml"): (-871.814136, 6, 1755.628272, 1774.786014),
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "ml"): (-875.969672, 6, 1763.939344, 1783.097086),
    ("sleepstudy", "Reaction ~ Days + (Days || Subject)", "ml"): (-876.001627, 5, 1762.003255, 1777.968040),
    ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", "ml"): (-166.094174, 4, 340.188349, 352.067602),
}


@pytest.mark.parametrize("case", LME4)
def test_likelihoods_are_those_of_lme4(case):
    name, formula, method = case
    est = hr.Model(formula, hr.load_dataset(name)).estimate(method)
    log_likelihood, df, aic, bic = LME4[case]
    assert est.log_likelihood == pytest.approx(log_likelihood, abs=2e-6)
    assert est.n_parameters == df
    assert est.aic == pytest.approx(aic, abs=4e-6)
    assert est.bic == pytest.approx(bic, abs=4e-6)


def test_a_binomial_fit_of_lme4():
    """glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial): df 5, AIC 194.0531, which stops
    3e-4 above the criterion of its own optimum (tests/reference/scripts/glmer.R)."""
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    model = hr.Model(formula, hr.load_dataset("cbpp"), family=hr.Binomial())
    est = model.estimate()
    assert (est.n_parameters, est.n_rows) == (5, 56)
    assert est.aic == pytest.approx(194.0526, abs=1e-4)
    assert est.bic == pytest.approx(204.1793, abs=1e-3)
    assert "Binomial" in str(hr.summary(est))


def test_parameters_are_counted():
    table = trees.table().assign(k=lambda rows: np.arange(len(rows)) % 3)
    assert trees.model("correlated").estimate().n_parameters == 3 + 3 + 3 + 3
    fixed = hr.Priors(beta={"w": hr.Fixed(0.3)}, error_sd={"q": hr.Fixed(0.9)})
    assert hr.Model("y ~ x + w", table, errors=hr.by("set"), priors=fixed).estimate().n_parameters == 2 + 2
    ordered = hr.Model("k ~ x + (1 | g)", table, family=hr.Cumulative()).estimate()
    assert ordered.n_parameters == 1 + 2 + 1  # slope, thresholds, sd


def test_least_squares_in_closed_form():
    table = trees.table()
    est = hr.Model("y ~ x + w", table).estimate("ml")
    X = np.column_stack([np.ones(36), table["x"], table["w"]])
    beta, rss, *_ = np.linalg.lstsq(X, table["y"])
    assert est.log_likelihood == pytest.approx(-18 * (np.log(2 * np.pi * rss[0] / 36) + 1), rel=1e-9)
    report = hr.summary(est, 0.9)
    se = np.sqrt(rss[0] / 36 * np.diagonal(np.linalg.inv(X.T @ X)))
    np.testing.assert_allclose(report["estimate"][:3], beta, rtol=1e-9)
    np.testing.assert_allclose(report["se"][:3], se, rtol=1e-9)
    np.testing.assert_allclose(report["upper"][:3], beta + ndtri(0.95) * se, rtol=1e-9)
    np.testing.assert_allclose(report["p_value"][:3], 2 * ndtr(-np.abs(beta / se)), rtol=1e-7)
    # The information of log sigma is 2n.
    sd = float(report["estimate"][3])
    assert float(report["se"][3]) == pytest.approx(sd / np.sqrt(72), rel=1e-6)
    assert float(report["lower"][3]) == pytest.approx(sd * np.exp(-ndtri(0.95) / np.sqrt(72)), rel=1e-6)


def test_intervals_of_correlations_are_fishers():
    est = trees.model("known_cov").estimate()
    report = hr.summary(est)
    place = report["parameter"].values.tolist().index("corr_g[x, Intercept]")
    r, se = float(report["estimate"][place]), float(report["se"][place])
    assert se == pytest.approx(float(est.variance_se.sel(parameter="corr_g[x, Intercept]")), rel=1e-12)
    step = 1.959963984540054 * se / (1 - r**2)
    assert float(report["lower"][place]) == pytest.approx(np.tanh(np.arctanh(r) - step), rel=1e-12)


@pytest.mark.parametrize("structure", trees.STRUCTURES)
def test_every_free_parameter_is_there_once(structure):
    est = trees.model(structure).estimate()
    report = hr.summary(est)
    names = report["parameter"].values.tolist()
    assert len(set(names)) == len(names) == est.n_parameters
    assert set(est.variance_cov["parameter"].values) <= set(names)


def test_a_boundary_has_no_error_and_is_said():
    est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")).estimate()
    report = hr.summary(est)
    place = report["parameter"].values.tolist().index("sd_Batch[Intercept]")
    assert float(report["estimate"][place]) == 0
    assert np.isnan(report["se"][place])
    assert "zero" in str(report)


def test_map_has_no_likelihood():
    est = trees.model("by").estimate("map")
    with pytest.raises(hr.exceptions.ModelError, match="MAP"):
        _ = est.aic
    assert "with the prior" in str(hr.summary(est))


@pytest.mark.parametrize("structure", trees.STRUCTURES)
def test_shrinkage_at_reml_is_the_plug_in_of_a_tree(structure):
    report, of_tree = hr.shrinkage(trees.model(structure).estimate()), hr.shrinkage(trees.tree(structure))
    for name in ("no_pooling", "no_pooling_se", "plug_in", "plug_in_sd", "population_plug_in"):
        np.testing.assert_allclose(report[name], of_tree[name], rtol=1e-7, err_msg=name)
    half = 1.959963984540054 * report["plug_in_sd"]
    np.testing.assert_allclose(report["upper"] - report["plug_in"], half, rtol=1e-12)


def test_shrinkage_of_units_in_time_and_of_several_factors():
    table = trees.table()
    count = table.groupby("unit").cumcount()
    table = table.assign(time=count * (count + 1) // 2)
    for errors in (hr.exchangeable("unit"), hr.ar1("time", unit="unit")):
        model = hr.Model("y ~ x + (1 | g)", table, errors=errors)
        report, of_tree = hr.shrinkage(model.estimate()), hr.shrinkage(trees.run(model, draws=8, chains=1))
        for name in ("no_pooling", "no_pooling_se", "plug_in"):
            np.testing.assert_allclose(report[name], of_tree[name], rtol=1e-7, err_msg=name)
    est = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin")).estimate()
    assert hr.shrinkage(est, factor="sample").sizes["sample"] == 6
    with pytest.raises(hr.exceptions.ModelError, match="factor="):
        hr.shrinkage(est)


def test_weights_and_pooling_of_a_balanced_layout_in_closed_form():
    """One-way, J groups of r rows: weight S = v / (v + s^2 / r), and the pooling factor at REML is 1 - S."""
    est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate()
    v, s2 = float(est.sd["Batch"][0]) ** 2, float(est.error_sd) ** 2
    report = hr.shrinkage(est)
    np.testing.assert_allclose(report["weight"], v / (v + s2 / 5), rtol=1e-9)
    assert float(report["pooling_factor"][0]) == pytest.approx(1 - v / (v + s2 / 5), rel=1e-6)


def test_shrinkage_at_a_boundary_is_complete():
    report = hr.shrinkage(hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2")).estimate())
    assert np.all(report["weight"] == 0)
    np.testing.assert_allclose(report["plug_in"], report["population_plug_in"][0], rtol=1e-12)


def test_shrinkage_of_a_family_asks_for_draws():
    counts = hr.Model("y ~ x + (1 | g)", trees.table().assign(y=np.arange(36) % 3), family=hr.Poisson()).estimate()
    with pytest.raises(hr.exceptions.ModelError, match="Poisson"):
        hr.shrinkage(counts)
