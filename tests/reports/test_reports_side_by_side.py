"""`hr.table`: several fits side by side."""

import functools

import numpy as np
import pytest

import hierreg as hr
from tests.helpers import report_trees as trees

ModelError = hr.exceptions.ModelError


@functools.cache
def fits():
    by = trees.model("by")
    levels = hr.Model("y ~ w + (1 | g)", trees.table())
    return {
        "REML": by.estimate(),
        "Bayes": trees.run(by, include=["log_likelihood"]),
        "levels": levels.estimate("ml"),
        "BLUP": levels.solve({"g": [[1.0]]}, 0.5),
    }


def cell(report, quantity, fit):
    one = report.sel(quantity=quantity, fit=fit)
    return float(one["value"]), float(one["sd"])


def test_numbers_are_those_of_the_fits():
    report, found = hr.table(fits()), fits()
    assert cell(report, "beta[x]", "REML") == (
        float(found["REML"].beta.sel(coef="x")),
        float(found["REML"].beta_se.sel(coef="x")),
    )
    draws = found["Bayes"]["posterior"]["sd_g"].sel(g_coef="x").values
    assert cell(report, "sd_g[x]", "Bayes") == pytest.approx((draws.mean(), draws.std(ddof=1)), rel=1e-12)
    est = found["levels"]
    name = "sd_g[Intercept]"
    assert cell(report, name, "levels") == (float(est.sd["g"][0]), float(est.variance_se.sel(parameter=name)))
    assert cell(report, "beta[w]", "BLUP")[0] == float(found["BLUP"].beta.sel(coef="w"))
    # Strata of one model, one standard deviation of the other.
    assert np.isnan(cell(report, "error_sd[q]", "levels")).all()
    assert np.isnan(cell(report, "error_sd", "REML")).all()
    assert [cell(report, "rows", fit)[0] for fit in ("REML", "Bayes", "levels")] == [36.0] * 3
    assert np.isnan(cell(report, "rows", "BLUP")[0])  # a solution does not know
    assert [cell(report, "groups of g", fit)[0] for fit in found] == [5.0] * 4


def test_leaving_one_out_is_that_of_arviz():
    import arviz_stats

    with pytest.warns(UserWarning, match="Pareto"):
        expected = arviz_stats.loo(fits()["Bayes"], pointwise=True)
    report = hr.table(fits())
    assert cell(report, "elpd, leaving one out", "Bayes") == (float(expected.elpd), float(expected.se))
    n_bad = int((expected.pareto_k > expected.good_k).sum())
    assert n_bad > 0
    assert f"of 'Bayes': {n_bad} rows have a Pareto k above" in str(report)


def test_how_it_prints():
    text = str(hr.table(fits(), more={"R2": {"REML": 0.5, "Bayes": (0.52, 0.1)}}))
    lines = {line.split("  ")[1]: line.split() for line in text.splitlines() if line.startswith("  ")}
    est = fits()["REML"]
    value, se = (float(one.sel(coef="w")) for one in (est.beta, est.beta_se))
    assert lines["w"][1:3] == [f"{value:.4f}", f"({se:.4f})"]
    assert lines["rows"] == ["rows", "36", "36", "36"]
    assert lines["R2"] == ["R2", "0.5", "0.520", "(0.100)"]
    assert "levels: y ~ w + (1 | g)" in text
    assert "In brackets: standard errors of estimates, standard deviations of the posterior." in text


def test_frames_have_a_row_for_what_there_is():
    frame = hr.table(fits()).to_pandas()
    assert frame.columns.tolist() == ["quantity", "kind", "fit", "value", "sd"]
    assert not frame["value"].isna().any()
    assert frame.loc[frame["fit"] == "levels", "quantity"].tolist() == [
        *("beta[Intercept]", "beta[w]", "sd_g[Intercept]", "error_sd", "rows", "groups of g"),
    ]


def test_families_and_other_effects():
    herds = hr.load_dataset("cbpp")
    cases = hr.Model("cbind(incidence, size - incidence) ~ period + (1 | herd)", herds, family=hr.Binomial())
    robust = hr.Model("y ~ x + (1 | g)", trees.table(), effects={"g": hr.StudentT()})
    report = hr.table({"herds": cases.estimate(), "robust": robust.estimate("map")})
    assert float(report["value"].sel(quantity="nu_g", fit="robust")) > 2
    assert np.isfinite(report["value"].sel(quantity="sd_herd[Intercept]", fit="herds"))
    assert float(report["value"].sel(quantity="rows", fit="herds")) == 56


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hr.table({}), r"fits=\{\} does not say what to show"),
        (lambda: hr.table(fits()["REML"]), r"give a dictionary of names and results"),
        (lambda: hr.table({"a": trees.model("by")}), r"fits\['a'\] has type Model; a DataTree"),
        (lambda: hr.table(fits(), more={"R2": {"REMLS": 1}}), r"names 'REMLS', which is none.*Did you mean 'REML'"),
        (lambda: hr.table(fits(), more={"R2": 0.5}), r"more\['R2'\]=0.5 must be a dictionary"),
        (lambda: hr.table(fits(), more={"R2": {"REML": "high"}}), r"must be a number, or a tuple of one"),
    ],
)
def test_what_cannot_be_shown_is_refused(call, words):
    with pytest.raises(ModelError, match=words):
        call()


def test_other_trees_are_refused():
    import xarray as xr

    with pytest.raises(hr.exceptions.DataError, match="not made by hierreg"):
        hr.table({"a": xr.DataTree()})
