"""Chi-square of a regression whose errors are fully known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hierreg.likelihood.engines import Likelihood


def chi_square(likelihood: Likelihood) -> tuple[float, int] | None:
    """Return y'(V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1) y and its degrees of freedom.

    It is the weighted sum of squares that generalised least squares leaves; where V is the covariance of the errors
    and the model holds, it has a chi-square distribution with one degree of freedom per row less one per coefficient.

    Parameters
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
        With the coefficients that are not fixed.

    Returns
    -------
    (float, int) or None
        None where a variance is unknown: that of the errors, or of groups.
    """
    gram = likelihood.gram
    if gram.factors or gram.terms.n_sd:
        return None
    p = len(gram.coef_names)
    C = gram.WtW.sum(axis=0)  # every term of known errors has weight one
    explained = C[:p, p] @ np.linalg.solve(C[:p, :p], C[:p, p])
    return max(float(C[p, p] - explained), 0.0), gram.n - p
