"""A model in symbols, as HTML: what is distributed how, with the names of its columns."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from hierreg.effects import StudentT
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.family import FamilyProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hierreg.problem.labels import FactorLabels
    from hierreg.problem.problem import Problem

# Terms of a linear predictor that are written one by one.
_MOST_TERMS = 8
_MARK = re.compile(r"([_^])(\{[^{}]*\}|\S)")
_TAGS = {"_": "sub", "^": "sup"}


def marked(symbols: str) -> str:
    """Return symbols as HTML, ``_`` and ``^`` of one letter, or of what braces hold, below and above the line.

    Examples
    --------
    >>> marked("e_r ~ N(0, σ_{s(r)}^2)")
    'e<sub>r</sub> ~ N(0, σ<sub>s(r)</sub><sup>2</sup>)'
    """

    def tagged(found: re.Match[str]) -> str:
        tag, inner = _TAGS[found[1]], found[2].removeprefix("{").removesuffix("}")
        return f"<{tag}>{inner}</{tag}>"

    return _MARK.sub(tagged, escape(symbols, quote=False))


def in_symbols(problem: Problem | FamilyProblem) -> list[str]:
    """Return the lines of a model, as HTML."""
    response = escape(str(problem.labels.response))
    terms = [_term("β", "", name) for name in problem.labels.coef]
    for factor in problem.labels.factors:
        terms += [_term("b", f", {escape(factor.name)}(r)", name) for name in factor.coef]
    predictor = _sum(terms, problem.labels.factors)
    lines = []
    if isinstance(problem, FamilyProblem):
        symbols = marked(problem.family.symbols)
        lines.append(re.sub(r"(?<!\w)y<sub>r</sub>", lambda _: f"{response}<sub>r</sub>", symbols))
        offset = "offset<sub>r</sub> + " if problem.offset_name is not None else ""
        lines.append(f"η<sub>r</sub> = {offset}{predictor}")
    else:
        lines.append(f"{response}<sub>r</sub> = {predictor} + e<sub>r</sub>")
    lines += [_of_groups(problem, factor) for factor in problem.labels.factors]
    if not isinstance(problem, FamilyProblem):
        lines.append(marked(problem.layout.spec.symbols))
    return lines


def _term(symbol: str, below: str, name: str) -> str:
    """Return a coefficient times its column."""
    coefficient = f"{symbol}<sub>{escape(name)}{below}</sub>"
    return coefficient if name == "Intercept" else f"{coefficient} {escape(name)}<sub>r</sub>"


def _sum(terms: list[str], factors: Sequence[FactorLabels]) -> str:
    if len(terms) <= _MOST_TERMS:
        return " + ".join(terms) or "0"
    return " + ".join(["x<sub>r</sub>'β", *(f"z<sub>r</sub>'b<sub>{escape(f.name)}(r)</sub>" for f in factors)])


def _of_groups(problem: Problem | FamilyProblem, factor: FactorLabels) -> str:
    """Return how the coefficients of groups are distributed."""
    name = escape(factor.name)
    which = f"Σ<sub>{name}</sub>" if len(problem.labels.factors) > 1 else "Σ"
    group = f"b<sub>{name} j</sub>" if len(problem.labels.factors) > 1 else "b<sub>j</sub>"
    if isinstance(problem, EffectsProblem):
        if isinstance(problem.shape.effects, StudentT):
            return f"{group} ~ t<sub>ν</sub>(0, {which}), j: {name}"
        return f"{group} ~ Σ<sub>k</sub> w<sub>k</sub> N(m<sub>k</sub>, {which}<sub>k</sub>), j: {name}"
    if len(factor.coef) == 1:
        return f"{group} ~ N(0, sd<sup>2</sup>), j: {name}"
    if all(corr is None for corr in problem.priors.corr[factor.name]):
        return f"{group} ~ N(0, diag(sd<sup>2</sup>)), j: {name}"
    return f"{group} ~ N(0, {which}), {which} = diag(sd) Corr diag(sd), j: {name}"
