"""`Shown`: what every object with a table has: text, HTML for notebooks, and exports."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from hierreg.display.html import as_html
from hierreg.display.markup import as_latex, as_markdown
from hierreg.display.table import limited
from hierreg.display.text import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hierreg.display.table import Table

# Rows of a section, and of all sections, that a terminal and a notebook show.
MOST_ROWS, _MOST_HTML_ROWS = 20, 60


class Shown(abc.ABC):
    """An object that is shown as a table: short where it is the last line of a cell, longer where it is printed."""

    __slots__ = ()

    @abc.abstractmethod
    def _table(self, most: int | None = None) -> Table:
        """Return the table; at most so many rows of what may be long, where a number is given."""

    def text(self) -> str:
        """Return the table as plain text that fits the terminal (the variable COLUMNS where it is set)."""
        return as_text(self._table(MOST_ROWS))

    def __repr__(self) -> str:
        return as_text(self._table(MOST_ROWS), short=True)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return as_html(limited(self._table(MOST_ROWS), _MOST_HTML_ROWS, per_section=1), self._details())

    def _details(self) -> str:
        return ""

    def to_markdown(self, columns: Sequence[str] | None = None, digits: int | None = None) -> str:
        """Return all rows as a table in Markdown.

        Parameters
        ----------
        columns : sequence of str, optional
            Some of the columns, in this order, by their names in `to_pandas` or as they are printed; all by default.
        digits : int, optional
            Of standard deviations and standard errors: values have as many decimals. Decimals of what has no such
            scale, such as correlations. Three by default.

        Raises
        ------
        ModelError
            If a column is unknown.
        """
        return as_markdown(self._table().with_columns(columns, digits))

    def to_latex(
        self,
        columns: Sequence[str] | None = None,
        digits: int | None = None,
        *,
        caption: str | None = None,
        label: str | None = None,
    ) -> str:
        r"""Return all rows as a table in LaTeX, for the package booktabs.

        Parameters
        ----------
        columns, digits : optional
            See `to_markdown`.
        caption, label : str, optional
            LaTeX; where one is given the table floats (``\begin{table}``).
        """
        return as_latex(self._table().with_columns(columns, digits), caption=caption, label=label)

    def to_html(self, columns: Sequence[str] | None = None, digits: int | None = None) -> str:
        """Return all rows as a table in HTML, as notebooks show it.

        Parameters
        ----------
        columns, digits : optional
            See `to_markdown`.
        """
        return as_html(self._table().with_columns(columns, digits))

    def to_great_table(self, columns: Sequence[str] | None = None, digits: int | None = None) -> Any:
        """Return all rows as a `great_tables.GT`, which can be styled; needs ``hierreg[tables]``.

        Parameters
        ----------
        columns, digits : optional
            See `to_markdown`.
        """
        from hierreg.display.great import as_great_table

        return as_great_table(self._table().with_columns(columns, digits))
