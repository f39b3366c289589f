"""Numbers with heavy tails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from hierreg.response.base import Family, Observed
from hierreg.response.kernels import STUDENT_T

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Of degrees of freedom that are estimated: above two the variance exists, and so does every sd that is reported.
LOWEST_NU = 2.0


@final
@dataclass(frozen=True, slots=True)
class StudentTResponse(Family):
    """Numbers whose errors are Student t: most rows alike, some far out; written ``hr.StudentT()``.

    y = eta + error_scale t, t ~ Student t of nu degrees of freedom.

    Parameters
    ----------
    link : {"identity"}
    nu : float, a prior, or None
        Degrees of freedom, the same in all strata: known, or with a prior on nu > 2.
    error_scale : prior or float, optional
        Prior of the t's scale, or its value; by default half Student t of three degrees of freedom with the standard
        deviation of the response as its scale. The scale is no standard deviation, which is
        error_scale sqrt(nu / (nu - 2)).
    by : str, optional
        Column of strata, each with a scale of its own.
    """

    link: str = "identity"
    nu: object = None
    error_scale: object = None
    by: str | None = None
    code: ClassVar[int] = STUDENT_T
    links: ClassVar[tuple[str, ...]] = ("identity",)
    auxiliary: ClassVar[tuple[str, ...]] = ("error_scale", "nu")
    common: ClassVar[tuple[str, ...]] = ("nu",)
    lowest: ClassVar[Mapping[str, float]] = {"nu": LOWEST_NU}
    takes: ClassVar[str] = "numbers"

    @property
    def is_log_concave(self) -> bool:
        """It is not."""
        return False

    @property
    def has_heavy_tails(self) -> bool:
        """It has."""
        return True

    def mean(self, eta: Array, a: Array, c: Array) -> Array:  # noqa: ARG002  # the signature of all families
        """Return the centre, which is the expected response."""
        return np.asarray(eta)

    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:  # noqa: ARG002
        """Return numbers."""
        return np.asarray(eta + a * rng.standard_t(c, size=np.shape(eta)))

    def working(self, observed: Observed) -> tuple[Array, Array]:
        """Return the responses, and the reciprocal of their variance."""
        return observed.y, np.full(len(observed.y), 1.0 / max(float(np.var(observed.y)), 1e-300))

    def information(self, observed: Array, a: Array, c: Array) -> Array:  # noqa: ARG002  # the signature of all
        """Return the expected information (nu + 1) / (nu + 3) / error_scale^2: that of outlying rows is negative."""
        return np.asarray((c + 1.0) / (c + 3.0) / (a * a))

    @property
    def unit(self) -> float | None:
        """That of the responses."""
        return None
