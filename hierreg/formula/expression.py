"""Right-hand sides of formulas, checked and rewritten so that nothing the user named reaches formulaic.

formulaic evaluates Python. What it gets here is text of operators, numbers, listed functions and *aliases*:
identifiers that stand for the columns and texts of the formula. Labels are translated back afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hierreg.exceptions import FormulaError
from hierreg.formula.calls import compile_call, quoted_in_call
from hierreg.formula.tokens import Kind, Token, quoted, tokenize

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALIAS = re.compile(r"HIERREG_(PLAIN|NUMBER|LEVEL|TEXT)_(\d+)_")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnUse:
    """A column of the table, and what an expression makes of it.

    Attributes
    ----------
    name : str
        Column of the table.
    use : str
        "plain": a term by itself, numbers or levels as the table has it; "number": inside a function, numbers
        only; "level": inside ``C(...)``, levels whatever the table has.
    alias : str
        Identifier that stands for it in `Expression.code`.
    """

    name: str
    use: Literal["plain", "number", "level"]
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A checked expression in the two forms that it needs.

    Attributes
    ----------
    text : str
        For people, in a canonical spacing; compiling it again gives the same expression.
    code : str
        For formulaic: every column and text is an alias.
    columns : tuple of ColumnUse
        Columns that the code refers to.
    texts : tuple of (alias, text)
        Texts that the code refers to.
    """

    text: str
    code: str
    columns: tuple[ColumnUse, ...]
    texts: tuple[tuple[str, str], ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, each once, in order of appearance."""
        return tuple(dict.fromkeys(column.name for column in self.columns))

    def label(self, label: str) -> str:
        """Return formulaic's label (or message) with the user's names in place of the aliases."""
        return _restored(label, self.columns, self.texts, as_label=True)


def compile_expression(text: str) -> Expression:
    """Return the expression of a right-hand side without bars, or of a response.

    Parameters
    ----------
    text : str
        For example "1 + Days * C(Sector, contr.sum)".

    Raises
    ------
    FormulaError
        If the text is not a sum, product, nesting or interaction of columns and allowed function calls.

    Examples
    --------
    >>> expression = compile_expression("1 + `dose (mg)`:log(age)")
    >>> expression.column_names
    ('dose (mg)', 'age')
    >>> expression.code
    '1 + HIERREG_PLAIN_0_:log(HIERREG_NUMBER_1_)'
    """
    return compile_tokens(tokenize(text))


def compile_tokens(tokens: Sequence[Token]) -> Expression:
    """Return the expression of a sequence of tokens; see `compile_expression`."""
    _check_order(tokens)
    columns: dict[tuple[str, str], ColumnUse] = {}
    texts: dict[str, str] = {}

    def alias(name: str, use: Literal["plain", "number", "level", "text"]) -> str:
        if use == "text":
            return texts.setdefault(name, f"HIERREG_TEXT_{len(texts)}_")
        new = ColumnUse(name=name, use=use, alias=f"HIERREG_{use.upper()}_{len(columns)}_")
        return columns.setdefault((name, use), new).alias

    pieces = []
    for token in tokens:
        if token.kind is Kind.NAME:
            pieces.append(alias(token.text, "plain"))
        elif token.kind is Kind.CALL:
            pieces.append(compile_call(token.text, alias))
        else:
            pieces.append(token.text)
    code = " ".join(pieces).replace("( ", "(").replace(" )", ")").replace(" : ", ":")
    uses, texts_by_alias = tuple(columns.values()), tuple((alias, text) for text, alias in texts.items())
    text = _restored(code, uses, texts_by_alias, as_label=False)
    return Expression(text=text, code=code, columns=uses, texts=texts_by_alias)


def _restored(text: str, columns: Sequence[ColumnUse], texts: Sequence[tuple[str, str]], *, as_label: bool) -> str:
    shown = {column.alias: quoted_in_call(column.name) for column in columns}
    shown |= {
        column.alias: column.name if as_label else quoted(column.name) for column in columns if column.use == "plain"
    }
    shown |= {alias: repr(value) for alias, value in texts}
    return _ALIAS.sub(lambda match: shown.get(match[0], match[0]), text)


def _check_order(tokens: Sequence[Token]) -> None:
    """Check that operands and operators alternate, brackets close, and numbers stand where they may."""
    depth = 0
    before: Token | None = None  # None at the start and after an opening bracket
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        wants_operand = before is None or (before.kind is Kind.OPERATOR and not before.is_operator(")"))
        if token.is_operator("("):
            _require(wants_operand, before, token)
            depth, before = depth + 1, None
            continue
        if token.is_operator(")"):
            _require(not wants_operand and depth > 0, before, token)
            depth -= 1
        elif token.kind is Kind.OPERATOR:
            _require(not wants_operand or (before is None and token.is_operator("+", "-")), before, token)
            _check_power(token, before, after)
        else:
            _require(wants_operand, before, token)
            _check_number(token, before, after, depth)
        before = token
    if depth:
        raise FormulaError("a bracket is not closed")
    if before is None or (before.kind is Kind.OPERATOR and not before.is_operator(")")):
        raise FormulaError(f"a term is missing after `{before or '~'}`")


def _require(condition: bool, before: Token | None, token: Token) -> None:
    if condition:
        return
    if token.kind is not Kind.OPERATOR or token.is_operator("("):
        raise FormulaError(f"an operator is missing between `{before}` and `{token}`")
    where = f"between `{before}` and `{token}`" if before else f"before `{token}`"
    raise FormulaError(f"a term is missing {where}")


def _check_power(token: Token, before: Token | None, after: Token | None) -> None:
    if not token.is_operator("**", "^"):
        return
    if before is None or not before.is_operator(")"):
        raise FormulaError(
            f"`{before} {token} {after}` in a formula means interactions of `{before}` with itself, which is "
            f"`{before}`; for a power write I({before} ** {after})"
        )
    if after is None or not after.text.isdigit() or int(after.text) < 1:
        raise FormulaError(f"`{token}` in a formula takes a positive whole number, not `{after}`")


def _check_number(token: Token, before: Token | None, after: Token | None, depth: int) -> None:
    if token.kind is not Kind.NUMBER or (before is not None and before.is_operator("**", "^")):
        return
    is_alone = all(side is None or side.is_operator("+", "-") for side in (before, after))
    if token.text not in ("0", "1") or not is_alone or depth:
        raise FormulaError(
            f"the number {token.text} has no meaning here: 0 and 1 are terms of a formula, outside of "
            "brackets; for arithmetic write I(...), as in I(2 * x)"
        )
