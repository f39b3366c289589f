"""Model formulas: lme4's bar notation, and the expressions that formulaic may be given.

Formulas are data, not code. What a formula may contain is listed in `functions`; everything is checked
before formulaic sees it, and formulaic sees no name or text that a user chose (`expression`).
"""

from hierreg.formula.expression import ColumnUse, Expression, compile_expression
from hierreg.formula.parse import FormulaSpec, GroupTerm, parse_formula

__all__ = ["ColumnUse", "Expression", "FormulaSpec", "GroupTerm", "compile_expression", "parse_formula"]
