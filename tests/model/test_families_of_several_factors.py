"""Responses that are not normal with effects of several factors: lme4's answers, exact posteriors, and every report."""

from functools import cache

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

import hierreg as hr
from hierreg.exceptions import BoundaryWarning, ModelError
from hierreg.model.family import draws, rules
from hierreg.problem import family as problem_family
from tests.helpers.posteriors import assert_same_posterior
from tests.likelihood.joint import cases

# lme4's cbpp: 56 rows of 15 herds.
CBPP = pd.DataFrame(
    {
        "herd": np.repeat([str(i) for i in range(1, 16)], [4, 3, 4, 4, 4, 4, 4, 1, 4, 4, 4, 4, 4, 4, 4]),
        "incidence": [2, 3, 4, 0, 3, 1, 1, 8, 2, 0, 2, 2, 0, 2, 0, 5, 0, 0, 1, 3, 0, 0, 1, 8, 1, 3, 0, 12,
            2, 0, 0, 0, 1, 1, 0, 2, 0, 5, 3, 1, 2, 1, 0, 0, 1, 2, 0, 0, 11, 0, 0, 0, 1, 1, 1, 0],
        "size": [14, 12, 9, 5, 22, 18, 21, 22, 16, 16, 20, 10, 10, 9, 6, 18, 25, 24, 4, 17, 17, 18, 20, 16, 10, 9, 5,
            34, 9, 6, 8, 6, 22, 22, 18, 22, 25, 27, 22, 22, 10, 8, 6, 5, 21, 24, 19, 23, 19, 2, 3, 2, 19, 15, 15, 15],
        "period": list("12341231234123412341234123411234123412341234123412341234"),
    }
)  # fmt: skip
CBPP["obs"] = [str(i) for i in range(56)]


# Command: Rscript tests/reference/scripts/glmer.R NAME (verbal and slopes: NAME 1e-12), with lme4 1.1-31 in R 4.2.2.
# The `h` of ticks is scale(HEIGHT).
LME4 = {
    "ticks": (
        "TICKS ~ YEAR + h + (1 | BROOD) + (1 | LOCATION) + (1 | INDEX)",
        hr.Poisson(),
        1780.54266017483,
        {"BROOD": [0.7500336850], "LOCATION": [0.5287199640], "INDEX": [0.5415088448]},
        [0.3727816944, 1.1804101741, -0.9786955128, -0.8543470772],
        [0.19637351, 0.23812743, 0.26278851, 0.12363628],
    ),
    "cbpp": (
        "cbind(incidence, size - incidence) ~ period + (1 | herd) + (1 | obs)",
        hr.Binomial(),
        174.638311082943,
        {"herd": [0.1839471195], "obs": [0.8910784613]},
        [-1.500291836, -1.226508890, -1.328840478, -1.866264946],
        [0.29671322, 0.48031239, 0.49392128, 0.59361167],
    ),
    "verbal": (
        "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
        hr.Bernoulli(),
        8151.39971974529,
        {"id": [1.3397088855], "item": [0.4953039669]},
        [0.19905913221, 0.05742958238, 0.32071041855, -1.05880027617, -2.10540283627, -1.05546448498],
        [0.406538644, 0.016838968, 0.191927592, 0.257284749, 0.259469283, 0.210782052],
    ),
    "slopes": (
        "r2 ~ Anger + mode + (mode | id) + (1 | item)",
        hr.Bernoulli(),
        8106.61472633349,
        # Of the slope: its standard deviation is the root of theta_21^2 + theta_22^2.
        {"id": [1.4285857820, np.hypot(0.1906367878, 1.0018416050)], "item": [1.1294403684]},
        [-0.92096341990, 0.05613342144, -0.77381211602],
        [0.492720796, 0.017956449, 0.468835356],
    ),
}


def data(name):
    if name == "ticks":
        d = hr.load_dataset("grouseticks")
        return d.assign(h=(d["HEIGHT"] - d["HEIGHT"].mean()) / d["HEIGHT"].std())
    return CBPP if name == "cbpp" else hr.load_dataset("verbagg")


@pytest.mark.parametrize("name", LME4)
def test_laplace_estimates_are_those_of_lme4(name):
    formula, family, criterion, sds, beta, se = LME4[name]
    found = hr.Model(formula, data(name), family=family).estimate()
    assert found.method == "laplace"
    assert found.converged
    assert found.criterion == pytest.approx(criterion, abs=2e-6)
    for factor, sd in sds.items():
        np.testing.assert_allclose(found.sd[factor], sd, rtol=2e-5)
    np.testing.assert_allclose(found.beta, beta, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(found.beta_se, se, rtol=1e-3)


def with_one_factor(monkeypatch, formula, d, family, **options):
    """Return the posterior of a model of one factor by all effects sampled, and by quadrature."""
    with monkeypatch.context() as patch:
        patch.setattr(rules, "_NEARLY_NORMAL", -1.0)
        patch.setattr(rules, "tables_of", lambda *_: (None, None))
        by_quadrature = hr.Model(formula, d, family=family).sample(progress=False, **options)
    monkeypatch.setattr(problem_family, "engine_of", lambda _: "joint")
    model = hr.Model(formula, d, family=family)
    return model.sample(progress=False, **options), by_quadrature, model


CASES_OF_ONE_FACTOR = {
    "binomial": ("cbind(incidence, size - incidence) ~ 1 + (1 | herd)", CBPP, hr.Binomial()),
    "dispersion": ("incidence ~ 1 + (1 | herd)", CBPP, hr.NegativeBinomial()),
}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:the Laplace estimate is on the boundary")
@pytest.mark.parametrize("name", CASES_OF_ONE_FACTOR)
def test_one_factor_has_the_posterior_that_quadrature_has(name, monkeypatch):
    formula, d, family = CASES_OF_ONE_FACTOR[name]
    together, by_quadrature, model = with_one_factor(monkeypatch, formula, d, family, seed=4, draws=1500)
    assert (together.attrs["engine"], by_quadrature.attrs["engine"]) == ("joint", "quadrature")
    assert int(together["sample_stats"]["diverging"].sum()) == 0
    assert_same_posterior(together["posterior"], by_quadrature["posterior"], ["beta", "sd_herd", "b_herd"])
    if name == "dispersion":
        assert_same_posterior(together["posterior"], by_quadrature["posterior"], ["dispersion"])
    # The Laplace estimate is that of the other engine too.
    other = hr.Model.estimate(model, "laplace")
    monkeypatch.undo()
    same = hr.Model(formula, d, family=family).estimate("laplace")
    assert other.criterion == pytest.approx(same.criterion, abs=1e-7)
    for field in ("beta", "beta_cov"):
        np.testing.assert_allclose(getattr(other, field), getattr(same, field), rtol=1e-4, atol=1e-6)
    for field in ("b", "b_cov", "b_cond_cov", "theta", "theta_cov"):
        np.testing.assert_allclose(getattr(other, field)["herd"], getattr(same, field)["herd"], rtol=1e-4, atol=1e-5)
    some = {"A": {("herd", "1", "Intercept"): 1, ("herd", "8", "Intercept"): -2}, "B": {"Intercept": 1}}
    np.testing.assert_allclose(hr.contrasts(other, some)["sd"], hr.contrasts(same, some)["sd"], rtol=1e-4)


COUNTS = [1, 2, 0, 1, 3, 1, 2, 0, 1, 4, 2, 1, 1, 2]


@pytest.mark.filterwarnings("ignore:the Laplace estimate is on the boundary")
def test_a_posterior_that_reaches_zero_is_that_of_brute_force():
    d = pd.DataFrame({"a": list("xxxxyyyyxyxyxy"), "c": list("pqrpqrpqrpqrpq"), "y": COUNTS})
    priors = hr.Priors(beta=hr.Normal(0, 1), sd={"a": hr.HalfNormal(0.7), "c": hr.HalfNormal(0.5)})
    model = hr.Model("y ~ 1 + (1 | a) + (1 | c)", d, family=hr.Poisson(), priors=priors)
    tree = model.sample(seed=3, draws=3000, progress=False)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    means = brute_force(d)
    posterior = tree["posterior"]
    draws = {
        "beta": posterior["beta"][..., 0],
        "sd a": posterior["sd_a"][..., 0],
        "sd c": posterior["sd_c"][..., 0],
        "sd a squared": posterior["sd_a"][..., 0] ** 2,
        "b x": posterior["b_a"].sel(a="x")[..., 0],
        "b r": posterior["b_c"].sel(c="r")[..., 0],
    }
    for name, values in draws.items():
        error = float(arviz_stats.mcse(values.to_numpy(), method="mean"))
        assert float(values.mean()) == pytest.approx(means[name], abs=4.5 * error), name


def brute_force(d):
    """Return posterior means of two levels crossed with three: all eight unknowns on grids."""
    A, C, y = d["a"].eq("y").to_numpy(int), d["c"].map({"p": 0, "q": 1, "r": 2}).to_numpy(), d["y"].to_numpy()
    nodes, weights = np.polynomial.legendre.leggauss(18)
    beta, z = np.linspace(-3.0, 3.0, 41), np.linspace(-5.0, 5.0, 33)
    of_beta, of_z = np.exp(-0.5 * beta**2), np.exp(-0.5 * z**2)
    total = {}
    for s, ws in zip(1.5 * (nodes + 1), weights, strict=True):
        for t, wt in zip(1.1 * (nodes + 1), weights, strict=True):
            eta = beta[:, None, None] + s * z[:, None] + t * z
            parts, r = [], None
            for j in range(3):
                # Likelihood of the rows of each cell: (beta, effect of a, effect of c).
                x, other = (
                    np.exp(y[(i == A) & (j == C)].sum() * eta - np.sum((i == A) & (j == C)) * np.exp(eta))
                    for i in (0, 1)
                )
                parts.append((x * of_z) @ np.swapaxes(other, 1, 2))
                if j == 2:
                    r = (x * of_z * t * z) @ np.swapaxes(other, 1, 2)
            prior = ws * wt * np.exp(-0.5 * (s / 0.7) ** 2 - 0.5 * (t / 0.5) ** 2)
            weight = prior * of_beta[:, None, None] * of_z[:, None] * of_z * parts[0] * parts[1]
            whole = weight * parts[2]
            values = {
                "1": whole,
                "beta": whole * beta[:, None, None],
                "sd a": whole * s,
                "sd c": whole * t,
                "sd a squared": whole * s * s,
                "b x": whole * s * z[:, None],
                "b r": weight * r,
            }
            for name, value in values.items():
                total[name] = total.get(name, 0.0) + value.sum()
    return {name: value / total["1"] for name, value in total.items() if name != "1"}


@cache
def ticks():
    """Return a short posterior of the nested counts."""
    formula, family = LME4["ticks"][:2]
    model = hr.Model(formula, data("ticks"), family=family)
    include = ["posterior_predictive", "log_likelihood", "prior_predictive"]
    return model, model.sample(seed=1, draws=500, progress=False, include=include)


def test_covariances_of_functions_are_those_of_whole_matrices():
    problem = cases.problem("crossed slopes")
    found = hr.Model(*cases.CASES["crossed slopes"][:1], cases.table(), family=hr.Poisson()).estimate()
    oracle = cases.dense(problem)
    # Any root of the covariances will do, one of their variances being zero.
    values, vectors = np.linalg.eigh(found.solution.Sigma[:2, :2])
    root = np.zeros((3, 3))
    root[:2, :2], root[2, 2] = vectors * np.sqrt(np.clip(values, 0, None)), found.solution.Sigma[2, 2] ** 0.5
    small = problem.parameters.from_raw @ root
    phi = problem.priors.beta_basis @ found.beta.to_numpy()
    to_beta, ZL = problem.beta_map(), oracle.Z @ oracle.Lambda(small)
    X, y, v = oracle.X, problem.observed.y, np.zeros(ZL.shape[1])
    for _ in range(30):
        mean = np.exp(X @ phi + ZL @ v)
        H = np.eye(len(v)) + ZL.T @ (mean[:, None] * ZL)
        v = v + np.linalg.solve(H, ZL.T @ (y - mean) - v)
    slope = -np.linalg.solve(H, ZL.T @ (mean[:, None] * X)) @ np.linalg.inv(to_beta)
    # Functions of beta and of the effects of two factors: levels a3 and a5, and c1.
    what = {"f": {"x": 1, ("a", "a3", "x"): 2, ("a", "a5", "Intercept"): -1}, "g": {("c", "c1", "Intercept"): 1}}
    weights = np.zeros((2, 2 + len(v)))
    raw = oracle.Lambda(problem.to_raw @ small)
    n_a = found.b["a"].shape[0]
    for row, (beta, effects) in enumerate(
        (([-1.0, 3.0], {2 * 3 + 1: 2.0, 2 * 5: -1.0}), ([1.0, 0.0], {2 * n_a + 1: 1.0}))
    ):
        weights[row, :2] = beta
        for place, weight in effects.items():
            weights[row, 2:] += weight * raw[place]
    joined = weights[:, :2] + weights[:, 2:] @ slope
    expected = joined @ found.beta_cov.to_numpy() @ joined.T
    expected += weights[:, 2:] @ np.linalg.solve(H, weights[:, 2:].T)
    found_sd = hr.contrasts(found, what)
    np.testing.assert_allclose(found_sd["sd"], np.sqrt(np.diag(expected)), rtol=1e-5)
    b = raw @ v
    np.testing.assert_allclose(found.b["a"], b[: 2 * n_a].reshape(-1, 2), atol=1e-5)
    np.testing.assert_allclose(found.b["c"][:, 0], b[2 * n_a :], atol=1e-5)


@pytest.mark.long
def test_a_variance_that_may_be_zero_mixes():
    _, tree = ticks()
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    for name in ("sd_BROOD", "sd_LOCATION", "sd_INDEX"):
        draws = tree["posterior"][name].to_numpy()[..., 0]
        # 196 of 4,000 in coordinates that are fixed at the mode.
        assert float(arviz_stats.ess(draws)) > 600, name
        assert float(arviz_stats.rhat(draws)) < 1.02
    assert float((tree["posterior"]["sd_LOCATION"] < 0.05).mean()) > 0.005


def test_reports_take_several_factors():
    model, tree = ticks()
    limit = tree["mixed_model_limit"]
    assert float(limit["criterion"]) == pytest.approx(LME4["ticks"][2], abs=2e-6)
    for factor, n in (("BROOD", 118), ("LOCATION", 63), ("INDEX", 403)):
        shrunk = hr.shrinkage(tree, factor=factor)
        assert shrunk.sizes[factor] == n
    assert "sd_LOCATION[Intercept]" in str(hr.summary(tree))
    assert hr.correlations(tree).sizes
    # Coefficients of a brood and of its location, beta + b each.
    what = {"both": {("BROOD", "501", "Intercept"): 1, ("LOCATION", "32", "Intercept"): 1}}
    p = tree["posterior"]
    draws = p["theta_BROOD"].sel(BROOD="501").to_numpy() + p["theta_LOCATION"].sel(LOCATION="32").to_numpy()
    assert float(hr.contrasts(tree, what)["mean"][0]) == pytest.approx(float(draws.mean()), rel=1e-9)
    # The plug-in differs by what the posterior averages over: less than half a standard deviation.
    plug_in = hr.contrasts(model.estimate(), what)
    assert float(plug_in["mean"][0]) == pytest.approx(float(draws.mean()), abs=0.5 * float(draws.std()))
    assert float(plug_in["sd"][0]) == pytest.approx(float(draws.std()), rel=0.15)


def test_groups_of_rows_are_about_the_rows():
    _, tree = ticks()
    d = data("ticks")
    log_likelihood = tree["log_likelihood"]["TICKS"].to_numpy()
    p = tree["posterior"]
    s = (2, 40)
    eta = p["beta"].sel(coef="Intercept").to_numpy()[s] + p["beta"].sel(coef="h").to_numpy()[s] * d["h"].to_numpy()
    for year in ("96", "97"):
        eta = eta + p["beta"].sel(coef=f"YEAR[T.{year}]").to_numpy()[s] * d["YEAR"].eq(year).to_numpy()
    for factor in ("BROOD", "LOCATION", "INDEX"):
        b = p[f"b_{factor}"].sel({factor: d[factor].astype(str).to_list()})
        eta = eta + b.to_numpy()[s][:, 0]
    y = d["TICKS"].to_numpy()
    np.testing.assert_allclose(log_likelihood[s], y * eta - np.exp(eta) - gammaln(y + 1), rtol=1e-9)
    replicated = tree["posterior_predictive"]["TICKS"]
    assert float(replicated.mean()) == pytest.approx(y.mean(), rel=0.1)
    assert np.isfinite(tree["prior_predictive"]["TICKS"]).all()


def test_describe_says_which_engine():
    model, _ = ticks()
    found = model.describe()
    assert (found.engine, found.n_groups, found.n_effects) == ("joint", 584, 584)
    assert "sampled together with the parameters: all 584 coefficients" in repr(found)
    assert model.describe(time=True).milliseconds > 0


def test_a_transport_without_what_factors_share_has_the_same_posterior(monkeypatch):
    formula, family = "cbind(incidence, size - incidence) ~ 1 + (1 | herd) + (1 | period)", hr.Binomial()
    model = hr.Model(formula, CBPP, family=family)
    one = model.sample(seed=2, progress=False)
    whole = draws.joint_target
    monkeypatch.setattr(draws, "joint_target", lambda *arguments: whole(*arguments, most_work=0.0))
    # Four periods: the intercept and their effects go together, and mix more slowly if the transport leaves that out.
    other = model.sample(draws=3000, seed=3, progress=False)
    names = ["beta", "sd_herd", "sd_period", "b_herd", "b_period"]
    assert_same_posterior(one["posterior"], other["posterior"], names)


def test_an_estimate_of_zero_is_said_to_be_one():
    rng = np.random.default_rng(5)
    d = pd.DataFrame({"a": np.repeat(list("stuvwxyz"), 12), "c": np.tile(list("pqrlmn"), 16)})
    d["y"] = rng.poisson(3.0, len(d))
    model = hr.Model("y ~ 1 + (1 | a) + (1 | c)", d, family=hr.Poisson())
    found = model.estimate()
    assert found.singular
    with pytest.warns(BoundaryWarning, match="the Laplace estimate is on the boundary"):
        tree = model.sample(seed=1, draws=500, progress=False)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0


REFUSED = {
    "quadrature": (lambda m: m.estimate("quadrature"), ["method='quadrature'", "one grouping factor", "laplace"]),
    "psis": (lambda m: m.sample(method="psis"), ["method='psis'", "too many", "method='nuts'"]),
    "nodes": (lambda m: m.estimate("laplace", nodes=3), ["nodes=3", "one node"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_in_words(name):
    call, words = REFUSED[name]
    model = hr.Model("incidence ~ 1 + (1 | herd) + (1 | period)", CBPP, family=hr.Poisson())
    with pytest.raises(ModelError) as caught:
        call(model)
    for word in words:
        assert word in str(caught.value)
