"""Starting values of the variance parameters, from the cross-products alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.within_units import WITHIN
from hierreg.likelihood.alone import error_terms
from hierreg.variances.parameters import partial_correlations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.errors.within_units import WithinUnits
    from hierreg.gram import Gram
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]


def starting_point(gram: Gram, parameters: VarianceParameters) -> Array:
    """Return u (n_free,): half the residual variance to errors, half to groups, correlations of residuals.

    Parameters
    ----------
    gram : Gram
        y in it is the least-squares residual.
    parameters : VarianceParameters
    """
    units = parameters.within_units
    error_sd, error_corr = _moments_within_units(gram, units) if units.strata else residual_moments(gram)
    if units.strata:
        error_cov = units.covariance(error_sd, error_corr)
    else:
        error_cov = np.eye(1) if parameters.n_error_sd == 0 else error_sd[:, None] * error_corr * error_sd
    group_sd = group_scales(gram, error_cov, parameters) if parameters.n_factor else np.empty(0)
    sds = np.concatenate([group_sd, error_sd])[parameters.sd_is_free] * np.sqrt(0.5)
    u = [np.log(sds)]
    for block, (start, size) in enumerate(zip(parameters.block_starts, parameters.block_sizes, strict=True)):
        if parameters.corr_is_free[block]:
            is_error = start >= parameters.n_factor
            u.append(partial_correlations(error_corr) if is_error else np.zeros(size * (size - 1) // 2))
    if units.strata:
        u.append(units.unconstrained(error_corr))
    return np.concatenate(u)


def expected_curvature(gram: Gram, parameters: VarianceParameters) -> Array:
    """Return about what minus the second derivatives (n_free,) of log p(u | y) are near its maximum.

    That of balanced designs in which groups tell their coefficients well: 2 J for the log sd of J groups, 2 n for that
    of n errors, and J or n for a partial correlation.
    """
    groups = np.repeat([factor.n_levels for factor in gram.factors], [factor.n_coef for factor in gram.factors])
    n_labels, units = len(parameters.error_labels), parameters.within_units
    if units.strata:
        errors = np.full(n_labels, gram.n / n_labels)
    else:
        errors = gram.terms.counts @ gram.terms.patterns if parameters.n_error_sd else np.ones(n_labels)
    count = np.maximum(np.concatenate([groups[: parameters.n_factor], errors]), 1.0)
    out = [2.0 * count[parameters.sd_is_free]]
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free:
            out.append(np.full(size * (size - 1) // 2, count[start : start + size].min()))
    return np.concatenate([*out, np.full(int(units.is_free.sum()), max(errors.min(), 1.0))])


def residual_moments(gram: Gram) -> tuple[Array, Array]:
    """Return sd (D,) and correlation (D, D) of least-squares residuals by data set, kept away from one."""
    D = gram.terms.n_labels
    total, count = np.zeros((D, D)), np.zeros((D, D))
    for k, (m, d, e) in enumerate(gram.terms.table.tolist()):
        cross = gram.WtW[k, -1, -1] * (1.0 if d == e else 0.5)
        total[d, e] += cross
        count[d, e] += gram.terms.counts[m]
    variance = np.diagonal(total) / np.maximum(np.diagonal(count), 1.0)
    floor = 1e-12 * max(float(variance.max()), np.finfo(float).tiny)
    variance = np.maximum(variance, floor)
    sd = np.sqrt(variance)
    # The product of two variances, where a fit is perfect, would underflow.
    corr = total / np.maximum(count, 1.0) / (sd[:, None] * sd)
    corr = np.triu(corr, 1) + np.triu(corr, 1).T
    # Pairwise correlations need not be one matrix: shrink them until they are, comfortably.
    largest = np.abs(np.linalg.eigvalsh(corr)).max(initial=0.0)
    corr *= min(1.0, 0.95 / largest) if largest > 0 else 1.0
    return sd, corr + np.eye(D)


def _moments_within_units(gram: Gram, units: WithinUnits) -> tuple[Array, Array]:
    """Return sds (1 or T,) and within-unit correlations (T,) of least-squares residuals, kept off their bounds."""
    if units.is_in_time:
        return _moments_of_neighbours(gram, units)
    squares, counts = gram.WtW[:, -1, -1], gram.terms.counts
    T = len(units.strata)
    total, rows, within, free = np.zeros((4, T))
    np.add.at(total, units.component_stratum, squares)
    np.add.at(rows, units.component_stratum, counts)
    is_within = units.component_size == WITHIN
    np.add.at(within, units.component_stratum[is_within], squares[is_within])
    np.add.at(free, units.component_stratum[is_within], counts[is_within])
    groups = units.sd_of_stratum
    variance = np.bincount(groups, total) / np.maximum(np.bincount(groups, rows), 1.0)
    variance = np.maximum(variance, 1e-12 * max(float(variance.max()), np.finfo(float).tiny))
    rho = 1.0 - within / np.maximum(free, 1.0) / variance[groups]
    margin = 0.05 * (1.0 - units.lowest)
    rho = np.where(units.is_free, np.clip(rho, units.lowest + margin, 1.0 - margin), units.fixed)
    return np.sqrt(variance), rho


def _moments_of_neighbours(gram: Gram, units: WithinUnits) -> tuple[Array, Array]:
    """Return sd (1,) and correlation one step apart (1,) of residuals with AR(1) errors, kept off its bounds.

    From pairs of the gap that is an odd number of steps and has most of them: its root has a sign.
    """
    terms, squares = gram.terms, gram.WtW[:, -1, -1]
    variance = max(float(squares[terms.each_row].sum()) / gram.n, float(np.finfo(float).tiny))
    if not units.is_free[0]:
        return np.sqrt([variance]), units.fixed
    pattern, d, e = terms.table.T
    chosen = int(np.argmax(np.where(terms.gaps % 2 == 1, terms.counts, 0.0)))
    of_pairs = np.array([squares[(pattern == chosen) & (d == i) & (e == j)].sum() for i, j in ((0, 0), (1, 1), (0, 1))])
    # The term of two rows holds the products of both orders.
    corr = 0.5 * of_pairs[2] / max(float(np.sqrt(of_pairs[0] * of_pairs[1])), float(np.finfo(float).tiny))
    rho = np.sign(corr) * min(abs(corr), 1.0) ** (1.0 / max(int(terms.gaps[chosen]), 1))
    return np.sqrt([variance]), np.clip([rho], -0.9, 0.9)


def group_scales(gram: Gram, error_cov: Array, parameters: VarianceParameters | None = None) -> Array:
    """Return the sd (q,) of each group column at which it moves the response as errors do.

    Parameters
    ----------
    gram : Gram
    error_cov : array (D, D)
        Error covariance of one unit. Rows count by their precision, so data sets may be on different scales.
    parameters : VarianceParameters or None
        Give the sds of coefficients in the frame of their priors, rather than those of the columns as they stand.
    """
    if not gram.factors:
        return np.empty(0)
    back = np.linalg.inv(gram.z_map)
    back = back if parameters is None else parameters.to_internal(back)
    precision = np.diagonal(back.T @ column_precision(gram, error_cov) @ back)
    return 1.0 / np.sqrt(np.maximum(precision, np.finfo(float).tiny))


def column_precision(gram: Gram, error_cov: Array) -> Array:
    """Return Z'R^-1 Z / n (q, q) over each group's own rows, internal scale; zero between factors."""
    omega = error_terms(gram, error_cov)
    out = np.zeros((gram.n_coef, gram.n_coef))
    for factor, here in zip(gram.factors, gram.factor_slices, strict=True):
        own = factor.pair_row == factor.pair_col
        out[here, here] = np.einsum("e,eij->ij", omega[factor.pair_term[own]], factor.ZtZ[own]) / gram.n
    return 0.5 * (out + out.T)
