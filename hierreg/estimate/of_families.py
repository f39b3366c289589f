"""Maximum likelihood of responses that are not normal, by Laplace's approximation or quadrature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.boundary import SINGULAR
from hierreg.estimate.optimise import Optimum, maximise, signs_of_columns, with_signs
from hierreg.linalg import sd_and_corr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.likelihood.integrated import Evaluate
    from hierreg.likelihood.quadrature.density import QuadratureTarget
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]

# Sizes of Lambda at the starts, in those of moments.
_SIZES = (1.0, 0.3)
# Larger parameters, in sds of the linear predictor, mean that there is no maximum.
_OUT_OF_RANGE = 1e3
# The likelihood is flat enough there to have no maximum: a step of one sd changes it by less.
_FLAT = 1e-8
# Information of the logarithm of a further parameter that is at the end of its range.
_NO_CURVATURE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyStart:
    """Where a search begins.

    Attributes
    ----------
    phi, Lambda, auxiliary : arrays (p,), (q, q), (T, m)
        In the frame of priors, and natural further parameters.
    effects : tuple of arrays (J, q) or None
        Standardised effects of each factor from which those of groups are searched for, where there are several modes.
    """

    phi: Array
    Lambda: Array
    auxiliary: Array
    effects: tuple[Array, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyOptimum:
    """Where the likelihood is highest.

    Attributes
    ----------
    phi : array (p,)
        Free population coefficients, in the frame of priors.
    Lambda : array (q, q)
        Factor of the covariance of effects, in the frame of priors.
    auxiliary : array (T, m)
    log_likelihood : float
    phi_cov : array (p, p)
        Covariance of phi, from the curvature of the likelihood in all parameters that are not on the boundary.
    joint_cov : array (p + n, p + n)
        The same of phi and the unconstrained further parameters w (n,); NaN where these are at the end of their range.
    converged : bool
    n_evaluations : int
    newton_decrement : float
    zero : tuple of int
        Columns of the effects whose variance is zero.
    flat : tuple of int
        Further parameters at the end of their range: a dispersion of zero, say.
    is_singular : bool
        Whether the covariance of effects has no full rank.
    """

    phi: Array
    Lambda: Array
    auxiliary: Array
    log_likelihood: float
    phi_cov: Array
    joint_cov: Array
    converged: bool
    n_evaluations: int
    newton_decrement: float
    zero: tuple[int, ...]
    flat: tuple[int, ...]
    is_singular: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coordinates:
    """x = (phi, entries of Lambda, w), the first two in units: smooth where a variance is zero too.

    Attributes
    ----------
    target : QuadratureTarget
        The log likelihood.
    rows, cols : int arrays
        Places of the free entries of Lambda.
    centre : array (p,)
        phi at zero.
    unit : float
    evaluate : function
        The likelihood of the target and its gradient.
    """

    target: QuadratureTarget
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    centre: Array
    unit: float
    evaluate: Evaluate

    def unpack(self, x: Array) -> tuple[Array, Array, Array]:
        """Return phi (p,), Lambda (q, q) and w."""
        p, q = len(self.target.population.mean), self.target.parameters.n_factor
        Lambda = np.zeros((q, q))
        Lambda[self.rows, self.cols] = self.unit * x[p : p + len(self.rows)]
        return self.centre + self.unit * x[:p], Lambda, x[p + len(self.rows) :]

    def pack(self, start: FamilyStart, size: float) -> Array:
        """Return x at a start, Lambda times a number."""
        entries = size * start.Lambda[self.rows, self.cols]
        w = self.target.auxiliary.unconstrained(start.auxiliary)
        return np.concatenate([(start.phi - self.centre) / self.unit, entries / self.unit, w])

    def signs(self, x: Array) -> Array:
        """Return signs with which diagonal entries of Lambda are not negative, and nothing changes."""
        out = np.ones(len(x))
        mine = slice(len(self.target.population.mean), len(self.target.population.mean) + len(self.rows))
        out[mine] = signs_of_columns(x[mine], self.cols, self.rows == self.cols)
        return out

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return the log likelihood and its gradient."""
        if not np.all(np.abs(x) < _OUT_OF_RANGE):
            return -np.inf, np.zeros(len(x))
        phi, Lambda, w = self.unpack(x)
        auxiliary = self.target.auxiliary.natural(w)
        if not np.all(np.isfinite(auxiliary)):
            return -np.inf, np.zeros(len(x))
        value, g_phi, g_Lambda, g_auxiliary = self.evaluate(phi, Lambda, auxiliary)
        g_w = self.target.auxiliary.jacobian(w).T @ g_auxiliary.ravel()
        g = np.concatenate([g_phi, g_Lambda[self.rows, self.cols]])
        return value, np.concatenate([self.unit * g, g_w])


def maximise_family(target: QuadratureTarget, starts: Sequence[FamilyStart], unit: float | None) -> FamilyOptimum:
    """Return the maximum of the likelihood, the best of searches from several starts.

    Parameters
    ----------
    target : QuadratureTarget
        Without priors.
    starts : sequence of FamilyStart
    unit : float or None
        Of the linear predictor, where it is that of the response; None where it is one, and has a zero.
    """
    rows, cols = _pattern(target.parameters)
    found: list[Optimum] = []
    centre = np.zeros(len(starts[0].phi)) if unit is None else starts[0].phi
    coordinates = _Coordinates(
        target=target,
        rows=rows,
        cols=cols,
        centre=centre,
        unit=unit or 1.0,
        evaluate=target.likelihood.remembering(),
    )
    n = 0
    for start in starts:
        mine = coordinates
        if start.effects is not None:
            own = replace(target, likelihood=target.likelihood.beginning_at(start.effects))
            mine = replace(mine, target=own, evaluate=own.likelihood.remembering())
        for size in _SIZES if len(rows) else (1.0,):
            x = mine.pack(start, size)
            if not np.isfinite(mine(x)[0]):
                continue
            one = maximise(mine, x, tolerance=1e-9, with_hessian=True, known=found, signs=mine.signs)
            found.append(with_signs(one, mine.signs(one.x)))
            n += one.n_evaluations
    if not found:
        return _nothing(starts[0])
    best = max(found, key=lambda one: (one.converged, one.value))
    phi, Lambda, w = coordinates.unpack(best.x)
    Lambda, held = _at_boundary(Lambda, coordinates.unit)
    hessian = best.hessian
    p = len(phi)
    kept = np.ones(len(best.x), dtype=bool)
    kept[p : p + len(rows)] = ~np.isin(rows, held)
    flat = np.flatnonzero(-np.diagonal(hessian)[p + len(rows) :] < _NO_CURVATURE)
    kept[p + len(rows) + flat] = False
    cov = coordinates.unit**2 * _covariance(hessian[np.ix_(kept, kept)], p)
    return FamilyOptimum(
        phi=phi,
        Lambda=Lambda,
        auxiliary=target.auxiliary.natural(w),
        log_likelihood=best.value,
        phi_cov=cov,
        joint_cov=_joint_covariance(hessian, kept, p, len(rows)),
        converged=best.converged and bool(np.all(np.isfinite(cov))),
        n_evaluations=n,
        newton_decrement=best.newton_decrement,
        zero=tuple(int(k) for k in held),
        flat=tuple(int(k) for k in flat),
        is_singular=any(is_singular(Lambda[mine, mine]) for mine in target.parameters.factor_slices),
    )


def _nothing(start: FamilyStart) -> FamilyOptimum:
    return FamilyOptimum(
        phi=start.phi,
        Lambda=start.Lambda,
        auxiliary=start.auxiliary,
        log_likelihood=-np.inf,
        phi_cov=np.full((len(start.phi),) * 2, np.nan),
        joint_cov=np.empty((0, 0)),
        converged=False,
        n_evaluations=len(_SIZES),
        newton_decrement=np.inf,
        zero=(),
        flat=(),
        is_singular=False,
    )


def _pattern(parameters: VarianceParameters) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the free entries of Lambda: the lower triangle of each term with correlations."""
    rows, cols = [], []
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if start >= parameters.n_factor:
            continue
        for i in range(size):
            for j in range(i + 1) if free else (i,):
                rows.append(int(start) + i)
                cols.append(int(start) + j)
    return np.array(rows, dtype=np.intp), np.array(cols, dtype=np.intp)


def _at_boundary(Lambda: Array, unit: float) -> tuple[Array, NDArray[np.intp]]:
    """Return Lambda with negligible rows at zero, and which these are, given the unit of the linear predictor."""
    size = np.linalg.norm(Lambda, axis=1) if len(Lambda) else np.empty(0)
    held = np.flatnonzero(size < SINGULAR * unit)
    out = Lambda.copy()
    out[held] = 0.0
    return out, held


def is_singular(Lambda: Array) -> bool:
    """Return whether a correlation of the effects of one factor is one, all variances being more than zero."""
    if not len(Lambda) or not np.any(Lambda - np.diag(np.diagonal(Lambda))):
        return False
    sd, _ = sd_and_corr(Lambda @ Lambda.T)
    if np.any(sd == 0):
        return False
    return bool(np.linalg.svd(Lambda / sd[:, None], compute_uv=False)[-1] < SINGULAR)


def _joint_covariance(hessian: Array, kept: NDArray[np.bool_], p: int, n_entries: int) -> Array:
    """Return the covariance of phi and w; NaN of those that are not kept."""
    out = np.full_like(hessian, np.nan)
    out[np.ix_(kept, kept)] = _covariance(hessian[np.ix_(kept, kept)], int(kept.sum()))
    mine = np.r_[:p, p + n_entries : len(hessian)]
    return out[np.ix_(mine, mine)]


def _covariance(hessian: Array, p: int) -> Array:
    """Return the covariance (p, p) of the first parameters; NaN where the likelihood has no curvature."""
    values, vectors = np.linalg.eigh(-hessian)
    if len(values) and values[0] < _FLAT:
        return np.full((p, p), np.nan)
    return np.asarray(((vectors / values) @ vectors.T)[:p, :p])
