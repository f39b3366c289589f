"""Student t responses: exact posteriors, limits, invariances, modes, what is refused, and what follows the fit."""

import warnings
from dataclasses import replace
from functools import cache

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import hierreg as hr
from hierreg.exceptions import BoundaryWarning, ConvergenceWarning, DataError, ModelError, PriorError, SamplingError
from hierreg.model.family.joint import joint_target
from hierreg.model.family.starts import best_effects
from hierreg.response import StudentTResponse

QUIET = pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
OPTIONS = {"seed": 1, "progress": False}


@cache
def table(n_groups=9, rows=6):
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(n_groups), rows)
    x = rng.normal(size=len(g)) + 3.0
    b = rng.normal(size=(n_groups, 2)) * [0.8, 0.3]
    y = 4.0 + 0.6 * x + b[g, 0] + b[g, 1] * (x - 3.0) + 0.5 * rng.standard_t(3, len(g))
    s, w = np.resize(["a", "b"], len(g)), rng.integers(1, 4, len(g)).astype(float)
    return pd.DataFrame({"y": y, "x": x, "g": g, "s": s, "w": w, "o": 0.3 * rng.normal(size=len(g))})


# Integration of everything ------------------------------------------------------------------------------------------


def small():
    """Return six groups of four rows, one of which is far out."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(6), 4)
    y = (0.9 * rng.normal(size=6))[g] + 0.4 * rng.standard_t(4, 24)
    y[9] = 8.0
    return pd.DataFrame({"y": y, "g": g})


def exact(d, sds, scales, nus, of_nu, place=2):
    """Return grids and posterior weights (nu, scale, sd, beta), and the mean of the level of one group, on a grid.

    The priors are those of `PRIORS`, HalfNormal(1) of the scale, and the log densities `of_nu`.
    """
    beta = np.linspace(-3.0, 3.0, 49)
    level = np.linspace(-7.0, 11.0, 901)
    between = stats.norm.pdf(level, beta[:, None], sds[:, None, None]) * (level[1] - level[0])
    prior = stats.norm.logpdf(beta, 0, 2) + stats.halfnorm.logpdf(sds)[:, None]
    log_p, mean = np.empty((2, len(nus), len(scales), len(sds), len(beta)))
    for i, nu in enumerate(nus):
        for k, scale in enumerate(scales):
            rows = stats.t.logpdf(d["y"].to_numpy()[:, None], nu, level, scale)
            groups = np.stack([rows[d["g"] == j].sum(0) for j in range(6)])
            top = groups.max(axis=1, keepdims=True)
            of_groups = np.exp(groups - top)
            found = np.maximum(np.einsum("jm,sbm->jsb", of_groups, between, optimize=True), 1e-300)
            mean[i, k] = (between @ (of_groups[place] * level)) / found[place]
            log_p[i, k] = np.log(found).sum(0) + top.sum() + prior + stats.halfnorm.logpdf(scale) + of_nu[i]
    weight = np.exp(log_p - log_p.max())
    return {"nu": nus, "error_scale": scales, "sd_g": sds, "beta": beta}, weight / weight.sum(), mean


PRIORS = hr.Priors(beta=hr.Normal(0, 2), sd={"g": hr.HalfNormal(1)})


@QUIET
@pytest.mark.parametrize("is_known", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["nu known", "nu free"])
def test_the_posterior_is_that_of_brute_force(is_known):
    d = small()
    nus = np.array([4.0]) if is_known else 2.0 + np.exp(np.linspace(-7.0, 4.8, 48))
    of_nu = np.zeros(1) if is_known else stats.gamma.logpdf(nus, 2, scale=10) + np.log(nus - 2.0)
    sds, scales = np.linspace(0.04, 3.6, 45), np.linspace(0.06, 1.8, 45)
    grids, weight, of_group = exact(d, sds, scales, nus, of_nu)
    family = hr.StudentT(4 if is_known else None, error_scale=hr.HalfNormal(1))
    tree = hr.Model("y ~ 1 + (1 | g)", d, family=family, priors=PRIORS).sample(draws=3000, **OPTIONS)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    posterior = tree["posterior"]
    for axis, (name, grid) in enumerate(grids.items()):
        if len(grid) == 1:
            continue
        # Degrees of freedom as their grid is even.
        change = (lambda x: np.log(x - 2.0)) if name == "nu" else (lambda x: x)
        at, draws = change(grid), change(posterior[name].to_numpy().reshape(4, -1))
        share = weight.sum(axis=tuple(a for a in range(4) if a != axis))
        mean = share @ at
        assert_near(draws, "mean", mean)
        assert_near(draws, "sd", np.sqrt(share @ (at - mean) ** 2))
        # Each point of a grid stands for an interval around it.
        cdf = np.concatenate([[0.0], np.cumsum(share)])
        edges = np.concatenate([[at[0]], 0.5 * (at[1:] + at[:-1]), [at[-1]]])
        for prob in (0.05, 0.95):
            assert_near(draws, "quantile", np.interp(prob, cdf, edges), prob=prob)
    level = (posterior["beta"].to_numpy()[..., 0] + posterior["b_g"].to_numpy()[..., 2, 0]).reshape(4, -1)
    assert_near(level, "mean", np.sum(weight * of_group))


def assert_near(draws, method, expected, errors=4.5, **kwargs):
    value = {"mean": np.mean, "sd": np.std}.get(method, lambda x: np.quantile(x, kwargs.get("prob")))(draws)
    error = float(arviz_stats.mcse(draws, method=method, **kwargs))
    assert value == pytest.approx(expected, abs=errors * error + 1e-3), (method, kwargs)


@QUIET
def test_groups_with_two_modes_are_sampled_in_both():
    """Two rows of a group say zero, two say 2.5: its effect may be either, and every chain sees both."""
    y = np.array([0.0, 0.1, 2.4, 2.5, 0.3, -0.2, 0.1, 0.2, 0.1, 2.0, 2.2, 2.1])
    d = pd.DataFrame({"y": y, "g": np.repeat(np.arange(3), 4)})
    priors = hr.Priors(beta=hr.Fixed(1.0), sd={"g": hr.Fixed(2.0)})
    model = hr.Model("y ~ 1 + (1 | g)", d, family=hr.StudentT(3, error_scale=0.25), priors=priors)
    tree = model.sample(draws=2000, **OPTIONS)
    level = np.linspace(-9, 11, 4001)
    for j in range(3):
        rows = stats.t.logpdf(y[4 * j : 4 * j + 4, None], 3, level, 0.25).sum(0) + stats.norm.logpdf(level, 1, 2)
        share = np.exp(rows - rows.max())
        share /= share.sum()
        draws = 1.0 + tree["posterior"]["b_g"].to_numpy()[..., j, 0]
        assert_near(draws, "mean", share @ level)
        assert_near((draws > 1.2).astype(float), "mean", share[level > 1.2].sum())
        for chain in draws if j == 0 else []:
            assert 0.2 < np.mean(chain > 1.2) < 0.8


# Of 3.0 chains of some seeds disagree, and all chains of others stay in the higher mode.
@pytest.mark.parametrize(("far", "seed"), [(1.2, 1), (3.0, 1), (3.0, 2), (3.0, 3), (6.0, 1)])
def test_chains_that_stay_in_one_of_two_modes_are_said(far, seed):
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(20), 10)
    y = (3 * rng.normal(size=20))[g] + 0.3 * rng.standard_t(4, 200)
    y[:10] = np.repeat([0.0, far], 5) + 0.3 * rng.normal(size=10)
    two = hr.Model("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g}), family=hr.StudentT(3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        two.sample(draws=500, **OPTIONS | {"seed": seed})
    said = [str(one.message) for one in caught if "two things" in str(one.message)]
    assert len(said) == (far > 2.0)
    assert all("g 0" in one for one in said)


# Limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | s)", "y ~ x"])
def test_many_degrees_of_freedom_are_normal_errors(formula):
    t = hr.Model(formula, table(), family=hr.StudentT(1e9)).estimate()
    normal = hr.Model(formula, table()).estimate("ml")
    assert t.converged
    assert t.criterion == pytest.approx(normal.criterion, abs=1e-5)
    np.testing.assert_allclose(t.beta, normal.beta, rtol=1e-5, atol=1e-6)
    assert float(t.auxiliary["error_scale"]) == pytest.approx(float(normal.error_sd), rel=1e-5)
    for factor, sd in normal.sd.items():
        np.testing.assert_allclose(t.sd[factor], sd, rtol=1e-4, atol=1e-5)


@QUIET
def test_many_degrees_of_freedom_have_the_posterior_of_normal_errors():
    options = OPTIONS | {"draws": 1500}
    t = hr.Model("y ~ x + (1 | g)", table(), family=hr.StudentT(1e6)).sample(**options)["posterior"]
    normal = hr.Model("y ~ x + (1 | g)", table()).sample(**options)["posterior"]
    for name, same in (("beta", "beta"), ("sd_g", "sd_g"), ("error_scale", "error_sd"), ("b_g", "b_g")):
        one, other = (p.to_numpy().reshape(4, 1500, -1) for p in (t[name], normal[same]))
        for k in range(one.shape[2]):
            for method, kwargs in (("mean", {}), ("quantile", {"prob": 0.05}), ("quantile", {"prob": 0.95})):
                assert_alike(one[..., k], other[..., k], method, **kwargs)


def assert_alike(a, c, method, errors=4.5, **kwargs):
    values = [np.mean(x) if method == "mean" else np.quantile(x, kwargs["prob"]) for x in (a, c)]
    error = np.hypot(*(float(arviz_stats.mcse(x, method=method, **kwargs)) for x in (a, c)))
    assert values[0] == pytest.approx(values[1], abs=errors * error)


# Invariances ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | s)"])
@pytest.mark.parametrize(("unit", "zero"), [(1e6, 0.0), (1e-6, 0.0), (1.0, -2000.0), (3.7, 100.0)])
def test_the_posterior_does_not_depend_on_unit_and_zero_of_the_response(formula, unit, zero):
    families = [hr.StudentT(by="w", error_scale=None)] * 2
    problems = [
        hr.Model(formula, d, family=family).problem
        for d, family in zip((table(), table().assign(y=unit * table()["y"] + zero)), families, strict=True)
    ]
    first, second = (problem.target(1) for problem in problems)
    rng = np.random.default_rng(2)
    psi = 0.2 * rng.normal(size=first.n)
    psi[first.parameters.n_free] += 5.0
    n_sd = int(first.parameters.sd_is_free.sum())

    def moved(point):
        u, phi, w = (part.copy() for part in first.split(point))
        u[:n_sd] += np.log(unit)
        phi *= unit
        phi[0] += zero
        is_scale = np.array([name.startswith("error_scale") for name in problems[0].auxiliary.free_names])
        return np.concatenate([u, phi, w + np.where(is_scale, np.log(unit), 0.0)])

    # A density of N rows and of p coefficients in another unit.
    constant = -(len(table()) + len(problems[0].free)) * np.log(unit)
    size = 1.0 + abs(first(psi)[0])
    assert second(moved(psi))[0] - first(psi)[0] == pytest.approx(constant, abs=1e-8 * size)
    # All effects, transported by working models of the same point.
    one, other = (
        joint_target(problem, target, at)
        for problem, target, at in zip(problems, (first, second), (psi, moved(psi)), strict=True)
    )
    x = rng.normal(size=problems[0].n_effects)
    there = psi + 0.1 * rng.normal(size=len(psi))
    values = one(np.concatenate([there, x]))[0], other(np.concatenate([moved(there), x]))[0]
    assert values[1] - values[0] == pytest.approx(constant, abs=1e-8 * size)


@QUIET
@pytest.mark.parametrize(("unit", "zero"), [(1e7, 0.0), (1e-7, 0.0), (1.0, 1e5)])
def test_estimates_and_draws_follow_the_unit(unit, zero):
    moved = table().assign(y=unit * table()["y"] + zero)
    one, other = (hr.Model("y ~ x + (x | g)", d, family=hr.StudentT()) for d in (table(), moved))
    est, same = one.estimate(), other.estimate()
    assert same.converged
    assert same.criterion - est.criterion == pytest.approx(2 * len(table()) * np.log(unit), abs=1e-5)
    np.testing.assert_allclose(same.sd["g"], unit * est.sd["g"], rtol=1e-3)
    np.testing.assert_allclose(same.beta_se, unit * est.beta_se, rtol=1e-3)
    summaries = [hr.summary(model.sample(draws=300, **OPTIONS)) for model in (one, other)]
    means = [dict(zip(s["parameter"].values, s["mean"].values, strict=True)) for s in summaries]
    sds = dict(zip(summaries[0]["parameter"].values, summaries[0]["sd"].values, strict=True))
    for name in ("beta[x]", "sd_g[Intercept]", "sd_g[x]", "error_scale"):
        assert means[1][name] / unit == pytest.approx(means[0][name], abs=0.25 * sds[name])
    assert means[1]["nu"] == pytest.approx(means[0]["nu"], rel=0.3)


# Modes ----------------------------------------------------------------------------------------------------------------


@QUIET
@pytest.mark.parametrize("far", [3.0, 10.0, 300.0])
def test_no_estimate_is_worse_than_another(far):
    """Least squares lie between two clusters; the likelihood is highest in the narrow one."""
    rng = np.random.default_rng(4)
    y = np.concatenate([0.1 * rng.normal(size=13), far + 0.3 * far * rng.normal(size=11)])
    est = hr.Model("y ~ 1", pd.DataFrame({"y": y}), family=hr.StudentT(2.5)).estimate()

    def minus(x):
        return -2 * stats.t.logpdf(y, 2.5, x[0], np.exp(x[1])).sum()

    grid = [(m, s) for m in np.linspace(-1, 2 * far, 41) for s in np.linspace(-4, np.log(2 * far), 12)]
    best = min(grid, key=minus)
    lowest = optimize.minimize(minus, best, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-9}).fun
    assert est.criterion <= lowest + 1e-5


def test_effects_are_at_their_highest_mode():
    """Four rows at zero and three at six: from quantiles of residuals the higher of two modes is found."""
    y = np.concatenate([[0.0, 0.1, -0.1, 0.05, 6.0, 6.1, 5.9], [6.0, 6.1, 5.9, 6.05, 0.0, 0.1, -0.1]])
    d = pd.DataFrame({"y": y, "g": np.repeat([0, 1], 7)})
    problem = hr.Model("y ~ 1 + (1 | g)", d, family=hr.StudentT(2.5)).problem
    target = problem.target(1)
    phi, Lambda, auxiliary = np.array([3.0]), np.array([[4.0]]), np.array([[0.3, 2.5]])
    for engine in ("joint", "quadrature"):
        likelihood = replace(problem, engine=engine).likelihood(1)
        (v,) = best_effects(problem, likelihood, phi, Lambda, auxiliary)
        grid = np.linspace(-2, 2, 8001)
        for j in range(2):
            f = stats.t.logpdf(y[7 * j : 7 * j + 7, None], 2.5, 3.0 + 4.0 * grid, 0.3).sum(0) - 0.5 * grid**2
            assert v[j, 0] == pytest.approx(grid[np.argmax(f)], abs=1e-3)
    assert target.n == 3


def test_outlying_rows_pull_less_the_farther_they_are():
    """The estimate with a row that is far out tends to the one without it."""
    d = table()[["y", "x", "g"]].copy()
    without = hr.Model("y ~ x + (1 | g)", d.drop(index=20), family=hr.StudentT(4)).estimate()
    moves = []
    for size in (10.0, 1e3, 1e5):
        d.loc[20, "y"] = size
        with_it = hr.Model("y ~ x + (1 | g)", d, family=hr.StudentT(4)).estimate()
        moves.append(float(np.max(np.abs(with_it.beta - without.beta) / without.beta_se)))
    # It counts in the scale, as one row however far it is.
    assert moves[2] < 0.5
    assert moves[2] == pytest.approx(moves[1], abs=0.01)


# Refusals -------------------------------------------------------------------------------------------------------------

COUNTS = pd.DataFrame({"y": np.concatenate([np.zeros(16), np.arange(1.0, 8.0)]), "g": np.resize(np.arange(4), 23)})
LINE = pd.DataFrame({"x": np.arange(20.0), "g": np.repeat(np.arange(4), 5)}).assign(
    y=lambda d: np.where(d.index % 7 == 3, 40.0 + d["x"] ** 2, 3.0 + 2.0 * d["x"] + d["g"])
)
REFUSED = {
    "degrees of freedom": (lambda: hr.StudentT(0.5), PriorError, ["nu=0.5", "above 1"]),
    "text": (lambda: model("s ~ 1"), DataError, ["text or categories", "takes numbers"]),
    "constant": (lambda: model("c ~ 1", table().assign(c=2.5)), DataError, ["`c`", "2.5 in every row"]),
    "scale": (lambda: hr.Model("y ~ x", table(), family=hr.StudentT(error_scale=-1.0)), PriorError, ["error_scale"]),
    "effects": (
        lambda: hr.Model("y ~ x + (1 | g)", table(), effects={"g": hr.StudentT(error_scale=1.0)}),
        ModelError,
        ["error_scale=1.0", "of responses"],
    ),
    "both": (
        lambda: hr.Model("y ~ x + (1 | g)", table(), effects={"g": hr.StudentT()}, family=hr.StudentT()),
        ModelError,
        ["Leave one of the two out"],
    ),
    "trials": (lambda: hr.Model("y ~ x", table(), family=hr.StudentT(), trials="w"), ModelError, ["trials"]),
    "equal responses": (
        lambda: model("y ~ 1", COUNTS).estimate(),
        DataError,
        ["16 of 23 rows", "fitted exactly", "error_scale goes to zero"],
    ),
    "equal responses, sampled": (lambda: model("y ~ 1 + (1 | g)", COUNTS).sample(**OPTIONS), DataError, ["16 of 23"]),
    "a formula": (lambda: model("y ~ x + (1 | g)", LINE).estimate(), DataError, ["17 of 20 rows", "exactly"]),
    "in a stratum": (
        lambda: hr.Model("y ~ 1", strata(), family=hr.StudentT(by="s")).estimate(),
        DataError,
        ["20 of 20 rows of stratum a"],
    ),
    "marginal PyMC model": (lambda: model("y ~ x + (1 | g)").to_pymc(), ModelError, ["'noncentered'"]),
    "REML": (lambda: model("y ~ x + (1 | g)").estimate("reml"), ModelError, ["'laplace'"]),
    "quadrature of two factors": (
        lambda: model("y ~ x + (1 | g) + (1 | s)").estimate("quadrature"),
        ModelError,
        ["one grouping factor"],
    ),
    "weights of rows of another family": (
        lambda: hr.row_weights(hr.Model("y ~ x + (1 | g)", table()).sample(draws=20, chains=2, seed=1, progress=False)),
        ModelError,
        ["hr.StudentT()"],
    ),
    "degrees of freedom of the command line": (
        lambda: hr.Model("y ~ x + (1 | g)", table(), family=StudentTResponse(nu=hr.Fixed(1.0))),
        PriorError,
        ["above 1"],
    ),
}


def model(formula, d=None):
    return hr.Model(formula, table() if d is None else d, family=hr.StudentT())


def strata():
    rng = np.random.default_rng(1)
    return pd.DataFrame({"y": np.concatenate([np.full(20, 3.0), rng.normal(3, 1, 30)]), "s": ["a"] * 20 + ["b"] * 30})


@QUIET
@pytest.mark.parametrize(("action", "exception", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(action, exception, words):
    with pytest.raises(exception) as caught:
        action()
    for word in words:
        assert word in str(caught.value)


@QUIET
def test_the_density_is_unbounded_where_it_is_refused_and_not_elsewhere():
    """s^(nu (n - m) - m) at the fit of m of n = 23 rows, with nu = 3: without bound from m = 18 on."""
    for m, is_refused in ((16, False), (17, False), (18, True)):
        y = np.concatenate([np.zeros(m), np.arange(1.0, 24.0 - m)])
        d = pd.DataFrame({"y": y})
        low, lower = (stats.t.logpdf(y, 3, 0.0, np.exp(at)).sum() for at in (-40.0, -60.0))
        assert (lower - low) / 20 == pytest.approx(m - 3 * (23 - m), abs=1e-6)
        assert bool(lower > low) is is_refused
        if is_refused:
            with pytest.raises(DataError, match="fitted exactly"):
                hr.Model("y ~ 1", d, family=hr.StudentT(3)).estimate()
        else:
            assert np.isfinite(hr.Model("y ~ 1", d, family=hr.StudentT(3)).estimate().criterion)
    # The scale may be known, or more degrees of freedom ask for more rows.
    for family in (hr.StudentT(3, error_scale=0.5), hr.StudentT(20)):
        assert np.isfinite(hr.Model("y ~ 1", d, family=family).estimate().criterion)


# What follows the fit -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    d = table().copy()
    d.loc[20, "y"] += 15.0
    robust = hr.Model("y ~ x + (1 | g)", d, family=hr.StudentT(), weights="w", offset="o")
    include = ["prior", "prior_predictive", "posterior_predictive", "log_likelihood"]
    with warnings.catch_warnings():
        # The estimate of nu may be two.
        warnings.simplefilter("ignore", BoundaryWarning)
        return robust, robust.sample(draws=500, include=include, **OPTIONS)


def test_rows_far_out_have_little_weight(drawn):
    robust, tree = drawn
    found = hr.row_weights(tree, robust)
    posterior = tree["posterior"]
    eta = robust.problem.offset + posterior["beta"].to_numpy() @ robust.problem.design.X.T
    eta += posterior["b_g"].to_numpy()[..., robust.problem.index, 0]
    scale, nu = (posterior[name].to_numpy()[..., None] for name in ("error_scale", "nu"))
    weight = (nu + 1) / (nu + ((robust.problem.observed.y - eta) / scale) ** 2)
    np.testing.assert_allclose(found["weight"], weight.mean((0, 1)), rtol=1e-10)
    np.testing.assert_allclose(found["upper"], np.quantile(weight, 0.975, (0, 1)), rtol=1e-10)
    np.testing.assert_allclose(found["fitted"], eta.mean((0, 1)), rtol=1e-10)
    assert int(found["weight"].to_numpy().argmin()) == 20
    assert float(found["weight"][20]) < 0.05
    assert 0.8 < float(found["weight"].mean()) < 1.1
    text = repr(found)
    assert "Rows, those that count least first" in text
    assert "... 44 more" in text
    assert text.split("\n")[4].split()[0] == "20"
    assert found.to_markdown().count("\n") > 54
    # The model that the tree carries is the same.
    np.testing.assert_array_equal(hr.row_weights(tree)["weight"], found["weight"])


def test_a_factor_may_be_called_like_a_parameter():
    robust = model("y ~ x + (1 | nu)", table().assign(nu=table()["g"]))
    tree = hr.prior_predictive(robust, draws=3, seed=1)
    assert tree["prior"]["nu"].dims == ("chain", "draw")
    assert tree["prior"]["b_nu"].dims == ("chain", "draw", "nu_", "nu__coef")


@QUIET
def test_the_share_of_variance_at_the_estimate_and_where_errors_have_none():
    one = hr.Model("y ~ x + (1 | g)", table(), family=hr.StudentT(4))
    tree = one.sample(draws=20, tune=20, chains=1, **OPTIONS)
    est = one.estimate("laplace")
    between, scale = float(est.sd["g"][0]) ** 2, float(est.auxiliary["error_scale"])
    found = hr.correlations(tree).sel(correlation="g[Intercept]")["reml"]
    assert float(found) == pytest.approx(between / (between + scale**2 * 4 / (4 - 2)), rel=1e-6)
    few = hr.Model("y ~ x + (1 | g)", table(), family=hr.StudentT(1.9)).sample(draws=20, tune=20, chains=1, **OPTIONS)
    text = str(hr.correlations(few))
    assert "g[Intercept]" not in text
    assert "at most 2 degrees of freedom errors have no variance" in text


def test_reports_and_files(drawn, tmp_path):
    robust, tree = drawn
    tree = hr.load(hr.save(tree, tmp_path / "robust.nc"))
    summary = hr.summary(tree)
    names = [str(name) for name in summary["parameter"].values]
    assert names[-2:] == ["error_scale", "nu"]
    assert "family StudentT" in summary.text()
    assert float(summary["mean"][names.index("nu")]) > 2
    assert "error_scale" in str(robust.priors)
    assert "nu > 2" in str(robust.priors)
    weights = hr.shrinkage(tree)["weight"].to_numpy()
    assert np.all((weights > 0) & (weights < 1))
    sd, scale, nu = (tree["posterior"][name].to_numpy().reshape(4, -1) for name in ("sd_g", "error_scale", "nu"))
    share = hr.correlations(tree).sel(correlation="g[Intercept]")["mean"]
    assert float(share) == pytest.approx(np.mean(sd**2 / (sd**2 + scale**2 * nu / (nu - 2))), rel=1e-10)
    assert hr.contrasts(tree, {"c": {"x": 1.0}})["mean"] == pytest.approx(float(summary["mean"][1]))
    assert "sampled together" in repr(robust.describe())
    assert "estimates: adaptive Gauss-Hermite quadrature" in repr(robust.describe())
    assert "StudentT" in repr(robust)
    assert float(hr.row_weights(tree, robust)["weight"].min()) < 0.05


def test_replicates_predictions_and_log_densities(drawn):
    robust, tree = drawn
    problem, posterior = robust.problem, tree["posterior"]
    eta = problem.offset + posterior["beta"].to_numpy() @ problem.design.X.T
    eta += posterior["b_g"].to_numpy()[..., problem.index, 0]
    scale, nu = (posterior[name].to_numpy()[..., None] for name in ("error_scale", "nu"))
    expected = problem.weights * stats.t.logpdf(problem.observed.y, nu, eta, scale)
    np.testing.assert_allclose(tree["log_likelihood"]["y"], expected, rtol=1e-9, atol=1e-9)
    pit = stats.t.cdf(tree["posterior_predictive"]["y"], nu, eta, scale)
    assert stats.kstest(pit[:, ::10].ravel(), "uniform").pvalue > 1e-3
    assert float(tree["prior"]["nu"].min()) > 2.0
    assert np.isfinite(tree["prior_predictive"]["y"]).all()
    new = {"x": [3.0, 2.0], "g": [1, 4], "o": [0.0, 1.0]}
    link, response = (hr.predict(robust, new, at=tree, scale=scale) for scale in ("link", "response"))
    np.testing.assert_allclose(link["mean"], response["mean"], rtol=1e-12)
    b = posterior["b_g"].to_numpy()[..., [1, 4], 0]
    mean = (posterior["beta"].to_numpy() @ np.array([[1.0, 1.0], [3.0, 2.0]]) + b).mean((0, 1)) + np.arange(2.0)
    np.testing.assert_allclose(link["mean"], mean, rtol=1e-10)
    at_point = hr.predict(robust, new, at=robust.estimate())
    np.testing.assert_allclose(at_point["mean"], mean, atol=0.2)


@QUIET
def test_strata_have_a_scale_each_and_one_nu():
    by = hr.Model("y ~ x + (1 | g)", table(), family=hr.StudentT(by="s", error_scale=hr.HalfNormal(2)))
    assert by.problem.auxiliary.free_names == ("error_scale[a]", "nu", "error_scale[b]")
    est = by.estimate()
    assert est.auxiliary["error_scale"].dims == ("stratum",)
    assert est.auxiliary["nu"].dims == ()
    tree = by.sample(draws=200, chains=2, include=["prior"], **OPTIONS)
    assert tree["posterior"]["error_scale"].dims == ("chain", "draw", "stratum")
    assert tree["posterior"]["nu"].dims == ("chain", "draw")
    assert float(tree["prior"]["nu"].min()) > 2.0
    assert hr.predict(by, {"x": [3.0], "g": [1], "s": ["b"]}, at=tree).sizes
    found = hr.row_weights(tree, by)
    assert np.all(found["lower"] <= found["weight"])


@QUIET
def test_quadrature_is_there_on_request():
    one = hr.Model("y ~ x + (1 | g)", table(), family=hr.StudentT(4))
    laplace, quadrature = one.estimate("laplace"), one.estimate("quadrature", nodes=15)
    assert quadrature.n_nodes == 15
    # The exact likelihood at its maximum, by a grid.
    problem = one.problem
    phi = problem.priors.beta_basis @ quadrature.beta.to_numpy()
    sd, scale = float(quadrature.sd["g"][0]), float(quadrature.auxiliary["error_scale"])
    b = np.linspace(-8 * sd, 8 * sd, 2001)
    base = problem.X[:, problem.free] @ phi
    rows = stats.t.logpdf(problem.observed.y[:, None], 4, base[:, None] + b, scale)
    groups = np.stack([rows[problem.index == j].sum(0) for j in range(problem.n_groups)])
    total = special.logsumexp(groups + stats.norm.logpdf(b, 0, sd) + np.log(b[1] - b[0]), axis=1).sum()
    assert quadrature.criterion == pytest.approx(-2 * total, abs=1e-3)
    assert laplace.criterion == pytest.approx(-2 * total, abs=1.0)
    by_nuts = one.sample(draws=800, **OPTIONS)
    by_psis = one.sample(draws=800, method="psis", **OPTIONS)
    assert (by_nuts.attrs["engine"], by_psis.attrs["engine"]) == ("joint", "quadrature")
    for name in ("beta", "sd_g", "error_scale"):
        a, c = (tree["posterior"][name] for tree in (by_nuts, by_psis))
        error = 5 * a.std(("chain", "draw")) / np.sqrt(1000)
        assert np.all(np.abs(a.mean(("chain", "draw")) - c.mean(("chain", "draw"))) < error)


@QUIET
def test_quadrature_that_is_not_good_is_refused():
    """Eight groups say zero or six, two say both."""
    y = np.concatenate([np.zeros(16), np.full(16, 6.0), np.tile([0.0, 0.0, 6.0, 6.0], 2)])
    y += 0.1 * np.random.default_rng(1).normal(size=40)
    d = pd.DataFrame({"y": y, "g": np.repeat(np.arange(10), 4)})
    two = hr.Model("y ~ 1 + (1 | g)", d, family=hr.StudentT(3))
    with pytest.raises(SamplingError, match=r"g [89]: its effects have two modes"):
        two.sample(method="psis", **OPTIONS)
    with pytest.warns(ConvergenceWarning, match="two modes"):
        two.estimate("quadrature")


@pytest.mark.parametrize("family", [hr.StudentT(4), hr.StudentT(by="s")], ids=str)
def test_pymc_has_the_same_density(family):
    """Of rows, and of degrees of freedom above their bound."""
    one = hr.Model("y ~ x + (1 | g)", table(), family=family)
    problem, pymc_model = one.problem, one.to_pymc("noncentered")
    rng = np.random.default_rng(1)
    point = {name: 0.2 * rng.normal(size=np.shape(v)) for name, v in pymc_model.initial_point().items()}
    scales = ["error_scale"] if family.by is None else ["error_scale_a", "error_scale_b"]
    wanted = ["beta", "b_g", "nu", *scales]
    outputs = pymc_model.replace_rvs_by_values([pymc_model[name] for name in wanted])
    function = pymc_model.compile_fn(
        outputs, inputs=pymc_model.value_vars, on_unused_input="ignore", mode="FAST_COMPILE"
    )
    values = dict(zip(wanted, function(point), strict=True))
    eta = problem.design.X @ values["beta"] + values["b_g"][problem.index, 0]
    auxiliary = np.array([[values[name], values["nu"]] for name in scales], dtype=float)
    ours = problem.likelihood(1).row_densities(eta, auxiliary).sum()
    theirs = pymc_model.compile_logp(vars=pymc_model.observed_RVs, jacobian=False)(point)
    assert float(theirs) == pytest.approx(float(ours), rel=1e-9)
    if family.by is not None:
        w = problem.auxiliary.unconstrained(auxiliary)
        of_priors = pymc_model.compile_logp(
            vars=[*(pymc_model[name] for name in (*scales, "nu_above_2")), *pymc_model.potentials]
        )(point)
        assert float(of_priors) == pytest.approx(problem.auxiliary.log_prior(w)[0], rel=1e-9)
        assert values["nu"] > 2.0


@pytest.mark.slow
@QUIET
def test_pymc_has_the_same_posterior():
    import pymc as pm

    one = hr.Model("y ~ x + (1 | g)", table(), family=hr.StudentT())
    ours = one.sample(draws=2000, **OPTIONS)["posterior"]
    with one.to_pymc("noncentered"):
        theirs = pm.sample(
            2000, tune=2000, chains=4, cores=1, random_seed=3, progressbar=False, target_accept=0.95
        ).posterior
    for name in ("beta", "sd_g", "error_scale", "nu", "b_g"):
        a, c = (p[name].to_numpy().reshape(4, 2000, -1) for p in (ours, theirs))
        for k in range(a.shape[2]):
            for method, kwargs in (("mean", {}), ("quantile", {"prob": 0.05}), ("quantile", {"prob": 0.95})):
                assert_alike(a[..., k], c[..., k], method, **kwargs)
