"""`ranks`: expected rank of each group, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from hierreg.linear.ranks import ranks as report_of_ranks
from hierreg.plots.canvas import MOST_NAMES, draw_sorted, panels, sorted_and_thinned, wrapped
from hierreg.plots.colours import colours_on
from hierreg.reports.table import percent

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hierreg.linear.ranks import Ranks
    from hierreg.predictive.of_model import ModelLike

_MOST_GROUPS = 400
_LIKELY = 0.5


def ranks(  # noqa: PLR0913  # every argument after the first has a default
    x: xr.DataTree | xr.Dataset,
    coef: str = "Intercept",
    *,
    model: ModelLike | None = None,
    factor: str | None = None,
    best: Literal["highest", "lowest"] = "highest",
    k: int | None = None,
    ci_prob: float = 0.95,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the expected rank of each group, with its interval: how much of a league table is known.

    Groups that are among the best k with a probability above one half are coloured; the line is where the points would
    be if the order were known. Beyond 40 groups they lose their names, beyond 400 they are thinned evenly.

    Parameters
    ----------
    x, coef, model, factor, best, k, ci_prob
        As `hierreg.ranks` takes them.
    ax : Axes, optional
        Where to draw.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    DataError, ModelError
        As `hierreg.ranks`.

    See Also
    --------
    hierreg.ranks : The numbers.
    caterpillar : The coefficients themselves.

    References
    ----------
    Goldstein and Spiegelhalter (1996), Journal of the Royal Statistical Society A 159(3), 385-443.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> figure = hr.plots.ranks(model.sample(seed=1, progress=False))
    >>> figure.axes[0].get_xlabel()
    'rank among the 6 of Batch by Intercept (1: the highest)'
    """
    report = report_of_ranks(x, coef, model=model, factor=factor, best=best, k=k, ci_prob=ci_prob)
    dim = report.attrs["dim"]
    J = report.sizes[dim]
    shown = min(J, _MOST_GROUPS)
    size = figsize or (6.4, 1.8 + (0.22 * shown if shown <= MOST_NAMES else 5.4))
    figure, (axis,) = panels(1, ax=ax, figsize=size, columns=1)
    _draw(axis, report)
    axis.set_xlabel(f"rank among the {J} of {dim} by {report.attrs['of']} (1: the {best})")
    width = float(np.mean(report["upper"] - report["lower"]) + 1)
    axis.set_title(
        wrapped(
            f"{percent(report.attrs['ci_prob'])} intervals of ranks hold {width:.0f} of {J} places on average "
            f"(blue: among the best {report.attrs['k']} with a probability above one half; line: ranks without error)",
            size[0],
        ),
        fontsize="medium",
    )
    return figure


def _draw(axis: Axes, report: Ranks) -> None:
    dim = report.attrs["dim"]
    J = report.sizes[dim]
    expected, lower, upper = (report[name].to_numpy() for name in ("expected_rank", "lower", "upper"))
    # The best on top.
    rows = sorted_and_thinned(-expected, _MOST_GROUPS)
    axis.plot(np.linspace(J, 1, len(rows)), np.arange(len(rows)), color=colours_on(axis).faint, linewidth=1, zorder=0)
    is_likely = report["prob_best"].to_numpy() > _LIKELY
    draw_sorted(axis, (dim, report[dim].values), rows, (expected, lower, upper), is_likely)
    axis.set_xlim(0.5, J + 0.5)
