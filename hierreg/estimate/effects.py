"""The search for a mode where group effects have heavy tails or are mixtures: several starts, the best one kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.effects import StudentT
from hierreg.estimate.optimise import Optimum, maximise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.heavy_tails.target import EffectsTarget

    Array = NDArray[np.float64]
    Objective = Callable[[Array], tuple[float, Array]]

# Two optima that differ by no more are one.
SAME_MODE = 1e-4
# nu - 2 at the starts, with the factor on the sds of groups there.
_OF_T = ((6.0, 0.85), (1.0, 0.6), (30.0, 0.95))
_MOST_STARTS, _RESTARTS, _ITERATIONS, _SMALLEST_SHARE = 5, 12, 30, 0.05
_LEAST_RATIO = 0.2  # of the sd within a component and of all groups, at a start


def starts_of(target: EffectsTarget, u: Array, effects: Array) -> list[Array]:
    """Return starting points psi (n,).

    Parameters
    ----------
    target : EffectsTarget
    u : array (n_free,)
        Variance parameters of normal effects.
    effects : array (J, q)
        Predicted effects of the groups, columns as they stand.
    """
    if isinstance(target.shape.effects, StudentT):
        return _starts_of_t(target, u)
    found = [_start_of_clusters(target, u, effects, label) for label in _clusterings(target, effects)]
    found.append(_start_of_one(target, u))
    value = [target(psi)[0] for psi in found]
    return [found[i] for i in np.argsort(value)[::-1][:_MOST_STARTS]]


def _starts_of_t(target: EffectsTarget, u: Array) -> list[Array]:
    n, p, groups = target.parameters.n_free, len(target.centre), _group_sds(target)
    out = []
    for excess, factor in _OF_T if target.shape.n_shape else _OF_T[:1]:
        psi = np.zeros(target.n)
        psi[:n] = u
        psi[groups] += np.log(factor)
        psi[n + p :] = np.log(excess)
        out.append(psi)
    return out


def _group_sds(target: EffectsTarget) -> NDArray[np.intp]:
    """Return the places of log sds of the groups in u."""
    v = target.parameters
    return np.arange(int(v.sd_is_free[: v.n_factor].sum()))


def _standardised(target: EffectsTarget, effects: Array) -> Array:
    """Return effects (J, q) in the frame of the prior of means and in their units."""
    inner = np.linalg.solve(target.shape.to_raw, effects.T).T
    return np.asarray(inner / target.shape.tau)


def _clusterings(target: EffectsTarget, effects: Array) -> list[NDArray[np.intp]]:
    """Return labels (J,) of groups in clusters, distinct ones."""
    x, c = _standardised(target, effects), target.shape.n_components
    spread = x.std(axis=0)
    x = x / np.where(spread > 0, spread, 1.0)
    rng = np.random.default_rng(0)
    found = [_k_means(x, _of_ranks(x[:, a], c), c) for a in range(x.shape[1])]
    found += [_of_ranks(x[:, a], c) for a in range(x.shape[1])]
    # A few groups apart from the rest.
    found += [
        _k_means(x, (np.argsort(np.argsort(np.abs(x[:, a]))) >= 0.8 * len(x)).astype(np.intp), c)
        for a in range(x.shape[1])
    ]
    for _ in range(_RESTARTS):
        centres = x[rng.choice(len(x), c, replace=False)]
        found.append(_k_means(x, np.argmin(((x[:, None] - centres) ** 2).sum(axis=2), axis=1), c))
    distinct: dict[bytes, NDArray[np.intp]] = {}
    for one in found:
        order = np.argsort([x[one == k, 0].mean() if np.any(one == k) else np.inf for k in range(c)])
        label = np.argsort(order)[one]
        if len(np.unique(label)) == c:
            distinct[label.astype(np.int8).tobytes()] = label
    return list(distinct.values())


def _of_ranks(x: Array, c: int) -> NDArray[np.intp]:
    return np.argsort(np.argsort(x)) * c // len(x)


def _k_means(x: Array, label: NDArray[np.intp], c: int) -> NDArray[np.intp]:
    for _ in range(_ITERATIONS):
        present = [k for k in range(c) if np.any(label == k)]
        centres = np.stack([x[label == k].mean(axis=0) for k in present])
        nearest = np.array(present)[np.argmin(((x[:, None] - centres) ** 2).sum(axis=2), axis=1)]
        if np.array_equal(nearest, label):
            break
        label = nearest
    return label


def _start_of_clusters(target: EffectsTarget, u: Array, effects: Array, label: NDArray[np.intp]) -> Array:
    shape, c = target.shape, target.shape.n_components
    x = _standardised(target, effects)
    weight = np.maximum(np.bincount(label, minlength=c) / len(label), _SMALLEST_SHARE)
    means = np.stack([x[label == k].mean(axis=0) for k in range(c)])
    frame = np.linalg.solve(shape.to_raw, effects.T).T
    within = np.sqrt(
        np.stack([np.mean((frame[label == k] - frame[label == k].mean(axis=0)) ** 2, axis=0) for k in range(c)])
    )
    whole = np.sqrt(np.mean(frame**2, axis=0))
    common = np.sqrt(np.average(within**2, axis=0, weights=weight))
    if shape.n_covariances == 1:
        within = common[None]
    ratio = np.maximum(within / np.where(whole > 0, whole, 1.0), _LEAST_RATIO)
    return _start(target, u, shape.at(weight / weight.sum(), means - means[0]), ratio)


def _start_of_one(target: EffectsTarget, u: Array) -> Array:
    """Return a start whose components hardly differ."""
    c, q = target.shape.n_components, len(target.shape.coef)
    delta = np.zeros((c, q))
    delta[:, 0] = 0.1 * np.arange(c)
    return _start(target, u, target.shape.at(np.full(c, 1.0 / c), delta), np.ones((target.shape.n_covariances, q)))


def _start(target: EffectsTarget, u: Array, shape: Array, ratio: Array) -> Array:
    v, of_components = target.parameters, target.of_components
    n, p, m = v.n_free, len(target.centre), target.shape.n_shape
    free = v.sd_is_free[: v.n_factor]
    n_sd, n_group = int(v.sd_is_free.sum()), int(free.sum())
    n_corr = of_components.n_free - n_group
    psi = np.zeros(target.n)
    psi[:n], psi[n + p : n + p + m] = u, shape
    psi[:n_group] += np.log(ratio[0][free])
    own = np.concatenate([u[:n_group], u[n_sd : n_sd + n_corr]])
    for k in range(1, target.shape.n_covariances):
        begin = n + p + m + (k - 1) * len(own)
        psi[begin : begin + len(own)] = own
        psi[begin : begin + n_group] += np.log(ratio[k][free])
    return psi


def best_mode(
    objective: Objective, starts: Sequence[Array], *, with_hessian: bool
) -> tuple[Optimum, tuple[Optimum, ...]]:
    """Return the best maximum that searches from the starts find, and lower ones, best first."""
    found: list[Optimum] = []
    for start in starts:
        found.append(maximise(objective, start, tolerance=1e-8, with_hessian=with_hessian, known=found))
    best = max(found, key=lambda one: (one.converged, one.value))
    others: list[Optimum] = []
    for one in sorted((one for one in found if one.converged), key=lambda one: -one.value):
        if one.value < (others[-1].value if others else best.value) - SAME_MODE:
            others.append(one)
    return best, tuple(others)
