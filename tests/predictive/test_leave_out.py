"""Leave-one-out of groups: against dense normal densities, and against fits without a group."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import hierreg as hr
from hierreg.exceptions import ConvergenceWarning
from hierreg.predictive.leave_out import left_out_densities

BETA = {"Intercept": hr.Normal(1.0, 2.0), "x": hr.Normal(-0.5, 1.5)}
PRIORS = hr.Priors(beta=BETA)
ALL_PRIORS = hr.Priors(beta=BETA, sd={"g": hr.HalfNormal(1)}, error_sd=hr.HalfNormal(1))
FORMULA = "y ~ x + (x | g)"
J, SIZE = 7, 5


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(J), SIZE)[: J * SIZE - 2]
    x = rng.standard_normal(len(g))
    b = rng.standard_normal((2, J)) * [[1.0], [0.5]]
    out = pd.DataFrame({"x": x, "g": [f"g{j}" for j in g], "d": np.where(np.arange(len(g)) % 2 == 0, "a", "b")})
    out["u"] = np.arange(len(g)) // 2
    out["se"] = rng.uniform(0.3, 0.9, len(g))
    out["y"] = 1.0 + 0.7 * x + b[0, g] + b[1, g] * x + 0.6 * rng.standard_normal(len(g))
    out["half"] = np.where(np.arange(len(g)) < len(g) // 2, 1, 2)
    return out


def sampled(formula, data, *, draws, seed=1, chains=4, **arguments):
    """Return a posterior, whatever is said of estimates on the boundary and of few draws."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hr.Model(formula, data, **arguments).sample(draws=draws, chains=chains, seed=seed, progress=False)


def known(table):
    n = len(table)
    root = np.tril(np.random.default_rng(5).normal(size=(n, n))) * 0.1 + 0.5 * np.eye(n)
    return root @ root.T


def residual_covariance(kind, table, draw):
    """Return R (N, N) at a draw of the posterior."""
    n, sd = len(table), np.atleast_1d(draw["error_sd"].to_numpy()) if "error_sd" in draw else None
    if kind == "known_cov":
        return known(table)
    if kind == "known_se":
        return np.diag(table["se"].to_numpy() ** 2)
    d = (table["d"] == "b").to_numpy().astype(int)
    own = sd[d] if len(sd) > 1 else np.full(n, sd[0])
    R = np.diag(own**2)
    if kind == "correlated":
        rho, u = float(draw["error_corr"].to_numpy().ravel()[0]), table["u"].to_numpy()
        for i in range(n):
            for k in range(n):
                if i != k and u[i] == u[k]:
                    R[i, k] = rho * own[i] * own[k]
    return R


ERRORS = {
    "independent": lambda _: None,
    "by": lambda _: hr.by("d"),
    "correlated": lambda _: hr.correlated("d", unit="u"),
    "known_se": lambda _: hr.known_se("se"),
    "known_cov": lambda table: hr.known_cov(known(table)),
}


@pytest.mark.parametrize("by", ["g", "half"])
@pytest.mark.parametrize("kind", ERRORS)
def test_densities_are_those_of_dense_normals(kind, by, table):
    arguments = {"errors": ERRORS[kind](table), "priors": PRIORS}
    tree = sampled(FORMULA, table, draws=20, chains=2, **arguments)
    found = left_out_densities(tree, by, hr.Model(FORMULA, table, **arguments), 4)
    assert found.sizes == {"chain": 2, "draw": 4, by: len(set(table[by]))}
    X = np.column_stack([np.ones(len(table)), table["x"]])
    mean, prior = X @ [1.0, -0.5], X @ np.diag([4.0, 2.25]) @ X.T
    same = table["g"].to_numpy()[:, None] == table["g"].to_numpy()
    for chain, draw in ((0, 0), (1, 3)):
        one = tree["posterior"].to_dataset().isel(chain=chain, draw=int(found["draw"][draw]))
        sd, corr = one["sd_g"].to_numpy(), float(one["corr_g"].to_numpy()[0])
        Sigma = np.outer(sd, sd) * [[1.0, corr], [corr, 1.0]]
        V = prior + np.where(same, X @ Sigma @ X.T, 0.0) + residual_covariance(kind, table, one)
        whole = multivariate_normal(mean, V).logpdf(table["y"])
        for label in found[by].to_numpy():
            rest = (table[by] != label).to_numpy()
            part = multivariate_normal(mean[rest], V[np.ix_(rest, rest)]).logpdf(table["y"][rest])
            value = float(found.isel(chain=chain, draw=draw).sel({by: label}))
            assert value == pytest.approx(whole - part, abs=1e-8)


def test_they_are_what_a_fit_without_the_group_predicts(table):
    model = hr.Model(FORMULA, table, priors=ALL_PRIORS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = hr.loo(sampled(FORMULA, table, draws=2000, priors=ALL_PRIORS), by="g")
    for label in ("g0", "g4"):
        assert float(found.pareto_k.sel(g=label)) < 0.7
        rest = table[table["g"] != label]
        without = sampled(FORMULA, rest, draws=2000, seed=2, priors=ALL_PRIORS)
        log_p = left_out_densities_at(model, without, label)
        exact = np.logaddexp.reduce(log_p) - np.log(len(log_p))
        p = np.exp(log_p - log_p.max())
        error = p.std() / p.mean() / np.sqrt(len(p))
        assert float(found.elpd_i.sel(g=label)) == pytest.approx(exact, abs=6 * error + 0.05)


def left_out_densities_at(model, tree, label):
    """Return log p(y_j | y_-j, u) at the draws of a fit without group j."""
    from hierreg.predictive.leave_out import _density_of
    from hierreg.predictive.recovered import covariances_of
    from hierreg.results.pairs import as_matrices

    problem = model.problem
    cov = covariances_of(problem, as_matrices(tree["posterior"].to_dataset()))
    index, levels = problem.design.factors[0].index, problem.design.factors[0].levels
    every, rest = np.arange(len(index)), np.flatnonzero(index != levels.index(label))
    return _density_of(problem, every, cov, "") - _density_of(problem, rest, cov, "")


def test_rows_are_left_out_as_arviz_does(table):
    from arviz_stats.loo import loo

    tree = sampled(FORMULA, table, draws=500, priors=PRIORS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, expected = hr.loo(tree), loo(hr.log_likelihood(tree), pointwise=True)
    np.testing.assert_array_equal(found.elpd_i, expected.elpd_i)


def test_results_compare_and_come_from_files(table, tmp_path):
    import arviz_stats

    trees = [sampled(formula, table, draws=500) for formula in (FORMULA, "y ~ 1 + (1 | g)")]
    kept = hr.load(hr.save(trees[0], tmp_path / "kept.nc"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [hr.loo(tree, by="g") for tree in trees]
        np.testing.assert_array_equal(hr.loo(kept, by="g").elpd_i, found[0].elpd_i)
    assert list(found[0].elpd_i["g"].to_numpy()) == [f"g{j}" for j in range(J)]
    compared = arviz_stats.compare({"slopes": found[0], "intercepts": found[1]})
    assert set(compared.index) == {"slopes", "intercepts"}


def test_groups_that_importance_sampling_cannot_leave_out_are_named():
    sleep = hr.load_dataset("sleepstudy")
    sleep.loc[sleep["Subject"] == "335", "Reaction"] += 400.0
    tree = hr.Model("Reaction ~ Days + (Days | Subject)", sleep).sample(seed=1, progress=False)
    with pytest.warns(ConvergenceWarning, match=r"leaving out Subject .*'335'.*\(Pareto k"):
        hr.loo(tree, by="Subject")


@pytest.mark.parametrize(
    ("formula", "arguments", "by", "words"),
    [
        (FORMULA, {}, "G", r"by='G' is no grouping factor and no column that.*Did you mean 'g'\?"),
        ("y ~ x + (1 | g) + (1 | half)", {}, "g", "one grouping factor, and the model has 2"),
        (FORMULA, {"errors": hr.exchangeable("u")}, "g", "is not made for errors=exchangeable"),
        (FORMULA, {"effects": {"g": hr.StudentT()}}, "g", "those of this model are not normal"),
    ],
)
def test_what_cannot_be_left_out_is_said(formula, arguments, by, words, table):
    tree = sampled(formula, table, draws=50, **arguments)
    with pytest.raises(hr.HierregError, match=words):
        hr.loo(tree, by=by)


def test_counts_are_refused(table):
    counts = table.assign(y=np.random.default_rng(0).poisson(3, len(table)))
    tree = sampled("y ~ x + (1 | g)", counts, draws=100, family=hr.Poisson())
    with pytest.raises(hr.HierregError, match="normal"):
        hr.loo(tree, by="g")


def test_columns_with_missing_values_are_refused_and_names_of_draws_are_not(table):
    table = table.assign(draw=table["half"], gap=np.where(table["half"] == 1, 1.0, np.nan))
    model = hr.Model(FORMULA, table, priors=PRIORS)
    tree = sampled(FORMULA, table, draws=50, priors=PRIORS)
    with pytest.raises(hr.HierregError, match=r"'gap'.*groups that are left out.*missing value"):
        hr.loo(tree, by="gap", model=model)
    assert left_out_densities(tree, "draw", model, 5).dims == ("chain", "draw", "draw_")


def test_a_model_without_group_effects(table):
    model = hr.Model("y ~ x", table, priors=PRIORS)
    tree = sampled("y ~ x", table, draws=50, priors=PRIORS)
    found = left_out_densities(tree, "g", model, None)
    X = np.column_stack([np.ones(len(table)), table["x"]])
    V = X @ np.diag([4.0, 2.25]) @ X.T + float(tree["posterior"]["error_sd"][1, 7]) ** 2 * np.eye(len(X))
    rest = (table["g"] != "g3").to_numpy()
    whole, part = (multivariate_normal((X @ [1.0, -0.5])[r], V[np.ix_(r, r)]) for r in (rest | True, rest))
    expected = whole.logpdf(table["y"]) - part.logpdf(table["y"][rest])
    assert float(found.isel(chain=1, draw=7).sel(g="g3")) == pytest.approx(expected, abs=1e-9)


def test_more_draws_than_there_are_is_refused(table):
    tree = sampled("y ~ x", table, draws=50, priors=PRIORS)
    with pytest.raises(hr.HierregError, match="draws=51 per chain were asked for, but the tree has 50"):
        hr.loo(tree, by="g", model=hr.Model("y ~ x", table, priors=PRIORS), draws=51)
