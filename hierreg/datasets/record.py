"""What is known about a shipped table: the columns with their units, and where the figures come from."""

from dataclasses import dataclass
from typing import Literal

_INDENT = "    "


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a shipped table.

    Parameters
    ----------
    name : str
        Column name, as in the source.
    kind : {"float", "integer", "category"}
        How the column is loaded: ``float64``, ``int64``, or an unordered pandas categorical of strings.
    about : str
        What the column holds.
    unit : str or None
        Unit of a numeric column; None for a categorical or a number without a unit.
    levels : tuple of str or None
        Levels of a categorical where their order is not that of first appearance in the table.
        The first level is the reference level of a treatment contrast.
    """

    name: str
    kind: Literal["float", "integer", "category"]
    about: str
    unit: str | None = None
    levels: tuple[str, ...] | None = None

    def __str__(self) -> str:
        unit = "" if self.unit is None else f" [{self.unit}]"
        return f"{self.name} ({self.kind}): {self.about}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The description of one shipped table; printing it shows all of it.

    Parameters
    ----------
    name : str
        Name that `load_dataset` takes.
    title : str
        One line: what was measured.
    rows : int
        Number of rows.
    columns : tuple of Column
        The columns, in order.
    source : str
        Where this copy of the figures was taken from.
    citation : str
        The publication to cite.
    licence : str
        The terms under which the source distributes the figures.
    notes : str
        What to know before using the table: design, known slips, choices made here.
    file : str
        File name of the table inside the package.
    """

    name: str
    title: str
    rows: int
    columns: tuple[Column, ...]
    source: str
    citation: str
    licence: str
    notes: str
    file: str

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.title} ({self.rows} rows)", "Columns"]
        lines += [_INDENT + str(column) for column in self.columns]
        for heading in ("source", "citation", "licence", "notes"):
            lines += [heading.capitalize(), _INDENT + getattr(self, heading)]
        return "\n".join(lines)
