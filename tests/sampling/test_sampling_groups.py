"""Prior, predictive and density groups against loops over the rows, and ArviZ on the trees unchanged."""

import arviz_plots as azp
import arviz_stats as azs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import linalg, stats

import hierreg as hr
from hierreg.exceptions import ModelError, PriorError
from hierreg.predictive import rows
from tests.helpers.sampled_models import FORMULA, STRUCTURES, known_covariance, model, response_parts, sampled, table

# Runs here are short on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::hierreg.exceptions.BoundaryWarning"),
]
# The diagonal of a correlation matrix is constant: its R-hat is 0 / 0.
constant_diagonal = pytest.mark.filterwarnings("ignore:invalid value encountered in scalar divide:RuntimeWarning")
DRAWS = ({"chain": 0, "draw": 3}, {"chain": 2, "draw": 17})


# ---- log likelihood


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("draw", DRAWS)
def test_joint_log_likelihood_is_the_dense_normal_density(structure: str, draw: dict) -> None:
    mu, R = response_parts(structure, draw)
    expected = stats.multivariate_normal(mu, R).logpdf(table()["y"])
    tree = hr.log_likelihood(sampled(structure), model(structure), joint=True)
    np.testing.assert_allclose(tree["log_likelihood"]["y"].isel(draw), expected, rtol=1e-10)


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if s in {"independent", "by"} or s.startswith("known_se")])
@pytest.mark.parametrize("draw", DRAWS)
def test_independent_rows_have_their_own_normal_densities(structure: str, draw: dict) -> None:
    mu, R = response_parts(structure, draw)
    expected = stats.norm(mu, np.sqrt(np.diagonal(R))).logpdf(table()["y"])
    values = sampled(structure)["log_likelihood"]["y"]
    assert values.dims == ("chain", "draw", "obs")
    np.testing.assert_allclose(values.isel(draw), expected, rtol=1e-10)


UNITS = [s for s in STRUCTURES if s.startswith(("correlated", "exchangeable", "ar1"))]


@pytest.mark.parametrize("structure", UNITS)
@pytest.mark.parametrize("draw", DRAWS)
def test_units_have_the_joint_density_of_their_rows(structure: str, draw: dict) -> None:
    mu, R = response_parts(structure, draw)
    data = table()
    values = sampled(structure)["log_likelihood_units"]["y"]
    assert values.dims == ("chain", "draw", "unit")
    assert values["unit"].values.tolist() == [str(u) for u in range(data["unit"].nunique())]
    for unit in range(data["unit"].nunique()):
        r = np.flatnonzero(data["unit"] == unit)
        expected = stats.multivariate_normal(mu[r], R[np.ix_(r, r)]).logpdf(data["y"][r])
        np.testing.assert_allclose(values.isel(draw | {"unit": unit}), expected, rtol=1e-10)
    again = hr.log_likelihood(sampled(structure), model(structure), by="unit")
    assert again["log_likelihood_units"].identical(sampled(structure)["log_likelihood_units"])


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if s in UNITS or s.startswith("known_cov")])
@pytest.mark.parametrize("draw", DRAWS)
def test_rows_with_correlated_errors_have_densities_given_all_others(structure: str, draw: dict) -> None:
    """The joint density of all rows less that of the others: rows of other units cancel."""
    mu, R = response_parts(structure, draw)
    y = table()["y"].to_numpy()
    values = sampled(structure)["log_likelihood"]["y"].isel(draw)
    assert values.dims == ("obs",)
    joint = stats.multivariate_normal(mu, R).logpdf(y)
    for r in range(len(y)):
        rest = np.delete(np.arange(len(y)), r)
        without = stats.multivariate_normal(mu[rest], R[np.ix_(rest, rest)]).logpdf(y[rest])
        np.testing.assert_allclose(values.isel(obs=r), joint - without, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_elements_add_up_to_the_joint_density_unless_given_others(structure: str) -> None:
    tree = sampled(structure)
    joint = hr.log_likelihood(tree, model(structure), joint=True)["log_likelihood"]["y"]
    gap = np.abs(tree["log_likelihood"].to_dataset()["y"].sum("obs") - joint).max()
    assert gap > 0.01 if structure in UNITS or structure.startswith("known_cov") else gap < 1e-9
    if structure in UNITS:
        assert np.abs(tree["log_likelihood_units"].to_dataset()["y"].sum("unit") - joint).max() < 1e-9


def test_units_are_asked_for_only_where_there_are_some() -> None:
    with pytest.raises(ModelError, match=r"by='unit'.*errors=by\('set'\) have none"):
        hr.log_likelihood(sampled("by"), model("by"), by="unit")
    with pytest.raises(ModelError, match=r"include='log_likelihood_units'.*have none"):
        model("known_se").sample(include=["log_likelihood_units"])
    with pytest.raises(ModelError, match="by='unit' and joint=True"):
        hr.log_likelihood(sampled("correlated"), model("correlated"), by="unit", joint=True)
    with pytest.raises(ModelError, match="by='units' is not one of"):
        hr.log_likelihood(sampled("correlated"), model("correlated"), by="units")


def test_a_diagonal_known_covariance_is_known_standard_errors() -> None:
    data = table()
    one = hr.Model(FORMULA, data, errors=hr.known_se("se"))
    other = hr.Model(FORMULA, data, errors=hr.known_cov(np.diag(data["se"] ** 2)))
    tree = sampled("known_se")
    anonymous = tree.copy()
    del anonymous.attrs["errors"]
    mine = hr.log_likelihood(tree, one)["log_likelihood"]["y"]
    theirs = hr.log_likelihood(anonymous, other)["log_likelihood"]["y"]
    np.testing.assert_allclose(mine, theirs, rtol=1e-10)


# ---- log prior


def test_log_prior_is_scipys() -> None:
    data = table()
    nu, scale = 4.0, 1.5
    priors = hr.Priors(
        beta={"x": hr.Normal(0.2, 0.9), "w": hr.Flat()},
        sd={"g": {"Intercept": hr.HalfStudentT(nu, scale), "x": hr.Fixed(0.4)}},
        corr=hr.LKJ(3),
        error_sd=hr.LogNormal(-0.3, 0.8),
    )
    subject = hr.Model(FORMULA, data, priors=priors)
    tree = hr.log_prior(subject.sample(draws=20, chains=2, seed=1, progress=False), subject)
    posterior, mine = tree["posterior"], tree["log_prior"]
    beta = posterior["beta"]
    centred = beta.sel(coef="Intercept") + beta.sel(coef="x") * data["x"].mean() + beta.sel(coef="w") * data["w"].mean()
    intercept = stats.norm(data["y"].mean(), 2.5 * data["y"].std(ddof=0))
    np.testing.assert_allclose(mine["beta"].sel(coef="Intercept"), intercept.logpdf(centred), rtol=1e-8)
    np.testing.assert_allclose(mine["beta"].sel(coef="x"), stats.norm(0.2, 0.9).logpdf(beta.sel(coef="x")), rtol=1e-10)
    assert np.all(mine["beta"].sel(coef="w") == 0)
    sd = posterior["sd_g"].sel(g_coef="Intercept")
    expected = np.log(2) + stats.t(nu, scale=scale).logpdf(sd)
    np.testing.assert_allclose(mine["sd_g"].sel(g_coef="Intercept"), expected, rtol=1e-10)
    assert np.all(mine["sd_g"].sel(g_coef="x") == 0)
    # of two columns, LKJ(eta) says (r + 1) / 2 ~ Beta(eta, eta)
    r = posterior["corr_g"].sel(g_coef_pair="x, Intercept")
    np.testing.assert_allclose(mine["corr_g"], stats.beta(3, 3).logpdf((r + 1) / 2) - np.log(2), rtol=1e-9)
    error = stats.lognorm(0.8, scale=np.exp(-0.3)).logpdf(posterior["error_sd"])
    np.testing.assert_allclose(mine["error_sd"], error, rtol=1e-10)


def test_log_prior_of_correlated_errors_has_their_correlations() -> None:
    tree = sampled("correlated")
    assert tree["log_prior"]["error_sd"].dims == ("chain", "draw", "set")
    corr = hr.correlation_matrices(tree)["error_corr"].to_numpy()
    # the default, LKJ(1), is uniform; three data sets: the volume of 3 x 3 correlation matrices is pi^2 / 2
    assert corr.shape[-2:] == (3, 3)
    np.testing.assert_allclose(tree["log_prior"]["error_corr"], -np.log(np.pi**2 / 2), rtol=1e-10)


@pytest.mark.parametrize(("structure", "dims"), [("exchangeable", ()), ("exchangeable_by", ("kind",))])
def test_log_prior_of_exchangeable_errors_is_uniform_over_their_correlations(structure: str, dims: tuple) -> None:
    values = sampled(structure)["log_prior"]["error_corr"]
    assert values.dims == ("chain", "draw", *dims)
    # three rows in the largest unit: the interval is (-1 / 2, 1)
    np.testing.assert_allclose(values, -np.log(1.5), rtol=1e-10)


@pytest.mark.parametrize("structure", ["known_se", "known_cov"])
def test_known_errors_have_no_prior(structure: str) -> None:
    assert set(sampled(structure)["log_prior"].data_vars) == {"beta", "sd_g", "corr_g"}


# ---- prior


@pytest.mark.parametrize("structure", STRUCTURES)
def test_prior_has_the_variables_and_dimensions_of_the_posterior(structure: str) -> None:
    prior, posterior = sampled(structure)["prior"], sampled(structure)["posterior"]
    assert dict(prior.sizes) == dict(posterior.sizes) | {"chain": 1, "draw": 500}
    assert list(prior.data_vars) == list(posterior.data_vars)
    for name, values in posterior.data_vars.items():
        assert prior[name].dims == values.dims
    for name in set(posterior.coords) - {"chain", "draw"}:
        assert prior.coords[name].equals(posterior.coords[name])


def assert_distributed(values: xr.DataArray, distribution: object) -> None:
    """Kolmogorov's test at a level that a right answer fails once in 10,000 seeds."""
    assert stats.kstest(np.ravel(values), distribution.cdf).pvalue > 1e-4


def test_prior_draws_follow_their_priors() -> None:
    data = table()
    priors = hr.Priors(
        beta={"x": hr.Normal(0.2, 0.9), "w": hr.Fixed(-0.25)},
        sd={"g": {"Intercept": hr.Gamma(2, 1.5), "x": hr.Fixed(0.4)}},
        corr=hr.LKJ(3),
        error_sd={"p": hr.HalfNormal(2), "q": hr.Exponential(3), "r": hr.Fixed(0.8)},
        error_corr=hr.LKJ(1.5),
    )
    subject = hr.Model(FORMULA, data, errors=hr.correlated("set", unit="unit"), priors=priors)
    prior = hr.prior_predictive(subject, draws=2000, seed=3)["prior"].to_dataset().isel(chain=0)
    beta, b = prior["beta"], prior["b_g"]
    centred = beta.sel(coef="Intercept") + beta.sel(coef="x") * data["x"].mean() + beta.sel(coef="w") * data["w"].mean()
    assert_distributed(centred, stats.norm(data["y"].mean(), 2.5 * data["y"].std(ddof=0)))
    assert_distributed(beta.sel(coef="x"), stats.norm(0.2, 0.9))
    assert np.all(beta.sel(coef="w") == -0.25)
    assert_distributed(prior["sd_g"].sel(g_coef="Intercept"), stats.gamma(2, scale=1 / 1.5))
    assert np.all(prior["sd_g"].sel(g_coef="x") == 0.4)
    r = prior["corr_g"].sel(g_coef_pair="x, Intercept")
    assert_distributed((r + 1) / 2, stats.beta(3, 3))
    assert_distributed(prior["error_sd"].sel(set="p"), stats.halfnorm(scale=2))
    assert_distributed(prior["error_sd"].sel(set="q"), stats.expon(scale=1 / 3))
    assert np.all(prior["error_sd"].sel(set="r") == 0.8)
    # every correlation of three under LKJ(eta) is Beta(eta + 1/2, eta + 1/2) on (-1, 1)
    assert_distributed((prior["error_corr"].sel(set_pair="r, q") + 1) / 2, stats.beta(2, 2))
    assert_distributed(b.sel(g_coef="Intercept") / prior["sd_g"].sel(g_coef="Intercept"), stats.norm())
    slope = b.sel(g_coef="x") / 0.4
    residual = slope - r * b.sel(g_coef="Intercept") / prior["sd_g"].sel(g_coef="Intercept")
    assert_distributed(residual / np.sqrt(1 - r**2), stats.norm())
    xr.testing.assert_allclose(
        prior["theta_g"].sel(g_coef="x").drop_vars("g_coef"),
        (beta.sel(coef="x") + b.sel(g_coef="x")).drop_vars(["coef", "g_coef"]),
    )


def test_fixed_singular_correlations_can_be_drawn_from() -> None:
    priors = hr.Priors(corr=hr.Fixed([[1, -1], [-1, 1]]), sd=hr.Fixed(2.0))
    prior = hr.prior_predictive(hr.Model(FORMULA, table(), priors=priors), draws=5, seed=1)["prior"]
    b = prior["b_g"]
    np.testing.assert_allclose(b.sel(g_coef="Intercept"), -b.sel(g_coef="x"), rtol=1e-10)


def test_a_plain_regression_has_prior_and_predictive_draws() -> None:
    plain = hr.Model("y ~ x", table())
    tree = hr.prior_predictive(plain, draws=7, seed=1)
    assert list(tree["prior"].data_vars) == ["beta", "error_sd"]
    tree = plain.sample(draws=20, chains=2, seed=1, progress=False)
    tree = hr.log_likelihood(hr.posterior_predictive(tree, plain, seed=1), plain)
    assert tree["posterior_predictive"]["y"].sizes == tree["log_likelihood"]["y"].sizes


# ---- predictive draws


@pytest.mark.parametrize("group", ["posterior", "prior"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_replicates_have_the_mean_and_covariance_of_the_rows(structure: str, group: str) -> None:
    replicates = sampled(structure)[f"{group}_predictive"]["y"]
    whitened = []
    for draw in range(6):
        at = {"chain": 0, "draw": 6 * draw}
        mu, R = response_parts(structure, at, group)
        whitened.append(linalg.solve_triangular(np.linalg.cholesky(R), replicates.isel(at) - mu, lower=True))
    z = np.array(whitened)
    assert_distributed(z, stats.norm())
    neighbours = stats.pearsonr(z[:, 1:].ravel(), z[:, :-1].ravel())
    assert neighbours.pvalue > 1e-4


def test_a_seed_determines_every_draw() -> None:
    one, other, third = (hr.prior_predictive(model("by"), draws=9, seed=s) for s in (1, 1, 2))
    for tree in (one, other):
        del tree.attrs["created_at"]
    assert one.identical(other)
    assert not np.array_equal(one["prior_predictive"]["y"], third["prior_predictive"]["y"])
    tree = sampled("by")
    one, other = (hr.posterior_predictive(tree, model("by"), seed=s)["posterior_predictive"] for s in (11, 12))
    assert one.identical(tree["posterior_predictive"])
    assert not np.array_equal(one["y"], other["y"])


def test_without_a_seed_one_is_chosen_and_recorded() -> None:
    one = hr.prior_predictive(model("by"), draws=9)
    other = hr.prior_predictive(model("by"), draws=9, seed=int(one.attrs["seed"]))
    assert one.identical(other)


def test_results_do_not_depend_on_the_size_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    structure = "correlated"
    monkeypatch.setattr(rows, "_CHUNK_VALUES", 100)
    tree = hr.posterior_predictive(sampled(structure), model(structure), seed=11)
    tree = hr.log_likelihood(tree, model(structure))
    for group in ("posterior_predictive", "log_likelihood"):
        np.testing.assert_allclose(tree[group]["y"], sampled(structure)[group]["y"], rtol=1e-12)


def test_draws_are_thinned_evenly() -> None:
    tree = hr.posterior_predictive(sampled("by"), model("by"), draws=4, seed=1)
    assert tree["posterior_predictive"]["y"].shape == (3, 4, len(table()))
    assert tree["posterior_predictive"]["draw"].values.tolist() == [0, 10, 20, 30]


def test_the_tree_given_is_left_as_it_was() -> None:
    tree = model("by").sample(draws=10, chains=2, seed=1, progress=False)
    before = tree.copy(deep=True)
    with_groups = hr.log_prior(hr.log_likelihood(hr.posterior_predictive(tree, model("by")), model("by")), model("by"))
    assert tree.identical(before)
    assert set(with_groups.children) - set(tree.children) == {
        "posterior_predictive",
        "log_likelihood",
        "log_prior",
    }
    assert with_groups.attrs == tree.attrs


# ---- what is refused


def test_a_flat_prior_cannot_be_drawn_from() -> None:
    flat = hr.Model(FORMULA, table(), priors=hr.Priors(beta={"x": hr.Flat()}))
    with pytest.raises(PriorError, match=r"beta\['x'\].*Flat.*hr\.Priors\(beta=\{'x': hr\.Normal"):
        hr.prior_predictive(flat)
    with pytest.raises(PriorError, match=r"beta\['x'\]"):
        flat.sample(draws=10, include=["prior"])


@pytest.mark.parametrize("function", [hr.posterior_predictive, hr.log_likelihood])
def test_summaries_of_group_coefficients_are_not_enough(function) -> None:
    tree = model("by").sample(draws=10, chains=2, seed=1, progress=False, group_effects="summary")
    with pytest.raises(ModelError, match=r"group_effects='draws'"):
        function(tree, model("by"))
    assert "log_prior" in hr.log_prior(tree, model("by")).children


@pytest.mark.parametrize("name", ["posterior_predictive", "log_likelihood"])
def test_summaries_are_refused_before_sampling(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hierreg.model.posterior.limit", None)  # would fail if anything were computed
    with pytest.raises(ModelError, match=rf"include='{name}'.*group_effects='draws'"):
        model("by").sample(draws=10, group_effects="summary", include=[name])


def another_tree() -> xr.DataTree:
    data = table()
    data["g"] = data["g"].replace({"a": "z"})
    return hr.Model(FORMULA, data, errors=hr.by("set")).sample(draws=5, chains=1, seed=1, progress=False)


@pytest.mark.parametrize("function", [hr.posterior_predictive, hr.log_likelihood, hr.log_prior])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: (sampled("by"), "model"), r"model has type str.*hr\.Model"),
        (
            lambda: (sampled("by")["posterior"].to_dataset(), model("by")),
            r"tree has type Dataset.*Model\.sample",
        ),
        (
            lambda: (hr.prior_predictive(model("by"), draws=2, seed=1), model("by")),
            r"groups prior,.*posterior",
        ),
        (lambda: (sampled("by"), model("independent")), r"another errors: \"by\('set'\)\".*independent\(\)"),
        (
            lambda: (sampled("by"), hr.Model("y ~ x + (x | g)", table(), errors=hr.by("set"))),
            "another formula",
        ),
        (
            lambda: (sampled("by"), hr.Model(FORMULA, table()[:-1], errors=hr.by("set"))),
            "another n_rows: 42.*41",
        ),
        (lambda: (another_tree(), model("by")), "different groups of 'g'"),
    ],
)
def test_tree_and_model_must_match(function, make, words: str) -> None:
    tree, subject = make()
    with pytest.raises(ModelError, match=words):
        function(tree, subject)


def test_log_prior_asks_for_the_same_priors() -> None:
    other = hr.Model(FORMULA, table(), errors=hr.by("set"), priors=hr.Priors(beta=hr.Normal(0, 5)))
    with pytest.raises(ModelError, match="another priors"):
        hr.log_prior(sampled("by"), other)
    hr.log_likelihood(sampled("by"), other)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hr.prior_predictive(model("by"), draws=0), "draws=0 must be a whole number, 1 or more"),
        (lambda: hr.prior_predictive(model("by"), draws=2.5), "draws=2.5"),
        (lambda: hr.prior_predictive(model("by"), seed=-1), "seed=-1 must be a whole number, 0 or more"),
        (lambda: hr.prior_predictive(model("by"), draws=10**8), r"GiB; at most 4 GiB.*draws="),
        (lambda: hr.posterior_predictive(sampled("by"), model("by"), draws=41), "draws=41 per chain.*has 40"),
        (lambda: hr.posterior_predictive(sampled("by"), model("by"), draws=True), "draws=True"),
    ],
)
def test_impossible_arguments(call, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        call()


def test_large_results_are_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_MAX_BYTES", 10_000)
    for function, advice in (
        (hr.posterior_predictive, r"draws=\.\.\."),
        (hr.log_likelihood, "isel.*joint=True"),
    ):
        with pytest.raises(ModelError, match=advice):
            function(sampled("by"), model("by"))
    with pytest.raises(ModelError, match="Use fewer draws"):
        model("by").sample(draws=500, include=["log_likelihood"])
    # what the advice says works
    monkeypatch.setattr(rows, "_MAX_BYTES", 5_000)
    thinned = sampled("by").isel(draw=slice(None, None, 10))
    hr.log_likelihood(thinned, model("by"))
    hr.log_likelihood(sampled("by"), model("by"), joint=True)


# ---- ArviZ, unchanged


@pytest.fixture(scope="module")
def sleepstudy() -> xr.DataTree:
    subject = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    include = ("prior_predictive", "posterior_predictive", "log_likelihood", "log_prior")
    return subject.sample(draws=400, chains=4, seed=2, progress=False, include=include)


@constant_diagonal
def test_arviz_summary_names_every_element(sleepstudy: xr.DataTree) -> None:
    table = azs.summary(sleepstudy)
    for name in ("beta[Days]", "b_Subject[308, Intercept]", "sd_Subject[Days]", "error_sd"):
        assert name in table.index


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto distribution:UserWarning")
def test_arviz_loo_is_what_fits_without_a_row_predict(sleepstudy: xr.DataTree) -> None:
    result = azs.loo(sleepstudy, pointwise=True)
    assert result.n_data_points == 180
    data = hr.load_dataset("sleepstudy")
    for row in (5, 77):
        without = hr.Model("Reaction ~ Days + (Days | Subject)", data.drop(index=row))
        posterior = without.sample(draws=1000, seed=row, progress=False)["posterior"]
        theta = posterior["theta_Subject"].sel(Subject=data["Subject"][row])
        mean = theta.sel(Subject_coef="Intercept") + theta.sel(Subject_coef="Days") * data["Days"][row]
        density = stats.norm(mean, posterior["error_sd"]).pdf(data["Reaction"][row])
        error = density.std() / density.mean() / np.sqrt(density.size)
        assert abs(result.elpd_i[row] - np.log(density.mean())) < 4 * np.sqrt(2) * error + 0.02


def pairs() -> tuple[hr.Model, xr.DataTree]:
    """Return two lines with errors that are correlated 0.9 within 40 units, all variances known, and its posterior."""
    rng = np.random.default_rng(0)
    e = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 40)
    a = pd.DataFrame({"u": range(40), "x": rng.normal(size=40)})
    both = hr.stack({"a": a.assign(y=a["x"] + e[:, 0]), "b": a.assign(y=0.5 * a["x"] + e[:, 1])}, unit="u")
    priors = hr.Priors(beta=hr.Flat(), error_sd=hr.Fixed(1.0), error_corr=hr.Fixed([[1, 0.9], [0.9, 1]]))
    subject = hr.Model("y ~ 0 + dataset + dataset:x", both, errors=hr.correlated("dataset", unit="u"), priors=priors)
    include = ["posterior_predictive", "log_likelihood", "log_likelihood_units"]
    return subject, subject.sample(draws=2000, seed=1, progress=False, include=include)


def left_out(subject: hr.Model, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log p of some rows given all others, and E[x beta] of these rows without them: dense least squares."""
    X, y = subject.problem.design.X, subject.problem.design.y
    unit = subject.problem.layout.unit
    R = np.where(unit[:, None] == unit, 0.9, 0.0) + 0.1 * np.eye(len(y))
    rest = np.setdiff1d(np.arange(len(y)), rows)
    inverse = np.linalg.inv(R[np.ix_(rest, rest)])
    cov = np.linalg.inv(X[rest].T @ inverse @ X[rest])
    beta = cov @ X[rest].T @ inverse @ y[rest]
    gain = R[np.ix_(rows, rest)] @ inverse
    U = X[rows] - gain @ X[rest]
    V = R[np.ix_(rows, rows)] - gain @ R[np.ix_(rest, rows)] + U @ cov @ U.T
    mean = X[rows] @ beta + gain @ (y[rest] - X[rest] @ beta)
    return stats.multivariate_normal(mean, V).logpdf(y[rows]), X[rows] @ beta


@pytest.mark.long
def test_arviz_leaves_out_rows_and_units_of_correlated_errors() -> None:
    """ArviZ's estimates, by rows and by units, against fits without each row and without each unit, in closed form."""
    subject, tree = pairs()
    y, unit = subject.problem.design.y, subject.problem.layout.unit
    by_row = azs.loo(tree, pointwise=True)
    assert by_row.elpd_i.dims == ("obs",)
    exact = [left_out(subject, np.array([r])) for r in range(80)]
    np.testing.assert_allclose(by_row.elpd_i, [elpd for elpd, _ in exact], atol=0.05)
    rmse = np.sqrt(np.mean([(y[r] - mean[0]) ** 2 for r, (_, mean) in enumerate(exact)]))
    assert azs.loo_metrics(tree, kind="rmse").mean == pytest.approx(rmse, abs=0.01)
    alone = xr.DataTree.from_dict({"posterior": tree["posterior"], "log_likelihood": tree["log_likelihood_units"]})
    by_unit = azs.loo(alone, pointwise=True)
    exact = [left_out(subject, np.flatnonzero(unit == u)) for u in range(40)]
    np.testing.assert_allclose(by_unit.elpd_i, [elpd for elpd, _ in exact], atol=0.1)
    for function in (azs.loo_pit, azs.loo_expectations, azs.loo_score, azs.loo_influence):
        function(tree)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto distribution:UserWarning")
@pytest.mark.parametrize("structure", ["correlated", "exchangeable", "known_cov_scaled"])
def test_arviz_loo_leaves_out_rows(structure: str) -> None:
    assert azs.loo(sampled(structure)).n_data_points == 42


def test_arviz_power_scaling(sleepstudy: xr.DataTree) -> None:
    table = azs.psense_summary(sleepstudy, var_names=["beta", "sd_Subject", "error_sd"])
    assert table.index.tolist()[-1] == "error_sd"
    assert np.all(np.isfinite(table[["prior", "likelihood"]].to_numpy()))
    assert table.loc["error_sd", "likelihood"] > table.loc["error_sd", "prior"]


def test_arviz_power_scaling_sees_a_strong_prior() -> None:
    priors = hr.Priors(beta={"x": hr.Normal(5, 0.05)})
    subject = hr.Model(FORMULA, table(), errors=hr.known_cov(known_covariance(42), scale=True), priors=priors)
    tree = subject.sample(draws=400, chains=2, seed=1, progress=False)
    tree = hr.log_prior(hr.log_likelihood(tree, subject, joint=True), subject)
    sensitivity = azs.psense_summary(tree, var_names=["beta"])
    assert sensitivity.loc["beta[x]", "prior"] > 0.05


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("plot_trace_dist", {"var_names": ["beta", "sd_Subject", "error_sd"]}),
        ("plot_forest", {"var_names": ["beta", "sd_Subject", "theta_Subject"]}),
        ("plot_ppc_dist", {"group": "posterior_predictive", "num_samples": 10}),
        ("plot_ppc_dist", {"group": "prior_predictive", "num_samples": 10}),
        ("plot_prior_posterior", {"var_names": ["beta", "error_sd"]}),
        ("plot_psense_dist", {"var_names": ["beta", "error_sd"]}),
        ("plot_loo_pit", {}),
    ],
)
def test_arviz_plots(sleepstudy: xr.DataTree, function: str, arguments: dict) -> None:
    getattr(azp, function)(sleepstudy, backend="matplotlib", **arguments)
    assert plt.gcf().axes
    plt.close("all")


def test_arviz_plots_of_prior_predictive_draws_alone() -> None:
    tree = hr.prior_predictive(model("by"), draws=50, seed=1)
    azp.plot_ppc_dist(tree, group="prior_predictive", backend="matplotlib", num_samples=10)
    plt.close("all")
