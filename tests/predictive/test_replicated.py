"""Replicates of new groups, and given data sets that were observed: their moments, and that nothing else moves them."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import ModelError
from hierreg.predictive import replicated as module
from hierreg.predictive.replicated import replicated, replication
from hierreg.results.carried import draws_in

S = 4000


def table():
    rng = np.random.default_rng(7)
    n = 24
    out = pd.DataFrame({"g": np.repeat(list("abcdef"), 4), "x": rng.normal(1, 1, n)})
    out["unit"], out["set"] = np.arange(n) // 2, np.where(np.arange(n) % 2 == 0, "p", "q")
    out["y"] = 1 + 0.5 * out["x"] + rng.normal(0, 1, 6)[np.repeat(np.arange(6), 4)] + rng.normal(0, 0.7, n)
    return out


def sampled(formula="y ~ x + (x | g)", data=None, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = hr.Model(formula, table() if data is None else data, **arguments)
        return model, model.sample(draws=S // 2, chains=2, seed=1, progress=False)


def fixed(**more):
    return hr.Priors(
        beta={"Intercept": hr.Fixed(1.0), "x": hr.Fixed(0.5)},
        sd={"g": {"Intercept": hr.Fixed(1.2), "x": hr.Fixed(0.4)}},
        corr={"g": hr.Fixed([[1.0, -0.3], [-0.3, 1.0]])},
        **more,
    )


def test_new_groups_have_the_covariance_of_the_model():
    model, tree = sampled(priors=fixed(error_sd=hr.Fixed(0.7)))
    y = hr.posterior_predictive(tree, seed=2, level="new group")["posterior_predictive"]["y"].to_numpy().reshape(S, -1)
    rows = table()
    X = np.column_stack([np.ones(len(rows)), rows["x"]])
    Sigma = np.array([[1.44, -0.144], [-0.144, 0.16]])
    same = rows["g"].to_numpy()[:, None] == rows["g"].to_numpy()
    V = np.where(same, X @ Sigma @ X.T, 0.0) + 0.49 * np.eye(len(rows))
    # Standard errors of means and of covariances of normal numbers; 24 means and 300 covariances are looked at.
    assert np.all(np.abs(y.mean(axis=0) - X @ [1.0, 0.5]) < 4.5 * np.sqrt(np.diag(V) / S))
    error = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / S)
    assert np.all(np.abs(np.cov(y.T) - V) < 5 * error)
    old = hr.posterior_predictive(tree, seed=2)["posterior_predictive"]["y"].to_numpy().reshape(S, -1)
    # Groups that keep their coefficients vary far less.
    assert np.mean(old.var(axis=0)) < 0.6 * np.mean(np.diag(V))
    assert model.problem.n_rows == y.shape[1]


def test_given_data_sets_stay_and_say_what_errors_of_others_are():
    errors = hr.correlated("set", unit="unit")
    data = table().drop(index=5).reset_index(drop=True)  # a unit without q
    model, tree = sampled(
        "y ~ x",
        data,
        errors=errors,
        priors=hr.Priors(
            beta={"Intercept": hr.Fixed(1.0), "x": hr.Fixed(0.5)},
            error_sd=hr.Fixed(0.9),
            error_corr=hr.Fixed([[1.0, 0.8], [0.8, 1.0]]),
        ),
    )
    y = hr.posterior_predictive(tree, seed=3, given="p")["posterior_predictive"]["y"].to_numpy().reshape(S, -1)
    is_p = (data["set"] == "p").to_numpy()
    np.testing.assert_array_equal(y[:, is_p], np.broadcast_to(data["y"].to_numpy()[is_p], (S, is_p.sum())))
    mu = 1.0 + 0.5 * data["x"].to_numpy()
    e = data["y"].to_numpy() - mu
    of_unit = dict(zip(data["unit"][is_p], e[is_p], strict=True))
    expected = mu + 0.8 * np.array([of_unit[u] for u in data["unit"]])
    sd = 0.9 * 0.6
    made = y[:, ~is_p]
    assert np.all(np.abs(made.mean(axis=0) - expected[~is_p]) < 4.5 * sd / np.sqrt(S))
    assert np.all(np.abs(made.std(axis=0) - sd) < 4.5 * sd / np.sqrt(2 * S))
    assert model.problem.n_rows == 23


def test_summaries_alone_are_enough_for_both_levels():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = hr.Model("y ~ x + (x | g)", table())
        whole = model.sample(draws=1000, chains=2, seed=1, progress=False)
        brief = model.sample(draws=1000, chains=2, seed=1, progress=False, group_effects="summary")
    for level in ("group", "new group"):
        one, other = (
            np.concatenate([y for _, y in replicated(replication(model.problem, level, None), draws_in(tree), 3)])
            for tree in (whole, brief)
        )
        error = np.sqrt(one.var(axis=0) / 1000 + other.var(axis=0) / 1000)
        assert np.all(np.abs(one.mean(axis=0) - other.mean(axis=0)) < 4.5 * error)


def test_replicates_do_not_depend_on_how_many_are_made_at_once(monkeypatch):
    model, tree = sampled()
    what, posterior = replication(model.problem, "new group", None), draws_in(tree).isel(draw=slice(0, 50))
    whole = np.concatenate([y for _, y in replicated(what, posterior, 4)])
    monkeypatch.setattr(module, "chunks", lambda S, n: (slice(a, min(a + 7, S)) for a in range(0, S, 7)))
    np.testing.assert_array_equal(np.concatenate([y for _, y in replicated(what, posterior, 4)]), whole)


@pytest.mark.parametrize(
    ("arguments", "formula"),
    [
        ({"effects": {"g": hr.StudentT()}}, "y ~ x + (1 | g)"),
        ({"effects": {"g": hr.Mixture(2)}}, "y ~ x + (1 | g)"),
        ({"family": hr.Poisson()}, "n ~ x + (1 | g)"),
        ({"family": hr.StudentT()}, "y ~ x + (1 | g)"),
        ({"errors": hr.exchangeable("unit")}, "y ~ x + (1 | g)"),
        ({}, "y ~ x + (1 | g) + (1 | set)"),
    ],
)
def test_every_kind_of_model_has_new_groups(arguments, formula):
    data = table().assign(n=np.random.default_rng(1).poisson(3, 24))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = hr.Model(formula, data, **arguments).sample(draws=50, chains=2, seed=1, progress=False)
    name = formula.partition(" ")[0]
    made = [
        hr.posterior_predictive(tree, seed=2, level=level)["posterior_predictive"][name]
        for level in ("group", "new group", {"g": "new group"})
    ]
    assert all(one.sizes == {"chain": 2, "draw": 50, "obs": 24} for one in made)
    assert all(one.dtype == made[0].dtype for one in made)
    assert not np.array_equal(made[0], made[1])
    if "set" not in formula:
        np.testing.assert_array_equal(made[1], made[2])


@pytest.mark.parametrize(
    ("arguments", "how", "words"),
    [
        ({}, {"level": "population"}, r"level='population'"),
        ({}, {"level": {"h": "new group"}}, "level has the key 'h'"),
        ({}, {"given": "p"}, "not correlated between data sets"),
        ({"errors": hr.correlated("set", unit="unit")}, {"given": "r"}, "given='r' is no data set; there are 'p', 'q'"),
        ({"errors": hr.correlated("set", unit="unit")}, {"given": ["p", "q"]}, "must leave at least one"),
        (
            {"errors": hr.correlated("set", unit="unit")},
            {"given": "p", "level": "new group"},
            "whose groups are the sam",
        ),
    ],
)
def test_what_is_refused(arguments, how, words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = hr.Model("y ~ x + (1 | g)", table(), **arguments).sample(draws=20, chains=2, seed=1, progress=False)
    with pytest.raises(ModelError, match=words):
        hr.posterior_predictive(tree, seed=1, **how)


def test_no_groups_are_no_new_ones():
    _, tree = sampled("y ~ x")
    with pytest.raises(ModelError, match="no grouping factor"):
        hr.posterior_predictive(tree, seed=1, level="new group")
