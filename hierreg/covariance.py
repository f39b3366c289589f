"""The variance parameters of a model: how the covariances of groups and errors are made of sds and correlations.

Every covariance is diag(sd) Corr diag(sd). Each bar term of the grouping factor and the errors are one *block*
of columns that may be correlated with each other. All blocks stand one after the other along one diagonal: the
q columns of the grouping factor first, then the D data sets (or strata) of the errors.

The unconstrained vector u holds, in this order: log sd of the free columns; the canonical partial correlations
z = tanh(u) of each block with free correlations, rows of the lower triangle one after the other
(Lewandowski, Kurowicka and Joe 2009, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.linalg import lower_factor
from hierreg.priors import LKJ, Fixed, SdPrior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import ErrorTerms
    from hierreg.priors import ResolvedPriors

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceParameters:
    """Names, priors and structure of all variance parameters of a model.

    Attributes
    ----------
    factor : str or None
        Grouping factor.
    factor_coef_names : tuple of str
        Its q columns.
    error_labels : tuple of str
        The D data sets or strata of the errors.
    n_error_sd : int
        D, or 0 where the errors are fully known (their block then is the constant one).
    block_sizes : int array (n_blocks,)
        Columns of each block: the bar terms, then the errors. Sums to q + D.
    sd_code : int array (q + D,)
        Family of each sd; `Fixed.code` where it is a constant.
    sd_parameters : array (q + D, 2)
        Parameters of the family; (value, 0) of a constant.
    corr_is_free : bool array (n_blocks,)
        Whether the block has free correlations, with an LKJ prior.
    eta : array (n_blocks,)
        LKJ parameter of the free blocks.
    fixed_corr_factor : array (q + D, q + D)
        Lower factors of the correlations that are constants, block by block.
    """

    factor: str | None
    factor_coef_names: tuple[str, ...]
    error_labels: tuple[str, ...]
    n_error_sd: int
    block_sizes: NDArray[np.int64]
    sd_code: NDArray[np.int64]
    sd_parameters: Array
    corr_is_free: NDArray[np.bool_]
    eta: Array
    fixed_corr_factor: Array

    @property
    def n_factor(self) -> int:
        """Number of group columns q."""
        return len(self.factor_coef_names)

    @property
    def n_columns(self) -> int:
        """Number of columns q + D of all blocks."""
        return len(self.sd_code)

    @property
    def sd_is_free(self) -> NDArray[np.bool_]:
        """Which sds are unknown, shape (q + D,)."""
        return np.asarray(self.sd_code != Fixed.code)

    @property
    def block_starts(self) -> NDArray[np.int64]:
        """First column of each block, shape (n_blocks,)."""
        return np.concatenate([[0], np.cumsum(self.block_sizes)[:-1]]).astype(np.int64)

    @property
    def n_free(self) -> int:
        """Length of the unconstrained vector u."""
        pairs = self.block_sizes * (self.block_sizes - 1) // 2
        return int(self.sd_is_free.sum() + pairs[self.corr_is_free].sum())

    @property
    def column_names(self) -> tuple[str, ...]:
        """Public name of the sd of each column, as in ``sd_Subject[Days]``."""
        mine = tuple(f"sd_{self.factor}[{name}]" for name in self.factor_coef_names)
        if len(self.error_labels) == 1:
            return (*mine, "error_sd")
        return mine + tuple(f"error_sd[{label}]" for label in self.error_labels)

    @property
    def free_names(self) -> tuple[str, ...]:
        """Public name of the parameter behind each element of u."""
        names = [name for name, free in zip(self.column_names, self.sd_is_free, strict=True) if free]
        labels = self.factor_coef_names + self.error_labels
        for block, (start, size) in enumerate(zip(self.block_starts, self.block_sizes, strict=True)):
            if self.corr_is_free[block]:
                what = "error_corr" if start >= self.n_factor else f"corr_{self.factor}"
                names += [f"{what}[{labels[start + i]}, {labels[start + j]}]" for i in range(size) for j in range(i)]
        return tuple(names)


def variance_parameters(
    terms: ErrorTerms,
    priors: ResolvedPriors,
    *,
    factor: str | None,
    factor_coef_names: tuple[str, ...],
    term_sizes: tuple[int, ...],
) -> VarianceParameters:
    """Return the variance parameters of a model.

    Parameters
    ----------
    terms : ErrorTerms
        The error structure.
    priors : ResolvedPriors
        One prior for every sd and correlation.
    factor : str or None
        Grouping factor.
    factor_coef_names : tuple of str
        Its q columns.
    term_sizes : tuple of int
        Columns of each bar term, summing to q.
    """
    sds = list(priors.sd[factor]) if factor else []
    sds += list(priors.error_sd) if terms.n_sd else [Fixed(1.0)]
    corrs: list[LKJ | Fixed | None] = list(priors.corr[factor]) if factor else []
    corrs.append(priors.error_corr)
    sizes = [*term_sizes, terms.n_labels]
    return VarianceParameters(
        factor=factor,
        factor_coef_names=factor_coef_names,
        error_labels=terms.labels,
        n_error_sd=terms.n_sd,
        block_sizes=np.array(sizes, dtype=np.int64),
        sd_code=np.array([sd.code for sd in sds], dtype=np.int64),
        sd_parameters=np.array([_sd_parameters(sd) for sd in sds]),
        corr_is_free=np.array([isinstance(c, LKJ) and s > 1 for c, s in zip(corrs, sizes, strict=True)]),
        eta=np.array([c.eta if isinstance(c, LKJ) else 1.0 for c in corrs]),
        fixed_corr_factor=_fixed_factors(corrs, sizes),
    )


def _sd_parameters(sd: SdPrior | Fixed) -> tuple[float, float]:
    return sd.parameters


def _fixed_factors(corrs: list[LKJ | Fixed | None], sizes: list[int]) -> Array:
    out = np.eye(sum(sizes))
    start = 0
    for corr, size in zip(corrs, sizes, strict=True):
        if isinstance(corr, Fixed):
            out[start : start + size, start : start + size] = lower_factor(corr.array)
        start += size
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariances:
    """Covariances at S values of the variance parameters.

    Attributes
    ----------
    sd : array (S, q)
        Standard deviations of the group columns.
    corr : array (S, q, q)
        Their correlations.
    Lambda : array (S, q, q)
        Factor of their covariance, user scale.
    error_sd : array (S, D)
    error_corr : array (S, D, D)
    error_cov : array (S, D, D)
    """

    sd: Array
    corr: Array
    Lambda: Array
    error_sd: Array
    error_corr: Array
    error_cov: Array


def covariances(parameters: VarianceParameters, u: Array) -> Covariances:
    """Return the covariances at S unconstrained vectors.

    Parameters
    ----------
    parameters : VarianceParameters
    u : array (S, n_free)
    """
    S, Q, q = len(u), parameters.n_columns, parameters.n_factor
    free = parameters.sd_is_free
    sd = np.tile(parameters.sd_parameters[:, 0], (S, 1))
    sd[:, free] = np.exp(u[:, : free.sum()])
    L = np.tile(parameters.fixed_corr_factor, (S, 1, 1))
    place = int(free.sum())
    for block, (start, size) in enumerate(zip(parameters.block_starts, parameters.block_sizes, strict=True)):
        if parameters.corr_is_free[block]:
            count = size * (size - 1) // 2
            L[:, start : start + size, start : start + size] = corr_factor(u[:, place : place + count], int(size))
            place += count
    corr = L @ np.swapaxes(L, 1, 2)
    corr[:, np.arange(Q), np.arange(Q)] = 1.0
    factor = sd[:, :, None] * L
    return Covariances(
        sd=sd[:, :q],
        corr=corr[:, :q, :q],
        Lambda=factor[:, :q, :q],
        error_sd=sd[:, q:],
        error_corr=corr[:, q:, q:],
        error_cov=factor[:, q:, q:] @ np.swapaxes(factor[:, q:, q:], 1, 2),
    )


def corr_factor(u: Array, size: int) -> Array:
    """Return lower factors (S, size, size) of correlation matrices from partial correlations tanh(u)."""
    z = np.tanh(u)
    # sech, not sqrt(1 - z^2), which loses all digits near one.
    sech = 1.0 / np.cosh(np.clip(u, -350.0, 350.0))
    L = np.zeros((len(u), size, size))
    place = 0
    for i in range(size):
        rest = np.ones(len(u))
        for j in range(i):
            L[:, i, j] = z[:, place] * rest
            rest = rest * sech[:, place]
            place += 1
        L[:, i, i] = rest
    return L


def partial_correlations(corr: Array) -> Array:
    """Return the unconstrained vector u of one correlation matrix, the inverse of `corr_factor`."""
    L = lower_factor(corr)
    u = []
    for i in range(len(corr)):
        rest = 1.0
        for j in range(i):
            z = np.clip(L[i, j] / rest, -1 + 1e-12, 1 - 1e-12)
            u.append(np.arctanh(z))
            rest *= np.sqrt(1.0 - z * z)
    return np.array(u)
