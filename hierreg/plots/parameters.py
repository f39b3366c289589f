"""`correlations` and `variances`: each variance parameter's posterior over its prior, with the REML value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.plots.canvas import FAINT, PLUG_IN, POSTERIOR, PRIOR, density, panels, wrapped
from hierreg.reports.reading import Fit, read
from hierreg.reports.summary import Parameter, parameters
from hierreg.results.prior_attributes import correlation_prior, mixed_prior_draws, sd_prior

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.priors import SdPrior

    Array = NDArray[np.float64]

_MOST_PANELS = 12
_GRID = 400
_PRIOR_DRAWS, _PRIOR_BINS = 100_000, 60


def correlations(tree: xr.DataTree, *, ax: Axes | None = None, figsize: tuple[float, float] | None = None) -> Figure:
    """Return a figure of the posterior of each free correlation, over its prior, with the REML value.

    The marginal prior of one correlation of an LKJ(eta) matrix of size D is a beta distribution on (-1, 1)
    with both parameters eta - 1 + D / 2; that of a correlation within units has both parameters eta, between its lower
    bound and 1.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample` or `hierreg.load`.
    ax : Axes, optional
        Where to draw a single panel.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        At most twelve panels; the title says how many more there are.

    Raises
    ------
    DataError
        If the tree is not from hierreg.
    ModelError
        If the model has no free correlation.

    References
    ----------
    Lewandowski, Kurowicka and Joe (2009), Journal of Multivariate Analysis 100(9), 1989-2001.
    """
    fit = read(tree)
    found = _free(fit, ("corr", "error_corr"), "correlation")
    figure, axes = _figure(found, ax=ax, figsize=figsize, what="Correlations")
    x = np.linspace(-1, 1, _GRID)
    for axis, parameter in zip(axes, found, strict=False):
        prior = correlation_prior(fit.posterior[parameter.variable], *parameter.index)
        _posterior(axis, parameter, x, (-1.0 if prior is None else prior.lowest, 1.0), fit.plug_in)
        if prior is not None:
            y = _prior_density(x, prior.shape, prior.lowest)
            axis.plot(x, y, "--", color=PRIOR, label=f"prior {prior.prior}")
        else:
            _mixed_prior(axis, fit, parameter, x)
        axis.axvline(0, color=FAINT, linewidth=0.8, zorder=0)
        axis.set_xlim(-1, 1)
        axis.set_title(f"P(> 0) = {np.mean(parameter.draws > 0):.2f}", fontsize="medium")
    _legend(figure, axes, ax)
    return figure


def variances(tree: xr.DataTree, *, ax: Axes | None = None, figsize: tuple[float, float] | None = None) -> Figure:
    """Return a figure of the posterior of each free standard deviation, over its prior, with the REML value.

    With `hr.StudentT` effects the scale and the degrees of freedom have panels of their own, and with `hr.Mixture` the
    standard deviations within components: priors are theirs, and what they say of those of all groups is not drawn.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample` or `hierreg.load`.
    ax : Axes, optional
        Where to draw a single panel.
    figsize : (float, float), optional
        Inches.

    Returns
    -------
    Figure
        At most twelve panels; the title says how many more there are.

    Raises
    ------
    DataError
        If the tree is not from hierreg.
    ModelError
        If the model has no free standard deviation.
    """
    fit = read(tree)
    found = _free(fit, ("sd", "error_sd", "scale", "nu", "component"), "standard deviation")
    figure, axes = _figure(found, ax=ax, figsize=figsize, what="Standard deviations")
    for axis, parameter in zip(axes, found, strict=False):
        start, end = _reach(parameter)
        x = np.linspace(start, end, _GRID)
        variable = fit.posterior[parameter.variable]
        lowest = float(variable.attrs.get("prior_lowest", 0.0))
        _posterior(axis, parameter, x, (lowest, np.inf), fit.plug_in)
        prior = sd_prior(variable, parameter.index[-1] if parameter.index else 0)
        if prior is not None:
            # The prior of a density that is infinite at zero is drawn where it is finite.
            y = np.where(x < lowest, np.nan, np.exp(prior.log_density(x)) / _mass_above(prior, lowest))
            axis.plot(x, np.where(np.isfinite(y), y, np.nan), "--", color=PRIOR, label="prior")
            axis.set_title(f"prior {prior}" + (f", above {lowest:g}" if lowest else ""), fontsize="small")
        else:
            _mixed_prior(axis, fit, parameter, x)
        axis.set_xlim(start - 0.01 * (end - start), end)
    _legend(figure, axes, ax)
    return figure


def _mass_above(prior: SdPrior, lowest: float) -> float:
    """Return the probability of values above a bound, which a prior that is restricted to them is divided by."""
    from scipy.integrate import quad

    return 1.0 - float(quad(lambda x: np.exp(prior.log_density(np.array(x))), 0.0, lowest)[0]) if lowest else 1.0


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
    axis.plot(middle, counts / (len(values) * (edges[1] - edges[0])), "--", color=PRIOR, label="prior")


def _reach(parameter: Parameter) -> tuple[float, float]:
    """Return the ends of the axis: from zero, unless the posterior would be a needle far away from it."""
    low, high = (float(q) for q in np.quantile(parameter.draws, [0.002, 0.998]))
    if np.isfinite(parameter.reml):
        low, high = min(low, parameter.reml), max(high, parameter.reml)
    margin = high - low
    return (low - margin if low > 2 * margin else 0.0), high + 0.1 * margin


def _free(fit: Fit, kinds: tuple[str, ...], what: str) -> list[Parameter]:
    found = [p for p in parameters(fit) if p.kind in kinds and np.ptp(p.draws) > 0]
    found = [p for p in found if p.kind != "component" or p.variable.startswith("component_sd_")]
    if not found:
        raise ModelError(f"there is nothing to draw: {fit.attrs['formula']!r} has no free {what}.")
    return found


def _figure(
    found: list[Parameter], *, ax: Axes | None, figsize: tuple[float, float] | None, what: str
) -> tuple[Figure, list[Axes]]:
    n = min(len(found), _MOST_PANELS)
    # Five, six or nine panels fill rows of three better than rows of four.
    across = n if n <= 4 else 3 if n in {5, 6, 9} else 4
    down = -(-n // across)
    figure, axes = panels(n, ax=ax, figsize=figsize or (max(5.0, 3.4 * across), 0.9 + 2.7 * down), columns=across)
    if ax is None:
        more = f" ({len(found) - n} more are not shown)" if len(found) > n else ""
        title = f"{what}{more}: where the posterior leaves its prior, the data speak"
        figure.suptitle(wrapped(title, figure.get_figwidth()), fontsize="medium")
        engine = figure.get_layout_engine()
        if engine is not None:
            # The title of a panel is nearer to it than the label of the panel above.
            engine.set(hspace=0.12)  # type: ignore[call-arg]  # of the constrained layout
    return figure, axes


def _posterior(axis: Axes, parameter: Parameter, x: Array, bounds: tuple[float, float], plug_in: str) -> None:
    y = density(parameter.draws.ravel(), *bounds, x)
    axis.fill_between(x, y, color=POSTERIOR, alpha=0.25, linewidth=0)
    axis.plot(x, y, color=POSTERIOR, label="posterior")
    if np.isfinite(parameter.reml):
        axis.plot([parameter.reml], [0], "^", color=PLUG_IN, markersize=9, clip_on=False, zorder=5, label=plug_in)
    axis.set_ylim(0, 1.08 * float(y.max()))
    axis.set_xlabel(parameter.name.replace(", ", ",\n") if len(parameter.name) > 32 else parameter.name)
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


def _legend(figure: Figure, axes: list[Axes], ax: Axes | None) -> None:
    """Name what is drawn in any of the panels, once."""
    found = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if ax is None:
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=len(found), frameon=False)
    else:
        axes[0].legend(found.values(), found.keys(), frameon=False, fontsize="small")
