"""Names with dollar signs in figures: they are no formulas of matplotlib, and what a user wrote stays as it is."""

import functools
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import hierreg as hr

FORMULA = "`y$_{$` ~ `x$^$` + (`x$^$` | g)"


@functools.cache
def fitted():
    rng = np.random.default_rng(5)
    labels = np.array(["$\\bad$", "a$b^$", "$c", "$d$", "x_1", "\\n"], dtype=object)
    table = pd.DataFrame({"g": labels[np.repeat(np.arange(6), 8)], "x$^$": rng.normal(size=48)})
    table["y$_{$"] = table["x$^$"] + rng.normal(size=6)[np.repeat(np.arange(6), 8)] + rng.normal(size=48)
    model = hr.Model(FORMULA, table)
    return model, model.sample(draws=100, seed=1, method="psis", progress=False)


FIGURES = {
    "calibration": lambda model, tree: hr.plots.calibration(
        hr.calibrate(model, 2, draws=39, method="psis", seed=1, cores=1, progress=False), ["b_g[$\\bad$, x$^$]"]
    ),
    "caterpillar": lambda model, tree: hr.plots.caterpillar(tree),
    "check": lambda model, tree: hr.plots.check(hr.check(tree, replicates=199)),
    "correlations": lambda model, tree: hr.plots.correlations(tree),
    "design": lambda model, tree: hr.plots.design(
        hr.design(model, {"$^": {"x$^$": 1}, "$^$": {"x$^$": 2}}, n=2, at=tree, seed=1, cores=1, progress=False), "$^$"
    ),
    "lines": lambda model, tree: hr.plots.lines(tree, "x$^$", panels="group"),
    "predictive": lambda model, tree: hr.plots.predictive(tree, "interval", "g", draws=20),
    "prior_check": lambda model, tree: hr.plots.prior_check(hr.prior_check(model, 100)),
    "prior_lines": lambda model, tree: hr.plots.prior_lines(model, "x$^$", draws=2),
    "ranks": lambda model, tree: hr.plots.ranks(tree, "x$^$"),
    "sensitivity": lambda model, tree: hr.plots.sensitivity(hr.sensitivity(tree)),
    "shrinkage": lambda model, tree: hr.plots.shrinkage(tree),
    "variances": lambda model, tree: hr.plots.variances(tree),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_whatever_the_names(name):
    figure = FIGURES[name](*fitted())
    figure.savefig(io.BytesIO(), format="svg")


def test_what_a_user_wrote_on_axes_stays_a_formula():
    figure, axis = plt.subplots()
    written = figure.suptitle("$x^2$")
    hr.plots.caterpillar(fitted()[1], coef="x$^$", ax=axis)
    assert written.get_parse_math()
    is_formula = {label.get_text(): label.get_parse_math() for label in axis.get_yticklabels()}
    assert is_formula["$d$"] is False


def test_powers_of_ten_stay_formulas():
    model, _ = fitted()
    grid = hr.sensitivity(model, scales=[0.5, 2.0], draws=100, seed=1)
    axis = hr.plots.sensitivity(grid, ["beta[x$^$]"]).axes[0]
    axis.set_xscale("log")
    axis.set_xlim(1e-3, 1e3)
    powers = [label.get_parse_math() for label in axis.get_xticklabels() if "10^" in label.get_text()]
    assert powers
    assert all(powers)
