"""Notebooks: a pair of files each, the text that is edited and the notebook with outputs that is made of it.

``python -m tests.helpers.notebooks`` executes all of them and writes them with their outputs; with names, those alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "notebooks"
TEXTS = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if path.name != "conf.py"}

# Said once on a machine, by the first use of a kind of model.
COMPILING = "hierreg compiles the numerical kernels"

_SMALLER = {"HIERREG_NOTEBOOK_ROWS": "200_000"}
_REMEMBER = 'import matplotlib\n\nmatplotlib.rcParams["figure.hooks"] = ["tests.helpers.figures:keep"]'
_FIND = 'from tests.helpers import figures\n\nprint(len(figures.KEPT), *figures.unlabelled(figures.KEPT), sep="\\n")'


def made_of_text(name: str) -> Any:
    """Return the notebook that the text is, without outputs; the same one each time."""
    return read(TEXTS[name])


def read(text: Path) -> Any:
    """Return the notebook that a text in jupytext's percent format is, wherever it lies."""
    import jupytext

    notebook = jupytext.read(text)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def stored(name: str) -> Any:
    """Return the notebook as it is kept, with its outputs."""
    import nbformat

    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def execute(notebook: Any, folder: Path | str, **environment: str) -> Any:
    """Return the notebook, executed in place in a kernel of its own, which writes to a folder."""
    import nbclient

    settings = {"metadata": {"path": str(folder)}}
    # of a text that comes in parts, one output
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources=settings, record_timing=False, coalesce_streams=True
    )
    # no backend of the caller's: figures are outputs
    own = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return client.execute(env=own | {"COLUMNS": "110"} | environment)


def executed(notebook: Any, folder: Path | str) -> tuple[int, list[str]]:
    """Execute a notebook in place, of fewer rows; return its number of figures, and their axes without a label."""
    import nbformat

    own, last = list(notebook.cells), nbformat.v4.new_code_cell(_FIND)
    notebook.cells = [nbformat.v4.new_code_cell(_REMEMBER), *own, last]
    try:
        execute(notebook, folder, PYTHONPATH=str(FOLDER.parent), **_SMALLER)
    finally:
        notebook.cells = own
    found, *missing = last.outputs[0].text.split("\n")
    return int(found), [line for line in missing if line]


def write(name: str) -> Path:
    """Execute the text of a notebook and write it with its outputs."""
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        notebook = execute(made_of_text(name), folder)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if COMPILING not in output.get("text", "")]
    notebook.metadata["language_info"] = {"name": "python"}
    path = FOLDER / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


if __name__ == "__main__":
    for one in sys.argv[1:] or TEXTS:
        print(write(one))
