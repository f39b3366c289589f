"""The joint covariance of all coefficients where groups stand alone or in small linked blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from hierreg.likelihood.solution import JointCovariance, columns_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.solution import LinearFunctions

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BlockJoint(JointCovariance):
    """At most one grouping factor: groups that share no errors are correlated through beta_hat alone.

    With u one standard normal per population coefficient, ``beta = beta_hat + F u`` and
    ``b_j = b_hat_j + G_j u + e_j``, where e_j and e_k are independent unless correlated errors link the groups.

    Attributes
    ----------
    beta_factor : array (p, p)
        F.
    b_factor : array (J, q, p)
        G_j.
    b_cond_cov : array (J, q, q)
        Var(e_j).
    linked_levels : int array (n, slots)
        Groups whose e_j are correlated with one another, by errors that link them; -1 where a slot is empty.
    linked_cond_cov : array (n, slots * q, slots * q)
        Joint covariance of their e_j.
    """

    beta_factor: Array
    b_factor: Array
    b_cond_cov: Array
    linked_levels: Index
    linked_cond_cov: Array

    def covariance(self, functions: LinearFunctions) -> Array:
        """Return the covariance (s, s)."""
        factor = self._population_factor(functions)
        out = factor @ factor.T
        for weights in functions.groups:
            if len(weights.row):
                levels, matrix = weights.of_levels(len(functions.beta))
                out = out + (matrix @ self._conditional_covariance(levels) @ matrix.T).toarray()
        return np.asarray(out)

    def variances(self, functions: LinearFunctions) -> Array:
        """Return the variances (s,)."""
        out: Array = np.sum(self._population_factor(functions) ** 2, axis=1)
        for weights in functions.groups:
            if len(weights.row):
                levels, matrix = weights.of_levels(len(functions.beta))
                product = matrix @ self._conditional_covariance(levels)
                out = out + np.asarray(product.multiply(matrix).sum(axis=1)).ravel()
        return out

    def _population_factor(self, functions: LinearFunctions) -> Array:
        """Return the weights (s, p) of u. Not through beta_cov, which loses the digits that an offset cancels."""
        factor: Array = functions.beta @ self.beta_factor
        for weights in functions.groups:
            np.add.at(factor, weights.row, np.einsum("eq,eqr->er", weights.b, self.b_factor[weights.level]))
        return factor

    def _conditional_covariance(self, levels: Index) -> Any:
        """Return the covariance of e_j, sparse (k q, k q), of k groups."""
        from scipy.sparse import coo_array

        J, q = self.b_cond_cov.shape[:2]
        k = len(levels)
        block_of = np.full(J, -1, dtype=np.intp)
        slot_of = np.zeros(J, dtype=np.intp)
        block, slot = np.nonzero(self.linked_levels >= 0)
        block_of[self.linked_levels[block, slot]] = block
        slot_of[self.linked_levels[block, slot]] = slot
        alone = np.flatnonzero(block_of[levels] < 0)
        rows, cols = [columns_of(alone, q)[:, :, None].repeat(q, 2)], [columns_of(alone, q)[:, None, :].repeat(q, 1)]
        parts = [self.b_cond_cov[levels[alone]]]
        for one in np.unique(block_of[levels][block_of[levels] >= 0]):
            members = np.flatnonzero(block_of[levels] == one)
            inside, outside = columns_of(slot_of[levels[members]], q).ravel(), columns_of(members, q).ravel()
            rows.append(np.repeat(outside, len(outside)))
            cols.append(np.tile(outside, len(outside)))
            parts.append(self.linked_cond_cov[one][np.ix_(inside, inside)])
        data, row, col = (np.concatenate([part.ravel() for part in what]) for what in (parts, rows, cols))
        return coo_array((data, (row, col)), shape=(k * q, k * q)).tocsr()
