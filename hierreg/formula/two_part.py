"""Responses of two parts: counts of two outcomes, ``cbind(a, b)``, and shares of trials, ``a / b``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hierreg.exceptions import FormulaError
from hierreg.formula.expression import compile_tokens
from hierreg.formula.tokens import Kind, Token, tokenize

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|[()\[\]{},]|[^`'\"()\[\]{},]+", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPart:
    """What stands in a response beside the number of successes.

    Attributes
    ----------
    what : str
        "failures", of ``cbind(successes, failures)``; "trials", of ``successes / trials``.
    text : str
        Its expression.
    column_names : tuple of str
    """

    what: Literal["failures", "trials"]
    text: str
    column_names: tuple[str, ...]


def two_parts(tokens: Sequence[Token]) -> tuple[list[Token], SecondPart] | None:
    """Return the tokens of the successes and the second part of a response, or None where it has one part."""
    if len(tokens) == 1 and tokens[0].kind is Kind.CALL and tokens[0].text.split("(")[0].strip() == "cbind":
        arguments = _arguments(tokens[0].text)
        if len(arguments) != 2:
            raise FormulaError(
                f"`{tokens[0].text}` has {len(arguments)} parts; a response of two outcomes is cbind(successes, "
                "failures)"
            )
        return _single(arguments[0]), _second("failures", _single(arguments[1]))
    if len(tokens) == 3 and tokens[1].is_operator("/"):
        return [tokens[0]], _second("trials", [tokens[2]])
    return None


def _second(what: Literal["failures", "trials"], tokens: list[Token]) -> SecondPart:
    if tokens[0].kind not in (Kind.NAME, Kind.CALL):
        raise FormulaError(f"the {what} of the response are a column or a function of columns, not `{tokens[0]}`")
    expression = compile_tokens(tokens)
    return SecondPart(what=what, text=expression.text, column_names=expression.column_names)


def _single(text: str) -> list[Token]:
    """Return an argument as one token: arithmetic within I(...)."""
    tokens = tokenize(text)
    if len(tokens) == 1 and tokens[0].kind in (Kind.NAME, Kind.CALL):
        return tokens
    return tokenize(f"I({text.strip()})")


def _arguments(call: str) -> list[str]:
    """Return the arguments of a call, split at its outermost commas."""
    inside = call[call.index("(") + 1 : call.rindex(")")]
    out, depth = [""], 0
    for match in _PIECE.finditer(inside):
        piece = match[0]
        depth += (piece in "([{") - (piece in ")]}")
        if piece == "," and depth == 0:
            out.append("")
        else:
            out[-1] += piece
    return [argument for argument in out if argument.strip()]
