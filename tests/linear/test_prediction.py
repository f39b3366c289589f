"""Predictions of new rows against the dense joint normal of old and new rows, and a Gaussian process."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hierreg as hr
from tests.helpers import report_trees as trees
from tests.oracles import dense

SIGMA = np.array([[0.9, 0.2], [0.2, 0.4]])
ERROR_COV = {
    "independent": np.array([[0.7]]),
    "by": np.diag([0.5, 0.8, 0.6]),
    "correlated": np.array([[0.5, 0.3, -0.1], [0.3, 0.8, 0.2], [-0.1, 0.2, 0.6]]),
    "known_se": np.eye(1),
    "known_cov": np.eye(1),
    "known_se, scaled": np.array([[2.5]]),
    "known_cov, scaled": np.array([[2.5]]),
}
# The last row is the only one of its group; the others are of groups that stay, of units that stay or go.
NEW = np.array([0, 3, 4, 9, 16, 25, 28, 31, 35])


def errors_of(structure, keep):
    kind, _, scaled = structure.partition(", ")
    V = trees.known_cov()[np.ix_(keep, keep)]
    return {
        "independent": hr.independent(),
        "by": hr.by("set"),
        "correlated": hr.correlated("set", unit="unit"),
        "known_se": hr.known_se("se", scale=bool(scaled)),
        "known_cov": hr.known_cov(V, scale=bool(scaled)),
    }[kind]


def matrices(structure, new=NEW):
    if not structure.startswith("known_cov"):
        return {}
    old, V = np.setdiff1d(np.arange(36), new), trees.known_cov()
    return {"cross_cov": V[np.ix_(new, old)], "new_cov": V[np.ix_(new, new)]}


def solved(structure, formula="y ~ x + w + (x | g)"):
    """Return the model of the rows that are not new, and its solution."""
    table, old = trees.table(), np.setdiff1d(np.arange(36), NEW)
    model = hr.Model(formula, table.iloc[old], errors=errors_of(structure, old))
    S = None if structure in {"known_se", "known_cov"} else ERROR_COV[structure]
    return model, model.solve({"g": SIGMA} if "|" in formula else None, S)


def dense_prediction(structure, formula="y ~ x + w + (x | g)"):
    """E[y*|y], Var[y*|y] and the part of it that is error, by partitioning one covariance of all rows."""
    whole = hr.Model(formula, trees.table(), errors=errors_of(structure, np.arange(36))).problem
    old = np.setdiff1d(np.arange(36), NEW)
    S = ERROR_COV[structure]
    V = dense.total_covariance(whole.design, whole.layout, SIGMA if "|" in formula else np.empty((0, 0)), S)
    R = dense.error_covariance(whole.layout, S)
    X, y = whole.design.X, whole.design.y
    V_inv, psi = np.linalg.inv(V[np.ix_(old, old)]), V[np.ix_(NEW, old)]
    beta_cov = np.linalg.inv(X[old].T @ V_inv @ X[old])
    beta = beta_cov @ X[old].T @ V_inv @ y[old]
    mean = X[NEW] @ beta + psi @ V_inv @ (y[old] - X[old] @ beta)
    rest = X[NEW] - psi @ V_inv @ X[old]
    cov = V[np.ix_(NEW, NEW)] - psi @ V_inv @ psi.T + rest @ beta_cov @ rest.T
    K = R[np.ix_(NEW, old)]
    return mean, cov, R[np.ix_(NEW, NEW)] - K @ np.linalg.solve(R[np.ix_(old, old)], K.T)


@pytest.mark.parametrize("formula", ["y ~ x + w + (x | g)", "y ~ x + w"])
@pytest.mark.parametrize("structure", ERROR_COV)
def test_prediction_is_that_of_the_joint_normal_of_old_and_new_rows(structure, formula):
    model, at = solved(structure, formula)
    report = hr.predict(model, trees.table().iloc[NEW], at, level="new group", covariance=True, **matrices(structure))
    mean, cov, error = dense_prediction(structure, formula)
    np.testing.assert_allclose(report["mean"], mean, rtol=1e-9)
    np.testing.assert_allclose(report["cov_new"], cov, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(report["cov"], cov - error, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(report["sd_new"], np.sqrt(np.diagonal(cov)), rtol=1e-9)
    np.testing.assert_allclose(report["sd"], np.sqrt(np.diagonal(cov - error)), rtol=1e-9)
    np.testing.assert_allclose(report["upper_new"] - report["mean"], 1.959963984540054 * report["sd_new"], rtol=1e-10)


def with_fixed_variances(structure):
    """Return the model of the old rows with all variances held at the values of `solved`."""
    table, old = trees.table(), np.setdiff1d(np.arange(36), NEW)
    priors = {
        "beta": hr.Flat(),
        "sd": {"g": dict(zip(["Intercept", "x"], [hr.Fixed(v) for v in np.sqrt(np.diagonal(SIGMA))], strict=True))},
        "corr": {"g": hr.Fixed(SIGMA / np.sqrt(np.outer(np.diagonal(SIGMA), np.diagonal(SIGMA))))},
    }
    S = ERROR_COV[structure]
    sd = np.sqrt(np.diagonal(S))
    if structure in {"by", "correlated"}:
        priors["error_sd"] = {name: hr.Fixed(v) for name, v in zip("pqr", sd, strict=True)}
    elif structure not in {"known_se", "known_cov"}:
        priors["error_sd"] = hr.Fixed(float(sd[0]))
    if structure == "correlated":
        priors["error_corr"] = hr.Fixed(S / np.outer(sd, sd))
    return hr.Model(
        "y ~ x + w + (x | g)", table.iloc[old], errors=errors_of(structure, old), priors=hr.Priors(**priors)
    )


@pytest.mark.parametrize("structure", ERROR_COV)
def test_draws_agree_with_the_plug_in_where_the_variances_are_known(structure):
    """Observed and new groups, units with and without other data sets: mean and covariance of 8,000 exact draws."""
    model = with_fixed_variances(structure)
    tree = trees.run(model, draws=2000, chains=4)
    new, options = trees.table().iloc[NEW], matrices(structure)
    drawn = hr.predict(model, new, tree, level="new group", covariance=True, draws=True, **options)
    exact = hr.predict(model, new, solved(structure)[1], level="new group", covariance=True, **options)
    for suffix in ("", "_new"):
        sd = exact[f"sd{suffix}"].to_numpy()
        mean = drawn[f"draws{suffix}"].mean(("chain", "draw"))
        assert np.all(np.abs(mean - exact["mean"]) < 4.5 * sd / np.sqrt(8000))
        gap = (drawn[f"cov{suffix}"] - exact[f"cov{suffix}"]) / np.outer(sd, sd)
        assert np.abs(gap).max() < 4.5 * np.sqrt(2 / 8000)
        assert np.all(np.abs(drawn[f"lower{suffix}"] - exact[f"lower{suffix}"]) < 0.12 * sd)


def test_gaussian_process_of_scikit_learn():
    """Kriging of a known kernel, mean zero: mean and standard deviation of the function at new points."""
    gp = pytest.importorskip("sklearn.gaussian_process")
    rng = np.random.default_rng(8)
    x, new = np.sort(rng.uniform(0, 10, 25)), np.linspace(-2, 12, 11)
    kernel = 1.7 * gp.kernels.RBF(1.3)
    noise = rng.uniform(0.05, 0.2, 25)
    y = np.sin(x) + rng.normal(0, np.sqrt(noise))
    process = gp.GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(x[:, None], y)
    mean, cov = process.predict(new[:, None], return_cov=True)
    K = kernel(x[:, None])
    model = hr.Model(
        "y ~ 1",
        {"y": y, "x": x},
        errors=hr.known_cov(K + np.diag(noise)),
        priors=hr.Priors(beta={"Intercept": hr.Fixed(0.0)}),
    )
    report = hr.predict(
        model,
        {"x": new},
        model.estimate(),
        cross_cov=kernel(new[:, None], x[:, None]),
        new_cov=kernel(new[:, None]),
        covariance=True,
    )
    np.testing.assert_allclose(report["mean"], mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(report["cov_new"], cov, atol=1e-9)
    assert not report["sd"].any()


def test_kriging_interpolates_without_noise():
    x = np.linspace(0, 3, 7)
    K = np.exp(-((x[:, None] - x) ** 2))
    model = hr.Model("y ~ x", {"x": x, "y": np.cos(x)}, errors=hr.known_cov(K))
    report = hr.predict(model, {"x": x[2:4]}, model.estimate(), cross_cov=K[2:4], new_cov=K[2:4, 2:4])
    np.testing.assert_allclose(report["mean"], np.cos(x[2:4]), rtol=1e-9)
    assert float(report["sd_new"].max()) < 1e-5


# ---- what it is for


@pytest.fixture(scope="module")
def sleep():
    return hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))


def test_an_observed_group_has_its_own_line_and_a_new_one_that_of_the_population(sleep):
    est = sleep.estimate()
    new = {"Days": [3, 3, 7], "Subject": ["308", "x", "x"]}
    report = hr.predict(sleep, new, est, level="new group", covariance=True)
    line = hr.contrasts(est, {"at 3": {("308", "Intercept"): 1, ("308", "Days"): 3}})
    np.testing.assert_allclose(report["mean"][0], line["mean"][0], rtol=1e-12)
    np.testing.assert_allclose(report["sd"][0], line["sd"][0], rtol=1e-12)
    z = np.array([[1, 3], [1, 7]])
    cov = z @ (est.beta_cov.to_numpy() + est.cov["Subject"].to_numpy()) @ z.T
    np.testing.assert_allclose(report["mean"][1:], z @ est.beta.to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(report["cov"][1:, 1:], cov, rtol=1e-12)
    np.testing.assert_allclose(report["cov_new"][1:, 1:] - cov, float(est.error_sd) ** 2 * np.eye(2), atol=1e-8)
    # Two new groups of one label share their coefficients; of two labels they do not.
    apart = hr.predict(sleep, {"Days": [3, 7], "Subject": ["x", "z"]}, est, level="new group", covariance=True)
    np.testing.assert_allclose(apart["cov"][0, 1], (z @ est.beta_cov.to_numpy() @ z.T)[0, 1], rtol=1e-12)
    assert list(apart["group"].values) == ["x", "z"]


def test_a_few_observed_rows_of_a_new_group_go_into_the_data(sleep):
    """Conditioning the prediction of a new group on three of its rows is the fit to the data with these rows."""
    data = hr.load_dataset("sleepstudy")
    is_late = (data["Subject"].astype(str) == "372").to_numpy()
    mine = data[is_late]
    early, late = mine[mine["Days"] < 3], mine[mine["Days"] >= 3]
    with_three = pd.concat([data[~is_late], early], ignore_index=True)
    model = hr.Model("Reaction ~ Days + (Days | Subject)", with_three)
    Sigma = [[600.0, 10.0], [10.0, 35.0]]
    after = hr.predict(model, late, model.solve({"Subject": Sigma}, 650.0))
    without = hr.Model("Reaction ~ Days + (Days | Subject)", data[~is_late])
    before = hr.predict(without, mine, without.solve({"Subject": Sigma}, 650.0), level="new group", covariance=True)
    old, new = np.arange(3), np.arange(3, 10)
    cov = before["cov_new"].to_numpy()
    gain = cov[np.ix_(new, old)] @ np.linalg.inv(cov[np.ix_(old, old)])
    expected = before["mean"].to_numpy()[new] + gain @ (early["Reaction"] - before["mean"].to_numpy()[old])
    np.testing.assert_allclose(after["mean"], expected, rtol=1e-9)
    var = np.diagonal(cov[np.ix_(new, new)] - gain @ cov[np.ix_(old, new)])
    np.testing.assert_allclose(after["sd_new"] ** 2, var, rtol=1e-9)


def test_the_other_data_set_of_a_unit_makes_a_prediction_sharper():
    model, at = solved("correlated", "y ~ x + w")
    unit, name = trees.table()[["unit", "set"]].iloc[25]
    row = {"x": [1.0], "w": [0.0], "set": [name]}
    paired, alone = hr.predict(model, row | {"unit": [unit]}, at), hr.predict(model, row, at)
    assert float(paired["sd_new"][0]) < float(alone["sd_new"][0])
    assert float(paired["mean"][0]) != pytest.approx(float(alone["mean"][0]))
    xr.testing.assert_allclose(hr.predict(model, row | {"unit": [99]}, at), alone)


def test_fitted_values_of_the_data_need_the_unit_column_left_out():
    model, at = solved("correlated")
    old = trees.table().iloc[np.setdiff1d(np.arange(36), NEW)]
    report = hr.predict(model, old.drop(columns="unit"), at)
    design = model.problem.design
    b = at.b["g"].to_numpy()[design.factors[0].index]
    fitted = design.X @ at.beta.to_numpy() + np.sum(design.factors[0].Z * b, axis=1)
    np.testing.assert_allclose(report["mean"], fitted, rtol=1e-10)
    with pytest.raises(hr.exceptions.DataError, match=r"27 rows that were observed.*Leave the column 'unit' out"):
        hr.predict(model, old, at)


def test_expected_values_need_no_columns_of_the_errors():
    new = trees.table().iloc[NEW]
    for structure, columns in {"by": ["set"], "known_se": ["se"], "correlated": ["set", "unit"]}.items():
        model, at = solved(structure)
        report = hr.predict(model, new.drop(columns=columns), at, level="new group", observation=False)
        assert set(report.data_vars) == {"mean", "sd", "lower", "upper"}
        assert "sd new" not in str(report)
        with pytest.raises(hr.exceptions.DataError, match=columns[0]):
            hr.predict(model, new.drop(columns=columns), at, level="new group")
    model, at = solved("known_cov")
    assert np.isfinite(hr.predict(model, new, at, level="new group", observation=False)["sd"]).all()


def test_every_draw_is_the_line_of_its_parameters():
    tree, model = trees.tree("by"), trees.model("by")
    new = {"x": [1.5, -1.0], "w": [0.0, 2.0], "g": ["c", "a"], "set": ["q", "q"]}
    report = hr.predict(model, new, tree, draws=True, ci_prob=0.5)
    theta, w = tree["posterior"]["theta_g"], tree["posterior"]["beta"].sel(coef="w")
    of_a = theta.sel(g="a")
    expected = of_a.sel(g_coef="Intercept") - of_a.sel(g_coef="x") + 2 * w
    np.testing.assert_allclose(report["draws"][..., 1], expected, rtol=1e-11)
    assert report["draws_new"].dims == ("chain", "draw", "row")
    again = hr.predict(model, new, tree, draws=True, ci_prob=0.5)
    xr.testing.assert_identical(again, report)
    other = hr.predict(model, new, tree, draws=True, ci_prob=0.5, seed=3)
    assert not np.array_equal(other["draws_new"], report["draws_new"])
    assert "draws" not in hr.predict(model, new, tree)


def test_a_saved_tree_is_enough(tmp_path):
    tree, model = trees.tree("correlated"), trees.model("correlated")
    new = {"x": [1.5], "w": [0.0], "g": ["new"], "set": ["q"]}
    loaded = hr.load(hr.save(tree, tmp_path / "fit.nc"))
    first, second = (hr.predict(model, new, at, level="new group") for at in (loaded, tree))
    xr.testing.assert_identical(first, second)


def test_a_combination_of_columns_that_is_new_is_a_new_group():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"a": list("uuvv") * 6, "b": list("stst") * 6, "y": rng.normal(size=24)})
    table = table[~((table["a"] == "v") & (table["b"] == "t"))]
    model = hr.Model("y ~ 1 + (1 | a:b)", table)
    at = model.solve({"a:b": [[2.0]]}, 1.0)
    report = hr.predict(model, {"a": ["v", "u"], "b": ["t", "s"]}, at, level="new group")
    assert list(report["group"].values) == ["v:t", "u:s"]
    assert float(report["sd"][0]) > np.sqrt(2.0) > float(report["sd"][1])


def test_a_model_without_population_coefficients_predicts_from_its_groups():
    model = hr.Model("y ~ 0 + (1 | g)", trees.table())
    for at in (model.estimate(), trees.run(model)):
        report = hr.predict(model, {"g": ["a", "new"]}, at, level="new group")
        line = hr.contrasts(at, {"a": {("a", "Intercept"): 1}})
        np.testing.assert_allclose(report["mean"][0], line["mean"][0], rtol=1e-12)
        np.testing.assert_allclose(report["sd"][0], line["sd"][0], rtol=1e-12)
        assert float(report["sd"][1]) > float(report["sd"][0])


def test_long_reports_are_cut_in_print(sleep):
    text = str(hr.predict(sleep, hr.load_dataset("sleepstudy"), sleep.estimate()))
    assert "... 160 more" in text


# ---- exchangeable errors

VARIANCE, RHO = {"u": 1.3, "v": 0.7}, {"u": 0.6, "v": -0.15}
# Of the 48 rows: rows of observed units of both strata, of units that were not, and whole new units.
HELD_BACK = np.array([2, 3, 17, 30, 31, 33, 34, 40, 41, 42, 47])


def families():
    """Return 48 rows in units of one to five, in two strata; the first group has rows of many units."""
    rng = np.random.default_rng(21)
    sizes = np.array([3, 1, 4, 2, 5, 3, 2, 4, 5, 1, 3, 2, 4, 5, 4])
    unit = np.repeat(np.arange(15), sizes)
    frame = pd.DataFrame({"unit": unit, "kind": np.where(unit % 3 == 0, "u", "v")})
    frame["x"], frame["g"] = rng.normal(2, 1, 48), rng.integers(0, 4, 48)
    frame["y"] = rng.normal(0, 1, 48) + 0.4 * rng.normal(0, 1, 15)[unit] + frame["x"]
    return frame


def exchangeable_model(formula, keep, priors=None):
    errors = hr.exchangeable("unit", by="kind", common_sd=False)
    return hr.Model(formula, families().iloc[keep].reset_index(drop=True), errors=errors, priors=priors)


def dense_families(formula):
    """E[y*|y], Var[y*|y] and the part of it that is error, from one covariance of all rows."""
    table, old = families(), np.setdiff1d(np.arange(48), HELD_BACK)
    X = np.column_stack([np.ones(48), table["x"]])
    v, rho = (table["kind"].map(values).to_numpy() for values in (VARIANCE, RHO))
    unit = table["unit"].to_numpy()
    R = np.where(unit[:, None] == unit, v * rho, 0.0)
    R[np.arange(48), np.arange(48)] = v
    g = table["g"].to_numpy()
    V = R + ((g[:, None] == g) * (X @ SIGMA @ X.T) if "|" in formula else 0.0)
    y, at = table["y"].to_numpy(), np.ix_(old, old)
    V_inv, psi = np.linalg.inv(V[at]), V[np.ix_(HELD_BACK, old)]
    beta_cov = np.linalg.inv(X[old].T @ V_inv @ X[old])
    beta = beta_cov @ X[old].T @ V_inv @ y[old]
    rest = X[HELD_BACK] - psi @ V_inv @ X[old]
    mean = X[HELD_BACK] @ beta + psi @ V_inv @ (y[old] - X[old] @ beta)
    cov = V[np.ix_(HELD_BACK, HELD_BACK)] - psi @ V_inv @ psi.T + rest @ beta_cov @ rest.T
    K = R[np.ix_(HELD_BACK, old)]
    return mean, cov, R[np.ix_(HELD_BACK, HELD_BACK)] - K @ np.linalg.solve(R[at], K.T)


def solved_families(formula):
    old = np.setdiff1d(np.arange(48), HELD_BACK)
    model = exchangeable_model(formula, old)
    error = {"sd": [np.sqrt(VARIANCE[k]) for k in "uv"], "corr": [RHO[k] for k in "uv"]}
    return model, model.solve({"g": SIGMA} if "|" in formula else None, error)


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (x | g)"])
def test_exchangeable_errors_are_predicted_from_the_observed_rows_of_the_unit(formula):
    """Positive and negative correlation, further rows of observed units and units that are new, one joint normal."""
    model, at = solved_families(formula)
    report = hr.predict(model, families().iloc[HELD_BACK], at, covariance=True)
    mean, cov, error = dense_families(formula)
    np.testing.assert_allclose(report["mean"], mean, rtol=1e-9)
    np.testing.assert_allclose(report["cov_new"], cov, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(report["cov"], cov - error, rtol=1e-8, atol=1e-10)
    expected = hr.predict(model, families().iloc[HELD_BACK], at, observation=False)
    xr.testing.assert_allclose(expected["sd"], report["sd"])


def test_draws_of_exchangeable_errors_agree_with_the_plug_in_where_the_variances_are_known():
    old = np.setdiff1d(np.arange(48), HELD_BACK)
    priors = hr.Priors(
        beta=hr.Flat(),
        sd={"g": dict(zip(["Intercept", "x"], [hr.Fixed(v) for v in np.sqrt(np.diagonal(SIGMA))], strict=True))},
        corr={"g": hr.Fixed(SIGMA / np.sqrt(np.outer(np.diagonal(SIGMA), np.diagonal(SIGMA))))},
        error_sd={k: hr.Fixed(float(np.sqrt(VARIANCE[k]))) for k in "uv"},
        error_corr={k: hr.Fixed(RHO[k]) for k in "uv"},
    )
    model = exchangeable_model("y ~ x + (x | g)", old, priors)
    tree = trees.run(model, draws=2000, chains=4)
    drawn = hr.predict(model, families().iloc[HELD_BACK], tree, covariance=True, draws=True)
    mean, cov, error = dense_families("y ~ x + (x | g)")
    for suffix, expected in (("", cov - error), ("_new", cov)):
        sd = np.sqrt(np.diagonal(expected))
        assert np.all(np.abs(drawn[f"draws{suffix}"].mean(("chain", "draw")) - mean) < 4.5 * sd / np.sqrt(8000))
        gap = (drawn[f"cov{suffix}"] - expected) / np.outer(sd, sd)
        assert np.abs(gap).max() < 4.5 * np.sqrt(2 / 8000)


def test_estimates_of_exchangeable_errors_predict():
    """Of an estimate, of one with a common sd, and without the column of units, where every row stands alone."""
    table = families()
    for errors in (hr.exchangeable("unit"), hr.exchangeable("unit", by="kind")):
        model = hr.Model("y ~ x", table, errors=errors)
        est = model.estimate()
        report = hr.predict(model, {"x": [0.0, 1.0], "kind": ["u", "v"]}, at=est)
        np.testing.assert_allclose(report["mean"], est.beta.to_numpy() @ [[1, 1], [0, 1]], rtol=1e-10)
        np.testing.assert_allclose(report["sd_new"] ** 2 - report["sd"] ** 2, float(est.error_sd) ** 2, rtol=1e-8)
        pair = {"x": [0.0, 1.0], "kind": ["u", "u"], "unit": ["new", "new"]}
        both = hr.predict(model, pair, at=est, covariance=True)
        rho = float(np.ravel(est.error_corr)[0])
        error = (both["cov_new"] - both["cov"])[0, 1]
        assert float(error) == pytest.approx(rho * float(est.error_sd) ** 2, rel=1e-8)


def test_what_exchangeable_errors_cannot_be_is_said():
    model, at = solved_families("y ~ x")
    many = {"x": [0.0] * 8, "kind": ["v"] * 8, "unit": ["new"] * 8}
    with pytest.raises(hr.exceptions.ModelError, match=r"units of 8 rows.*below -0\.143.* is -0\.15.*'unit' out"):
        hr.predict(model, many, at)
    assert np.isfinite(hr.predict(model, many, at, observation=False)["sd"]).all()
    with pytest.raises(hr.exceptions.DataError, match="unit 0 in 'v', and it has others in 'u'"):
        hr.predict(model, {"x": [0.0], "kind": ["v"], "unit": [0]}, at)
    with pytest.raises(hr.exceptions.DataError, match=r"error variance is unknown.*'z'"):
        hr.predict(model, {"x": [0.0], "kind": ["z"]}, at)
    assert np.isfinite(hr.predict(model, {"x": [0.0], "kind": ["z"]}, at, observation=False)["sd"]).all()


def test_exchangeable_errors_of_a_model_without_rows():
    table = families()
    gram = hr.Model("y ~ x + (x | g)", table, errors=hr.exchangeable("unit", by="kind")).gram
    model = hr.Model.from_gram(gram)
    est = model.estimate()
    new = {"x": [0.5, 1.0], "g": [0, 9], "kind": ["u", "v"]}
    with_rows = hr.Model("y ~ x + (x | g)", table, errors=hr.exchangeable("unit", by="kind"))
    first, second = (hr.predict(m, new, est, level="new group") for m in (model, with_rows))
    xr.testing.assert_allclose(first, second)
    with pytest.raises(hr.exceptions.ModelError, match="column of units, 'unit'"):
        hr.predict(model, new | {"unit": [1, 2]}, est, level="new group")


# ---- the level of a prediction


def test_the_population_needs_no_groups(sleep):
    """x beta with its standard error, and a new observation with the error alone; of draws, draws of beta."""
    est = sleep.estimate()
    report = hr.predict(sleep, {"Days": [0, 3]}, est, level="population")
    line = hr.contrasts(est, [[1, 0], [1, 3]])
    np.testing.assert_allclose(report["mean"], line["mean"], rtol=1e-12)
    np.testing.assert_allclose(report["sd"], line["sd"], rtol=1e-12)
    np.testing.assert_allclose(report["sd_new"] ** 2, line["sd"] ** 2 + float(est.error_sd) ** 2, rtol=1e-10)
    assert list(report["group"].values) == ["population"] * 2
    model, tree = trees.model("independent"), trees.tree("independent")
    drawn = hr.predict(model, {"x": [2.0], "w": [1.0]}, tree, level="population", draws=True)
    expected = tree["posterior"]["beta"].to_numpy() @ [1.0, 2.0, 1.0]
    np.testing.assert_allclose(drawn["draws"][..., 0], expected, rtol=1e-12)


def test_the_population_needs_no_columns_of_the_groups_alone():
    model = hr.Model("y ~ x + (w | g)", trees.table())
    report = hr.predict(model, {"x": [1.0]}, model.estimate(), level="population", observation=False)
    assert float(report["mean"][0]) == pytest.approx(float(model.estimate().beta.sum()), rel=1e-12)


def test_each_factor_has_a_level_of_its_own():
    model = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    est = model.estimate()
    report = hr.predict(model, {"plate": ["new"], "sample": ["A"]}, est, level={"plate": "new group"})
    both = hr.predict(model, {"sample": ["A"]}, est, level={"plate": "population"})
    assert float(report["mean"][0]) == pytest.approx(float(both["mean"][0]), rel=1e-12)
    added = float(report["sd"][0] ** 2 - both["sd"][0] ** 2)
    assert added == pytest.approx(float(est.sd["plate"][0]) ** 2, rel=1e-9)
    assert [both[f"group_{f}"].values[0] for f in ("plate", "sample")] == ["population", "A"]
    with pytest.raises(hr.exceptions.DataError, match=r"groups of 'sample'.*level=\{'sample': 'new group'\}"):
        hr.predict(model, {"plate": ["new"], "sample": ["?"]}, est, level={"plate": "new group"})
    with pytest.raises(hr.exceptions.ModelError, match=r"level has the key 'plat'.*Did you mean 'plate'"):
        hr.predict(model, {"sample": ["A"]}, est, level={"plat": "population"})


@pytest.mark.parametrize(
    ("known", "new", "words"),
    [
        ("int", ["3"], "The labels of 'g' are whole numbers; '3' is text: is 3 meant?.*level='new group'"),
        ("int", ["2", "99"], "The labels of 'g' are whole numbers; '2' is text: is 2 meant?"),
        ("int", ["3.0"], "is 3 meant?"),
        ("int", ["c"], "The labels of 'g' are whole numbers; 'c' is text[.]"),
        ("int", [77], "not seen .row 0: 77.; it has 0, 1, 2, 3"),
        ("text", [3], "The labels of 'g' are text; 3 is a whole number: is '3' meant?"),
        ("text", [2.5], "The labels of 'g' are text; 2.5 is a number[.]"),
        ("name", ["alpa"], "Did you mean 'alpha'?"),
    ],
)
def test_labels_that_were_not_observed_are_named(known, new, words):
    table = families()
    names = {"int": table["g"], "text": table["g"].astype(str), "name": table["g"].map(dict(enumerate(GREEK)))}
    model = hr.Model("y ~ x + (1 | g)", table.assign(g=names[known]))
    est = model.estimate()
    rows = {"x": [0.0] * len(new), "g": new}
    with pytest.raises(hr.exceptions.DataError, match=words):
        hr.predict(model, rows, est)
    if "meant" in words:
        with pytest.raises(hr.exceptions.DataError, match=r"is .* meant.*A new group needs a label of its own"):
            hr.predict(model, rows, est, level="new group")
    else:
        assert float(hr.predict(model, rows, est, level="new group")["sd"][0]) > float(est.sd["g"][0])


GREEK = ("alpha", "beta", "gamma", "delta")


def test_columns_of_several_are_looked_at_one_by_one():
    """The factor a:b, with 1 written as text: the column is named; a new combination of known labels is new."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"a": list("uuvv") * 6, "b": [1, 2, 1, 2] * 6, "y": rng.normal(size=24)})
    table = table[~((table["a"] == "v") & (table["b"] == 2))]
    model = hr.Model("y ~ 1 + (1 | a:b)", table)
    with pytest.raises(hr.exceptions.DataError, match="labels of 'b' are whole numbers; '1' is text"):
        hr.predict(model, {"a": ["u"], "b": ["1"]}, model.estimate())
    with pytest.raises(hr.exceptions.DataError, match="row 0: 'v:2'"):
        hr.predict(model, {"a": ["v"], "b": [2]}, model.estimate())


def test_a_label_of_the_same_value_is_the_same_label():
    """Whole numbers as floats, categories and NumPy types name the group that was observed."""
    table = families()
    model = hr.Model("y ~ x + (1 | g)", table)
    est = model.estimate()
    expected = hr.predict(model, {"x": [0.0], "g": [3]}, est)
    for label in ([3.0], np.array([3], dtype=np.uint8), pd.Categorical([3])):
        xr.testing.assert_identical(hr.predict(model, {"x": [0.0], "g": label}, est), expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"newdata": {"x": [1.0]}}, "no column 'g'.*level='population'"),
        ({"newdata": {"x": [1.0], "G": [1]}}, "no column 'g'.*Did you mean 'G'"),
        ({"newdata": {"x": [1.0]}, "level": "new group"}, "no column 'g'"),
        ({"level": "individual"}, "level='individual' is not one of 'group', 'population', 'new group'"),
        ({"level": {"g": "new"}}, r"level\['g'\]='new' is not one of"),
        ({"level": ["group"]}, "level="),
    ],
)
def test_a_level_or_column_that_is_not_there_is_said(arguments, words):
    model = hr.Model("y ~ x + (1 | g)", families())
    with pytest.raises((hr.exceptions.ModelError, hr.exceptions.DataError), match=words):
        hr.predict(**({"model": model, "newdata": {"x": [1.0], "g": [1]}, "at": model.estimate()} | arguments))


# ---- bad input


@pytest.mark.parametrize(
    ("structure", "change", "words"),
    [
        ("by", {"newdata": {"set": ["z"]}}, "newdata.*'set'.*unknown.*'z'.*observation=False"),
        ("independent", {"cross_cov": np.ones((1, 27))}, "belong to errors=hr.known_cov"),
        ("known_cov", {}, "new_cov is missing"),
        ("known_cov", {"new_cov": np.eye(2)}, r"new_cov has shape \(2, 2\); \(1, 1\)"),
        ("known_cov", {"new_cov": [[1.0]], "cross_cov": np.ones((1, 36))}, r"cross_cov has shape \(1, 36\)"),
        ("known_cov", {"new_cov": [[0.01]], "cross_cov": np.ones((1, 27))}, "do not fit V"),
        ("known_cov", {"new_cov": [["a"]]}, "not a matrix of numbers"),
        ("known_cov", {"new_cov": [[np.nan]]}, "not finite"),
        ("independent", {"ci_prob": 2}, "ci_prob"),
        ("independent", {"at": 3}, "at has type int"),
        ("independent", {"model": 3}, "model has type int"),
        ("correlated", {"newdata": {"unit": [50, 50], "set": ["p", "p"]}}, "more than one row of the unit 50 in 'p'"),
        ("known_se", {"newdata": {"se": [-1.0]}}, "not positive"),
    ],
)
def test_what_cannot_be_predicted_is_said(structure, change, words):
    model, at = solved(structure)
    extra = change.get("newdata", {})
    n = len(next(iter(extra.values()), [0]))
    new = {"x": [1.0] * n, "w": [0.0] * n, "g": ["a"] * n, "set": ["p"] * n, "se": [1.0] * n, "unit": [77] * n} | extra
    arguments = {"model": model, "at": at} | change | {"newdata": new}
    with pytest.raises((hr.exceptions.ModelError, hr.exceptions.DataError), match=words):
        hr.predict(**arguments)


def test_a_result_of_another_model_is_refused(sleep):
    model, at = solved("independent")
    with pytest.raises(hr.exceptions.ModelError, match="give the estimate or solution of the same model"):
        hr.predict(sleep, hr.load_dataset("sleepstudy"), at)
    with pytest.raises(hr.exceptions.ModelError, match="another formula"):
        hr.predict(model, trees.table(), trees.plain())
    with pytest.raises(hr.exceptions.ModelError, match="seed=-1 must be a whole number"):
        hr.predict(trees.model("by"), trees.table(), trees.tree("by"), seed=-1)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
@pytest.mark.parametrize("structure", ["independent", "by", "known_se", "known_cov", "correlated"])
def test_predictions_from_summaries_are_those_from_draws(structure):
    """The same posterior of the variance parameters, and coefficients drawn again: equal within Monte-Carlo error."""
    d = trees.table()
    subject = trees.model(structure)
    options = {"draws": 1000, "chains": 2, "seed": 5, "progress": False}
    kept = subject.sample(**options, group_effects="draws")
    summarised = subject.sample(**options, group_effects="summary")
    rows = d.iloc[[0, 3, 11]].drop(columns=["unit"], errors="ignore")
    rows = rows.assign(g=[*rows["g"].to_numpy()[:2], "a new one"])
    more = {"level": "new group", "observation": structure != "known_cov", "seed": 1, "covariance": True}
    one, other = hr.predict(subject, rows, kept, **more), hr.predict(subject, rows, summarised, **more)
    error = one["sd"] / np.sqrt(500)
    assert (abs(one["mean"] - other["mean"]) < 5 * error).all()
    np.testing.assert_allclose(other["sd"], one["sd"], rtol=0.12)
    scale = np.sqrt(np.outer(one["sd"], one["sd"]))
    np.testing.assert_allclose(other["cov"] / scale, one["cov"] / scale, atol=0.12 * float(scale.max()))
    again = hr.predict(subject, rows, summarised, **more)
    np.testing.assert_array_equal(again["mean"], other["mean"])


def test_predictions_from_summaries_of_crossed_factors_and_in_parts(monkeypatch):
    from hierreg.predictive import recovered

    rng = np.random.default_rng(2)
    d = pd.DataFrame({"s": rng.integers(0, 9, 150), "d": rng.integers(0, 6, 150), "x": rng.normal(size=150)})
    d["y"] = d["x"] + rng.normal(0, 1, 9)[d["s"]] + rng.normal(0, 1, 6)[d["d"]] + rng.normal(0, 0.5, 150)
    subject = hr.Model("y ~ x + (1 | s) + (1 | d)", d)
    options = {"draws": 500, "chains": 2, "seed": 5, "progress": False}
    kept = subject.sample(**options, group_effects="draws")
    summarised = subject.sample(**options, group_effects="summary")
    monkeypatch.setattr(recovered, "_MOST_BYTES", 8 * 15 * 64)
    rows = d.iloc[[0, 1, 2, 3]]
    one, other = hr.predict(subject, rows, kept, seed=1), hr.predict(subject, rows, summarised, seed=1)
    assert (abs(one["mean"] - other["mean"]) < 5 * one["sd"] / np.sqrt(400)).all()
    np.testing.assert_allclose(other["sd"], one["sd"], rtol=0.15)


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
def test_residuals_of_units_need_draws():
    subject = trees.model("correlated")
    tree = subject.sample(draws=50, chains=1, seed=1, progress=False, group_effects="summary")
    table = trees.table()
    seen = set(zip(table["unit"], table["set"], strict=True))
    unit, part = next((u, s) for u in table["unit"] for s in "pqr" if (u, s) not in seen)
    new = table[table["unit"] == unit].iloc[[0]].assign(set=part)
    with pytest.raises(hr.exceptions.ModelError, match="leave the column of units out"):
        hr.predict(subject, new, tree)


@pytest.mark.parametrize("structure", ["independent", "correlated", "by"])
def test_an_estimate_alone_predicts(structure):
    subject, solution = solved(structure)
    rows = trees.table().iloc[[0, 5]].drop(columns="unit")
    for result in (subject.estimate("ml"), solution):
        given, alone = hr.predict(subject, rows, result), hr.predict(result, rows)
        for name, values in given.data_vars.items():
            np.testing.assert_array_equal(values, alone[name])
    with pytest.raises(hr.exceptions.ModelError, match="does not know its model"):
        hr.predict(dataclasses.replace(result, problem=None), rows)
