"""What figures say on their axes, and a hook of matplotlib by which the kernel of a notebook remembers its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEPT: list[Figure] = []


def keep(figure: Figure) -> None:
    """Remember a figure, which pyplot has just made."""
    KEPT.append(figure)


def unlabelled(figures: list[Figure]) -> list[str]:
    """Return the axes with data that neither have a label nor share one, and whose ticks are no words either.

    A label is shared by axes that are tied, by those of a column with the same limits, and by a figure as a whole.
    """
    axes = [(number, one) for number, figure in enumerate(figures) for one in figure.axes if one.has_data()]
    found = [f"figure {number}: x of {one.get_title()!r}" for number, one in axes if not _says_x(one)]
    return found + [f"figure {number}: y of {one.get_title()!r}" for number, one in axes if not _says_y(one)]


def _says_x(axes: Axes) -> bool:
    group = [*axes.get_shared_x_axes().get_siblings(axes), *_in_column(axes)]
    return any(one.get_xlabel() for one in group) or bool(axes.get_figure().get_supxlabel())


def _in_column(axes: Axes) -> list[Axes]:
    """Return the axes above and below that have the same limits."""
    place = axes.get_subplotspec()
    if place is None:
        return []
    others = [one for one in axes.get_figure().axes if one.get_subplotspec() is not None]
    return [
        one
        for one in others
        if one.get_subplotspec().get_gridspec() is place.get_gridspec()
        and one.get_subplotspec().colspan == place.colspan
        and one.get_xlim() == axes.get_xlim()
    ]


def _says_y(axes: Axes) -> bool:
    group = axes.get_shared_y_axes().get_siblings(axes)
    ticks = [tick.get_text() for one in group for tick in one.get_yticklabels()]
    says = any(one.get_ylabel() for one in group) or any(any(map(str.isalpha, text)) for text in ticks)
    return says or len(axes.get_yticks()) == 0 or bool(axes.get_figure().get_supylabel())
