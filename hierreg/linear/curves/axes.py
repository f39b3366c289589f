"""What curves run along, what tells them apart, and at which values the other predictors are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import DataError, ModelError
from hierreg.linear.effects.tables import levels_by_predictor, typical
from hierreg.problem.row_moments import moments_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from hierreg.linear.curves.source import Source

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Points of a curve.
_GRID = 101
# Levels that are told apart by colours, and values of a number that are taken as they are.
MOST_LEVELS, _FEW = 12, 5
_QUANTILES = (0.1, 0.5, 0.9)
# Of the largest value, below which a mean is zero.
_ZERO = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class XAxis:
    """What curves run along.

    Attributes
    ----------
    name : str
    values : list
        Numbers of a grid, or levels.
    levels : tuple or None
        None of a number.
    text : str
        How its range was chosen, where it is not that of the rows.
    """

    name: str
    values: list[Any]
    levels: tuple[Any, ...] | None
    text: str = ""

    def positions(self, values: Any) -> Array:
        """Return where values stand on the axis: numbers themselves, levels at their number."""
        if self.levels is None:
            return np.asarray(values, dtype=float)
        return _places(values, self.levels).astype(float)


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axes:
    """The axes of curves.

    Attributes
    ----------
    x : XAxis
    by : By
    held : dict
        Values of the other predictors, of an offset, and of strata of the response.
    sizes : dict
        How large numbers among them are in the rows: a mean that is rounding of zero is shown as zero.
    asked : set of str
        Those of them that were asked for.
    """

    x: XAxis
    by: By
    held: dict[str, Any]
    sizes: dict[str, float]
    asked: frozenset[str]

    def held_in_words(self, own: Sequence[str], factor: str) -> str:
        """Return at which values the other predictors are held, those at each group's own apart."""
        texts = []
        for name, value in self.held.items():
            is_zero = name in self.sizes and abs(value) < _ZERO * self.sizes[name]
            added = f" (each {factor}'s own in its line)" if name in own else ""
            texts.append(f"{name} = {shown(0.0 if is_zero else value)}{added}")
        return ", ".join(texts)


def shown(value: Any) -> str:
    """Return a value as it stands in a figure.

    Examples
    --------
    >>> [shown(value) for value in (0.123456, 12345.678, 3, "Public")]
    ['0.123', '12346', '3', 'Public']
    """
    if not isinstance(value, (float, np.floating)):
        return str(value)
    number = float(value)
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def axes_of(source: Source, x: Any, by: Any, at: Mapping[str, Any] | None) -> Axes:
    """Return the axes of curves.

    Parameters
    ----------
    source : Source
    x : str, or dict of one predictor -> values
    by : str, dict of one predictor -> values, or None
        A predictor or a grouping factor.
    at : dict predictor -> value, optional

    Raises
    ------
    ModelError, DataError
        If a name is unknown, or values cannot be had.
    """
    known = levels_by_predictor(source, groups=True)
    along, x_values = _one(x, "x")
    if along not in known:
        raise ModelError(
            f"x={along!r} is no predictor of the model; these are {listed(known)}.{suggestion(along, known)}"
        )
    axis = _x_axis(source, along, known[along], x_values)
    parts = _by(source, by, known, along)
    asked = dict(at or {})
    others = {name: levels for name, levels in known.items() if name not in {along, parts.name}}
    if parts.factor:
        columns = next(one.columns for one in source.problem.state.factors if one.name == parts.factor)
        others = {name: levels for name, levels in others.items() if name not in columns}
    further = _further(source) if source.is_family else {}
    for name, value in asked.items():
        _check_at(name, value, others, further)
    rest = {name: levels for name, levels in others.items() if name not in asked}
    held = _typical(source, rest) | {name: value for name, value in further.items() if name not in {along, parts.name}}
    order = [*others, *(name for name in further if name not in others and name in held)]
    held |= asked
    return Axes(
        x=axis,
        by=parts,
        held={name: held[name] for name in order},
        sizes={
            name: float(np.abs(source.data[name]).max())
            for name in rest
            if source.data is not None and rest[name] is None
        },
        asked=frozenset(asked),
    )


def _one(given: Any, argument: str) -> tuple[str, Any]:
    """Return a name and the values that are asked of it, None where none are."""
    if isinstance(given, str):
        return given, None
    if isinstance(given, Mapping) and len(given) == 1:
        name, values = next(iter(given.items()))
        if isinstance(values, (list, tuple, range, np.ndarray)) and len(values):
            return str(name), list(values)
    raise ModelError(
        f"{argument}={given!r} must be the name of a predictor, or a dictionary of one name and its values, as in "
        f"{argument}={{'Days': [0, 9]}}."
    )


def _x_axis(source: Source, name: str, levels: tuple[Any, ...] | None, values: list[Any] | None) -> XAxis:
    if levels is not None:
        wrong = [value for value in values or () if value not in levels]
        if wrong:
            raise ModelError(f"x={{{name!r}: {values!r}}}: the model knows the levels {listed(levels)}.")
        return XAxis(name=name, values=list(values or levels), levels=tuple(values or levels))
    text = ""
    if values is not None:
        ends = _numbers(values, f"x={{{name!r}: ...}}")
    elif source.data is not None:
        ends = source.data[name].to_numpy(dtype=float)
    else:
        mean, sd = _moments(source, name, f"x={{{name!r}: [low, high]}}")
        ends, text = np.array([mean - 2 * sd, mean + 2 * sd]), f"{name}: mean +- 2 standard deviations of the rows"
    low, high = float(ends.min()), float(ends.max())
    if not low < high:
        raise ModelError(
            f"x={name!r} is {low:g} in all rows, and a line needs two values: x={{{name!r}: [low, high]}}."
        )
    return XAxis(name=name, values=np.linspace(low, high, _GRID).tolist(), levels=None, text=text)


def _numbers(values: Any, what: str) -> Array:
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if numbers.ndim != 1 or not np.all(np.isfinite(numbers)):
        raise ModelError(f"{what} has values {values!r}; finite numbers are required.")
    return numbers


def _moments(source: Source, name: str, instead: str) -> tuple[float, float]:
    """Return mean and standard deviation of a predictor, of a model that has no rows.

    Raises
    ------
    DataError
        If the statistics do not say them.
    """
    found, coefs = moments_of(source.problem), list(source.problem.labels.coef)
    if found is None or name not in coefs:
        raise DataError(
            f"the model was made of statistics alone, and these do not say which values {name!r} has in the rows; give "
            f"{instead}."
        )
    k = coefs.index(name)
    share = found.n / found.n.sum()
    mean = float(share @ found.mean[:, k])
    return mean, float(np.sqrt(share @ (found.cov[:, k, k] + (found.mean[:, k] - mean) ** 2)))


def _typical(source: Source, predictors: Mapping[str, tuple[Any, ...] | None]) -> dict[str, Any]:
    if source.data is not None:
        return typical(source.data, predictors)
    out: dict[str, Any] = {}
    for name, levels in predictors.items():
        out[name] = levels[0] if levels is not None else _moments(source, name, f"at={{{name!r}: value}}")[0]
    return out


def _further(source: Source) -> dict[str, Any]:
    """Return what else the expected value of a row depends on with a family: the mean offset, the commonest stratum."""
    problem, out = source.problem, {}
    if problem.offset_name is not None:
        out[problem.offset_name] = float(np.mean(problem.offset))
    if problem.family.by is not None:
        strata = problem.observed.strata
        out[problem.family.by] = strata[int(np.argmax(np.bincount(problem.observed.stratum, minlength=len(strata))))]
    return out


def _check_at(name: Any, value: Any, others: Mapping[str, Any], further: Mapping[str, Any]) -> None:
    if name not in others and name not in further:
        known = [*others, *(one for one in further if one not in others)]
        raise ModelError(
            f"at has {name!r}, which is no predictor that is held; these are {listed(known)}.{suggestion(name, known)}"
        )
    levels = others.get(name)
    if levels is not None and value not in levels:
        raise ModelError(f"at[{name!r}]={value!r}: the model knows the levels {listed(levels)}.")
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and np.isfinite(value)
    if levels is None and name in others and not is_number:
        raise ModelError(f"at[{name!r}]={value!r} must be a finite number.")


def _by(source: Source, by: Any, known: Mapping[str, tuple[Any, ...] | None], along: str) -> By:
    n = 0 if source.data is None else len(source.data)
    if by is None:
        return By(name="", values=[None], labels=[""], of_rows=np.zeros(n, dtype=np.intp))
    name, values = _one(by, "by")
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
    wrong = [value for value in chosen if value not in levels]
    if wrong:
        raise ModelError(f"by={{{name!r}: {values!r}}}: the model knows the levels {listed(levels)}.")
    of_rows = np.empty(0, dtype=np.intp) if source.data is None else _places(source.data[name], chosen)
    return By(name=name, values=chosen, labels=[str(value) for value in chosen], of_rows=of_rows)


def _by_number(source: Source, name: str, values: list[Any] | None) -> By:
    own, text = None if source.data is None else source.data[name].to_numpy(dtype=float), ""
    if values is not None:
        chosen = _numbers(values, f"by={{{name!r}: ...}}")
    elif own is None:
        mean, sd = _moments(source, name, f"by={{{name!r}: [...]}}")
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


def _places(values: Any, levels: Sequence[Any]) -> Index:
    """Return the place of each value among levels; -1 for none of them."""
    place = {level: i for i, level in enumerate(levels)}
    text = {str(level): i for i, level in enumerate(levels)}
    found = [place.get(value, text.get(str(value), -1)) for value in np.asarray(values, dtype=object).tolist()]
    return np.array(found, dtype=np.intp)


def is_within(values: pd.Series[Any], index: Index) -> bool:
    """Return whether a column has one value in each group, and not the same in all."""
    import pandas as pd

    codes = pd.factorize(values)[0]
    first = np.zeros(int(index.max()) + 1, dtype=np.intp)
    first[index[::-1]] = codes[::-1]
    return bool(np.all(first[index] == codes)) and len(np.unique(codes)) > 1
