"""Moments of the effects of every group at one point of all other parameters, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.effects import StudentT
from hierreg.variances.parameters import covariances
from hierreg.variances.precision import ErrorPrecision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.heavy_tails.target import EffectsTarget

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectMoments:
    """What is known of the effects of J groups, columns as they stand.

    Attributes
    ----------
    mean : array (J, q)
    cov : array (J, q, q)
    weight : array (J,)
        Mean of 1 / s of each group: one where it is like a normal distribution's, near zero where a group is far out.
    probability : array (J, c)
        Of the components.
    """

    mean: Array
    cov: Array
    weight: Array
    probability: Array


def scales_of(target: EffectsTarget, shape: Array) -> tuple[Array, Array]:
    """Return the scales (M,) of the effects and their log weights (M,), at shape (n_shape,)."""
    if not isinstance(target.shape.effects, StudentT):
        return np.ones(1), np.zeros(1)
    from hierreg.likelihood.heavy_tails.shape_kernels import N_SCALES, place_scales

    x, log_weight = np.empty(N_SCALES), np.empty(N_SCALES)
    placed = getattr(place_scales, "py_func", place_scales)
    placed(float(target.shape.nu(shape[None])[0]), len(target.shape.coef), x, log_weight)
    return np.exp(-x), log_weight


def effect_moments(target: EffectsTarget, psi: Array) -> EffectMoments:
    """Return moments of the effects given all other parameters psi (n,)."""
    from scipy.special import logsumexp

    data, q = target.data, len(target.shape.coef)
    u, _, shape, further = target.parts(psi[None])
    own = [covariances(target.parameters, u), *(covariances(target.of_components, one) for one in further)]
    z_map = data.gram.z_map
    Lambdas = [np.linalg.solve(z_map, one.Lambda[0]) for one in own]
    weights = ErrorPrecision(terms=data.gram.terms).weights(own[0].error_cov[0])
    n, p, K = target.parameters.n_free, len(target.centre), data.gram.terms.n_terms
    v = np.append(-(target.centre + target.scale @ psi[n : n + p]), 1.0)
    C, e = _padded(target, weights[K : 2 * K], v)
    means, log_pi = np.zeros((1, q)), np.zeros(1)
    if not isinstance(target.shape.effects, StudentT):
        weight, raw = target.shape.components(shape)
        means, log_pi = np.linalg.solve(z_map, raw[0].T).T, np.log(weight[0])
    scale, log_weight = scales_of(target, shape[0])
    found = [_given(C, e - C @ m, Lambdas[c if len(Lambdas) > 1 else 0], scale) for c, m in enumerate(means)]
    log_p = np.stack([one[0] for one in found], axis=1) + log_pi[:, None] + log_weight  # (group, component, scale)
    probability = np.exp(log_p - logsumexp(log_p, axis=(1, 2), keepdims=True))
    mean = np.stack([one[1] for one in found], axis=1) + means[:, None, :]
    cov = np.stack([one[2] for one in found], axis=1)
    whole = np.einsum("jcm,jcma->ja", probability, mean)
    about = mean - whole[:, None, None]
    total = np.einsum("jcm,jcmab->jab", probability, cov) + np.einsum("jcm,jcma,jcmb->jab", probability, about, about)
    return EffectMoments(
        mean=whole @ z_map.T,
        cov=z_map @ total @ z_map.T,
        weight=np.einsum("jcm,m->j", probability, 1.0 / scale),
        probability=probability.sum(axis=2),
    )


def _padded(target: EffectsTarget, roots: Array, v: Array) -> tuple[Array, Array]:
    """Return the rows of all groups in units of their errors: C (J, m, q) and residuals (J, m), zeros at the end."""
    data = target.data
    counts = np.diff(data.start)
    group = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(data.term)) - data.start[group]
    C, e = (
        np.zeros((len(counts), counts.max(initial=0), data.C.shape[1])),
        np.zeros((len(counts), counts.max(initial=0))),
    )
    C[group, place] = roots[data.term][:, None] * data.C
    e[group, place] = roots[data.term] * (data.D @ v)
    return C, e


def _given(C: Array, e: Array, Lambda: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Return log likelihoods (J, M) given each scale, means (J, M, q) and covariances (J, M, q, q) of the effects."""
    U, root, Vt = np.linalg.svd(C @ Lambda, full_matrices=False)
    w = np.einsum("jmi,jm->ji", U, e)
    rest = e - np.einsum("jmi,ji->jm", U, w)
    d = root[:, None, :] ** 2
    grown = 1.0 + scale[:, None] * d  # (group, scale, i)
    value = -0.5 * np.sum(np.log(grown) + w[:, None] ** 2 / grown, axis=2) - 0.5 * np.sum(rest**2, axis=1)[:, None]
    # b = Lambda a: of what no row sees, its prior.
    Q, k = Lambda @ np.swapaxes(Vt, 1, 2), Vt.shape[1]
    mean = np.einsum("jai,jmi->jma", Q, scale[:, None] * root[:, None] * w[:, None] / grown)
    cov = np.einsum("jai,jmi,jbi->jmab", Q, scale[:, None] / grown, Q)
    if k < Lambda.shape[1]:
        unseen = np.eye(Lambda.shape[1]) - np.swapaxes(Vt, 1, 2) @ Vt
        cov = cov + scale[None, :, None, None] * (Lambda @ unseen @ Lambda.T)[:, None]
    return value, mean, cov
