"""Figures, colours and words that all plots share."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hierreg.reports.reading import FactorFit

    Array = NDArray[np.float64]

# Okabe and Ito (2008), Color Universal Design: distinct with any kind of colour vision; markers differ too.
POSTERIOR = "#0072B2"
ALONE = "#E69F00"
PLUG_IN = "#D55E00"
PRIOR = "#707070"
POPULATION = "#000000"
FAINT = "#BBBBBB"
ARROW = "#808080"

# More names than this cannot be read on one axis.
MOST_NAMES = 40
# Letters in a line of an axis label.
_WIDTH = 60


def panels(
    n: int, *, ax: Axes | None, figsize: tuple[float, float], columns: int, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with n axes, or the one that is given.

    Parameters
    ----------
    n : int
    ax : Axes or None
        Where to draw; possible for a single panel.
    figsize : (float, float)
        Inches.
    columns : int
        Most panels side by side.
    sharey : bool
    """
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    if ax is not None:
        if n != 1:
            raise ModelError(f"ax= takes one panel, but there are {n}; choose one coefficient or leave ax out.")
        figure = ax.get_figure(root=True)
        assert isinstance(figure, Figure)
        return figure, [ax]
    rows = -(-n // columns)
    figure, grid = plt.subplots(
        rows, min(n, columns), figsize=figsize, squeeze=False, sharey=sharey, layout="constrained"
    )
    axes = list(grid.ravel())
    for unused in axes[n:]:
        unused.set_axis_off()
    _leave_to_the_caller(figure)
    return figure, axes[:n]


def _leave_to_the_caller(figure: Figure) -> None:
    """Forget a figure in pyplot, unless it can still be shown in a window.

    A notebook would show a figure that pyplot remembers twice, and a long script would collect them.
    """
    import matplotlib.pyplot as plt
    from matplotlib.backends.registry import BackendFilter, backend_registry

    listed_names = backend_registry.list_builtin(BackendFilter.INTERACTIVE)  # type: ignore[no-untyped-call]  # theirs
    windowed = {name.lower() for name in listed_names}
    if plt.get_backend().lower() not in windowed:
        plt.close(figure)


def chosen(coef: str | Sequence[str] | None, of: FactorFit) -> list[int]:
    """Return the places of the chosen group columns; all of them for None."""
    if coef is None:
        return list(range(len(of.coefs)))
    names = [coef] if isinstance(coef, str) else list(coef)
    for name in names:
        if name not in of.coefs:
            hint = suggestion(name, of.coefs)
            raise ModelError(
                f"coef={name!r} is not a group coefficient of {of.name!r}; these are {listed(of.coefs)}.{hint}"
            )
    if not names:
        raise ModelError("coef is empty; name a group coefficient, or leave it out for all.")
    return [of.coefs.index(name) for name in names]


def coef_label(of: FactorFit, coef: str) -> str:
    """Return the label of an axis with the values of one group coefficient."""
    response = _scale(of.fit.attrs)
    is_theta = of.variable.startswith("theta_") and coef in of.fit.limit["coef"].values
    unit = f"in units of {response}" if coef == "Intercept" else f"change of {response} per unit"
    at = of.reference.get(coef)
    what = f"{coef} ({unit})" + (f",\n{textwrap.shorten(f'at {at}', _WIDTH, placeholder=' ...')}" if at else "")
    return what if is_theta else f"{what},\ndeviation from the population"


def _scale(attrs: Mapping[str, Any]) -> str:
    """Return what coefficients are about: the response, or where it is not normal the link of its mean."""
    response, link = str(attrs["response"]), str(attrs.get("link", "identity"))
    if str(attrs.get("family", "")).startswith("LogNormal"):
        link = "log"
    return response if link == "identity" else f"{link}({response})"


def wrapped(title: str, inches: float) -> str:
    """Return a title in lines that fit the width of a figure."""
    return "\n".join(textwrap.wrap(title, max(30, int(11 * inches))))


def sorted_and_thinned(values: Array, most: int) -> NDArray[np.intp]:
    """Return the places of values in ascending order, at most `most` of them, evenly spaced in that order."""
    order = np.argsort(values, kind="stable")
    if len(order) <= most:
        return order
    return order[np.linspace(0, len(order) - 1, most).round().astype(np.intp)]


def density(draws: Array, low: float, high: float, grid: Array) -> Array:
    """Return a kernel estimate of the density of bounded draws, reflected at finite bounds.

    Parameters
    ----------
    draws : array (S,)
    low, high : float
        Bounds of the parameter; infinite where there is none.
    grid : array (G,)

    References
    ----------
    Silverman (1986), Density Estimation for Statistics and Data Analysis, sections 2.10 and 3.4.
    """
    quartiles = np.quantile(draws, [0.25, 0.75])
    spread = min(float(draws.std(ddof=1)), float(quartiles[1] - quartiles[0]) / 1.34)
    width = 1.06 * (spread if spread > 0 else float(draws.std(ddof=1))) * len(draws) ** -0.2
    mirrored = [draws, *(2 * bound - draws for bound in (low, high) if np.isfinite(bound))]
    z = (grid[:, None] - np.concatenate(mirrored)) / width
    out = np.sum(np.exp(-0.5 * z * z), axis=1) / (len(draws) * width * np.sqrt(2 * np.pi))
    return np.asarray(np.where((grid < low) | (grid > high), 0.0, out))
