"""What a model was made of, as values that a file can hold, so that it can be made again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.design_matrices import as_table
from hierreg.design_matrices.build import columns_of_factors
from hierreg.design_matrices.kept import Kept, keep_columns
from hierreg.effects import Mixture, StudentT
from hierreg.errors.structures import checked_structure, errors_from_json, weighted
from hierreg.exceptions import DataError, ModelError
from hierreg.formula import parse_formula
from hierreg.gram.part import columns_of
from hierreg.priors import LKJ, Fixed, Flat, Normal, Priors
from hierreg.priors.families import SD_FAMILIES
from hierreg.problem.effects import with_effects
from hierreg.problem.problem import Problem, assemble, check_has_no_family
from hierreg.response import FAMILIES, Family

if TYPE_CHECKING:
    from hierreg.errors.base import ErrorSpec
    from hierreg.problem.family import FamilyProblem

# Of rows that every result of a model carries; those of larger tables are left where they are.
MOST_BYTES = 2.0**26
# What `_described` may meet, by name: nothing else is made of what stands in a file.
_KINDS: tuple[type[Any], ...] = (*SD_FAMILIES, Normal, Flat, Fixed, LKJ, Priors, StudentT, Mixture, *FAMILIES)
_VALUES = {one.__name__: one for one in _KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The arguments of a model, but for its rows: see `hierreg.Model`."""

    formula: str
    errors: ErrorSpec | None = None
    priors: Priors | None = None
    collinear: Literal["refuse", "drop"] = "refuse"
    weights: str | None = None
    family: Any = None
    offset: str | None = None
    trials: str | None = None
    effects: Mapping[str, StudentT | Mixture] | None = None

    def problem(self, data: Any) -> Problem | FamilyProblem:
        """Return the problem that these and the rows of a table define.

        Raises
        ------
        FormulaError, DataError, PriorError, ModelError
            If one of them is malformed or does not fit the others.
        """
        problem = self._problem(data)
        return replace(problem, kept=self._kept(data, problem))

    def _problem(self, data: Any) -> Problem | FamilyProblem:
        if self.family is None:
            check_has_no_family(offset=self.offset, trials=self.trials)
            errors = weighted(self.errors, self.weights)
            return with_effects(
                assemble(self.formula, data, errors, self.priors, collinear=self.collinear), self.effects
            )
        if self.effects is not None:
            raise ModelError(
                f"effects={self.effects!r} with family={self.family}: group effects that are not normal go with normal "
                "responses. Leave one of the two out."
            )
        if self.errors is not None:
            raise ModelError(
                f"errors={self.errors} with family={self.family}: errors are those of normal responses. Leave errors "
                "out; families have parameters by stratum of their own, such as hr.NegativeBinomial(by='column')."
            )
        from hierreg.problem.family import assemble_family

        return assemble_family(
            self.formula,
            data,
            self.family,
            self.priors,
            collinear=self.collinear,
            weights=self.weights,
            offset=self.offset,
            trials=self.trials,
        )

    def _kept(self, data: Any, problem: Problem | FamilyProblem) -> Kept:
        """Return these and the rows, unless they are too many to be carried by every result."""
        # A family may have been given as its class, or as a distribution that effects may have too.
        family = getattr(problem, "family", None)
        V = problem.layout.V
        too_large = V is not None and V.nbytes > MOST_BYTES
        columns = None if too_large else keep_columns(as_table(data), *self._columns(family), MOST_BYTES)
        return Kept(arguments=replace(self, family=family).to_json(), columns=columns)

    def _columns(self, family: Family | None) -> tuple[tuple[str, ...], set[str]]:
        """Return the columns of the table that are read, and those of groups, strata and units among them.

        Those of the response stand last: what ArviZ takes as a predictor by default is the first.
        """
        spec, errors = parse_formula(self.formula), checked_structure(weighted(self.errors, self._weights_of_errors))
        roles = columns_of(spec, errors) | dict.fromkeys(spec.second.column_names if spec.second else (), "response")
        by = None if family is None else family.by
        further = dict.fromkeys(name for name in (self.weights, self.offset, self.trials, by) if name is not None)
        labels = {name for own in columns_of_factors(spec).values() for name in own} | {*errors.columns.labels, by}
        names = sorted(further | roles, key=lambda name: (roles.get(name) == "response", name not in roles))
        return tuple(names), {name for name in labels if name is not None}

    @property
    def _weights_of_errors(self) -> str | None:
        return self.weights if self.family is None else None

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON; of a known covariance the size alone."""
        out = {one.name: _described(getattr(self, one.name)) for one in fields(self) if one.name != "errors"}
        return out | {"errors": None if self.errors is None else self.errors.to_json()}

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Given:
        """Return what `to_json` described.

        Raises
        ------
        DataError
            If it describes something else.
        """
        try:
            values = {name: _made(value) for name, value in described.items() if name != "errors"}
            errors = described["errors"]
            return cls(**values, errors=None if errors is None else errors_from_json(errors))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"what a result says of its model is damaged ({error!r}): save it anew.") from error


def _described(value: Any) -> Any:
    """Return a value as JSON: text, numbers, and what `_VALUES` names."""
    if isinstance(value, Mapping):
        return {"each": [[_described(key), _described(entry)] for key, entry in value.items()]}
    if isinstance(value, (tuple, list)):
        return {"tuple": [_described(entry) for entry in value]}
    name = type(value).__name__
    if _VALUES.get(name) is type(value):
        return {"kind": name, "fields": {one.name: _described(getattr(value, one.name)) for one in fields(value)}}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    raise ModelError(f"{value!r} has type {name}, which a result cannot hold.")


def _made(described: Any) -> Any:
    """Return what `_described` was given."""
    if not isinstance(described, dict):
        return described
    if "each" in described:
        return {_made(key): _made(entry) for key, entry in described["each"]}
    if "tuple" in described:
        return tuple(_made(entry) for entry in described["tuple"])
    if "float" in described:
        return float(described["float"])
    values = {name: _made(value) for name, value in described["fields"].items()}
    return _VALUES[described["kind"]](**values)
