"""`hierreg report`: every table, and the figures, of a kept posterior."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg import plots, reports
from hierreg.cli.answers import Answer, about_attributes
from hierreg.design import as_table
from hierreg.linear.effects.tables import levels_by_predictor
from hierreg.model import Model
from hierreg.plots.canvas import close
from hierreg.problem.labels import factors_of
from hierreg.results import load

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from hierreg.reports.table import Report

# Predictors along which lines are drawn.
_MOST_LINES = 4


def report(path: Path, *, figures: Path | None, tables: Path | None) -> Answer:
    """Print every table of a kept posterior; write figures and tables where folders are given."""
    tree = load(path)
    answer = print_tables(tree, tables)
    if figures is not None:
        written = write_figures(tree, figures)
        print(f"\nFigures: {', '.join(str(name) for name in written)}")
        return replace(answer, files=(*answer.files, *written))
    return answer


def print_tables(tree: xr.DataTree, folder: Path | None = None) -> Answer:
    """Print the tables that the model of a posterior has, and write them as CSV where a folder is given."""
    made: dict[str, Report] = {"summary": reports.summary(tree), "correlations": reports.correlations(tree)}
    for factor, suffix in _suffixes(tree).items():
        made[f"shrinkage{suffix}"] = reports.shrinkage(tree, factor=factor)
    for name, table in made.items():
        print(f"\n{name.upper()}\n{table}")
    frames, files = {name: table.to_pandas() for name, table in made.items()}, []
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            files.append(folder / f"{name}.csv")
            frame.to_csv(files[-1], index=False)
        print(f"\nTables: {', '.join(map(str, files))}")
    return Answer(tables=frames, about=about_attributes(tree.attrs), files=files)


def write_figures(tree: xr.DataTree, folder: Path, prefix: str = "") -> list[Path]:
    """Write the figures that the model of a posterior has as PNG files, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    makers: dict[str, Any] = {"variances": plots.variances}
    if any(str(name).startswith(("corr_", "error_corr")) for name in tree["posterior"].data_vars):
        makers["correlations"] = plots.correlations
    for factor, suffix in _suffixes(tree).items():
        makers[f"shrinkage{suffix}"] = partial(plots.shrinkage, factor=factor)
        makers[f"caterpillar{suffix}"] = partial(plots.caterpillar, factor=factor)
    makers |= _lines(tree)
    written = []
    for name, make in makers.items():
        path = folder / f"{prefix}{name}.png"
        figure = make(tree)
        figure.savefig(path, dpi=150, bbox_inches="tight")
        close(figure)
        written.append(path)
    return written


def _lines(tree: xr.DataTree) -> dict[str, Any]:
    """Return what draws lines along the numeric predictors, up to four, of a posterior that carries its rows."""
    if "model" not in tree.children or "constant_data" not in tree.children:
        return {}
    model = Model.from_tree(tree)
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


def _suffixes(tree: xr.DataTree) -> dict[str, str]:
    """Return what names of files say of each grouping factor: nothing where there is one."""
    factors = factors_of(tree.attrs)
    if len(factors) == 1:
        return {factors[0]: ""}
    return {factor: "_" + re.sub(r"\W+", "_", factor) for factor in factors}
