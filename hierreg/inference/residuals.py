"""`residuals`: of an estimate, about its groups or the population, raw or in units of the errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from hierreg.checks import check_choice
from hierreg.exceptions import ModelError
from hierreg.inference.errors import error_blocks, row_variances
from hierreg.results.of_rows import fitted_values, problem_with_rows
from hierreg.results.point import Estimate

if TYPE_CHECKING:
    import xarray as xr

# Smallest eigenvalue of a correlation matrix that is none.
_SINGULAR = 1e-9


def residuals(
    est: Estimate,
    kind: Literal["response", "pearson", "normalized"] = "response",
    *,
    level: Literal["group", "population"] = "group",
) -> xr.DataArray:
    """Return the residuals of an estimate.

    Parameters
    ----------
    est : Estimate
        From `Model.estimate`, of a model with its rows.
    kind : {"response", "pearson", "normalized"}
        In units of the response; divided by the error standard deviation of each row, which strata, weights and known
        errors differ in; or made independent too, where errors are correlated: L^-1 r, with L L' the covariance of the
        errors in the order of the rows.
    level : {"group", "population"}
        About x beta + z b, or about x beta.

    Returns
    -------
    DataArray (obs)
        In the order of the rows. Fitted values are shrunken, so that these residuals are smaller than the errors.

    Raises
    ------
    ModelError
        If `est` is no estimate, its model has no rows, the response is not normal, or error correlations are singular.

    See Also
    --------
    hierreg.check : Checks of residuals by their exact variances, in words.
    posterior_predictive : Checks of a model by replicated responses, of any family.

    References
    ----------
    Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, chapters 4 and 5.

    Examples
    --------
    >>> import hierreg as hr
    >>> est = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy")).estimate()
    >>> hr.residuals(est).to_numpy()[:3].round(3).tolist()
    [-4.104, -14.625, -42.196]
    >>> hr.residuals(est, "pearson").to_numpy()[:3].round(3).tolist()
    [-0.16, -0.571, -1.649]
    """
    import xarray as xr

    if not isinstance(est, Estimate):
        raise ModelError(f"est has type {type(est).__name__}; an Estimate from Model.estimate is required.")
    check_choice(kind, ("response", "pearson", "normalized"), argument="kind", error=ModelError)
    check_choice(level, ("group", "population"), argument="level", error=ModelError)
    y = problem_with_rows(est, "residuals").design.y
    out = y - fitted_values(est, "residuals", groups=level == "group")
    if kind == "pearson":
        out = out / np.sqrt(row_variances(est))
    elif kind == "normalized":
        raw, out = out, np.empty_like(out)
        for rows, block in error_blocks(est):
            out[rows] = raw[rows] / np.sqrt(block) if block.ndim == 1 else _whitened(block, raw[rows])
    return xr.DataArray(out, dims=("obs",), coords={"obs": np.arange(len(out))})


def _whitened(cov: np.ndarray, values: np.ndarray) -> np.ndarray:
    from scipy.linalg import solve_triangular

    sd = np.sqrt(np.diagonal(cov))
    if np.linalg.eigvalsh(cov / sd[:, None] / sd)[0] < _SINGULAR:
        raise ModelError(
            "kind='normalized': the estimated errors have a singular correlation, so that they cannot be made "
            "independent. Use kind='pearson'."
        )
    return np.asarray(solve_triangular(np.linalg.cholesky(cov), values, lower=True))
