"""`PlotFigure`: a figure that pyplot knows, and that a notebook shows once."""

from __future__ import annotations

from typing import final

from matplotlib import pyplot as plt
from matplotlib.figure import Figure


@final
class PlotFigure(Figure):
    """A figure that pyplot shows at the end of the cell; the last line of the cell does not show it again."""

    def _ipython_display_(self) -> None:
        """Show nothing while pyplot still will; IPython takes the error for "as any figure"."""
        number = getattr(self, "number", None)
        if number is None or not plt.fignum_exists(number) or plt.figure(number) is not self:
            raise NotImplementedError
