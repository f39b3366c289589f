"""Figures of simulated studies: what is drawn is what is reported."""

import functools

import matplotlib.pyplot as plt
import numpy as np
import pytest

import hierreg as hr
from hierreg.exceptions import HierregError, ModelError
from hierreg.reports.uniformity import band, counts_below, places

QUICK = {"seed": 1, "cores": 1, "progress": False}


@functools.cache
def dyestuff():
    return hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))


@functools.cache
def calibrated():
    return hr.calibrate(dyestuff(), 25, draws=39, method="psis", **QUICK)


@functools.cache
def planned():
    contrast = {"mean": {"Intercept": 1}, "twice": {"Intercept": 2}}
    return hr.design(dyestuff(), contrast, groups=[12, 5], rows=[2, 7], at=dyestuff().estimate(), n=6, **QUICK)


@pytest.mark.long
def test_lines_are_distribution_functions_less_uniform_ones():
    figure = hr.plots.calibration(calibrated())
    names = calibrated()["quantity"].to_numpy().tolist()
    assert sum(axis.axison for axis in figure.axes) == len(names)
    at, z = names.index("error_sd"), places(39)
    axis = figure.axes[at]
    assert axis.get_title() == "error_sd"
    line = axis.lines[-1].get_xydata()
    ranks = calibrated()["rank"].sel(quantity="error_sd").to_numpy().astype(int)
    np.testing.assert_allclose(line[1:-1, 0], z)
    np.testing.assert_allclose(line[1:-1, 1], counts_below(ranks, 39) / 25 - z)
    np.testing.assert_allclose(line[[0, -1], 1], 0)
    (ends,) = axis.collections
    low, high = ends.get_datalim(axis.transData).intervaly
    _, lower, upper = band(25, 39, 0.95)
    assert (low, high) == pytest.approx((np.min(lower - z), np.max(upper - z)))


def test_bands_are_wider_for_a_larger_probability():
    one, other = (hr.plots.calibration(calibrated(), "error_sd", ci_prob=prob).axes[0] for prob in (0.5, 0.99))
    heights = [axis.collections[0].get_datalim(axis.transData).height for axis in (one, other)]
    assert heights[0] < heights[1]


def test_labels_say_what_is_drawn_and_given_axes_are_used():
    _, given = plt.subplots(1, 2)
    hr.plots.calibration(calibrated(), ["error_sd", "log likelihood"], axes=given)
    assert "less uniform" in given[0].get_ylabel()
    assert all("rank of the true value" in axis.get_xlabel() for axis in given)


def test_points_of_a_plan_are_its_numbers():
    report = planned().sel(contrast="twice")
    figure = hr.plots.design(planned(), "twice")
    for axis, name in zip(figure.axes, ("power", "sd"), strict=True):
        assert axis.get_xlabel() == "groups"
        lines = {one.get_label(): one.lines[0].get_xydata() for one in axis.containers}
        assert list(lines) == ["2 rows of a group", "7 rows of a group"]
        for rows, points in zip((2, 7), lines.values(), strict=True):
            own = report.isel(study=np.flatnonzero(report["rows"] == rows)).sortby("groups")
            np.testing.assert_allclose(points, np.stack([own["groups"], own[name]], axis=1))
    assert "95 % intervals" in figure.axes[0].get_ylabel()
    assert "posterior sd" in figure.axes[1].get_ylabel()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hr.plots.calibration(dyestuff()), "what hr.calibrate returns"),
        (lambda: hr.plots.calibration(calibrated(), "error_sv"), "Did you mean 'error_sd'"),
        (lambda: hr.plots.calibration(calibrated(), []), "quantities is empty"),
        (lambda: hr.plots.calibration(calibrated(), hdi_prob=0.9), "ci_prob="),
        (lambda: hr.plots.calibration(calibrated().isel(quantity=0)), "as a whole"),
        (lambda: hr.plots.design(calibrated()), "what hr.design returns"),
        (lambda: hr.plots.design(planned()), "which of 'mean', 'twice'"),
        (lambda: hr.plots.design(planned(), "men"), "Did you mean 'mean'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(call, words):
    with pytest.raises(HierregError, match=words) as caught:
        call()
    assert isinstance(caught.value, ModelError)


def test_a_study_without_groups_has_rows():
    model = hr.Model("Yield ~ 1", hr.load_dataset("dyestuff"))
    figure = hr.plots.design(hr.design(model, {"mean": {"Intercept": 1}}, at=model.estimate(), n=3, **QUICK))
    assert [axis.get_xlabel() for axis in figure.axes] == ["rows", "rows"]
    assert [tick.tolist() for tick in (axis.get_xticks() for axis in figure.axes)] == [[30.0], [30.0]]
