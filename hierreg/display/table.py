"""`Table`: what is shown, as values; how it looks is left to those who write it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from hierreg.checks import check_whole, listed, suggestion
from hierreg.display.numbers import beside, fixed, significant
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

type Value = float | str
type Form = Literal["text", "beside", "bracketed", "fixed", "significant", "count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    key : str
        Where rows have its values; what `columns=` of the exports calls it.
    head : str
    form : {"beside", "bracketed", "fixed", "significant", "count", "text"}
        How a number is written: with the decimals that the value of `scale` in the same row warrants, the same with
        that value in brackets, with `digits` decimals, with `digits` significant digits, or as a whole number.
    digits : int
    scale : str
        Key of the value whose first three digits decide the decimals of "beside".
    fold : int
        Columns with the highest number are left out first where a line of text would be too long; with 0 they stay.
    """

    key: str
    head: str
    form: Form = "beside"
    digits: int = 3
    scale: str = "sd"
    fold: int = 0

    @property
    def is_text(self) -> bool:
        """Whether the column holds words."""
        return self.form == "text"

    def written(self, values: Mapping[str, Value]) -> str:
        """Return the value of a row as text; a blank where there is none."""
        value = values.get(self.key, "")
        if self.is_text or isinstance(value, str):
            return str(value)
        if self.form in {"beside", "bracketed"}:
            scale = float(values.get(self.scale, float("nan")))
            text = beside(value, scale, self.digits)
            return f"{text} ({beside(scale, scale, self.digits)})" if self.form == "bracketed" and scale > 0 else text
        if self.form == "fixed":
            return fixed(value, self.digits)
        return significant(value, self.digits) if self.form == "significant" else fixed(value, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row: its name, and values by key of column."""

    name: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Rows under a title; `more` are left out by whoever made them. `kind` is the title in a data frame."""

    title: str
    rows: Sequence[Row]
    more: int = 0
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Everything that is shown of an object.

    Attributes
    ----------
    columns : tuple of Column
    sections : tuple of Section
        Those without rows are left out.
    heading : str
        Lines above the table.
    notes : tuple of str
        Paragraphs below it.
    of_all : str
        How to see what is left out.
    """

    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    heading: str = ""
    notes: tuple[str, ...] = ()
    of_all: str = ".to_pandas() has all"

    @property
    def filled(self) -> tuple[Section, ...]:
        """The sections that have rows."""
        return tuple(section for section in self.sections if section.rows)

    @property
    def corner(self) -> str:
        """What stands above the names of the rows: the title of the only section, where there is only one."""
        titles = [section.title for section in self.filled]
        return titles[0] if len(titles) == 1 and self.has_heads else ""

    @property
    def has_heads(self) -> bool:
        """Whether any column has a name."""
        return any(column.head for column in self.columns)

    def cells(self, row: Row) -> list[str]:
        """Return the values of a row as text."""
        return [column.written(row.values) for column in self.columns]

    def to_pandas(self) -> pd.DataFrame:
        """Return the values, unrounded, with a row for each row of the table."""
        import pandas as pd

        keys = [column.key for column in self.columns]
        rows = [
            [section.kind or section.title, row.name, *(row.values.get(key) for key in keys)]
            for section in self.filled
            for row in section.rows
        ]
        return pd.DataFrame(rows, columns=["kind", "name", *keys])

    def with_columns(self, columns: Sequence[str] | str | None, digits: int | None) -> Table:
        """Return the table with some of its columns, in the order asked for, and another precision.

        Raises
        ------
        ModelError
            If a column is unknown or `digits` is no whole number above zero.
        """
        chosen = list(self.columns)
        if columns is not None:
            names = [columns] if isinstance(columns, str) else list(columns)
            chosen = [self._column(name) for name in names]
        if digits is not None:
            check_whole("digits", digits, least=1)
            chosen = [one if one.form in {"text", "count"} else replace(one, digits=int(digits)) for one in chosen]
        return replace(self, columns=tuple(chosen))

    def _column(self, name: object) -> Column:
        for column in self.columns:
            if name in {column.key, column.head}:
                return column
        keys = [column.key for column in self.columns]
        raise ModelError(f"columns has {name!r}, which is none of {listed(keys, most=20)}.{suggestion(name, keys)}")


def limited(table: Table, most: int, per_section: int = 0) -> Table:
    """Return a table of at most so many rows: the longest sections lose theirs first, each counts what it lost.

    Parameters
    ----------
    table : Table
    most : int
        Rows, those that say "... 3 more" included.
    per_section : int
        Lines that a section takes beside its rows.
    """
    sections = list(table.filled)
    shown: list[int] = []
    left = most
    for place, section in enumerate(sections):
        # At least three lines a section; what does not fit at all is counted below the table.
        least = min(len(section.rows) + bool(section.more), 3) + per_section
        if place and left < least:
            break
        left -= least
        shown.append(least - per_section)
    wanted = [len(section.rows) + bool(section.more) for section in sections[: len(shown)]]
    while left > 0 and any(have < want for have, want in zip(shown, wanted, strict=True)):
        short = [i for i, want in enumerate(wanted) if shown[i] < want]
        fewest = min(short, key=lambda i: shown[i])
        shown[fewest] += 1
        left -= 1
    kept = tuple(_cut(section, lines) for section, lines in zip(sections, shown, strict=False))
    lost = [section.title for section in sections[len(shown) :]]
    notes = table.notes
    if lost:
        notes = (*notes, f"Not shown: {len(lost)} more parts, {listed(lost, most=4).replace(chr(39), '')}.")
    return replace(table, sections=kept, notes=notes)


def _cut(section: Section, lines: int) -> Section:
    if len(section.rows) + bool(section.more) <= lines:
        return section
    keep = max(1, lines - 1)
    return replace(section, rows=section.rows[:keep], more=section.more + len(section.rows) - keep)
