"""Tables for great_tables, an optional package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from hierreg.display.table import Table


def as_great_table(table: Table) -> Any:
    """Return a `great_tables.GT`, rows grouped by section, to be styled further and written to many formats.

    Raises
    ------
    ModelError
        If great_tables is not installed.
    """
    import pandas as pd

    try:
        from great_tables import GT
    except ImportError:
        raise ModelError(
            "to_great_table needs the package great_tables: pip install great_tables, or hierreg with its extra, "
            "pip install 'hierreg[tables]'. to_html, to_latex and to_markdown need nothing."
        ) from None
    # Columns by number: their heads, such as "sd", may stand twice.
    columns = [f"c{i}" for i in range(len(table.columns))]
    rows = [[section.title, row.name, *table.cells(row)] for section in table.filled for row in section.rows]
    frame = pd.DataFrame(rows, columns=["section", "name", *columns])
    has_titles = any(section.title for section in table.filled)
    made = GT(
        frame if has_titles else frame.drop(columns="section"),
        rowname_col="name",
        groupname_col="section" if has_titles else None,
    )
    heads: dict[str, Any] = {key: column.head for key, column in zip(columns, table.columns, strict=True)}
    made = made.cols_label(**heads)
    for key, column in zip(columns, table.columns, strict=True):
        made = made.cols_align(align="left" if column.is_text else "right", columns=key)
    for note in table.notes:
        made = made.tab_source_note(note)
    title, *others = table.heading.splitlines() or [""]
    return made.tab_header(title=title, subtitle=" ".join(others) or None) if title else made
