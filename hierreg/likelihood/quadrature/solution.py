"""Coefficients at the mode of their joint density given the variances: what Laplace's approximation says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from hierreg.likelihood.solution import JointCovariance, LinearFunctions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ModeCovariance(JointCovariance):
    """beta ~ N(., beta_cov), and b_j given beta ~ N(. + slope_j (beta - .), cond_cov_j), independent over groups.

    Attributes
    ----------
    beta_cov : array (p, p)
    slope : array (J, q, p)
        How the mode of b_j moves with beta.
    cond_cov : array (J, q, q)
    """

    beta_cov: Array
    slope: Array
    cond_cov: Array

    def _parts(self, functions: LinearFunctions) -> tuple[Array, Array]:
        """Return the weights of beta, those of the groups' modes included, and what else the groups add (s, J q)."""
        weights = functions.beta.copy()
        s, (J, q) = len(weights), self.slope.shape[:2]
        own = np.zeros((s, J, q))
        for group in functions.groups:
            np.add.at(own, (group.row, group.level), group.b)
            np.add.at(weights, group.row, np.einsum("eq,eqp->ep", group.b, self.slope[group.level]))
        return weights, own

    def covariance(self, functions: LinearFunctions) -> Array:
        """Return the covariance (s, s)."""
        weights, own = self._parts(functions)
        of_groups = np.einsum("sjq,jqr,tjr->st", own, self.cond_cov, own)
        return np.asarray(weights @ self.beta_cov @ weights.T + of_groups)

    def variances(self, functions: LinearFunctions) -> Array:
        """Return the variances (s,)."""
        weights, own = self._parts(functions)
        of_beta = np.einsum("sp,pr,sr->s", weights, self.beta_cov, weights)
        return np.asarray(of_beta + np.einsum("sjq,jqr,sjr->s", own, self.cond_cov, own))
