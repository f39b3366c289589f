"""Signed standard deviations: coordinates in which a variance of zero is an ordinary point for NUTS.

Where a standard deviation may be zero, its logarithm has an exponential tail on one side and a wall on the other, and
what it shares with others (correlations, other variances) bends along the tail: chains are stuck in it for long. With

    sd = |unit sinh(w)|,  w in R

zero is an interior point: linear near it, logarithmic far from it, where few groups leave a heavy tail. The factor of
the covariance is diag(signed sd) L, a smooth function of w; Sigma is the same where the sign of a column and those of
its partial correlations change together, and so are all priors, so that the density is even and its 2^k branches are
copies. A draw becomes log |sd| and partial correlations with their signs multiplied before anything else sees it.

A column is signed where its density is finite at zero and not far below its highest. Where it is far below, signs
part the posterior into modes, and the logarithm is better: there the unit is small, so that w is a logarithm but for a
tail that no chain should be lost in. Where zero is practically excluded log sd stays.

Where data know the sum of squares of two sds and hardly the parts, as with as many rows in a group as it has effects,
the posterior is a ring, and a trajectory ends when it has turned on it. Longer ones mix better, but neither of nutpie's
ways to have them (``extra_doublings``, ``mindepth``) leaves the posterior as it is (`tests/benchmarks/README.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.priors.families import EXPONENTIAL, GAMMA, HALF_CAUCHY, HALF_NORMAL, HALF_STUDENT_T

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.sampling.approximation import Mode
    from hierreg.sampling.density import Density
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Index = NDArray[np.intp]

# A log sd that is known better than this is far from zero: exp(-0.15^-2 / 2) is 1e-10.
_LEAST_SCALE = 0.15
# "Zero", in log units below the mode.
_NEAR_ZERO = 5.0
# How far below the highest the log density of the sd may be at zero, the other parameters adapted to it, for zero to
# be in the bulk of the posterior, and for it to be visited at all.
_BULK, _VISITED = 4.0, 9.0
# Unit of those that are only visited, in sds at the mode.
_SMALL = 0.125
# Where the density has fallen by this from zero it begins to fall: 0.5 where a half-normal's does.
_FALL = 0.75
_HALVINGS = 6
# Units of that extent, by trial: large where the density is practically zero beyond them, so that sds that share a
# total variance lie on circles and not on circles that logarithms bend; small where few groups leave a heavy tail.
_LIGHT, _HEAVY = 4.0, 1.0
_NOTHING = 4.0
_EVALUATIONS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """Which of the free standard deviations are signed.

    Attributes
    ----------
    unit : array (q + D,)
        Of the signed ones; zero of those that are logarithms.
    sd : int array (n_free_sd,)
        Column of each free sd, in the order of u.
    pairs : int array (n_pairs, 3)
        Place in u and the two columns of each partial correlation.
    extent : array (q + D,)
        About the largest value of each signed sd at which it is as likely as zero; zero of those that are far from it.
    """

    unit: Array
    sd: Index
    pairs: Index
    extent: Array

    @property
    def is_signed(self) -> Flags:
        """Which of the free sds are signed, shape (n_free_sd,)."""
        return np.asarray(self.unit[self.sd] > 0)

    def to_log(self, w: Array) -> tuple[Array, Array]:
        """Return u (..., n_free), log sds and partial correlations, and what it adds to the log density (...).

        Parameters
        ----------
        w : array (..., n_free)
        """
        u, n, signed = w.copy(), len(self.sd), self.is_signed
        # A draw of exactly zero: the smallest sd that has a logarithm.
        size = np.maximum(np.abs(w[..., :n][..., signed]), np.finfo(float).tiny)
        # log sinh, for sizes at which sinh itself would overflow
        log_sinh = size + np.log(-np.expm1(-2.0 * size)) - np.log(2.0)
        u[..., :n][..., signed] = np.log(self.unit[self.sd][signed]) + log_sinh
        sign = self.signs(w)
        place, i, j = self.pairs.T
        u[..., place] *= sign[..., i] * sign[..., j]
        return u, np.sum(np.log(np.tanh(size)) + np.log(2.0), axis=-1)

    def signs(self, w: Array) -> Array:
        """Return the sign (..., q + D) of every column's standard deviation at w (..., n_free)."""
        sign = np.ones((*w.shape[:-1], len(self.unit)))
        sign[..., self.sd] = np.where(self.is_signed & (w[..., : len(self.sd)] < 0), -1.0, 1.0)
        return sign

    def approximation(self, mode: Mode) -> Mode:
        """Return centre and scale for chains in these coordinates, from those of log sds.

        By symmetry an sd that may be zero, and the correlations whose signs go with it, have mean zero and are
        uncorrelated with all that keeps its sign.
        """
        n, signed = len(self.sd), self.is_signed
        unit, extent = self.unit[self.sd], self.extent[self.sd]
        column_turns = self.extent > 0
        place, i, j = self.pairs.T
        turns = np.zeros(len(mode.scale), dtype=bool)
        turns[:n] = extent > 0
        turns[place] = column_turns[i] | column_turns[j]
        centre = mode.u.copy()
        centre[:n][signed] = np.arcsinh(np.exp(mode.u[:n][signed]) / unit[signed])
        cov = mode.scale @ mode.scale.T
        own = np.minimum(np.diagonal(cov), 1.0)
        own[:n][signed] = (extent[signed] / unit[signed]) ** 2
        cov[turns, :] = cov[:, turns] = 0.0
        cov[turns, turns] = own[turns]
        centre[: len(turns)][turns] = 0.0
        return replace(mode, u=centre, scale=np.linalg.cholesky(cov))


def coordinates(target: Density, mode: Mode) -> Coordinates | None:
    """Return the coordinates for NUTS, or None where log sds are right for all.

    Parameters
    ----------
    target : Density
        Of log sds.
    mode : Mode
        Its mode.
    """
    parameters = target.parameters
    sd = np.flatnonzero(parameters.sd_is_free)
    spread = np.linalg.norm(mode.scale, axis=1)[: len(sd)]
    unit, extent = np.zeros((2, parameters.n_columns))
    for place in np.flatnonzero(_reaches_zero(parameters)[sd] & (spread > _LEAST_SCALE)):
        unit[sd[place]], extent[sd[place]] = _unit(target, mode, int(place))
    if not unit.any():
        return None
    return Coordinates(unit=unit, sd=sd, pairs=_pairs(parameters), extent=extent)


def _reaches_zero(parameters: VarianceParameters) -> Flags:
    """Return which columns (q + D,) have priors with a density at zero that is neither zero nor infinite."""
    code, first = parameters.sd_code, parameters.sd_parameters[:, 0]
    always = np.isin(code, (HALF_NORMAL, HALF_STUDENT_T, HALF_CAUCHY, EXPONENTIAL))
    return np.asarray(always | ((code == GAMMA) & (first == 1.0)))


def _unit(target: Density, mode: Mode, place: int) -> tuple[float, float]:
    """Return the unit of an sd, and up to where its density is about that at zero, as `Coordinates` has them."""
    rest = np.arange(len(mode.u)) != place
    at_zero = mode.u.copy()
    at_zero[place] -= _NEAR_ZERO
    at_zero[rest] = _adapted(target, at_zero, rest, mode)
    density = target(at_zero)[0] - at_zero[place]
    drop = mode.log_density - mode.u[place] - density
    if not drop < _BULK:
        return (_SMALL * float(np.exp(mode.u[place])) if drop < _VISITED else 0.0), 0.0
    u = at_zero
    for halvings in range(_HALVINGS + 1):
        u[place] = mode.u[place] - halvings * np.log(2.0)
        if target(u)[0] - u[place] > density - _FALL:
            break
    extent = float(np.exp(u[place]))
    u[place] += np.log(_LIGHT)
    is_light = target(u)[0] - u[place] < density - _NOTHING
    return extent * (_LIGHT if is_light else _HEAVY), extent


def _adapted(target: Density, u: Array, rest: Flags, mode: Mode) -> Array:
    """Return the other parameters (n_free - 1,), moved uphill with one of them held where it is."""
    from scipy.optimize import minimize

    if not rest.any():
        return u[rest]

    def negative(x: Array) -> tuple[float, Array]:
        point = u.copy()
        point[rest] = x
        value, gradient = target(point)
        return (-value, -gradient[rest]) if np.isfinite(value) else (1e100, np.zeros(len(x)))

    cov = (mode.scale @ mode.scale.T)[np.ix_(rest, rest)]
    options = {"gtol": 1e-2, "maxiter": _EVALUATIONS, "hess_inv0": 0.5 * (cov + cov.T)}
    return np.asarray(minimize(negative, u[rest], jac=True, method="BFGS", options=options).x)


def _pairs(parameters: VarianceParameters) -> Index:
    """Return place in u and columns (n_pairs, 3) of the partial correlations of blocks."""
    out, place = [], int(parameters.sd_is_free.sum())
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free:
            row, column = np.tril_indices(size, -1)
            out.append(np.stack([place + np.arange(len(row)), start + row, start + column], axis=1))
            place += len(row)
    return np.concatenate(out) if out else np.empty((0, 3), dtype=np.intp)
