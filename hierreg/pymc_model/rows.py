"""The likelihood of the rows given their means, for every error structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.problem.labels import response_variable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design import Design
    from hierreg.errors.structures import ErrorLayout
    from hierreg.pymc_model.parameters import Tensor


def add_rows(design: Design, mu: Tensor, layout: ErrorLayout, error_factor: Tensor) -> None:
    """Register the observed response under its own name.

    A unit observed in some data sets only contributes through the sub-matrix of the error covariance; such
    units are variables of their own, ``<response>_<data sets>``.

    Parameters
    ----------
    design : Design
    mu : tensor (N,)
        Means.
    layout : ErrorLayout
    error_factor : tensor (D, D)
        Lower Cholesky factor of the error covariance of one unit.
    """
    name, y = response_variable(design.response_name), design.y
    if layout.kind == "correlated":
        _add_units(name, y, mu, layout, error_factor)
    elif layout.kind == "known_cov":
        assert layout.V is not None
        chol = error_factor[0, 0] * layout.V.factor().toarray()
        pm.MvNormal(name, mu, chol=chol, observed=y, dims="obs")
    else:
        sd = error_factor.diagonal()[layout.stratum]
        pm.Normal(name, mu, sd if layout.se is None else sd * layout.se, observed=y, dims="obs")


def _add_units(name: str, y: NDArray[np.float64], mu: Tensor, layout: ErrorLayout, error_factor: Tensor) -> None:
    """Register one multivariate normal per set of data sets in which units were observed."""
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
