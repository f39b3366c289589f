"""The observed rows beside curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.predictive.of_family import observed_values
from hierreg.response import Binomial

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.linear.curves.axes import Axes
    from hierreg.linear.curves.choice import Chosen
    from hierreg.linear.curves.source import Source

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """Observed responses: arrays over rows, as in `Curve`."""

    x: Array
    y: Array
    colour: Index
    panel: Index


def points_of(
    source: Source, axes: Axes, chosen: Chosen, *, scale: str, by_panel: bool
) -> tuple[Points | None, list[str]]:
    """Return the observed responses on the scale of the figure, and what is said of them."""
    if source.data is None:
        return None, ["no points: the model was made of statistics alone"]
    problem = source.problem
    if source.is_family and (scale == "link" or not problem.family.has_level):
        return None, []
    y, notes = problem.design.y, []
    if source.is_family:
        y = np.asarray(observed_values(problem), dtype=float)
        if isinstance(problem.family, Binomial):
            y = y / problem.observed.trials
        if problem.offset_name is not None and problem.family.link == "log":
            value = float(axes.held[problem.offset_name])
            y = y * np.exp(value - problem.offset)
            notes.append(f"points are scaled to the {problem.offset_name} that is held")
    x = axes.x.positions(source.data[axes.x.name])
    colour = axes.by.of_rows
    panel = chosen.panel_of_rows() if by_panel else np.zeros(len(x), dtype=np.intp)
    is_shown = (panel >= 0) & (axes.by.is_number | (colour >= 0))
    if axes.x.levels is None:
        is_shown &= (x >= axes.x.values[0]) & (x <= axes.x.values[-1])
    else:
        is_shown &= x >= 0
    return Points(x=x[is_shown], y=y[is_shown], colour=colour[is_shown], panel=panel[is_shown]), notes
