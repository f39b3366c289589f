"""What a figure of curves says in words: which lines, which groups, which rows, what is held where, on which scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierreg.checks import counted
from hierreg.linear.quantity import quantity
from hierreg.plots.curves import rows_of_shares
from hierreg.reports.table import percent

if TYPE_CHECKING:
    from hierreg.linear.curves import Asked, Curves, Points, Source
    from hierreg.linear.curves.axes import Axes as CurveAxes
    from hierreg.plots.curves import Style


def said(source: Source, along: CurveAxes, asked: Asked, found: Curves, points: str) -> list[str]:
    """Return what stands above a figure: what is seen, and at which values other predictors are held."""
    texts = [_lines(source, asked, found), _groups(asked, found), points, *found.notes]
    held = along.held_in_words(found.own, found.chosen.factor)
    below = [f"held: {held}" if held else "", along.x.text, along.by.text]
    return ["; ".join(text for text in texts if text), "; ".join(text for text in below if text)]


def _lines(source: Source, asked: Asked, found: Curves) -> str:
    prob = percent(asked.ci_prob)
    if source.kind == "prior":
        n = len(found.population[0].draws)
        return f"population: {n} draws of the prior, bands: {prob} of all" if n else f"population: {prob} of the prior"
    how = "equal-tailed" if source.kind == "posterior" else "normal"
    how = f"{how} {prob} intervals" + ("" if source.kind == "posterior" else ", the variances taken as known")
    what = "posterior mean" if source.kind == "posterior" else f"{source.method} estimate"
    if source.method == "given covariances":
        what = "solution at given covariances"
    if asked.by_panel:
        return f"each {found.chosen.factor} (solid): {what} and {how}; population dashed"
    n = len(found.population[0].draws)
    return f"population: {what} and {how}" + (f", {counted(n, 'draw')}" if n else "")


def _groups(asked: Asked, found: Curves) -> str:
    chosen, J = found.chosen, len(found.chosen.levels)
    n = len(chosen.places)
    if not n:
        return ""
    which = f"all {J} groups" if n == J else f"{n} of {J} groups"
    even = "" if n == J or chosen.is_asked else ", evenly chosen by their first coefficient"
    if asked.by_panel:
        return f"{which} of {chosen.factor}{even}"
    alone = any(len(one.x) == 1 for one in found.groups)
    how = "crosses" if all(len(one.x) == 1 for one in found.groups) else "thin lines, crosses at a single value"
    return f"{how if alone else 'thin lines'}: {which} of {chosen.factor}{even}"


def points_in_words(source: Source, found: Curves, drawn: Points | None, style: Style) -> str:
    """Return what the points are."""
    if drawn is None or found.points is None:
        return ""
    n, N = len(found.points.x), source.problem.n_rows
    sizes = rows_of_shares(drawn) if style.has_shares else []
    if any(sizes):
        low, high = min(size for size in sizes if size), max(sizes)
        about = f"about {low} rows" if low == high else f"about {low} to {high} rows"
        few = "" if all(sizes) else ", points where there are fewer than 40"
        return (
            f"open circles: shares among {n} rows, in {'each level' if style.has_levels else f'bins of {about}'}{few}"
        )
    if len(drawn.x) == N:
        return f"points: {N} rows"
    thin = ", evenly spaced" if len(drawn.x) < n else ""
    return f"points: {len(drawn.x)} of {N} rows{thin}"


def y_label(source: Source, asked: Asked) -> str:
    """Return what the vertical axis shows; where the response is not normal also whose the population's line is."""
    problem = source.problem
    what, names = quantity(problem, asked.scale), " and ".join(problem.labels.factor_names)
    if not source.is_family or not names or problem.family.link == "identity":
        return what
    if asked.scale == "link":
        return f"linear predictor, {what}\n(population: {names} with b = 0)"
    return f"{what}\n(population: mean over new {names})"


def legend_title(source: Source, along: CurveAxes, asked: Asked) -> str:
    """Return what colours tell apart."""
    if source.is_family and not source.problem.family.has_level and asked.scale == "response":
        return str(source.problem.labels.response)
    return along.by.name if not along.by.is_number else ""
