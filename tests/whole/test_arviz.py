"""ArviZ's functions take a result as it is: no argument of hierreg's, no warning."""

from functools import cache

import arviz_base
import arviz_plots
import arviz_stats
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import hierreg as hr

PLOTS_OF_PARAMETERS = (
    *("plot_trace", "plot_trace_dist", "plot_rank", "plot_rank_dist", "plot_ess", "plot_dist", "plot_autocorr"),
    *("plot_mcse", "plot_ess_evolution", "plot_prior_posterior", "plot_psense_dist", "plot_forest", "plot_ridge"),
    *("plot_convergence_dist", "plot_parallel", "plot_dgof", "plot_dgof_dist", "plot_pair"),
)
PLOTS_OF_ROWS = (
    *("plot_energy", "plot_ppc_dist", "plot_ppc_pit", "plot_ppc_interval", "plot_ppc_tstat", "plot_ppc_dist_pit"),
    *("plot_loo_pit", "plot_loo_interval"),
)
STATISTICS = (
    *("summary", "hdi", "eti", "ess", "rhat", "mcse", "psense", "psense_summary", "mode", "mean", "median", "std"),
    *("var", "iqr", "mad", "kde", "histogram", "qds", "thin"),
)
OF_ROWS = ("loo", "loo_pit", "loo_score", "loo_influence", "loo_expectations", "loo_metrics", "metrics", "residual_r2")
# What takes an argument more, or a result of another of them.
MORE = {
    "loo_i": lambda tree: arviz_stats.loo_i(3, tree),
    "loo_subsample": lambda tree: arviz_stats.loo_subsample(tree, observations=100),
    "loo_r2": lambda tree: arviz_stats.loo_r2(tree, var_name="y"),
    "compare": lambda tree: arviz_stats.compare({"one": tree, "other": fitted("independent")}),
    "bfmi": arviz_stats.bfmi,
    "diagnose": lambda tree: arviz_stats.diagnose(tree, var_names=hr.parameters(tree), show_diagnostics=False),
    "ci_in_rope": lambda tree: arviz_stats.ci_in_rope(tree, rope=(-1, 1), var_names=["beta"]),
    "bayes_factor": lambda tree: arviz_stats.bayes_factor(tree, var_names=["beta"], ref_vals=0.5),
    "extract": arviz_base.extract,
    "plot_khat": lambda tree: arviz_plots.plot_khat(arviz_stats.loo(tree, pointwise=True)),
    "plot_compare": lambda tree: arviz_plots.plot_compare(MORE["compare"](tree)),
    "plot_bf": lambda tree: arviz_plots.plot_bf(tree, var_names=["beta"], ref_val=0.5),
    "plot_lm": lambda tree: arviz_plots.plot_lm(tree, x="x", y="y"),
    "plot_pair_focus": lambda tree: arviz_plots.plot_pair_focus(
        tree, var_names=["beta", "sd_g"], focus_var="beta", focus_var_coords={"coef": "x"}
    ),
    "plot_psense_quantities": lambda tree: arviz_plots.plot_psense_quantities(tree, var_names=["beta"]),
}
MODELS = ("independent", "correlated", "crossed")


@cache
def fitted(name):
    rng = np.random.default_rng(4)
    unit, part = np.repeat(np.arange(120), 2), np.tile(["a", "b"], 120)
    e = rng.multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 1.5]], 120).ravel()
    g, h = (np.arange(120) % 8)[unit], rng.integers(0, 8, 240)
    b, c, x = rng.normal(0, 1.5, (8, 2)), rng.normal(0, 1.0, 8), rng.normal(size=240)
    d = pd.DataFrame({"unit": unit, "part": part, "g": g, "h": h, "x": x})
    d["y"] = 1.0 + b[g, 0] + (1 + b[g, 1]) * x + c[h] + e
    model = {
        "independent": lambda: hr.Model("y ~ x + (x | g)", d),
        "correlated": lambda: hr.Model("y ~ x + (x | g)", d, errors=hr.correlated("part", unit="unit")),
        "crossed": lambda: hr.Model("y ~ x + (x | g) + (1 | h)", d),
    }[name]()
    include = ["posterior_predictive", "log_likelihood", "log_prior", "prior_predictive", "mu"]
    return model.sample(draws=500, seed=1, progress=False, include=include)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def more_panels(monkeypatch):
    """plot_pair has one for each pair."""
    monkeypatch.setitem(arviz_base.rcParams, "plot.max_subplots", 100)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("function", PLOTS_OF_PARAMETERS)
def test_plots_of_parameters(function, model):
    tree = fitted(model)
    getattr(arviz_plots, function)(tree, var_names=hr.parameters(tree))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("function", PLOTS_OF_ROWS)
def test_plots_of_rows(function, model):
    getattr(arviz_plots, function)(fitted(model))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("function", MORE)
def test_what_takes_more(function, model):
    MORE[function](fitted(model))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("function", STATISTICS)
def test_statistics(function, model):
    tree = fitted(model)
    found = getattr(arviz_stats, function)(tree, var_names=hr.parameters(tree))
    assert "corr_g" in str(found)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("function", OF_ROWS)
def test_statistics_of_rows(function, model):
    more = {"pred_mean": "mu", "obs_name": "y"} if function == "residual_r2" else {}
    assert getattr(arviz_stats, function)(fitted(model), **more) is not None


def test_they_are_many():
    assert len({*PLOTS_OF_PARAMETERS, *PLOTS_OF_ROWS, *STATISTICS, *OF_ROWS, *MORE}) >= 60


@pytest.mark.parametrize("model", MODELS)
def test_a_summary_has_each_parameter_once_and_none_that_is_constant(model):
    summary = arviz_stats.summary(fitted(model), var_names=hr.parameters(fitted(model)), round_to="none")
    assert summary.index.is_unique
    assert "corr_g[x, Intercept]" in summary.index
    assert (summary["sd"] > 0).all()
    assert np.isfinite(summary["r_hat"]).all()


@pytest.mark.parametrize("model", ["independent", "crossed"])
def test_bayesian_r2_reads_mu(model):
    tree = fitted(model)
    mu = tree["posterior"]["mu"].var("obs", ddof=1).to_numpy()
    expected = np.mean(mu / (mu + tree["posterior"]["error_sd"].to_numpy() ** 2))
    found = arviz_stats.bayesian_r2(tree, pred_mean="mu", scale="error_sd", round_to="none", point_estimate="mean")
    assert found.mean == pytest.approx(expected, rel=1e-9)
