"""Formula text as tokens: names, calls, numbers and operators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from hierreg.exceptions import FormulaError
from hierreg.formula.functions import NUMERIC, TRANSFORMS

_BARE_NAME = re.compile(r"[^\W\d][\w.]*")
_TOKEN = re.compile(
    r"""\s*(?:
      `(?P<quoted>[^`]*)`
    | (?P<name>[^\W\d][\w.]*)(?P<gap>\s*)(?P<opens>\()?
    | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)
    | (?P<operator>\*\*|\|\||[~+\-*/:^|()])
    )""",
    re.VERBOSE,
)
_INSIDE_CALL = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|[()\[\]{}]|[^`'\"()\[\]{}]+|.", re.DOTALL)
_CLOSER = {"(": ")", "[": "]", "{": "}"}

_INSTEAD = {
    ".": "`.` (all other columns) is not supported: name the columns",
    "[": "brackets and formulas in several stages are not supported",
    "{": "`{...}` is not supported: use I(...) for arithmetic",
    "%": "`%in%` and other % operators are not supported: use `:` or `/`",
    "'": "text can stand only inside C(...); put column names with spaces in backticks",
    '"': "text can stand only inside C(...); put column names with spaces in backticks",
    "`": "a backtick is not closed",
    ",": "a formula is not a list: join terms with +",
    "=": "`=` can stand only inside a function; the response is separated by `~`",
}


class Kind(Enum):
    """What a token is."""

    NAME = auto()  # text: the column's name, without backticks
    CALL = auto()  # text: the call's source, as written
    NUMBER = auto()
    OPERATOR = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a formula."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return quoted(self.text) if self.kind is Kind.NAME else self.text

    def is_operator(self, *texts: str) -> bool:
        """Whether this is one of these operators."""
        return self.kind is Kind.OPERATOR and self.text in texts


def quoted(name: str) -> str:
    """Return a column's name as a formula has it, in backticks where they are needed.

    Examples
    --------
    >>> quoted("Days"), quoted("reaction time")
    ('Days', '`reaction time`')
    """
    return name if _BARE_NAME.fullmatch(name) else f"`{name}`"


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a formula.

    A function call is one token, up to its closing bracket: what stands inside is an expression of its own.

    Raises
    ------
    FormulaError
        If a character has no meaning in a formula, or a quote or bracket is not closed.
    """
    tokens: list[Token] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FormulaError(_unexpected(text[position:].lstrip()))
        token, position = _token(text, match)
        tokens.append(token)
    return tokens


def _token(text: str, match: re.Match[str]) -> tuple[Token, int]:
    kind = match.lastgroup
    if kind == "opens" and (not match["gap"] or match["name"] in (*NUMERIC, *TRANSFORMS, "C")):
        end = _end_of_call(text, match.start("opens"))
        return Token(Kind.CALL, text[match.start("name") : end]), end
    if kind in ("opens", "gap"):
        return _name(match["name"]), match.end("name")
    if kind == "quoted":
        return _name(match["quoted"]), match.end()
    if kind == "number":
        return Token(Kind.NUMBER, match["number"]), match.end()
    return Token(Kind.OPERATOR, match["operator"]), match.end()


def _name(name: str) -> Token:
    if not name.strip():
        raise FormulaError("a pair of backticks has no column name between them")
    if "__" in name and re.search(r"(^|\.)__\w*__", name):
        raise FormulaError(f"{name!r} is not a column name: names of the form __name__ are not allowed")
    return Token(Kind.NAME, name)


def _end_of_call(text: str, start: int) -> int:
    open_brackets: list[str] = []
    for match in _INSIDE_CALL.finditer(text, start):
        piece = match[0]
        if piece in _CLOSER:
            open_brackets.append(_CLOSER[piece])
        elif open_brackets and piece == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return match.end()
        elif piece in ")]}`'\"":
            raise FormulaError(f"`{piece}` in `{text[start:].strip()}` has no partner")
    raise FormulaError(f"a bracket is not closed: `{text[start:].strip()}`")


def _unexpected(rest: str) -> str:
    attribute = re.match(r"\.\w+", rest)
    if attribute:
        return f"attribute access `{attribute[0]}` is not allowed: a formula has columns and functions"
    return _INSTEAD.get(rest[0], f"unexpected character {rest[0]!r}")
