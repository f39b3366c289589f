"""What is shown: sizes, widths, markup, and the same numbers in each."""

import functools
import re
import time
from html.parser import HTMLParser
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.display import Column, Row, Section, Table
from hierreg.display.html import as_html
from hierreg.display.markup import as_latex, as_markdown
from hierreg.display.table import limited
from hierreg.display.text import as_text, sections
from hierreg.reports.table import Report
from tests.helpers import report_trees as trees

SHORT = 40
ODD = 'a<b> & "c" | $x_1$ 100 % {d} ~e^f#\\g*'


def many(J: int) -> hr.Model:
    """Return a model of J groups of two rows, and names of 30 letters."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(J), 2)
    x = rng.normal(size=2 * J)
    y = 1 + rng.normal(size=J)[group] + 0.5 * x + rng.normal(size=2 * J)
    names = np.array([f"School number {j:05d} of the county" for j in range(J)])
    return hr.Model("score ~ ses + (1 | school)", pd.DataFrame({"score": y, "ses": x, "school": names[group]}))


@functools.cache
def shown(J: int) -> dict[str, object]:
    """Return everything that is shown of a model of J groups."""
    model = many(J)
    tree = trees.run(model, draws=20, chains=2, method="psis", group_effects="draws")
    est = model.estimate()
    new = {"ses": np.zeros(100), "school": ["new"] * 100}
    what = {f"contrast {i}": {"Intercept": 1, "ses": i} for i in range(100)}
    return {
        "model": model,
        "priors": model.priors,
        "gram": model.gram,
        "products": model.gram.factors[0],
        "estimate": est,
        "solution": model.solve({"school": [[1.0]]}, 1.0),
        "summary": hr.summary(tree),
        "correlations": hr.correlations(tree),
        "shrinkage": hr.shrinkage(tree),
        "contrasts": hr.contrasts(tree, what),
        "predict": hr.predict(model, new, at=est, level="new group"),
        "table": hr.table({"REML": est, "Bayes": tree}),
    }


@pytest.mark.parametrize("J", [160, 20_000])
def test_what_a_cell_shows_is_short(J, monkeypatch):
    everything = shown(J)
    begin = time.process_time()
    for name, one in everything.items():
        for width in (80, 120):
            monkeypatch.setenv("COLUMNS", str(width))
            lines = repr(one).splitlines()
            assert len(lines) <= SHORT, name
            assert max(map(len, lines)) <= width, (name, width)
            assert max(map(len, str(one).splitlines())) <= width, (name, width)
        if name != "products":
            text = one._repr_html_()
            assert len(text) < 40_000, name
            assert text.count("<tr") < 80, name
            assert "<script" not in text
    assert time.process_time() - begin < 3  # nothing is sampled, estimated or worked out for it


def test_many_parameters_are_cut_and_counted():
    est = trees.wide_model().estimate("ml")
    text = repr(est)
    assert len(text.splitlines()) <= SHORT
    assert re.search(r"\.\.\. \d+ more", text)
    assert ".to_pandas() has all" in text
    assert "error_sd" in text  # the longest parts lose their rows first
    assert "beta[x59]" in str(est)
    assert len(est.to_pandas()) == 61 + 4 + 6 + 1


def test_a_long_formula_is_cut_in_what_a_cell_shows(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    model = trees.wide_model()
    lines = repr(model).splitlines()
    assert len(lines) <= SHORT
    assert lines[0].startswith("hierreg.Model: y ~ x0")
    assert lines[3] == "..."
    assert len(repr(model.priors).splitlines()) <= SHORT
    assert "beta[x59]" in str(model.priors)
    assert len(repr(model.estimate("ml")).splitlines()) <= SHORT


def test_less_needed_columns_fold_away(monkeypatch):
    report = hr.summary(trees.sleepstudy())
    columns = {}
    for width in (70, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        head = next(line for line in str(report).splitlines() if "mean" in line)
        columns[width] = re.split(r"\s{2,}", head.strip())[1:]
    assert columns[120] == ["mean", "sd", "2.5 %", "97.5 %", "mcse", "ess bulk", "ess tail", "R-hat", "REML", "se"]
    assert columns[80] == ["mean", "sd", "2.5 %", "97.5 %", "ess bulk", "R-hat"]
    assert columns[70] == ["mean", "sd", "2.5 %", "97.5 %", "R-hat"]
    monkeypatch.setenv("COLUMNS", "85")
    assert "Left out at this width: mcse_mean, ess_tail, reml, reml_se; .to_pandas() has all." in str(report)


def test_long_names_stand_on_a_line_of_their_own():
    text = sections(["", "mean", "sd"], [("part", [["  " + "n" * 30, "1.0", "0.5"], ["  b", "2.0", "0.5"]])], 30)
    assert text.splitlines() == [
        "part  mean   sd",
        "  " + "n" * 30,
        "       1.0  0.5",
        "  b    2.0  0.5",
    ]


def small() -> Table:
    columns = (Column(key="mean", head="mean"), Column(key="what", head="which", form="text"))
    rows = [
        Row(name=ODD, values={"mean": -1.2345, "sd": 0.5, "what": "_a_b"}),
        Row(name="[x]", values={"mean": 1234.5, "sd": 12.0, "what": "c"}),
    ]
    return Table(
        columns=columns,
        sections=(Section(title="First & second", rows=rows), Section(title="Last", rows=rows[1:])),
        heading="<h>",
        notes=("n < m",),
    )


def test_rows_of_two_lines_count_twice(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [Row(name=f"{i} {'long ' * 12}", values={"mean": 1.0}) for i in range(40)]
    table = Table(columns=(Column(key="mean", head="mean"),), sections=(Section(title="t", rows=rows),), heading="h")
    lines = as_text(table, short=True).splitlines()
    assert 36 < len(lines) <= SHORT
    assert sum("long" in line for line in lines) == sum(line.endswith(" 1") for line in lines) > 15


def test_markdown():
    assert as_markdown(small()).splitlines() == [
        "|  | mean | which |",
        "| :-- | --: | :-- |",
        "| **First & second** |  |  |",
        r'| a\<b> & "c" \| $x_1$ 100 % {d} \~e^f#\\g\* | -1.234 | \_a_b |',
        "| [x] | 1234.5 | c |",
        "| **Last** |  |  |",
        "| [x] | 1234.5 | c |",
    ]


def test_latex():
    name = (
        r"a\textless{}b\textgreater{} \& \textquotedbl{}c\textquotedbl{} \textbar{} \$x\_1\$ 100 \% \{d\} "
        r"\textasciitilde{}e\textasciicircum{}f\#\textbackslash{}g*"
    )
    assert as_latex(small(), caption="Of $x$", label="tab:x").splitlines() == [
        r"\begin{table}",
        r"\centering",
        r"\caption{Of $x$}",
        r"\label{tab:x}",
        r"\begin{tabular}{lrl}",
        r"\toprule",
        r" & mean & which \\",
        r"\midrule",
        r"\multicolumn{3}{l}{\textit{First \& second}} \\",
        rf"\quad {name} & $-$1.234 & \_a\_b \\",
        r"\quad {}[x] & 1234.5 & c \\",
        r"\addlinespace",
        r"\multicolumn{3}{l}{\textit{Last}} \\",
        r"\quad {}[x] & 1234.5 & c \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    assert as_latex(small()).startswith(r"\begin{tabular}")


class Cells(HTMLParser):
    """The cells of a table, row by row, and everything that is no text."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.tags, self.inside = [], set(), False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.inside = tag in {"td", "th"}
        if tag == "tr":
            self.rows.append([])
        if self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def test_html_is_a_table_with_names_as_they_are():
    found = Cells(as_html(small(), "some & more"))
    assert found.rows == [
        ["", "mean", "which"],
        ["First & second"],
        [ODD, "-1.234", "_a_b"],
        ["[x]", "1234.5", "c"],
        ["Last"],
        ["[x]", "1234.5", "c"],
    ]
    allowed = {"div", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "br"}
    assert found.tags <= allowed
    text = as_html(small())
    assert "&lt;h&gt;" in text
    assert "n &lt; m" in text
    assert not re.search(r"(?<![-\w])color|background|#[0-9a-f]{3}", text)  # colours are those of the page


def test_html_of_a_report_has_the_numbers_of_its_text(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    report = hr.correlations(trees.tree("correlated"))
    cells = [" ".join(" ".join(row).split()) for row in Cells(report._repr_html_()).rows]
    lines = [" ".join(line.split()) for line in str(report).splitlines()]
    numbers = [row for row in cells if re.search(r"\d\.\d{3}", row)]
    assert len(numbers) > 5
    assert set(numbers) <= set(lines)


def test_exports_have_the_columns_and_digits_that_are_asked_for():
    report = hr.summary(trees.sleepstudy())
    head, _, _, first, *_ = report.to_markdown(columns=["sd", "R-hat", "mean"], digits=1).splitlines()
    assert head == "|  | sd | R-hat | mean |"
    mean, sd = (float(report[name].sel(parameter="beta[Intercept]")) for name in ("mean", "sd"))
    assert first == f"| beta[Intercept] | {sd:.0f} | 1.0 | {mean:.0f} |"
    assert report.to_latex(columns=["mean"]).count("&") == 1 + len(report["parameter"])
    assert report.to_html("mean").count("<th ") == 2 + 4  # heads, and titles of sections
    with pytest.raises(hr.exceptions.ModelError, match=r"columns has 'meen', which is none of 'mean'.*mean 'mean'"):
        report.to_latex(columns=["meen"])
    with pytest.raises(hr.exceptions.ModelError, match=r"digits=0 must be a whole number, 1 or more"):
        report.to_markdown(digits=0)


def test_all_rows_are_exported():
    report = hr.shrinkage(trees.many_groups())
    assert "... 25 more" in str(report)
    assert report.to_markdown().count("\n| g") == 2 * 45
    assert report.to_latex().count(r"\quad g") == 2 * 45


def test_limited_takes_from_the_longest_first():
    rows = [Row(name=str(i), values={}) for i in range(30)]
    table = Table(columns=(), sections=tuple(Section(title=str(n), rows=rows[:n]) for n in (2, 30, 5)))
    found = limited(table, 20, per_section=2)
    # 2 + 7 + 5 lines, and two more for each part.
    assert [(len(part.rows), part.more) for part in found.sections] == [(2, 0), (6, 24), (5, 0)]
    squeezed = limited(table, 10, per_section=2)
    assert [(len(part.rows), part.more) for part in squeezed.sections] == [(2, 0), (3, 27)]
    assert squeezed.notes == ("Not shown: 1 more parts, 5.",)


def test_tidy_frames():
    frame = hr.shrinkage(trees.tree("by")).to_pandas()
    report = hr.shrinkage(trees.tree("by"))
    assert len(frame) == 5 * 2
    row = frame[(frame["g"] == "c") & (frame["g_coef"] == "x")].iloc[0]
    assert row["mean"] == float(report["mean"].sel(g="c", g_coef="x"))
    assert row["weight"] == float(report["weight"].sel(g="c", g_coef="x", g_coef_col="x"))
    assert row["population"] == float(report["population"].sel(g_coef="x"))
    summary = hr.summary(trees.tree("by")).to_pandas()
    assert list(summary.columns[:3]) == ["parameter", "kind", "mean"]
    assert len(report.to_dataframe()) == 5 * 2 * 2  # xarray's own, as ever


def test_frames_of_functions_of_coefficients():
    tree = trees.tree("by")
    report = hr.contrasts(tree, {"a": {"Intercept": 1}, "b": {"x": 2}})
    assert report.to_pandas().columns.tolist()[0] == "contrast"
    assert len(report.to_pandas()) == 2
    draws = report.to_pandas(draws=True)
    assert len(draws) == 2 * 3 * 60
    assert draws.loc[draws["contrast"] == "b", "value"].mean() == pytest.approx(float(report["mean"][1]))
    with pytest.raises(hr.exceptions.ModelError, match=r"draws=True, but this report has no draws"):
        hr.summary(tree).to_pandas(draws=True)
    rows = trees.table().head(3)
    predicted = hr.predict(trees.model("by"), rows, at=tree, covariance=True, draws=True).to_pandas()
    assert len(predicted) == 3
    assert {"group", "mean", "sd_new"} <= set(predicted.columns)


def test_a_part_of_a_report_is_that_of_xarray():
    one = hr.summary(trees.tree("by")).sel(parameter="beta[x]")
    assert "Dimensions" in str(one)
    assert set(one.to_pandas().index) >= {"mean", "sd"}


def test_estimates_show_parameters_with_standard_errors(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    # lme4 1.1-31, lmer(Yield ~ 1 + (1 | Batch), Dyestuff): 1527.5 (19.38), sds 42.00 and 49.51. Standard errors of sds
    # of balanced data, with mean squares 11271.5 (5 degrees of freedom) and 2451.25 (24): 17.06 and 7.15.
    between, within = 11271.5, 2451.25
    variances = [(2 * between**2 / 5 + 2 * within**2 / 24) / 25, 2 * within**2 / 24]
    assert [round(v**0.5 / (2 * sd), 2) for v, sd in zip(variances, (42.0006, 49.5101), strict=True)] == [17.06, 7.15]
    assert repr(model.estimate()).splitlines()[1:] == [
        "Yield ~ 1 + (1 | Batch)",
        "30 rows, 6 groups of Batch",
        "",
        "Population coefficients             estimate    se",
        "  beta[Intercept]                     1527.5  19.4",
        "",
        "Standard deviations between groups  estimate    se",
        "  sd_Batch[Intercept]                   42.0  17.1",
        "",
        "Standard deviations of errors       estimate    se",
        "  error_sd                             49.51  7.15",
    ]


class Plain(Report):
    """A report that says nothing of how it is shown."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"estimate": 1}


def plain():
    return Plain(
        {"estimate": ("what", [1.234, -50.0]), "se": ("what", [0.5, 0.25]), "p_value": ("what", [0.0123456, 1e-9])},
        coords={"what": ["a", "b"], "kind": ("what", ["beta", "other"])},
        attrs={"heading": "Heading", "note": "Note."},
    )


def test_a_report_without_a_table_of_its_own_has_one():
    assert repr(plain()).splitlines() == [
        "Heading",
        "",
        "Population coefficients  estimate     se   p value",
        "  a                         1.234  0.500    0.0123",
        "",
        "other                    estimate     se   p value",
        "  b                       -50.000  0.250  1.00e-09",
        "",
        "Note.",
    ]
    assert "<table" in plain()._repr_html_()
    assert plain().to_pandas().columns.tolist() == ["what", "kind", "estimate", "se", "p_value"]


def test_great_tables():
    great_tables = pytest.importorskip("great_tables")
    made = hr.summary(trees.sleepstudy()).to_great_table(columns=["mean", "sd"])
    assert isinstance(made, great_tables.GT)
    text = made.as_raw_html()
    assert "beta[Days]" in text
    assert "Population coefficients" in text


def test_text_of_a_table_without_a_terminal(monkeypatch):
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("shutil.get_terminal_size", lambda fallback: __import__("os").terminal_size(fallback))
    assert max(map(len, as_text(small()).splitlines())) <= 120
