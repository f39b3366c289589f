"""Exchangeable errors as PyMC variables: standard deviations, correlations within units, and the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.errors.within_units import (
    WITHIN,
    Components,
    components_of,
    units_by_size,
)
from hierreg.priors import LKJ
from hierreg.problem.labels import response_variable
from hierreg.pymc_model.parameters import add_vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.priors import ResolvedPriors

# PyTensor's own annotations are too partial to check against
type Tensor = Any


@dataclass(frozen=True, kw_only=True)
class ErrorTensors:
    """Variance of the errors of each of T strata, 1 - rho and rho - lowest, all (T,), and the components."""

    variance: Tensor
    above: Tensor
    below: Tensor
    lowest: NDArray[np.float64]
    components: Components


def add_exchangeable(layout: ErrorLayout, priors: ResolvedPriors) -> ErrorTensors:
    """Register ``error_sd`` and ``error_corr`` of exchangeable errors."""
    return add_within_units(layout, priors, components_of(layout)[0])


def add_within_units(layout: ErrorLayout, priors: ResolvedPriors, components: Components) -> ErrorTensors:
    """Register ``error_sd`` and ``error_corr``; free correlations as ``error_corr_partial``, mapped to (0, 1)."""
    T, labels = len(layout.labels), layout.labels
    sd = add_vector("error_sd", priors.error_sd, labels=labels, dim=None if layout.common_sd else layout.dim)
    lowest = components.lowest
    assert isinstance(priors.error_corr, tuple)
    free = np.array([i for i, prior in enumerate(priors.error_corr) if isinstance(prior, LKJ)], dtype=np.intp)
    fixed = np.array([0.0 if isinstance(prior, LKJ) else float(prior.array) for prior in priors.error_corr])
    above, below = pt.as_tensor(1.0 - fixed), pt.as_tensor(fixed - lowest)
    if len(free):
        eta = np.array([prior.eta for prior in priors.error_corr if isinstance(prior, LKJ)])
        pm.modelcontext(None).add_coord("error_corr_free", [labels[i] for i in free])
        v = pm.Beta("error_corr_partial", eta, eta, dims="error_corr_free")
        above = above[free].set((1.0 - lowest[free]) * (1.0 - v))
        below = below[free].set((1.0 - lowest[free]) * v)
    rho = pt.as_tensor(lowest) + below
    pm.Deterministic("error_corr", rho if layout.dim else rho[0], dims=layout.dim)
    variance = (sd**2)[np.zeros(T, dtype=np.intp) if layout.common_sd else np.arange(T)]
    return ErrorTensors(variance=variance, above=above, below=below, lowest=lowest, components=components)


def component_covariance(errors: ErrorTensors) -> Tensor:
    """Return the covariance (C, C) of the components, which the marginal likelihood takes."""
    stratum, size = errors.components.stratum, errors.components.size
    n = size.astype(float)
    is_within = (size == WITHIN).astype(float)
    rest = 1.0 - (n - 1.0) / (errors.components.largest[stratum] - 1.0)
    means = rest + (n - 1.0) * errors.below[stratum]
    variances = errors.variance[stratum] * (is_within * errors.above[stratum] + (1.0 - is_within) * means)
    return pt.as_tensor(np.eye(len(size))) * variances


def add_exchangeable_rows(design: Design, mu: Tensor, layout: ErrorLayout, errors: ErrorTensors) -> None:
    """Register the observed response: one multivariate normal per stratum and unit size.

    Parameters
    ----------
    design : Design
    mu : tensor (N,)
        Means.
    layout : ErrorLayout
    errors : ErrorTensors
    """
    name, y = response_variable(design.response_name), design.y
    groups = units_by_size(layout)
    for same in groups:
        t, n = same.stratum, same.size
        rho = errors.lowest[t] + errors.below[t]
        cov = errors.variance[t] * (errors.above[t] * np.eye(n) + rho * np.ones((n, n)))
        suffix = "" if len(groups) == 1 else f"_{layout.labels[t]}_{n}" if layout.dim else f"_{n}"
        pm.MvNormal(name + suffix, mu[same.rows], chol=pt.linalg.cholesky(cov), observed=y[same.rows])
