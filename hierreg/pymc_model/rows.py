"""The likelihood of the rows given their means, where errors are independent, correlated or of known covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.problem.labels import response_variable

if TYPE_CHECKING:
    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.pymc_model.parameters import Tensor


def add_independent_rows(design: Design, mu: Tensor, layout: ErrorLayout, error_factor: Tensor) -> None:
    """Register the observed response under its own name.

    Parameters
    ----------
    design : Design
    mu : tensor (N,)
        Means.
    layout : ErrorLayout
    error_factor : tensor (D, D)
        Lower Cholesky factor of the error covariance of one unit.
    """
    sd = error_factor.diagonal()[layout.stratum]
    sd = sd if layout.se is None else sd * layout.se
    pm.Normal(response_variable(design.response_name), mu, sd, observed=design.y, dims="obs")


def add_rows_of_known_covariance(design: Design, mu: Tensor, layout: ErrorLayout, error_factor: Tensor) -> None:
    """Register the observed response as one variable; the parameters are those of `add_independent_rows`."""
    assert layout.V is not None
    chol = error_factor[0, 0] * layout.V.factor().toarray()
    pm.MvNormal(response_variable(design.response_name), mu, chol=chol, observed=design.y, dims="obs")


def add_rows_of_units(design: Design, mu: Tensor, layout: ErrorLayout, error_factor: Tensor) -> None:
    """Register one multivariate normal per set of data sets in which units were observed.

    A unit observed in some data sets only contributes through the sub-matrix of the error covariance; such
    units are variables of their own, ``<response>_<data sets>``. The parameters are those of `add_independent_rows`.
    """
    name, y = response_variable(design.response_name), design.y
    assert layout.unit is not None
    row_of = np.full((int(layout.unit.max()) + 1, len(layout.labels)), -1, dtype=np.intp)
    row_of[layout.unit, layout.stratum] = np.arange(len(y))
    cov = error_factor @ error_factor.T
    for pattern in np.unique(row_of >= 0, axis=0):
        present = np.flatnonzero(pattern)
        rows = row_of[((row_of >= 0) == pattern).all(axis=1)][:, present]  # (unit, data set)
        chol = error_factor if pattern.all() else pt.linalg.cholesky(cov[present][:, present])
        suffix = "" if pattern.all() else "_" + "_".join(layout.labels[d] for d in present)
        pm.MvNormal(name + suffix, mu[rows], chol=chol, observed=y[rows])
