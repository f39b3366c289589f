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
        """Return the table as plain text that fits the terminal (the variable COLUMNS where it is set).

        See Also
        --------
        to_markdown : All rows; also `to_latex`, `to_html` and `to_great_table`.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate()
        >>> print(est.text())
        REML estimate; criterion 319.6543; converged after ... evaluations
        Yield ~ 1 + (1 | Batch)
        30 rows, 6 groups of Batch
        <BLANKLINE>
        Population coefficients             estimate    se
          beta[Intercept]                     1527.5  19.4
        <BLANKLINE>
        Standard deviations between groups  estimate    se
          sd_Batch[Intercept]                   42.0  17.1
        <BLANKLINE>
        Standard deviations of errors       estimate    se
          error_sd                             49.51  7.15
        """
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

        See Also
        --------
        to_latex : For papers.
        to_html : For pages.
        text : For terminals.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate()
        >>> print(est.to_markdown(digits=2))
        |  | estimate | se |
        | :-- | --: | --: |
        | **Population coefficients** |  |  |
        | beta[Intercept] | 1528 | 19 |
        | **Standard deviations between groups** |  |  |
        | sd_Batch[Intercept] | 42 | 17 |
        | **Standard deviations of errors** |  |  |
        | error_sd | 49.5 | 7.1 |
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

        See Also
        --------
        to_markdown : In Markdown.
        to_great_table : To be styled.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate()
        >>> print(est.to_latex("estimate", digits=2))
        \begin{tabular}{lr}
        \toprule
         & estimate \\
        \midrule
        \multicolumn{2}{l}{\textit{Population coefficients}} \\
        \quad beta[Intercept] & 1528 \\
        \addlinespace
        \multicolumn{2}{l}{\textit{Standard deviations between groups}} \\
        \quad sd\_Batch[Intercept] & 42 \\
        \addlinespace
        \multicolumn{2}{l}{\textit{Standard deviations of errors}} \\
        \quad error\_sd & 49.5 \\
        \bottomrule
        \end{tabular}
        """
        return as_latex(self._table().with_columns(columns, digits), caption=caption, label=label)

    def to_html(self, columns: Sequence[str] | None = None, digits: int | None = None) -> str:
        """Return all rows as a table in HTML, as notebooks show it.

        Parameters
        ----------
        columns, digits : optional
            See `to_markdown`.

        See Also
        --------
        to_great_table : To be styled.
        to_markdown : In Markdown.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate()
        >>> est.to_html("estimate").count("<tr")
        7
        """
        return as_html(self._table().with_columns(columns, digits))

    def to_great_table(self, columns: Sequence[str] | None = None, digits: int | None = None) -> Any:
        """Return all rows as a `great_tables.GT`, which can be styled; needs ``hierreg[tables]``.

        Parameters
        ----------
        columns, digits : optional
            See `to_markdown`.

        See Also
        --------
        to_html : Without another package.
        to_latex : For papers.

        Examples
        --------
        >>> import hierreg as hr
        >>> est = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff")).estimate()
        >>> type(est.to_great_table()).__name__
        'GT'
        """
        from hierreg.display.great import as_great_table

        return as_great_table(self._table().with_columns(columns, digits))
