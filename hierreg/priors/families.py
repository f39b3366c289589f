"""The prior families: small frozen values with PyMC's names, argument order and parametrization.

Every class is abstract (`Prior`, `BetaPrior`, `SdPrior`) or final. A family knows its density, how to draw
from it and, for standard deviations, the integer `code` by which the compiled kernels recognise it.

References
----------
Gelman, A. (2006). Prior distributions for variance parameters in hierarchical models. Bayesian Analysis
1(3), 515-534.
"""

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hierreg.exceptions import PriorError

FIXED, HALF_NORMAL, HALF_STUDENT_T, HALF_CAUCHY, EXPONENTIAL, GAMMA, INVERSE_GAMMA, LOG_NORMAL = range(8)

type FloatArray = NDArray[np.float64]
type Size = int | tuple[int, ...]


class AlsoResponse(abc.ABCMeta):
    """Makes ``hr.Gamma()``, without the parameters of a prior, the family of responses of that name."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        """Return a prior where its parameters are given, and else a family of responses."""
        own = {one.name for one in fields(cls)}  # type: ignore[arg-type]  # both are dataclasses
        if arguments or own & named.keys():
            return super().__call__(*arguments, **named)
        from hierreg.response import GammaResponse, LogNormalResponse

        return {"Gamma": GammaResponse, "LogNormal": LogNormalResponse}[cls.__name__](**named)


class Prior(abc.ABC):
    """What the parametric families share: checked float parameters and a short `str`."""

    __slots__ = ()
    positive: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in _field_names(self)}
        call = f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"
        for name, value in given.items():
            object.__setattr__(self, name, _checked_number(value, name, call, positive=name in self.positive))

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{getattr(self, name):.5g}' for name in _field_names(self))})"


class BetaPrior(Prior):
    """A prior of one population coefficient."""

    __slots__ = ()

    @abc.abstractmethod
    def log_density(self, x: ArrayLike) -> FloatArray:
        """Log density at `x`, elementwise."""

    @abc.abstractmethod
    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""


class SdPrior(Prior):
    """A prior of one standard deviation: a density on x >= 0."""

    __slots__ = ()
    code: ClassVar[int]

    @property
    def parameters(self) -> tuple[float, float]:
        """The parameters in order, padded with 0.0 to two: what the compiled kernels take beside `code`."""
        first, second = ([getattr(self, name) for name in _field_names(self)] + [0.0])[:2]
        return first, second

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Normalised log density at `x`, elementwise; minus infinity below zero and at infinity.

        Parameters
        ----------
        x : array-like, any shape

        Returns
        -------
        array of the shape of `x`
        """
        x = np.asarray(x, dtype=np.float64)
        is_outside = (x < 0) | np.isposinf(x)
        with np.errstate(divide="ignore", over="ignore"):
            return np.where(is_outside, -np.inf, self._log_density(np.where(is_outside, 1.0, x)))

    @abc.abstractmethod
    def _log_density(self, x: FloatArray) -> FloatArray:
        """Log density where 0 <= x < infinity."""

    @abc.abstractmethod
    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""


@final
@dataclass(frozen=True, slots=True)
class Normal(BetaPrior):
    """Normal with mean `mu` and standard deviation `sigma`.

    See Also
    --------
    Flat : The improper limit.
    Priors : Where priors are given.

    Examples
    --------
    >>> print(Normal(0, 2.5))
    Normal(0, 2.5)
    """

    mu: float
    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("sigma",)

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Log density at `x`, elementwise."""
        z = (np.asarray(x, dtype=np.float64) - self.mu) / self.sigma
        return np.asarray(-0.5 * z * z - math.log(self.sigma) - 0.5 * math.log(2 * math.pi))

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""
        return rng.normal(self.mu, self.sigma, size)


@final
@dataclass(frozen=True, slots=True)
class Flat(BetaPrior):
    """The improper constant density 1 on the real line.

    See Also
    --------
    Normal : A proper prior.
    Priors : Where priors are given.

    Examples
    --------
    >>> import hierreg as hr
    >>> hr.Flat().log_density([0.0, 1e6])
    array([0., 0.])
    """

    def log_density(self, x: ArrayLike) -> FloatArray:
        """Zero, elementwise."""
        return np.zeros_like(np.asarray(x, dtype=np.float64))

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:  # noqa: ARG002  # the base's signature
        """Raise an error: a flat prior cannot be drawn from."""
        raise PriorError(
            "Flat() is improper and cannot be drawn from: use Normal(mu, sigma) for prior predictive draws"
        )


@final
@dataclass(frozen=True, slots=True)
class HalfNormal(SdPrior):
    """The absolute value of a normal with mean 0 and standard deviation `sigma`.

    See Also
    --------
    HalfStudentT : With heavier tails: the default.
    Priors : Where priors are given.

    Examples
    --------
    >>> import hierreg as hr
    >>> hr.HalfNormal(2).log_density([0.0, 2.0]).round(3)
    array([-0.919, -1.419])
    """

    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("sigma",)
    code: ClassVar[int] = HALF_NORMAL

    def _log_density(self, x: FloatArray) -> FloatArray:
        return 0.5 * math.log(2 / math.pi) - math.log(self.sigma) - 0.5 * (x / self.sigma) ** 2

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""
        return np.abs(rng.normal(0.0, self.sigma, size))


@final
@dataclass(frozen=True, slots=True)
class HalfStudentT(SdPrior):
    """The absolute value of a Student t with `nu` degrees of freedom and scale `sigma`.

    See Also
    --------
    HalfNormal : The limit of many degrees of freedom.
    HalfCauchy : That of one degree of freedom.
    Priors : Where priors are given.

    Examples
    --------
    >>> import hierreg as hr
    >>> hr.HalfStudentT(3, 2).log_density([0.0, 2.0]).round(3)
    array([-1.001, -1.576])
    """

    nu: float
    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("nu", "sigma")
    code: ClassVar[int] = HALF_STUDENT_T

    def _log_density(self, x: FloatArray) -> FloatArray:
        nu, sigma = self.nu, self.sigma
        log_constant = (
            math.log(2 / sigma) + math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
        )
        return log_constant - 0.5 * (nu + 1) * np.log1p((x / sigma) ** 2 / nu)

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""
        return self.sigma * np.abs(rng.standard_t(self.nu, size))


@final
@dataclass(frozen=True, slots=True)
class HalfCauchy(SdPrior):
    """The absolute value of a Cauchy with scale `beta`.

    See Also
    --------
    HalfStudentT : Of any degrees of freedom.
    Priors : Where priors are given.

    Examples
    --------
    >>> import hierreg as hr
    >>> hr.HalfCauchy(2).log_density([0.0, 2.0]).round(3)
    array([-1.145, -1.838])
    """

    beta: float
    positive: ClassVar[tuple[str, ...]] = ("beta",)
    code: ClassVar[int] = HALF_CAUCHY

    def _log_density(self, x: FloatArray) -> FloatArray:
        return math.log(2 / (math.pi * self.beta)) - np.log1p((x / self.beta) ** 2)

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""
        return self.beta * np.abs(rng.standard_cauchy(size))


@final
@dataclass(frozen=True, slots=True)
class Exponential(SdPrior):
    """Exponential with rate `lam`; mean 1 / lam.

    See Also
    --------
    Gamma : Of any shape.
    Priors : Where priors are given.

    Examples
    --------
    >>> import hierreg as hr
    >>> hr.Exponential(0.5).log_density([0.0, 2.0]).round(3)
    array([-0.693, -1.693])
    """

    lam: float
    positive: ClassVar[tuple[str, ...]] = ("lam",)
    code: ClassVar[int] = EXPONENTIAL

    def _log_density(self, x: FloatArray) -> FloatArray:
        return math.log(self.lam) - self.lam * x

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""
        return rng.exponential(1 / self.lam, size)


@final
@dataclass(frozen=True, slots=True)
class Gamma(SdPrior, metaclass=AlsoResponse):
    """Gamma with shape `alpha` and rate `beta`; mean alpha / beta. Without them, ``hr.Gamma()``, a family of responses.

    With alpha = 2 and a small rate it keeps the mode of the posterior away from zero.

    See Also
    --------
    Exponential : That of shape one.
    InverseGamma : Of the reciprocal.
    Priors : Where priors are given.

    References
    ----------
    Chung, Y., Rabe-Hesketh, S., Dorie, V., Gelman, A. and Liu, J. (2013). A nondegenerate penalized
    likelihood estimator for variance parameters in multilevel models. Psychometrika 78(4), 685-709.

    Examples
    --------
    >>> import hierreg as hr
    >>> hr.Gamma(2, 0.1).log_density([0.0, 10.0]).round(3)
    array([  -inf, -3.303])
    >>> print(hr.Gamma())
    Gamma(link='log')
    """

    alpha: float
    beta: float
    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    code: ClassVar[int] = GAMMA

    def _log_density(self, x: FloatArray) -> FloatArray:
        log_constant = self.alpha * math.log(self.beta) - math.lgamma(self.alpha)
        # an exponential (alpha = 1) has a finite density at zero, where 0 * log(0) would be nan
        power = (self.alpha - 1) * np.log(x) if self.alpha != 1 else np.zeros_like(x)
        return log_constant + power - self.beta * x

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""
        return rng.gamma(self.alpha, 1 / self.beta, size)


@final
@dataclass(frozen=True, slots=True)
class InverseGamma(SdPrior):
    """The reciprocal of a gamma: shape `alpha`, scale `beta`; density zero at zero.

    See Also
    --------
    Gamma : Of the reciprocal.
    LogNormal : Zero at zero too.
    Priors : Where priors are given.

    Examples
    --------
    >>> import hierreg as hr
    >>> hr.InverseGamma(2, 1).log_density([0.0, 1.0]).round(3)
    array([-inf,  -1.])
    """

    alpha: float
    beta: float
    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    code: ClassVar[int] = INVERSE_GAMMA

    def _log_density(self, x: FloatArray) -> FloatArray:
        log_constant = self.alpha * math.log(self.beta) - math.lgamma(self.alpha)
        inside = np.where(x > 0, x, 1.0)
        return np.where(x > 0, log_constant - (self.alpha + 1) * np.log(inside) - self.beta / inside, -np.inf)

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""
        return self.beta / rng.standard_gamma(self.alpha, size)


@final
@dataclass(frozen=True, slots=True)
class LogNormal(SdPrior, metaclass=AlsoResponse):
    """The exponential of a normal with mean `mu` and standard deviation `sigma`; density zero at zero.

    Without them, ``hr.LogNormal()``, it is a family of responses.

    See Also
    --------
    InverseGamma : Zero at zero too.
    Priors : Where priors are given.

    Examples
    --------
    >>> import hierreg as hr
    >>> hr.LogNormal(0, 1).log_density([0.0, 1.0]).round(3)
    array([  -inf, -0.919])
    >>> print(hr.LogNormal())
    LogNormal(link='identity')
    """

    mu: float
    sigma: float
    positive: ClassVar[tuple[str, ...]] = ("sigma",)
    code: ClassVar[int] = LOG_NORMAL

    def _log_density(self, x: FloatArray) -> FloatArray:
        log_x = np.log(np.where(x > 0, x, 1.0))
        z = (log_x - self.mu) / self.sigma
        return np.where(x > 0, -0.5 * z * z - log_x - math.log(self.sigma) - 0.5 * math.log(2 * math.pi), -np.inf)

    def draw(self, rng: np.random.Generator, size: Size) -> FloatArray:
        """Independent draws of shape `size`."""
        return rng.lognormal(self.mu, self.sigma, size)


# Every family of standard deviations: the only list of them.
SD_FAMILIES: tuple[type[SdPrior], ...] = (
    HalfNormal,
    HalfStudentT,
    HalfCauchy,
    Exponential,
    Gamma,
    InverseGamma,
    LogNormal,
)
SD_FAMILY_NAMES = tuple(family.__name__ for family in SD_FAMILIES)


def sd_family(name: str, numbers: Sequence[float]) -> SdPrior:
    """Return the family of that name with its parameters, which may be padded as `SdPrior.parameters` is.

    Examples
    --------
    >>> print(sd_family("HalfNormal", (2.5, 0.0)))
    HalfNormal(2.5)
    """
    family = SD_FAMILIES[SD_FAMILY_NAMES.index(name)]
    return family(*map(float, numbers[: len(fields(family))]))  # type: ignore[arg-type]  # every one is a dataclass


def _field_names(prior: Prior) -> tuple[str, ...]:
    return tuple(field.name for field in fields(prior))  # type: ignore[arg-type]  # every final class is a dataclass


def _checked_number(value: object, name: str, call: str, *, positive: bool) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise PriorError(f"{call}: {name} must be one number, not {type(value).__name__}")
    if not math.isfinite(value) or (positive and value <= 0):
        raise PriorError(f"{call}: {name} must be {'positive and finite' if positive else 'finite'}")
    return float(value)
