"""Function calls in formulas: checked against the lists of `functions`, then written anew."""

from __future__ import annotations

import ast
import keyword
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from hierreg.checks import suggestion
from hierreg.exceptions import FormulaError
from hierreg.formula.functions import ALLOWED_TEXT, CONTRASTS, NUMERIC, SEVERAL_COLUMNS, TRANSFORMS

if TYPE_CHECKING:
    from collections.abc import Callable

    Use = Literal["plain", "number", "level", "text"]
    Alias = Callable[[str, Use], str]

_STRING_OR_NAME = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[^\W\d]\w*")
_PLACEHOLDER = "hidden_name_{}_of_formula"
_PIECE = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[^\W\d]\w*|(?P<number>\.?\d[\w.]*)")
_NUMBER = re.compile(
    r"(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE]\d*)?[jJ]?|0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"
)
_PREFIXED_TEXT = re.compile(r"[^\W\d]\w*(?='[^']*'|\"[^\"]*\")")
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)


def quoted_in_call(name: str) -> str:
    """Return a column's name as a function call has it, in backticks where it is not a plain identifier."""
    return name if name.isidentifier() and name.isascii() and not keyword.iskeyword(name) else f"`{name}`"


def compile_call(source: str, alias: Alias) -> str:
    """Return a call in which every column name and text has been replaced by an alias.

    The result is built anew from the few kinds of node that are allowed here, so nothing else can be in it.

    Parameters
    ----------
    source : str
        The call as the user wrote it, for example "poly(`age at entry`, 2)".
    alias : callable (name, use) -> str
        Gives (and remembers) the identifier that stands for a column or a text.

    Raises
    ------
    FormulaError
        If anything but column names, arithmetic, literals and the functions listed is in it.
    """
    return _Call(source, alias).compiled()


class _Call:
    """One call under compilation: its source for messages, and the names that Python must not see."""

    def __init__(self, source: str, alias: Alias) -> None:
        self.source = source
        self.alias = alias
        self.names: dict[str, str] = {}
        self.has_column = False

    def compiled(self) -> str:
        hidden = _STRING_OR_NAME.sub(self._hide_name, self.source)
        try:
            node = ast.parse(_without_warnings(hidden), mode="eval").body
            text = ast.unparse(self._checked(node, outermost=True))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, FormulaError):
                raise
            raise FormulaError(f"`{self.source}` is not a valid expression") from None
        if not self.has_column:
            raise FormulaError(f"`{self.source}` is a constant: a term needs a column")
        return text

    def _hide_name(self, match: re.Match[str]) -> str:
        """Hide a name in backticks, and one that Python would normalise: it takes a micro sign for a mu."""
        if match[0][0] in "'\"" or (match[0][0] != "`" and match[0].isascii()):
            return match[0]
        placeholder = _PLACEHOLDER.format(len(self.names))
        self.names[placeholder] = match[0].strip("`")
        return f" {placeholder} "

    def _refusal(self, node: ast.AST, what: str, hint: str = "") -> FormulaError:
        piece = ast.unparse(node)
        for placeholder, name in self.names.items():
            piece = piece.replace(placeholder, f"`{name}`")
        return FormulaError(f"{what} `{piece}` is not allowed.{hint} {ALLOWED_TEXT}.")

    def _checked(self, node: ast.expr, *, outermost: bool = False) -> ast.expr:
        match node:
            case ast.Name():
                return self._column(node, "number")
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return node
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return ast.UnaryOp(node.op, self._checked(node.operand))
            case ast.BinOp(op=ast.Pow()) if not any(isinstance(inner, ast.Name) for inner in ast.walk(node)):
                raise self._refusal(node, "a power without a column,")  # 9**9**9 would never end
            case ast.BinOp() if isinstance(node.op, _ARITHMETIC):
                return ast.BinOp(self._checked(node.left), node.op, self._checked(node.right))
            case ast.Call(func=ast.Name(id=name)):
                return self._checked_call(node, name, outermost=outermost)
            case _:
                raise self._refusal(node, _KINDS.get(type(node), "the expression"))

    def _column(self, node: ast.Name, use: Literal["number", "level"]) -> ast.Name:
        name = self.names.get(node.id, node.id)
        if not name.strip() or re.fullmatch(r"__\w*__", name):
            raise self._refusal(node, "the name")
        self.has_column = True
        return _name(self.alias(name, use))

    def _checked_call(self, node: ast.Call, name: str, *, outermost: bool) -> ast.expr:
        if name in SEVERAL_COLUMNS and not outermost:
            raise self._refusal(node, "a transform that gives several columns inside another function,")
        if not node.args or isinstance(node.args[0], ast.Starred):
            raise self._refusal(node, "a call without a column as its first argument,")
        if name == "C":
            return self._checked_categorical(node)
        if name not in NUMERIC and name not in TRANSFORMS:
            hint = suggestion(name, (*NUMERIC, *TRANSFORMS, "C"))
            raise self._refusal(node, f"the function {name!r} in", hint)
        data = self._checked(node.args[0])
        rest, keywords = self._literal_arguments(node, node.args[1:], TRANSFORMS.get(name, ()))
        return ast.Call(_name(name), [data, *rest], keywords)

    def _checked_categorical(self, node: ast.Call) -> ast.expr:
        column, *rest = node.args
        rest += [word.value for word in node.keywords if word.arg == "contrasts"]
        if not isinstance(column, ast.Name) or len(rest) > 1 or len(node.args) + len(node.keywords) != 1 + len(rest):
            raise self._refusal(node, "`C` takes one column name and one kind of contrasts;")
        contrasts = [self._checked_contrasts(contrast) for contrast in rest]
        return ast.Call(_name("C"), [self._column(column, "level"), *contrasts], [])

    def _checked_contrasts(self, node: ast.expr) -> ast.expr:
        function = node.func if isinstance(node, ast.Call) else node
        name = ast.unparse(function)
        if name not in CONTRASTS:
            raise self._refusal(node, "the kind of contrasts")
        if not isinstance(node, ast.Call):
            return function
        arguments, keywords = self._literal_arguments(node, node.args, CONTRASTS[name])
        return ast.Call(function, arguments, keywords)

    def _literal_arguments(
        self, node: ast.Call, arguments: list[ast.expr], names: tuple[str, ...]
    ) -> tuple[list[ast.expr], list[ast.keyword]]:
        if len(arguments) > len(names) or any(word.arg not in names for word in node.keywords):
            takes = f"(it takes {', '.join(names)})" if names else "(it takes no more)"
            raise self._refusal(node, f"an argument {takes} of")
        keywords = [ast.keyword(word.arg, self._literal(word.value)) for word in node.keywords]
        return [self._literal(argument) for argument in arguments], keywords

    def _literal(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.Constant(value=str(text)):
                return _name(self.alias(text, "text"))
            case ast.Constant(value=bool() | int() | float() | None):
                return node
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
                return node
            case ast.List() | ast.Tuple():
                return ast.List([self._literal(element) for element in node.elts], ast.Load())
            case _:
                raise self._refusal(node, "an argument other than numbers, text, True and False,")


def _without_warnings(text: str) -> str:
    """Return a call that Python parses without a warning.

    The filters of warnings belong to all threads of a process, so that they cannot be changed for a while here. Python
    warns of escapes that it does not know and of words that follow a number at once. Text stands for itself, so that
    every backslash is an ordinary character; the other is refused.

    Raises
    ------
    FormulaError, SyntaxError
        If text has a prefix, or a number is none.
    """
    pieces = list(_PIECE.finditer(text))
    for piece, after in pairwise(pieces):
        if after[0][0] in "'\"" and piece.end() == after.start():
            if _PREFIXED_TEXT.match(text, piece.start()):
                prefixed = f"{piece[0]}{after[0]}"
                raise FormulaError(
                    f"formatted text, or text with a prefix, `{prefixed}` is not allowed. {ALLOWED_TEXT}."
                )
            raise SyntaxError
    if any(piece["number"] and not _NUMBER.fullmatch(piece["number"]) for piece in pieces):
        raise SyntaxError
    return text.replace("\\", "\\\\")


def _name(identifier: str) -> ast.Name:
    return ast.Name(identifier, ast.Load())


_KINDS: dict[type[ast.AST], str] = {
    ast.Attribute: "attribute access (a column name with a dot goes in backticks)",
    ast.Subscript: "the subscript",
    ast.Lambda: "the lambda",
    ast.ListComp: "the comprehension",
    ast.SetComp: "the comprehension",
    ast.DictComp: "the comprehension",
    ast.GeneratorExp: "the comprehension",
    ast.Compare: "the comparison",
    ast.BoolOp: "the logical operation",
    ast.IfExp: "the conditional",
    ast.JoinedStr: "the formatted text",
    ast.Call: "the call",
    ast.BinOp: "the operator in",
    ast.Constant: "the literal",
}
