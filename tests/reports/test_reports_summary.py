"""`hr.summary`, and what all reports share: how they print, what they refuse, and files."""

import pickle

import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from tests.helpers import report_trees as trees


def test_values_are_those_of_the_draws():
    tree = trees.tree("correlated")
    report = hr.summary(tree, ci_prob=0.8)
    post, limit = tree["posterior"], tree["mixed_model_limit"]
    expected = {
        "beta[w]": (post["beta"].sel(coef="w"), limit["beta"].sel(coef="w")),
        "sd_g[x]": (post["sd_g"].sel(g_coef="x"), limit["sd_g"].sel(g_coef="x")),
        "corr_g[x, Intercept]": (post["corr_g"][..., 0], limit["corr_g"][1, 0]),
        "error_sd[q]": (post["error_sd"].sel(set="q"), limit["error_sd"].sel(set="q")),
        "error_corr[r, p]": (post["error_corr"].sel(set_pair="r, p"), limit["error_corr"][2, 0]),
    }
    for name, (draws, reml) in expected.items():
        row, flat = report.sel(parameter=name), np.sort(draws.values.ravel())
        assert float(row["mean"]) == pytest.approx(flat.sum() / len(flat), rel=1e-12)
        assert float(row["sd"]) == pytest.approx(np.sqrt(np.sum((flat - flat.mean()) ** 2) / (len(flat) - 1)))
        # Within one draw, and one more where a chain stayed at the quantile.
        assert np.mean(flat < float(row["lower"])) == pytest.approx(0.1, abs=2 / len(flat))
        assert np.mean(flat > float(row["upper"])) == pytest.approx(0.1, abs=2 / len(flat))
        assert float(row["reml"]) == pytest.approx(float(reml), rel=1e-12)
    se = np.sqrt(float(limit["beta_cov"].sel(coef="x", coef_col="x")))
    assert float(report["reml_se"].sel(parameter="beta[x]")) == pytest.approx(se, rel=1e-12)
    assert np.isnan(report["reml_se"].sel(parameter="sd_g[x]"))


def test_diagnostics_are_those_of_arviz():
    import arviz_stats

    tree = trees.tree("by")
    report, draws = hr.summary(tree), tree["posterior"]["beta"].sel(coef="x")
    row = report.sel(parameter="beta[x]")
    assert float(row["ess_bulk"]) == pytest.approx(float(arviz_stats.ess(draws)))
    assert float(row["r_hat"]) == pytest.approx(float(arviz_stats.rhat(draws)))
    assert float(row["mcse_mean"]) == pytest.approx(float(arviz_stats.mcse(draws)))


def test_there_are_no_constants():
    assert list(hr.summary(trees.tree("correlated"))["parameter"].values) == [
        *("beta[Intercept]", "beta[x]", "beta[w]"),
        *("sd_g[Intercept]", "sd_g[x]", "corr_g[x, Intercept]"),
        *("error_sd[p]", "error_sd[q]", "error_sd[r]"),
        *("error_corr[q, p]", "error_corr[r, p]", "error_corr[r, q]"),
    ]
    separate = list(hr.summary(trees.separate_terms())["parameter"].values)
    assert [name for name in separate if name.startswith("corr")] == ["corr_g[x, Intercept]"]


def test_what_is_fixed_is_said_and_not_summarised():
    report = hr.summary(trees.plain())
    assert "error_sd[q]" not in report["parameter"].values
    assert "Held fixed: error_sd[q] = 0.9" in str(report)


def test_summaries_of_groups_are_enough():
    xr.testing.assert_allclose(hr.summary(trees.summarised()), hr.summary(trees.tree("independent")))


def test_one_short_chain_has_no_diagnostics_and_no_warnings():
    tree = trees.run(trees.model("independent"), draws=3, chains=1)
    report = hr.summary(tree)
    assert np.isnan(report["ess_bulk"]).all()
    assert np.isnan(report["r_hat"]).all()
    assert "nan" not in str(report)
    assert np.isfinite(hr.shrinkage(tree)["mean"]).all()


def test_text_is_a_table_in_terminal_and_notebook():
    report = hr.summary(trees.sleepstudy())
    lines = str(report).splitlines()
    row = next(line for line in lines if line.strip().startswith("beta[Days]")).split()
    assert float(row[1]) == pytest.approx(float(report["mean"].sel(parameter="beta[Days]")), abs=0.006)
    assert float(row[-1]) == pytest.approx(1.546, abs=0.006)
    assert max(map(len, lines)) < 130
    assert "beta[Days]" in report._repr_html_()
    assert repr(report) == str(report)


def test_a_report_is_a_dataset():
    report = hr.summary(trees.tree("by"))
    assert isinstance(report, xr.Dataset)
    assert list(report.to_dataframe().index) == list(report["parameter"].values)
    one = report.sel(parameter="beta[x]")
    assert "Dimensions" in repr(one)
    assert "xr-wrap" in one._repr_html_()
    assert "Dimensions" in repr(report.drop_vars("reml"))
    copied = pickle.loads(pickle.dumps(report))  # noqa: S301 -- written in the same line
    assert str(copied) == str(report)


@pytest.mark.parametrize("report", [hr.summary, hr.correlations, hr.shrinkage])
def test_a_saved_file_is_enough(tmp_path, report):
    tree = trees.tree("correlated")
    loaded = hr.load(hr.save(tree, tmp_path / "fit.nc"))
    xr.testing.assert_identical(report(loaded), report(tree))
    assert str(report(loaded)) == str(report(tree))


@pytest.mark.parametrize("report", [hr.summary, hr.correlations, hr.shrinkage])
def test_other_trees_are_refused(report):
    with pytest.raises(hr.exceptions.DataError, match=r"type Dataset.*DataTree that Model.sample returned"):
        report(xr.Dataset())
    with pytest.raises(hr.exceptions.DataError, match=r"not made by hierreg.*lacks the groups 'posterior'"):
        report(xr.DataTree())
    tree = trees.tree("by").copy()
    tree.attrs = {}
    with pytest.raises(hr.exceptions.DataError, match="name no hierreg version"):
        report(tree)


@pytest.mark.parametrize("report", [hr.summary, hr.correlations, hr.shrinkage])
@pytest.mark.parametrize("ci_prob", [0, 1, 95, "0.9", True, np.nan])
def test_impossible_probabilities_are_refused(report, ci_prob):
    with pytest.raises(hr.exceptions.ModelError, match=r"ci_prob=.* must be a number between 0 and 1"):
        report(trees.tree("by"), ci_prob=ci_prob)
