"""Tables as HTML that notebooks, their exports and viewers of code hosts show alike.

Those differ in what they allow: some take styles away, some attributes, and scripts do not run everywhere. So there are
plain tables, alignment both as attribute and as style, no colours (text keeps that of the page, light or dark), and the
classes that keep MathJax away from names with dollar signs.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hierreg.display.table import Table

_OUTER = '<div class="tex2jax_ignore mathjax_ignore" style="overflow-x:auto">'
_LINE = "border-bottom:1px solid"
_PADDING = "padding:0.25em 0.5em"


def as_html(table: Table, details: str = "") -> str:
    """Return a table as HTML; `details` are words that can be opened below it."""
    parts = [_OUTER]
    parts += [_paragraph(table.heading)] if table.heading else []
    n = 1 + len(table.columns)
    lines = []
    if table.has_heads:
        heads = "".join(_cell("th", column.head, right=not column.is_text) for column in table.columns)
        corner = _cell("th", table.corner, right=False)
        lines.append(f'<thead><tr style="{_LINE}">{corner}{heads}</tr></thead>')
    lines.append("<tbody>")
    for section in table.filled:
        if section.title and not table.corner:
            lines.append(
                f'<tr><th colspan="{n}" align="left" style="text-align:left;padding:0.7em 0.5em 0.25em">'
                f"{escape(section.title)}</th></tr>"
            )
        is_below_title = bool(section.title) and not table.corner
        lines += [_row(row.name, table, table.cells(row), indent=is_below_title) for row in section.rows]
        if section.more:
            lines.append(f"<tr>{_cell('td', f'... {section.more:,} more', right=False, span=n)}</tr>")
    lines.append("</tbody>")
    parts.append(
        f'<table cellpadding="4" style="border-collapse:collapse;margin:0.3em 0">\n{"\n".join(lines)}\n</table>'
    )
    parts += [_paragraph(note) for note in table.notes]
    if any(section.more for section in table.sections):
        parts.append(_paragraph(f"Not all rows are shown; {table.of_all}."))
    if details:
        parts.append(f"<details><summary>more</summary>{_paragraph(details)}</details>")
    return "\n".join([*parts, "</div>"])


def preformatted(text: str) -> str:
    """Return text as it stands, in a font whose letters are equally wide whatever the page says."""
    style = "line-height:1.25;font-family:monospace;overflow-x:auto;white-space:pre"
    return f'<pre class="tex2jax_ignore mathjax_ignore" style="{style}">{escape(text)}</pre>'


def _row(name: str, table: Table, cells: Iterable[str], *, indent: bool) -> str:
    written = "".join(
        _cell("td", cell, right=not column.is_text) for column, cell in zip(table.columns, cells, strict=True)
    )
    style = f"text-align:left;{_PADDING}" + (";padding-left:1.6em" if indent else "")
    return f'<tr><td align="left" style="{style}">{escape(name)}</td>{written}</tr>'


def _cell(tag: str, text: str, *, right: bool, span: int = 1) -> str:
    side = "right" if right else "left"
    spread = f' colspan="{span}"' if span > 1 else ""
    nowrap = ";white-space:nowrap" if right else ""
    return f'<{tag}{spread} align="{side}" style="text-align:{side};{_PADDING}{nowrap}">{escape(text)}</{tag}>'


def _paragraph(text: str) -> str:
    return f'<p style="margin:0.3em 0">{"<br>".join(escape(line) for line in text.splitlines())}</p>'
