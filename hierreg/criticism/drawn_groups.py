"""Group effects of responses that are not normal: of each draw, beside effects drawn anew from its covariance.

The share of draws in which new effects are as far out as those of the posterior is a posterior predictive p-value of a
discrepancy that depends on parameters. It is conservative: under the model it lies nearer to one half than a uniform
number.

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
        distances, q = _distances(posterior, labels.key)
        if distances is None:
            continue
        new = np.random.default_rng(_SEED).chisquare(q, size=distances.shape)
        p = (1.0 + np.sum(statistic(new, axis=1) >= statistic(distances, axis=1))) / (len(distances) + 1.0)
        found.append((float(p), factor, distances.mean(axis=0)))
    if not found:
        return NotMade(reason=f"no factor has {_FEWEST_GROUPS} groups, or all standard deviations are zero")
    p, factor, distance = min(found, key=lambda one: one[0])
    short, evidence, remedy, value = words(factor, distance)
    # Bonferroni, over factors.
    return Finding(found=short, evidence=evidence, remedy=remedy, statistic=value, p=min(1.0, p * len(found)))


def _distances(posterior: Any, key: str) -> tuple[Array | None, int]:
    """Return b'Sigma^-1 b of each draw and group (S, J), and the columns; None where Sigma has no inverse."""
    b = posterior[f"b_{key}"].transpose("chain", "draw", ...).to_numpy()
    b = b.reshape(-1, *b.shape[2:])
    S, _, q = b.shape
    some = np.arange(min(S, _MOST_DRAWS)) * S // min(S, _MOST_DRAWS)
    sd = posterior[f"sd_{key}"].transpose("chain", "draw", ...).to_numpy().reshape(S, q)[some]
    if not np.all(sd > 0):
        return None, q
    w = b[some] / sd[:, None, :]
    if f"corr_{key}" in posterior:
        corr = posterior[f"corr_{key}"].transpose("chain", "draw", ...).to_numpy().reshape(S, q, q)[some]
        solved = np.linalg.solve(corr, np.swapaxes(w, 1, 2))
        return np.asarray(np.einsum("sja,saj->sj", w, solved)), q
    return np.asarray(np.sum(w**2, axis=2)), q
