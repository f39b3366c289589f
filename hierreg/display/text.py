"""Tables as plain text that fits a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

from hierreg.display.table import limited

if TYPE_CHECKING:
    from collections.abc import Collection

    from hierreg.display.table import Table

# Where no terminal says its width: a file takes all columns, the text of a notebook's cell wraps beyond this.
_FILE, _CELL = 120, 100
_NARROWEST = 40
# Part of a line that a name may take beside its numbers, and what is left in front of those where names take more.
_WIDEST_NAME, _INDENT = 0.45, 12
_SHORT, _FEWEST = 40, 6


def line_width() -> int:
    """Return the columns of the terminal, or ``COLUMNS`` where it is set."""
    is_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return max(_NARROWEST, shutil.get_terminal_size((_CELL if is_notebook else _FILE, 24)).columns)


def as_text(table: Table, *, short: bool = False) -> str:
    """Return a table as text: columns that matter less are left out where lines would be longer than the terminal.

    Parameters
    ----------
    table : Table
    short : bool
        At most 40 lines.
    """
    width = line_width()
    table, folded = _folded(table, width)
    if not short:
        return _written(table, folded, width)
    table = replace(table, heading=cut_lines(table.heading, width))
    # A title and a blank line for each section; names on lines of their own, headings and notes take the rest.
    most = _SHORT
    while True:
        text = _written(limited(table, most, per_section=2), folded, width)
        over = text.count("\n") + 1 - _SHORT
        if over <= 0 or most <= _FEWEST:
            return text
        most = max(_FEWEST, most - over)


def _written(table: Table, folded: list[str], width: int) -> str:
    hint = _hint(table, folded)
    header = ["", *(column.head for column in table.columns)]
    parts = [
        (section.title, [[f"  {row.name}", *table.cells(row)] for row in section.rows] + _more(section.more, table))
        for section in table.filled
    ]
    left = {i for i, column in enumerate(table.columns, start=1) if column.is_text}
    blocks = [table.heading, sections(header, parts, width, left), *table.notes, hint]
    return "\n\n".join(
        block if i == 1 else "\n".join(_wrapped(block, width)) for i, block in enumerate(blocks) if block
    )


def cut_lines(text: str, width: int, most: int = 8) -> str:
    """Return text in lines that fit, the last of which says so where there are more: of a formula of many columns."""
    lines = _wrapped(text, width)
    return "\n".join(lines if len(lines) <= most else [*lines[: most - 1], "..."])


def _hint(table: Table, folded: list[str]) -> str:
    if folded:
        return f"Left out at this width: {', '.join(folded)}; {table.of_all}."
    return f"Not all rows are shown; {table.of_all}." if any(section.more for section in table.sections) else ""


def _more(n: int, table: Table) -> list[list[str]]:
    return [[f"  ... {n:,} more", *[""] * len(table.columns)]] if n else []


def _folded(table: Table, width: int) -> tuple[Table, list[str]]:
    """Return the table without the columns for which there is no room, and the keys of these."""
    sizes = [
        max([len(column.head), *(len(cell) for cell in cells)], default=0)
        for column, cells in zip(table.columns, _by_column(table), strict=True)
    ]
    names = [2 + len(row.name) for section in table.filled for row in section.rows]
    # Longer names stand on lines of their own.
    room = width - max((n for n in names if n <= _WIDEST_NAME * width), default=min([*names, _INDENT]))
    kept = list(range(len(sizes)))
    while sum(sizes[i] + 2 for i in kept) > room:
        last = max(kept, key=lambda i: (table.columns[i].fold, i), default=None)
        if last is None or not table.columns[last].fold:
            break
        kept.remove(last)
    folded = [table.columns[i].key for i in range(len(sizes)) if i not in kept]
    return replace(table, columns=tuple(table.columns[i] for i in kept)), folded


def _by_column(table: Table) -> list[list[str]]:
    rows = [table.cells(row) for section in table.filled for row in section.rows]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in table.columns]


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text, each no longer than the terminal where it has blanks to break at."""
    lines = []
    for line in text.splitlines():
        lines += textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
    return lines


def sections(
    header: list[str],
    parts: list[tuple[str, list[list[str]]]],
    width: int,
    left: Collection[int] = (),
) -> str:
    """Return tables under one another with common column widths, each under its title.

    Parameters
    ----------
    header : list of str
        Column names; the first is replaced by each title.
    parts : list of (title, rows)
        Empty parts are left out.
    width : int
        Titles and names for which there is no room beside their numbers stand on a line of their own.
    left : collection of int, optional
        Places of columns of words, which begin below each other.
    """
    parts = [part for part in parts if part[1]]
    cells = [[title, *header[1:]] for title, _ in parts] + [row for _, rows in parts for row in rows]
    widths = [max((len(row[c]) for row in cells), default=0) for c in range(len(header))]
    room = max(8, width - sum(widths[1:]) - 2 * len(widths[1:]))
    widths[0] = max((len(row[0]) for row in cells if len(row[0]) <= room and any(row[1:])), default=room)
    lines = []
    for title, rows in parts:
        for row in ([title, *header[1:]], *rows):
            name, *numbers = row
            padded = (
                cell.ljust(size) if c in left else cell.rjust(size)
                for c, (cell, size) in enumerate(zip(numbers, widths[1:], strict=True), start=1)
            )
            if len(name) > widths[0] and any(numbers):
                lines.append(name)
                name = ""
            lines.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
        lines.append("")
    return "\n".join(lines[:-1])
