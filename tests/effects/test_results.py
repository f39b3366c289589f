"""Trees, estimates and reports of models with heavy tails or mixtures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import gamma

import hierreg as hr
from hierreg.exceptions import IdentificationWarning, ModelError
from hierreg.results.carried import draws_in

FORMULA = "y ~ x + (x | g)"


def _two_populations() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    J = 16
    g, x = np.repeat(np.arange(J), 6), np.tile(np.linspace(-1.0, 1.0, 6), J)
    theta = np.where((np.arange(J) % 2 == 0)[:, None], [8.0, 3.0], [-1.0, 1.0]) + rng.normal(size=(J, 2)) * [0.8, 0.5]
    y = theta[g, 0] + theta[g, 1] * x + 0.7 * rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{j:02d}" for j in g], "s": np.where(g % 3 == 0, "a", "b")})


def _one_far_out() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    J = 14
    g, x = np.repeat(np.arange(J), 6), np.tile(np.linspace(-1.0, 1.0, 6), J)
    b = rng.normal(size=(J, 2)) * [1.0, 0.7]
    b[3] = [12.0, -4.0]
    y = 1.0 + b[g, 0] + (2.0 + b[g, 1]) * x + 0.7 * rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{j:02d}" for j in g], "s": np.where(g % 3 == 0, "a", "b")})


CASES = {
    "t": (_one_far_out(), hr.StudentT(), hr.by("s")),
    "t4": (_one_far_out(), hr.StudentT(4), None),
    "mixture": (_two_populations(), hr.Mixture(2), None),
    "own": (_two_populations(), hr.Mixture(2, common=False), hr.by("s")),
}


@pytest.fixture(scope="module", params=CASES)
def fitted(request) -> tuple[str, hr.Model, xr.DataTree]:
    rows, effects, errors = CASES[request.param]
    m = hr.Model(FORMULA, rows, errors=errors, effects={"g": effects})
    include = ("prior", "prior_predictive", "posterior_predictive", "log_likelihood", "log_prior")
    return request.param, m, m.sample(draws=300, seed=2, progress=False, method="psis", include=include)


def test_posterior_has_what_its_effects_have(fitted):
    name, m, tree = fitted
    posterior = draws_in(tree)
    J = len(m.problem.labels.factors[0].levels)
    shared = {"beta", "b_g", "theta_g", "sd_g", "corr_g", "error_sd"}
    assert shared <= set(posterior)
    if name.startswith("t"):
        assert set(posterior) == shared | {"scale_g", "nu_g", "weight_g"}
        assert posterior["weight_g"].dims == ("chain", "draw", "g")
        ratio = np.sqrt(posterior["nu_g"] / (posterior["nu_g"] - 2))
        np.testing.assert_allclose(posterior["sd_g"], (posterior["scale_g"] * ratio).transpose(*posterior["sd_g"].dims))
        assert bool((posterior["nu_g"] > 2).all())
    else:
        parts = {"weight", "mean", "sd", "corr"}
        assert set(posterior) == shared | {f"component_{p}_g" for p in parts} | {"probability_g"}
        assert posterior["probability_g"].sizes == {"chain": 4, "draw": 300, "g": J, "g_component": 2}
        np.testing.assert_allclose(posterior["probability_g"].sum("g_component"), 1.0)
        np.testing.assert_allclose(posterior["component_weight_g"].sum("g_component"), 1.0)
        centre = (posterior["component_weight_g"] * posterior["component_mean_g"]).sum("g_component")
        np.testing.assert_allclose(centre, 0.0, atol=1e-9)
        parts = (
            posterior[f"component_{what}_g"].transpose("chain", "draw", "g_component", ...).to_numpy()
            for what in ("weight", "mean", "mean")
        )
        cov = np.einsum("...k,...ka,...kb->...ab", *parts)
        sd, corr = posterior["component_sd_g"], posterior["component_corr_g"]
        assert ("g_component" in sd.dims) == (name == "own")
        within = (
            sd * sd.rename(g_coef="g_coef_col") * corr * (posterior["component_weight_g"] if name == "own" else 1.0)
        )
        within = within.sum("g_component") if name == "own" else within
        total = cov + within.transpose("chain", "draw", "g_coef", "g_coef_col").to_numpy()
        np.testing.assert_allclose(np.sqrt(np.diagonal(total, axis1=2, axis2=3)), posterior["sd_g"], rtol=1e-10)
    theta = posterior["beta"].to_numpy()[:, :, None, :] + posterior["b_g"].to_numpy()
    np.testing.assert_allclose(posterior["theta_g"].to_numpy(), theta)


def test_prior_has_the_variables_of_the_posterior(fitted):
    _, _, tree = fitted
    prior, posterior = tree["prior"].to_dataset(), tree["posterior"].to_dataset()
    assert set(prior) == set(posterior)
    assert all(prior[name].dims == posterior[name].dims for name in posterior)
    density = tree["log_prior"].to_dataset()
    assert all(np.isfinite(values).all() for values in density.values())


@pytest.mark.long
def test_reports_name_what_shapes_the_effects(fitted, tmp_path):
    name, _, tree = fitted
    text, table_of = str(hr.summary(tree)), hr.shrinkage(tree)
    words = ("nu_g" if name == "t" else "scale_g[x]") if name.startswith("t") else "component_mean_g[1, x]"
    assert words in text
    assert "effects of g: " in text
    assert ("1/s" if name.startswith("t") else "prob") in str(table_of)
    assert np.isfinite(table_of["weight"]).all()
    assert "corr_g" in str(hr.correlations(tree))
    path = tmp_path / "fit.nc"
    hr.save(tree, path)
    again = hr.load(path)
    assert str(hr.shrinkage(again)) == str(table_of)
    assert str(hr.summary(again)) == text


def test_an_outlying_group_has_a_small_weight_and_is_hardly_pulled_in(fitted):
    name, _, tree = fitted
    if not name.startswith("t"):
        pytest.skip("heavy tails")
    report = hr.shrinkage(tree)
    assert str(report["g"].values[int(report["group_weight"].to_numpy().argmin())]) == "g03"
    own = report["weight"].to_numpy()[:, 0, 0]
    assert own[3] == own.max()


def test_groups_of_two_populations_are_told_apart(fitted):
    name, _, tree = fitted
    if name.startswith("t"):
        pytest.skip("mixtures")
    chance = hr.shrinkage(tree)["probability"].to_numpy()
    np.testing.assert_array_equal(chance.argmax(axis=1), np.arange(16) % 2 == 0)


def test_prediction_of_a_new_group_is_that_of_its_distribution(fitted):
    name, m, tree = fitted
    row = pd.DataFrame({"x": [0.5], "g": ["new"], "s": ["a"]})
    found = hr.predict(m, row, at=tree, level="new group", draws=True, seed=1)
    posterior = tree["posterior"].to_dataset()
    mean = float((posterior["beta"] * [1.0, 0.5]).sum("coef").mean())
    assert float(found["mean"][0]) == pytest.approx(mean, abs=5 * float(found["sd"][0]) / np.sqrt(1200))
    if not name.startswith("t"):
        # Between the two populations there is hardly anyone.
        draws = found["draws"].to_numpy().ravel()
        middle = np.quantile(draws, 0.25) * 0.5 + np.quantile(draws, 0.75) * 0.5
        assert np.mean(np.abs(draws - middle) < 1.0) < 0.15


def test_a_new_group_of_a_known_t_has_its_quantiles():
    from scipy.stats import t as student

    from hierreg.likelihood.heavy_tails.draws import EffectsParameters
    from hierreg.predictive.new_effects import fresh_effects
    from hierreg.variances.parameters import Covariances

    S, none = 40_000, np.empty((0, 0))
    root = np.broadcast_to(np.array([[2.0]]), (S, 1, 1))
    within = Covariances(sd=root[:, 0], corr=root, Lambda=root, error_sd=none, error_corr=none, error_cov=none)
    drawn = EffectsParameters(within=within, beta=none, nu=np.full(S, 3.0), weight=None, mean=None, component_cov=None)
    b, _, _ = fresh_effects(drawn, 1, np.random.default_rng(1))
    probs = [0.01, 0.1, 0.5, 0.9, 0.99]
    found = [float(np.mean(b < q)) for q in 2.0 * student.ppf(probs, 3)]
    np.testing.assert_allclose(found, probs, atol=0.008)


def test_summaries_are_those_of_the_draws(fitted):
    name, m, tree = fitted
    short = m.sample(draws=300, seed=2, progress=False, method="psis", group_effects="summary")
    posterior = tree["posterior"].to_dataset()
    for what in ("b_g", "theta_g"):
        np.testing.assert_allclose(short["effects"][f"{what}_mean"], posterior[what].mean(("chain", "draw")), atol=1e-9)
    kept = "weight_g" if name.startswith("t") else "probability_g"
    np.testing.assert_allclose(short["effects"][f"{kept}_mean"], posterior[kept].mean(("chain", "draw")), atol=1e-9)
    assert "b_g" not in short["posterior"]
    assert ("group_weight" in hr.shrinkage(short)) == name.startswith("t")


def test_seed_decides_and_cores_do_not(fitted):
    _, m, tree = fitted
    again = m.sample(draws=300, seed=2, progress=False, method="psis", cores=1)
    xr.testing.assert_equal(again["posterior"].to_dataset().load(), tree["posterior"].to_dataset().load())


def test_contrasts_are_those_of_draws(fitted):
    _, _, tree = fitted
    levels = tree["posterior"]["g"].values
    found = hr.contrasts(tree, {"difference": {(levels[0], "x"): 1, (levels[1], "x"): -1}})
    theta = tree["posterior"]["theta_g"].sel(g_coef="x")
    expected = (theta.isel(g=0) - theta.isel(g=1)).mean()
    assert float(found["mean"][0]) == pytest.approx(float(expected))


def test_estimates_print_and_agree_with_each_other(fitted):
    name, m, _ = fitted
    ml, mode = m.estimate("ml"), m.estimate("map")
    assert ml.converged
    assert mode.converged
    for est in (ml, mode):
        assert ("nu_g" if name.startswith("t") else "component_weight_g[1]") in str(est)
        assert est.b_cov["g"].shape == (len(est.b["g"]), 2, 2)
        assert np.all(est.beta_se > 0)
    assert ml.criterion < mode.criterion
    assert str(m.estimate()) == str(ml)


def test_a_tree_of_other_effects_is_refused():
    rows, effects, errors = CASES["t4"]
    m = hr.Model(FORMULA, rows, errors=errors, effects={"g": effects})
    tree = m.sample(draws=50, chains=2, seed=1, progress=False, method="psis")
    with pytest.raises(ModelError, match="other group effects"):
        hr.posterior_predictive(tree, hr.Model(FORMULA, rows))


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")
def test_a_mixture_that_data_do_not_support_says_so():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), 5)
    rows = pd.DataFrame({"y": rng.normal(size=12)[g] + rng.normal(size=60), "g": g})
    m = hr.Model("y ~ 1 + (1 | g)", rows, effects={"g": hr.Mixture(2)})
    with pytest.warns(IdentificationWarning, match=r"the data do not support Mixture\(2"):
        m.sample(draws=300, seed=2, progress=False)


def test_a_t_without_variance_has_a_scale_and_no_sd():
    rows = _one_far_out()
    m = hr.Model(FORMULA, rows, effects={"g": hr.StudentT(1.5)})
    tree = m.sample(draws=100, seed=1, progress=False, method="psis")
    assert "sd_g" not in tree["posterior"]
    assert "scale_g[x]" in str(hr.summary(tree))
    assert "no variance" in str(hr.correlations(tree))
    assert np.isfinite(hr.shrinkage(tree)["weight"]).all()
    assert m.estimate("ml").sd == {}


def test_a_fixed_coefficient_stays_where_it_is():
    rows, effects, errors = CASES["mixture"]
    m = hr.Model(FORMULA, rows, errors, hr.Priors(beta={"x": hr.Fixed(2.0)}), effects={"g": effects})
    tree = m.sample(draws=100, seed=1, progress=False, method="psis")
    assert np.all(tree["posterior"]["beta"].sel(coef="x") == 2.0)
    assert float(m.estimate("ml").beta.sel(coef="x")) == 2.0


@pytest.mark.long
def test_figures_have_the_priors_of_what_shapes_the_effects(fitted, tmp_path):
    name, _, tree = fitted
    hr.save(tree, tmp_path / "fit.nc")
    figure = hr.plots.variances(hr.load(tmp_path / "fit.nc"))
    panels = {axis.get_xlabel(): axis for axis in figure.axes if axis.get_xlabel()}
    own = {"t": ("nu_g", "scale_g[x]"), "t4": ("scale_g[Intercept]",), "mixture": ("component_sd_g[x]",)}
    wanted = own.get(name, ("component_sd_g[1, Intercept]", "component_sd_g[0, x]"))
    for panel in wanted:
        x, posterior = _line(panels[panel], "posterior")
        assert np.nanmax(_line(panels[panel], "prior")[1]) > 0
        assert 0.9 < np.trapezoid(posterior, x) < 1.1
    assert "prior" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert not [one for one in panels["sd_g[x]"].lines if one.get_label() == "prior"]
    if name == "t":
        x, prior = _line(panels["nu_g"], "prior")
        known = gamma(2.0, scale=10.0)
        above = x >= 2.0
        np.testing.assert_allclose(prior[above], known.pdf(x[above]) / known.sf(2.0), rtol=1e-6)
        assert np.isnan(prior[~above]).all()


def _line(axis, label):
    (found,) = (one for one in axis.lines if one.get_label() == label)
    return np.asarray(found.get_xdata(), dtype=float), np.asarray(found.get_ydata(), dtype=float)


@pytest.mark.parametrize(
    ("term", "said"), [("x | g", "Intercept at the predictors' means."), ("0 + x + one | g", "x.")]
)
def test_priors_say_which_coefficient_orders_components(term, said):
    rows = _two_populations().assign(one=1.0, x=lambda t: t["x"] + 3.0)
    table = str(hr.Model(f"y ~ x + ({term})", rows, effects={"g": hr.Mixture(2)}).priors)
    assert f"in the order of the mean of {said}" in " ".join(table.split())
    level = "one" if "one" in term else "Intercept"
    assert "at the predictors' means" in next(
        r for r in table.splitlines() if r.strip().startswith(f"component_mean_g[{level}]")
    )


def test_the_model_says_what_it_is(fitted):
    name, m, _ = fitted
    assert "effects of g: " in repr(m)
    described = str(m.describe())
    assert ("heavy tails" if name.startswith("t") else "mixture") in described
    assert ("nu_g" if name.startswith("t") else "component_weight_g") in str(m.priors)


@pytest.mark.long
def test_chains_find_what_importance_sampling_finds():
    rows, effects, errors = CASES["own"]
    m = hr.Model(FORMULA, rows, errors=errors, effects={"g": effects})
    chains = m.sample(draws=500, seed=5, progress=False)
    other = m.sample(draws=500, seed=5, progress=False, method="psis")
    a, b = (hr.summary(tree) for tree in (chains, other))
    assert list(a["parameter"].values) == list(b["parameter"].values)
    error = np.hypot(a["mcse_mean"], b["mcse_mean"])
    assert float((np.abs(a["mean"] - b["mean"]) / error).max()) < 4.5
