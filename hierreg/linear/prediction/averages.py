"""Means of functions of normal variables: of responses over groups, or over the error of a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Of the standard normal variable that is summed over: where its density is below 1e-16, and the largest step.
_END, _STEP = 8.5, 0.5
# Of the step, in units of the linear predictor: for logit, probit and cloglog the sum is right to 1e-13.
_STEP_OF_ETA = 0.3
_MOST_STEPS = 425


def averaged(function: Callable[[Array], Array], mean: Array, sd: Array, *, growth: float = 0.0) -> Array:
    """Return the mean of a function of a normal variable.

    A bounded smooth function is summed at equal steps, whose error falls as exp(-2 pi d / step) with the distance d of
    its poles from the real line (Trefethen and Weideman 2014, section 5); of sds above 15 it is right to three digits.

    Parameters
    ----------
    function : function
        Elementwise, array (..., ) -> array (..., ) or (..., k).
    mean, sd : arrays, broadcast
    growth : float
        Of a function that is proportional to exp(growth eta), whose mean has a closed form; zero for others.

    References
    ----------
    Trefethen, L. N. and Weideman, J. A. C. (2014). The exponentially convergent trapezoidal rule. SIAM Review 56,
    385-458.
    """
    mean, sd = np.broadcast_arrays(np.asarray(mean, dtype=float), np.asarray(sd, dtype=float))
    widest = float(sd.max(initial=0.0))
    if not widest > 0:
        return function(mean)
    if growth:
        return function(mean + 0.5 * growth * sd * sd)
    n = min(int(np.ceil(_END / min(_STEP, _STEP_OF_ETA / widest))), _MOST_STEPS)
    nodes = _END / n * np.arange(-n, n + 1)
    weights = np.exp(-0.5 * nodes**2)
    weights /= weights.sum()
    total = weights[0] * function(mean + nodes[0] * sd)
    for node, weight in zip(nodes[1:].tolist(), weights[1:].tolist(), strict=True):
        total += weight * function(mean + node * sd)
    return np.asarray(total)
