"""The quantities of one fit under powers: what is asked of weighted draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.studies.prior_sensitivity.measures import Smoothed, distance, noise_of, smoothed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.predictive.powered import Powered

    Array = NDArray[np.float64]

# Those of `arviz_plots.plot_psense_dist`.
POWERS = (0.8, 1.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A fit under all powers.

    Attributes
    ----------
    values : array (S, Q)
    powered : dict of Powered
        By component and power.
    smoothed : dict of tuples of Smoothed
        By component and power, as many as there are different weights.
    """

    values: Array
    powered: dict[tuple[str, float], Powered]
    smoothed: dict[tuple[str, float], tuple[Smoothed, ...]]

    def weight(self, component: str, alpha: float, place: int) -> Array:
        """Return the weights (S,) of a quantity."""
        which = int(self.powered[component, alpha].which[place])
        return self.smoothed[component, alpha][which].weight

    def pareto_k(self, component: str, alpha: float) -> float:
        """Return the largest k of the weights that quantities have; NaN where they are all the same."""
        used = np.unique(self.powered[component, alpha].which)
        k = np.array([self.smoothed[component, alpha][i].pareto_k for i in used])
        return float(np.max(k, initial=-np.inf, where=~np.isnan(k))) if np.any(~np.isnan(k)) else np.nan

    @property
    def components(self) -> list[str]:
        """Names of what has powers."""
        return list(dict.fromkeys(component for component, _ in self.powered))

    def sensitivity(self, component: str, place: int) -> float:
        """Return the mean rate of the distance from the posterior as it is, by the binary logarithm of the power."""
        rates = [
            self._distance(component, alpha, place) / abs(np.log2(alpha))
            for name, alpha in self.powered
            if name == component
        ]
        return float(np.mean(rates))

    def _distance(self, component: str, alpha: float, place: int) -> float:
        one = self.powered[component, alpha]
        x = self.values[:, place]
        y = x if one.values is self.values else one.values[:, place]
        return distance(x, y, self.weight(component, alpha, place))

    def noise(self, component: str, place: int, shifts: NDArray[np.intp]) -> float:
        """Return what weights that say nothing of a quantity would give."""
        x = self.values[:, place]
        rates = [
            noise_of(x, self.weight(component, alpha, place), shifts) / abs(np.log2(alpha))
            for name, alpha in self.powered
            if name == component
        ]
        return float(np.mean(rates))

    def mean(self, component: str, alpha: float, place: int) -> float:
        """Return the mean of a quantity under a power."""
        return float(self.weight(component, alpha, place) @ self.powered[component, alpha].values[:, place])

    def moved(self, component: str, place: int) -> float:
        """Return how many posterior sds the mean moves where the power is doubled."""
        low, high = (self.mean(component, alpha, place) for alpha in POWERS)
        doublings = np.log2(POWERS[1] / POWERS[0])
        return (high - low) / float(self.values[:, place].std() * doublings)


def scaled(values: Array, powered: Sequence[Powered]) -> Scaled:
    """Return a fit under powers, with smoothed weights."""
    return Scaled(
        values=values,
        powered={(one.component, one.alpha): one for one in powered},
        smoothed={(one.component, one.alpha): tuple(map(smoothed, one.log_ratio)) for one in powered},
    )
