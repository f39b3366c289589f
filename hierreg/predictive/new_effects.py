"""Effects of groups that were not observed, where they have heavy tails or are mixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.effects import StudentT
from hierreg.likelihood.heavy_tails.draws import EffectsParameters
from hierreg.linalg import semidefinite_factor
from hierreg.variances.parameters import Covariances

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.effects import EffectsProblem

    Array = NDArray[np.float64]


def fresh_effects(
    drawn: EffectsParameters, n: int, rng: np.random.Generator
) -> tuple[Array, Array | None, NDArray[np.intp] | None]:
    """Return effects (S, n, q) of n new groups, with their 1 / s (S, n) or their components (S, n).

    Parameters
    ----------
    drawn : EffectsParameters
        At S draws.
    n : int
    rng : Generator
    """
    S, q = drawn.within.sd.shape
    z = rng.standard_normal((S, n, q))
    if drawn.nu is not None:
        weight = rng.standard_gamma(np.broadcast_to(0.5 * drawn.nu[:, None], (S, n))) / (0.5 * drawn.nu[:, None])
        # The smallest number where a heavy tail underflows: infinite effects have no sum.
        weight = np.maximum(weight, np.finfo(float).tiny)
        return np.einsum("sij,snj->sni", drawn.within.Lambda, z) / np.sqrt(weight)[:, :, None], weight, None
    assert drawn.weight is not None
    assert drawn.mean is not None
    assert drawn.component_cov is not None
    edges = np.cumsum(drawn.weight, axis=1)[:, None, :-1]
    component = np.sum(rng.random((S, n))[:, :, None] > edges, axis=2)
    root = semidefinite_factor(drawn.component_cov)
    each = np.arange(S)[:, None]
    own = root[each, component if root.shape[1] > 1 else 0]
    return drawn.mean[each, component] + np.einsum("snij,snj->sni", own, z), None, component


def new_effects(problem: EffectsProblem, posterior: xr.Dataset, n: int, rng: np.random.Generator) -> Array:
    """Return effects (S, n, q) of n new groups at the draws of a ``posterior`` group."""
    key, q = problem.shape.factor, len(problem.shape.coef)

    def array(name: str) -> Array:
        values = posterior[name].transpose("chain", "draw", ...).to_numpy()
        return np.asarray(values.reshape(values.shape[0] * values.shape[1], *values.shape[2:]))

    beta, nu, weight, mean, component_cov = array("beta"), None, None, None, None
    if isinstance(problem.effects, StudentT):
        sd, nu = array(f"scale_{key}"), array(f"nu_{key}")
        corr = array(f"corr_{key}") if f"corr_{key}" in posterior else np.broadcast_to(np.eye(q), (len(sd), q, q))
        cov = sd[:, :, None] * corr * sd[:, None, :]
    else:
        weight, mean, sd = (array(f"component_{what}_{key}") for what in ("weight", "mean", "sd"))
        name = f"component_corr_{key}"
        corr = array(name) if name in posterior else np.eye(q)
        component_cov = sd[..., :, None] * corr * sd[..., None, :]
        if component_cov.ndim == 3:
            component_cov = component_cov[:, None]
        cov, sd = component_cov[:, 0], sd.reshape(len(beta), -1, q)[:, 0]
    none = np.empty((len(beta), 0))
    within = Covariances(
        sd=sd, corr=cov, Lambda=semidefinite_factor(cov), error_sd=none, error_corr=none, error_cov=none
    )
    drawn = EffectsParameters(within=within, beta=beta, nu=nu, weight=weight, mean=mean, component_cov=component_cov)
    return fresh_effects(drawn, n, rng)[0]
