"""Ordered categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.checks import listed
from hierreg.design_matrices import column_levels
from hierreg.exceptions import DataError, HierregWarning
from hierreg.formula import compile_expression
from hierreg.response.base import Family, Observed
from hierreg.response.kernels import CUMULATIVE
from hierreg.warning import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.formula import FormulaSpec

    Array = NDArray[np.float64]

# Types of columns, as narwhals names them, whose labels have no order of their own.
_TEXT = ("String", "Object")


@final
@dataclass(frozen=True, slots=True)
class Cumulative(Family):
    """Ordered categories: P(y <= k) = F(threshold_k - eta).

    The formula has an intercept as always; it is taken out of the linear predictor, and the thresholds stand for it.

    Parameters
    ----------
    link : {"logit", "probit"}

    See Also
    --------
    Bernoulli : Two categories.
    predict : The probabilities of the categories.
    Model : Its argument ``family``.

    Examples
    --------
    >>> import hierreg as hr
    >>> print(hr.Cumulative("probit"))
    Cumulative(link='probit')
    """

    link: str = "logit"
    code: ClassVar[int] = CUMULATIVE
    links: ClassVar[tuple[str, ...]] = ("logit", "probit")
    auxiliary: ClassVar[tuple[str, ...]] = ("thresholds",)
    takes: ClassVar[str] = "an ordered category, or whole numbers in their order"

    @property
    def symbols(self) -> str:
        """How a response is distributed, in symbols."""
        return f"{self.link}(P(y_r ≤ k)) = threshold_k − η_r"

    @property
    def has_level(self) -> bool:
        """The thresholds are the level."""
        return False

    def says_of_one_row_groups(self, observed: Observed) -> bool:  # noqa: ARG002  # the signature of all families
        """Return that they cannot: the thresholds are free."""
        return False

    @property
    def is_latent(self) -> bool:
        """The response is the category of a latent one."""
        return True

    def values(self, table: Any, spec: FormulaSpec) -> tuple[Array, tuple[str, ...]]:
        """Return categories counted from zero, and their labels in order."""
        name = compile_expression(spec.response).column_names
        if len(name) != 1 or spec.response.strip("`") != name[0]:
            raise DataError(f"the response `{spec.response}` must be one column; family={self} takes {self.takes}.")
        levels, index = column_levels(table, name[0], role="response")
        if len(levels) < 3:
            raise DataError(
                f"the response `{spec.response}` has the categories {listed(levels)}; family={self} takes three or "
                "more. Two are hr.Bernoulli()."
            )
        labels = tuple(str(level) for level in levels)
        if str(table[name[0]].dtype) in _TEXT:
            warn(
                f"the response `{spec.response}` is text, whose categories are taken in alphabetical order: "
                f"{' < '.join(labels)}. Make it an ordered category, or whole numbers, to say which order is meant.",
                HierregWarning,
            )
        return index.astype(np.float64), labels

    def mean(self, eta: Array, a: Array, c: Array) -> Array:  # the signature of all families
        """Return the probability of the category between the thresholds a and c."""
        F = self.link_function.inverse
        return np.asarray(F(c - eta) - F(a - eta))

    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:  # noqa: ARG002
        """Return latent responses, whose category is their place among the thresholds."""
        noise = rng.logistic(size=np.shape(eta)) if self.link == "logit" else rng.standard_normal(np.shape(eta))
        return eta + noise

    def working(self, observed: Observed) -> tuple[Array, Array]:
        """Return latent responses at the middle of each category's share, and their information."""
        y = observed.y.astype(np.int64)
        share = np.bincount(y) / len(y)
        middle = np.cumsum(share) - 0.5 * share
        return self.link_function.forward(middle)[y], np.full(len(y), 0.25)
