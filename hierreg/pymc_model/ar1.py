"""AR(1) errors as PyMC variables: each row given the one before it in its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.errors.ar1 import chain_of
from hierreg.errors.within_units import neighbours
from hierreg.problem.labels import response_variable
from hierreg.pymc_model.exchangeable import add_within_units

if TYPE_CHECKING:
    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.priors import ResolvedPriors
    from hierreg.pymc_model.exchangeable import ErrorTensors, Tensor


def add_in_time(layout: ErrorLayout, priors: ResolvedPriors) -> ErrorTensors:
    """Register ``error_sd`` and ``error_corr``, the correlation one step of time apart."""
    return add_within_units(layout, priors, neighbours(layout.labels[0]))


def neighbour_covariance(errors: ErrorTensors) -> Tensor:
    """Return the covariance (2, 2) of two neighbours one step apart, which the marginal likelihood takes."""
    rho = errors.lowest[0] + errors.below[0]
    return errors.variance[0] * (rho * np.ones((2, 2)) + errors.above[0] * np.eye(2))


def add_rows_in_time(design: Design, mu: Tensor, layout: ErrorLayout, errors: ErrorTensors) -> None:
    """Register the observed response: y_t given y_s before it is N(mu_t + r (y_s - mu_s), sd^2 (1 - r^2)).

    Parameters
    ----------
    design : Design
    mu : tensor (N,)
        Means.
    layout : ErrorLayout
    errors : ErrorTensors
    """
    chain, y = chain_of(layout), design.y
    r = (errors.lowest[0] + errors.below[0]) ** chain.gap
    sd = pt.sqrt(errors.variance[0]) * np.ones(len(y))
    mean = mu[chain.now].inc(r * (y[chain.before] - mu[chain.before]))
    pm.Normal(
        response_variable(design.response_name),
        mean,
        sd[chain.now].set(sd[chain.now] * pt.sqrt((1.0 - r) * (1.0 + r))),
        observed=y,
    )
