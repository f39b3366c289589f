"""`level`: whether new rows are of observed groups, of new ones, or of the population; and labels that fit neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_choice, first_rows, listed, suggestion
from hierreg.design_matrices import column_levels
from hierreg.exceptions import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.design_matrices.levels import FactorLevels

    Index = NDArray[np.intp]

LEVELS = ("group", "population", "new group")


def levels_of(level: Any, factors: Sequence[str]) -> dict[str, str]:
    """Return the level of each grouping factor.

    Raises
    ------
    ModelError
        If a level or a factor is unknown.
    """
    if isinstance(level, Mapping):
        for name, value in level.items():
            if name not in factors:
                known = f"none of the grouping factors {listed(factors)}" if factors else "not in the model: no groups"
                raise ModelError(f"level has the key {name!r}, which is {known}.{suggestion(name, factors)}")
            check_choice(value, LEVELS, argument=f"level[{name!r}]", error=ModelError)
        return {name: str(level.get(name, "group")) for name in factors}
    check_choice(level, LEVELS, argument="level", error=ModelError)
    return dict.fromkeys(factors, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels of M rows in the columns of one grouping factor.

    Attributes
    ----------
    text : list of str
        Label of the group of each row.
    label : list of labels
        The same, as it stands in the column where there is one.
    unknown : tuple of tuples of labels
        For each column those that the model has not seen.
    """

    text: list[str]
    label: list[Any]
    unknown: tuple[tuple[Any, ...], ...]


def labels_of(table: Any, factor: FactorLevels, factors: Sequence[str]) -> Labels:
    """Return the labels of the groups of new rows.

    Raises
    ------
    DataError
        If a column of the grouping factor is missing.
    """
    parts, unknown = [], []
    for name, known in zip(factor.columns, factor.column_levels, strict=True):
        if name not in table.columns:
            raise DataError(
                f"newdata has no column {name!r}, which says the group of {factor.name!r} that a row is of."
                f"{suggestion(name, table.columns)} Add it, or pass {_as(factor, factors, 'population')} for expected "
                "values of the population, with no group's deviation."
            )
        levels, index = column_levels(table, name, role="grouping factor", allow_fractions=True)
        parts.append([levels[i] for i in index])
        seen = set(known)
        unknown.append(tuple(label for label in levels if label not in seen))
    text = [":".join(map(str, label)) for label in zip(*parts, strict=True)]
    return Labels(text=text, label=parts[0] if len(parts) == 1 else list(text), unknown=tuple(unknown))


def check_labels(labels: Labels, factor: FactorLevels, index: Index, level: str, factors: Sequence[str]) -> None:
    """Raise where a group was not observed and no new ones are asked for, or where its label has another type.

    Parameters
    ----------
    labels : Labels
    factor : FactorLevels
        What the model has seen.
    index : int array (M,)
        Group of each row; -1 for one that was not observed.
    level : str
        "group" or "new group".
    factors : sequence of str
        Names of all grouping factors.

    Raises
    ------
    DataError
    """
    columns = list(zip(factor.columns, factor.column_levels, labels.unknown, strict=True))
    if level == "new group":
        twins = [sentence for column in columns if (sentence := _other_type(*column, twins_only=True))]
        if twins:
            raise DataError(f"newdata: {twins[0]} A new group needs a label of its own.")
        return
    if not np.any(index < 0):
        return
    types = [sentence for column in columns if (sentence := _other_type(*column))]
    new = list(dict.fromkeys(labels.label[row] for row in np.flatnonzero(index < 0)))
    hint = f" {types[0]}" if types else suggestion(new[0], factor.levels)
    raise DataError(
        f"newdata has groups of {factor.name!r} that the model has not seen ({first_rows(index < 0)}: {listed(new)}); "
        f"it has {listed(factor.levels)}.{hint} To predict for groups that were not observed, pass "
        f"{_as(factor, factors, 'new group')}; for the population, {_as(factor, factors, 'population')}."
    )


def _as(factor: FactorLevels, factors: Sequence[str], level: str) -> str:
    """Return the argument as a user writes it."""
    return f"level={level!r}" if len(factors) == 1 else f"level={ {factor.name: level}!r}"


def _other_type(name: str, known: Sequence[Any], unknown: Sequence[Any], *, twins_only: bool = False) -> str:
    """Return what is said of labels of another type: first of those that are known labels but for the type."""
    twin = {_plain(label): label for label in known}
    others = [label for label in unknown if known and isinstance(label, str) != isinstance(known[0], str)]
    found = [label for label in others if _plain(label) in twin]
    if not others or (twins_only and not found):
        return ""
    label = (found or others)[0]
    meant = f": is {twin[_plain(label)]!r} meant?" if found else "."
    return f"The labels of {name!r} are {_type(known[0])}; {label!r} is {_type(label, single=True)}{meant}"


def _plain(label: Any) -> str:
    """Return the text of a label, of numbers that of the whole number that they are."""
    text = str(label).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else text


def _type(label: Any, *, single: bool = False) -> str:
    if isinstance(label, str):
        return "text"
    what = "whole number" if isinstance(label, (int, np.integer)) else "number"
    return f"a {what}" if single else f"{what}s"
