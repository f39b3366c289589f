"""A posterior under a power of one of its factors, as weighted draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PRIOR, LIKELIHOOD = "prior", "likelihood"
MARGINAL, CONDITIONAL = "marginal", "conditional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Powered:
    """A posterior under a power, as weighted draws.

    Attributes
    ----------
    component : str
        "prior" (all of them), "likelihood", or the variable whose prior alone has the power.
    alpha : float
    log_ratio : array (K, S)
        Log weights, but for a constant; not smoothed.
    which : int array (Q,)
        Which of the K are those of each quantity.
    values : array (S, Q)
        Of the quantities.
    """

    component: str
    alpha: float
    log_ratio: Array
    which: NDArray[np.intp]
    values: Array


def same_weights(component: str, alpha: float, log_ratio: Array, values: Array) -> Powered:
    """Return a posterior with the same weights for all quantities."""
    which = np.zeros(values.shape[1], dtype=np.intp)
    return Powered(component=component, alpha=alpha, log_ratio=log_ratio[None], which=which, values=values)
