"""What results of heavy tails and mixtures of group effects have beside those of normal effects."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hierreg.reports.reading import FactorFit, Fit

    Array = NDArray[np.float64]

# Kinds of rows of a summary, and the variables of which they are.
KINDS = {
    "nu": "nu",
    "scale": "scale",
    "component_weight": "component",
    "component_mean": "component",
    "component_sd": "component",
    "component_corr": "component",
}


def shape_parameters(fit: Fit, factor: str) -> Iterator[tuple[str, str, tuple[int, ...], str, Array]]:
    """Yield kind, variable, place, name and draws (chain, draw) of what shapes the effects of a factor."""
    if not fit.attrs.get("effects"):
        return
    for what, kind in KINDS.items():
        variable = f"{what}_{factor}"
        if variable not in fit.posterior:
            continue
        array = fit.posterior[variable]
        dims = [dim for dim in array.dims if dim not in {"chain", "draw"}]
        draws = fit.draws(variable)
        for index in product(*(range(array.sizes[dim]) for dim in dims)):
            if what == "component_corr" and index[-1] >= index[-2]:
                continue
            labels = ", ".join(str(array[dim].values[i]) for dim, i in zip(dims, index, strict=True))
            values = np.moveaxis(draws, (0, 1), (-2, -1))[index]
            if what == "component_corr" and not np.any(values):
                continue
            yield kind, variable, index, f"{variable}[{labels}]" if labels else variable, values


def group_weights(of: FactorFit) -> Array | None:
    """Return the mean of 1 / s of each group (J,), of a t distribution; None of others."""
    return _mean(of, "weight")


def group_probabilities(of: FactorFit) -> Array | None:
    """Return the posterior probabilities (J, c) of the components of each group; None where there are none."""
    return _mean(of, "probability")


def _mean(of: FactorFit, what: str) -> Array | None:
    name = f"{what}_{of.name}"
    if not of.fit.attrs.get("effects"):
        return None
    if name in of.fit.posterior:
        return np.asarray(of.fit.draws(name).mean(axis=(0, 1)))
    if of.fit.effects is not None and f"{name}_mean" in of.fit.effects:
        return of.fit.effects[f"{name}_mean"].to_numpy()
    return None


def group_covariances(of: FactorFit, use: NDArray[np.intp]) -> tuple[Array, Array | None]:
    """Return the covariances of the effects of each group given its scale or component, at some draws.

    Parameters
    ----------
    of : FactorFit
    use : int array (n,)
        Draws.

    Returns
    -------
    Sigma : array (n, J, q, q), or (n, 1, L, q, q) of components
    probability : array (n, J, c) or None
        Of the components.
    """
    fit, name = of.fit, of.name

    def draws(variable: str) -> Array:
        values = fit.draws(variable)
        return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])[use]

    if f"scale_{name}" in fit.posterior:
        sd = draws(f"scale_{name}")
        corr = draws(f"corr_{name}") if f"corr_{name}" in fit.posterior else np.eye(sd.shape[1])
        Sigma = (sd[:, :, None] * corr * sd[:, None, :])[:, None]
        mean = group_weights(of)
        assert mean is not None
        weight = draws(f"weight_{name}") if f"weight_{name}" in fit.posterior else mean[None]
        return Sigma / weight[:, :, None, None], None
    sd = draws(f"component_sd_{name}")
    q = sd.shape[-1]
    corr = draws(f"component_corr_{name}") if f"component_corr_{name}" in fit.posterior else np.eye(q)
    Sigma = sd[..., :, None] * corr * sd[..., None, :]
    Sigma = Sigma[:, None, None] if Sigma.ndim == 3 else Sigma[:, None]
    mean = group_probabilities(of)
    assert mean is not None
    chance = draws(f"probability_{name}") if f"probability_{name}" in fit.posterior else mean[None]
    return Sigma, chance
