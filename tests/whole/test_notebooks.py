"""The notebooks: what is kept is what the texts make, and all of them run from their first to their last cell."""

import ast
import re
import sys
import tomllib
from itertools import pairwise

import pytest

from tests.helpers.notebooks import FOLDER, TEXTS, executed, made_of_text, stored

ROOT = FOLDER.parent


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def trees(name):
    """Return the parsed code cells of a notebook."""
    return [ast.parse(cell.source) for cell in code(made_of_text(name))]


def kinds(cell):
    """Return what a cell shows, in order: pictures, tables, text. One text may come in parts; warnings are left out."""
    each = [sorted(output["data"]) if "data" in output else output.get("name") for output in cell.outputs]
    shown = [kind for kind in each if kind != "stderr"]
    return [kind for i, kind in enumerate(shown) if not (i and kind == shown[i - 1] == "stdout")]


def has_figure(cell):
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def test_every_text_has_a_notebook_and_every_notebook_a_text():
    assert sorted(TEXTS) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    assert len(TEXTS) >= 11


@pytest.mark.parametrize("name", TEXTS)
def test_a_notebook_is_what_its_text_makes(name):
    """After an edit of a text: ``python -m tests.helpers.notebooks NAME``."""
    of_text, kept = made_of_text(name), stored(name)
    assert [(c.cell_type, c.source) for c in kept.cells] == [(c.cell_type, c.source) for c in of_text.cells]
    assert [c.execution_count for c in code(kept)] == list(range(1, len(code(kept)) + 1))


@pytest.mark.parametrize("name", TEXTS)
def test_a_notebook_is_small_and_has_outputs_but_no_warnings_or_places(name):
    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < 300_000
    outputs = [output for cell in code(stored(name)) for output in cell.outputs]
    assert {output.get("name", "shown") for output in outputs} <= {"shown", "stdout"}
    assert not [output for output in outputs if output.output_type == "error"]
    assert not re.findall(r"/(?:tmp|home|root|work|Users)/", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TEXTS)
def test_a_notebook_asks_one_question_and_says_what_to_see(name):
    cells = stored(name).cells
    assert re.match(r"# .*\?\n", cells[0].source)
    assert any(map(has_figure, cells))
    for here, after in pairwise([*cells, None]):
        if has_figure(here):
            assert after is not None
            assert after.cell_type == "markdown" or has_figure(after), f"nothing is said of {here.source}"


@pytest.mark.parametrize("name", TEXTS)
def test_a_notebook_needs_the_installed_package_alone(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = {re.match(r"[\w-]+", one)[0].replace("-", "_") for one in project["dependencies"]} | {"hierreg"}
    imported = set()
    for node in (node for tree in trees(name) for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert imported <= installed | sys.stdlib_module_names


@pytest.mark.parametrize("name", TEXTS)
def test_no_function_of_a_notebook_is_longer_than_three_lines(name):
    functions = [node for tree in trees(name) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        assert function.end_lineno - function.body[0].lineno < 3, function.name


def test_axes_without_a_label_are_found():
    from matplotlib.figure import Figure

    from tests.helpers.figures import unlabelled

    figure = Figure()
    left, right = figure.subplots(1, 2, sharey=True)
    left.plot([1, 2])
    right.plot([1, 2])
    left.set(xlabel="time (s)", title="left")
    right.set(title="right")
    assert unlabelled([figure]) == ["figure 0: x of 'right'", "figure 0: y of 'left'", "figure 0: y of 'right'"]
    left.set_ylabel("length (m)")  # of both, which share their axis
    right.set_xticks([0, 1], ["a", "b"])
    assert unlabelled([figure]) == ["figure 0: x of 'right'"]


def test_a_label_below_a_column_and_one_of_the_figure_are_labels_of_its_axes():
    from matplotlib.figure import Figure

    from tests.helpers.figures import unlabelled

    figure = Figure()
    for axis, name in zip(figure.subplots(2, 2).ravel(), "abcd", strict=True):
        axis.plot([1, 2])
        axis.set_title(name)
    figure.axes[2].set_xlabel("time (s)")
    figure.supylabel("length (m)")
    assert unlabelled([figure]) == ["figure 0: x of 'b'", "figure 0: x of 'd'"]
    figure.axes[0].set_xlim(0, 7)  # not what is said below
    assert unlabelled([figure]) == [f"figure 0: x of '{name}'" for name in "abd"]


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_notebook_runs(name, tmp_path):
    notebook, kept = made_of_text(name), stored(name)
    found, missing = executed(notebook, tmp_path)
    assert found > 0
    assert missing == []
    for here, before in zip(notebook.cells, kept.cells, strict=True):
        if here.cell_type == "code":
            assert kinds(here) == kinds(before), here.source
