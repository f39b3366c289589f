"""`hr.correlations`: every kind, against loops over the draws."""

import functools

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hierreg as hr
from hierreg.gram.column_means import means_of_gram, means_of_rows
from hierreg.reports.draws import correlation
from hierreg.results.carried import draws_in
from tests.helpers import report_trees as trees
from tests.reference import load_reference


def rows(report, kind):
    """Return the part of a report of one kind."""
    return report.isel(correlation=np.flatnonzero(report["kind"].values == kind))


def pearson(x, y):
    """Return the correlation of two series, by sums."""
    x, y = x.ravel() - x.mean(), y.ravel() - y.mean()
    return sum(x * y) / np.sqrt(sum(x * x) * sum(y * y))


def test_parameters_have_a_posterior_and_a_probability_of_sign():
    tree = trees.tree("correlated")
    report = hr.correlations(tree)
    draws = tree["posterior"]["error_corr"].sel(set_pair="q, p").values
    row = report.sel(correlation="error_corr[q, p]")
    assert float(row["prob_positive"]) == np.mean([d > 0 for d in draws.ravel()])
    assert float(row["mean"]) == pytest.approx(draws.mean(), rel=1e-12)
    assert float(row["reml"]) == float(tree["mixed_model_limit"]["error_corr"][1, 0])
    assert (str(row["first"].values), str(row["second"].values), str(row["where"].values)) == (
        "q",
        "p",
        "set",
    )
    assert list(rows(report, "group")["correlation"].values) == ["corr_g[x, Intercept]"]
    assert rows(report, "error").sizes["correlation"] == 3


def shares(tree, z, stratum=None):
    """Return z'Sigma z / (z'Sigma z + error variance) of every draw, by loops, and at REML."""
    post, limit, out = draws_in(tree), tree["mixed_model_limit"], []
    for chain in range(post.sizes["chain"]):
        for draw in range(post.sizes["draw"]):
            at = post.isel(chain=chain, draw=draw)
            sd, corr = at["sd_g"].values, at["corr_g"].values
            error = at["error_sd"] if stratum is None else at["error_sd"].sel(set=stratum)
            between = sum(z[i] * z[j] * corr[i, j] * sd[i] * sd[j] for i in range(2) for j in range(2))
            out.append(between / (between + float(error) ** 2))
    error = limit["error_sd"] if stratum is None else limit["error_sd"].sel(set=stratum)
    between = z @ limit["cov_g"].values @ z
    return np.array(out), between / (between + float(error) ** 2)


def test_intraclass_correlations_by_stratum():
    """At the means of the columns of the stratum's own rows."""
    tree, table = trees.tree("by"), trees.table()
    report = hr.correlations(tree)
    part = rows(report, "intraclass")
    assert list(part["where"].values) == ["p", "q", "r"]
    for name in "pqr":
        x = table.loc[table["set"] == name, "x"].mean()
        values, reml = shares(tree, np.array([1.0, x]), name)
        row = report.sel(correlation=f"g[at the means], set[{name}]")
        assert float(row["mean"]) == pytest.approx(values.mean(), rel=1e-10)
        assert float(row["upper"]) == pytest.approx(np.quantile(values, 0.975), rel=1e-10)
        assert float(row["reml"]) == pytest.approx(reml, rel=1e-10)
        assert np.isnan(row["prob_positive"])
        assert str(row["at"].values) == f"x = {x:.4g}"
    assert "at the means of the group columns of each stratum's rows" in str(report)


def test_intraclass_correlation_at_the_mean_and_elsewhere():
    tree, mean = trees.tree("independent"), trees.table()["x"].mean()
    for at, x, name in ((None, mean, "g[at the means]"), ({"x": -1}, -1.0, "g[at x = -1]")):
        report = hr.correlations(tree, at=at)
        values, reml = shares(tree, np.array([1.0, x]))
        row = report.sel(correlation=name)
        assert float(row["mean"]) == pytest.approx(values.mean(), rel=1e-10)
        assert float(row["reml"]) == pytest.approx(reml, rel=1e-10)
    assert f"at the means of the group columns (x = {mean:.4g})" in str(hr.correlations(tree))


def conditions():
    """Return 192 rows: 24 persons in two conditions, whose errors and effects differ."""
    rng = np.random.default_rng(3)
    levels = [range(24), ["congruent", "incongruent"], [1, 2, 3, 4]]
    table = pd.MultiIndex.from_product(levels, names=["person", "condition", "load"]).to_frame(index=False)
    hard = (table["condition"] == "incongruent").to_numpy()
    b = rng.multivariate_normal([0, 0], [[5.0, 1.2], [1.2, 3.0]], 24)[table["person"]]
    error = rng.normal(0, 1, 192) * np.where(hard, 4.0, 2.0)
    return table.assign(rt=np.round(40 + 3 * hard + 1.5 * table["load"] + b[:, 0] + hard * b[:, 1] + error, 2))


def quick(formula, table, **options):
    return trees.run(hr.Model(formula, table, **options), draws=5, chains=2)


@pytest.mark.parametrize("term", ["condition", "0 + condition"])
def test_intraclass_correlations_of_strata_with_slopes_of_their_own_are_those_of_nlme(term):
    """nlme 3.1-162, R 4.2.2: 0.60012138, 0.49935325.

    m <- lme(rt ~ condition*load, random = ~ 0 + condition | person, data = t,
             weights = varIdent(form = ~ 1 | condition))
    S <- diag(getVarCov(m)); s2 <- m$sigma^2 / attr(m$modelStruct$varStruct, "weights")[c(1, 5)]^2; S / (S + s2)
    """
    tree = quick(f"rt ~ condition * load + ({term} | person)", conditions(), errors=hr.by("condition"))
    part = rows(hr.correlations(tree), "intraclass")
    assert list(part["where"].values) == ["congruent", "incongruent"]
    np.testing.assert_allclose(part["reml"], [0.60012138, 0.49935325], rtol=1e-5)


@pytest.mark.parametrize("change", [lambda x: x - 2012.0, lambda x: 2012.0 + 0.1 * x])
def test_intraclass_correlations_do_not_depend_on_the_zero_of_a_predictor(change):
    table = hr.load_dataset("sleepstudy")
    moved = table.assign(Days=change(table["Days"]))
    formula = "Reaction ~ Days + (Days | Subject)"
    values = [float(rows(hr.correlations(quick(formula, t)), "intraclass")["reml"][0]) for t in (table, moved)]
    assert values[1] == pytest.approx(values[0], rel=1e-4)


def test_intraclass_correlations_that_rounding_hides_are_left_out():
    """A billion away from zero the standard deviation of the intercept and its correlation have no digits left."""
    far = xr.map_over_datasets(lambda group: group.copy(), trees.tree("independent"))
    post = far["posterior"].to_dataset()
    # Lines that cross where x is a billion, but for the rounding of their intercepts.
    sd = post["sd_g"].isel(g_coef=1).to_numpy()[..., None] * [1e9, 1.0]
    corr = -np.ones(post["corr_g"].shape)
    far["posterior"] = xr.DataTree(post.assign(sd_g=post["sd_g"].copy(data=sd), corr_g=post["corr_g"].copy(data=corr)))
    constant = far["statistics"].to_dataset()
    far["statistics"] = xr.DataTree(constant.assign(column_means_g=constant["column_means_g"] * 0 + [1.0, 1e9]))
    report = hr.correlations(far)
    assert not rows(report, "intraclass").sizes["correlation"]
    assert "rounding hides the variance there. Centre" in str(report)
    assert "rounding" not in str(hr.correlations(far, at={"x": 0}))


@pytest.mark.parametrize(
    ("formula", "errors"),
    [
        ("y ~ x + (x | g)", hr.by("set")),
        ("y ~ x + w + (0 + set | g)", hr.by("set")),
        ("y ~ x + (0 + x | g)", hr.correlated("set", unit="unit")),
        ("y ~ 0 + set + (0 + set | g)", hr.by("set")),
        ("y ~ 0 + set + (0 + x | g)", hr.by("set")),
        ("y ~ x + (x | set)", hr.correlated("set", unit="unit")),
        ("y ~ x + (x | g)", hr.exchangeable("unit", by="kind", common_sd=False)),
    ],
)
def test_means_of_group_columns_come_from_cross_products_too(formula, errors):
    """Of a model without rows: overall, and by stratum from products with the constant column."""
    table = trees.table().assign(kind=lambda rows: np.where(rows["unit"] % 3 == 0, "u", "v"))
    problem = hr.Model(formula, table, errors=errors).problem
    gram = problem.complete_gram()
    (mine,), theirs = means_of_rows(problem.design, problem.layout), means_of_gram(gram.own or gram, 0)
    np.testing.assert_allclose(mine.overall, theirs.overall, rtol=1e-10)
    np.testing.assert_allclose(mine.by_label, theirs.by_label, rtol=1e-10, atol=1e-12)
    Z = problem.design.factors[0].Z
    for d in range(len(problem.layout.labels)):
        expected = [np.mean([row[k] for row in Z[problem.layout.stratum == d]]) for k in range(Z.shape[1])]
        np.testing.assert_allclose(mine.by_label[d], expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mine.overall, np.mean(Z, axis=0), rtol=1e-12)


def test_strata_of_a_gram_without_a_constant_are_not_known():
    problem = hr.Model("y ~ 0 + x + (0 + w | g)", trees.table(), errors=hr.by("set")).problem
    means = means_of_gram(problem.gram, 0)
    assert np.isnan(means.by_label).all()
    np.testing.assert_allclose(means.overall, trees.table()["w"].mean(), rtol=1e-12)


def test_a_saved_result_and_a_model_without_rows_say_the_same(tmp_path):
    model = hr.Model("y ~ x + (x | g)", trees.table(), errors=hr.by("set"))
    tree, without = trees.run(model), trees.run(hr.Model.from_gram(model.gram))
    report = hr.correlations(hr.load(hr.save(tree, tmp_path / "fit.nc")))
    xr.testing.assert_identical(report, hr.correlations(tree))
    mine, theirs = (rows(of, "intraclass") for of in (report, hr.correlations(without)))
    np.testing.assert_allclose(mine["reml"], theirs["reml"], rtol=1e-5)
    assert list(mine["at"].values) == list(theirs["at"].values)
    assert list(mine["correlation"].values) == list(theirs["correlation"].values)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ({"X": 5}, "at names 'X', which is no group column.*'x'.*Did you mean 'x'"),
        ({"Intercept": 1}, "at names 'Intercept'"),
        ({"x": np.nan}, r"at\['x'\]=nan must be a finite number"),
        ({"x": "5"}, r"at\['x'\]='5' must be a finite number"),
        (5, "at=5 is not a dictionary"),
        ({"x": 5}, r"'I\(x \*\* 2\)' is made of the same predictor"),
    ],
)
def test_values_that_intraclass_correlations_cannot_have(at, words):
    with pytest.raises(hr.exceptions.ModelError, match=words):
        hr.correlations(squared(), at=at)


def test_columns_of_one_predictor_are_given_together():
    row = rows(hr.correlations(squared(), at={"x": 2, "I(x ** 2)": 4}), "intraclass")
    assert list(row["at"].values) == ["x = 2, I(x ** 2) = 4"]
    z, limit = np.array([1.0, 2.0, 4.0]), squared()["mixed_model_limit"]
    between = z @ limit["cov_g"].values @ z
    assert float(row["reml"][0]) == pytest.approx(between / (between + float(limit["error_sd"]) ** 2), rel=1e-10)


@functools.cache
def squared():
    return trees.run(hr.Model("y ~ x + (x + I(x**2) | g)", trees.table()), draws=5, chains=2)


@pytest.mark.parametrize("structure", ["known_se", "known_cov"])
def test_known_errors_have_no_intraclass_correlation(structure):
    assert not rows(hr.correlations(trees.tree(structure)), "intraclass").sizes["correlation"]


def test_intraclass_correlation_of_the_oracle():
    tree = trees.dyestuff()
    derived = load_reference("oracle_dyestuff")["models"]["posterior"]["posterior"]["derived"]
    expected = derived["intraclass_correlation"]
    row = hr.correlations(tree).sel(correlation="Batch[Intercept]")
    assert float(row["mean"]) == pytest.approx(expected["mean"], abs=4 * float(row["mcse"]))
    assert float(row["sd"]) == pytest.approx(expected["sd"], rel=0.05)


def test_posterior_correlations_of_population_coefficients():
    tree = trees.tree("known_se")
    part = rows(hr.correlations(tree), "population")
    beta = tree["posterior"]["beta"]
    assert list(part["correlation"].values) == ["beta[x, Intercept]", "beta[w, Intercept]", "beta[w, x]"]
    cov = tree["mixed_model_limit"]["beta_cov"]
    for i, (first, second) in enumerate(zip(part["first"].values, part["second"].values, strict=True)):
        r = pearson(beta.sel(coef=first).values, beta.sel(coef=second).values)
        assert float(part["mean"][i]) == pytest.approx(r, rel=1e-9)
        c = cov.sel(coef=[first, second], coef_col=[first, second]).values
        assert float(part["reml"][i]) == pytest.approx(c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]), rel=1e-9)
        assert np.isnan(part["sd"][i])


def test_posterior_correlations_between_groups():
    tree = trees.tree("independent")
    part = rows(hr.correlations(tree), "between groups")
    assert part.sizes["correlation"] == 2 * 10
    theta = tree["posterior"]["theta_g"]
    for i in range(part.sizes["correlation"]):
        first, second, coef = (str(part[what].values[i]) for what in ("first", "second", "where"))
        x, y = (theta.sel(g=g, g_coef=coef).values for g in (first, second))
        assert float(part["mean"][i]) == pytest.approx(pearson(x, y), rel=1e-9)


def test_many_groups_and_summaries_are_left_out_and_said():
    report = hr.correlations(trees.many_groups())
    assert not rows(report, "between groups").sizes["correlation"]
    assert "left out: g has 45" in str(report)
    assert "group_effects='draws'" in str(hr.correlations(trees.summarised()))


def test_columns_of_different_terms_are_not_correlated():
    report = hr.correlations(trees.separate_terms())
    assert list(rows(report, "group")["correlation"].values) == ["corr_g[x, Intercept]"]
    # w has no population column: the group coefficient is the deviation itself
    assert "theta_g[b, a; w]" in report["correlation"].values


def test_no_groups():
    report = hr.correlations(trees.plain())
    assert set(report["kind"].values) == {"population"}


def test_error_of_a_correlation_of_independent_draws(rng):
    r, n = 0.6, 4000
    x = rng.normal(size=(4, n // 4, 1))
    y = r * x + np.sqrt(1 - r**2) * rng.normal(size=x.shape)
    value, mcse = correlation(x, y)
    assert value[0] == pytest.approx(pearson(x, y), rel=1e-9)
    # Fisher (1915): variance (1 - r^2)^2 / n of the correlation of normal pairs
    assert mcse[0] == pytest.approx((1 - r**2) / np.sqrt(n), rel=0.15)


def test_long_kinds_are_cut_in_the_text_only():
    report = hr.correlations(trees.tree("independent"))
    assert "more" not in str(report)
    longer = hr.correlations(trees.separate_terms())
    assert "... 10 more" in str(longer)
    assert rows(longer, "between groups").sizes["correlation"] == 30
