"""Where the coefficients of a group are: at the zero of the population columns that are not among them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hierreg.design_matrices import DesignState
    from hierreg.problem.labels import FactorLabels, Labels

_CODED = re.compile(r"(?P<what>.+)\[(?:(?P<coding>T|S)\.)?(?P<level>.*)\]")
_NAME = re.compile(r"[^\W\d]\w*(?!\w*[(.=])")


def references(labels: Labels, state: DesignState) -> dict[str, dict[str, str]]:
    """Return, by factor and group column, the predictors at whose zero theta = beta + b is, in words.

    A population column that is no group column is left out of theta, so the coefficients of a group are those of the
    reference level of a predictor of groups, as in "Sector = Catholic". Columns without such are left out.

    Examples
    --------
    >>> import hierreg as hr
    >>> table = hr.load_dataset("sleepstudy").assign(sex=lambda rows: ["f", "m"] * 90)
    >>> problem = hr.Model("Reaction ~ Days * sex + (Days | Subject)", table).problem
    >>> references(problem.labels, problem.state)
    {'Subject': {'Intercept': 'sex = f', 'Days': 'sex = f'}}
    """
    levels = {name: [str(level) for level in known] for (name, _), known in state.learned.items()}
    out = {factor.key: _of_factor(factor, labels.coef, levels) for factor in labels.factors}
    return {name: found for name, found in out.items() if found}


def _of_factor(factor: FactorLabels, population: Sequence[str], levels: Mapping[str, Sequence[str]]) -> dict[str, str]:
    own = set().union(*(_names(column) for column in factor.coef))
    left_out = [_pieces(name) for name in population if name not in factor.coef]
    out = {}
    for column, match in zip(factor.coef, factor.theta_columns, strict=True):
        mine = [] if column == "Intercept" else _pieces(column)
        rest = [[p for p in pieces if p not in mine] for pieces in left_out if set(mine) <= set(pieces)]
        # Where a factor of the column is zero with the group columns themselves, nothing else need be.
        at = [p for pieces in rest for p in pieces if not any(_names(q) <= own for q in pieces)]
        if match is not None and at:
            out[column] = ", ".join(dict.fromkeys(text for p in at if (text := _zero(p, at, levels))))
    return out


def _pieces(column: str) -> list[str]:
    """Return the factors of a product, as in x:Sector[T.Public]."""
    pieces, depth, start = [], 0, 0
    for i, letter in enumerate(column):
        depth += (letter in "([") - (letter in ")]")
        if letter == ":" and depth == 0:
            pieces.append(column[start:i])
            start = i + 1
    return [*pieces, column[start:]]


def _names(column: str) -> set[str]:
    """Return the columns of the table that a column of the design is made of."""
    return set(_NAME.findall(re.sub(r"\[[^\]]*\]", "", column)))


def _zero(piece: str, others: Sequence[str], levels: Mapping[str, Sequence[str]]) -> str:
    """Return what a column is at its zero: for treatment coding, the level that has no column.

    Nothing for one of a column for every level: it is zero with another factor of its product.
    """
    coded = _CODED.fullmatch(piece)
    name = "" if coded is None else coded["what"].removeprefix("C(").split(",")[0].removesuffix(")").strip()
    if coded is None or name not in levels:
        return f"{piece} = 0"
    if coded["coding"] != "T":
        return f"the mean of the levels of {name}" if coded["coding"] else ""
    with_column = {found["level"] for p in others if (found := _CODED.fullmatch(p)) and found["what"] == coded["what"]}
    rest = [level for level in levels[name] if level not in with_column]
    return f"{name} = {rest[0]}" if len(rest) == 1 else f"the reference level of {name}"
