"""Five users' jobs from the first to the last step, as notebooks: each step in few lines of public functions.

The fast tests read the texts: every step is there, and the table at the end counts its lines as they are. The slow ones
execute them.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.helpers.notebooks import executed, read

TEXTS = {path.stem: path for path in sorted((Path(__file__).parent / "jobs").glob("*.py"))}
TABLE = "Lines of each step"

# What each job consists of, with public names that the step rests on.
STEPS = {
    "students_in_schools": {
        "Fit and summary": "hr.summary",
        "Slope of SES by sector": "hr.slopes",
        "Ranks with uncertainty": "hr.ranks",
        "Figure of school effects": "hr.plots.caterpillar",
        "A new school": "hr.predict",
        "Population lines with bands": "hr.plots.lines",
        "Intraclass correlation": "hr.correlations",
        "Marginal and conditional R2": "hr.r2",
        "Predictive check": "azp.plot_ppc_dist",
        "Predictive check by group": "azp.plot_ppc_dist",
        "Prior sensitivity": "azs.psense_summary",
        "A grid of priors": "hr.map_fits",
        "Leave one student out, and compare": "azs.compare",
        "Leave one school out": "hr.loo",
        "Table for a paper": "hr.table",
        "One page for a colleague": "hr.report",
    },
    "two_correlated_quantities": {
        "From two tables to the difference of slopes": "hr.contrasts",
        "Both lines with bands": "hr.plots.lines",
        "Difference of slopes without names of columns": "hr.slopes",
        "Chi-square with a known covariance": "hr.known_cov",
        "Goodness of fit with an estimated covariance": "azp.plot_ppc_dist",
        "Calibration of each row": "azp.plot_loo_pit",
        "Error of prediction, one row left out": "azs.loo_metrics",
    },
    "reaction_times": {
        "Correlation of persons' slopes in two conditions": "hr.by",
        "Posterior of that one correlation": "hr.plots.correlations",
        "Random slopes of condition, error sd by condition": "hr.by",
        "Intraclass correlation of each condition": "hr.correlations",
        "Reliability of persons' slopes": "hr.shrinkage",
        "Persons' data with fitted lines": "hr.plots.lines",
        "Effect of condition at each load": "hr.comparisons",
    },
    "blups_in_class": {
        "Mixed-model equations at known variances": "model.solve",
        "The prior of beta becomes flat": "model.solve",
        "REML, ML, MAP and Bayes in one table": "hr.table",
        "A variance on the boundary": "hr.table",
        "Shrinkage of the posterior, in a figure": "hr.plots.shrinkage",
        "Shrinkage in the plane of intercept and slope": "hr.plots.shrinkage",
        "Shrinkage of an estimate": "hr.plots.shrinkage",
        "Summary of an estimate, with standard errors of variances": "hr.summary",
        "AIC, BIC and likelihood-ratio test": "hr.compare_fits",
        "Confidence intervals": "hr.intervals",
        "Fitted values and residuals": "hr.residuals",
    },
    "ten_million_rows": {
        "One pass over the files": "hr.Gram.scan",
        "What was kept": "gram",
        "REML": "hr.Model.from_gram",
        "Posterior": "model.sample",
        "Posterior without a Markov chain": "model.sample",
        "Predictions from summaries of groups": "hr.predict",
        "Saved, loaded and predicted elsewhere": "hr.load",
        "Twenty thousand machines in a figure": "hr.plots.caterpillar",
        "Their plane": "hr.plots.shrinkage",
        "The same in the terminal": "subprocess.run",
    },
}
# Figures of ArviZ are titled by the response and leave its axis without a label.
OF_ARVIZ = ("x of 'MathAch'", "x of 'y'")


def lines(cell):
    """Return the number of lines of code of a cell: neither empty nor comments."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in cell.source.splitlines())


def steps(name):
    """Return the code cells below each heading of a notebook."""
    found = {}
    for cell in read(TEXTS[name]).cells:
        headings = re.findall(r"^## (.*)$", cell.source, flags=re.MULTILINE) if cell.cell_type == "markdown" else []
        assert len(headings) <= 1
        for heading in headings:
            assert cell.source.startswith(f"## {heading}")
            assert heading not in found
            found[heading] = []
        if cell.cell_type == "code" and found:
            found[list(found)[-1]].append(cell)
    return found


def table(name):
    """Return the rows of the table at the end: step, lines before, lines now."""
    last = read(TEXTS[name]).cells[-1].source
    assert last.startswith(f"## {TABLE}\n")
    header, rule, *rows = [row.strip("|").split("|") for row in last.splitlines() if row.startswith("|")]
    assert [cell.strip() for cell in header] == ["step", "before", "now"]
    assert set("".join(rule)) == {"-"}
    return [tuple(cell.strip() for cell in row) for row in rows]


def names(cell):
    """Return the dotted names that a cell uses, and the attributes of anything else."""
    nodes = list(ast.walk(ast.parse(cell.source)))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    return {ast.unparse(node) for node in nodes if isinstance(node, ast.Name | ast.Attribute)} | {
        node.attr for node in attributes
    }


def test_every_job_is_there():
    assert sorted(TEXTS) == sorted(STEPS)


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_one_cell_that_rests_on_its_function(name):
    found = steps(name)
    assert list(found) == [*STEPS[name], TABLE]
    assert found.pop(TABLE) == []
    for step, function in STEPS[name].items():
        assert len(found[step]) == 1, step
        assert function in names(found[step][0]), step


@pytest.mark.parametrize("name", STEPS)
def test_the_table_counts_the_lines_of_each_step(name):
    found = steps(name)
    assert [(step, int(now)) for step, _, now in table(name)] == [(s, lines(found[s][0])) for s in STEPS[name]]
    assert all(before.isdigit() or before in {"not counted", "not possible", "wrong"} for _, before, _ in table(name))


@pytest.mark.parametrize("name", STEPS)
def test_no_step_is_done_by_hand(name):
    """A step of more than three lines took as many when it was all there is to it."""
    assert not [step for step, before, now in table(name) if int(now) > 3 and before != now]


def test_lines_are_counted_without_comments_and_blanks():
    cell = read(TEXTS["students_in_schools"]).cells[1]
    cell.source = "# why\nx = f(\n    1,\n)\n\ny = x  # what\n"
    assert lines(cell) == 4


@pytest.mark.parametrize("name", STEPS)
def test_no_line_is_several(name):
    """Neither semicolons nor lines beyond the width of the code make a step short."""
    for cells in steps(name).values():
        for cell in cells:
            assert all(len(line) <= 120 for line in cell.source.splitlines())
            body = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.stmt)]
            assert len({node.lineno for node in body}) == len(body)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_journey_runs(name, tmp_path, monkeypatch):
    # the command `hierreg` is beside the Python that runs the tests
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    notebook = read(TEXTS[name])
    found, missing = executed(notebook, tmp_path)
    assert found > 0
    assert [line for line in missing if not line.endswith(OF_ARVIZ)] == []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output for cell in code[1:] for output in cell.outputs if output.get("name") != "stderr"]
    assert len(shown) >= len(STEPS[name]) - 1  # a pass over files shows nothing
