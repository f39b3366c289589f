"""One page of a posterior: data, model, tables, figures, what was checked, and how it was made.

`report` writes it, `parts` are the tables and figures that a posterior has, `facts` what is said of data, draws and
code, `symbols` the model in symbols.
"""

from hierreg.page.page import report
from hierreg.page.parts import figures_of, tables_of

__all__ = ["figures_of", "report", "tables_of"]
