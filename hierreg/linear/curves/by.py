"""What tells curves apart: levels or values of a predictor, or groups of a factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.linear.curves.values import moments_of_column, numbers_of, one_name, places_of, shown
from hierreg.linear.effects.tables import check_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hierreg.linear.curves.source import Source

    Index = NDArray[np.intp]

# Levels that are told apart by colours, and values of a number that are taken as they are.
MOST_LEVELS, _FEW = 12, 5
_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class By:
    """What tells curves apart.

    Attributes
    ----------
    name : str
        Empty where there is nothing.
    values : list
        Levels or numbers, or groups of a factor.
    labels : list of str
    factor : str
        The grouping factor whose groups they are; empty for a predictor.
    is_number : bool
    of_rows : int array (N,)
        Which of the values each row has; -1 for none of them.
    text : str
        How numbers were chosen, where they are not those of the rows.
    """

    name: str
    values: list[Any]
    labels: list[str]
    factor: str = ""
    is_number: bool = False
    of_rows: Index
    text: str = ""


def by_of(source: Source, by: Any, known: Mapping[str, tuple[Any, ...] | None], along: str) -> By:
    """Return what tells curves apart.

    Parameters
    ----------
    source : Source
    by : str, dict of one name -> values, or None
    known : mapping predictor -> levels
    along : str
        The predictor on the axis.

    Raises
    ------
    ModelError, DataError
        If a name or a value is unknown, or there are too many.
    """
    n = 0 if source.data is None else len(source.data)
    if by is None:
        return By(name="", values=[None], labels=[""], of_rows=np.zeros(n, dtype=np.intp))
    name, values = one_name(by, "by")
    factors = [factor.name for factor in source.problem.state.factors]
    if name == along:
        raise ModelError(f"by={name!r} is x already: choose another predictor, or a grouping factor.")
    if name not in known and name not in factors:
        names = list(dict.fromkeys([*known, *factors]))
        raise ModelError(
            f"by={name!r} is neither a predictor nor a grouping factor; these are {listed(names)}."
            f"{suggestion(name, names)}"
        )
    if name not in known:
        found = _by_factor(source, name, values, along)
    elif known[name] is not None:
        found = _by_levels(source, name, known[name], values)
    else:
        found = _by_number(source, name, values)
    if len(found.values) > MOST_LEVELS:
        many = "groups=[...], or panels='group', shows groups; " if found.factor else ""
        raise ModelError(
            f"by={name!r} has {len(found.values)} values, of which a figure tells {MOST_LEVELS} apart: {many}"
            f"by={{{name!r}: [...]}} chooses some."
        )
    return found


def _by_levels(source: Source, name: str, levels: Any, values: list[Any] | None) -> By:
    chosen = list(levels) if values is None else values
    check_levels(chosen, levels, f"by={{{name!r}: {values!r}}}")
    of_rows = np.empty(0, dtype=np.intp) if source.data is None else places_of(source.data[name], chosen)
    return By(name=name, values=chosen, labels=[str(value) for value in chosen], of_rows=of_rows)


def _by_number(source: Source, name: str, values: list[Any] | None) -> By:
    own, text = None if source.data is None else source.data[name].to_numpy(dtype=float), ""
    if values is not None:
        chosen = numbers_of(values, f"by={{{name!r}: ...}}")
    elif own is None:
        mean, sd = moments_of_column(source, name, f"by={{{name!r}: [...]}}")
        chosen, text = np.array([mean - sd, mean, mean + sd]), f"{name}: mean and one standard deviation about it"
    elif len(np.unique(own)) <= _FEW:
        chosen = np.unique(own)
    else:
        chosen = np.unique(np.quantile(own, _QUANTILES))
        text = f"{name}: its quantiles {', '.join(str(q) for q in _QUANTILES)}"
    of_rows = np.empty(0, dtype=np.intp)
    if own is not None:
        is_one = own[:, None] == chosen
        of_rows = np.where(is_one.any(axis=1), is_one.argmax(axis=1), -1)
    return By(
        name=name,
        values=chosen.tolist(),
        labels=[f"{name} = {shown(float(value))}" for value in chosen],
        is_number=True,
        of_rows=of_rows,
        text=text,
    )


def _by_factor(source: Source, name: str, values: list[Any] | None, along: str) -> By:
    place = [factor.name for factor in source.problem.state.factors].index(name)
    factor = source.problem.state.factors[place]
    if along in factor.columns:
        raise ModelError(f"by={name!r} is told apart by x={along!r} itself; choose another predictor.")
    labels = list(factor.levels)
    chosen = labels if values is None else [_label(value, labels, f"by={{{name!r}: ...}}", name) for value in values]
    index = source.problem.design.factors[place].index
    places = np.full(len(labels), -1, dtype=np.intp)
    places[[labels.index(label) for label in chosen]] = np.arange(len(chosen))
    return By(
        name=name,
        values=chosen,
        labels=[str(label) for label in chosen],
        factor=name,
        of_rows=places[np.asarray(index)],
    )


def _label(value: Any, labels: Sequence[Any], argument: str, factor: str) -> Any:
    """Return a group by its label or by the label's text."""
    for label in labels:
        if label == value or str(label) == str(value):
            return label
    hint = suggestion(str(value), [str(label) for label in labels])
    raise ModelError(f"{argument} has {value!r}, which is no group of {factor!r}; these are {listed(labels)}.{hint}")
