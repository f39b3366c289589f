"""How results are shown: one table of values, written for terminals, notebooks and papers.

`table.py` is the table (what stands in it, and how precisely), `text.py`, `html.py`, `markup.py` (Markdown, LaTeX) and
`great.py` write it; `shown.py` gives an object with such a table its `repr`, its HTML and its exports.
"""

from hierreg.display.shown import Shown
from hierreg.display.table import Column, Row, Section, Table

__all__ = ["Column", "Row", "Section", "Shown", "Table"]
