"""Models with several grouping factors, crossed and nested, from the formula to the reports."""

import functools
import json
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hierreg as hr
from hierreg.cli import main
from hierreg.gram import collect
from hierreg.likelihood.alone import group_statistics, no_pooling
from hierreg.priors import HalfNormal, ResolvedPriors
from hierreg.results import build
from hierreg.results.carried import draws_in
from hierreg.variances.parameters import covariances, variance_parameters
from tests.helpers.report_trees import run
from tests.oracles import dense
from tests.oracles.crossed_cases import SHAPES, random_crossed_case
from tests.reference import load_reference

CROSSED = "y ~ x + w + (x | s) + (1 | d) + (0 + w | s)"
NESTED = "strength ~ 1 + (1 | batch/cask)"
PENICILLIN = "diameter ~ 1 + (1 | plate) + (1 | sample)"
DATA = {PENICILLIN: "penicillin", NESTED: "pastes"}


def table() -> pd.DataFrame:
    """Return 60 rows of 7 and 4 groups that cross, and cells missing."""
    rng = np.random.default_rng(8)
    n = 60
    s, d = rng.permutation(np.arange(n) % 7), rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    x, w = rng.normal(2, 1, n), rng.normal(0, 2, n)
    slope = 0.5 + rng.normal(0, 0.6, 7)
    mean = 1 + rng.normal(0, 1.5, 7)[s] + rng.normal(0, 2, 4)[d] + slope[s] * x + rng.normal(0, 0.5, 7)[s] * w
    frame = pd.DataFrame({"x": x, "w": w, "s": [f"s{j}" for j in s], "d": [f"d{j}" for j in d]})
    frame["site"] = np.where(rng.random(n) < 0.4, "north", "south")
    frame["y"] = mean + rng.normal(0, np.where(frame["site"] == "north", 0.5, 1.0))
    return frame


@functools.cache
def model(formula: str) -> hr.Model:
    if formula == CROSSED:
        return hr.Model(CROSSED, table(), errors=hr.by("site"))
    return hr.Model(formula, hr.load_dataset(DATA[formula]))


@functools.cache
def estimate(formula: str):
    return model(formula).estimate("reml")


@functools.cache
def tree(formula: str) -> xr.DataTree:
    """Return a short run; do not change it."""
    return run(model(formula), include=["prior_predictive", "posterior_predictive", "log_likelihood", "log_prior"])


FORMULAS = (CROSSED, PENICILLIN, NESTED)
FACTORS = {CROSSED: ["s", "d"], PENICILLIN: ["plate", "sample"], NESTED: ["batch", "batch:cask"]}


# ---- names and variance parameters


def test_columns_of_all_factors_stand_one_after_the_other():
    parameters = model(CROSSED).problem.parameters
    assert parameters.factors == ("s", "d")
    assert parameters.factor_coef_names == (("Intercept", "x", "w"), ("Intercept",))
    assert parameters.factor_slices == (slice(0, 3), slice(3, 4))
    assert parameters.free_names == (
        "sd_s[Intercept]",
        "sd_s[x]",
        "sd_s[w]",
        "sd_d[Intercept]",
        "error_sd[north]",
        "error_sd[south]",
        "corr_s[x, Intercept]",
    )


def test_covariances_are_block_diagonal_over_factors(rng):
    gram = model(CROSSED).gram
    priors = ResolvedPriors(
        beta=(),
        beta_basis=np.empty((0, 0)),
        sd={"s": (HalfNormal(1),) * 2, "d": (HalfNormal(2),) * 3},
        corr={"s": (hr.LKJ(1),), "d": (hr.LKJ(2),)},
        error_sd=(HalfNormal(1),) * 2,
        error_corr=None,
        rows=(),
    )
    factors = [("s", ("a", "b"), (2,)), ("d", ("a", "b", "c"), (3,))]
    parameters = variance_parameters(gram.terms, priors, factors=factors)
    u = rng.normal(size=(4, parameters.n_free))
    at = covariances(parameters, u)
    for values in (at.corr, at.Lambda):
        assert not values[:, :2, 2:].any()
        assert not values[:, 2:, :2].any()
    product = at.Lambda @ np.swapaxes(at.Lambda, 1, 2)
    np.testing.assert_allclose(product, at.sd[:, :, None] * at.corr * at.sd[:, None, :], rtol=1e-12, atol=1e-14)
    names = [name for name in parameters.free_names if name.startswith("corr_")]
    assert names == ["corr_s[b, a]", "corr_d[b, a]", "corr_d[c, a]", "corr_d[c, b]"]


def test_labels_have_the_dimensions_of_each_factor():
    labels = model(CROSSED).problem.labels
    s, d = labels.factors
    assert labels.factor_names == ("s", "d")
    assert labels.factor("d") is d
    assert labels.dims("b_cov", s) == ("s", "s_coef", "s_coef_col")
    assert (s.theta_columns, d.theta_columns) == ((0, 1, 2), (0,))
    assert (s.has_corr, d.has_corr) == (True, False)
    array = labels.array("b", np.zeros((4, 1)), factor=d)
    assert list(array["d"].values) == ["d0", "d1", "d2", "d3"]
    assert set(labels.coords) == {"coef", "coef_col", "s", "s_coef", "s_coef_col", "d", "d_coef", "d_coef_col"} | {
        "site",
        "site_col",
    }


def test_a_factor_may_be_the_stratum_of_the_errors():
    data = table()
    labels = hr.Model("y ~ x + (1 | s) + (1 | site)", data, errors=hr.by("site")).problem.labels
    assert list(labels.coords["site"]) == ["north", "south"]


@pytest.mark.parametrize(
    ("change", "formula", "words"),
    [
        (
            lambda d: d.assign(t=d["s"].str.upper()),
            "y ~ x + (1 | s) + (1 | t)",
            "groups of 's' and of 't' are the same",
        ),
        (lambda d: d.assign(**{"a/s": d["s"], "a per s": d["d"]}), "y ~ x + (1 | `a/s`) + (1 | `a per s`)", "share"),
        (lambda d: d.assign(cov_d=d["s"]), "y ~ x + (1 | cov_d) + (1 | d)", "share names of results"),
    ],
)
def test_factors_that_cannot_be_told_apart_are_an_error(change, formula, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        hr.Model(formula, change(table()))


def test_factors_with_the_same_groups_may_have_different_columns():
    data = table().assign(t=lambda d: d["s"].str.upper())
    assert hr.Model("y ~ x + (1 | s) + (0 + x | t)", data).problem.labels.factor_names == ("s", "t")


# ---- each group alone


@pytest.mark.parametrize("kind", ["independent", "by", "known_se, scaled"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_group_alone_is_least_squares_on_its_rows_less_all_other_factors(shape, kind, rng):
    case = random_crossed_case(rng, shape, kind, n=70)
    gram = collect(case.design, case.layout)
    R = np.diagonal(dense.error_covariance(case.layout, case.error_cov))
    beta = rng.normal(size=case.design.X.shape[1])
    b = [rng.normal(size=(len(factor.levels), factor.Z.shape[1])) for factor in case.design.factors]
    rows = np.arange(len(case.design.y))
    for f, factor in enumerate(case.design.factors):
        matches = (0, *(None for _ in factor.coef_names[1:]))
        theta, cov = no_pooling(gram, f, case.error_cov, beta, matches, b)
        others = [(other, own) for g, (other, own) in enumerate(zip(case.design.factors, b, strict=True)) if g != f]
        y = case.design.y - case.design.X[:, 1:] @ beta[1:]
        y = y - sum(np.einsum("nq,nq->n", other.Z, own[other.index]) for other, own in others)
        found = 0
        for j in range(len(factor.levels)):
            mine = rows[factor.index == j]
            Z = factor.Z[mine]
            if len(mine) < Z.shape[1] + 2:
                continue
            found += 1
            V = np.linalg.inv(Z.T @ (Z / R[mine, None]))
            np.testing.assert_allclose(theta[j], V @ Z.T @ (y[mine] / R[mine]), rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(cov[j], V, rtol=1e-6)
        assert found


def test_cross_products_are_those_of_each_factor(rng):
    case = random_crossed_case(rng, "crossed")
    gram = collect(case.design, case.layout)
    for f, factor in enumerate(case.design.factors):
        own = group_statistics(gram, f)
        for j, ZtZ in zip(own.level, own.ZtZ, strict=True):
            Z = factor.Z[factor.index == j]
            np.testing.assert_allclose(ZtZ, Z.T @ Z, rtol=1e-9, atol=1e-9)


# ---- estimates, beside lme4


@pytest.mark.parametrize(("case", "prefix", "formula"), [("penicillin", "", PENICILLIN), ("pastes", "nested_", NESTED)])
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_estimates_are_those_of_lme4(case, prefix, formula, method):
    answers = load_reference(case)["models"][prefix + method]
    est = model(formula).estimate(method)
    criterion = answers["criterion"]
    minus_two = criterion.get("minus2_restricted_loglik", criterion.get("minus2_loglik"))
    assert est.criterion == pytest.approx(minus_two, abs=1e-6)
    assert est.converged
    np.testing.assert_allclose(est.beta, answers["fixef"]["estimate"], rtol=1e-6)
    np.testing.assert_allclose(est.beta_se, answers["fixef"]["se"], rtol=1e-5)
    np.testing.assert_allclose(est.error_sd, answers["residual"]["sd"], rtol=1e-5)
    # the column `sample` of pastes has the labels of batch:cask
    mine = {
        part["group"]: "batch:cask" if case == "pastes" and part["n_levels"] == 30 else part["group"]
        for part in answers["random"]
    }
    assert set(mine.values()) == set(est.sd)
    for part in answers["random"]:
        factor, ranef = mine[part["group"]], answers["ranef"][part["group"]]
        np.testing.assert_allclose(est.sd[factor], part["sd"], rtol=1e-5)
        at = {factor: ranef["levels"]}
        scale = float(est.sd[factor][0])
        np.testing.assert_allclose(est.b[factor].sel(at), ranef["mode"], atol=1e-5 * scale)
        for name, cov in (("cond_sd", est.b_cond_cov[factor]), ("pev_sd", est.b_cov[factor])):
            np.testing.assert_allclose(np.sqrt(cov.sel(at)[..., 0]), ranef[name], rtol=1e-4)


# ---- the tree


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_tree_has_every_factor(formula):
    subject, factors = tree(formula), FACTORS[formula]
    posterior, limit = subject["posterior"], subject["mixed_model_limit"]
    assert json.loads(subject.attrs["factors"]) == factors
    for factor in factors:
        dims = (factor, f"{factor}_coef")
        for name in ("b", "theta"):
            assert posterior[f"{name}_{factor}"].dims == ("chain", "draw", *dims)
            assert limit[f"{name}_{factor}"].dims == dims
        assert posterior[f"sd_{factor}"].dims == ("chain", "draw", dims[1])
        assert limit[f"no_pooling_cov_{factor}"].dims == (*dims, f"{factor}_coef_col")
        assert subject["statistics"][f"group_ZtZ_{factor}"].ndim == 3
        beta = posterior["beta"].sel(coef=posterior[f"{factor}_coef"].values).to_numpy()
        theta = posterior[f"b_{factor}"].to_numpy() + beta[:, :, None, :]
        np.testing.assert_allclose(posterior[f"theta_{factor}"], theta, rtol=1e-12)
        assert "prior" in posterior[f"sd_{factor}"].attrs
    assert set(subject["prior"].data_vars) == set(posterior.data_vars)
    assert set(subject["log_prior"].data_vars) == {n for n in posterior.data_vars if n[:2] not in {"b_", "th"}}


def test_the_limit_is_the_reml_estimate():
    est, limit = estimate(CROSSED), tree(CROSSED)["mixed_model_limit"]
    for factor in ("s", "d"):
        for name in ("b", "b_cov", "theta", "theta_cov", "sd", "cov"):
            np.testing.assert_array_equal(limit[f"{name}_{factor}"], getattr(est, name)[factor])
    assert est.cov["s"].shape == (3, 3)
    assert est.cov["d"].shape == (1, 1)


@pytest.mark.long
@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_reports_from_a_file_are_the_same(ending, tmp_path):
    kept = hr.load(hr.save(tree(NESTED), tmp_path / f"fit{ending}"))
    assert list(kept["posterior"].data_vars) == list(tree(NESTED)["posterior"].data_vars)
    assert repr(hr.summary(kept)) == repr(hr.summary(tree(NESTED)))
    for factor in FACTORS[NESTED]:
        xr.testing.assert_identical(
            hr.shrinkage(kept, factor=factor)["weight"], hr.shrinkage(tree(NESTED), factor=factor)["weight"]
        )


def test_summaries_stand_for_the_draws_of_every_factor():
    short = run(model(CROSSED), group_effects="summary")
    full = tree(CROSSED)["posterior"]
    for factor in ("s", "d"):
        assert f"b_{factor}" not in short["posterior"]
        mean = full[f"theta_{factor}"].mean(("chain", "draw"))
        spread = full[f"theta_{factor}"].std(("chain", "draw"))
        gap = np.abs(short["effects"][f"theta_{factor}_mean"] - mean) / spread
        assert float(gap.max()) < 6 / np.sqrt(180)
        assert short["effects"][f"b_{factor}_quantiles"].dims == ("quantile", factor, f"{factor}_coef")
        hr.shrinkage(short, factor=factor)


# ---- groups on request


def test_replicates_and_densities_are_those_of_the_rows():
    subject, data = tree(CROSSED), table()
    posterior, rows = subject["posterior"], xr.DataArray(np.arange(60), dims="obs")
    at = {"s": xr.DataArray(data["s"], dims="obs"), "d": xr.DataArray(data["d"], dims="obs")}
    x, w = (xr.DataArray(data[name].to_numpy(), dims="obs") for name in ("x", "w"))
    beta, s = posterior["beta"], posterior["b_s"].sel(s=at["s"])
    mean = beta.sel(coef="Intercept") + beta.sel(coef="x") * x + beta.sel(coef="w") * w
    mean = mean + s.sel(s_coef="Intercept") + s.sel(s_coef="x") * x + s.sel(s_coef="w") * w
    mean = mean + posterior["b_d"].sel(d=at["d"], d_coef="Intercept")
    sd = posterior["error_sd"].sel(site=xr.DataArray(data["site"], dims="obs"))
    z = (xr.DataArray(data["y"].to_numpy(), dims="obs") - mean) / sd
    expected = (-0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)).transpose("chain", "draw", "obs")
    np.testing.assert_allclose(subject["log_likelihood"]["y"], expected, rtol=1e-9, atol=1e-9)
    standard = ((subject["posterior_predictive"]["y"] - mean) / sd).to_numpy()
    n = standard.size
    assert abs(standard.mean()) < 5 / np.sqrt(n)
    assert standard.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * n))
    assert len(rows) == subject["posterior_predictive"].sizes["obs"]


def test_prior_draws_of_each_factor_have_its_covariance():
    prior = hr.prior_predictive(model(CROSSED), draws=4000, seed=2)["prior"]
    for factor in ("s", "d"):
        b, sd = prior[f"b_{factor}"], prior[f"sd_{factor}"]
        z = (b / sd).to_numpy()
        n = z[..., 0].size / 4000 * 4000
        np.testing.assert_allclose(z.std(axis=(0, 1, 2)), 1.0, atol=6 / np.sqrt(2 * n))


def sds_of_priors(subject, priors, factor):
    """Return the sds of b* = T b, which the priors are of, draw by draw."""
    posterior, T = draws_in(subject), priors.frames[factor].from_raw
    sds = posterior[f"sd_{factor}"].to_numpy()
    corr = posterior[f"corr_{factor}"].to_numpy() if f"corr_{factor}" in posterior else None
    out = np.empty_like(sds)
    for draw in np.ndindex(sds.shape[:2]):
        R = np.eye(len(T)) if corr is None else corr[draw]
        out[draw] = np.sqrt(np.diagonal(T @ np.diag(sds[draw]) @ R @ np.diag(sds[draw]) @ T.T))
    return out


def test_summed_log_priors_are_those_of_the_density():
    subject, priors = tree(CROSSED), model(CROSSED).priors
    for factor in ("s", "d"):
        sds = sds_of_priors(subject, priors, factor)
        for i, prior in enumerate(priors.sd[factor]):
            mine = subject["log_prior"][f"sd_{factor}"].to_numpy()[..., i]
            np.testing.assert_allclose(mine, prior.log_density(sds[..., i]), rtol=1e-10)


# ---- reports


def test_summary_has_the_parameters_of_every_factor():
    names = list(hr.summary(tree(CROSSED))["parameter"].values)
    assert names == [
        "beta[Intercept]",
        "beta[x]",
        "beta[w]",
        "sd_s[Intercept]",
        "sd_s[x]",
        "sd_s[w]",
        "corr_s[x, Intercept]",
        "sd_d[Intercept]",
        "error_sd[north]",
        "error_sd[south]",
    ]
    assert "7 groups of s, 4 groups of d" in repr(hr.summary(tree(CROSSED)))


def test_intraclass_correlations_share_one_total_variance():
    """At the means of the columns of all factors, those of each site's rows."""
    report = hr.correlations(tree(CROSSED))
    posterior, limit = draws_in(tree(CROSSED)), tree(CROSSED)["mixed_model_limit"].to_dataset()
    found = report.isel(correlation=report["kind"].values == "intraclass")
    assert list(found["correlation"].values) == [
        f"{factor}[at the means], site[{site}]" for factor in ("s", "d") for site in ("north", "south")
    ]
    for site in ("north", "south"):
        design = model(CROSSED).problem.design
        means = {f.name: f.Z[(table()["site"] == site).to_numpy()].mean(axis=0) for f in design.factors}
        for group, what in ((posterior, "mean"), (limit, "reml")):
            variances = {}
            for f, z in means.items():
                sd = group[f"sd_{f}"].to_numpy()
                corr = group[f"corr_{f}"].to_numpy() if f"corr_{f}" in group else np.eye(len(z))
                variances[f] = np.einsum("i,...i,...ij,...j,j->...", z, sd, corr, sd, z)
            total = sum(variances.values()) + group["error_sd"].sel(site=site).to_numpy() ** 2
            for f in ("s", "d"):
                mine = found.sel(correlation=f"{f}[at the means], site[{site}]")
                np.testing.assert_allclose(mine[what], np.mean(variances[f] / total), rtol=1e-10)


def test_correlations_name_the_factor_and_compare_few_groups():
    report = hr.correlations(tree(CROSSED))
    kinds = report["kind"].values
    assert list(report["where"].values[kinds == "group"]) == ["s"]
    pairs = list(report["correlation"].values[kinds == "between groups"])
    assert len(pairs) == 3 * 21 + 6
    assert "theta_d[d1, d0; Intercept]" in pairs
    note = hr.correlations(tree(NESTED)).attrs["note"]
    assert "batch has 10" in note
    assert "batch:cask has 30" in note


@pytest.mark.parametrize("function", [hr.shrinkage, hr.plots.shrinkage, hr.plots.caterpillar])
def test_one_factor_is_shown_at_a_time(function):
    with pytest.raises(hr.exceptions.ModelError, match=r"has 's', 'd': name one, as in factor='s'"):
        function(tree(CROSSED))
    with pytest.raises(hr.exceptions.ModelError, match=r"factor='t' is none of the grouping factors 's', 'd'"):
        function(tree(CROSSED), factor="t")


@pytest.mark.parametrize("formula", FORMULAS)
def test_shrinkage_of_each_factor(formula):
    for factor in FACTORS[formula]:
        report, limit = hr.shrinkage(tree(formula), factor=factor), tree(formula)["mixed_model_limit"]
        assert report["plug_in"].dims == (factor, f"{factor}_coef")
        np.testing.assert_array_equal(report["no_pooling"], limit[f"no_pooling_{factor}"])
        np.testing.assert_array_equal(report["plug_in"], limit[f"theta_{factor}"])
        theta = tree(formula)["posterior"][f"theta_{factor}"]
        np.testing.assert_allclose(report["mean"], theta.mean(("chain", "draw")), rtol=1e-10)
        assert "predictions of the other grouping factors" in repr(report)


def test_the_weight_of_a_balanced_factor_is_the_closed_form():
    """Six rows per plate, one per sample: S_j = sd^2 / (sd^2 + error_sd^2 / 6) given the samples."""
    posterior = tree(PENICILLIN)["posterior"]
    between, within = posterior["sd_plate"][..., 0] ** 2, posterior["error_sd"] ** 2
    weight = hr.shrinkage(tree(PENICILLIN), factor="plate")["weight"]
    np.testing.assert_allclose(weight, float((between / (between + within / 6)).mean()), rtol=1e-9)


def test_figures_of_each_factor():
    for factor, groups in (("s", 7), ("d", 4)):
        figure = hr.plots.caterpillar(tree(CROSSED), factor=factor)
        assert f"groups of {factor} differ" in figure.axes[0].get_title()
        figure = hr.plots.shrinkage(tree(CROSSED), "Intercept", factor=factor)
        assert len(figure.axes[0].get_yticklabels()) == groups
    assert hr.plots.variances(tree(CROSSED)).axes[0].get_xlabel() == "sd_s[Intercept]"


# ---- contrasts

THETA = {"theta": {("d", "d1", "Intercept"): 1, ("d", "d3", "Intercept"): -0.5}}
MIXED = {"mixed": {"x": 2, ("b", "s", "s2", "x"): 1, ("b", "d", "d0", "Intercept"): -3}}


def test_contrasts_of_draws_name_the_factor():
    posterior = tree(CROSSED)["posterior"]
    report = hr.contrasts(tree(CROSSED), THETA | MIXED)
    theta, s, d = posterior["theta_d"][..., 0], posterior["b_s"], posterior["b_d"]
    np.testing.assert_allclose(report["draws"][..., 0], theta.sel(d="d1") - 0.5 * theta.sel(d="d3"), rtol=1e-10)
    expected = 2 * posterior["beta"].sel(coef="x") + s.sel(s="s2", s_coef="x") - 3 * d.sel(d="d0", d_coef="Intercept")
    np.testing.assert_allclose(report["draws"][..., 1], expected, rtol=1e-9)


def test_contrasts_at_an_estimate_have_the_dense_covariance():
    est, problem = estimate(CROSSED), model(CROSSED).problem
    Sigma = est.solution.Sigma
    mean, cov, _ = dense.coefficients(problem.design, problem.layout, Sigma, est.solution.error_cov)
    B = np.zeros((2, len(mean)))
    start_d = 3 + 7 * 3
    B[0, 0], B[0, start_d + 1], B[0, start_d + 3] = 0.5, 1.0, -0.5
    B[1, 1], B[1, 3 + 2 * 3 + 1], B[1, start_d] = 2.0, 1.0, -3.0
    report = hr.contrasts(est, THETA | MIXED)
    np.testing.assert_allclose(report["mean"], B @ mean, rtol=1e-7)
    np.testing.assert_allclose(report["cov"], B @ cov @ B.T, rtol=1e-6)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (("d1", "Intercept"), r"names no grouping factor; the model has 's', 'd': write \('s', 'd1', 'Intercept'\)"),
        (("b", "d1", "Intercept"), "begins with 'b', which is none of the grouping factors 's', 'd'"),
        (("t", "d1", "Intercept"), "begins with 't'"),
        (("theta", "d", "d1", "Intercept"), "several grouping factors"),
        (("d", "d9", "Intercept"), "none of the groups of d"),
        (("d", "d1", "x"), "none of the coefficients of d"),
    ],
)
def test_keys_that_cannot_be_read(key, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        hr.contrasts(tree(CROSSED), {"f": {key: 1}})


def test_one_factor_may_be_named_too():
    est = hr.Model("y ~ x + (x | s)", table()).estimate()
    keys = [("s2", "x"), ("s", "s2", "x")], [("b", "s2", "x"), ("b", "s", "s2", "x")]
    for short, long in keys:
        np.testing.assert_array_equal(*(hr.contrasts(est, {"f": {key: 1}})["cov"] for key in (short, long)))


# ---- prediction

NEW = {"x": [1.0, 1.0, -2.0, 0.5], "w": [0.0, 1.0, 2.0, 0.0], "s": ["s1", "s1", "?", "?"], "d": ["d0", "!", "d2", "!"]}
NEW |= {"site": ["north", "south", "south", "north"]}


def test_each_factor_is_known_or_new_at_an_estimate():
    est, problem = estimate(CROSSED), model(CROSSED).problem
    report = hr.predict(model(CROSSED), NEW, est, level="new group", covariance=True)
    Sigma = est.solution.Sigma
    mean, cov, _ = dense.coefficients(problem.design, problem.layout, Sigma, est.solution.error_cov)
    x, w = np.array(NEW["x"]), np.array(NEW["w"])
    X = np.column_stack([np.ones(4), x, w])
    B, start_d = np.zeros((4, len(mean))), 3 + 7 * 3
    B[:, :3] = X
    B[:2, 3 + 3 : 3 + 6] = X[:2]
    B[0, start_d] = B[2, start_d + 2] = 1.0
    fresh = np.zeros((4, 4))
    fresh[2:, 2:] = X[2:] @ Sigma[:3, :3] @ X[2:].T
    fresh[np.ix_([1, 3], [1, 3])] += Sigma[3, 3]
    np.testing.assert_allclose(report["mean"], B @ mean, rtol=1e-7)
    np.testing.assert_allclose(report["cov"], B @ cov @ B.T + fresh, rtol=1e-6)
    errors = np.diagonal(est.solution.error_cov)[[0, 1, 1, 0]]
    np.testing.assert_allclose(report["cov_new"] - report["cov"], np.diag(errors), rtol=1e-6, atol=1e-9)
    assert list(report["group_s"].values) == NEW["s"]
    assert list(report["group_d"].values) == NEW["d"]
    assert report.text().splitlines()[2].split()[:4] == ["row", "s", "d", "mean"]


def test_each_factor_is_known_or_new_in_draws():
    posterior = tree(CROSSED)["posterior"]
    report = hr.predict(model(CROSSED), NEW, tree(CROSSED), level="new group", draws=True)
    s, d = posterior["theta_s"].sel(s="s1"), posterior["b_d"].sel(d="d0", d_coef="Intercept")
    np.testing.assert_allclose(report["draws"][..., 0], s.sel(s_coef=["Intercept", "x"]).sum("s_coef") + d, rtol=1e-9)
    fresh = report["draws"][..., 1] - s.sel(s_coef=["Intercept", "x", "w"]).sum("s_coef")
    z = (fresh / posterior["sd_d"][..., 0]).to_numpy()
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert z.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * z.size))


def test_a_cask_of_a_known_batch_may_be_new():
    est = estimate(NESTED)
    new = {"batch": ["A", "A", "new"], "cask": ["a", "z", "a"]}
    report = hr.predict(model(NESTED), new, est, level="new group", observation=False)
    assert list(report["group_batch:cask"].values) == ["A:a", "A:z", "new:a"]
    b, intercept = {name: est.b[name].to_numpy()[0, 0] for name in FACTORS[NESTED]}, float(est.beta[0])
    expected = intercept + np.array([b["batch"] + b["batch:cask"], b["batch"], 0.0])
    np.testing.assert_allclose(report["mean"], expected, rtol=1e-10)
    assert np.all(np.diff(report["sd"]) > 0)


def test_errors_of_other_data_sets_of_a_unit_are_used_beside_all_factors(rng):
    """Units within groups of both factors: prediction and its variance from one dense covariance of all rows."""
    unit = np.repeat(np.arange(24), 2)
    data = pd.DataFrame(
        {"unit": unit, "set": np.tile(["p", "q"], 24), "x": rng.normal(size=48), "y": rng.normal(size=48)}
    )
    data["s"], data["d"] = np.array(list("abcde"))[unit % 5], np.array(list("uvw"))[unit // 5 % 3]
    is_new = np.isin(np.arange(48), [3, 10, 41])
    data.loc[41, "d"] = data.loc[40, "d"] = "new"
    old = data[~is_new & (data["d"] != "new")]
    new = data[is_new]
    subject = hr.Model("y ~ x + (x | s) + (1 | d)", old, errors=hr.correlated("set", unit="unit"))
    cov, error_cov = {"s": [[0.8, 0.2], [0.2, 0.5]], "d": [[1.3]]}, np.array([[1.0, 0.6], [0.6, 2.0]])
    report = hr.predict(subject, new, subject.solve(cov, error_cov), level="new group", covariance=True)

    rows = pd.concat([old, new])
    X = np.column_stack([np.ones(len(rows)), rows["x"]])
    same = {name: rows[name].to_numpy()[:, None] == rows[name].to_numpy() for name in ("s", "d", "unit")}
    place = (rows["set"] == "q").astype(int).to_numpy()
    V = same["s"] * (X @ np.array(cov["s"]) @ X.T) + 1.3 * same["d"]
    V = V + same["unit"] * error_cov[place[:, None], place]
    n = len(old)
    K = np.linalg.solve(V[:n, :n], V[:n, n:]).T
    beta_cov = np.linalg.inv(X[:n].T @ np.linalg.solve(V[:n, :n], X[:n]))
    y = old["y"].to_numpy()
    beta = beta_cov @ X[:n].T @ np.linalg.solve(V[:n, :n], y)
    rest = X[n:] - K @ X[:n]
    np.testing.assert_allclose(report["mean"], rest @ beta + K @ y, rtol=1e-8)
    np.testing.assert_allclose(report["cov_new"], V[n:, n:] - K @ V[:n, n:] + rest @ beta_cov @ rest.T, rtol=1e-7)


def test_an_estimate_of_other_factors_is_no_estimate_of_the_model():
    other = hr.Model("y ~ x + w + (1 | d) + (x | s) + (0 + w | s)", table(), errors=hr.by("site")).estimate()
    with pytest.raises(hr.exceptions.ModelError, match="other coefficients, groups"):
        hr.predict(model(CROSSED), NEW, other)


# ---- Model.solve


def test_solve_takes_a_covariance_for_each_factor():
    problem = model(CROSSED).problem
    cov = {"d": [[0.7]], "s": np.diag([1.0, 0.3, 0.2]) + 0.05}
    at = model(CROSSED).solve(cov, [0.5, 1.1])
    Sigma = np.zeros((4, 4))
    Sigma[:3, :3], Sigma[3, 3] = cov["s"], 0.7
    mean, dense_cov, _ = dense.coefficients(problem.design, problem.layout, Sigma, np.diag([0.5, 1.1]))
    np.testing.assert_allclose(at.beta, mean[:3], rtol=1e-8)
    np.testing.assert_allclose(at.b["s"].to_numpy().ravel(), mean[3:24], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(at.b["d"].to_numpy().ravel(), mean[24:], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(at.b_cov["d"][:, 0, 0], np.diagonal(dense_cov)[24:], rtol=1e-7)
    with pytest.raises(hr.exceptions.ModelError, match=r"has the keys 's'; the model needs 's', 'd'"):
        model(CROSSED).solve({"s": cov["s"]}, [0.5, 1.1])


# ---- the command line


@pytest.mark.long
def test_the_command_line_reports_every_factor(tmp_path, capsys):
    data, fit, folder = tmp_path / "pastes.csv", tmp_path / "fit.nc", tmp_path / "out"
    hr.load_dataset("pastes").to_csv(data, index=False)
    short = ["--draws", "60", "--tune", "100", "--chains", "2", "--seed", "1", "--quiet"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        # 3: done, with a warning that the run is short
        assert main(["fit", str(data), NESTED, "-o", str(fit), *short]) in {0, 3}
    assert main(["report", str(fit), "--figures", str(folder), "--tables", str(folder)]) == 0
    out = capsys.readouterr().out
    for word in ("SHRINKAGE_BATCH\n", "SHRINKAGE_BATCH_CASK\n", "sd_batch:cask[Intercept]"):
        assert word in out
    names = {path.name for path in folder.iterdir()}
    figures = {f"{what}_{factor}.png" for what in ("shrinkage", "caterpillar") for factor in ("batch", "batch_cask")}
    assert names == figures | {"variances.png", "summary.csv", "correlations.csv"} | {
        "shrinkage_batch.csv",
        "shrinkage_batch_cask.csv",
    }


def test_statistics_of_a_model_without_groups():
    problem = hr.Model("y ~ x", table()).problem
    group = build.statistics_group(problem.labels, problem.gram.terms, problem.gram.terms, [], [], {})
    assert not [name for name in group.data_vars if str(name).startswith("group_")]
