"""Names in figures as they are: a dollar sign of a label or a column begins no formula of matplotlib."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure
    from matplotlib.text import Text


def names_are_literal[**P](function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Return a function that draws a figure, whose texts stand in it as they are.

    Of axes that are given, texts that it did not write stay what they were, and so do numbers along an axis, which may
    be powers of ten.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **given: P.kwargs) -> Figure:
        before = {id(text): text.get_text() for figure in _given_figures(given) for text in _texts(figure)}
        figure = function(*args, **given)
        for text in _texts(figure):
            if "$" in text.get_text() and before.get(id(text)) != text.get_text():
                text.set_parse_math(False)
        return figure

    return wrapper


def _given_figures(given: dict[str, Any]) -> list[Figure]:
    """Return the figures of the axes that are given; what is no axes is refused later."""
    axes = [one for name in ("ax", "axes") for one in np.ravel(np.asarray(given.get(name), dtype=object))]
    found = [one.get_figure(root=True) for one in axes if hasattr(one, "get_figure")]
    return [figure for figure in found if figure is not None]


def _texts(figure: Figure) -> Iterator[Text]:
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    of_numbers = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if not isinstance(axis.get_major_formatter(), (FixedFormatter, FuncFormatter))
        for label in axis.get_ticklabels(which="both")
    }
    yield from (text for text in figure.findobj(Text) if id(text) not in of_numbers)
