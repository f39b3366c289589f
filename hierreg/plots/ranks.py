"""`ranks`: expected rank of each group, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import chosen_labels
from hierreg.hints import PROB, SELECTION, understands
from hierreg.linear.ranks import ranks as report_of_ranks
from hierreg.plots.canvas import (
    MOST_NAMES,
    draw_sorted,
    one_of,
    panels,
    sorted_and_thinned,
    wrapped,
)
from hierreg.plots.colours import colours_on
from hierreg.plots.literal import names_are_literal
from hierreg.reports.table import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.linear.ranks import Ranks
    from hierreg.plots.canvas import Where
    from hierreg.predictive.of_model import ModelLike

_MOST_GROUPS = 400
_LIKELY = 0.5


@understands("plots.ranks", instead=PROB | SELECTION)
@names_are_literal
def ranks(  # noqa: PLR0913  # every argument after the first has a default
    x: xr.DataTree | xr.Dataset,
    coef: str = "Intercept",
    *,
    model: ModelLike | None = None,
    factor: str | None = None,
    groups: Sequence[Any] | None = None,
    best: Literal["highest", "lowest"] = "highest",
    k: int | None = None,
    ci_prob: float = 0.95,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the expected rank of each group, with its interval: how much of a league table is known.

    Groups that are among the best k with a probability above one half are coloured; the line is where the points would
    be if the order were known. Beyond 40 groups they lose their names, beyond 400 they are thinned evenly.

    Parameters
    ----------
    x, coef, model, factor, best, k, ci_prob
        As `hierreg.ranks` takes them.
    groups : sequence, optional
        Labels of the groups that are shown; all by default. Their ranks stay those among all groups.
    ax, axes : Axes, or sequence or array of one, optional
        Where to draw (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panel, to be changed further: ``figure.axes[0].set_title("...")``.

    Raises
    ------
    DataError, ModelError
        As `hierreg.ranks`; or if `groups` names one that does not exist.

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
    where = one_of(ax, axes)
    report = report_of_ranks(x, coef, model=model, factor=factor, best=best, k=k, ci_prob=ci_prob)
    dim = report.attrs["dim"]
    J = report.sizes[dim]
    pick = chosen_labels(groups, report[dim].values.tolist(), dim, "leave it out for all")
    shown = min(len(pick), _MOST_GROUPS)
    size = figsize or (6.4, 1.8 + (0.22 * shown if shown <= MOST_NAMES else 5.4))
    figure, (axis,) = panels(1, ax=where, figsize=size, columns=1)
    _draw(axis, report, pick)
    axis.set_xlabel(f"rank among the {J} of {dim} by {report.attrs['of']} (1: the {best})")
    width = float(np.mean((report["upper"] - report["lower"]).to_numpy()[pick]) + 1)
    axis.set_title(
        wrapped(
            f"{percent(report.attrs['ci_prob'])} intervals of ranks hold {width:.0f} of {J} places on average "
            f"(blue: among the best {report.attrs['k']} with a probability above one half; line: ranks without error)",
            size[0],
        ),
        fontsize="medium",
    )
    return figure


def _draw(axis: Axes, report: Ranks, pick: NDArray[np.intp]) -> None:
    dim = report.attrs["dim"]
    names = ("expected_rank", "lower", "upper", "prob_best", "integer_rank")
    expected, lower, upper, prob_best, place = (report[name].to_numpy()[pick] for name in names)
    # The best on top.
    rows = sorted_and_thinned(-expected, _MOST_GROUPS)
    axis.plot(np.sort(place[rows])[::-1], np.arange(len(rows)), color=colours_on(axis).faint, linewidth=1, zorder=0)
    draw_sorted(axis, (dim, report[dim].values[pick]), rows, (expected, lower, upper), prob_best > _LIKELY)
    axis.set_xlim(0.5, report.sizes[dim] + 0.5)
