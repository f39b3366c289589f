"""Positive numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from hierreg.response.base import Family, Observed, check_all
from hierreg.response.kernels import GAMMA, NORMAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.formula import FormulaSpec

    Array = NDArray[np.float64]


@final
@dataclass(frozen=True, slots=True)
class GammaResponse(Family):
    """Positive numbers with standard deviation mean / sqrt(shape); written ``hr.Gamma()``.

    Parameters
    ----------
    link : {"log"}
    shape : prior or float, optional
        Prior of the shape, or its value; by default ``hr.Gamma(2, 0.1)``, which has mean 20.
    by : str, optional
        Column of strata, each with a shape of its own.
    """

    link: str = "log"
    shape: object = None
    by: str | None = None
    code: ClassVar[int] = GAMMA
    links: ClassVar[tuple[str, ...]] = ("log",)
    auxiliary: ClassVar[tuple[str, ...]] = ("shape",)
    takes: ClassVar[str] = "positive numbers"

    def check_values(self, y: Array, name: str) -> None:
        """Raise where values are not positive."""
        check_all(~(y > 0), y, name, self)

    def mean(self, eta: Array, a: Array, c: Array) -> Array:  # noqa: ARG002  # the signature of all families
        """Return the expected response."""
        return self.link_function.inverse(eta)

    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:  # noqa: ARG002
        """Return positive numbers."""
        return self.mean(eta, a, c) / a * rng.standard_gamma(a, size=np.shape(eta))

    def working(self, observed: Observed) -> tuple[Array, Array]:
        """Return logarithms, and their information for the shape that their variance suggests."""
        eta = np.log(observed.y)
        return eta, np.full(len(eta), 1.0 / max(float(np.var(eta)), 1e-8))


@final
@dataclass(frozen=True, slots=True)
class LogNormalResponse(Family):
    """Positive numbers whose logarithms are normal; written ``hr.LogNormal()``.

    The linear predictor is the mean of the logarithm, and exp of it the median of the response.

    Parameters
    ----------
    link : {"identity"}
        Of the logarithm.
    error_sd : prior or float, optional
        Prior of the standard deviation of the logarithm, or its value; by default half Student t of three degrees of
        freedom with the standard deviation of the logarithms as its scale.
    by : str, optional
        Column of strata, each with a standard deviation of its own.
    """

    link: str = "identity"
    error_sd: object = None
    by: str | None = None
    code: ClassVar[int] = NORMAL
    links: ClassVar[tuple[str, ...]] = ("identity",)
    auxiliary: ClassVar[tuple[str, ...]] = ("error_sd",)
    takes: ClassVar[str] = "positive numbers"

    def says_of_one_row_groups(self, observed: Observed) -> bool:  # noqa: ARG002  # the signature of all families
        """Return that they cannot: the variance of logarithms is free."""
        return False

    def values(self, table: object, spec: FormulaSpec) -> tuple[Array, tuple[str, ...]]:
        """Return the logarithms."""
        y, categories = Family.values(self, table, spec)
        return np.log(y), categories

    def check_values(self, y: Array, name: str) -> None:
        """Raise where values are not positive."""
        check_all(~(y > 0), y, name, self)

    def mean(self, eta: Array, a: Array, c: Array) -> Array:  # noqa: ARG002  # the signature of all families
        """Return the expected response."""
        return np.asarray(np.exp(eta + 0.5 * a * a))

    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:  # noqa: ARG002
        """Return logarithms of positive numbers."""
        return eta + a * rng.standard_normal(np.shape(eta))

    def working(self, observed: Observed) -> tuple[Array, Array]:
        """Return the logarithms, and the reciprocal of their variance."""
        return observed.y, np.full(len(observed.y), 1.0 / max(float(np.var(observed.y)), 1e-300))

    @property
    def unit(self) -> float | None:
        """That of the logarithms."""
        return None
