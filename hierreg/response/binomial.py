"""Yes or no, and successes in a number of trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.checks import listed, read_only
from hierreg.design_matrices import column, column_levels
from hierreg.exceptions import DataError, ModelError
from hierreg.formula import compile_expression
from hierreg.response.base import Family, Observed, check_all, is_count, numbers_of
from hierreg.response.kernels import BINOMIAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.formula import FormulaSpec

    Array = NDArray[np.float64]


class _Successes(Family):
    """What both have in common."""

    __slots__ = ()
    code: ClassVar[int] = BINOMIAL
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog")

    @property
    def symbols(self) -> str:
        """How a response is distributed, in symbols."""
        return f"y_r ~ Binomial(n_r, p_r), {self.link}(p_r) = η_r"

    @property
    def is_latent(self) -> bool:
        """The response is the sign of a latent one."""
        return True

    def says_of_one_row_groups(self, observed: Observed) -> bool:
        """Numbers of successes vary more than binomial ones; one yes or no cannot."""
        return bool(np.any(observed.trials > 1))

    def mean(self, eta: Array, a: Array, c: Array) -> Array:  # noqa: ARG002  # the signature of all families
        """Return the probability of success."""
        return self.link_function.inverse(eta)

    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:
        """Return numbers of successes."""
        return rng.binomial(trials.astype(np.int64), self.mean(eta, a, c)).astype(np.float64)

    def working(self, observed: Observed) -> tuple[Array, Array]:
        """Return links of shares with half a success and half a failure more, and n p (1 - p)."""
        p = (observed.y + 0.5) / (observed.trials + 1.0)
        return self.link_function.forward(p), (observed.trials + 1.0) * p * (1.0 - p)


@final
@dataclass(frozen=True, slots=True)
class Bernoulli(_Successes):
    """Yes or no: truth values, 0 and 1, or two labels.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"}
    success : str, int or float, optional
        Of two labels, the one that counts as success; by default the second in order, which `Model` prints.

    See Also
    --------
    Binomial : Successes in several trials.
    Cumulative : More than two categories, in order.
    Model : Its argument ``family``.

    Examples
    --------
    >>> import hierreg as hr
    >>> print(hr.Bernoulli("probit"))
    Bernoulli(link='probit')
    """

    link: str = "logit"
    success: Any = None
    takes: ClassVar[str] = "truth values, 0 and 1, or two labels"

    def values(self, table: Any, spec: FormulaSpec) -> tuple[Array, tuple[str, ...]]:
        """Return zeros and ones, and what they stand for."""
        name = compile_expression(spec.response).column_names
        plain = len(name) == 1 and spec.response.strip("`") == name[0]
        values = column(table, name[0], role="response") if plain else numbers_of(table, spec.response, self)
        if values.dtype != object:
            if self.success is None:
                y = np.asarray(values, dtype=np.float64)
                check_all((y != 0) & (y != 1), y, spec.response, self)
                return y, ()
            labels: tuple[Any, ...] = tuple(sorted(set(values.tolist())))
            index = np.searchsorted(np.array(labels), values)
        else:
            labels, index = column_levels(table, name[0], role="response")
        if len(labels) > 2:
            raise DataError(
                f"the response `{spec.response}` has {len(labels)} labels, {listed(labels)}; family={self} takes "
                f"{self.takes}. Ordered categories are hr.Cumulative()."
            )
        success = labels[-1] if self.success is None else self.success
        if success not in labels:
            raise DataError(f"success={success!r} is no label of the response `{spec.response}`: {listed(labels)}.")
        failure = next((label for label in labels if label != success), "")
        return (index == labels.index(success)).astype(np.float64), (str(failure), str(success))


@final
@dataclass(frozen=True, slots=True)
class Binomial(_Successes):
    """Successes in a known number of trials: ``cbind(successes, failures)``, ``successes / trials``, or ``trials=``.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"}

    See Also
    --------
    Bernoulli : Single trials.
    Beta : Shares without trials.
    Model : Its arguments ``family`` and ``trials``.

    Examples
    --------
    >>> import hierreg as hr
    >>> data = hr.load_dataset("cbpp")
    >>> model = hr.Model("incidence / size ~ period + (1 | herd)", data, family=hr.Binomial())
    >>> model.problem.observed.trials[:3]
    array([14., 12.,  9.])
    """

    link: str = "logit"
    takes: ClassVar[str] = "whole numbers of successes, 0 or more, and no more than there are trials"

    def read(self, table: Any, spec: FormulaSpec, trials: str | None) -> Observed:
        """Return successes and trials."""
        if spec.second is None and trials is None:
            raise ModelError(
                f"formula {spec.text!r} with family={self}: the number of trials is missing. Write the response as "
                "cbind(successes, failures) or as successes / trials, or name their column, trials='n'. Single trials "
                "are hr.Bernoulli()."
            )
        y = numbers_of(table, spec.response, self)
        if spec.second is None:
            assert trials is not None
            n, what = numbers_of(table, _quoted(trials), self), trials
        else:
            if trials is not None and trials != spec.second.text.strip("`"):
                raise ModelError(
                    f"trials={trials!r}, but the formula {spec.text!r} says that the {spec.second.what} are "
                    f"`{spec.second.text}`: give one of the two."
                )
            n, what = numbers_of(table, spec.second.text, self), spec.second.text
            if spec.second.what == "failures":
                check_all(~is_count(n), n, what, self)
                n = y + n
        check_all(~is_count(y) | (y > n), y, spec.response, self)
        check_all(~is_count(n) | (n < 1), n, what, self)
        return Observed(y=read_only(y), trials=read_only(n), stratum=np.zeros(len(y), dtype=np.int64))


def _quoted(name: str) -> str:
    from hierreg.formula.tokens import quoted

    return quoted(name)
