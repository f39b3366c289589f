"""`hr.shrinkage`: weights, pooling factors and gaps, against naive formulas, references and oracles."""

import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from hierreg.problem.reference import references
from hierreg.reports import weights as module
from hierreg.reports.weights import distinct_groups, thinned, weight_matrix
from hierreg.results.carried import draws_in
from tests.helpers import report_trees as trees
from tests.oracles.dense import error_covariance
from tests.reference import load_reference


def naive_weights(structure):
    """Return the weight matrices (S, J, q, q), by explicit inverses on each group's own rows."""
    problem, post = trees.model(structure)._problem, draws_in(trees.tree(structure))
    factor, layout = problem.design.factors[0], problem.layout
    flat = post.stack(sample=("chain", "draw")).transpose("sample", ...)
    out = []
    for s in range(flat.sizes["sample"]):
        at = flat.isel(sample=s)
        sd = at["sd_g"].values
        Sigma = np.diag(sd) @ at["corr_g"].values @ np.diag(sd)
        error_sd = np.atleast_1d(at["error_sd"].values) if "error_sd" in at else np.ones(1)
        corr = at["error_corr"].values if "error_corr" in at else np.eye(len(error_sd))
        R = error_covariance(layout, np.diag(error_sd) @ corr @ np.diag(error_sd))
        of_groups = []
        for j in range(len(factor.levels)):
            own = np.flatnonzero(factor.index == j)
            Z = factor.Z[own]
            V_inv = Z.T @ np.linalg.inv(R[np.ix_(own, own)]) @ Z
            Sigma_inv = np.linalg.inv(Sigma)
            of_groups.append(np.eye(2) - np.linalg.inv(V_inv + Sigma_inv) @ Sigma_inv)
        out.append(of_groups)
    return np.array(out)


@pytest.mark.parametrize("structure", trees.STRUCTURES)
def test_weights_are_those_of_explicit_inverses(structure):
    report, S = hr.shrinkage(trees.tree(structure)), naive_weights(structure)
    np.testing.assert_allclose(report["weight"], S.mean(axis=0), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(report["weight_sd"], S.std(axis=0, ddof=1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("entry", ["[1,1]", "[1,2]", "[2,1]", "[2,2]"])
def test_weights_of_the_sleepstudy_oracle(entry):
    tree = trees.sleepstudy()
    report = hr.shrinkage(tree)
    expected = load_reference("oracle_sleepstudy")["models"]["posterior"]["posterior"]["derived"]
    i, j = int(entry[1]) - 1, int(entry[3]) - 1
    mean, sd = float(report["weight"][0, i, j]), float(report["weight_sd"][0, i, j])
    ess = float(hr.summary(tree)["ess_bulk"].min())
    assert mean == pytest.approx(expected[f"shrinkage{entry}"]["mean"], abs=4 * sd / np.sqrt(ess))
    assert sd == pytest.approx(expected[f"shrinkage{entry}"]["sd"], rel=0.05)
    np.testing.assert_array_equal(report["weight"], report["weight"][[0] * 18])


def test_weights_of_the_dyestuff_oracle():
    tree = trees.dyestuff()
    report = hr.shrinkage(tree)
    expected = load_reference("oracle_dyestuff")["models"]["posterior"]["posterior"]["derived"]["shrinkage"]
    mean, sd = float(report["weight"][0, 0, 0]), float(report["weight_sd"][0, 0, 0])
    ess = float(hr.summary(tree)["ess_bulk"].min())
    assert mean == pytest.approx(expected["mean"], abs=4 * sd / np.sqrt(ess))
    assert sd == pytest.approx(expected["sd"], abs=4 * sd / np.sqrt(2 * ess))


def test_the_weight_takes_each_group_from_the_population_to_its_own_estimate():
    tree = trees.sleepstudy()
    report, limit = hr.shrinkage(tree), tree["mixed_model_limit"]
    S = weight_matrix(limit["cov_Subject"].values, np.linalg.inv(limit["no_pooling_cov_Subject"].values))
    beta = report["population_plug_in"].values
    expected = beta + ((report["no_pooling"].values - beta)[:, None, :] @ np.swapaxes(S, 1, 2))[:, 0]
    np.testing.assert_allclose(report["plug_in"], expected, rtol=1e-8)


def test_plug_in_and_no_pooling_are_those_of_lme4_and_least_squares():
    report = hr.shrinkage(trees.sleepstudy())
    data = hr.load_dataset("sleepstudy")
    answers = load_reference("sleepstudy")["models"]["correlated_reml"]
    for subject in ("308", "335", "372"):
        rows = data[data["Subject"] == subject]
        slope, intercept = np.polyfit(rows["Days"], rows["Reaction"], 1)
        np.testing.assert_allclose(report["no_pooling"].sel(Subject=subject), [intercept, slope], rtol=1e-9)
    sigma, X = answers["residual"]["sd"], np.column_stack([np.ones(10), np.arange(10)])
    lme4 = np.add(answers["ranef"]["Subject"]["mode"], answers["fixef"]["estimate"])
    np.testing.assert_allclose(report["plug_in"], lme4, rtol=1e-4)
    se = sigma * np.sqrt(np.diag(np.linalg.inv(X.T @ X)))
    np.testing.assert_allclose(report["no_pooling_se"], np.tile(se, (18, 1)), rtol=1e-4)


def test_columns_follow_from_each_other():
    tree = trees.tree("by")
    report, theta = hr.shrinkage(tree, ci_prob=0.5), tree["posterior"]["theta_g"]
    at = {"g": "c", "g_coef": "x"}
    draws, row = theta.sel(at).values.ravel(), report.sel(at)
    cov = tree["mixed_model_limit"]["theta_cov_g"].sel(at | {"g_coef_col": "x"})
    assert float(row["mean"]) == pytest.approx(draws.mean(), rel=1e-12)
    assert float(row["lower"]) == pytest.approx(np.quantile(draws, 0.25), rel=1e-12)
    assert float(row["plug_in_sd"]) == pytest.approx(np.sqrt(float(cov)), rel=1e-12)
    assert float(row["sd_ratio"]) == pytest.approx(draws.std(ddof=1) / np.sqrt(float(cov)), rel=1e-9)
    gap = draws.mean() - float(row["plug_in"])
    assert float(row["gap_in_sd"]) == pytest.approx(gap / draws.std(ddof=1), rel=1e-9)
    assert float(row["gap_in_mcse"]) == pytest.approx(gap / float(row["mcse"]), rel=1e-9)
    mean = float(tree["posterior"]["beta"].sel(coef="x").mean())
    assert float(report["population"].sel(g_coef="x")) == pytest.approx(mean, rel=1e-12)


def test_pooling_factor_by_loops():
    tree = trees.tree("independent")
    b = tree["posterior"]["b_g"].values.reshape(-1, 5, 2)

    def V(values):
        return sum((value - sum(values) / len(values)) ** 2 for value in values) / (len(values) - 1)

    for k in range(2):
        of_means = V([b[:, j, k].mean() for j in range(5)])
        mean_of = np.mean([V(list(b[s, :, k])) for s in range(len(b))])
        # theta = beta + b has the same variance over groups as b, draw by draw
        assert float(hr.shrinkage(tree)["pooling_factor"][k]) == pytest.approx(1 - of_means / mean_of, rel=1e-9)


def test_groups_alone_are_not_pooled_and_one_value_is():
    factor = hr.shrinkage(trees.sleepstudy())["pooling_factor"]
    assert (factor > 0.05).all()
    assert (factor < 0.4).all()


def test_a_group_that_cannot_stand_alone_has_no_estimate_but_a_weight():
    report = hr.shrinkage(trees.tree("independent")).sel(g="e")
    assert np.isnan(report["no_pooling"]).all()
    assert np.isnan(report["no_pooling_se"]).all()
    assert np.isfinite(report["weight"]).all()
    assert np.linalg.matrix_rank(report["weight"].values, tol=1e-8) <= 2
    assert "nan" not in str(hr.shrinkage(trees.tree("independent")))


def test_weights_exist_where_a_matrix_is_singular():
    V_inv = np.array([[4.0, 2.0], [2.0, 1.0]])  # one row: rank one
    Sigma = np.array([[9.0, 1.0], [1.0, 2.0]])
    limit = np.eye(2) - np.linalg.inv(V_inv + np.linalg.inv(Sigma)) @ np.linalg.inv(Sigma)
    np.testing.assert_allclose(weight_matrix(Sigma, V_inv), limit, rtol=1e-12)
    np.testing.assert_array_equal(weight_matrix(np.zeros((2, 2)), V_inv), np.zeros((2, 2)))
    np.testing.assert_array_equal(weight_matrix(Sigma, np.zeros((2, 2))), np.zeros((2, 2)))
    one = np.diag([9.0, 0.0])  # no variance of the second column: it does not move
    np.testing.assert_allclose(weight_matrix(one, V_inv)[0, 0], 9 * 4 / (1 + 9 * 4), rtol=1e-12)
    np.testing.assert_array_equal(weight_matrix(one, V_inv)[1], [0, 0])


def test_units_do_not_matter_to_weights():
    rng = np.random.default_rng(1)
    A, B = rng.normal(size=(2, 3, 3))
    Sigma, V_inv, scale = A @ A.T, B @ B.T, np.diag([1.0, 1e6, 1e-6])
    S = weight_matrix(scale @ Sigma @ scale, np.linalg.inv(scale) @ V_inv @ np.linalg.inv(scale))
    np.testing.assert_allclose(np.linalg.inv(scale) @ S @ scale, weight_matrix(Sigma, V_inv), rtol=1e-8)


def test_equal_groups_are_computed_once_and_empty_groups_have_none():
    ZtZ = np.array([np.eye(2), 2 * np.eye(2), np.eye(2) * (1 + 1e-15), np.eye(2)])
    kind, n, kept = distinct_groups(np.array([0, 1, 3, 4]), np.array([0, 0, 0, 1]), ZtZ, 5)
    assert n == 3
    assert kind.tolist() == [0, 1, -1, 0, 2]
    assert kept.tolist() == [True, True, False, True]


def test_draws_are_thinned_where_there_are_many_distinct_groups(monkeypatch):
    full = hr.shrinkage(trees.many_groups())
    assert "evenly spaced" not in str(full)
    monkeypatch.setattr(module, "_MOST_MATRICES", 45 * 20)
    monkeypatch.setattr(module, "_FEWEST_DRAWS", 10)
    report = hr.shrinkage(trees.many_groups())
    assert report.attrs["weight_draws"] == 20
    assert "averages over 20 of the 180 draws" in str(report)
    np.testing.assert_allclose(report["weight"], full["weight"], atol=0.3)
    assert thinned(4000, 10**6).tolist()[:3] == [0, 444, 889]


def test_summaries_of_groups_are_enough():
    draws, report = hr.shrinkage(trees.tree("independent")), hr.shrinkage(trees.summarised())
    error = draws["mcse"].values
    # same seed, so the same variance parameters: only the noise of the coefficients is averaged out
    assert (np.abs(report["mean"] - draws["mean"]).values < 5 * error).all()
    np.testing.assert_allclose(report["sd"], draws["sd"], rtol=0.25)
    np.testing.assert_allclose(report["pooling_factor"], draws["pooling_factor"], atol=0.15)
    xr.testing.assert_identical(report["weight"], draws["weight"])
    assert np.isnan(report["mcse"]).all()
    assert np.isnan(report["gap_in_mcse"]).all()
    assert np.isfinite(report["gap_in_sd"]).all()
    assert "Only summaries" in str(report)


def test_summaries_have_only_their_own_intervals():
    with pytest.raises(hr.exceptions.ModelError, match=r"ci_prob=0.9 .* ci_prob 0.5 or 0.95.*group_effects"):
        hr.shrinkage(trees.summarised(), ci_prob=0.9)
    assert (hr.shrinkage(trees.summarised(), ci_prob=0.5)["upper"] > 0).any()


def test_a_column_without_population_column_is_a_deviation():
    report = hr.shrinkage(trees.separate_terms())
    assert list(report["g_coef"].values) == ["Intercept", "x", "w"]
    assert float(report["population"].sel(g_coef="w")) == 0.0
    b = trees.separate_terms()["posterior"]["b_g"].sel(g_coef="w").mean(("chain", "draw"))
    np.testing.assert_allclose(report["mean"].sel(g_coef="w"), b, rtol=1e-9, atol=1e-12)


def test_at_most_twenty_groups_are_printed_and_the_rest_is_counted():
    text = str(hr.shrinkage(trees.many_groups()))
    assert text.count("... 25 more") == 2
    assert sum(line.startswith("  g0") for line in text.splitlines()) == 2 * 10
    assert "g44" not in text


def test_a_model_without_groups_is_refused():
    with pytest.raises(hr.exceptions.ModelError, match=r"shrinkage needs a grouping factor.*\(x \| g\)"):
        hr.shrinkage(trees.plain())


def sectors():
    """Return a run with a predictor of groups, its product with a group column, and another predictor."""
    table = trees.table().assign(Sector=lambda rows: np.where(rows["g"].isin(["a", "b"]), "Catholic", "Public"))
    return trees.run(hr.Model("y ~ x * Sector + w + (x | g)", table), draws=20)


def test_a_report_says_at_which_level_of_a_predictor_of_groups_it_is(tmp_path):
    tree = hr.load(hr.save(sectors(), tmp_path / "fit.nc"))
    report = hr.shrinkage(tree)
    assert report.attrs["theta_at"] == ["Sector = Catholic, w = 0", "Sector = Catholic"]
    text = str(report)
    assert "Intercept at Sector = Catholic, w = 0" in text
    assert "x at Sector = Catholic " in text
    assert "for expected values at its own: hr.predict" in text
    # It is what is said: theta is the expected value at these values.
    z = {"x": [0.0], "w": [0.0], "Sector": ["Catholic"], "g": ["e"]}
    table = trees.table().assign(Sector=lambda rows: np.where(rows["g"].isin(["a", "b"]), "Catholic", "Public"))
    model = hr.Model("y ~ x * Sector + w + (x | g)", table)
    predicted = hr.predict(model, z, tree, observation=False)
    assert float(predicted["mean"][0]) == pytest.approx(float(report["mean"].sel(g="e", g_coef="Intercept")), rel=1e-9)
    for figure in (hr.plots.shrinkage(tree), hr.plots.caterpillar(tree)):
        assert "at Sector = Catholic, w = 0" in figure.axes[0].get_xlabel()
        assert "at Sector = Catholic" in figure.axes[1].get_xlabel()
    assert "at Sector" in hr.plots.shrinkage(tree, kind="plane").axes[0].get_ylabel()


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ x + (x | g)", {}),
        ("y ~ x + set + (x | g)", {"Intercept": "set = p"}),
        ("y ~ x * C(set, contr.treatment('q')) + (x | g)", {"Intercept": "set = q", "x": "set = q"}),
        ("y ~ x * C(set, contr.sum) + (1 | g)", {"Intercept": "x = 0, the mean of the levels of set"}),
        ("y ~ x:set + (1 | g)", {"Intercept": "x = 0"}),
        ("y ~ x + I(x**2) + (x | g)", {}),
        ("y ~ log(se) + w:x + (1 | g)", {"Intercept": "log(se) = 0, w = 0, x = 0"}),
        ("y ~ 0 + set + (1 | g)", {}),
        ("y ~ x + w + (0 + x | g)", {}),
    ],
)
def test_the_zero_of_predictors_in_words(formula, expected):
    problem = hr.Model(formula, trees.table()).problem
    assert references(problem.labels, problem.state).get("g", {}) == expected


@pytest.mark.parametrize("formula", ["diameter ~ 1 + (1 | plate) + (1 | sample)", "diameter ~ 1 + (1 | sample)"])
def test_summaries_of_groups_about_a_fixed_intercept(formula):
    """Theta of summaries is b and the constant that the population coefficient is held at."""
    priors = hr.Priors(beta={"Intercept": hr.Fixed(23.0)})
    model = hr.Model(formula, hr.load_dataset("penicillin"), priors=priors)
    tree = trees.run(model, group_effects="summary")
    effects = tree["effects"].to_dataset()
    report = hr.shrinkage(tree, factor="sample")
    np.testing.assert_allclose(report["mean"], effects["b_sample_mean"] + 23.0, rtol=1e-12)
    np.testing.assert_allclose(report["sd"], effects["b_sample_sd"], rtol=1e-12)
    np.testing.assert_allclose(report["lower"], effects["b_sample_quantiles"].sel(quantile=0.025) + 23.0, rtol=1e-12)
