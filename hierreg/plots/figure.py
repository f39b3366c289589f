"""`PlotFigure`: a figure that pyplot knows, and that a notebook shows once."""

from __future__ import annotations

from typing import final

from matplotlib import pyplot as plt
from matplotlib.figure import Figure


@final
class PlotFigure(Figure):
    """A figure that pyplot shows at the end of a cell; where it is the cell's last line it is not shown twice."""

    def _ipython_display_(self) -> None:
        """Show nothing as the result of a cell while pyplot still will; IPython takes the error for "as any figure"."""
        if not (_is_result_of_a_cell() and _is_inline() and self._is_of_pyplot()):
            raise NotImplementedError

    def _is_of_pyplot(self) -> bool:
        number = getattr(self, "number", None)
        return number is not None and plt.fignum_exists(number) and plt.figure(number) is self


def _is_result_of_a_cell() -> bool:
    """Return whether a kernel is about to send the result of a cell, rather than what pyplot shows at its end."""
    from IPython import get_ipython

    return getattr(getattr(get_ipython(), "displayhook", None), "msg", None) is not None


def _is_inline() -> bool:
    """Return whether pyplot shows the figures of a cell at its end."""
    return "inline" in plt.get_backend()
