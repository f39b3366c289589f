"""What every family of responses says of itself, and how one lies over the rows of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hierreg.checks import counted, first_rows, listed, read_only
from hierreg.design_matrices import column, column_levels
from hierreg.exceptions import DataError, ModelError
from hierreg.response.links import LINKS, Link

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.formula import FormulaSpec

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A response as a family reads it.

    Attributes
    ----------
    y : array (N,)
        Successes, counts, values, or categories counted from zero.
    trials : array (N,)
        Number of trials; ones where a family has none.
    stratum : int array (N,)
        Stratum of each row, of families with parameters by stratum.
    strata : tuple of str
        Their labels; one of no name where there are none.
    categories : tuple of str
        Of two labels, the failure and the success; of ordered ones all of them; else empty.
    """

    y: Array
    trials: Array
    stratum: NDArray[np.int64]
    strata: tuple[str, ...] = ("",)
    categories: tuple[str, ...] = ()


class Family(ABC):
    """A family of responses, before any data are seen.

    Attributes
    ----------
    code : int
        Number of the family in `response.kernels`.
    links : tuple of str
        Links that it can have, the default first.
    auxiliary : tuple of str
        Names of its further parameters, all positive (of thresholds, one for each category but the last).
    common : tuple of str
        Those of them that are the same in all strata.
    lowest : dict name -> float
        Their bounds, where these are not zero.
    takes : str
        What a response must be, in words.
    """

    __slots__ = ()

    code: ClassVar[int]
    links: ClassVar[tuple[str, ...]]
    auxiliary: ClassVar[tuple[str, ...]] = ()
    common: ClassVar[tuple[str, ...]] = ()
    lowest: ClassVar[Mapping[str, float]] = {}
    takes: ClassVar[str]

    link: str

    def __post_init__(self) -> None:
        if self.link not in self.links:
            raise ModelError(f"{type(self).__name__}(link={self.link!r}): the link is one of {listed(self.links)}.")

    def __str__(self) -> str:
        shown = []
        for one in fields(self):  # type: ignore[arg-type]  # every final class is a dataclass
            value = getattr(self, one.name)
            if value is not None:
                shown.append(f"{one.name}={value!r}" if isinstance(value, str) else f"{one.name}={value}")
        return f"{type(self).__name__.removesuffix('Response')}({', '.join(shown)})"

    @property
    def symbols(self) -> str:
        """How a response y is distributed given its linear predictor, in symbols, as in `errors`."""
        further = "".join(f", {name}" for name in self.auxiliary)
        return f"y_r ~ {type(self).__name__.removesuffix('Response')}(μ_r{further}), {self.link}(μ_r) = η_r"

    @property
    def link_function(self) -> Link:
        """The link."""
        return LINKS[self.link]

    @property
    def by(self) -> str | None:
        """Column of strata with parameters of their own."""
        return None

    @property
    def has_level(self) -> bool:
        """Whether the response tells a level: the intercept of ordered categories is part of the thresholds."""
        return True

    @property
    def is_latent(self) -> bool:
        """Whether the response is the sign, or the category, of a latent one, whose variance is that of the link."""
        return False

    @property
    def is_log_concave(self) -> bool:
        """Whether the log density is concave in eta, so that the effects of a group have one mode."""
        return True

    @property
    def has_heavy_tails(self) -> bool:
        """Whether rows may be so far out that they count for nothing: then searches begin in several places."""
        return False

    def says_of_one_row_groups(self, observed: Observed) -> bool:  # noqa: ARG002  # one of them asks how many trials
        """Whether rows can be groups: whether responses show that rows vary more than the family says.

        A yes or no, an ordered category and a normal number do not: their own variance is free, or none.
        """
        return True

    def prior_of(self, name: str) -> object:
        """Return what was asked for as the prior of a further parameter; None where nothing was."""
        return getattr(self, name, None)

    def read(self, table: Any, spec: FormulaSpec, trials: str | None) -> Observed:
        """Return the response of a table (narwhals.DataFrame).

        Raises
        ------
        DataError, ModelError, FormulaError
            If the response is none of this family.
        """
        if spec.second is not None:
            raise ModelError(
                f"formula {spec.text!r}: a response of successes and {spec.second.what} is that of hr.Binomial(), not "
                f"of family={self}."
            )
        if trials is not None:
            raise ModelError(f"trials={trials!r} with family={self}: only hr.Binomial() has trials.")
        y, categories = self.values(table, spec)
        strata: tuple[str, ...] = ("",)
        stratum = np.zeros(len(y), dtype=np.int64)
        if self.by is not None:
            levels, index = column_levels(table, self.by, role="stratum of the response")
            strata, stratum = tuple(str(level) for level in levels), index.astype(np.int64)
        return Observed(
            y=read_only(y), trials=read_only(np.ones(len(y))), stratum=stratum, strata=strata, categories=categories
        )

    def values(self, table: Any, spec: FormulaSpec) -> tuple[Array, tuple[str, ...]]:
        """Return the values (N,) of a response of one column, and the labels of its categories."""
        y = numbers_of(table, spec.response, self)
        self.check_values(y, spec.response)
        return y, ()

    def check_values(self, y: Array, name: str) -> None:  # noqa: B027  # any number will do
        """Raise where values cannot be a response of this family."""

    @abstractmethod
    def mean(self, eta: Array, a: Array, c: Array) -> Array:
        """Return the expected response (of one trial) at linear predictors; a, c as in `response.kernels`."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, eta: Array, trials: Array, a: Array, c: Array) -> Array:
        """Return draws of responses at linear predictors."""

    @abstractmethod
    def working(self, observed: Observed) -> tuple[Array, Array]:
        """Return where a search begins: linear predictors (N,) near the responses, and their information (N,)."""

    def information(self, observed: Array, a: Array, c: Array) -> Array:  # noqa: ARG002  # the signature of all
        """Return the information of rows that working models have, given what is observed, -l''; none is negative."""
        return np.maximum(observed, 0.0)

    @property
    def unit(self) -> float | None:
        """Scale of the linear predictor, which default priors are in units of; None for that of the response."""
        return 1.0


def numbers_of(table: Any, name: str, family: Family) -> Array:
    """Return a response as numbers (N,): a column, or a function of columns.

    Raises
    ------
    DataError
        If it is not of numbers.
    """
    from hierreg.design_matrices.matrices import ColumnSource, fit_expression
    from hierreg.formula import compile_expression

    expression = compile_expression(name)
    for one in expression.column_names:
        values = column(table, one, role="response")
        if values.dtype == object:
            raise DataError(
                f"data[{one!r}] (response) holds text or categories (first: {values[0]!r}); family={family} takes "
                f"{family.takes}."
            )
    if expression.text in expression.column_names:
        return np.asarray(column(table, expression.text, role="response"), dtype=np.float64)
    if len(expression.column_names) == 1 and expression.columns[0].use == "plain":
        return np.asarray(column(table, expression.column_names[0], role="response"), dtype=np.float64)
    source = ColumnSource(table=table, role="predictor", learned={}, is_learning=True)
    _, matrix = fit_expression(compile_expression(f"0 + {name}"), source)
    return np.array(matrix[:, 0])


def check_all(bad: NDArray[np.bool_], y: Array, name: str, family: Family) -> None:
    """Raise where some values of a response are not what its family takes."""
    if bad.any():
        raise DataError(
            f"the response `{name}` has {counted(int(bad.sum()), 'value')} (first at {first_rows(bad, y)}) that "
            f"{'is' if bad.sum() == 1 else 'are'} none of family={family}, which takes {family.takes}."
        )


def is_count(y: Array) -> NDArray[np.bool_]:
    """Return which values are whole numbers, zero or more."""
    return np.asarray((y >= 0) & (y == np.floor(y)))
