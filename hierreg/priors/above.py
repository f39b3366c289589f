"""What a prior has above a bound: parameters such as degrees of freedom are restricted to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.priors.families import SdPrior

    Array = NDArray[np.float64]


def log_mass_above(prior: SdPrior, lowest: float) -> float:
    """Return the log of what a prior has above a bound."""
    from scipy.integrate import quad

    if not lowest:
        return 0.0
    below = quad(lambda x: float(np.exp(prior.log_density(x))), 0.0, lowest, limit=200)[0]
    return float(np.log1p(-min(below, 1.0 - 1e-12)))


def draw_above(prior: SdPrior, lowest: float, draws: int, rng: np.random.Generator) -> Array:
    """Return draws (draws,) from a prior above a bound."""
    out = prior.draw(rng, draws)
    while np.any(out <= lowest):
        out = np.where(out > lowest, out, prior.draw(rng, draws))
    return out
