"""The solution of the mixed-model equations, linear functions of all coefficients, and their joint covariance.

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
        entries = (self.b.ravel(), (np.repeat(self.row, q), columns_of(place, q).ravel()))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Coefficients given the variances: a joint Gaussian, user scale.

    Attributes
    ----------
    beta : array (p,)
        BLUE under a flat prior, else the conditional posterior mean.
    beta_cov : array (p, p)
    b : tuple of arrays (J, q)
        BLUPs; here and below one array per grouping factor, J its groups and q its columns.
    b_cov : tuple of arrays (J, q, q)
        Prediction-error covariances: Var(b_hat - b), beta estimated.
    b_cond_cov : tuple of arrays (J, q, q)
        Var(b_j | y, beta): beta taken as known (lme4's condVar).
    beta_b_cov : tuple of arrays (J, p, q)
        Posterior covariance of beta and b_j.
    joint : JointCovariance
        Covariance of linear functions of all coefficients.
    Sigma : array (q, q)
        What the coefficients are given: covariance of b_j, the columns of all factors, block diagonal.
    error_cov : array (D, D)
        And of the errors of one unit.
    with_thresholds : JointCovariance or None
        Of linear functions whose weights of beta are followed by those of thresholds, which ordered categories have.
    """

    beta: Array
    beta_cov: Array
    b: tuple[Array, ...]
    b_cov: tuple[Array, ...]
    b_cond_cov: tuple[Array, ...]
    beta_b_cov: tuple[Array, ...]
    joint: JointCovariance
    Sigma: Array
    error_cov: Array
    with_thresholds: JointCovariance | None = None


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


def columns_of(places: Index, q: int) -> Index:
    """Return the q columns of each group at its place (n, q)."""
    columns: Index = places[:, None] * q + np.arange(q)
    return columns
