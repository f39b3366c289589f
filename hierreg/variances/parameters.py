"""The variance parameters of a model: how the covariances of groups and errors are made of sds and correlations.

Every covariance is diag(sd) Corr diag(sd). Each bar term of a grouping factor and the errors are one *block*
of columns that may be correlated with each other. All blocks stand one after the other along one diagonal: the
q columns of the grouping factors first, factor by factor, then the D data sets (or strata) of the errors.

The unconstrained vector u holds, in this order: log sd of the free columns; the canonical partial correlations
z = tanh(u) of each block with free correlations, rows of the lower triangle one after the other
(Lewandowski, Kurowicka and Joe 2009, section 2).

Exchangeable errors have columns of independent strata here, and one correlation rho per stratum, last in u: with
(rho - lowest) / (1 - lowest) = (1 + tanh(u)) / 2 it spans (lowest, 1), lowest = -1 / (n - 1) for units of up to n rows.
For pairs that is rho = tanh(u).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.within_units import WITHIN, WithinUnits, no_units
from hierreg.linalg import lower_factor
from hierreg.priors import LKJ, Fixed, GroupFrame, SdPrior

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.errors.within_units import Components
    from hierreg.gram import ErrorTerms
    from hierreg.priors import ResolvedPriors

    Array = NDArray[np.float64]
    # Name, columns, and columns of each bar term, of a grouping factor.
    FactorColumns = tuple[str, tuple[str, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceParameters:
    """Names, priors and structure of all variance parameters of a model.

    Attributes
    ----------
    factors : tuple of str
        Grouping factors, in the order of the formula.
    factor_coef_names : tuple of tuples of str
        The columns of each, q in all.
    error_labels : tuple of str
        The D data sets or strata of the errors; one label where all have one standard deviation.
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
    within_units : WithinUnits
        The correlations of exchangeable errors; empty for others.
    to_raw : array (q, q)
        Lambda = to_raw @ diag(sd) F, for sds and correlations in the frame of their priors (`priors.group_frames`).
    from_raw : array (q, q)
        Its inverse.
    internal : array (q, q) or None
        Lambda in internal coordinates of the columns = internal @ diag(sd) F; None where it is ``z_map^-1 @ to_raw``.
    """

    factors: tuple[str, ...]
    factor_coef_names: tuple[tuple[str, ...], ...]
    error_labels: tuple[str, ...]
    n_error_sd: int
    block_sizes: NDArray[np.int64]
    sd_code: NDArray[np.int64]
    sd_parameters: Array
    corr_is_free: NDArray[np.bool_]
    eta: Array
    fixed_corr_factor: Array
    within_units: WithinUnits = field(default_factory=no_units)
    to_raw: Array
    from_raw: Array
    internal: Array | None = None

    def to_internal(self, z_map_inverse: Array) -> Array:
        """Return the map (q, q) from diag(sd) F to Lambda in internal coordinates."""
        return z_map_inverse @ self.to_raw if self.internal is None else self.internal

    @property
    def n_factor(self) -> int:
        """Number of group columns q, all factors together."""
        return sum(len(names) for names in self.factor_coef_names)

    @property
    def factor_slices(self) -> tuple[slice, ...]:
        """Columns of each grouping factor."""
        ends = np.cumsum([len(names) for names in self.factor_coef_names]).tolist()
        return tuple(slice(end - len(names), end) for end, names in zip(ends, self.factor_coef_names, strict=True))

    @property
    def group_columns(self) -> tuple[tuple[str, str], ...]:
        """Factor and name of each of the q group columns."""
        return tuple(
            (factor, name) for factor, names in zip(self.factors, self.factor_coef_names, strict=True) for name in names
        )

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
        return int(self.sd_is_free.sum() + pairs[self.corr_is_free].sum() + self.within_units.is_free.sum())

    @property
    def column_names(self) -> tuple[str, ...]:
        """Public name of the sd of each column, as in ``sd_Subject[Days]``."""
        mine = tuple(f"sd_{factor}[{name}]" for factor, name in self.group_columns)
        if len(self.error_labels) == 1:
            return (*mine, "error_sd")
        return mine + tuple(f"error_sd[{label}]" for label in self.error_labels)

    @property
    def free_names(self) -> tuple[str, ...]:
        """Public name of the parameter behind each element of u."""
        names = [name for name, free in zip(self.column_names, self.sd_is_free, strict=True) if free]
        columns = self.group_columns
        labels = (*(name for _, name in columns), *self.error_labels)
        for block, (start, size) in enumerate(zip(self.block_starts, self.block_sizes, strict=True)):
            if self.corr_is_free[block]:
                what = "error_corr" if start >= self.n_factor else f"corr_{columns[start][0]}"
                names += [f"{what}[{labels[start + i]}, {labels[start + j]}]" for i in range(size) for j in range(i)]
        strata, free = self.within_units.strata, self.within_units.is_free
        names += [
            "error_corr" if len(strata) == 1 else f"error_corr[{label}]"
            for label, is_free in zip(strata, free, strict=True)
            if is_free
        ]
        return tuple(names)


def variance_parameters(
    terms: ErrorTerms,
    priors: ResolvedPriors,
    *,
    factors: Sequence[FactorColumns],
) -> VarianceParameters:
    """Return the variance parameters of a model.

    Parameters
    ----------
    terms : ErrorTerms
        The error structure.
    priors : ResolvedPriors
        One prior for every sd and correlation.
    factors : sequence of (str, tuple of str, tuple of int)
        Name, columns and columns of each bar term of each grouping factor.
    """
    sds = [sd for name, _, _ in factors for sd in priors.sd[name]]
    sds += list(priors.error_sd) if terms.n_sd else [Fixed(1.0)]
    corrs: list[LKJ | Fixed | None] = [corr for name, _, _ in factors for corr in priors.corr[name]]
    within_units, labels = no_units(), terms.labels
    error_corr = priors.error_corr
    if terms.components is not None:
        assert isinstance(error_corr, tuple)
        within_units, error_corr = _within_units(terms.components, error_corr), None
        labels = ("sigma",) if terms.components.common_sd else terms.components.strata
    assert not isinstance(error_corr, tuple)
    corrs.append(error_corr)
    sizes = [*(size for _, _, term_sizes in factors for size in term_sizes), len(labels)]
    return VarianceParameters(
        factors=tuple(name for name, _, _ in factors),
        factor_coef_names=tuple(tuple(coefs) for _, coefs, _ in factors),
        error_labels=labels,
        n_error_sd=terms.n_sd,
        block_sizes=np.array(sizes, dtype=np.int64),
        sd_code=np.array([sd.code for sd in sds], dtype=np.int64),
        sd_parameters=np.array([_sd_parameters(sd) for sd in sds]),
        corr_is_free=np.array([isinstance(c, LKJ) and s > 1 for c, s in zip(corrs, sizes, strict=True)]),
        eta=np.array([c.eta if isinstance(c, LKJ) else 1.0 for c in corrs]),
        fixed_corr_factor=_fixed_factors(corrs, sizes),
        within_units=within_units,
        to_raw=_on_diagonal([_frame(priors, name, coefs).to_raw for name, coefs, _ in factors]),
        from_raw=_on_diagonal([_frame(priors, name, coefs).from_raw for name, coefs, _ in factors]),
        internal=_on_diagonal([priors.frames[name].internal for name, _, _ in factors]) if priors.frames else None,
    )


def _frame(priors: ResolvedPriors, name: str, coefs: tuple[str, ...]) -> GroupFrame:
    same = np.eye(len(coefs))
    return priors.frames.get(name) or GroupFrame(to_raw=same, from_raw=same, internal=same)


def _on_diagonal(blocks: Sequence[Array]) -> Array:
    out = np.zeros((sum(map(len, blocks)),) * 2)
    start = 0
    for block in blocks:
        out[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return out


def _within_units(components: Components, priors: tuple[LKJ | Fixed, ...]) -> WithinUnits:
    largest = components.largest
    T = len(components.strata)
    size = components.size.astype(float)
    rest = np.where(components.size == WITHIN, 0.0, 1.0 - (size - 1.0) / (largest[components.stratum] - 1.0))
    return WithinUnits(
        strata=components.strata,
        component_stratum=components.stratum.astype(np.int64),
        component_size=components.size.astype(np.int64),
        rest=rest,
        sd_of_stratum=np.zeros(T, dtype=np.int64) if components.common_sd else np.arange(T, dtype=np.int64),
        lowest=components.lowest,
        is_free=np.array([isinstance(prior, LKJ) for prior in priors]),
        eta=np.array([prior.eta if isinstance(prior, LKJ) else 1.0 for prior in priors]),
        fixed=np.array([float(prior.array) if isinstance(prior, Fixed) else 0.0 for prior in priors]),
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
        Standard deviations of the group columns, factor by factor.
    corr : array (S, q, q)
        Their correlations; zero between factors.
    Lambda : array (S, q, q)
        Factor of their covariance, user scale; block diagonal over factors.
    error_sd : array (S, D)
    error_corr : array (S, D, D)
        Of exchangeable errors the correlation within units, (S, T).
    error_cov : array (S, D, D)
        What the likelihood takes; of exchangeable errors the variances of their C components, diagonal (S, C, C).
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
    group_sd, group_corr, Lambda = of_raw_coefficients(parameters.to_raw, sd[:, :q], corr[:, :q, :q], factor[:, :q, :q])
    error_corr, error_cov = corr[:, q:, q:], factor[:, q:, q:] @ np.swapaxes(factor[:, q:, q:], 1, 2)
    if parameters.within_units.strata:
        error_corr = parameters.within_units.correlations(u[:, place:])
        error_cov = parameters.within_units.covariance_at(sd[:, q:], u[:, place:])
    return Covariances(
        sd=group_sd,
        corr=group_corr,
        Lambda=Lambda,
        error_sd=sd[:, q:],
        error_corr=error_corr,
        error_cov=error_cov,
    )


def of_raw_coefficients(to_raw: Array, sd: Array, corr: Array, Lambda: Array) -> tuple[Array, Array, Array]:
    """Return sds (S, q), correlations (S, q, q) and Lambda (S, q, q) of coefficients from those in the frame of priors.

    Correlations are exact at zero sds in the frame where a coefficient is one of the frame; a coefficient without
    variance has none with others.
    """
    if np.array_equal(to_raw, np.eye(len(to_raw))):
        return sd, corr, Lambda
    Lambda = to_raw @ Lambda
    plain = np.flatnonzero(np.count_nonzero(to_raw, axis=1) == 1)
    length = np.sqrt(np.sum(Lambda**2, axis=2))
    row = Lambda / np.where(length > 0, length, 1.0)[:, :, None]
    out = row @ np.swapaxes(row, 1, 2)
    diagonal = np.arange(len(to_raw))
    out[:, diagonal, diagonal] = 1.0
    length[:, plain] = sd[:, plain]
    out[:, plain[:, None], plain] = corr[:, plain[:, None], plain]
    return length, out, Lambda


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
