"""`Report`: a Dataset that prints as the table a reader wants.

A report has to be three things at once: data with names (selected, plotted, saved, turned into a data
frame), a readable table in a terminal, and the same in a notebook. xarray's own text shows the first few
numbers of each variable, not a table; a value that only wraps a Dataset would need `.data` in front of
everything that xarray and ArviZ offer. So a report *is* a Dataset, in a subclass that adds no state
(``__slots__ = ()``) and changes only how it prints. A part of a report, such as
``report.sel(Subject="308")``, prints as xarray prints it.
"""

from __future__ import annotations

import abc
import html
from typing import Any, ClassVar

import xarray as xr


class Report(xr.Dataset, abc.ABC):  # type: ignore[no-untyped-call]  # of __init_subclass__, by xarray
    """What the reports share: text where the Dataset is whole, xarray's own otherwise.

    `whole` names the variables that the text needs, with their number of dimensions.
    """

    __slots__ = ()
    whole: ClassVar[dict[str, int]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[no-untyped-call]  # xarray's has no types

    @abc.abstractmethod
    def text(self) -> str:
        """Return the table as plain text."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing that the text needs has been selected away."""
        return all(name in self.variables and self[name].ndim == n for name, n in self.whole.items())

    def __repr__(self) -> str:
        return self.text() if self.is_whole else super().__repr__()

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        if not self.is_whole:
            return super()._repr_html_()
        text = html.escape(self.text())
        return (
            f'<pre style="line-height: 1.25">{text}</pre>'
            f"<details><summary>variables and attributes</summary>{super()._repr_html_()}</details>"
        )


def sections(header: list[str], parts: list[tuple[str, list[list[str]]]]) -> str:
    """Return tables under one another with common column widths, each under its title.

    Parameters
    ----------
    header : list of str
        Column names; the first is replaced by each title.
    parts : list of (title, rows)
        Empty parts are left out.
    """
    parts = [part for part in parts if part[1]]
    cells = [[title, *header[1:]] for title, _ in parts] + [row for _, rows in parts for row in rows]
    widths = [max((len(row[c]) for row in cells), default=0) for c in range(len(header))]
    lines = []
    for title, rows in parts:
        for row in ([title, *header[1:]], *rows):
            name, *numbers = row
            padded = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
            lines.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
        lines.append("")
    return "\n".join(lines[:-1])


def percent(prob: float) -> str:
    """Return a probability in percent, as in "2.5 %".

    Examples
    --------
    >>> percent(0.025), percent(0.95)
    ('2.5 %', '95 %')
    """
    return f"{100 * prob:.4g} %"
