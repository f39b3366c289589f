"""What a posterior of one grouping factor is sampled with: what is accurate for the data at hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import hierreg as hr
from hierreg.model.family import draws, rules
from tests.helpers.posteriors import assert_same_posterior

OPTIONS = {"seed": 3, "progress": False}


def table(n_groups, n_rows, sd, family="yes/no", at=0.0):
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(n_groups), n_rows)
    x = rng.normal(size=len(g))
    eta = at + 0.3 * x + sd * rng.normal(size=n_groups)[g]
    y = rng.random(len(g)) < special.expit(eta) if family == "yes/no" else rng.poisson(np.exp(eta))
    return pd.DataFrame({"y": y.astype(int), "x": x, "g": g})


def model_of(data, family="yes/no"):
    return hr.Model("y ~ x + (1 | g)", data, family=hr.Bernoulli() if family == "yes/no" else hr.Poisson())


# Groups and rows of each, their standard deviation, intercept; what they are sampled with.
CASES = {
    "thirty pairs": (table(30, 2, 1.0), "yes/no", "joint"),
    "rare": (table(60, 5, 1.0, at=-3.5), "yes/no", "joint"),
    "counts": (table(30, 8, 0.7, "counts"), "counts", "joint"),
    "pairs that differ": (table(150, 2, 3.0), "yes/no", "quadrature"),
}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:the Laplace estimate is on the boundary")
@pytest.mark.parametrize("name", CASES)
def test_all_effects_are_sampled_where_they_are_nearly_normal(name):
    data, family, engine = CASES[name]
    tree = model_of(data, family).sample(draws=500, **OPTIONS)
    assert tree.attrs["engine"] == engine
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    assert ("quadrature_error" in tree["sample_stats"].attrs) == (engine == "quadrature")
    if engine == "quadrature":
        assert tree["sample_stats"].attrs["quadrature_nodes"] > 3


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:the Laplace estimate is on the boundary")
def test_more_nodes_where_those_chosen_are_too_few_at_the_draws(monkeypatch):
    """The posterior of the standard deviation is wider than its normal approximation, over which 7 nodes are enough."""
    model = model_of(table(30, 2, 1.0, "counts", at=-3.0), "counts")
    monkeypatch.setattr(rules, "_NEARLY_NORMAL", 2.0)
    together = model.sample(draws=600, target_accept=0.99, **OPTIONS)
    chosen = []
    choice = rules.choice
    monkeypatch.setattr(draws, "choice", lambda *arguments: chosen.append(choice(*arguments)) or chosen[0])
    monkeypatch.setattr(rules, "_NEARLY_NORMAL", -1.0)
    by_quadrature = model.sample(draws=600, **OPTIONS)
    stats = by_quadrature["sample_stats"].attrs
    assert (together.attrs["engine"], by_quadrature.attrs["engine"]) == ("joint", "quadrature")
    assert stats["quadrature_nodes"] > chosen[0].rule.n_nodes
    assert stats.get("quadrature_pareto_k", 0.0) <= 0.7
    assert_same_posterior(together["posterior"], by_quadrature["posterior"], ["beta", "sd_g", "b_g"])


ROWS = {
    "yes or no": (hr.Bernoulli(), lambda d: d["y"] > 1),
    "one trial": (hr.Binomial(), lambda d: (d["y"] > 1).astype(int)),
    "ordered": (hr.Cumulative(), lambda d: np.minimum(d["y"], 2)),
    "logarithms": (hr.LogNormal(), lambda d: d["y"] + 1.0),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_are_groups_are_refused_where_they_say_nothing(name):
    family, response = ROWS[name]
    d = table(40, 1, 1.0, "counts", at=1.0)
    options = {"trials": "n"} if name == "one trial" else {}
    with pytest.raises(hr.exceptions.ModelError, match="each of the 40 rows is a group of 'g' of its own"):
        hr.Model("z ~ x + (1 | g)", d.assign(z=response(d), n=1), family=family, **options)


def test_rows_that_are_groups_are_overdispersion_where_they_say_it():
    d = table(40, 1, 1.0, "counts", at=1.0)
    assert hr.Model("y ~ x + (1 | g)", d, family=hr.Poisson()).estimate().sd["g"] > 0.1
    shares = d.assign(k=np.minimum(d["y"], 9), n=9)
    assert hr.Model("cbind(k, n - k) ~ x + (1 | g)", shares, family=hr.Binomial()).estimate().sd["g"] > 0.1


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:the Laplace estimate is on the boundary")
def test_chains_of_all_effects_that_diverge_are_not_kept(monkeypatch):
    model = model_of(table(30, 2, 1.0, "counts", at=-3.0), "counts")
    monkeypatch.setattr(rules, "_NEARLY_NORMAL", 2.0)
    tree = model.sample(**OPTIONS)
    assert tree.attrs["engine"] == "quadrature"
    assert int(tree["sample_stats"]["diverging"].sum()) == 0


def test_what_is_chosen_is_said_before():
    found = model_of(*CASES["counts"][:2]).describe(time=True)
    assert (found.engine, found.n_effects) == ("joint", 30)
    assert "where the data make them nearly normal" in repr(model_of(*CASES["counts"][:2]).describe())
    assert model_of(*CASES["pairs that differ"][:2]).describe(time=True).engine == "quadrature"
