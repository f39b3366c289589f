"""What a posterior of one grouping factor is sampled with: what is accurate for the data at hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import hierreg as hr
from hierreg.model.family import rules
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
    "three hundred pairs that differ": (table(300, 2, 3.0), "yes/no", "quadrature"),
}


@pytest.mark.filterwarnings("ignore:the Laplace estimate is on the boundary")
@pytest.mark.parametrize("name", CASES)
def test_all_effects_are_sampled_where_they_are_nearly_normal(name):
    data, family, engine = CASES[name]
    tree = model_of(data, family).sample(draws=300, **OPTIONS)
    assert tree.attrs["engine"] == engine
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    assert ("quadrature_error" in tree["sample_stats"].attrs) == (engine == "quadrature")
    if engine == "quadrature":
        assert tree["sample_stats"].attrs["quadrature_nodes"] > 3


@pytest.mark.filterwarnings("ignore:the Laplace estimate is on the boundary")
def test_more_nodes_where_those_chosen_are_too_few_at_the_draws(monkeypatch):
    """The posterior of the standard deviation is wider than its normal approximation, over which 3 nodes are enough."""
    model = model_of(*CASES["thirty pairs"][:2])
    together = model.sample(draws=1500, **OPTIONS)
    monkeypatch.setattr(rules, "_NEARLY_NORMAL", -1.0)
    by_quadrature = model.sample(draws=1500, **OPTIONS)
    stats = by_quadrature["sample_stats"].attrs
    assert by_quadrature.attrs["engine"] == "quadrature"
    assert stats["quadrature_nodes"] > 5
    assert stats.get("quadrature_pareto_k", 0.0) <= 0.7
    assert_same_posterior(together["posterior"], by_quadrature["posterior"], ["beta", "sd_g", "b_g"])


@pytest.mark.filterwarnings("ignore:the Laplace estimate is on the boundary")
def test_groups_that_say_nothing_of_a_standard_deviation_are_refused_in_words():
    """One yes or no of each of 300 persons."""
    with pytest.raises(hr.exceptions.SamplingError, match="Groups say too little of their effects"):
        model_of(table(300, 1, 1.0)).sample(draws=100, **OPTIONS)


def test_what_is_chosen_is_said_before():
    found = model_of(*CASES["counts"][:2]).describe(time=True)
    assert (found.engine, found.n_effects) == ("joint", 30)
    assert "where the data make them nearly normal" in repr(model_of(*CASES["counts"][:2]).describe())
    assert model_of(*CASES["three hundred pairs that differ"][:2]).describe(time=True).engine == "quadrature"
