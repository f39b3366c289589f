"""Group effects of responses that are not normal: those of each draw, beside new normal ones.

Distances are in the covariance of all groups of a draw, so that it does not matter whether a group far out made the
variance large. The share of draws in which new effects are as far out as those of the posterior is a posterior
predictive p-value of a discrepancy that depends on parameters. It is conservative: under the model it lies nearer to
one half than a uniform number.

References
----------
Gelman, Meng and Stern (1996), Statistica Sinica 6(4), 733-760.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.criticism.values import Finding, NotMade
from hierreg.results.carried import draws_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.criticism.examined import Examined
    from hierreg.design_matrices import FactorDesign

    Array = NDArray[np.float64]

_FEWEST_GROUPS = 5
_MOST_DRAWS, _SEED = 999, 23


def drawn_groups(
    x: Examined,
    statistic: Callable[..., Any],
    words: Callable[[FactorDesign, Array], tuple[str, str, str, float]],
) -> Finding | NotMade:
    """Return what a statistic of squared distances (S, J), over axis 1, says of the factor that it is worst of."""
    assert x.tree is not None
    posterior = draws_in(x.tree)
    found = []
    for labels, factor in zip(x.problem.labels.factors, x.problem.design.factors, strict=True):
        if len(factor.levels) < _FEWEST_GROUPS + factor.Z.shape[1] - 1:
            continue
        b = _some_draws(posterior, labels.key)
        if not np.all(np.any(b != 0, axis=1)):
            continue
        distances, new = _distances(b), _distances(np.random.default_rng(_SEED).standard_normal(b.shape))
        p = (1.0 + np.sum(statistic(new, axis=1) >= statistic(distances, axis=1))) / (len(distances) + 1.0)
        found.append((float(p), factor, distances.mean(axis=0)))
    if not found:
        return NotMade(reason=f"no factor has {_FEWEST_GROUPS} groups, or a standard deviation is zero")
    p, factor, distance = min(found, key=lambda one: one[0])
    short, evidence, remedy, value = words(factor, distance)
    # Bonferroni, over factors.
    return Finding(found=short, evidence=evidence, remedy=remedy, statistic=value, p=min(1.0, p * len(found)))


def _distances(b: Array) -> Array:
    """Return the squared distances (S, J) of effects (S, J, q) from zero, in the covariance of all of them."""
    J, q = b.shape[1:]
    S = np.einsum("sja,sjb->sab", b, b) / J
    S += 1e-12 * np.trace(S, axis1=1, axis2=2)[:, None, None] * np.eye(q)
    return np.asarray(np.einsum("sja,saj->sj", b, np.linalg.solve(S, np.swapaxes(b, 1, 2))))


def _some_draws(posterior: Any, key: str) -> Array:
    """Return draws of the effects (S, J, q), each column over its size, which units do not matter beside."""
    b = posterior[f"b_{key}"].transpose("chain", "draw", ...).to_numpy()
    b = b.reshape(b.shape[0] * b.shape[1], *b.shape[2:])
    S = len(b)
    b = b[np.arange(min(S, _MOST_DRAWS)) * S // min(S, _MOST_DRAWS)]
    size = np.sqrt(np.mean(b**2, axis=1, keepdims=True))
    return np.asarray(b / np.where(size > 0, size, 1.0))
