"""Linear functions of all coefficients, and their joint covariance given the variances.

The covariance of beta and all b is never formed. How functions of them get theirs depends on how the equations were
solved, so each solution brings a `JointCovariance`.

References
----------
Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection model.
Biometrics 31(2), 423-447.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.marginal.equations import Solution

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupWeights:
    """Weights of the coefficients of one grouping factor, E entries; those of one function and group add.

    Attributes
    ----------
    row, level : int arrays (E,)
        Function and group of each entry.
    b : array (E, q)
        Weights of the group's coefficients.
    """

    row: Index
    level: Index
    b: Array

    def of_levels(self, s: int) -> tuple[Index, Any]:
        """Return the k groups that occur, and their weights in s functions as a sparse matrix (s, k q)."""
        from scipy.sparse import coo_array

        q = self.b.shape[1]
        levels, place = np.unique(self.level, return_inverse=True)
        entries = (self.b.ravel(), (np.repeat(self.row, q), _columns(place, q).ravel()))
        return levels, coo_array(entries, shape=(s, len(levels) * q)).tocsr()


def no_weights(q: int) -> GroupWeights:
    """Return the weights of functions that have none of a factor of q columns."""
    none = np.empty(0, dtype=np.intp)
    return GroupWeights(row=none, level=none, b=np.empty((0, q)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearFunctions:
    """s linear functions of the population coefficients and of those of some groups.

    Attributes
    ----------
    beta : array (s, p)
        Weights of the population coefficients.
    groups : tuple of GroupWeights
        One per grouping factor.
    """

    beta: Array
    groups: tuple[GroupWeights, ...]


class JointCovariance(abc.ABC):
    """Covariance of linear functions of all coefficients, beta included, at one value of the variances."""

    __slots__ = ()

    @abc.abstractmethod
    def covariance(self, functions: LinearFunctions) -> Array:
        """Return the covariance (s, s)."""

    @abc.abstractmethod
    def variances(self, functions: LinearFunctions) -> Array:
        """Return the variances (s,): the diagonal of `covariance`, in less memory."""


def values(functions: LinearFunctions, beta: Array, b: Sequence[Array]) -> Array:
    """Return the functions (S, s) at S values of beta (S, p) and of b, (S, J, q) per factor.

    Arrays of factors without entries are not read.
    """
    out = np.asarray(beta @ functions.beta.T)
    for f, weights in enumerate(functions.groups):
        if len(weights.row):
            levels, matrix = weights.of_levels(len(functions.beta))
            out += (matrix @ b[f][:, levels].reshape(len(beta), -1).T).T
    return out


def means(functions: LinearFunctions, solution: Solution) -> Array:
    """Return the means (s,) of the functions."""
    out: Array = values(functions, solution.beta[None], [b[None] for b in solution.b])[0]
    return out


def covariance(functions: LinearFunctions, solution: Solution) -> Array:
    """Return the covariance (s, s) of the functions, that of beta included."""
    out = solution.joint.covariance(functions)
    return 0.5 * (out + out.T)


def variances(functions: LinearFunctions, solution: Solution) -> Array:
    """Return the variances (s,) of the functions: the diagonal of `covariance`, in less memory."""
    return solution.joint.variances(functions)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class JointWithFixed(JointCovariance):
    """A joint distribution with some population coefficients at known values.

    Attributes
    ----------
    joint : JointCovariance
        Of the coefficients that are not fixed.
    free : int array
        Their places among all.
    """

    joint: JointCovariance
    free: Index

    def covariance(self, functions: LinearFunctions) -> Array:
        """Return the covariance (s, s)."""
        return self.joint.covariance(replace(functions, beta=functions.beta[:, self.free]))

    def variances(self, functions: LinearFunctions) -> Array:
        """Return the variances (s,)."""
        return self.joint.variances(replace(functions, beta=functions.beta[:, self.free]))


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
        rows, cols = [_columns(alone, q)[:, :, None].repeat(q, 2)], [_columns(alone, q)[:, None, :].repeat(q, 1)]
        parts = [self.b_cond_cov[levels[alone]]]
        for one in np.unique(block_of[levels][block_of[levels] >= 0]):
            members = np.flatnonzero(block_of[levels] == one)
            inside, outside = _columns(slot_of[levels[members]], q).ravel(), _columns(members, q).ravel()
            rows.append(np.repeat(outside, len(outside)))
            cols.append(np.tile(outside, len(outside)))
            parts.append(self.linked_cond_cov[one][np.ix_(inside, inside)])
        data, row, col = (np.concatenate([part.ravel() for part in what]) for what in (parts, rows, cols))
        return coo_array((data, (row, col)), shape=(k * q, k * q)).tocsr()


def _columns(places: Index, q: int) -> Index:
    """Return the q columns of each group at its place (n, q)."""
    columns: Index = places[:, None] * q + np.arange(q)
    return columns
