"""`correlations` and `variances`: each variance parameter's posterior over its prior, with the REML value."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.hints import SELECTION, understands
from hierreg.plots.canvas import density, one_of, panels, wrapped
from hierreg.plots.colours import colours_on
from hierreg.plots.literal import names_are_literal
from hierreg.priors.above import log_mass_above
from hierreg.reports.reading import Fit, read
from hierreg.reports.summary import Parameter, parameters
from hierreg.results.prior_attributes import correlation_prior, mixed_prior_draws, sd_prior

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.plots.canvas import Where

    Array = NDArray[np.float64]

    # The name of a correlation, or its two labels.
    type Pair = str | tuple[str, str]

_MOST_PANELS = 12
# Letters in a line below a panel.
_LINE = 32
_GRID = 400
_OF_VARIANCES = ("sd", "error_sd", "scale", "nu", "component")
_PRIOR_DRAWS, _PRIOR_BINS = 100_000, 60


@understands("plots.correlations", instead=SELECTION)
@names_are_literal
def correlations(
    tree: xr.DataTree,
    pair: Pair | Sequence[Pair] | None = None,
    *,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the posterior of each free correlation, over its prior, with the REML value.

    The marginal prior of one correlation of an LKJ(eta) matrix of size D is a beta distribution on (-1, 1)
    with both parameters eta - 1 + D / 2; that of a correlation within units has both parameters eta, between its lower
    bound and 1.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample` or `hierreg.load`.
    pair : (str, str) or str, or a list of those, optional
        Two labels in a tuple, in either order, as in ``pair=("Intercept", "Days")``, or names as in `summary`,
        ``"corr_Subject[Days, Intercept]"``; a label alone for correlations within units. All by default.
    ax, axes : Axes, or sequence or array of Axes, optional
        Where to draw, one for each panel (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels, in order. At most twelve where none are chosen; the title says how many more there
        are.

    Raises
    ------
    DataError
        If the tree is not from hierreg.
    ModelError
        If the model has no free correlation, or not those that are asked for.

    See Also
    --------
    hierreg.correlations : The numbers.
    variances : Standard deviations.

    References
    ----------
    Lewandowski, Kurowicka and Joe (2009), Journal of Multivariate Analysis 100(9), 1989-2001.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> figure = hr.plots.correlations(tree)
    >>> len(figure.axes)
    1
    """
    fit = read(tree)
    found = _of_pairs(_free(fit, ("corr", "error_corr"), "correlation"), fit, pair)
    where = one_of(ax, axes)
    figure, panel = _figure(found, where=where, figsize=figsize, what="Correlations", is_chosen=pair is not None)
    x = np.linspace(-1, 1, _GRID)
    for axis, parameter in zip(panel, found, strict=False):
        colours = colours_on(axis)
        prior = correlation_prior(fit.posterior[parameter.variable], *parameter.index)
        _posterior(axis, parameter, x, (-1.0 if prior is None else prior.lowest, 1.0), fit.plug_in)
        if prior is not None:
            y = _prior_density(x, prior.shape, prior.lowest)
            axis.plot(x, y, "--", color=colours.prior, label=f"prior {prior.prior}")
        else:
            _mixed_prior(axis, fit, parameter, x)
        axis.axvline(0, color=colours.faint, linewidth=0.8, zorder=0)
        axis.set_xlim(-1, 1)
        axis.set_title(f"P(> 0) = {np.mean(parameter.draws > 0):.2f}", fontsize="medium")
    _legend(figure, panel, where)
    return figure


@understands("plots.variances", instead=SELECTION)
@names_are_literal
def variances(
    tree: xr.DataTree,
    coef: str | Sequence[str] | None = None,
    *,
    ax: Where = None,
    axes: Where = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the posterior of each free standard deviation, over its prior, with the REML value.

    With `hr.StudentT` effects the scale and the degrees of freedom have panels of their own, and with `hr.Mixture` the
    standard deviations within components: priors are theirs, and what they say of those of all groups is not drawn.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample` or `hierreg.load`.
    coef : str or sequence of str, optional
        Names as in `summary` (``"sd_Subject[Days]"``, ``"error_sd"``) or labels (``"Days"``); all by default.
    ax, axes : Axes, or sequence or array of Axes, optional
        Where to draw, one for each panel (two names of one argument). By default a new figure of pyplot.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        Its `axes` are the panels, in order. At most twelve where none are chosen; the title says how many more there
        are.

    Raises
    ------
    DataError
        If the tree is not from hierreg.
    ModelError
        If the model has no free standard deviation, or not those that are asked for.

    See Also
    --------
    hierreg.summary : The numbers.
    correlations : Correlations.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> tree = model.sample(draws=200, seed=1, method="psis")
    >>> figure = hr.plots.variances(tree)
    >>> len(figure.axes)
    3
    """
    fit = read(tree)
    found = _of_names(_free(fit, _OF_VARIANCES, "standard deviation"), fit, coef)
    where = one_of(ax, axes)
    figure, panel = _figure(found, where=where, figsize=figsize, what="Standard deviations", is_chosen=coef is not None)
    for axis, parameter in zip(panel, found, strict=False):
        start, end = _reach(parameter)
        x = np.linspace(start, end, _GRID)
        variable = fit.posterior[parameter.variable]
        lowest = float(variable.attrs.get("prior_lowest", 0.0))
        _posterior(axis, parameter, x, (lowest, np.inf), fit.plug_in)
        prior = sd_prior(variable, parameter.index[-1] if parameter.index else 0)
        if prior is not None:
            # The prior of a density that is infinite at zero is drawn where it is finite.
            y = np.where(x < lowest, np.nan, np.exp(prior.log_density(x) - log_mass_above(prior, lowest)))
            axis.plot(x, np.where(np.isfinite(y), y, np.nan), "--", color=colours_on(axis).prior, label="prior")
            axis.set_title(f"prior {prior}" + (f", above {lowest:g}" if lowest else ""), fontsize="small")
        else:
            _mixed_prior(axis, fit, parameter, x)
        axis.set_xlim(start - 0.01 * (end - start), end)
    _legend(figure, panel, where)
    return figure


def _mixed_prior(axis: Axes, fit: Fit, parameter: Parameter, x: Array) -> None:
    """Draw a prior that follows from those of other coefficients, from draws of them: a histogram's outline."""
    # With heavy tails or mixtures priors are those of a scale, or of components.
    own = {"sd": "sd", "scale": "scale", "component": "component_sd", "corr": "sd"}.get(parameter.kind)
    if own is None or (parameter.kind == "sd" and fit.attrs.get("effects")):
        return
    corr = "component_corr" if own == "component_sd" else "corr"
    factor = parameter.variable.removeprefix(f"{own}_").removeprefix("corr_")
    if parameter.kind == "corr" and f"scale_{factor}" in fit.posterior:
        own = "scale"
    of_sd, of_corr = f"{own}_{factor}", f"{corr}_{factor}"
    drawn = (
        mixed_prior_draws(fit.posterior[of_sd], fit.posterior[of_corr], _PRIOR_DRAWS, seed=0)
        if {of_sd, of_corr} <= set(fit.posterior)
        else None
    )
    if drawn is None:
        return
    sd, R = drawn
    values = R[:, parameter.index[0], parameter.index[1]] if parameter.kind == "corr" else sd[:, parameter.index[-1]]
    edges = np.linspace(x[0], x[-1], _PRIOR_BINS + 1)
    counts = np.histogram(values, edges)[0]
    middle = 0.5 * (edges[1:] + edges[:-1])
    axis.plot(middle, counts / (len(values) * (edges[1] - edges[0])), "--", color=colours_on(axis).prior, label="prior")


def _reach(parameter: Parameter) -> tuple[float, float]:
    """Return the ends of the axis: from zero, unless the posterior would be a needle far away from it."""
    low, high = (float(q) for q in np.quantile(parameter.draws, [0.002, 0.998]))
    if np.isfinite(parameter.reml):
        low, high = min(low, parameter.reml), max(high, parameter.reml)
    margin = high - low
    return (low - margin if low > 2 * margin else 0.0), high + 0.1 * margin


def has_free_variances(tree: xr.DataTree) -> bool:
    """Return whether there is anything that `variances` draws."""
    return bool(_free_of(read(tree), _OF_VARIANCES))


def _free_of(fit: Fit, kinds: tuple[str, ...]) -> list[Parameter]:
    found = [p for p in parameters(fit) if p.kind in kinds and np.ptp(p.draws) > 0]
    return [p for p in found if p.kind != "component" or p.variable.startswith("component_sd_")]


def _free(fit: Fit, kinds: tuple[str, ...], what: str) -> list[Parameter]:
    found = _free_of(fit, kinds)
    if not found:
        raise ModelError(f"there is nothing to draw: {fit.attrs['formula']!r} has no free {what}.")
    return found


def _labels_of(parameter: Parameter, fit: Fit) -> tuple[str, ...]:
    """Return the labels of a parameter: a coefficient or stratum, or the two that are correlated."""
    dims = [dim for dim in fit.posterior[parameter.variable].dims if dim not in {"chain", "draw"}]
    labels = (fit.posterior[parameter.variable][dim].values for dim in dims)
    return tuple(str(own[i]) for own, i in zip(labels, parameter.index, strict=False))


def _of_names(found: list[Parameter], fit: Fit, wanted: str | Sequence[str] | None) -> list[Parameter]:
    """Return the parameters of some names, variables or labels."""
    if wanted is None:
        return found
    return _matching(found, [wanted] if isinstance(wanted, str) else list(wanted), fit, "coef")


def _of_pairs(found: list[Parameter], fit: Fit, wanted: Pair | Sequence[Pair] | None) -> list[Parameter]:
    """Return the correlations of some pairs, or of some names."""
    if wanted is None:
        return found
    return _matching(found, [wanted] if isinstance(wanted, str | tuple) else list(wanted), fit, "pair")


def _matching(found: list[Parameter], wanted: list[Any], fit: Fit, argument: str) -> list[Parameter]:
    if not wanted:
        raise ModelError(f"{argument} is empty; name what is to be drawn, or leave it out for all.")
    kept: list[Parameter] = []
    for one in wanted:
        mine = [p for p in found if _is_meant(p, one, _labels_of(p, fit))]
        if not mine:
            names = [p.name for p in found]
            example = ", or two labels as in ('Intercept', 'Days')" if argument == "pair" else ""
            raise ModelError(
                f"{argument} has {one!r}, which is none of {listed(names, most=20)}{example}.{suggestion(one, names)}"
            )
        kept += [p for p in mine if p not in kept]
    return kept


def _is_meant(parameter: Parameter, wanted: Any, labels: tuple[str, ...]) -> bool:
    if isinstance(wanted, tuple):
        return sorted(map(str, wanted)) == sorted(labels)
    return wanted in {parameter.name, parameter.variable} or (len(labels) == 1 and wanted == labels[0])


def _label(name: str) -> str:
    """Return the name of a parameter in lines that fit a panel."""
    if len(name) <= _LINE:
        return name
    return ",\n".join(_broken(part) for part in name.split(", "))


def _broken(part: str) -> str:
    """Return a part of a name in lines: after its bracket or a colon first, within words where that is not enough."""
    lines = [""]
    for piece in re.findall(r"^[^\[]*\[|[^:]*:|[^:]+", part):
        if lines[-1] and len(lines[-1] + piece) > _LINE:
            lines.append("")
        lines[-1] += piece
    return "\n".join(short for line in lines for short in textwrap.wrap(line, _LINE))


def _figure(
    found: list[Parameter], *, where: Where, figsize: tuple[float, float] | None, what: str, is_chosen: bool
) -> tuple[Figure, list[Axes]]:
    n = len(found) if is_chosen else min(len(found), _MOST_PANELS)
    # Five, six or nine panels fill rows of three better than rows of four.
    across = n if n <= 4 else 3 if n in {5, 6, 9} else 4
    down = -(-n // across)
    lines = max(_label(one.name).count("\n") for one in found[:n])
    size = (max(5.0, 3.4 * across), 0.9 + (2.7 + 0.17 * lines) * down)
    figure, axes = panels(n, ax=where, figsize=figsize or size, columns=across)
    if where is None:
        more = f" ({len(found) - n} more are not shown)" if len(found) > n else ""
        title = f"{what}{more}: where the posterior leaves its prior, the data speak"
        figure.suptitle(wrapped(title, figure.get_figwidth()), fontsize="medium")
        engine = figure.get_layout_engine()
        if engine is not None:
            # The title of a panel is nearer to it than the label of the panel above.
            engine.set(hspace=0.12)  # type: ignore[call-arg]  # of the constrained layout
    return figure, axes


def _posterior(axis: Axes, parameter: Parameter, x: Array, bounds: tuple[float, float], plug_in: str) -> None:
    y, colours = density(parameter.draws.ravel(), *bounds, x), colours_on(axis)
    axis.fill_between(x, y, color=colours.posterior, alpha=0.25, linewidth=0)
    axis.plot(x, y, color=colours.posterior, label="posterior")
    if np.isfinite(parameter.reml):
        axis.plot(
            [parameter.reml], [0], "^", color=colours.plug_in, markersize=9, clip_on=False, zorder=5, label=plug_in
        )
    axis.set_ylim(0, 1.08 * float(y.max()))
    axis.set_xlabel(_label(parameter.name))
    axis.set_yticks([])
    axis.spines[["top", "right", "left"]].set_visible(False)


def _prior_density(r: Array, a: float, lowest: float) -> Array:
    """Return the density of Beta(a, a) over (lowest, 1); NaN outside."""
    from math import lgamma, log

    log_constant = lgamma(2 * a) - 2 * lgamma(a) - (2 * a - 1) * log(1 - lowest)
    inside = (r >= lowest) & (r <= 1)
    x = np.where(inside, r, 0.5 * (1 + lowest))
    with np.errstate(divide="ignore"):
        power = (a - 1) * (np.log(x - lowest) + np.log(1 - x)) if a != 1 else np.zeros(r.shape)
        out = np.where(inside, np.exp(log_constant + power), np.nan)
    return np.asarray(np.where(np.isfinite(out), out, np.nan))


def _legend(figure: Figure, panel: Sequence[Axes], where: Where) -> None:
    """Name what is drawn in any of the panels, once."""
    found = {label: handle for axis in panel for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if where is None:
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=len(found), frameon=False)
    else:
        panel[0].legend(found.values(), found.keys(), frameon=False, fontsize="small")
