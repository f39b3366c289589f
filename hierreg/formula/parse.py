"""lme4's bar notation: what is a response, what a population term, what a group term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hierreg.exceptions import FormulaError
from hierreg.formula.expression import compile_tokens
from hierreg.formula.functions import SEVERAL_COLUMNS
from hierreg.formula.tokens import Kind, Token, tokenize
from hierreg.formula.two_part import SecondPart, two_parts

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTerm:
    """One bar term: columns whose coefficients vary over the levels of a grouping factor.

    Attributes
    ----------
    expression : str
        Left of the bar, with its intercept written out, for example "1 + Days".
    factor : str
        Name of the grouping factor; "a:b" for the combinations of two columns.
    columns : tuple of str
        The columns that make the factor.
    correlated : bool
        False for ``||``.
    """

    expression: str
    factor: str
    columns: tuple[str, ...]
    correlated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaSpec:
    """A model formula, parsed.

    Attributes
    ----------
    text : str
        As the user wrote it.
    response : str
        Left of the tilde.
    population : str
        Right of the tilde without the bar terms, with its intercept written out, for example "1 + Days".
    group_terms : tuple of GroupTerm
        The bar terms, in order.
    second : SecondPart or None
        Of a response of two parts, ``cbind(successes, failures)`` or ``successes / trials``: what is beside
        `response`, the successes.
    """

    text: str
    response: str
    population: str
    group_terms: tuple[GroupTerm, ...]
    second: SecondPart | None = None

    @property
    def response_columns(self) -> tuple[str, ...]:
        """The columns of the table that the response is made of."""
        others = () if self.second is None else self.second.column_names
        return (*compile_tokens(tokenize(self.response)).column_names, *others)


def parse_formula(text: str) -> FormulaSpec:
    """Return the parts of a model formula.

    Formulas are those of lme4: ``(x | g)`` gives an intercept and a slope of ``x`` that vary over the levels
    of ``g`` and are correlated, ``(x || g)`` the same without correlations. Unlike in lme4, ``||`` separates
    *all* columns of the expression, the dummy columns of a categorical predictor included. ``0 +`` or ``- 1``
    leaves the intercept out. Everything without a bar means what it means in formulaic.

    Formulas are data: besides column names, arithmetic and the functions listed in
    `hierreg.formula.functions` nothing is accepted, and nothing is evaluated here.

    Parameters
    ----------
    text : str
        For example "Reaction ~ Days + (Days | Subject)". Column names with spaces go in backticks.

    Raises
    ------
    FormulaError
        If the text is not such a formula; the message names the piece.

    References
    ----------
    Bates, Maechler, Bolker and Walker (2015), Fitting linear mixed-effects models using lme4, section 2.2.

    Examples
    --------
    >>> spec = parse_formula("Reaction ~ Days + (Days || Subject)")
    >>> spec.response, spec.population
    ('Reaction', '1 + Days')
    >>> spec.group_terms
    (GroupTerm(expression='1 + Days', factor='Subject', columns=('Subject',), correlated=False),)
    """
    if not isinstance(text, str):
        raise FormulaError(f"formula must be text such as 'y ~ x + (x | g)', not {type(text).__name__}.")
    try:
        return _parse(text)
    except FormulaError as error:
        raise FormulaError(f"formula {text.strip()!r}: {error}".rstrip(".") + ".") from None


def _parse(text: str) -> FormulaSpec:
    tokens = tokenize(text)
    tildes = [i for i, token in enumerate(tokens) if token.is_operator("~")]
    if not tildes:
        raise FormulaError("there is no `~`; write the response left of it, as in 'y ~ x + (x | g)'")
    if len(tildes) > 1:
        raise FormulaError("there is more than one `~`; a formula has one response and one right-hand side")
    response, second = _response(tokens[: tildes[0]])
    population: list[tuple[str, list[Token]]] = []
    group_terms: list[GroupTerm] = []
    for sign, term in _signed_terms(tokens[tildes[0] + 1 :]):
        if any(token.is_operator("|", "||") for token in term):
            group_terms += _bar_term(sign, term)
        else:
            population.append((sign, term))
    spec = FormulaSpec(
        text=text.strip(),
        response=response,
        population=_canonical(population),
        group_terms=tuple(group_terms),
        second=second,
    )
    for _, term in population:
        _check_brackets(term)
    _check_response_is_no_predictor(spec)
    return spec


def _response(tokens: Sequence[Token]) -> tuple[str, SecondPart | None]:
    if not tokens:
        raise FormulaError("the response left of `~` is empty")
    parts = two_parts(tokens)
    second = None
    if parts is not None:
        tokens, second = parts
    if len(tokens) > 1 or tokens[0].kind not in (Kind.NAME, Kind.CALL):
        shown = " ".join(str(token) for token in tokens)
        raise FormulaError(
            f"the response must be one column or one function of columns, not `{shown}`; write I(...) for arithmetic"
        )
    expression = compile_tokens(tokens)
    if tokens[0].kind is Kind.CALL and tokens[0].text.split("(")[0].strip() in SEVERAL_COLUMNS:
        raise FormulaError(f"the response must be one column of numbers, which `{expression.text}` is not")
    return expression.text, second


def _signed_terms(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    """Split a sum at its outermost plus and minus signs."""
    terms: list[tuple[str, list[Token]]] = []
    sign, term, depth = "+", list[Token](), 0
    for token in tokens:
        depth += token.is_operator("(") - token.is_operator(")")
        if depth == 0 and token.is_operator("+", "-"):
            if term:
                terms.append((sign, term))
                sign, term = "+", []
            if token.text == "-":
                sign = "+" if sign == "-" else "-"
        else:
            term.append(token)
    if not term:
        raise FormulaError(f"a term is missing after `{tokens[-1] if tokens else '~'}`")
    return [*terms, (sign, term)]


def _canonical(terms: Sequence[tuple[str, list[Token]]]) -> str:
    """Return a sum as text that begins with its intercept, 1 or 0."""
    has_intercept = True
    others: list[Token] = []
    for sign, term in terms:
        if len(term) == 1 and term[0].kind is Kind.NUMBER and term[0].text in ("0", "1"):
            has_intercept = (term[0].text == "1") == (sign == "+")
        else:
            others += [Token(Kind.OPERATOR, sign), *term]
    return compile_tokens([Token(Kind.NUMBER, "1" if has_intercept else "0"), *others]).text


def _check_brackets(term: Sequence[Token]) -> None:
    """Raise where brackets hold a whole summand, which mean nothing, or a bar that was forgotten."""
    if term[0].is_operator("(") and 0 not in _depths(term)[:-1]:
        shown = _shown(term)
        inside = shown[1:-1]
        raise FormulaError(
            f"the brackets of `{shown}` have no bar and no meaning: for coefficients that vary over groups write "
            f"({inside} | group), for population terms {inside} without brackets"
        )


def _shown(tokens: Sequence[Token]) -> str:
    return " ".join(str(token) for token in tokens).replace("( ", "(").replace(" )", ")")


def _bar_term(sign: str, tokens: Sequence[Token]) -> list[GroupTerm]:
    shown = _shown(tokens)
    depths = _depths(tokens)
    bars = [i for i, token in enumerate(tokens) if token.is_operator("|", "||")]
    if any(depths[i] == 0 for i in bars):
        raise FormulaError(f"a bar term stands in parentheses: write ({shown})")
    if len(bars) > 1 or depths[bars[0]] > 1:
        raise FormulaError(f"bars are nested in `{shown}`; a bar term has one bar and one pair of parentheses")
    if not tokens[0].is_operator("(") or 0 in depths[:-1] or not tokens[-1].is_operator(")"):
        raise FormulaError(f"a bar term is joined to the other terms by +, not as in `{shown}`")
    if sign == "-":
        raise FormulaError(f"a bar term cannot be subtracted: `- {shown}`")
    left, right = tokens[1 : bars[0]], tokens[bars[0] + 1 : -1]
    if not left:
        raise FormulaError(f"nothing stands left of the bar in `{shown}`; for group intercepts write (1 | ...)")
    expression = _canonical(_signed_terms(left))
    if expression == "0":
        raise FormulaError(f"the bar term `{shown}` has no columns")
    return [
        GroupTerm(
            expression=expression,
            factor=":".join(columns),
            columns=columns,
            correlated=tokens[bars[0]].text == "|",
        )
        for columns in _grouping_factors(right, shown)
    ]


def _depths(tokens: Sequence[Token]) -> list[int]:
    """Return how many brackets are open after each token."""
    depth, depths = 0, []
    for token in tokens:
        depth += token.is_operator("(") - token.is_operator(")")
        depths.append(depth)
    return depths


def _grouping_factors(tokens: Sequence[Token], shown: str) -> list[tuple[str, ...]]:
    """Return the columns of each factor right of a bar: ``a:b`` is one factor, ``a / b`` means a and a:b."""
    if not tokens:
        raise FormulaError(f"the group right of the bar is empty in `{shown}`")
    names, operators = tokens[::2], tokens[1::2]
    if any(token.is_operator("+", "*") for token in operators):
        raise FormulaError(f"`{shown}` has several groups; write one bar term for each, or a:b for combinations")
    if (
        len(tokens) % 2 == 0
        or any(token.kind is not Kind.NAME for token in names)
        or not all(token.is_operator(":", "/") for token in operators)
    ):
        raise FormulaError(
            f"the group in `{shown}` is an expression; groups are columns (or a:b), so add a column to the table"
        )
    columns = [token.text for token in names]
    if len(set(columns)) < len(columns):
        raise FormulaError(f"the group in `{shown}` names a column twice")
    ends = [i + 1 for i, token in enumerate(operators) if token.text == "/"]
    return [tuple(columns[:end]) for end in (*ends, len(columns))]


def _check_response_is_no_predictor(spec: FormulaSpec) -> None:
    expressions = [spec.population, *(term.expression for term in spec.group_terms)]
    used = [name for text in expressions for name in compile_tokens(tokenize(text)).column_names]
    used += [name for term in spec.group_terms for name in term.columns]
    for name in spec.response_columns:
        if name in used:
            raise FormulaError(f"the column {name!r} is in the response and right of `~`")
