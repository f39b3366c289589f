"""`prior_check` and `prior_lines`: what the priors of a model say before any response is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.checks import check_whole
from hierreg.exceptions import DataError
from hierreg.hints import SEED, understands
from hierreg.plots.canvas import one_of, panels, wrapped
from hierreg.plots.colours import colours_on
from hierreg.plots.literal import names_are_literal
from hierreg.predictive_checks.prior import PriorCheck
from hierreg.predictive_checks.prior_lines import lines_of_prior
from hierreg.reports.draws import evenly

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hierreg.plots.canvas import Where
    from hierreg.predictive.of_model import ModelLike
    from hierreg.predictive_checks.prior_lines import PriorLines

_BINS, _IN_A_ROW, _MOST_GROUPS, _MOST_POINTS = 40, 3, 40, 2000
# Of what is between these no histogram has a range of its own.
_RANGES = {"corr": (-1.0, 1.0), "intraclass": (0.0, 1.0), "weight": (0.0, 1.0)}


@understands("plots.prior_check")
@names_are_literal
def prior_check(
    report: PriorCheck, *, ax: Where = None, axes: Where = None, figsize: tuple[float, float] | None = None
) -> Figure:
    """Return a figure of what `hierreg.prior_check` reported: how shares, weights and correlations are distributed.

    A panel for each correlation, intraclass correlation and weight, in the order of the report. What the report finds
    absurd is drawn in the colour of a warning.

    Parameters
    ----------
    report : PriorCheck
    ax, axes : Axes, or sequence or array of Axes, optional
        Where to draw, one for each panel (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels.

    Raises
    ------
    DataError
        If it is no such report, or has none of these.

    See Also
    --------
    hierreg.prior_check : The numbers.
    prior_lines : Lines of groups, drawn from the prior.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> figure = hr.plots.prior_check(hr.prior_check(model, draws=200))
    >>> [axis.get_xlabel() for axis in figure.axes[:4]]
    ['correlation', 'intraclass correlation', 'weight of 10 rows', 'weight of 10 rows']
    """
    where = one_of(ax, axes)
    if not isinstance(report, PriorCheck):
        raise DataError(f"report has type {type(report).__name__}; what hr.prior_check returned is required.")
    shown = [i for i, kind in enumerate(report["kind"].values.tolist()) if kind in _RANGES]
    if not shown:
        raise DataError(
            "report has no correlations, shares or weights to draw: the model has no grouping factor, or its family no "
            "agreed variance of rows. Print it, or see hr.plots.prior_lines(model, x)."
        )
    columns = min(_IN_A_ROW, len(shown))
    size = figsize or (3.4 * columns, 0.4 + 2.5 * -(-len(shown) // columns))
    figure, each = panels(len(shown), ax=where, figsize=size, columns=columns, each="quantity")
    words = {
        "corr": "correlation",
        "intraclass": "intraclass correlation",
        "weight": f"weight of {report.attrs['size']} rows",
    }
    for axis, i in zip(each, shown, strict=True):
        colours, kind = colours_on(axis), str(report["kind"].values[i])
        colour = colours.plug_in if str(report["verdict"].values[i]) else colours.prior
        axis.hist(report["draws"].values[:, i], bins=_BINS, range=_RANGES[kind], density=True, color=colour)
        axis.axvline(float(report["median"].values[i]), color=colours.population, linewidth=1)
        axis.set(xlabel=words[kind], ylabel="prior density", xlim=_RANGES[kind])
        axis.set_title(wrapped(str(report["quantity"].values[i]), size[0] / columns, "small"), fontsize="small")
    return figure


@understands("plots.prior_lines", same=SEED)
@names_are_literal
def prior_lines(  # noqa: PLR0913  # every argument after the second has a default
    model: ModelLike | xr.DataTree,
    x: str,
    *,
    factor: str | None = None,
    draws: int = 6,
    seed: int | None = None,
    points: bool = True,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of lines of all groups, a panel for each of some draws from the prior, over the observed rows.

    Each panel is one world that the prior thinks possible: a population line (thick) and the lines of up to 40 groups
    along a predictor, the others at what is typical. Where most panels look like nothing that could have been observed,
    so says the prior. All panels have the same axes.

    Parameters
    ----------
    model : Model or DataTree
        A model, or a result that carries one.
    x : str
        A numeric predictor.
    factor : str, optional
        Grouping factor of the lines; by default the first.
    draws : int
    seed : int, optional
        0 where none is given.
    points : bool
        Draw the observed rows, up to 2000 of them; not where a response is not normal on the scale of its mean.
    ax, axes : Axes, or sequence or array of Axes, optional
        Where to draw, one for each draw (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels, one for each draw.

    Raises
    ------
    ModelError
        If `x` is no numeric predictor, or there is no such grouping factor.
    PriorError
        If a prior is flat.

    See Also
    --------
    hierreg.prior_check : What is absurd, in words.
    lines : With ``hierreg.prior_predictive``, lines of the population under the prior.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> figure = hr.plots.prior_lines(model, "Days", draws=3)
    >>> len(figure.axes), figure.axes[0].get_xlabel()
    (3, 'Days')
    """
    where = one_of(ax, axes)
    check_whole("draws", draws, least=1)
    found = lines_of_prior(model, x, factor=factor, draws=draws, seed=int(seed or 0), most=_MOST_GROUPS)
    columns = min(_IN_A_ROW, draws)
    size = figsize or (3.2 * columns, 0.6 + 2.4 * -(-draws // columns))
    figure, each = panels(draws, ax=where, figsize=size, columns=columns, sharey=True, each="draw")
    for k, axis in enumerate(each):
        _draw(axis, found, k, points=points)
        axis.set_xlabel(x)
        axis.set_ylabel(found.response if k % columns == 0 else "")
    if where is None:
        title = (
            f"Lines of groups in {draws} draws from the prior; points: observed"
            if points
            else (f"Lines of groups in {draws} draws from the prior")
        )
        figure.suptitle(wrapped(title, size[0], "small"), fontsize="small")
    return figure


def _draw(axis: Axes, found: PriorLines, k: int, *, points: bool) -> None:
    colours = colours_on(axis)
    axis.plot(found.x, found.groups[k].T, color=colours.prior, linewidth=0.6, alpha=0.7)
    axis.plot(found.x, found.population[k], color=colours.population, linewidth=2)
    if points and found.observed is not None:
        rows = evenly(len(found.observed), _MOST_POINTS)
        axis.plot(found.observed_x[rows], found.observed[rows], ".", color=colours.posterior, markersize=2, zorder=3)
