"""Counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from hierreg.response.base import Family, Observed, check_all, is_count
from hierreg.response.kernels import NEGATIVE_BINOMIAL, POISSON

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_LARGEST = 1e15  # beyond, whole numbers and their factorials have no digits left


def poisson_draws(rng: np.random.Generator, rate: Array) -> Array:
    """Return Poisson draws; where whole numbers have no digits left, the normal ones that they tend to."""
    small = rate < _LARGEST
    counts = rng.poisson(np.where(small, rate, 0.0)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(small, counts, np.floor(rate + np.sqrt(rate) * rng.standard_normal(rate.shape)))


class _Counts(Family):
    """What both have in common."""

    __slots__ = ()
    links: ClassVar[tuple[str, ...]] = ("log",)
    takes: ClassVar[str] = "whole numbers, 0 or more"

    def check_values(self, y: Array, name: str) -> None:
        """Raise where values are no counts."""
        check_all(~is_count(y) | (y > _LARGEST), y, name, self)

    def mean(self, eta: Array, a: Array, c: Array) -> Array:  # noqa: ARG002  # the signature of all families
        """Return the expected count."""
        return self.link_function.inverse(eta)

    def working(self, observed: Observed) -> tuple[Array, Array]:
        """Return logarithms of counts, half a count more, and the counts."""
        return np.log(observed.y + 0.5), observed.y + 0.5


@final
@dataclass(frozen=True, slots=True)
class Poisson(_Counts):
    """Counts whose variance is their mean.

    Parameters
    ----------
    link : {"log"}

    See Also
    --------
    NegativeBinomial : Counts that vary more.
    Binomial : Counts of a known number of trials.
    Model : Its arguments ``family`` and ``offset``.

    Examples
    --------
    >>> import hierreg as hr
    >>> print(hr.Poisson())
    Poisson(link='log')
    """

    link: str = "log"
    code: ClassVar[int] = POISSON

    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:  # noqa: ARG002
        """Return counts."""
        return poisson_draws(rng, self.mean(eta, a, c))


@final
@dataclass(frozen=True, slots=True)
class NegativeBinomial(_Counts):
    """Counts of variance mean + dispersion mean^2; Poisson where the dispersion is zero.

    Parameters
    ----------
    link : {"log"}
    dispersion : prior or float, optional
        Prior of the dispersion, a prior of a standard deviation such as ``hr.HalfNormal(1)``, or its value; by default
        ``hr.Exponential(1)``. It is the reciprocal of what R's MASS calls theta, and brms shape.
    by : str, optional
        Column of strata, each with a dispersion of its own.

    See Also
    --------
    Poisson : Without dispersion.
    Model : Its arguments ``family`` and ``offset``.

    Examples
    --------
    >>> import hierreg as hr
    >>> print(hr.NegativeBinomial(dispersion=hr.HalfNormal(1)))
    NegativeBinomial(link='log', dispersion=HalfNormal(1))
    """

    link: str = "log"
    dispersion: object = None
    by: str | None = None
    code: ClassVar[int] = NEGATIVE_BINOMIAL
    auxiliary: ClassVar[tuple[str, ...]] = ("dispersion",)

    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:  # noqa: ARG002
        """Return counts: Poisson ones about gamma distributed means."""
        return poisson_draws(rng, self.mean(eta, a, c) * a * rng.standard_gamma(1.0 / a, size=np.shape(eta)))
