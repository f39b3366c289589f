"""All tables and figures that a posterior has, and one page of them."""

from __future__ import annotations

import base64
import io
import re
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hierreg import plots, reports
from hierreg.design import as_table
from hierreg.exceptions import ModelError
from hierreg.linear.effects.tables import levels_by_predictor
from hierreg.model import Model
from hierreg.plots.canvas import close
from hierreg.problem.labels import factors_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from hierreg.reports.table import Report

# Predictors along which lines are drawn.
_MOST_LINES = 4
_DOTS_PER_INCH = 110
_STYLE = """
:root { color-scheme: light dark }
body { font-family: system-ui, sans-serif; line-height: 1.4; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2.2rem }
table { font-size: 0.9rem; font-variant-numeric: tabular-nums }
figure { margin: 1rem 0 } img { max-width: 100%; background: white }
footer { margin-top: 2rem; font-size: 0.85rem } @media print { figure, tr { break-inside: avoid } }
"""


def tables_of(tree: xr.DataTree) -> dict[str, Report]:
    """Return the reports that every posterior has: summary, correlations, and shrinkage by each factor."""
    made: dict[str, Report] = {"summary": reports.summary(tree), "correlations": reports.correlations(tree)}
    for factor, suffix in _suffixes(tree).items():
        made[f"shrinkage{suffix}"] = reports.shrinkage(tree, factor=factor)
    return made


def figures_of(tree: xr.DataTree) -> dict[str, Callable[[xr.DataTree], Any]]:
    """Return what draws the figures that the model of a posterior has."""
    makers: dict[str, Any] = {"variances": plots.variances}
    if any(str(name).startswith(("corr_", "error_corr")) for name in tree["posterior"].data_vars):
        makers["correlations"] = plots.correlations
    for factor, suffix in _suffixes(tree).items():
        makers[f"shrinkage{suffix}"] = partial(plots.shrinkage, factor=factor)
        makers[f"caterpillar{suffix}"] = partial(plots.caterpillar, factor=factor)
    return makers | _lines(tree)


def write_page(tree: xr.DataTree, path: str | PathLike[str], *, title: str | None = None) -> Path:
    """Write all tables and figures of a posterior as one HTML file that needs no other: a page for a colleague.

    Parameters
    ----------
    tree : DataTree
        A result of `Model.sample`, or one from `load`.
    path : str or path-like
        Where to write it; an earlier file of that name is replaced.
    title : str, optional
        Heading of the page; the formula by default, which stands below it otherwise.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ModelError
        If `tree` is no posterior.

    See Also
    --------
    table : Several fits side by side, for a paper.
    save : The posterior itself.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = model.sample(draws=100, seed=1, method="psis")
    >>> with TemporaryDirectory() as folder:
    ...     page = hr.write_page(tree, Path(folder) / "sleep.html", title="Reaction times without sleep")
    ...     "Reaction times without sleep" in page.read_text(encoding="utf-8")
    True
    """
    if not isinstance(tree, xr.DataTree) or "posterior" not in tree.children:
        raise ModelError(
            f"tree has type {type(tree).__name__}; a posterior is required, a DataTree from Model.sample or hr.load. "
            "Of an estimate, hr.summary(estimate).to_html() writes a table."
        )
    formula = str(tree.attrs.get("formula", ""))
    parts = [f"<h1>{escape(title or formula)}</h1>"]
    parts += [f"<p><code>{escape(formula)}</code></p>"] if title else []
    sections = {name: [report._repr_html_()] for name, report in tables_of(tree).items()}
    for name, make in figures_of(tree).items():
        below = "summary" if name == "variances" else name.replace("caterpillar", "shrinkage")
        sections.setdefault(below, []).append(f"<figure>{_picture(make(tree), _words(name))}</figure>")
    for name, elements in sections.items():
        parts += [f"<h2>{escape(_words(name))}</h2>", *elements]
    parts.append(f"<footer>{escape(_origin(tree))}</footer>")
    head = f'<meta charset="utf-8"><title>{escape(title or formula)}</title><style>{_STYLE}</style>'
    out = Path(path)
    out.write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{"\n".join(parts)}\n</body></html>\n',
        encoding="utf-8",
    )
    return out


def _origin(tree: xr.DataTree) -> str:
    """Return by what, when and from which draws a posterior was made, as far as it says so."""
    facts, sizes = tree.attrs, tree["posterior"].sizes
    made = [f"hierreg {facts['hierreg_version']}"] if "hierreg_version" in facts else []
    made += [f"{sizes['chain']} x {sizes['draw']} draws" + (f" by {facts['sampler']}" if "sampler" in facts else "")]
    made += [f"seed {facts['seed']}"] if "seed" in facts else []
    made += [f"made {facts['created_at']}"] if "created_at" in facts else []
    return ", ".join(made) + "."


def _picture(figure: Any, words: str) -> str:
    """Return a figure as an element that holds its own picture, and forget the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=_DOTS_PER_INCH, bbox_inches="tight", format="png")
    close(figure)
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _words(name: str) -> str:
    """Return the name of a table or figure as a heading."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


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
