"""`hr.plots.check`: what is drawn is what the report says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hierreg as hr
from tests.helpers import report_trees as trees
from tests.helpers.figures import unlabelled

DataError, ModelError = hr.exceptions.DataError, hr.exceptions.ModelError


@pytest.fixture(scope="module")
def found():
    model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    return hr.check(model.estimate(), time="Days")


@pytest.mark.long
def test_panels_show_residuals_quantiles_and_groups(found):
    figure = hr.plots.check(found)
    assert unlabelled([figure]) == []
    residuals, quantiles, distance, cook, step = figure.axes[:5]
    drawn = np.concatenate([line.get_ydata() for line in residuals.lines[1:]])
    np.testing.assert_allclose(np.sort(drawn), np.sort(found["residual"]))
    assert {text.get_text() for text in residuals.texts} == {"7", "56", "59"}
    np.testing.assert_allclose(quantiles.lines[1].get_ydata(), np.sort(found["residual"]))
    for axis, name in ((distance, "distance_Subject"), (cook, "cook_Subject"), (step, "step_Subject")):
        values = found[name].to_series()
        np.testing.assert_allclose(axis.lines[0].get_xdata(), np.sort(values))
        assert [text.get_text() for text in axis.texts] == [str(k) for k in values.sort_values().index[-3:]]
    assert [axis.get_title() for axis in figure.axes[:3]] == ["alarm: order", "alarm: tails", "no alarm"]


def test_rows_alone_and_given_axes():
    rows = hr.check(hr.Model("y ~ x + w + (x | g)", trees.table()).estimate(), checks="tails")
    _, axes = plt.subplots(1, 2)
    assert hr.plots.check(rows, axes=axes) is axes[0].get_figure()
    assert len(hr.plots.check(rows).axes) == 2
    with pytest.raises(ModelError, match="ax= takes one panel, but there are 2"):
        hr.plots.check(rows, ax=axes[0])


def test_two_factors_and_many_groups():
    crossed = hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin"))
    labels = [axis.get_ylabel() for axis in hr.plots.check(hr.check(crossed.estimate())).axes]
    assert labels.count("plate, sorted") == labels.count("sample, sorted") == 2
    many = hr.plots.check(hr.check(trees.many_groups_model().estimate(), checks="outlying_groups"))
    assert len(many.axes[2].texts) == 1


def test_what_cannot_be_drawn(found):
    with pytest.raises(DataError, match=r"DataTree.*hr.plots.check\(hr.check\(tree\)\)"):
        hr.plots.check(trees.tree("by"))
    alone = hr.check(hr.Model.from_gram(trees.model("by").gram).estimate())
    with pytest.raises(DataError, match="nothing to draw"):
        hr.plots.check(alone)
