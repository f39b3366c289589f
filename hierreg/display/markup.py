"""Tables as Markdown and LaTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hierreg.display.table import Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
_NEGATIVE = re.compile(r"(?<![\w.])-(?=\d)")


def as_markdown(table: Table) -> str:
    """Return a table in the Markdown of code hosts and pandoc; titles of sections are rows in bold."""
    heads = [_markdown(table.corner), *(_markdown(column.head) for column in table.columns)]
    sides = [":--", *(":--" if column.is_text else "--:" for column in table.columns)]
    lines = [heads, sides]
    for section in table.filled:
        if section.title and not table.corner:
            lines.append([f"**{_markdown(section.title)}**", *[""] * len(table.columns)])
        lines += [[_markdown(row.name), *map(_markdown, table.cells(row))] for row in section.rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def as_latex(table: Table, *, caption: str | None = None, label: str | None = None) -> str:
    r"""Return a table in LaTeX, for the package booktabs; a floating one where a caption or a label is given."""
    sides = "".join("l" if column.is_text else "r" for column in table.columns)
    lines = [rf"\begin{{tabular}}{{l{sides}}}", r"\toprule"]
    if table.has_heads:
        lines += [
            " & ".join([_latex(table.corner), *(_latex(column.head) for column in table.columns)]) + r" \\",
            r"\midrule",
        ]
    for place, section in enumerate(table.filled):
        if section.title and not table.corner:
            lines += [r"\addlinespace"] if place else []
            lines.append(rf"\multicolumn{{{len(sides) + 1}}}{{l}}{{\textit{{{_latex(section.title)}}}}} \\")
        indent = r"\quad " if section.title and not table.corner else ""
        lines += [
            " & ".join([indent + _latex(row.name), *map(_latex, table.cells(row))]) + r" \\" for row in section.rows
        ]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if caption is None and label is None:
        return "\n".join(lines)
    above = [r"\begin{table}", r"\centering"]
    above += [] if caption is None else [rf"\caption{{{caption}}}"]
    above += [] if label is None else [rf"\label{{{label}}}"]
    return "\n".join([*above, *lines, r"\end{table}"])


def _markdown(text: str) -> str:
    text = re.sub(r"([\\|*`<~])", r"\\\1", " ".join(text.split()))
    # Inside a word an underscore is an underscore.
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def _latex(text: str) -> str:
    text = "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
    # A name that begins with a bracket would be an argument of the line break above it.
    text = "{}" + text if text.startswith(("[", "*")) else text
    return _NEGATIVE.sub("$-$", text)
