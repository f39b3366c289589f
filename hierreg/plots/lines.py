"""`lines`: expected values along a predictor, of the population and of groups, beside the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice, check_whole
from hierreg.exceptions import ModelError
from hierreg.hints import PROB, understands
from hierreg.linear.curves import Asked, axes_of, curves_of, source_of
from hierreg.plots.canvas import legend, one_of, panels, wrapped
from hierreg.plots.curves import draw_curves, draw_points, dress, style_of, thinned
from hierreg.plots.curves_in_words import legend_title, points_in_words, said, y_label
from hierreg.plots.literal import names_are_literal
from hierreg.reports.reading import check_prob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hierreg.linear.curves import Curves, Source
    from hierreg.linear.curves.axes import Axes as CurveAxes
    from hierreg.plots.canvas import Where
    from hierreg.predictive.of_model import ModelLike
    from hierreg.results.point import Coefficients

# Draws of a prior that have a line, and rows that have a point, where nobody says how many.
_PRIOR_LINES, _MOST_POINTS = 50, 2000
# Panels that stand side by side, before there is a grid of them.
_IN_A_ROW = 4
_OTHERS = {
    **dict.fromkeys(
        ("conditional", "hue", "color", "var_names"), "x= is the predictor along the axis, by= tells lines apart"
    ),
    "coords": "groups are chosen by groups=, values of other predictors by at=",
    "backend": "figures are matplotlib's",
    "plot_kwargs": "change the figure that is returned, figure.axes, or the style of matplotlib",
}


@understands("plots.lines", instead=PROB | _OTHERS)
@names_are_literal
def lines(  # noqa: PLR0913  # the public signature: every argument after the second has a default
    result: xr.DataTree | Coefficients,
    x: str | Mapping[str, Sequence[Any]],
    by: str | Mapping[str, Sequence[Any]] | None = None,
    *,
    groups: Sequence[Any] | bool | None = None,
    panels: Literal["group"] | None = None,
    factor: str | None = None,
    at: Mapping[str, Any] | None = None,
    scale: Literal["response", "link"] = "response",
    draws: int | None = None,
    points: bool = True,
    group: Literal["posterior", "prior"] | None = None,
    ci_prob: float = 0.95,
    model: ModelLike | None = None,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of expected values along a predictor: population lines with bands, groups, observed rows.

    The numbers are those of `hierreg.predict` with ``observation=False`` at `hierreg.datagrid`: 101 points, so that
    polynomials and splines are curves. A predictor with levels has a point and an interval for each. Other predictors
    are held at their mean, those with levels at the most frequent one; the title says at which. In the line of a group
    predictors that have one value in all its rows are at that value. Errors are no part of a line, nor is what
    residuals say of correlated ones.

    Parameters
    ----------
    result : DataTree, Estimate or Coefficients
        From `Model.sample`, `hierreg.load`, `Model.estimate`, `Model.solve`; or from `hierreg.prior_predictive`, for
        lines that the prior expects before the fit.
    x : str, or dict name -> values
        Predictor along the axis, of the population or of a group term; ``{"SES": [-1, 1]}`` from where to where, or
        which levels.
    by : str, or dict name -> values, optional
        One line for each level of a predictor, or each group of a grouping factor (a data set, say), up to twelve; of a
        numeric predictor for each of up to five values, else for the quantiles 0.1, 0.5, 0.9.
    groups : sequence of labels or bool, optional
        Groups with a line of their own (thin, over the values of x in their rows); True for all, False for none. By
        default 40 of them, evenly chosen in the order of their first coefficient at the point estimate, where there is
        one grouping factor or `factor` names one.
    panels : {"group"}, optional
        One panel for each of the groups (24, evenly chosen, by default), with its band and the population dashed.
    factor : str, optional
        Grouping factor of the groups; the effects of the others are zero, on the scale of a response that is not normal
        averaged over.
    at : dict predictor -> value, optional
        Where to hold other predictors, or an offset.
    scale : {"response", "link"}
        With a family, expected responses, or linear predictors without observed rows. On the scale of the response the
        population is the mean over new groups, as in `predict`, which is not the line of a group with b = 0. Of ordered
        categories the probability of each has a colour, and each level of `by` a panel.
    draws : int, optional
        Draws with a thin line each, of the population; by default none of a posterior, and 50 of a prior.
    points : bool
        Draw the observed rows: up to 2000, evenly spaced in the table; of two categories shares in bins of x.
    group : {"posterior", "prior"}, optional
        Which draws of a tree that has both.
    ci_prob : float
        Probability of the bands: equal-tailed for draws, normal for an estimate, pointwise in x.
    model : Model, optional
        Where the result does not carry the rows of its model.
    ax, axes : Axes, or sequence or array of Axes, optional
        Where to draw, one for each panel (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels, in order.

    Raises
    ------
    DataError, ModelError
        If a name, a level or a group is unknown, values cannot be had (of a model of statistics alone: give them), or
        the result does not carry its model.

    See Also
    --------
    hierreg.predict, hierreg.datagrid : The numbers.
    effects : Figure of comparisons, slopes and means.

    References
    ----------
    Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapters 12 and 13.

    Examples
    --------
    >>> import hierreg as hr
    >>> est = hr.Model("MathAch ~ SES * Sector + (SES | School)", hr.load_dataset("math_achieve")).estimate()
    >>> figure = hr.plots.lines(est, "SES", by="Sector", groups=[1224, 1288])
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['Catholic', 'Public']
    """
    check_choice(scale, ("response", "link"), argument="scale", error=ModelError)
    check_choice(panels, (None, "group"), argument="panels", error=ModelError)
    check_choice(group, (None, "posterior", "prior"), argument="group", error=ModelError)
    where = one_of(ax, axes)
    source = source_of(result, model, group)
    along = axes_of(source, x, by, at)
    asked = Asked(
        groups=groups,
        factor=factor,
        by_panel=panels == "group",
        draws=_n_draws(source, draws),
        scale=scale,
        ci_prob=check_prob(ci_prob),
    )
    found = curves_of(source, along, asked)
    return _figure(source, along, asked, found, (where, figsize, points))


def _n_draws(source: Source, draws: int | None) -> int:
    if draws is None:
        return _PRIOR_LINES if source.kind == "prior" else 0
    check_whole("draws", draws, least=0)
    if draws and source.kind == "estimate":
        raise ModelError(f"draws={draws}: an estimate has none; sample, and give the tree, or leave draws out.")
    return int(draws)


def _figure(
    source: Source, along: CurveAxes, asked: Asked, found: Curves, how: tuple[Where, tuple[float, float] | None, bool]
) -> Figure:
    where, figsize, with_points = how
    n = len(found.panels)
    columns = n if n <= _IN_A_ROW else min(6, int(np.ceil(np.sqrt(1.5 * n))))
    rows, is_row = -(-n // columns), n <= _IN_A_ROW
    wide = 7.0 if n == 1 else 0.6 + columns * (3.0 if is_row else 2.0)
    size = figsize or (wide, 4.8 if n == 1 else 1.8 + rows * (2.8 if is_row else 1.8))
    figure, where_each = panels(
        n, ax=where, figsize=size, columns=columns, sharey=True, each="group" if asked.by_panel else "level"
    )
    style = style_of(where_each[0], source, along, asked, found)
    drawn = thinned(found.points, _MOST_POINTS, style) if with_points and found.points is not None else None
    for panel, (axis, name) in enumerate(zip(where_each, found.panels, strict=True)):
        if drawn is not None:
            draw_points(axis, drawn, panel, style)
        draw_curves(axis, found, panel, style)
        dress(axis, along.x, found, panel, style)
        if name:
            axis.set_title(wrapped(name, size[0] / columns, "small"), fontsize="small")
    texts = said(source, along, asked, found, points_in_words(source, found, drawn, style))
    _label(figure, where_each, (along.x.name, y_label(source, asked)), columns, is_new=where is None)
    _explain(figure, where_each, texts, legend_title(source, along, asked), is_new=where is None, size=size)
    return figure


def _label(figure: Figure, each: Sequence[Axes], names: tuple[str, str], columns: int, *, is_new: bool) -> None:
    """Name the axes: of a new figure the lowest panels, and the vertical axis once for all."""
    is_grid = is_new and len(each) > 1
    for i, axis in enumerate(each):
        if not is_grid or i + columns >= len(each):
            axis.set_xlabel(names[0])
        if not is_grid:
            axis.set_ylabel(names[1])
    if is_grid:
        figure.supylabel(names[1], fontsize="medium")


def _explain(  # what is said, and where
    figure: Figure, each: Sequence[Axes], texts: Sequence[str], title: str, *, is_new: bool, size: tuple[float, float]
) -> None:
    """Say above the panels what is seen, and below them what colours mean."""
    legend(figure, each, title, is_new=is_new, width=size[0])
    if is_new:
        figure.suptitle("\n".join(wrapped(text, size[0], "small") for text in texts if text), fontsize="small")
        return
    width = _inches_of(each[0])
    own = each[0].get_title()
    each[0].set_title(
        "\n".join([*(wrapped(text, width, "small") for text in texts if text), own]).strip(), fontsize="small"
    )


def _inches_of(axis: Axes) -> float:
    figure = axis.get_figure(root=True)
    assert figure is not None
    return float(axis.get_position().width * figure.get_size_inches()[0])
