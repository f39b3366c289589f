"""Colours of all plots: those that mean something, and those of the active style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), Color Universal Design: distinct with any kind of colour vision; markers differ too.
POSTERIOR = "#0072B2"
ALONE = "#E69F00"
PLUG_IN = "#D55E00"
PRIOR = "#707070"
_SERIES_ON_LIGHT = (POSTERIOR, PLUG_IN, "#009E73", "#CC79A7", ALONE, "#56B4E9", "#4D4D4D")
_SERIES_ON_DARK = ("#56B4E9", "#FF7F32", "#2CC79A", "#E39CC4", "#F0E442", "#8C9EFF", "#C8C8C8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """Colours on the background of some axes.

    Attributes
    ----------
    posterior, alone, plug_in, prior : str
    population : str
        That of text: black on white, white on black.
    faint, arrow : str
    background : str
        Of the axes, for markers that look open.
    """

    posterior: str
    alone: str
    plug_in: str
    prior: str
    population: str
    faint: str
    arrow: str
    background: str


def colours_on(axis: Axes) -> Colours:
    """Return the colours for axes by the lightness of their background, whatever style made them."""
    from matplotlib import rcParams
    from matplotlib.colors import to_hex, to_rgba

    own = to_rgba(axis.get_facecolor())
    background = to_hex(own if own[3] > 0 else axis.figure.get_facecolor())
    is_dark = lightness(background) < 0.4
    text = to_hex(rcParams["text.color"])
    if abs(lightness(text) - lightness(background)) < 0.3:
        # Axes that were made under another style than the one in use.
        text = "#ffffff" if is_dark else "#000000"
    return Colours(
        posterior="#56B4E9" if is_dark else POSTERIOR,
        alone=ALONE,
        plug_in="#FF7F32" if is_dark else PLUG_IN,
        prior="#A8A8A8" if is_dark else PRIOR,
        population=text,
        faint="#5A5A5A" if is_dark else "#BBBBBB",
        arrow="#9A9A9A" if is_dark else "#808080",
        background=background,
    )


def series_on(axis: Axes, n: int) -> list[str]:
    """Return colours of n series that are told apart on the background of some axes.

    Up to seven are those of Okabe and Ito, without the one that is lost on it; more are of one map, in order.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    is_dark = lightness(colours_on(axis).background) < 0.4
    if n <= len(_SERIES_ON_LIGHT):
        return list(_SERIES_ON_DARK if is_dark else _SERIES_ON_LIGHT)[:n]
    low, high = (0.3, 1.0) if is_dark else (0.0, 0.85)
    return [to_hex(colormaps["viridis"](low + (high - low) * i / (n - 1))) for i in range(n)]


def lightness(colour: object) -> float:
    """Return how light a colour is, from 0 (black) to 1 (white): its relative luminance.

    Examples
    --------
    >>> lightness("#000000"), round(lightness("#ffffff"), 3)
    (0.0, 1.0)
    """
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)  # type: ignore[arg-type]  # whatever matplotlib takes for a colour
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
