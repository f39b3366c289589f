"""Every report is one table: its text, Markdown, HTML and LaTeX have the same columns, rows and notes."""

import functools
import html
import importlib
import pkgutil
import re
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import hierreg as hr
from hierreg.reports.table import Report
from tests.helpers import report_trees as trees

WIDE, SHORT = 1000, 40


def subclasses(kind: type) -> set[type]:
    """Return the classes below another one that have none below them, of hierreg alone."""
    below = {one for one in kind.__subclasses__() if one.__module__.startswith("hierreg.")}
    return set().union(*(subclasses(one) or {one} for one in below))


@functools.cache
def rows_of_weight() -> tuple[object, hr.Model]:
    model = hr.Model("y ~ x + (1 | g)", trees.table(), family=hr.StudentT())
    return trees.run(model, draws=20, chains=2, method="psis"), model


@functools.cache
def of_categories() -> tuple[hr.Model, object]:
    """Return a model of three ordered categories."""
    table = trees.table().assign(rank=lambda rows: np.digitize(rows["y"], [1.0, 3.0]))
    model = hr.Model("rank ~ x + (1 | g)", table, family=hr.Cumulative())
    return model, model.estimate()


def compared() -> Report:
    formulas = ("y ~ x + (1 | g)", "y ~ x + (x | g)", "y ~ x + w + (x | g)")
    return hr.compare_fits(*(hr.Model(formula, trees.table()).estimate("ml") for formula in formulas))


def many() -> hr.Model:
    return trees.many_groups_model()


EXAMPLES: dict[str, Callable[[], Report]] = {
    "Checks": lambda: hr.check(hr.Model("Reaction ~ Days + (1 | Subject)", hr.load_dataset("sleepstudy")).estimate()),
    "Comparison": compared,
    "Intervals": lambda: hr.intervals(trees.wide_model().estimate("ml"), method="wald"),
    "TTests": lambda: hr.t_tests(trees.wide_model().estimate(), joint=True),
    "EstimateSummary": lambda: hr.summary(trees.wide_model().estimate()),
    "Summary": lambda: hr.summary(trees.tree("correlated")),
    "Correlations": lambda: hr.correlations(trees.tree("correlated")),
    "R2": lambda: hr.r2(trees.tree("by")),
    "R2 of an estimate": lambda: hr.r2(trees.model("by").estimate()),
    "Shrinkage": lambda: hr.shrinkage(trees.many_groups()),
    "ShrinkageAtPoint": lambda: hr.shrinkage(many().estimate()),
    "Ranks": lambda: hr.ranks(trees.many_groups()),
    "Effects": lambda: hr.comparisons(many(), trees.many_groups(), by="g"),
    "Effects of an estimate": lambda: hr.slopes(many(), many().estimate(), by="g"),
    "Contrasts": lambda: hr.contrasts(trees.many_groups(), {f"{i} x": {"x": i} for i in range(1, 60)}),
    "Predictions": lambda: hr.predict(many(), {"x": np.arange(45.0), "g": many_labels()}, at=trees.many_groups()),
    "CategoryPredictions": lambda: hr.predict(of_categories()[0], trees.table(), at=of_categories()[1]),
    "RowWeights": lambda: hr.row_weights(*rows_of_weight()),
    "Calibration": lambda: hr.calibrate(trees.model("by"), 6, draws=39, method="psis", seed=1, cores=1, progress=False),
    "StudyPlan": lambda: hr.design(
        trees.model("by"), {"slope": {"x": 1}}, groups=[4, 9], rows=[3, 5], n=4, seed=1, cores=1, progress=False
    ),
    "PredictiveCheck": lambda: hr.predictive_check(trees.many_groups(), "g", "sd", level="new group"),
    "PriorCheck": lambda: hr.prior_check(trees.model("correlated"), draws=200),
    "Sensitivity": lambda: hr.sensitivity(trees.tree("correlated")),
    "PriorGrid": lambda: hr.sensitivity(trees.model("by"), ["sd_g"], scales=[0.5, 2], draws=60, seed=1),
    "SideBySide": lambda: hr.table({"REML": trees.model("by").estimate(), "Bayes": trees.tree("by")}),
}


def many_labels() -> list[str]:
    return [f"g{j:02d}" for j in range(45)]


@functools.cache
def made(name: str) -> Report:
    return EXAMPLES[name]()


def test_every_kind_of_report_has_an_example():
    for module in pkgutil.walk_packages(hr.__path__, "hierreg."):
        if "__main__" not in module.name:
            importlib.import_module(module.name)
    assert {type(made(name)).__name__ for name in EXAMPLES} == {kind.__name__ for kind in subclasses(Report)}
    assert all(name.partition(" ")[0] == type(made(name)).__name__ for name in EXAMPLES)
    assert not [kind for kind in subclasses(Report) if {"text", "__repr__", "__str__", "_repr_html_"} & set(vars(kind))]


def of_markdown(text: str) -> tuple[list[str], list[list[str]]]:
    """Return the heads, those of words and of titles first, and the rows."""
    lines = [
        [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
    ]
    return lines[0], lines[2:]


def of_html(text: str) -> list[list[str]]:
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.DOTALL)
    ]


def squeezed(cells: list[str]) -> str:
    return " ".join(" ".join(cells).split())


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
@pytest.mark.parametrize("name", EXAMPLES)
def test_columns_rows_and_notes_are_the_same_everywhere(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDE))
    report = made(name)
    heads, rows = of_markdown(report.to_markdown())
    in_html = of_html(report.to_html())
    assert in_html[0] == heads
    assert [squeezed(row) for row in in_html[1:]] == [squeezed(row).strip("*") for row in rows]
    columns = re.match(r"\\begin\{tabular\}\{([lr]+)\}", report.to_latex())[1]
    assert len(columns) == len(heads)

    heading, notes = report.attrs.get("heading", ""), report._table().notes
    blocks = report.text().split("\n\n")
    first = 1 if heading else 0
    assert blocks[:first] == ([heading] if heading else [])
    title = heads[0] or (rows[0][0].strip("*") if rows[0][0].startswith("**") else "")
    assert re.split(r"\s{2,}", blocks[first].splitlines()[0].strip()) == [one for one in (title, *heads[1:]) if one]
    lines = [squeezed([line]) for line in "\n".join(blocks[first:]).splitlines() if re.match(r"  \S", line)]
    shown = [line for line in lines if not re.fullmatch(r"\.\.\. [\d,]+ more", line)]
    every = [squeezed(row) for row in rows if not row[0].startswith("**")]
    assert shown == every if len(shown) == len(lines) else set(shown) < set(every)
    words = html.unescape(re.sub(r"<[^>]+>", "\n", report.to_html())).splitlines()
    assert {line for note in (*heading.splitlines(), *notes) for line in note.splitlines()} <= set(words)
    assert {line for note in notes for line in note.splitlines()} <= set(report.text().splitlines())


@pytest.mark.filterwarnings("ignore::hierreg.exceptions.HierregWarning")
@pytest.mark.parametrize("name", EXAMPLES)
def test_text_fits_the_terminal(name, monkeypatch):
    report = made(name)
    heads, _ = of_markdown(report.to_markdown())
    for width in (80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = repr(report).splitlines()
        assert len(lines) <= SHORT
        assert max(map(len, lines)) <= width
        assert max(map(len, report.text().splitlines())) <= width
        if width == 120:
            assert "Left out" not in report.text()
            assert any(squeezed(heads[1:]) in " ".join(line.split()) for line in lines)


def test_great_tables_have_the_columns_of_markdown():
    pytest.importorskip("great_tables")
    heads, _ = of_markdown(made("Ranks").to_markdown())
    found = of_html(made("Ranks").to_great_table().as_raw_html())
    assert heads[1:] in [row[-len(heads[1:]) :] for row in found]


def test_ranks_with_ties_have_halves():
    coords = {"chain": [0, 1], "draw": np.arange(10), "group": list("abc")}
    draws = xr.Dataset({"draws": (("chain", "draw", "group"), np.tile([1.0, 1.0, 3.0], (2, 10, 1)))}, coords=coords)
    ends = [line.split("|")[5:7] for line in hr.ranks(draws).to_markdown().splitlines()[2:]]
    assert ends == [[" 1.0 ", " 1.0 "], [" 2.5 ", " 2.5 "], [" 2.5 ", " 2.5 "]]


@pytest.mark.parametrize("name", ["scale", "component", "probability", "group_weight", "kind", "names"])
def test_a_factor_may_be_called_as_a_table_calls_its_own(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDE))
    plain = hr.shrinkage(trees.model("independent").estimate())
    renamed = hr.Model(f"y ~ x + w + (x | {name})", trees.table().rename(columns={"g": name})).estimate()
    assert hr.shrinkage(renamed).to_markdown() == plain.to_markdown()
    slopes = hr.slopes(trees.model("independent"), trees.model("independent").estimate(), "x", by="g")
    other = hr.Model(renamed.problem.formula, trees.table().rename(columns={"g": name}))
    assert hr.slopes(other, renamed, "x", by=name).to_markdown() == slopes.to_markdown().replace("| g |", f"| {name} |")
