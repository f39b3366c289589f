"""Shares between zero and one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from hierreg.response.base import Family, Observed, check_all
from hierreg.response.kernels import BETA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_LEAST = 1e-12


@final
@dataclass(frozen=True, slots=True)
class Beta(Family):
    """Shares between zero and one, of variance mean (1 - mean) / (1 + precision).

    Parameters
    ----------
    link : {"logit"}
    precision : prior or float, optional
        Prior of the precision, or its value; by default ``hr.Gamma(1, 0.05)``, which has mean 20.
    by : str, optional
        Column of strata, each with a precision of its own.

    See Also
    --------
    Binomial : Shares of a known number of trials.
    Model : Its argument ``family``.

    Examples
    --------
    >>> import hierreg as hr
    >>> print(hr.Beta(precision=hr.Gamma(2, 0.1)))
    Beta(link='logit', precision=Gamma(2, 0.1))
    """

    link: str = "logit"
    precision: object = None
    by: str | None = None
    code: ClassVar[int] = BETA
    links: ClassVar[tuple[str, ...]] = ("logit",)
    auxiliary: ClassVar[tuple[str, ...]] = ("precision",)
    takes: ClassVar[str] = "numbers between 0 and 1, neither of them included"

    @property
    def is_log_concave(self) -> bool:
        """It is not."""
        return False

    def check_values(self, y: Array, name: str) -> None:
        """Raise where values are not between zero and one."""
        check_all(~((y > 0) & (y < 1)), y, name, self)

    def mean(self, eta: Array, a: Array, c: Array) -> Array:  # noqa: ARG002  # the signature of all families
        """Return the expected share."""
        return self.link_function.inverse(eta)

    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:  # noqa: ARG002
        """Return shares."""
        f, g = np.broadcast_arrays(self.link_function.inverse(eta) * a, self.link_function.inverse(-eta) * a)
        y = rng.beta(np.maximum(f, _LEAST), np.maximum(g, _LEAST))
        # Of a mean that is zero or one but for rounding there is nothing to draw.
        return np.where(f < _LEAST, 0.0, np.where(g < _LEAST, 1.0, y))

    def working(self, observed: Observed) -> tuple[Array, Array]:
        """Return logits, and the reciprocal of their variance."""
        eta = self.link_function.forward(observed.y)
        return eta, np.full(len(eta), 1.0 / max(float(np.var(eta)), 1e-8))
