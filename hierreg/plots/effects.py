"""`effects`: comparisons, slopes and means as dots with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import DataError
from hierreg.linear.effects.report import Effects
from hierreg.plots.canvas import MOST_NAMES, inches_of, legend, one_of, panels, small_font, wrapped
from hierreg.plots.colours import colours_on, series_on
from hierreg.plots.literal import names_are_literal
from hierreg.reports.draws import evenly
from hierreg.reports.table import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.plots.canvas import Where

    Index = NDArray[np.intp]

# Levels of the last condition that are told apart by colours, and effects that are drawn.
_MOST_COLOURS, _MOST_EFFECTS = 7, 400
# Panels side by side.
_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layout:
    """Where each of the R effects stands.

    Attributes
    ----------
    panel, row, colour : int arrays (R,)
    panels, colours : lists of str
        Variables; levels of the last condition, of no name where colours mean nothing.
    rows : list of lists of str
        Names of the rows of each panel, from the top.
    of_rows : str
        The condition that rows are bare values of, which no name says; else empty.
    title : str
        What colours are.
    """

    panel: Index
    row: Index
    colour: Index
    panels: list[str]
    colours: list[str]
    rows: list[list[str]]
    of_rows: str
    title: str


@names_are_literal
def effects(
    report: Effects, *, ax: Where = None, axes: Where = None, figsize: tuple[float, float] | None = None
) -> Figure:
    """Return a figure of what `hierreg.comparisons`, `slopes` or `means` reported: a dot and an interval each.

    Effects stand in the order of the report, from the top; each variable has a panel, since effects of different
    variables are in different units. Where there are several conditions, levels of the last one (up to seven) have
    colours. A line marks no effect: zero, of ratios one. Beyond 40 rows a panel loses its names, beyond 400 effects are
    thinned evenly.

    Parameters
    ----------
    report : Effects
    ax, axes : Axes, or sequence or array of Axes, optional
        Where to draw, one for each panel (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels, one for each variable.

    Raises
    ------
    DataError
        If it is no such report.

    See Also
    --------
    hierreg.comparisons, hierreg.slopes, hierreg.means : The numbers.
    lines : Expected values along a predictor.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("MathAch ~ SES * Sector + (1 | School)", hr.load_dataset("math_achieve"))
    >>> figure = hr.plots.effects(hr.comparisons(model, model.estimate(), "SES", by="Sector"))
    >>> figure.axes[0].get_xlabel()
    'difference of MathAch'
    """
    where = one_of(ax, axes)
    if not isinstance(report, Effects):
        raise DataError(
            f"report has type {type(report).__name__}; what hr.comparisons, hr.slopes or hr.means returned is required."
        )
    R = report.sizes["effect"]
    if R > _MOST_EFFECTS:
        report = report.isel(effect=evenly(R, _MOST_EFFECTS))
    layout = _layout(report)
    n, most = len(layout.panels), max(len(rows) for rows in layout.rows)
    names = [name for rows in layout.rows for name in rows if most <= MOST_NAMES]
    each = 0.14 * max(1, len(layout.colours) - 1) + 0.24
    columns = min(n, _IN_A_ROW)
    size = figsize or (
        max(5.0, columns * (inches_of(names, small_font()) + (4.0 if columns == 1 else 2.9))),
        1.0 + -(-n // columns) * (0.9 + (each * most if most <= MOST_NAMES else 5.4)),
    )
    figure, where_each = panels(n, ax=where, figsize=size, columns=columns, each="variable")
    for panel, axis in enumerate(where_each):
        _draw(axis, report, layout, panel)
        axis.set_ylabel(layout.of_rows if panel % columns == 0 else "")
        axis.set_xlabel(wrapped(str(report.attrs.get("of", "effect")), size[0] / columns))
        title = layout.panels[panel]
        if panel == 0 and where is not None:
            title = f"{wrapped(_said(report, R), size[0] / columns, 'small')}\n{title}".strip()
        axis.set_title(title, fontsize="small" if where is not None else "medium")
    if where is None:
        figure.suptitle(wrapped(_said(report, R), size[0], "small"), fontsize="small")
    if layout.title:
        legend(figure, where_each, layout.title, is_new=where is None, width=size[0])
    return figure


def _said(report: Any, R: int) -> str:
    kind = "equal-tailed" if "draws" in report else "normal"
    text = f"{kind} {percent(report.attrs['ci_prob'])} intervals. {report.attrs['note']}"
    n = report.sizes["effect"]
    return text if n == R else f"{text}; {n} of {R} effects shown, evenly spaced"


def _layout(report: Any) -> _Layout:
    """Return where effects stand: variables in panels, the last condition that varies in colours, the rest in rows."""
    names = [name for name in report.attrs["columns"].split("\n") if name]
    columns = {name: [_text(value) for value in report[name].values.tolist()] for name in names}
    n = report.sizes["effect"]
    variable = columns.pop("variable", [""] * n)
    varying = [name for name, values in columns.items() if len(set(values)) > 1]
    last = varying[-1] if len(varying) > 1 else ""
    if last and (len(set(columns[last])) > _MOST_COLOURS or not _are_told_apart(variable, columns, last)):
        last = ""
    of_colour = columns.pop(last) if last else [""] * n
    shown = varying or list(columns)[:1]
    rows = [
        ", ".join(values[i] if name in {"contrast", "hypothesis"} or len(shown) == 1 else f"{name} = {values[i]}"
                  for name, values in columns.items() if name in shown) or variable[i]
        for i in range(n)
    ]  # fmt: skip
    in_order = list(dict.fromkeys(variable))
    of_panel = [list(dict.fromkeys(row for row, own in zip(rows, variable, strict=True) if own == v)) for v in in_order]
    panel = [in_order.index(v) for v in variable]
    colours = list(dict.fromkeys(of_colour))
    is_unique = len(set(zip(variable, rows, of_colour, strict=True))) == n
    if not is_unique:
        # Rows of one name are effects of their own all the same.
        of_panel = [[rows[i] for i in range(n) if panel[i] == k] for k in range(len(in_order))]
        row = [sum(panel[j] == panel[i] for j in range(i)) for i in range(n)]
    else:
        row = [of_panel[k].index(name) for k, name in zip(panel, rows, strict=True)]
    return _Layout(
        panel=np.array(panel, dtype=np.intp),
        row=np.array(row, dtype=np.intp),
        colour=np.array([colours.index(c) for c in of_colour], dtype=np.intp),
        panels=in_order,
        colours=colours,
        rows=of_panel,
        of_rows=shown[0] if len(shown) == 1 and shown[0] not in {"contrast", "hypothesis"} else "",
        title=last,
    )


def _are_told_apart(variable: list[str], columns: dict[str, list[str]], last: str) -> bool:
    """Return whether some row has several levels of the last condition: else colours say what rows say already."""
    rest = [values for name, values in columns.items() if name != last]
    rows = list(zip(variable, *rest, strict=True))
    return len(set(rows)) < len(rows)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _draw(axis: Axes, report: Any, layout: _Layout, panel: int) -> None:
    rows, n = layout.rows[panel], len(layout.colours)
    many = len(rows) > MOST_NAMES
    colours = series_on(axis, n)
    if "null" in report.attrs:
        axis.axvline(float(report.attrs["null"]), color=colours_on(axis).faint, linewidth=1, zorder=0)
    step = min(0.22, 0.7 / n)
    for k in range(n):
        mine = np.flatnonzero((layout.panel == panel) & (layout.colour == k))
        y = -(layout.row[mine] + (k - (n - 1) / 2) * step)
        mean, lower, upper = (report[name].to_numpy()[mine] for name in ("mean", "lower", "upper"))
        axis.hlines(y, lower, upper, color=colours[k], linewidth=0.9 if many else 1.8)
        axis.plot(mean, y, "o", color=colours[k], markersize=2 if many else 5, label=layout.colours[k] or "_nolegend_")
    axis.set_ylim(-(len(rows) - 0.3), 0.7)
    axis.set_yticks([] if many else -np.arange(len(rows)), [] if many else rows, fontsize="small")
    axis.spines[["top", "right"]].set_visible(False)
