"""`calibration`: distribution functions of ranks, less that of uniform ones, in simultaneous bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.display.numbers import percent
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, understands
from hierreg.plots.canvas import one_of, panels, wrapped
from hierreg.plots.colours import colours_on
from hierreg.plots.literal import names_are_literal
from hierreg.reports.calibration import Calibration
from hierreg.reports.reading import check_prob
from hierreg.reports.uniformity import band, counts_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.plots.canvas import Where

    Array = NDArray[np.float64]

_COLUMNS = 3
_INCHES = (2.9, 2.1)


@understands("plots.calibration", same={"quantity": "quantities"}, instead=PROB)
@names_are_literal
def calibration(
    x: Calibration,
    quantities: str | Sequence[str] | None = None,
    *,
    ci_prob: float = 0.95,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the distribution functions of the ranks, less that of uniform ranks, a panel each.

    A line within its band is what calibrated posteriors give. A line that is up on the left and down on the right
    belongs to intervals that are too narrow, one that is down and then up to such that are too wide; a line that is up
    all over to a posterior above the true values (few of its draws are below them), one that is down to one below.
    Bands hold a line everywhere with the probability `ci_prob`, exactly, and are those of the report's ``ecdf_p``.

    Parameters
    ----------
    x : Dataset
        From `hierreg.calibrate`.
    quantities : str or sequence of str, optional
        Those that are shown; all by default.
    ci_prob : float
        Probability of the band, of each quantity by itself.
    ax, axes : Axes, or sequence or array of one, optional
        Where to draw (two names of one argument), one for each quantity. By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels.

    Raises
    ------
    ModelError
        If `x` is no calibration, or has no such quantity.

    See Also
    --------
    hierreg.calibrate : The ranks.

    References
    ----------
    Säilynoja, Bürkner and Vehtari (2022), Statistics and Computing 32, 32.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> found = hr.calibrate(model, n=20, draws=39, method="psis", seed=1, cores=1, progress=False)
    >>> len(hr.plots.calibration(found, ["error_sd", "log likelihood"]).axes)
    2
    """
    if not isinstance(x, Calibration) or not x.is_whole:
        raise ModelError(f"x has type {type(x).__name__}; what hr.calibrate returns, as a whole, is required.")
    prob, where, names = check_prob(ci_prob), one_of(ax, axes), _chosen(x, quantities)
    columns = min(_COLUMNS, len(names))
    size = figsize or (_INCHES[0] * columns + 0.4, _INCHES[1] * -(-len(names) // columns) + 0.8)
    figure, each = panels(len(names), ax=where, figsize=size, columns=columns, sharey=True, each="quantity")
    n, draws = int(x.attrs["n"]), int(x.attrs["draws"])
    # Not by ArviZ, whose bands are simulated: a line that leaves its band is to be what the report says.
    within = band(n, draws, prob)
    for axis, name in zip(each, names, strict=True):
        ranks = x["rank"].sel(quantity=name).to_numpy()
        _draw(axis, within, counts_below(ranks[~np.isnan(ranks)].astype(np.intp), draws) / n)
        verdict = str(x["verdict"].sel(quantity=name).item())
        axis.set_title(wrapped(f"{name}: {verdict}" if verdict else name, _INCHES[0]), fontsize="medium")
    for place, axis in enumerate(each):
        if place % columns == 0:
            axis.set_ylabel("share of ranks below,\nless uniform")
        if place + columns >= len(each):
            axis.set_xlabel("rank of the true value\n(share of draws below it)")
    if where is None:
        figure.suptitle(wrapped(f"{n} replications; bands of {percent(prob)} over each whole line", size[0]))
    return figure


def _chosen(x: Calibration, quantities: str | Sequence[str] | None) -> list[str]:
    known = [str(name) for name in x["quantity"].values]
    if quantities is None:
        return known
    names = [quantities] if isinstance(quantities, str) else list(quantities)
    for name in names:
        if name not in known:
            raise ModelError(
                f"quantities has {name!r}; the calibration has {listed(known, most=20)}.{suggestion(name, known)}"
            )
    if not names:
        raise ModelError("quantities is empty; name one, or leave it out for all.")
    return names


def _draw(axis: Axes, within: tuple[Array, Array, Array], share: Array) -> None:
    places, lower, upper = within
    colours = colours_on(axis)
    at: Any = np.concatenate([[0.0], places, [1.0]])
    low, high, line = (np.concatenate([[0.0], one - places, [0.0]]) for one in (lower, upper, share))
    axis.fill_between(at, low, high, color=colours.faint, alpha=0.45, linewidth=0)
    axis.axhline(0.0, color=colours.prior, linewidth=0.8)
    axis.plot(at, line, color=colours.posterior)
    axis.set_xlim(0.0, 1.0)
