"""Densities of rows, units and groups that are left out: against dense normal densities, and against each other."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import hierreg as hr
from hierreg.predictive.groups import some_draws
from hierreg.predictive.leave_out import by_products, densities_of_sets, left_out_densities
from hierreg.predictive.left_out.equations import border_for
from hierreg.predictive.left_out.sets import sets_of
from hierreg.predictive.recovered import covariances_of
from hierreg.results.carried import draws_in

BETA = {"Intercept": hr.Normal(1.0, 2.0), "x": hr.Normal(-0.5, 1.5)}
PRIORS = hr.Priors(beta=BETA)
FORMULA = "y ~ x + (x | g)"
J, SIZE = 7, 5


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(J), SIZE)[: J * SIZE - 2]
    x = rng.standard_normal(len(g))
    b = rng.standard_normal((2, J)) * [[1.0], [0.5]]
    out = pd.DataFrame({"x": x, "g": [f"g{j}" for j in g], "d": np.where(np.arange(len(g)) % 2 == 0, "a", "b")})
    out["u"] = np.arange(len(g)) // 2  # some of two groups
    place = np.arange(len(g)) % SIZE
    out["v"] = g * 2 + (place > 1)  # units of two and three rows within groups
    out["t"] = np.array([3, 0, 1, 7, 2])[place]
    out["c"] = np.array(["p", "q", "q", "r", "p", "r", "s"])[rng.integers(0, 7, len(g))]
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


def blocks(table):
    """Return a known covariance that connects rows within groups alone."""
    g = table["g"].to_numpy()
    return np.where(g[:, None] == g, known(table), 0.0)


def residual_covariance(kind, table, draw):
    """Return R (N, N) at a draw of the posterior."""
    n, sd = len(table), np.atleast_1d(draw["error_sd"].to_numpy()) if "error_sd" in draw else None
    if kind in {"known_cov", "known blocks"}:
        return (known if kind == "known_cov" else blocks)(table)
    if kind == "known_se":
        return np.diag(table["se"].to_numpy() ** 2)
    if kind == "weights":
        return np.diag(sd[0] ** 2 / table["se"].to_numpy())
    d = (table["d"] == "b").to_numpy().astype(int)
    own = sd[d] if len(sd) > 1 else np.full(n, sd[0])
    R = np.diag(own**2)
    rho = np.ravel(draw["error_corr"].to_numpy())[0] if "error_corr" in draw else 0.0
    unit = table["u" if kind == "correlated" or kind.endswith("linked") else "v"].to_numpy()
    for i in range(n):
        for k in range(n):
            if i != k and unit[i] == unit[k]:
                gap = abs(int(table["t"][i]) - int(table["t"][k])) if kind == "ar1" else 1
                R[i, k] = rho**gap * own[i] * own[k]
    return R


ERRORS = {
    "independent": lambda _: {},
    "weights": lambda _: {"weights": "se"},
    "by": lambda _: {"errors": hr.by("d")},
    "correlated": lambda _: {"errors": hr.correlated("d", unit="u")},
    "exchangeable": lambda _: {"errors": hr.exchangeable("v")},
    "exchangeable, linked": lambda _: {"errors": hr.exchangeable("u")},
    "ar1": lambda _: {"errors": hr.ar1("t", unit="v")},
    "known_se": lambda _: {"errors": hr.known_se("se")},
    "known_cov": lambda table: {"errors": hr.known_cov(known(table))},
    "known blocks": lambda table: {"errors": hr.known_cov(blocks(table))},
}


def dense_value(mean, V, y, rest):
    """Return log p(y_J | y_-J) as a difference of two densities."""
    return multivariate_normal(mean, V).logpdf(y) - multivariate_normal(mean[rest], V[np.ix_(rest, rest)]).logpdf(
        y[rest]
    )


def at_draws(found):
    """Return two places, (chain, draw) of the densities."""
    return ((0, 0), (found.sizes["chain"] - 1, found.sizes["draw"] - 1))


@pytest.mark.parametrize("kind", ERRORS)
def test_densities_are_those_of_dense_normals(kind, table):
    arguments = ERRORS[kind](table) | {"priors": PRIORS}
    model, tree = hr.Model(FORMULA, table, **arguments), sampled(FORMULA, table, draws=20, chains=2, **arguments)
    X, y = np.column_stack([np.ones(len(table)), table["x"]]), table["y"].to_numpy()
    mean, prior = X @ [1.0, -0.5], X @ np.diag([4.0, 2.25]) @ X.T
    same = table["g"].to_numpy()[:, None] == table["g"].to_numpy()
    for by in (None, "g", "half", "u", "v"):
        found = left_out_densities(tree, by, model, 4)
        dim = by or "obs"
        labels = np.arange(len(table)) if by is None else table[by].to_numpy()
        assert found.sizes == {"chain": 2, "draw": 4, dim: len(set(labels))}
        for chain, draw in at_draws(found):
            one = tree["posterior"].to_dataset().isel(chain=chain, draw=int(found["draw"][draw]))
            sd, corr = one["sd_g"].to_numpy(), float(one["corr_g"].to_numpy()[0])
            Sigma = np.outer(sd, sd) * [[1.0, corr], [corr, 1.0]]
            V = prior + np.where(same, X @ Sigma @ X.T, 0.0) + residual_covariance(kind, table, one)
            for label in found[dim].to_numpy():
                value = float(found.isel(chain=chain, draw=draw).sel({dim: label}))
                assert value == pytest.approx(dense_value(mean, V, y, labels != label), abs=1e-8)


CROSSED = "y ~ x + (x | g) + (1 | c)"


@pytest.mark.parametrize("kind", ["independent", "known_se", "exchangeable", "known_cov"])
def test_densities_of_several_factors_are_those_of_dense_normals(kind, table):
    if kind == "exchangeable":
        # Units lie within one group of each factor.
        table = table.assign(v=table["g"] + table["c"])
    arguments = ERRORS[kind](table) | {"priors": PRIORS}
    model, tree = hr.Model(CROSSED, table, **arguments), sampled(CROSSED, table, draws=20, chains=2, **arguments)
    X, y = np.column_stack([np.ones(len(table)), table["x"]]), table["y"].to_numpy()
    mean, prior = X @ [1.0, -0.5], X @ np.diag([4.0, 2.25]) @ X.T
    same_g, same_c = (table[name].to_numpy()[:, None] == table[name].to_numpy() for name in "gc")
    for by in (None, "g", "c"):
        found = left_out_densities(tree, by, model, 4)
        labels = np.arange(len(table)) if by is None else table[by].to_numpy()
        for chain, draw in at_draws(found):
            one = tree["posterior"].to_dataset().isel(chain=chain, draw=int(found["draw"][draw]))
            sd, corr = one["sd_g"].to_numpy(), float(one["corr_g"].to_numpy()[0])
            Sigma = np.outer(sd, sd) * [[1.0, corr], [corr, 1.0]]
            V = prior + np.where(same_g, X @ Sigma @ X.T, 0.0) + np.where(same_c, float(one["sd_c"][0]) ** 2, 0.0)
            V += residual_covariance(kind, table, one)
            for label in found[by or "obs"].to_numpy():
                value = float(found.isel(chain=chain, draw=draw).sel({by or "obs": label}))
                assert value == pytest.approx(dense_value(mean, V, y, labels != label), abs=1e-8)


@pytest.mark.parametrize("by", [None, "g", "v"])
def test_both_ways_agree_where_predictors_and_response_are_far_from_zero(by, table):
    far = table.assign(x=2000.0 + table["x"], y=1e6 + 1e-3 * table["y"])
    arguments = {"errors": hr.ar1("t", unit="v")}
    model, tree = hr.Model(FORMULA, far, **arguments), sampled(FORMULA, far, draws=20, chains=1, **arguments)
    posterior = some_draws(draws_in(tree), 3)
    sets = sets_of(model.problem, model.data, by)
    found = densities_of_sets(model.problem, posterior, sets).density.to_numpy()[0]
    other = by_products(model.problem, covariances_of(model.problem, posterior), sets, range(found.shape[1]))
    np.testing.assert_allclose(found, other, atol=2e-6)


@pytest.mark.parametrize(
    ("formula", "arguments", "by"),
    [
        ("y ~ x + (x || g)", {}, "g"),
        ("y ~ 0 + x + (x | g)", {}, None),
        ("y ~ x + t + (1 | g)", {"priors": hr.Priors(beta={"t": hr.Fixed(0.5), "x": hr.Flat()})}, "g"),
        ("y ~ x + (x | d)", {"errors": hr.correlated("d", unit="u")}, "u"),
        ("y ~ 1 + (1 | g) + (0 + x | g)", {"weights": "se"}, None),
        ("y ~ x + (1 | g/c)", {}, "g:c"),
    ],
)
def test_both_ways_agree_whatever_the_formula(formula, arguments, by, table):
    model, tree = hr.Model(formula, table, **arguments), sampled(formula, table, draws=10, chains=1, **arguments)
    posterior, sets = some_draws(draws_in(tree), 3), sets_of(model.problem, table, by)
    assert border_for(model.problem, sets.index) is not None
    found = densities_of_sets(model.problem, posterior, sets).density.to_numpy()[0]
    other = by_products(model.problem, covariances_of(model.problem, posterior), sets, range(found.shape[1]))
    np.testing.assert_allclose(found, other, atol=1e-9)


def test_a_row_that_decides_a_coefficient_alone(table):
    """A population coefficient that no other row knows: the wider its prior, the fewer digits are left of the row."""
    table = table.assign(only=(np.arange(len(table)) == 11).astype(float))
    formula = "y ~ x + only + (1 | g)"

    def left_out_row(prior):
        priors = hr.Priors(beta=BETA | {"only": prior})
        model = hr.Model(formula, table, priors=priors)
        tree = sampled(formula, table, draws=10, chains=1, priors=priors)
        sets = sets_of(model.problem, model.data, None)
        return densities_of_sets(model.problem, some_draws(draws_in(tree), 2), sets).density.to_numpy()[0, :, 11]

    # It is nearly the density of the prior of that coefficient.
    np.testing.assert_allclose(left_out_row(hr.Normal(0.0, 1e4)), -np.log(1e4) - 0.5 * np.log(2 * np.pi), atol=1e-4)
    for prior in (hr.Normal(0.0, 1e7), hr.Flat()):
        with pytest.raises(hr.HierregError, match=r"without row 11 the rows do not determine .*'only' is zero"):
            left_out_row(prior)


def test_rows_whose_share_is_lost_are_left_out_by_products(table):
    """Errors far smaller than the spread within groups leave few digits where rows are few more than coefficients."""
    precise = table.assign(y=table["y"] * 1e7, se=1.0)
    arguments = {"errors": hr.known_se("se"), "priors": hr.Priors(sd={"g": hr.Fixed(1e7)})}
    model = hr.Model("y ~ x + (x || g)", precise, **arguments)
    tree = sampled("y ~ x + (x || g)", precise, draws=5, chains=1, **arguments)
    posterior, sets = some_draws(draws_in(tree), 2), sets_of(model.problem, model.data, "g")
    found = densities_of_sets(model.problem, posterior, sets).density.to_numpy()[0]
    other = by_products(model.problem, covariances_of(model.problem, posterior), sets, range(J))
    np.testing.assert_array_equal(found, other)


def test_distances_are_those_of_dense_normals(table):
    arguments = {"errors": hr.exchangeable("v"), "priors": PRIORS}
    model = hr.Model("y ~ x + (1 | g)", table, **arguments)
    tree = sampled("y ~ x + (1 | g)", table, draws=10, chains=1, **arguments)
    found = densities_of_sets(model.problem, draws_in(tree), sets_of(model.problem, model.data, None))
    one = tree["posterior"].to_dataset().isel(chain=0, draw=7)
    X, y = np.column_stack([np.ones(len(table)), table["x"]]), table["y"].to_numpy()
    same = table["g"].to_numpy()[:, None] == table["g"].to_numpy()
    V = X @ np.diag([4.0, 2.25]) @ X.T + same * float(one["sd_g"][0]) ** 2
    V += residual_covariance("exchangeable", table, one)
    for r in (0, 8, 20):
        rest = np.arange(len(y)) != r
        gain = V[r, rest] @ np.linalg.inv(V[np.ix_(rest, rest)])
        mean = X[r] @ [1.0, -0.5] + gain @ (y - X @ [1.0, -0.5])[rest]
        sd = np.sqrt(V[r, r] - gain @ V[rest, r])
        assert float(found.z.isel(chain=0, draw=7, obs=r)) == pytest.approx((y[r] - mean) / sd, rel=1e-5)


def test_a_model_without_group_effects(table):
    model = hr.Model("y ~ x", table, priors=PRIORS)
    tree = sampled("y ~ x", table, draws=50, priors=PRIORS)
    found = left_out_densities(tree, "g", model, None)
    X = np.column_stack([np.ones(len(table)), table["x"]])
    V = X @ np.diag([4.0, 2.25]) @ X.T + float(tree["posterior"]["error_sd"][1, 7]) ** 2 * np.eye(len(X))
    expected = dense_value(X @ [1.0, -0.5], V, table["y"].to_numpy(), (table["g"] != "g3").to_numpy())
    assert float(found.isel(chain=1, draw=7).sel(g="g3")) == pytest.approx(expected, abs=1e-9)


def test_what_lies_in_several_groups_has_no_closed_form_and_is_answered_by_products(table):
    problem = hr.Model(FORMULA, table, priors=PRIORS, errors=hr.exchangeable("v")).problem
    sets = {by: sets_of(problem, table, by).index for by in ("g", "v", "half", "u")}
    # Halves cut a group in two, units of pairs cut units of errors.
    assert [border_for(problem, sets[by]) is None for by in sets] == [False, False, True, True]
    assert border_for(problem, None).factor == 0
    crossed = hr.Model(CROSSED, table).problem
    assert border_for(crossed, sets_of(crossed, table, "c").index).factor == 1


def test_what_takes_long_is_said_before(table, monkeypatch):
    monkeypatch.setattr("hierreg.predictive.leave_out._LONG", 0.0)
    arguments = {"errors": hr.exchangeable("v"), "priors": PRIORS}
    tree = sampled(FORMULA, table, draws=50, **arguments)
    with pytest.warns(hr.exceptions.HierregWarning, match=r"leaving out 2 sets of rows of half .* at 20 draws, will"):
        left_out_densities(tree, "half", hr.Model(FORMULA, table, **arguments), 5)


def test_columns_with_missing_values_are_refused_and_names_of_draws_are_not(table):
    table = table.assign(draw=table["half"], gap=np.where(table["half"] == 1, 1.0, np.nan))
    model = hr.Model(FORMULA, table, priors=PRIORS)
    tree = sampled(FORMULA, table, draws=50, priors=PRIORS)
    with pytest.raises(hr.HierregError, match=r"'gap'.*groups that are left out.*missing value"):
        hr.loo(tree, by="gap", model=model)
    assert left_out_densities(tree, "draw", model, 5).dims == ("chain", "draw", "draw_")
