"""A log density that takes long, interpolated about its mode by a polynomial, with its error.

In the units of the posterior at its mode, u = mode + C z, the log density is ``f(mode) - z'z / 2`` and a remainder that
is small where data are many: a polynomial of degree 3, or 4 where that is not enough, is fitted to the remainder by
least squares. Its error is the largest at further points, drawn from the normal approximation, that had no part in the
fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.sampling.approximation import Mode
    from hierreg.sampling.density import Values

    Array = NDArray[np.float64]

# Points per coefficient of the polynomial, their spread beside the posterior's, and points that check it.
_POINTS_PER_TERM, _SPREAD, _CHECKS = 2.0, 1.5, 12
# Error of a log density that is small enough not to ask for a better polynomial, and the largest that is used at all.
_GOOD_ERROR, LARGEST_ERROR = 0.01, 0.05
# Distance from the mode, in posterior sds, up to which the remainder is read.
_REACH = 5.0
_DEGREES = (3, 4)
_STREAM = 106


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolated:
    """An interpolated log density.

    Attributes
    ----------
    mode : Mode
    degree : int
    coefficients : array (m,)
        Of the products of z of degree one and more.
    error : float
        The largest difference from the density itself at ``n_checks`` draws of the normal approximation.
    n_evaluations, n_checks : int
        Evaluations of the density in all, and those that were checks.
    """

    mode: Mode
    degree: int
    coefficients: Array
    error: float
    n_evaluations: int
    n_checks: int = _CHECKS

    @property
    def attributes(self) -> dict[str, float | int]:
        """What a result records of it."""
        return {
            "interpolation_error": self.error,
            "interpolation_degree": self.degree,
            "n_evaluations": self.n_evaluations,
            "n_checks": self.n_checks,
        }

    def values(self, points: Array, *, threads: int = 1) -> Array:  # noqa: ARG002  # what samplers ask with
        """Return the log densities (k,) of points (k, n)."""
        z = np.linalg.solve(self.mode.scale, (points - self.mode.u).T).T
        squares = np.einsum("ij,ij->i", z, z)
        near = z * np.minimum(1.0, _REACH / np.sqrt(np.maximum(squares, 1e-300)))[:, None]
        out: Array = self.mode.log_density - 0.5 * squares + _products(near, self.degree) @ self.coefficients
        return out


def most_evaluations(n: int) -> int:
    """Return how many evaluations an interpolation in n parameters takes at most."""
    return int(_POINTS_PER_TERM * _products(np.zeros((1, n)), _DEGREES[-1]).shape[1]) + _CHECKS


def interpolate(target: Values, mode: Mode, *, seed: int, threads: int) -> Interpolated:
    """Return the log density interpolated about its mode; whether its error is small enough is for others to say.

    Parameters
    ----------
    target : Values
    mode : Mode
        With a scale for all elements of u.
    seed : int
        Chooses the points.
    threads : int
    """
    n = len(mode.u)
    rng = np.random.default_rng([seed, _STREAM])

    def remainder(z: Array) -> Array:
        out: Array = target.values(mode.at(z), threads=threads) - mode.log_density + 0.5 * np.sum(z * z, axis=1)
        return out

    checks = rng.standard_normal((_CHECKS, n))
    expected = remainder(checks)
    z, r = np.empty((0, n)), np.empty(0)
    for degree in _DEGREES:
        n_terms = _products(np.zeros((1, n)), degree).shape[1]
        more = _SPREAD * rng.standard_normal((int(_POINTS_PER_TERM * n_terms) - len(z), n))
        z, r = np.concatenate([z, more]), np.concatenate([r, remainder(more)])
        coefficients = np.linalg.lstsq(_products(z, degree), r)[0]
        error = float(np.max(np.abs(_products(checks, degree) @ coefficients - expected)))
        if not error > _GOOD_ERROR:
            break
    return Interpolated(
        mode=mode,
        degree=degree,
        coefficients=coefficients,
        error=error if np.isfinite(error) else np.inf,
        n_evaluations=len(z) + _CHECKS,
    )


def _products(z: Array, degree: int) -> Array:
    """Return all products of elements of z (k, n) of degree one and more (k, m)."""
    n = z.shape[1]
    columns = [z[:, list(which)].prod(axis=1) for d in range(1, degree + 1) for which in _choices(n, d)]
    return np.stack(columns, axis=1)


def _choices(n: int, d: int) -> list[tuple[int, ...]]:
    return list(combinations_with_replacement(range(n), d))
