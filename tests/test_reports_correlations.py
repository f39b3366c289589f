"""`hr.correlations`: every kind, against loops over the draws."""

import numpy as np
import pytest

import hierreg as hr
from hierreg.reports.draws import correlation
from tests import report_trees as trees
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
    draws = tree["posterior"]["error_corr"].sel(set="q", set_col="p").values
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


def test_intraclass_correlations_by_stratum():
    tree = trees.tree("by")
    part = rows(hr.correlations(tree), "intraclass")
    assert list(part["where"].values) == ["p", "q", "r"]
    post, limit = tree["posterior"], tree["mixed_model_limit"]
    for name in "pqr":
        sd, error_sd = post["sd_g"].sel(g_coef="Intercept").values, post["error_sd"].sel(set=name).values
        values = [a**2 / (a**2 + e**2) for a, e in zip(sd.ravel(), error_sd.ravel(), strict=True)]
        row = part.isel(correlation=list(part["where"].values).index(name))
        assert float(row["mean"]) == pytest.approx(np.mean(values), rel=1e-12)
        assert float(row["upper"]) == pytest.approx(np.quantile(values, 0.975), rel=1e-12)
        a, e = float(limit["sd_g"][0]), float(limit["error_sd"].sel(set=name))
        assert float(row["reml"]) == pytest.approx(a**2 / (a**2 + e**2), rel=1e-12)
        assert np.isnan(row["prob_positive"])


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
