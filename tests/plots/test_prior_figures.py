"""Figures of what the prior says: what is drawn is what the report and the draws have."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hierreg as hr
from hierreg.exceptions import DataError, ModelError
from hierreg.predictive_checks.prior_lines import lines_of_prior


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    return hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))


def test_panels_of_shares_and_weights(model):
    report = hr.prior_check(model, draws=300)
    figure = hr.plots.prior_check(report)
    assert [axis.get_title() for axis in figure.axes[:4]] == [
        "corr_Subject[Days, Intercept]",
        "Subject[at the means]",
        "Subject[at the means], weight",
        "Subject[Days]",
    ]
    assert all(axis.get_ylabel() == "prior density" for axis in figure.axes[:4])
    heights = np.array([patch.get_height() * patch.get_width() for patch in figure.axes[1].patches])
    counts = np.histogram(report["draws"].sel(quantity="Subject[at the means]"), 40, (0, 1))[0]
    np.testing.assert_allclose(heights, counts / 300, atol=1e-12)
    with pytest.raises(DataError, match=r"what hr\.prior_check returned"):
        hr.plots.prior_check(model)
    alone = hr.Model("Reaction ~ Days", hr.load_dataset("sleepstudy"))
    with pytest.raises(DataError, match="no grouping factor"):
        hr.plots.prior_check(hr.prior_check(alone, draws=100))


def test_lines_are_those_of_the_draws(model):
    found = lines_of_prior(model, "Days", factor=None, draws=3, seed=5, most=40)
    assert found.groups.shape == (3, 18, 60)
    figure = hr.plots.prior_lines(model, "Days", draws=3, seed=5)
    for k, axis in enumerate(figure.axes):
        drawn = np.array([line.get_ydata() for line in axis.lines[:18]])
        np.testing.assert_allclose(drawn, found.groups[k])
        np.testing.assert_allclose(axis.lines[18].get_ydata(), found.population[k])
        assert len(axis.lines[19].get_ydata()) == 180
    # Straight lines that differ from the population by what is drawn of each group.
    np.testing.assert_allclose(np.diff(found.groups, 2, axis=2), 0.0, atol=1e-9)
    no_points = hr.plots.prior_lines(model, "Days", draws=2, points=False)
    assert len(no_points.axes[0].lines) == 19


def test_lines_of_another_factor_and_of_a_link():
    ratings = hr.load_dataset("sleepstudy").assign(half=lambda rows: np.where(rows["Days"] < 5, "early", "late"))
    ratings["slow"] = (ratings["Reaction"] > 300).astype(int)
    crossed = hr.Model("Reaction ~ Days + (1 | Subject) + (Days | half)", ratings)
    assert lines_of_prior(crossed, "Days", factor="half", draws=2, seed=0, most=40).groups.shape == (2, 2, 60)
    yes = hr.Model("slow ~ Days + (Days | Subject)", ratings, family=hr.Bernoulli())
    figure = hr.plots.prior_lines(yes, "Days", draws=2)
    assert figure.axes[0].get_ylabel() == "linear predictor of slow"
    assert len(figure.axes[0].lines) == 19
    with pytest.raises(ModelError, match=r"x='days' is no numeric predictor.*Did you mean 'Days'\?"):
        hr.plots.prior_lines(yes, "days")
    with pytest.raises(ModelError, match="factor='Half' is no grouping factor"):
        hr.plots.prior_lines(crossed, "Days", factor="Half")
