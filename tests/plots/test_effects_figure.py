"""`hr.plots.effects`: what is drawn is what the report says, where its conditions put it."""

import functools

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hierreg as hr
from tests.helpers import report_trees as trees

ModelError, DataError = hr.exceptions.ModelError, hr.exceptions.DataError


@functools.cache
def fit():
    model = hr.Model("MathAch ~ SES * Sector + MEANSES + (SES | School)", hr.load_dataset("math_achieve"))
    return model, model.estimate()


def dots(axis):
    """Return the label of each colour, and x and y of its dots from the top."""
    return {line.get_label(): line.get_xydata() for line in axis.lines if line.get_marker() == "o"}


def intervals(axis):
    return np.concatenate([np.array(c.get_segments())[:, :, 0] for c in axis.collections])


def rows(axis):
    return dict(zip([t.get_text() for t in axis.get_yticklabels()], axis.get_yticks(), strict=True))


def null(axis):
    return [line.get_xdata()[0] for line in axis.lines if line.get_marker() != "o"]


def test_comparisons_have_a_panel_for_each_variable_and_a_colour_for_each_condition():
    report = hr.comparisons(*fit(), ["SES", "MEANSES"], by=["Sector", "Sex"])
    figure = hr.plots.effects(report)
    assert [axis.get_title() for axis in figure.axes] == ["SES", "MEANSES"]
    for axis, name in zip(figure.axes, ("SES", "MEANSES"), strict=True):
        own = report.isel(effect=np.flatnonzero(report["variable"].values == name))
        assert list(rows(axis)) == ["Sector = Catholic", "Sector = Public"]
        for sex, place in dots(axis).items():
            mine = own.isel(effect=np.flatnonzero(own["Sex"].values == sex))
            np.testing.assert_array_equal(place[:, 0], mine["mean"])
            # Beside its row, in the order of the report from the top.
            np.testing.assert_allclose(place[:, 1], list(rows(axis).values()), atol=0.3)
        order = np.concatenate([np.flatnonzero(own["Sex"].values == sex) for sex in dots(axis)])
        np.testing.assert_array_equal(intervals(axis), np.column_stack([own["lower"], own["upper"]])[order])
        assert null(axis) == [0]
        assert axis.get_xlabel() == "difference of MathAch"
    assert list(dots(figure.axes[0])) == list(dict.fromkeys(report["Sex"].values)) == ["Male", "Female"]
    assert figure.legends[0].get_title().get_text() == "Sex"
    assert "normal 95 % intervals. Averages over 7185 rows; level population." in figure.get_suptitle()


def test_one_condition_makes_rows():
    report = hr.comparisons(*fit(), "SES", by="Sector", comparison="ratio", ci_prob=0.8)
    (axis,) = hr.plots.effects(report).axes
    assert list(rows(axis)) == ["Catholic", "Public"]
    (place,) = dots(axis).values()
    np.testing.assert_array_equal(place, np.column_stack([report["mean"], [0, -1]]))
    assert null(axis) == [1]
    assert axis.get_xlabel() == "ratio of MathAch"
    assert axis.get_ylabel() == "Sector"
    assert not axis.figure.legends


def test_names_of_rows_that_say_their_condition_or_contrast_need_no_label():
    two = hr.plots.effects(hr.comparisons(*fit(), "SES", by=["Sector", "Sex"])).axes[0]
    pairs = hr.plots.effects(hr.means(*fit(), "Sector", hypothesis="pairwise")).axes[0]
    assert [axis.get_ylabel() for axis in (two, pairs)] == ["", ""]


def test_means_and_what_is_made_of_them():
    cells = {"Sector": None, "SES": [-1, 0, 1.5]}
    report = hr.means(*fit(), cells)
    (axis,) = hr.plots.effects(report).axes
    assert list(rows(axis)) == ["Sector = Catholic", "Sector = Public"]
    assert list(dots(axis)) == ["-1", "0", "1.5"]
    np.testing.assert_array_equal(dots(axis)["1.5"][:, 0], report["mean"].values[[2, 5]])
    assert (null(axis), axis.get_xlabel()) == ([], "MathAch")
    pairs = hr.means(*fit(), "Sector", hypothesis="pairwise")
    (axis,) = hr.plots.effects(pairs).axes
    assert list(rows(axis)) == pairs["effect"].values.tolist()
    assert (null(axis), axis.get_xlabel()) == ([0], "difference of MathAch")


def test_slopes_of_draws():
    model, tree = trees.model("by"), trees.tree("by")
    report = hr.slopes(model, tree, by="set")
    figure = hr.plots.effects(report)
    assert [axis.get_title() for axis in figure.axes] == ["x", "w"]
    np.testing.assert_array_equal(intervals(figure.axes[1]), np.column_stack([report["lower"], report["upper"]])[3:])
    assert figure.axes[0].get_xlabel() == "change of y per unit"
    assert "equal-tailed" in figure.get_suptitle()


def test_a_family_says_its_scale():
    model = hr.Model("incidence / size ~ period + (1 | herd)", hr.load_dataset("cbpp"), family=hr.Binomial())
    est = model.estimate()
    for scale, words in (("response", "probability of incidence"), ("link", "logit(incidence)")):
        (axis,) = hr.plots.effects(hr.comparisons(model, est, scale=scale)).axes
        assert axis.get_xlabel() == f"difference of {words}"
        assert len(rows(axis)) == 3


def test_many_effects_are_thinned_and_this_is_said():
    report = hr.slopes(*fit(), "SES", by=False)
    (axis,) = hr.plots.effects(report).axes
    (place,) = dots(axis).values()
    assert len(place) == 400
    np.testing.assert_array_equal(place[[0, -1], 0], report["mean"].values[[0, -1]])
    assert not rows(axis)
    assert "400 of 7185 effects shown" in axis.figure.get_suptitle().replace("\n", " ")


def test_effects_of_one_name_have_rows_of_their_own():
    report = hr.comparisons(*fit(), "SES", by="Sector")
    (axis,) = hr.plots.effects(report.isel(effect=[0, 1, 0, 1])).axes
    (place,) = dots(axis).values()
    np.testing.assert_array_equal(place, np.column_stack([report["mean"].values[[0, 1, 0, 1]], [0, -1, -2, -3]]))
    assert [t.get_text() for t in axis.get_yticklabels()] == ["Catholic", "Public"] * 2


def test_effects_can_be_drawn_into_axes_and_other_reports_are_refused():
    report = hr.comparisons(*fit(), "SES", by="Sector")
    figure, (left, right) = plt.subplots(1, 2)
    assert hr.plots.effects(report, axes=[right]) is figure
    assert dots(right)
    assert not left.lines
    with pytest.raises(ModelError, match="ax= takes 2 panels, but there are 1; choose as many variables"):
        hr.plots.effects(report, axes=[left, right])
    with pytest.raises(DataError, match=r"report has type Summary; what hr.comparisons, hr.slopes or hr.means"):
        hr.plots.effects(hr.summary(trees.tree("by")))
