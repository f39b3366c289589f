"""The space that REML and ML are maximised over: a factor of Sigma, on scales set by the errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.optimise import signs_of_columns
from hierreg.estimate.screening import SIZES, SPREAD, directions
from hierreg.estimate.starting_values import column_precision, expected_curvature, starting_point
from hierreg.likelihood.alone import error_terms
from hierreg.likelihood.engines import log_curvature
from hierreg.variances.parameters import Covariances, covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import Gram
    from hierreg.likelihood.engines import Likelihood
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]

# Standard deviations at the start, in units in which groups and errors matter alike.
_START_RANGE = (0.1, 10.0)
# Variance of the errors at the start, in the same units.
_START_ERRORS = (0.2, 2.0)
# Sizes of group effects beside the errors, errors of one stratum beside their moments, at further starts.
_SIZES_OF_GROUPS, _SMALL_ERRORS, _MOST_STRATA = (0.2, 5.0), 0.05, 6
# Of log sds: beyond it a slope along a variance, 1 / sd^4 beside squares of the response, may be no number.
OUT_OF_RANGE = 150.0
# Length of a row of the factor, beside the errors, below which it is not scaled up.
_SMALLEST_ROW = 0.03
# Of an element, below which derivatives over its logarithm say little of those over itself.
_SMALLEST_LOG = 1e-3
# Smallest singular value of the factor, in the same units.
_NEARLY_SINGULAR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorCoordinates:
    """The search space (entries of a factor of Sigma, then u of the errors) and the criterion on it.

    A factor with a single correlated term is searched in coordinates in which its columns are orthogonal and matter as
    much as the errors; several terms, or uncorrelated columns, keep their zeros only in the user's.

    Attributes
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
    errors : VarianceParameters
        Those of the errors alone.
    rows, cols : int arrays (m,)
        Entries of the factor that are free.
    pivot : int array (q,)
        Row of the diagonal entry of each column: its own, unless rows were put in another order (`pivoted_at`).
    basis : array (q, q)
        Lambda = basis @ factor; block diagonal over grouping factors.
    scale : array (q,)
        Unit of each row of the factor.
    """

    likelihood: Likelihood
    errors: VarianceParameters
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    pivot: NDArray[np.intp]
    basis: Array
    scale: Array

    @property
    def is_diagonal(self) -> NDArray[np.bool_]:
        """Which entries (m,) are those of standard deviations where nothing is correlated."""
        return np.asarray(self.rows == self.pivot[self.cols])

    def start(self) -> tuple[Array, Array]:
        """Return where to start, and about what minus the second derivatives are there, both (m + errors,).

        A diagonal factor by the method of moments, errors as what is left. The information on a standard deviation is
        2 sum rho^2 / sd^2, rho the reliability of a group's coefficient.
        """
        gram = self.likelihood.gram
        u = starting_point(gram, self.errors)
        sd, groups = _between_groups(gram, self.basis, covariances(self.errors, u[None]).error_cov[0])
        sd = sd / self.scale
        # They are half of the variance of residuals in it.
        left = np.clip(2.0 - np.sum(sd * sd), *_START_ERRORS)
        u[: int(self.errors.sd_is_free.sum())] += 0.5 * np.log(left)
        diagonal = np.clip(sd, *_START_RANGE)
        x = np.concatenate([np.where(self.is_diagonal, diagonal[self.rows], 0.0), u])
        information = 2.0 * np.maximum(groups, 1.0)[self.rows] / (diagonal[self.rows] * diagonal[self.pivot[self.cols]])
        return x, np.concatenate([information, expected_curvature(gram, self.errors)])

    def neutral_start(self) -> Array:
        """Return where groups and errors matter alike (m + errors,)."""
        diagonal = np.where(self.is_diagonal, 1.0, 0.0)
        return np.concatenate([diagonal, starting_point(self.likelihood.gram, self.errors)])

    def curvature_at(self, x: Array) -> Array:
        """Return about what minus the second derivatives (m + errors,) are between a start and the maximum."""
        m = len(self.rows)
        groups = (
            np.repeat(
                [factor.n_levels for factor in self.likelihood.gram.factors],
                [factor.n_coef for factor in self.likelihood.gram.factors],
            )[self.rows]
            if m
            else np.empty(0)
        )
        inner = np.maximum(self.sizes(x)[:m], 1.0)
        return np.concatenate([2.0 * groups / inner**2, expected_curvature(self.likelihood.gram, self.errors)])

    def further_starts(self) -> list[Array]:
        """Return starts where groups differ much more, or less, than errors, and where one stratum has small errors."""
        neutral, m = self.neutral_start(), len(self.rows)
        n_sd = int(self.errors.sd_is_free.sum())
        errors = [np.zeros(n_sd)]
        if 1 < n_sd <= _MOST_STRATA and not self.errors.corr_is_free[-1]:
            errors += list(np.log(_SMALL_ERRORS) * np.eye(n_sd))
        out = []
        for size in _SIZES_OF_GROUPS if m else (1.0,):
            for change in errors:
                x = neutral.copy()
                x[:m] *= size
                x[m : m + n_sd] += change
                out.append(x)
        free = np.flatnonzero(self.errors.within_units.is_free)
        if len(free) or self.errors.corr_is_free[-1]:
            # Errors without correlation: what is common to a unit may be its group's.
            x = neutral.copy()
            x[m + n_sd :] = 0.0
            out.append(x)
        return out

    def line_of_sizes(self) -> Array:
        """Return the neutral start with group coefficients of other sizes (K, m + errors)."""
        line, m = np.tile(self.neutral_start(), (len(SIZES), 1)), len(self.rows)
        line[:, :m] *= np.exp(SIZES)[:, None]
        return line

    def spread_points(self, known: list[Array]) -> tuple[Array, Array, Array]:
        """Return points (K, m + errors) that are spread about the neutral start, where they are, and where others are.

        Places are in log sds beside it, clipped, without signs: the factor has the same criterion under both.
        """
        neutral, m = self.neutral_start(), len(self.rows)
        z = directions(len(neutral))
        is_diagonal = self.is_diagonal
        points = neutral + SPREAD * z
        sd = np.zeros((len(z), len(self.basis)))
        sd[:, self.rows[is_diagonal]] = np.exp(points[:, :m][:, is_diagonal] - 1.0)
        points[:, :m] = np.where(is_diagonal, 1.0, z[:, :m]) * sd[:, self.rows]
        everything = np.concatenate([points, np.array(known).reshape(len(known), len(neutral))])
        places = everything - neutral
        places[:, :m] = np.log(np.maximum(np.abs(everything[:, :m]), np.exp(-2.0 * SPREAD)))
        places = np.clip(places, -2.0 * SPREAD, 2.0 * SPREAD)
        return points, places[: len(z)], places[len(z) :]

    def sizes(self, x: Array) -> Array:
        """Return in which units (m + errors,) an uncertainty is one of a log sd or of a correlation."""
        m = len(self.rows)
        return np.concatenate([np.linalg.norm(self._in_units(x), axis=1)[self.rows], np.ones(len(x) - m)])

    def is_nearly_singular(self, x: Array) -> bool:
        """Return whether the factor at x is near the boundary, where the criterion can have a second maximum."""
        return self.least_singular_value(x) < _NEARLY_SINGULAR

    def least_singular_value(self, x: Array) -> float:
        """Return the smallest singular value of the factor at x, in its units; infinite where there is none."""
        return float(np.linalg.svd(self._in_units(x), compute_uv=False).min(initial=np.inf))

    def _in_units(self, x: Array) -> Array:
        """Return the factor (q, q) in units of each row."""
        inner = np.zeros((len(self.basis),) * 2)
        inner[self.rows, self.cols] = x[: len(self.rows)]
        return inner

    def rescaled_at(self, x: Array) -> tuple[FactorCoordinates, Array, float]:
        """Return coordinates in which rows of the factor at x have length one, x there, and the change."""
        m = len(self.rows)
        length = np.sqrt(np.bincount(self.rows, weights=x[:m] ** 2, minlength=len(self.basis)))
        # A row near zero keeps a length at which it would still be seen beside the errors.
        _, errors = self.unpack(x)
        reach = self.scale / _coordinate_scales(self.likelihood.gram, self.basis, errors.error_cov[0])
        factor = np.maximum(length, _SMALLEST_ROW / np.maximum(reach, np.finfo(float).tiny))
        start = np.concatenate([x[:m] / factor[self.rows], x[m:]])
        change = float(np.max(np.abs(np.log(factor)), initial=0.0))
        return replace(self, scale=self.scale * factor), start, float(np.exp(change))

    def pivoted_at(self, x: Array) -> tuple[FactorCoordinates, Array]:
        """Return coordinates in which the factor at x is triangular after its rows were put in order, and x there.

        The order is that of pivots: what is left of each row by those before it is largest. Where a covariance has
        rank r, only the first r columns are not zero then. In the order of the formula a zero may stand on the
        diagonal before other columns, and there the factor is no smooth function of the covariance: searches crawl.
        """
        from scipy.linalg import qr

        m, q = len(self.rows), len(self.basis)
        inner, pivot, turned = self._in_units(x), self.pivot.copy(), np.zeros((q, q))
        sizes, first = np.bincount(self.cols, minlength=q), 0
        while first < q:
            # The first column of a term has an entry for each of its rows.
            term = np.arange(first, first + sizes[first])
            R, order = qr(inner[self.pivot[term]][:, term].T, mode="r", pivoting=True)
            pivot[term] = self.pivot[term][order]
            turned[np.ix_(pivot[term], term)] = (R * np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None]).T
            first += len(term)
        rows = pivot[np.argsort(self.pivot)[self.rows]]
        return replace(self, rows=rows, pivot=pivot), np.concatenate([turned[rows, self.cols], x[m:]])

    def signs(self, x: Array) -> Array:
        """Return signs (m + errors,) with which no diagonal entry of the factor is negative, and nothing changes."""
        m = len(self.rows)
        return np.concatenate([signs_of_columns(x[:m], self.cols, self.is_diagonal), np.ones(len(x) - m)])

    def inner(self, x: Array) -> Array:
        """Return the factor of Sigma in the basis (q, q)."""
        m, q = len(self.rows), len(self.basis)
        inner = np.zeros((q, q))
        inner[self.rows, self.cols] = x[:m] * self.scale[self.rows]
        return inner

    def unpack(self, x: Array) -> tuple[Array, Covariances]:
        """Return Lambda (q, q), user scale, and the covariances of the errors (one, S = 1)."""
        return self.basis @ self.inner(x), covariances(self.errors, x[None, len(self.rows) :])

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return the criterion at x and its gradient; -inf where errors are out of range."""
        if np.any(np.abs(x[len(self.rows) :]) > OUT_OF_RANGE):
            return -np.inf, np.zeros(len(x))
        Lambda, errors = self.unpack(x)
        value, g_Lambda, g_S = self.likelihood.value_and_gradient(Lambda, errors.error_cov[0])
        inner = self.basis.T @ g_Lambda
        g_factor = inner[self.rows, self.cols] * self.scale[self.rows]
        return value, np.concatenate([g_factor, self.error_gradient(x[len(self.rows) :], errors, g_S)])

    def hessian(self, x: Array, gradient: Array) -> Array | None:
        """Return the exact Hessian (m + errors, m + errors) where the engine has it; None elsewhere."""
        m = len(self.rows)
        if not self.is_alone()[:m].all() or self.errors.n_free != 1 or np.any(np.abs(x[:m]) < _SMALLEST_LOG):
            return None
        Lambda, errors = self.unpack(x)
        H = log_curvature(self.likelihood, Lambda, errors.error_cov[0])
        if H is None:
            return None
        # Columns of the engine are those of Lambda.
        order = np.append(self.rows, m)
        H = H[np.ix_(order, order)]
        sd = np.append(x[:m], 1.0)
        H[np.arange(m), np.arange(m)] -= gradient[:m] * x[:m]
        return np.asarray(H / sd / sd[:, None])

    def values(self, points: Array) -> Array:
        """Return the criterion (K,) at points (K, m + errors), some of them side by side."""

        def value(x: Array) -> float:
            if np.any(np.abs(x[len(self.rows) :]) > OUT_OF_RANGE):
                return -np.inf
            Lambda, errors = self.unpack(x)
            return self.likelihood.value(Lambda, errors.error_cov[0])

        with ThreadPoolExecutor(max_workers=self.likelihood.side_by_side) as pool:
            return np.array(list(pool.map(value, points)))

    def is_alone(self) -> NDArray[np.bool_]:
        """Return which elements (m + errors,) are standard deviations of columns that are correlated with no other."""
        alone = np.bincount(self.rows, minlength=len(self.basis))[self.rows] == 1
        alone &= np.bincount(self.cols, minlength=len(self.basis))[self.cols] == 1
        return np.concatenate([alone, np.zeros(self.errors.n_free, dtype=bool)])

    def error_gradient(self, u: Array, errors: Covariances, g_S: Array) -> Array:
        """Return the gradient with respect to u of the errors, from that with respect to their covariance."""
        from hierreg.variances.kernels import component_gradient, corr_factor_block, corr_factor_gradient

        g = np.zeros(len(u))
        n_sd = int(self.errors.sd_is_free.sum())
        sd, corr, cov = errors.error_sd[0], errors.error_corr[0], errors.error_cov[0]
        within = self.errors.within_units
        if within.strata:
            g_log_sd = np.zeros(len(sd))
            component_gradient(u, n_sd, sd, within.arrays, cov, g_S, g_log_sd, g)
        else:
            g_log_sd = 2.0 * np.sum(g_S * (sd[:, None] * corr * sd), axis=1)
        g[:n_sd] = g_log_sd[self.errors.sd_is_free]
        if self.errors.corr_is_free[-1]:
            D = len(sd)
            L, sech = np.zeros((D, D)), np.ones(len(u) + 1)
            corr_factor_block(u, n_sd, 0, D, L, sech)
            g_L = 2.0 * (sd[:, None] * g_S * sd) @ L
            corr_factor_gradient(u, n_sd, 0, D, L, sech, g_L, g)
        return g


def factor_coordinates(likelihood: Likelihood, parameters: VarianceParameters) -> FactorCoordinates | None:
    """Return the search space, or None where part of Sigma is fixed, so that its factor is not free."""
    q, sizes = parameters.n_factor, parameters.block_sizes[:-1]
    identity = np.array_equal(parameters.fixed_corr_factor[:q, :q], np.eye(q))
    if q and not (parameters.sd_is_free[:q].all() and identity):
        return None
    rows, cols = [], []
    for start, size, free in zip(parameters.block_starts, sizes, parameters.corr_is_free, strict=False):
        r, c = np.tril_indices(size) if free else (np.arange(size), np.arange(size))
        rows.append(r + start)
        cols.append(c + start)
    gram = likelihood.gram
    errors = only_errors(parameters)
    error_cov = covariances(errors, starting_point(gram, errors)[None]).error_cov[0]
    basis = basis_of(gram, error_cov, parameters)
    return FactorCoordinates(
        likelihood=likelihood,
        errors=errors,
        rows=np.concatenate(rows) if rows else np.empty(0, dtype=np.intp),
        cols=np.concatenate(cols) if cols else np.empty(0, dtype=np.intp),
        pivot=np.arange(q),
        basis=basis,
        scale=_coordinate_scales(gram, basis, error_cov),
    )


def basis_of(gram: Gram, error_cov: Array, parameters: VarianceParameters) -> Array:
    """Return T (q, q), user scale, with T'Z'R^-1 Z T = n I over each group's own rows, term by term.

    The columns of each correlated term are orthogonalised in the order of the formula (T is upper triangular), so that
    neither the zero nor the unit of a predictor changes what a factor in this basis means; uncorrelated columns, whose
    zeros are those of the user's, are scaled only. T is the inverse of a triangular factor of the columns themselves:
    from their cross-products an offset of 1e6 would take twelve digits.
    """
    basis = np.eye(parameters.n_factor)
    if not len(basis):
        return basis
    precision, columns = column_precision(gram, error_cov), np.linalg.inv(gram.z_map)
    for mine in parameters.factor_slices:
        values, vectors = np.linalg.eigh(precision[mine, mine])
        # Columns that the groups' own rows hardly tell apart keep a bounded scale.
        root = np.sqrt(np.maximum(values, 1e-12 * values[-1]))[:, None] * vectors.T
        columns[mine, mine] = root @ columns[mine, mine]
    for term in terms_of(parameters):
        R = np.linalg.qr(columns[:, term], mode="r")
        R *= np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None]
        basis[np.ix_(term, term)] = np.linalg.inv(R)
    return basis


def terms_of(parameters: VarianceParameters) -> list[NDArray[np.intp]]:
    """Return the columns that are correlated with each other, for each bar term; uncorrelated columns one by one."""
    terms = []
    starts, sizes = parameters.block_starts[:-1].tolist(), parameters.block_sizes[:-1].tolist()
    for start, size, free in zip(starts, sizes, parameters.corr_is_free[:-1], strict=True):
        mine = np.arange(start, start + size)
        terms += [mine] if free else list(mine[:, None])
    return terms


def _between_groups(gram: Gram, basis: Array, error_cov: Array) -> tuple[Array, Array]:
    """Return the sd (q,) of each coordinate between groups, from the spread of the groups' sums of residuals.

    With it comes how many groups that were measured without error would say as much of it, sum rho^2 (q,).

    With a = z'R^-1 z and t = z'R^-1 y of a group's own rows, E t^2 = a^2 sd^2 + 2 a: residuals have twice the variance
    that errors start from.
    """
    omega = error_terms(gram, error_cov)
    sd, groups = np.zeros(len(basis)), np.zeros(len(basis))
    for factor, mine in zip(gram.factors, gram.factor_slices, strict=True):
        T = np.linalg.solve(factor.z_map, basis[mine, mine])
        own = factor.pair_row == factor.pair_col
        a, t = np.zeros((factor.n_levels, factor.n_coef)), np.zeros((factor.n_levels, factor.n_coef))
        weight = omega[factor.pair_term[own], None]
        np.add.at(a, factor.pair_row[own], weight * np.einsum("eij,ic,jc->ec", factor.ZtZ[own], T, T))
        np.add.at(t, factor.level_index, omega[factor.level_term, None] * (factor.ZtW[:, :, -1] @ T))
        variance = np.sum(t * t - 2.0 * a, axis=0) / np.maximum(np.sum(a * a, axis=0), np.finfo(float).tiny)
        sd[mine] = np.sqrt(np.maximum(variance, 0.0))
        groups[mine] = np.sum((a * sd[mine] ** 2 / (1.0 + a * sd[mine] ** 2)) ** 2, axis=0)
    return sd, groups


def _coordinate_scales(gram: Gram, basis: Array, error_cov: Array) -> Array:
    """Return the sd (q,) in each coordinate of a basis that matters as much as the errors."""
    if not len(basis):
        return np.empty(0)
    T = np.linalg.solve(gram.z_map, basis)
    precision = np.einsum("ic,ij,jc->c", T, column_precision(gram, error_cov), T)
    scales: Array = 1.0 / np.sqrt(np.maximum(precision, np.finfo(float).tiny))
    return scales


def only_errors(parameters: VarianceParameters) -> VarianceParameters:
    """Return the parameters of the errors alone."""
    q = parameters.n_factor
    return replace(
        parameters,
        factors=(),
        factor_coef_names=(),
        block_sizes=parameters.block_sizes[-1:],
        sd_code=parameters.sd_code[q:],
        sd_parameters=parameters.sd_parameters[q:],
        corr_is_free=parameters.corr_is_free[-1:],
        eta=parameters.eta[-1:],
        fixed_corr_factor=parameters.fixed_corr_factor[q:, q:],
        to_raw=np.empty((0, 0)),
        from_raw=np.empty((0, 0)),
        internal=None,
    )
