"""Coefficients of several factors at the mode of their joint density given the variances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from hierreg.likelihood.solution import JointCovariance, LinearFunctions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.joint.structure import Structure

    Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class JointModeCovariance(JointCovariance):
    """beta ~ N(., beta_cov), and all v given beta ~ N(. + slope (beta - .), precision^-1), b_j = Lambda v_j.

    Attributes
    ----------
    structure : Structure
    Lambda : tuple of arrays (q, q)
        By factor of the formula, of the columns as they stand.
    beta_cov : array (p, p)
    slope : array (n, p)
        How the mode of v moves with beta, in the order of the structure.
    solve : function
        (n, s) -> precision^-1 (n, s).
    """

    structure: Structure
    Lambda: tuple[Array, ...]
    beta_cov: Array
    slope: Array
    solve: Any

    def _parts(self, functions: LinearFunctions) -> tuple[Array, Array]:
        """Return the weights of beta, those of the modes included, and those of v (s, n)."""
        s = len(functions.beta)
        by_factor = []
        for f, group in enumerate(functions.groups):
            i = self.structure.order.index(f)
            own = np.zeros((s, int(self.structure.levels[i]), int(self.structure.size[i])))
            np.add.at(own, (group.row, group.level), group.b @ self.Lambda[f])
            by_factor.append(own)
        own = self.structure.together(by_factor)
        return functions.beta + own @ self.slope, own

    def covariance(self, functions: LinearFunctions) -> Array:
        """Return the covariance (s, s)."""
        weights, own = self._parts(functions)
        return np.asarray(weights @ self.beta_cov @ weights.T + own @ self.solve(own.T))

    def variances(self, functions: LinearFunctions) -> Array:
        """Return the variances (s,)."""
        weights, own = self._parts(functions)
        of_beta = np.einsum("sp,pr,sr->s", weights, self.beta_cov, weights)
        return np.asarray(of_beta + np.einsum("sn,ns->s", own, self.solve(own.T)))
