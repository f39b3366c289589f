"""`check`: residuals, group effects and influence, as `hierreg.check` found them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import DataError
from hierreg.plots.canvas import MOST_NAMES, one_of, panels
from hierreg.plots.colours import colours_on
from hierreg.plots.literal import names_are_literal
from hierreg.reports.checks import ALARM, Checks
from hierreg.reports.draws import evenly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.plots.canvas import Where

    Array = NDArray[np.float64]

_MOST_ROWS = 5_000
# Groups that are named, and residuals beyond which a row is.
_NAMED, _FAR = 3, 3.5
# What the panels of groups show, by the beginning of the variable's name, and the checks behind.
_OF_GROUPS = {
    "distance": ("distance (standard deviations)", ("outlying_groups", "group_tails", "slopes")),
    "cook": ("Cook's distance, without it", ("influence",)),
    "step": ("step of the variances (standard errors)", ("variance_influence",)),
}


@names_are_literal
def check(
    report: Checks, *, ax: Where = None, axes: Where = None, figsize: tuple[float, float] | None = None
) -> Figure:
    """Return a figure of what `hierreg.check` found: residuals beside fitted values, their quantiles, and each group.

    Residuals are those of errors alone, standardised by their exact standard deviations; the farthest rows beyond 3.5
    are numbered. Of each grouping factor there are a panel of distances of group effects in their exact marginal
    covariances, one of Cook's distances, and one of steps of the variances, the farthest named, where the checks
    "outlying_groups", "influence" and "variance_influence" were made. A title says which of the checks behind a panel
    gave an alarm.

    Parameters
    ----------
    report : Checks
        What `hierreg.check` returned.
    ax, axes : Axes, or sequence or array of Axes, optional
        Where to draw, one for each panel (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If it is no such report, or there is nothing to draw.

    See Also
    --------
    hierreg.check : The numbers, and what to do.

    Examples
    --------
    >>> import hierreg as hr
    >>> est = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).estimate()
    >>> figure = hr.plots.check(hr.check(est))
    >>> [axis.get_xlabel() for axis in figure.axes][:2]
    ['fitted value, x beta', 'normal quantile']
    """
    where = one_of(ax, axes)
    if not isinstance(report, Checks):
        raise DataError(
            f"report has type {type(report).__name__}; what hr.check returned is required: "
            "hr.plots.check(hr.check(tree))."
        )
    names = [str(name) for name in report.data_vars]
    factors = [name for name in names if name.partition("_")[0] in _OF_GROUPS]
    if "residual" not in names:
        raise DataError("the checks are of a model whose rows have no residuals: there is nothing to draw.")
    figure, each = panels(
        2 + len(factors),
        ax=where,
        figsize=figsize or (9.0, 3.4 * (1 + -(-len(factors) // 2))),
        columns=2,
        each="panel",
    )
    alarms = set(report["check"].to_numpy()[report["verdict"].to_numpy() == ALARM])
    _residuals(each[0], report, alarms)
    _quantiles(each[1], report["residual"].to_numpy(), alarms)
    for axis, name in zip(each[2:], factors, strict=True):
        _groups(axis, report, name, alarms)
    return figure


def _title(axis: Axes, alarms: set[str], behind: tuple[str, ...]) -> None:
    found = [name for name in behind if name in alarms]
    axis.set_title(f"alarm: {', '.join(found)}" if found else "no alarm", fontsize="medium")
    axis.spines[["top", "right"]].set_visible(False)


def _residuals(axis: Axes, report: Checks, alarms: set[str]) -> None:
    z, x = report["residual"].to_numpy(), report["fitted"].to_numpy()
    colours, far = colours_on(axis), np.abs(z) > _FAR
    near = np.flatnonzero(np.isfinite(z) & ~far)
    shown = near[evenly(len(near), _MOST_ROWS)] if len(near) else near
    axis.axhline(0.0, color=colours.faint, linewidth=1, zorder=0)
    axis.plot(x[shown], z[shown], ".", color=colours.prior, markersize=3, alpha=0.6)
    axis.plot(x[far], z[far], "o", color=colours.plug_in, markersize=4)
    for i in np.flatnonzero(far)[np.argsort(-np.abs(z[far]))][:_NAMED]:
        axis.annotate(str(i), (x[i], z[i]), xytext=(4, 2), textcoords="offset points", fontsize="small")
    axis.set_xlabel("fitted value, x beta")
    axis.set_ylabel("residual (standard deviations)")
    _title(axis, alarms, ("curvature", "spread", "spread_by_group", "order", "dispersion"))


def _quantiles(axis: Axes, residual: Array, alarms: set[str]) -> None:
    from scipy.special import ndtri

    z = np.sort(residual[np.isfinite(residual)])
    q = ndtri((np.arange(len(z)) + 0.5) / max(len(z), 1))
    shown, colours = evenly(len(z), _MOST_ROWS), colours_on(axis)
    axis.plot(q[shown], q[shown], color=colours.faint, linewidth=1, zorder=0)
    axis.plot(q[shown], z[shown], ".", color=colours.posterior, markersize=4)
    axis.set_xlabel("normal quantile")
    axis.set_ylabel("residual (standard deviations)")
    _title(axis, alarms, ("tails",))


def _groups(axis: Axes, report: Checks, name: str, alarms: set[str]) -> None:
    what, _, factor = name.partition("_")
    values, labels = report[name].to_numpy(), report[report[name].dims[0]].to_numpy()
    order = np.argsort(np.where(np.isfinite(values), values, -np.inf))
    colours, place = colours_on(axis), np.arange(len(values))
    few = len(values) <= MOST_NAMES
    axis.plot(values[order], place, "o", color=colours.prior, markersize=4 if few else 2)
    for k in place[-(_NAMED if few else 1) :]:
        at = (values[order[k]], k)
        axis.plot(*at, "o", color=colours.posterior, markersize=5)
        axis.annotate(str(labels[order[k]]), at, (-6, 0), textcoords="offset points", ha="right", va="center")
    label, behind = _OF_GROUPS[what]
    axis.set_xlabel(label)
    axis.set_ylabel(f"{factor}, sorted")
    axis.set_yticks([])
    axis.set_xlim(left=0.0)
    _title(axis, alarms, behind)
