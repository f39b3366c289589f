"""All tables and figures that a posterior has."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg import plots, reports
from hierreg.design_matrices import as_table
from hierreg.linear.effects.tables import levels_by_predictor
from hierreg.model import Model
from hierreg.plots.parameters import has_free_variances
from hierreg.problem.labels import factors_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from hierreg.reports.table import Report

# Predictors along which lines are drawn.
_MOST_LINES = 4


def tables_of(tree: xr.DataTree) -> dict[str, Report]:
    """Return the reports of a posterior: summary, correlations, and shrinkage by each factor whose groups are known."""
    made: dict[str, Report] = {"summary": reports.summary(tree), "correlations": reports.correlations(tree)}
    for factor, suffix in _suffixes(tree).items() if _knows_groups(tree) else ():
        made[f"shrinkage{suffix}"] = reports.shrinkage(tree, factor=factor)
    return made


def figures_of(tree: xr.DataTree, model: Model | None = None) -> dict[str, Callable[[xr.DataTree], Any]]:
    """Return what draws the figures that the model of a posterior has; of one that carries it, `model` is that."""
    makers: dict[str, Any] = {"variances": plots.variances} if has_free_variances(tree) else {}
    if any(str(name).startswith(("corr_", "error_corr")) for name in tree["posterior"].data_vars):
        makers["correlations"] = plots.correlations
    for factor, suffix in _suffixes(tree).items() if _knows_groups(tree) else ():
        makers[f"shrinkage{suffix}"] = partial(plots.shrinkage, factor=factor)
        makers[f"caterpillar{suffix}"] = partial(plots.caterpillar, factor=factor)
    return makers | _lines(tree, model)


def _lines(tree: xr.DataTree, model: Model | None) -> dict[str, Any]:
    """Return what draws lines along the numeric predictors, up to four, of a posterior that carries its rows."""
    if "model" not in tree.children or "constant_data" not in tree.children:
        return {}
    model = Model.from_tree(tree) if model is None else model
    table = as_table(model.data)
    numeric = [
        name
        for name, levels in levels_by_predictor(model).items()
        if levels is None and len(np.unique(table[name].to_numpy())) > 1
    ]
    # Lines of groups need the draws of their coefficients.
    kept = [name for name in tree["posterior"].data_vars if str(name).startswith("b_")]
    groups = None if kept else False
    return {
        f"lines_{re.sub(r'\W+', '_', name)}": partial(plots.lines, x=name, groups=groups, model=model)
        for name in numeric[:_MOST_LINES]
    }


def _knows_groups(tree: xr.DataTree) -> bool:
    """Return whether there are draws or summaries of the group coefficients."""
    return "effects" in tree.children or any(str(name).startswith("b_") for name in tree["posterior"].data_vars)


def _suffixes(tree: xr.DataTree) -> dict[str, str]:
    """Return what names of files say of each grouping factor: nothing where there is one."""
    factors = factors_of(tree.attrs)
    if len(factors) == 1:
        return {factors[0]: ""}
    return {factor: "_" + re.sub(r"\W+", "_", factor) for factor in factors}
