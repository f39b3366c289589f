"""The errors of a model in PyMC, by error structure: parameters, what the marginal likelihood takes, and rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

from hierreg.pymc_model.ar1 import add_in_time, add_rows_in_time, neighbour_covariance
from hierreg.pymc_model.exchangeable import add_exchangeable, add_exchangeable_rows, component_covariance
from hierreg.pymc_model.parameters import add_correlation, add_vector
from hierreg.pymc_model.rows import add_independent_rows, add_rows_of_known_covariance, add_rows_of_units

if TYPE_CHECKING:
    from collections.abc import Callable

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.priors import ResolvedPriors
    from hierreg.pymc_model.parameters import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorsInPyMC:
    """How an error structure is written in PyMC.

    Attributes
    ----------
    add : function of layout and priors
        Registers standard deviations and correlations, and returns what the other two take.
    covariance : function of what ``add`` returned
        The covariance (D, D) that the marginal likelihood takes.
    add_rows : function of design, means (N,), layout and what ``add`` returned
        Registers the observed response.
    """

    add: Callable[[ErrorLayout, ResolvedPriors], Any]
    covariance: Callable[[Any], Tensor]
    add_rows: Callable[[Design, Tensor, ErrorLayout, Any], None]


def _add_factor(layout: ErrorLayout, priors: ResolvedPriors) -> Tensor:
    """Register error sds and correlations and return the lower factor of the error covariance, (D, D)."""
    n, dim = len(layout.labels), layout.dim
    if not layout.n_sd:
        return pt.as_tensor(np.eye(n))
    sd = add_vector("error_sd", priors.error_sd, labels=layout.labels, dim=dim)
    if not layout.has_corr:
        return sd[:, None] * np.eye(n)
    assert not isinstance(priors.error_corr, tuple)
    L = add_correlation("error_corr", [priors.error_corr], [n], labels=layout.labels, dims=(f"{dim}", f"{dim}_col"))
    return sd[:, None] * L


def _square(error_factor: Tensor) -> Tensor:
    return error_factor @ error_factor.T


_INDEPENDENT = ErrorsInPyMC(add=_add_factor, covariance=_square, add_rows=add_independent_rows)

IN_PYMC: dict[str, ErrorsInPyMC] = {
    "independent": _INDEPENDENT,
    "by": _INDEPENDENT,
    "correlated": ErrorsInPyMC(add=_add_factor, covariance=_square, add_rows=add_rows_of_units),
    "exchangeable": ErrorsInPyMC(add=add_exchangeable, covariance=component_covariance, add_rows=add_exchangeable_rows),
    "ar1": ErrorsInPyMC(add=add_in_time, covariance=neighbour_covariance, add_rows=add_rows_in_time),
    "known_se": _INDEPENDENT,
    "known_cov": ErrorsInPyMC(add=_add_factor, covariance=_square, add_rows=add_rows_of_known_covariance),
}
