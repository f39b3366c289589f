"""Figures of replicates: what ArviZ is given, and how axes are labelled."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, ModelError
from hierreg.predictive.replicated import replication
from hierreg.predictive_checks.sets import check_sets
from hierreg.predictive_checks.shown import shown_replicates


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fit():
    data = hr.load_dataset("orthodont")
    model = hr.Model("distance ~ age11 * Sex + (age11 | Subject)", data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data, model, model.sample(draws=100, seed=1, progress=False)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("density", ("distance", "density")),
        ("statistic", ("sd of distance", "density")),
        ("interval", ("row", "distance")),
    ],
)
def test_panels_by_a_column(kind, labels, fit):
    figure = hr.plots.predictive(fit[2], kind, by="Sex", statistic="sd", draws=20)
    assert [axis.get_title() for axis in figure.axes] == ["Sex = Female", "Sex = Male"]
    assert {(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes} == {labels}
    figure.canvas.draw()


def test_what_is_drawn_is_what_was_observed_and_replicated(fit):
    data, model, tree = fit
    what = replication(model.problem, "new group", None)
    sets = check_sets(model.problem, data, "Sex", 5, what.rows)
    shown = shown_replicates(tree, what, sets, (30, True), 1000, seed=3)
    assert shown["posterior_predictive"].sizes["draw"] == 30
    female = (data["Sex"] == "Female").to_numpy()
    np.testing.assert_array_equal(shown["observed_data"]["set 0"], data["distance"].to_numpy()[female])
    thin = shown_replicates(tree, what, sets, (30, True), 40, seed=3)
    assert [thin["observed_data"][f"set {k}"].size for k in (0, 1)] == [20, 20]
    figure = hr.plots.predictive(tree, draws=10)
    assert len(figure.axes[0].lines) == 11


def test_whole_numbers_have_shares(fit):
    data = fit[0].assign(n=lambda rows: np.round(rows["distance"]).astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = hr.Model("n ~ age11 + (1 | Subject)", data, family=hr.Poisson()).sample(draws=50, seed=1, progress=False)
    assert hr.plots.predictive(tree, draws=10).axes[0].get_ylabel() == "share of rows"
    assert hr.plots.predictive(tree, "statistic", statistic=0.9).axes[0].get_xlabel() == "quantile 0.9 of n"
    assert hr.plots.predictive(tree, "statistic", statistic=np.ptp).axes[0].get_xlabel() == "ptp of n"


def test_probabilities_of_rows(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = hr.loo(fit[2])
        groups = hr.loo(fit[2], by="Subject")
    figure = hr.plots.loo_pit(found)
    assert figure.axes[0].get_xlabel() == "P(smaller response | all other rows)"
    assert hr.plots.loo_pit(found, coverage=True).axes[0].get_xlabel() == "central interval"
    for nothing in (groups, fit[2]):
        with pytest.raises(DataError, match="no probabilities of rows"):
            hr.plots.loo_pit(nothing)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"kind": "dens"}, "kind='dens'"),
        ({"by": "Subject"}, "has 27 groups, and at most 12 panels"),
        ({"kind": "statistic", "statistic": "kurtosis"}, "statistic='kurtosis' is none"),
        ({"draws": 0}, "draws"),
        ({"draws": 401}, "draws=401 replicates"),
    ],
)
def test_what_is_refused(how, words, fit):
    with pytest.raises(ModelError, match=words):
        hr.plots.predictive(fit[2], **how)


@pytest.mark.parametrize("kind", ["density", "statistic"])
def test_zeros_and_ones_and_tiny_numbers_have_figures_without_warnings(kind):
    """Warnings are errors here; arviz-plots takes both for binary outcomes."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"x": rng.normal(size=40), "g": np.repeat(np.arange(8), 5).astype(str)})
    table["yes"], table["tiny"] = np.arange(40) % 2, 1e-10 * rng.normal(size=40)
    for formula, family in (("yes ~ x + (1 | g)", hr.Bernoulli()), ("tiny ~ x + (1 | g)", None)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
            tree = hr.Model(formula, table, family=family).sample(draws=50, chains=2, seed=1, progress=False, cores=1)
        figure = hr.plots.predictive(tree, kind, statistic="sd", draws=20)
        assert figure.axes[0].lines
