"""Posteriors by tables at fixed nodes: which models have them, and the same posterior as by adaptive quadrature."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.likelihood.node_tables.error import TableError
from hierreg.model.family import draws as engines
from hierreg.model.family import rules

pytestmark = pytest.mark.filterwarnings("ignore::hierreg.exceptions.ConvergenceWarning")


def table(groups, rows=2, trials=12):
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=len(g))
    eta = 0.3 + 0.6 * x + (0.8 * rng.normal(size=groups))[g]
    k = rng.binomial(trials, 1 / (1 + np.exp(-eta)))
    return pd.DataFrame({"k": k, "n": trials, "x": x, "c": np.where(g % 2, "u", "v"), "g": g})


FORMULA = "cbind(k, n - k) ~ c + (1 | g)"
MANY = table(200)


def model_of(data=MANY, formula=FORMULA):
    return hr.Model(formula, data, family=hr.Binomial())


def sampled(model, **options):
    return model.sample(**({"draws": 500, "chains": 2, "seed": 3, "progress": False, "method": "psis"} | options))


@pytest.fixture(scope="module")
def by_table():
    return sampled(model_of())


def test_says_which_engine_and_how_wrong(by_table):
    stats = by_table["sample_stats"].attrs
    assert by_table.attrs["engine"] == "node tables"
    assert stats["quadrature_nodes"] >= 9
    assert 0 < stats["quadrature_error"] < 0.01
    assert 0 < stats["quadrature_far_error"] < 0.1


@pytest.mark.long
def test_is_the_posterior_of_adaptive_quadrature(by_table, monkeypatch):
    """Parameters and the effects of every group, within the Monte-Carlo error of 1,000 independent draws."""
    monkeypatch.setattr(rules, "tables_of", lambda *_: (None, None))
    other = sampled(model_of())
    assert other.attrs["engine"] == "quadrature"
    for name in ("beta", "sd_g", "b_g"):
        ours, theirs = (tree["posterior"][name].to_numpy().reshape(1000, -1) for tree in (by_table, other))
        z = (ours.mean(axis=0) - theirs.mean(axis=0)) / np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 1000)
        assert np.max(np.abs(z)) < 4.0
        assert name != "b_g" or np.sqrt(np.mean(z**2)) < 1.3
        np.testing.assert_allclose(np.log(ours.std(axis=0) / theirs.std(axis=0)), 0.0, atol=4.5 / np.sqrt(2000))


def test_nuts_has_the_same_posterior(by_table):
    tree = sampled(model_of(), method="nuts")
    assert tree.attrs["engine"] == "node tables"
    for name in ("beta", "sd_g"):
        ours, theirs = (one["posterior"][name].to_numpy().reshape(1000, -1) for one in (tree, by_table))
        # Draws of a chain are worth half as many.
        assert np.all(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * theirs.std(axis=0) / np.sqrt(500))


@pytest.mark.parametrize(
    ("formula", "data"),
    [(FORMULA, table(5)), ("cbind(k, n - k) ~ x + (1 | g)", MANY)],
    ids=["standard deviations that may be zero", "columns that groups do not fit"],
)
def test_adaptive_quadrature_takes_what_tables_do_not(formula, data):
    tree = sampled(model_of(data, formula), draws=50)
    assert tree.attrs["engine"] == "quadrature"
    assert "quadrature_far_error" not in tree["sample_stats"].attrs


def test_adaptive_quadrature_takes_over_where_draws_were_wrong(monkeypatch):
    monkeypatch.setattr(engines, "error_at_draws", lambda *_: TableError(sd=0.02, far=0.0))
    tree = sampled(model_of(), draws=50)
    assert tree.attrs["engine"] == "quadrature"
    assert tree["sample_stats"].attrs["quadrature_nodes"] == 3


def test_a_finer_table_comes_first_where_draws_were_wrong(monkeypatch):
    real, asked = engines.error_at_draws, []

    def error(tables, psi, cores):
        asked.append(tables.n_nodes)
        return TableError(sd=0.02, far=0.0) if len(asked) == 1 else real(tables, psi, cores)

    monkeypatch.setattr(engines, "error_at_draws", error)
    tree = sampled(model_of(), draws=50)
    assert tree.attrs["engine"] == "node tables"
    assert asked[0] < asked[1] == tree["sample_stats"].attrs["quadrature_nodes"]
    assert tree["sample_stats"].attrs["quadrature_error"] < 0.01


def test_what_models_say_of_it():
    model = model_of()
    assert "engine: node tables" in repr(model)
    text = repr(model.describe())
    assert "fixed nodes: 1 coefficients of each of 200 groups" in text
    assert "takes over where it is more than 0.01" in text
    found = model.describe(time=True)
    assert found.engine == "node tables"
    assert 0 < found.error < 0.01
    assert f"{found.n_nodes} nodes of a group; error of the log density {found.error:.2g}" in repr(found)
    few = model_of(table(5)).describe(time=True)
    assert few.engine == "joint"
    assert "sampled together with the parameters: all 5 coefficients" in repr(few)
    assert "not by fixed nodes" in repr(few)
    assert "engine: quadrature" in repr(model_of(formula="cbind(k, n - k) ~ x + (1 | g)"))


def test_families_with_further_parameters_have_none():
    assert "engine: quadrature" in repr(hr.Model("k ~ c + (1 | g)", MANY, family=hr.NegativeBinomial()))
