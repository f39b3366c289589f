"""What curves run along, what tells them apart, and at which values the other predictors are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.linear.curves.by import By, by_of
from hierreg.linear.curves.values import moments_of_column, numbers_of, one_name, places_of, shown
from hierreg.linear.effects.tables import check_levels, levels_by_predictor, typical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.linear.curves.source import Source

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Points of a curve.
_GRID = 101
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
        return places_of(values, self.levels).astype(float)


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
    along, x_values = one_name(x, "x")
    if along not in known:
        raise ModelError(
            f"x={along!r} is no predictor of the model; these are {listed(known)}.{suggestion(along, known)}"
        )
    axis = _x_axis(source, along, known[along], x_values)
    parts = by_of(source, by, known, along)
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


def _x_axis(source: Source, name: str, levels: tuple[Any, ...] | None, values: list[Any] | None) -> XAxis:
    if levels is not None:
        if values is not None:
            check_levels(values, levels, f"x={{{name!r}: {values!r}}}")
        return XAxis(name=name, values=list(values or levels), levels=tuple(values or levels))
    text = ""
    if values is not None:
        ends = numbers_of(values, f"x={{{name!r}: ...}}")
    elif source.data is not None:
        ends = source.data[name].to_numpy(dtype=float)
    else:
        mean, sd = moments_of_column(source, name, f"x={{{name!r}: [low, high]}}")
        ends, text = np.array([mean - 2 * sd, mean + 2 * sd]), f"{name}: mean +- 2 standard deviations of the rows"
    low, high = float(ends.min()), float(ends.max())
    if not low < high:
        raise ModelError(
            f"x={name!r} is {low:g} in all rows, and a line needs two values: x={{{name!r}: [low, high]}}."
        )
    return XAxis(name=name, values=np.linspace(low, high, _GRID).tolist(), levels=None, text=text)


def _typical(source: Source, predictors: Mapping[str, tuple[Any, ...] | None]) -> dict[str, Any]:
    if source.data is not None:
        return typical(source.data, predictors)
    out: dict[str, Any] = {}
    for name, levels in predictors.items():
        out[name] = levels[0] if levels is not None else moments_of_column(source, name, f"at={{{name!r}: value}}")[0]
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
    if levels is not None:
        check_levels([value], levels, f"at[{name!r}]={value!r}")
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and np.isfinite(value)
    if levels is None and name in others and not is_number:
        raise ModelError(f"at[{name!r}]={value!r} must be a finite number.")
