"""`report`: one file for a colleague."""

from __future__ import annotations

import base64
import io
import warnings
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from hierreg import plots
from hierreg.criticism import check
from hierreg.display.html import as_html, preformatted
from hierreg.exceptions import HierregError, HierregWarning, ModelError
from hierreg.model import Model
from hierreg.page.facts import code_of, data_table, draws_table, versions_of
from hierreg.page.parts import figures_of, tables_of
from hierreg.page.symbols import in_symbols
from hierreg.plots.canvas import close
from hierreg.studies import sensitivity as prior_sensitivity

if TYPE_CHECKING:
    from os import PathLike

    from hierreg.reports.table import Report

_DOTS_PER_INCH = 110
_STYLE = """
:root { color-scheme: light dark }
body { font-family: system-ui, sans-serif; line-height: 1.4; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin-top: 2.2rem }
table { font-size: 0.9rem; font-variant-numeric: tabular-nums }
.symbols { font-family: Georgia, serif; margin: 0.4rem 0 0.4rem 1rem; overflow-wrap: anywhere }
figure { margin: 1rem 0 } img { max-width: 100%; height: auto; background: white }
nav { font-size: 0.9rem } nav a { margin-right: 0.8rem } pre { font-size: 0.85rem }
footer { margin-top: 2rem; font-size: 0.85rem; overflow-wrap: anywhere }
@media (max-width: 40rem) { body { margin: 1rem auto; padding: 0 0.6rem } table { font-size: 0.75rem } }
@media print { nav { display: none } figure, tr { break-inside: avoid } h2 { break-after: avoid } body { margin: 0 } }
"""


def report(
    tree: xr.DataTree,
    path: str | PathLike[str],
    *,
    title: str | None = None,
    model: Model | None = None,
    checks: bool = True,
    sensitivity: bool = True,
) -> Path:
    """Write a posterior as one HTML file that needs no other and no network: a page for a colleague.

    It has the data, the model in symbols with its priors, all tables and figures, what the data say against the model,
    how much is the prior, the diagnostics of the draws, and the code and versions that made them.

    Parameters
    ----------
    tree : DataTree
        A result of `Model.sample`, or one from `load`.
    path : str or path-like
        Where to write it; an earlier file of that name is replaced.
    title : str, optional
        Heading of the page; the formula by default, which stands below it otherwise.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries (`Model.from_tree`). Without one
        the page has no data and no symbols, and says so.
    checks, sensitivity : bool
        With what `check` and `sensitivity` say; where they cannot say anything, the reason.

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
    check : What the data say against a model.
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
    ...     page = hr.report(tree, Path(folder) / "sleep.html", title="Reaction times without sleep")
    ...     "Reaction times without sleep" in page.read_text(encoding="utf-8")
    True
    """
    if not isinstance(tree, xr.DataTree) or "posterior" not in tree.children:
        raise ModelError(
            f"tree has type {type(tree).__name__}; a posterior is required, a DataTree from Model.sample or hr.load. "
            "Of an estimate, hr.summary(estimate).to_html() writes a table."
        )
    formula = str(tree.attrs.get("formula", ""))
    heading = escape(title or formula)
    # Once: what it is made of may be large.
    model = Model.from_tree(tree) if model is None and "model" in tree.children else model
    tables = tables_of(tree)
    sections = _of_model(model) | _shown(tree, tables, model)
    sections |= _judged("Checks", tree, check, plots.check, model) if checks else {}
    sections |= _judged("Sensitivity", tree, prior_sensitivity, plots.sensitivity, model) if sensitivity else {}
    sections |= {"Draws": [as_html(draws_table(tree, tables["summary"]))], "Code": [preformatted(code_of(tree))]}
    parts = [f"<h1>{heading}</h1>"]
    parts += [f"<p><code>{escape(formula)}</code></p>"] if title else []
    parts.append(f"<nav>{' '.join(f'<a href="#s{i}">{escape(name)}</a>' for i, name in enumerate(sections))}</nav>")
    for i, (name, elements) in enumerate(sections.items()):
        parts += [f'<h2 id="s{i}">{escape(name)}</h2>', *elements]
    parts.append(f"<footer>{escape(versions_of(tree.attrs))}</footer>")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}</title><style>{_STYLE}</style>"
    )
    out = Path(path)
    out.write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{"\n".join(parts)}\n</body></html>\n',
        encoding="utf-8",
    )
    return out


def _shown(tree: xr.DataTree, tables: dict[str, Report], model: Model | None) -> dict[str, list[str]]:
    """Return the sections of tables and figures."""
    sections = {_words(name): [table._repr_html_()] for name, table in tables.items()}
    for name, make in figures_of(tree, model).items():
        below = _words("summary" if name == "variances" else name.replace("caterpillar", "shrinkage"))
        sections.setdefault(below, []).append(f"<figure>{_picture(make(tree), _words(name))}</figure>")
    return sections


def _judged(name: str, tree: xr.DataTree, judge: Any, draw: Any, model: Model | None) -> dict[str, list[str]]:
    """Return a section of what is judged of a model, with its figure; where there is none, the reason."""
    elements: list[str] = []
    try:
        with warnings.catch_warnings():
            # What is warned of stands in the report that is shown.
            warnings.simplefilter("ignore", HierregWarning)
            found = judge(tree, model=model)
            elements.append(found._repr_html_())
            elements.append(f"<figure>{_picture(draw(found), name)}</figure>")
    except HierregError as error:
        elements.append(f"<p>{escape(str(error))}</p>")
    return {name: elements}


def _of_model(model: Model | None) -> dict[str, list[str]]:
    """Return the sections of data and model."""
    if model is None:
        return {"Data": ["<p>This posterior does not carry its model: give it, hr.report(tree, path, model=...).</p>"]}
    lines = [f'<p class="symbols">{line}</p>' for line in in_symbols(model.problem)]
    return {"Data": [as_html(data_table(model))], "Model": [*lines, model.priors._repr_html_()]}


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
