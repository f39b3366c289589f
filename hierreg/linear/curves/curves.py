"""Curves of expected values: of the population, of groups, of draws; and the rows beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hierreg.exceptions import ModelError
from hierreg.linear.curves.choice import Chosen, chosen_groups
from hierreg.linear.curves.points import Points, points_of
from hierreg.linear.curves.wanted import Wanted, own_columns, wanted_of, wanted_of_groups, without_group
from hierreg.linear.prediction.predict import expected_values
from hierreg.reports.draws import evenly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.linear.curves.axes import Axes
    from hierreg.linear.curves.source import Source

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Values of draws that are predicted at once.
_MOST_VALUES = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Which curves are asked for.

    Attributes
    ----------
    groups : sequence of labels, bool or None
        Groups with a line of their own: chosen, all or none of them; None for some.
    factor : str or None
    by_panel : bool
        One panel for each group, rather than all in one.
    draws : int
        Number of draws with a line.
    scale : {"response", "link"}
    ci_prob : float
    """

    groups: Any
    factor: str | None
    by_panel: bool
    draws: int
    scale: str
    ci_prob: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One curve at G points.

    Attributes
    ----------
    x : array (G,)
        Numbers, or the places of levels.
    mean, lower, upper : array (G,)
    draws : array (n, G)
        Of some draws; n is zero of groups.
    colour : int
        Which value of `by` it has, or which category it is of; -1 for none.
    panel : int
    """

    x: Array
    mean: Array
    lower: Array
    upper: Array
    draws: Array
    colour: int
    panel: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """All that a figure shows.

    Attributes
    ----------
    population, groups : tuple of Curve
    points : Points or None
    panels : tuple of str
        What the panels are called; one of no name where all is in one.
    colours : tuple of str
        What the colours mean.
    chosen : Chosen
        The groups that have lines.
    own : tuple of str
        Predictors that are at a group's own value in its line.
    notes : tuple of str
        What else is to be said.
    """

    population: tuple[Curve, ...]
    groups: tuple[Curve, ...]
    points: Points | None
    panels: tuple[str, ...]
    colours: tuple[str, ...]
    chosen: Chosen
    own: tuple[str, ...]
    notes: tuple[str, ...]


def curves_of(source: Source, axes: Axes, asked: Asked) -> Curves:
    """Return the curves that are asked for.

    Raises
    ------
    ModelError, DataError
        If groups are unknown, or the result cannot say what is asked for.
    """
    chosen = chosen_groups(source, axes, asked.groups, asked.factor, by_panel=asked.by_panel, has_draws=asked.draws > 0)
    problem, by = source.problem, axes.by
    categories = _categories(problem) if source.is_family and asked.scale == "response" else ()
    if categories and (asked.by_panel or (asked.groups is not None and len(chosen.places))):
        raise ModelError(
            f"groups with family={problem.family}: each category has a line already. Use scale='link', or by= with the "
            "name of the grouping factor and some of its groups."
        )
    if categories:
        chosen = chosen.none()
    own = own_columns(source, axes, chosen)
    of_groups = wanted_of_groups(source, axes, chosen, own, by_panel=asked.by_panel)
    if asked.by_panel:
        # The population beside each group, at the group's own values of the predictors that describe it.
        of_population = [replace(one, columns=without_group(one.columns, axes, chosen)) for one in of_groups]
    else:
        of_population = [wanted_of(source, axes, value, dict(axes.held)) for value in range(len(by.values))]
        if categories:
            of_population = [replace(one, panel=one.colour) for one in of_population]
    level = dict.fromkeys(problem.labels.factor_names, "population")
    if by.factor:
        level[by.factor] = "group"
    population = _evaluated(source, of_population, level, asked, n_draws=asked.draws)
    groups: list[Curve] = []
    if of_groups:
        groups = _evaluated(source, of_groups, level | {chosen.factor: "group"}, asked, n_draws=0)
    panels: tuple[str, ...] = ("",)
    if asked.by_panel:
        panels = tuple(chosen.labels)
    elif categories:
        panels = tuple(by.labels)
    points, notes = points_of(source, axes, chosen, scale=asked.scale, by_panel=asked.by_panel)
    return Curves(
        population=tuple(population),
        groups=tuple(groups),
        points=points,
        panels=panels,
        colours=categories or tuple(by.labels),
        chosen=chosen,
        own=own,
        notes=(*chosen.notes, *_of_typical_groups(axes, own, of_groups), *notes),
    )


def _of_typical_groups(axes: Axes, own: tuple[str, ...], of_groups: Sequence[Wanted]) -> list[str]:
    """Return where lines of groups are, where those of the population are at several values of a number."""
    if not of_groups or not axes.by.is_number or axes.by.name in own:
        return []
    return [f"groups at the mean of {axes.by.name}"]


def _categories(problem: Any) -> tuple[str, ...]:
    return () if problem.family.has_level else tuple(problem.observed.categories)


def _evaluated(
    source: Source, wanted: Sequence[Wanted], level: dict[str, str], asked: Asked, *, n_draws: int
) -> list[Curve]:
    """Return curves with their values: one for each category, where responses are ordered categories."""
    import pandas as pd

    if not wanted:
        return []
    frame = pd.DataFrame({name: [value for one in wanted for value in one.columns[name]] for name in wanted[0].columns})
    values = _predicted(source, frame, level, asked, n_draws)
    ends = np.cumsum([0, *(one.n for one in wanted)])
    out = []
    for one, start, end in zip(wanted, ends[:-1], ends[1:], strict=True):
        K = values["mean"].shape[1]
        for k in range(K):
            mean, lower, upper = (values[name][start:end, k] for name in ("mean", "lower", "upper"))
            out.append(
                Curve(
                    x=one.x,
                    mean=mean,
                    lower=lower,
                    upper=upper,
                    draws=values["draws"][:, start:end, k],
                    colour=one.colour if K == 1 else k,
                    panel=one.panel,
                )
            )
    return out


def _predicted(source: Source, frame: Any, level: dict[str, str], asked: Asked, n_draws: int) -> dict[str, Array]:
    """Return expected values of rows (M, K), and some draws of them (n, M, K); K is one but for categories."""
    S = 1
    if isinstance(source.at, xr.DataTree):
        sizes = source.at["posterior"].sizes
        S = sizes["chain"] * sizes["draw"]
    kept = evenly(S, n_draws)
    step, parts = max(1, _MOST_VALUES // S), []
    for first in range(0, len(frame), step):
        found = expected_values(
            source.problem,
            frame.iloc[first : first + step].reset_index(drop=True),
            source.at,
            level=level,
            scale=asked.scale,
            ci_prob=asked.ci_prob,
            draws=n_draws > 0,
        )
        m = found.sizes["row"]
        part = {
            name: found[name].transpose("row", ...).to_numpy().reshape(m, -1) for name in ("mean", "lower", "upper")
        }
        draws = np.empty((0, m, part["mean"].shape[1]))
        if n_draws:
            draws = found["draws"].transpose("chain", "draw", "row", ...).to_numpy().reshape(S, m, -1)[kept]
        parts.append(part | {"draws": draws})
    return {name: np.concatenate([part[name] for part in parts], axis=int(name == "draws")) for name in parts[0]}
