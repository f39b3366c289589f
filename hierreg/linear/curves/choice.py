"""Which groups have curves of their own, and what the columns of a table say of a group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hierreg.checks import chosen_labels, listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.reports.draws import evenly
from hierreg.reports.reading import read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.linear.curves.axes import Axes
    from hierreg.linear.curves.source import Source

    Index = NDArray[np.intp]

# Groups that are shown where nobody says which, in one panel and in panels of their own.
_MOST_LINES, _MOST_PANELS = 40, 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """Groups that have curves.

    Attributes
    ----------
    factor : str
        Empty where no group has one.
    columns : tuple of str
        Columns that say which group a row is of.
    levels : sequence of labels (J,)
        All groups of the factor.
    places : int array (m,)
        The chosen ones.
    index : int array (N,)
        Group of each row.
    is_asked : bool
        Whether they were named.
    notes : tuple of str
    """

    factor: str = ""
    columns: tuple[str, ...] = ()
    levels: tuple[Any, ...] = ()
    places: Index
    index: Index
    is_asked: bool = False
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """What the chosen groups are called (m,)."""
        return [str(self.levels[place]) for place in self.places]

    def none(self) -> Chosen:
        """Return the choice of no group."""
        return replace(self, places=self.places[:0])

    def panel_of_rows(self) -> Index:
        """Return which of the chosen groups each row is of; -1 for none of them."""
        out = np.full(len(self.levels), -1, dtype=np.intp)
        out[self.places] = np.arange(len(self.places))
        return np.asarray(out[self.index])


def chosen_groups(
    source: Source, axes: Axes, groups: Any, factor: str | None, *, by_panel: bool, has_draws: bool
) -> Chosen:
    """Return the groups that have curves; none by default where draws have some.

    Raises
    ------
    ModelError
        If there are none, or they are unknown, or it is not said of which factor.
    """
    none = np.empty(0, dtype=np.intp)
    nothing = Chosen(places=none, index=none)
    is_wanted = by_panel or factor is not None or (groups is not None and groups is not False)
    if not by_panel and (groups is False or (has_draws and not is_wanted)):
        return nothing
    if source.kind == "prior":
        if is_wanted:
            raise ModelError(
                "groups, panels and factor are of a fit: before it all groups have one distribution, and the lines are "
                "those of the population. Leave them out."
            )
        return nothing
    names = [one.name for one in source.problem.state.factors if one.name != axes.by.factor]
    if factor is None and not is_wanted and len(names) != 1:
        return nothing
    name = _factor(source, names, factor, axes.by.factor)
    place = [one.name for one in source.problem.state.factors].index(name)
    found = source.problem.state.factors[place]
    if axes.x.name in found.columns:
        if is_wanted:
            raise ModelError(
                f"x={axes.x.name!r} says which group of {name!r} a row is of: its groups have no lines along it."
            )
        return nothing
    of = Chosen(
        factor=name,
        columns=found.columns,
        levels=tuple(found.levels),
        places=none,
        index=np.asarray(source.problem.design.factors[place].index),
        is_asked=isinstance(groups, Iterable),
    )
    if source.data is None and axes.by.name:
        if is_wanted:
            raise ModelError(
                f"groups with by={axes.by.name!r}: the model was made of statistics alone, which do not say which "
                f"{axes.by.name} a group has. Leave by out, or give the model with its rows, model=model."
            )
        return replace(of, notes=(f"no groups: which {axes.by.name} each has is not known from statistics alone",))
    return replace(of, places=_places(source, of, groups, _MOST_PANELS if by_panel else _MOST_LINES))


def _factor(source: Source, names: list[str], factor: str | None, taken: str) -> str:
    if not names:
        why = (
            f"by={taken!r} shows those of its only grouping factor" if taken else "the model has no group term (x | g)"
        )
        raise ModelError(f"groups: {why}. Leave groups, panels and factor out.")
    if factor is None:
        if len(names) > 1:
            raise ModelError(
                f"groups: the model has the grouping factors {listed(names)}; say which is meant, factor={names[0]!r}."
            )
        return names[0]
    if factor not in names:
        raise ModelError(
            f"factor={factor!r} is none of the grouping factors {listed(names)} of {source.problem.formula!r}."
            f"{suggestion(factor, names)}"
        )
    return factor


def _places(source: Source, of: Chosen, groups: Any, most: int) -> Index:
    J = len(of.levels)
    if groups is True:
        return np.arange(J)
    if groups is None or groups is False:
        order = np.argsort(_deviations(source, of.factor), kind="stable")
        return np.sort(order[evenly(J, most)]).astype(np.intp)
    places = chosen_labels(groups, of.levels, of.factor, "give groups=False for none")
    return np.array(list(dict.fromkeys(places.tolist())), dtype=np.intp)


def _deviations(source: Source, factor: str) -> NDArray[np.float64]:
    """Return the first coefficient of each group at the point estimate: groups are evenly chosen in its order."""
    if isinstance(source.at, xr.DataTree):
        of = next(one for one in read(source.at).by_factor if one.name == source.problem.labels.factor(factor).key)
        return np.asarray(of.fit.limit[f"b_{of.name}"].to_numpy()[:, 0], dtype=float)
    return np.asarray(source.at.b[factor].to_numpy()[:, 0], dtype=float)


def group_columns(problem: Any, factor: str, label: Any) -> dict[str, Any]:
    """Return the columns of a table that say that its rows are of one group."""
    of = next(one for one in problem.state.factors if one.name == factor)
    sizes = [len(levels) for levels in of.column_levels]
    places = np.unravel_index(of.codes[list(of.levels).index(label)], sizes)
    return {name: levels[int(place)] for name, levels, place in zip(of.columns, of.column_levels, places, strict=True)}
