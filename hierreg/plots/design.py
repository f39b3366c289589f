"""`design`: power and precision of studies, against their size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.display.numbers import percent
from hierreg.exceptions import ModelError
from hierreg.hints import understands
from hierreg.plots.canvas import legend, one_of, panels, wrapped
from hierreg.plots.colours import colours_on, series_on
from hierreg.plots.literal import names_are_literal
from hierreg.reports.study_plan import StudyPlan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.plots.canvas import Where

    Array = NDArray[np.float64]

_USUAL = 0.8


@understands("plots.design")
@names_are_literal
def design(
    x: StudyPlan,
    contrast: str | None = None,
    *,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the power and of the precision of a contrast, against the number of groups or rows.

    One panel has the share of intervals without zero, the other the mean posterior sd; a line for each number of rows
    in a group, where groups differ too. Bars are two Monte-Carlo standard errors to either side; the dotted line is at
    a share of 0.8.

    Parameters
    ----------
    x : Dataset
        From `hierreg.design`.
    contrast : str, optional
        Which one, where there are several.
    ax, axes : sequence or array of two Axes, optional
        Where to draw (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels.

    Raises
    ------
    ModelError
        If `x` is no plan, or `contrast` is none of its contrasts.

    See Also
    --------
    hierreg.design : The numbers.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> options = {"n": 5, "seed": 1, "cores": 1, "progress": False, "method": "reml"}
    >>> plan = hr.design(model, {"mean": {"Intercept": 1}}, groups=[4, 9], at=model.estimate(), **options)
    >>> hr.plots.design(plan).axes[1].get_xlabel()
    'groups'
    """
    if not isinstance(x, StudyPlan) or not x.is_whole:
        raise ModelError(f"x has type {type(x).__name__}; what hr.design returns, as a whole, is required.")
    name, where, size = _chosen(x, contrast), one_of(ax, axes), figsize or (7.6, 3.4)
    figure, each = panels(2, ax=where, figsize=size, columns=2, each="panel")
    own = x.sel(contrast=name)
    over, by = ("groups", "rows") if len(np.unique(own["groups"])) > 1 else ("rows", "groups")
    what = "posterior sd" if x.attrs["is_posterior"] else "standard error"
    labels = (
        f"share of {percent(x.attrs['ci_prob'])} intervals\nwithout zero",
        f"{what} of the contrast\n(in its units)",
    )
    for axis, variable, label in zip(each, ("power", "sd"), labels, strict=True):
        _draw(axis, *(own[one].to_numpy() for one in (over, by, variable, f"{variable}_mcse")), of=by)
        axis.set_xlabel("rows of a group" if over == "rows" and own["groups"].any() else over)
        if len(np.unique(own[over])) == 1:
            axis.set_xticks(own[over][:1].to_numpy())
        axis.set_ylabel(label)
    each[0].set_ylim(-0.02, 1.02)
    each[0].axhline(_USUAL, color=colours_on(each[0]).faint, linestyle=":", zorder=0)
    each[1].set_ylim(bottom=0.0)
    if len(np.unique(own[by])) > 1:
        legend(figure, each, "", is_new=where is None, width=size[0])
    if where is None:
        figure.suptitle(wrapped(f"{name}: {x.attrs['n']} simulated studies of each size", size[0]))
    return figure


def _chosen(x: StudyPlan, contrast: str | None) -> str:
    names = [str(name) for name in x["contrast"].values]
    if contrast is None:
        if len(names) > 1:
            raise ModelError(f"contrast= is needed: which of {listed(names)}?")
        return names[0]
    if contrast not in names:
        raise ModelError(f"contrast={contrast!r}; the plan has {listed(names)}.{suggestion(contrast, names)}")
    return contrast


def _draw(axis: Axes, at: Array, by: Array, values: Array, error: Array, *, of: str) -> None:
    lines = np.unique(by)
    for value, colour in zip(lines, series_on(axis, len(lines)), strict=True):
        own = np.flatnonzero(by == value)
        own = own[np.argsort(at[own], kind="stable")]
        label = f"{value:.4g} {'rows of a group' if of == 'rows' else 'groups'}"
        axis.errorbar(at[own], values[own], 2 * error[own], fmt="o-", markersize=4, color=colour, label=label)
