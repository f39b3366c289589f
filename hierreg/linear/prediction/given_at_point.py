"""Best linear prediction of new rows at one value of the variances, given further rows with their response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.linear.prediction.conditioning import GivenRows, Inverse, check_memory
from hierreg.linear.prediction.plug_in import Predicted, predict_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.likelihood.solution import Solution

    Array = NDArray[np.float64]


def predict_given(
    design: Design, given: GivenRows, solution: Solution, error_cov: Array, *, observation: bool, covariance: bool
) -> Predicted:
    """Return the best linear predictions given further rows, and the variances of their errors.

    Given the rows of the fit, expected values f (g: given, n: new) have means m and covariance C, and errors are
    independent of them with covariance E. What given rows say of new errors is D = E_ng E_gg^-1 of their own, so the
    expected value is D y_g + h with h = f_n - D f_g, and h given y_g = f_g + e_g is normal:

        mean  m_h + C_hg V^-1 (y_g - m_g),   V = C_gg + E_gg
        cov   C_hh - C_hg V^-1 C_gh

    Parameters
    ----------
    design, solution, error_cov, observation, covariance
        As `predict_at` takes them.
    given : GivenRows

    References
    ----------
    Goldberger (1962), Journal of the American Statistical Association 57, 369-375.
    """
    check_memory(given)
    whole = predict_at(design, given.stack, solution, error_cov, observation=True, covariance=True)
    assert whole.cov is not None
    assert whole.error_cov is not None
    (m, C, E), G = (whole.mean, whole.cov, whole.error_cov), len(given.y)
    D = Inverse.of(E[:G, :G]).times(E[:G, G:]).T if np.any(E[:G, G:]) else np.zeros((len(m) - G, G))
    inverse = Inverse.of(C[:G, :G] + E[:G, :G])
    C_hg = C[G:, :G] - D @ C[:G, :G]
    white, residual = inverse.whitened(C_hg.T), inverse.whitened((given.y - m[:G])[:, None])[:, 0]
    # C_hh = C_nn - C_nh' D' - D C_gn, of which C_hg is a part.
    cov = C[G:, G:] - C_hg @ D.T - D @ C[:G, G:] - white.T @ white
    cov = 0.5 * (cov + cov.T)
    variance = np.maximum(cov.diagonal(), 0.0)
    np.fill_diagonal(cov, variance)
    error = E[G:, G:] - D @ E[:G, G:]
    return Predicted(
        mean=m[G:] + D @ (given.y - m[:G]) + white.T @ residual,
        variance=variance,
        error_variance=np.maximum(error.diagonal(), 0.0) if observation else None,
        cov=cov if covariance else None,
        error_cov=error if covariance and observation else None,
    )
