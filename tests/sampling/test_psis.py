"""Importance sampling: values without gradients, mixtures, weights, resampling, and the posteriors that come of it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import multivariate_t

import hierreg as hr
from hierreg.cli import main
from hierreg.exceptions import BoundaryWarning, ConvergenceWarning, ModelError, SamplingError
from hierreg.likelihood.posterior import Target
from hierreg.sampling import importance, mixture, nuts, resampling
from hierreg.sampling.approximation import Mode
from hierreg.sampling.warnings_of_draws import warn_about_copies
from tests.helpers.posteriors import DYE, SLEEP, assert_agrees, assert_quantiles_agree
from tests.helpers.sampled_models import STRUCTURES
from tests.helpers.sampled_models import model as structured_model
from tests.reference import load_reference, reference_data

FORMULA = "Reaction ~ Days + (Days | Subject)"


def target_of(model):
    problem = model.problem
    return Target(parameters=problem.parameters, likelihood=problem.likelihood("prior"))


def few_people():
    table = hr.load_dataset("sleepstudy")
    return table[table["Subject"].isin(sorted(table["Subject"].unique())[:3])]


@pytest.fixture(scope="module")
def sleep():
    return hr.Model(FORMULA, hr.load_dataset("sleepstudy")).sample(seed=3, progress=False, method="psis")


# ---- values without gradients


@pytest.mark.parametrize("structure", STRUCTURES)
def test_values_are_those_that_come_with_gradients(structure, rng):
    target = target_of(structured_model(structure))
    u = rng.normal(0, 0.7, (23, target.parameters.n_free))
    u[4] = 800.0
    expected = [target(row)[0] for row in u]
    np.testing.assert_allclose(target.values(u), expected, rtol=1e-13)
    for threads in (2, 3, 50):
        np.testing.assert_array_equal(target.values(u, threads=threads), target.values(u))


def test_no_points_have_no_values():
    target = target_of(structured_model("by"))
    assert target.values(np.empty((0, target.parameters.n_free)), threads=2).shape == (0,)


# ---- mixtures


def two_components():
    return mixture.Mixture(
        weight=np.array([0.3, 0.7]),
        location=np.array([[-4.0, 0.0, 1.0], [3.0, 1.0, -2.0]]),
        factor=np.array(
            [[[1.0, 0, 0], [0.5, 0.8, 0], [0.1, -0.3, 0.5]], [[0.6, 0, 0], [-0.2, 1.1, 0], [0.4, 0.2, 0.9]]]
        ),
        df=np.array([9.0, 6.0]),
    )


def test_density_of_a_mixture(rng):
    mix = two_components()
    x = rng.normal(0, 3, (40, 3))
    expected = sum(
        w * multivariate_t(loc, L @ L.T, df).pdf(x)
        for w, loc, L, df in zip(mix.weight, mix.location, mix.factor, mix.df, strict=True)
    )
    np.testing.assert_allclose(np.exp(mix.log_density(x)), expected, rtol=1e-10)


def test_draws_have_the_moments_of_the_mixture(rng):
    # Far enough apart to tell which draw is whose.
    mix = replace(two_components(), location=10 * two_components().location)
    x = mix.draw(rng, 100_000)
    first = x[:, 0] < 0
    assert first.mean() == pytest.approx(0.3, abs=0.01)
    for k, part in ((0, x[first]), (1, x[~first])):
        L, df = mix.factor[k], mix.df[k]
        cov = L @ L.T * df / (df - 2)
        np.testing.assert_allclose(part.mean(axis=0), mix.location[k], atol=0.05)
        np.testing.assert_allclose(np.cov(part.T), cov, atol=0.1)


def test_fit_finds_the_mixture_that_weighted_points_come_from(rng):
    mix = two_components()
    # Drawn from something else, and weighted.
    wide = mixture.student_t(np.zeros(3), 16.0 * np.eye(3), 4.0)
    x = wide.draw(rng, 60_000)
    weight = np.exp(mix.log_density(x) - wide.log_density(x))
    fit = mixture.fit_mixture(
        x, weight / weight.sum(), components=2, df=7.0, prior_scale=np.eye(3), rng=np.random.default_rng(2)
    )
    order = np.argsort(fit.location[:, 0])
    np.testing.assert_allclose(fit.weight[order], mix.weight, atol=0.02)
    np.testing.assert_allclose(fit.location[order], mix.location, atol=0.12)
    scale = fit.factor @ np.swapaxes(fit.factor, 1, 2)
    np.testing.assert_allclose(scale[order], mix.factor @ np.swapaxes(mix.factor, 1, 2), atol=0.2)


def test_joined_mixture_is_the_weighted_sum(rng):
    one, two = two_components(), mixture.student_t(np.ones(3), np.diag([1.0, 2.0, 3.0]), 3.0)
    x = rng.normal(size=(10, 3))
    expected = 0.8 * np.exp(one.log_density(x)) + 0.2 * np.exp(two.log_density(x))
    np.testing.assert_allclose(np.exp(mixture.joined(one, two, 0.2).log_density(x)), expected, rtol=1e-12)


# ---- weights and resampling


def test_weights_sum_to_one_and_tell_a_heavy_tail(rng):
    light = importance.smoothed(0.2 * rng.normal(size=4000))
    assert light.value.sum() == pytest.approx(1.0)
    assert light.k < 0.5
    # Weights with a Pareto tail of shape 1.
    heavy = importance.smoothed(-np.log(rng.uniform(size=4000)))
    assert heavy.value.sum() == pytest.approx(1.0)
    assert heavy.k == pytest.approx(1.0, abs=0.2)


def test_each_proposal_is_kept_as_often_as_its_weight_says(rng):
    weight = rng.gamma(0.5, size=300)
    weight /= weight.sum()
    counts = np.bincount(resampling.resample(weight, 1000, rng), minlength=300)
    assert counts.sum() == 1000
    assert np.all(np.abs(counts - 1000 * weight) < 1)


def test_without_copies_the_draws_are_worth_their_number():
    weight = np.linspace(0.5, 1.5, 1000)
    weight /= weight.sum()
    assert resampling.resampled_ess(weight, 600) == pytest.approx(600)
    assert resampling.resampled_ess(weight, 2000) < 1000


@pytest.mark.parametrize("S", [150, 600, 3000])
def test_what_draws_are_worth_is_the_variance_of_their_mean(S, rng):
    """Proposals from a wider normal distribution, again and again: the variance of the resampled mean."""
    means, worth = [], []
    for _ in range(3000):
        x = 1.5 * rng.standard_normal(800)
        weight = np.exp(-0.5 * x**2 * (1 - 1 / 1.5**2))
        weight /= weight.sum()
        means.append(x[resampling.resample(weight, S, rng)].mean())
        # For the mean of x: each weight counts with x^2.
        p = np.mod(S * weight, 1.0)
        worth.append(np.sum(weight**2 * x**2) + np.sum(p * (1 - p) * x**2) / S**2)
    assert np.var(means) == pytest.approx(np.mean(worth), rel=4 * np.sqrt(2 / 3000))


def test_proposals_needed_are_just_enough():
    weight = np.random.default_rng(1).gamma(2.0, size=500)
    weight /= weight.sum()
    N = resampling.proposals_needed(weight, 1000, 10**9)
    assert resampling.resampled_ess(weight, 1000, N / 500) >= 0.95 * 1000
    assert resampling.resampled_ess(weight, 1000, N / 500 / 1.25) < 0.95 * 1000
    assert resampling.proposals_needed(weight, 1000, 700) == 700


# ---- posteriors


def test_sleepstudy_against_numerical_integration():
    expected = load_reference("oracle_sleepstudy")["models"]["posterior"]["posterior"]
    model = hr.Model(FORMULA, reference_data("oracle_sleepstudy"), priors=SLEEP)
    posterior = model.sample(draws=2000, seed=11, progress=False, method="psis")["posterior"]
    variances = expected["variance_parameters"]
    pairs = [
        (posterior["sd_Subject"].sel(Subject_coef="Intercept"), variances["sd_Intercept"]),
        (posterior["sd_Subject"].sel(Subject_coef="Days"), variances["sd_Days"]),
        (posterior["corr_Subject"][..., 0], variances["cor"]),
        (posterior["error_sd"], variances["sigma"]),
        (posterior["beta"].sel(coef="Intercept"), expected["fixef"]["(Intercept)"]),
        (posterior["beta"].sel(coef="Days"), expected["fixef"]["Days"]),
    ]
    subject, coefs = next(iter(expected["ranef"]["Subject"].items()))
    pairs.append((posterior["b_Subject"].sel(Subject=subject, Subject_coef="Days"), coefs["Days"]))
    for draws, answer in pairs:
        assert_agrees(draws, answer)
        assert_quantiles_agree(draws, answer)


def test_dyestuff_against_numerical_integration():
    expected = load_reference("oracle_dyestuff")["models"]["posterior"]["posterior"]
    model = hr.Model("Yield ~ 1 + (1 | Batch)", reference_data("oracle_dyestuff"), priors=DYE)
    posterior = model.sample(draws=2000, seed=11, progress=False, method="psis")["posterior"]
    pairs = [
        (posterior["sd_Batch"][..., 0], expected["variance_parameters"]["sd_batch"]),
        (posterior["error_sd"], expected["variance_parameters"]["sigma"]),
        (posterior["beta"][..., 0], expected["fixef"]["(Intercept)"]),
    ]
    for draws, answer in pairs:
        assert_agrees(draws, answer)
        assert_quantiles_agree(draws, answer)


SKEWED = {
    "dyestuff2": ("Yield ~ 1 + (1 | Batch)", "dyestuff2", None),
    "eight schools": ("effect ~ 1 + (1 | school)", "eight_schools", hr.known_se("se")),
}


@pytest.mark.parametrize("name", SKEWED)
def test_skewed_posterior_against_a_grid(name):
    """Variances that may be zero: the log of the sd between groups has a long left tail."""
    formula, data, errors = SKEWED[name]
    target = target_of(hr.Model(formula, hr.load_dataset(data), errors=errors))
    mode = nuts.find_mode(target)
    n, S = len(mode.u), 8000
    settings = importance.Settings(draws=S // 4, chains=4, seed=5, cores=2)
    found = importance.sample_by_importance(target, mode, settings)
    u = found.u.reshape(S, n)
    # The sd between groups, from 1e-6 to 1e3 times that at the mode; other parameters within 12 of their sds.
    first = mode.u[0] + np.linspace(-14, 7, 1500)
    others = [mode.u[i] + np.linspace(-12, 12, 400) * np.linalg.norm(mode.scale[i]) for i in range(1, n)]
    grid = np.stack(np.meshgrid(first, *others, indexing="ij"), axis=-1)
    log_p = target.values(grid.reshape(-1, n), threads=2).reshape(grid.shape[:-1])
    p = np.exp(log_p - log_p.max())
    marginal = p.reshape(len(first), -1).sum(axis=1)
    below = (np.cumsum(marginal) - 0.5 * marginal) / marginal.sum()
    for prob in (0.01, 0.1, 0.5, 0.9, 0.99):
        share = np.mean(u[:, 0] < np.interp(prob, below, first))
        assert share == pytest.approx(prob, abs=4 * np.sqrt(prob * (1 - prob) / found.resampled_ess))
    assert found.pareto_k < 0.7
    assert found.resampled_ess > 0.9 * S


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
def test_few_groups_agree_with_nuts():
    """Three people, four variance parameters; nuts is the reference, with both Monte-Carlo errors."""
    model = hr.Model(FORMULA, few_people())
    psis = model.sample(draws=2000, seed=1, progress=False, method="psis")["posterior"]
    reference = model.sample(draws=2000, seed=1, progress=False, target_accept=0.95)["posterior"]
    for name in ("sd_Subject", "error_sd", "beta"):
        x, y = (tree[name].to_numpy().reshape(8000, -1) for tree in (psis, reference))
        x, y = (np.log(v) if name != "beta" else v for v in (x, y))
        # nuts: at worst an effective sample of one draw in eight
        error = np.sqrt(x.var(axis=0) / 7000 + y.var(axis=0) / 1000)
        assert np.all(np.abs(x.mean(axis=0) - y.mean(axis=0)) < 4 * error)


# ---- seed and cores


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
def test_seed_decides_and_cores_do_not():
    model = hr.Model(FORMULA, few_people())

    def draws(seed, cores):
        return model.sample(draws=100, chains=3, seed=seed, cores=cores, method="psis", progress=False)["posterior"]

    one, two, other = draws(5, 1), draws(5, 2), draws(6, 2)
    xr.testing.assert_identical(one, two)
    assert not np.array_equal(one["error_sd"], other["error_sd"])


def test_order_of_draws_is_random(sleep):
    """Neighbours come from proposals as far apart as any: no trend, no copies beside each other."""
    number = sleep["sample_stats"]["proposal"].to_numpy().ravel()
    neighbours = np.corrcoef(number[1:], number[:-1])[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(len(number))


# ---- refusals


@dataclass(frozen=True)
class HeavyTails:
    """A density that falls like |u|^-1.01: no proposal covers what lies further out."""

    def values(self, points, *, threads):
        return -0.505 * np.log1p(points[:, 0] ** 2)


def test_a_posterior_with_too_heavy_tails_is_refused():
    mode = Mode(u=np.zeros(1), scale=np.ones((1, 1)), log_density=0.0, converged=True)
    settings = importance.Settings(draws=100, chains=2, seed=1, cores=1)
    with pytest.raises(SamplingError, match=r"Pareto k of the weights is .* 0\.7 .* method='nuts'"):
        importance.sample_by_importance(HeavyTails(), mode, settings)


def test_many_copies_are_told():
    attrs = {"resampled_ess": 70.4, "n_proposals": 900, "n_distinct": 80}
    stats = xr.Dataset({"lp": (("chain", "draw"), np.zeros((2, 50)))}, attrs=attrs)
    with pytest.warns(ConvergenceWarning, match="100 draws are worth 70 .* 80 distinct .*method='nuts'"):
        warn_about_copies(stats)
    # As many as this is said to be: no warning, which would be an error.
    warn_about_copies(stats.assign_attrs(resampled_ess=95.0))


BAD = {
    "tune": ({"tune": 100}, "tune=100 means nothing with method='psis'"),
    "target_accept": ({"target_accept": 0.9}, "target_accept=0.9 means nothing"),
    "parametrization": ({"parametrization": "centered"}, "parametrization='centered' means nothing"),
    "sampler": ({"sampler": "pymc"}, "sampler='pymc' means nothing"),
    "method": ({"method": "psi"}, "method='psi' is not one of 'nuts', 'psis'. Did you mean 'psis'"),
}


@pytest.mark.parametrize("name", BAD)
def test_arguments_that_mean_nothing(name):
    options, words = BAD[name]
    with pytest.raises(ModelError) as error:
        hr.Model(FORMULA, few_people()).sample(**({"method": "psis"} | options))
    assert words in str(error.value)


# ---- the tree


def test_tree_is_that_of_nuts(sleep):
    reference = hr.Model(FORMULA, hr.load_dataset("sleepstudy")).sample(seed=3, progress=False)
    assert list(sleep.children) == list(reference.children)
    assert list(sleep["posterior"].data_vars) == list(reference["posterior"].data_vars)
    for name, values in reference["posterior"].data_vars.items():
        assert sleep["posterior"][name].sizes == values.sizes
        assert sleep["posterior"][name].attrs == values.attrs
    assert set(sleep.attrs) == set(reference.attrs)
    assert (sleep.attrs["method"], sleep.attrs["sampler"]) == ("psis", "psis")
    assert (reference.attrs["method"], reference.attrs["sampler"]) == ("nuts", "nutpie")


def test_what_the_draws_are_worth_is_recorded(sleep):
    stats = sleep["sample_stats"]
    attrs = stats.attrs
    assert attrs["pareto_k"] < 0.5
    assert 3800 <= attrs["resampled_ess"] <= 4000 < attrs["importance_ess"] < attrs["n_proposals"]
    copies = np.unique(stats["proposal"], return_counts=True)[1]
    assert attrs["n_distinct"] == len(copies) > 3800
    assert copies.max() <= np.ceil(4000 / attrs["n_proposals"] * np.exp(float(stats["log_weight"].max())))


def test_reports_and_files_work_from_it(sleep, tmp_path):
    again = hr.load(hr.save(sleep, tmp_path / "fit.nc"))
    text = str(hr.summary(again))
    assert text == str(hr.summary(sleep))
    k, worth = sleep["sample_stats"].attrs["pareto_k"], sleep["sample_stats"].attrs["resampled_ess"]
    assert f"Pareto k = {round(k, 2) + 0.0}" in text
    assert f"worth {worth:.0f}" in text
    assert hr.shrinkage(again).sizes["Subject"] == 18
    assert "corr_Subject[Days, Intercept]" in str(hr.correlations(again))
    model = hr.Model(FORMULA, hr.load_dataset("sleepstudy"))
    assert "posterior_predictive" in hr.posterior_predictive(again, model, draws=10).children


def test_summary_of_nuts_says_nothing_of_importance():
    tree = hr.Model(FORMULA, hr.load_dataset("sleepstudy")).sample(draws=200, seed=3, progress=False)
    assert "Importance" not in str(hr.summary(tree))


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning")
@pytest.mark.parametrize("structure", ["correlated", "exchangeable_by", "known_cov"])
def test_error_structures(structure):
    tree = structured_model(structure).sample(draws=250, chains=2, seed=2, progress=False, method="psis")
    assert tree["sample_stats"].attrs["pareto_k"] < 0.7
    assert "Importance sampling" in str(hr.summary(tree))


def test_nothing_to_sample():
    priors = hr.Priors(
        sd={"Subject": {"Intercept": hr.Fixed(20.0), "Days": hr.Fixed(5.0)}},
        corr={"Subject": hr.Fixed(np.eye(2))},
        error_sd=hr.Fixed(30.0),
    )
    model = hr.Model(FORMULA, hr.load_dataset("sleepstudy"), priors=priors)
    psis, reference = (model.sample(draws=50, seed=1, progress=False, method=method) for method in ("psis", "nuts"))
    xr.testing.assert_allclose(psis["posterior"].to_dataset(), reference["posterior"].to_dataset())
    assert "Importance" not in str(hr.summary(psis))


def test_zero_variance_is_sampled():
    model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff2"))
    with pytest.warns(BoundaryWarning, match="variance of Intercept"):
        tree = model.sample(seed=1, progress=False, method="psis")
    assert tree["sample_stats"].attrs["pareto_k"] < 0.7


def test_command_line(tmp_path, capsys):
    table, fit = tmp_path / "sleep.csv", tmp_path / "fit.nc"
    hr.load_dataset("sleepstudy").to_csv(table, index=False)
    options = ["--method", "psis", "--draws", "200", "--chains", "2", "--seed", "1", "--quiet"]
    assert main(["fit", str(table), FORMULA, "-o", str(fit), *options]) == 0
    assert "Importance sampling: Pareto k" in capsys.readouterr().out
    assert hr.load(fit).attrs["method"] == "psis"
    assert main(["fit", str(table), FORMULA, *options, "--tune", "10"]) == 1
    assert "tune=10 means nothing" in capsys.readouterr().err
