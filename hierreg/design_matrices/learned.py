"""What a design learned from its table, as plain values: to be sent, stored in a file, and made a design again.

formulaic's own objects can only be pickled, and nothing is ever unpickled. What they learn, however, is a few numbers
for each transform and the levels of categorical columns, and the rest follows from the formula.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices.build import DesignState
from hierreg.design_matrices.levels import FactorLevels
from hierreg.design_matrices.matrices import fit_expression
from hierreg.exceptions import DataError
from hierreg.formula import compile_expression, parse_formula

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from hierreg.design_matrices.collinear import Determined
    from hierreg.design_matrices.values import Level
    from hierreg.formula import ColumnUse, FormulaSpec

RESPONSE = "~"  # the place of the response among the transforms
_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedState:
    """What a design learned.

    Attributes
    ----------
    formula : str
    levels : mapping (column, use) -> levels
        Of the categorical predictors.
    transforms : mapping expression -> mapping
        For each expression (the response is "~") what its transforms learned, as formulaic keeps it.
    factors : tuple of FactorLevels
    determined : mapping str -> Determined
        Columns that were dropped; see `DesignState`.
    """

    formula: str
    levels: Mapping[tuple[str, str], tuple[Level, ...]]
    transforms: Mapping[str, Mapping[str, Any]]
    factors: tuple[FactorLevels, ...]
    determined: Mapping[str, Determined] = field(default_factory=dict)


def learned_of(state: DesignState) -> LearnedState:
    """Return what a design learned, as plain values."""
    assert state.response is not None  # of a family: it has no cross-products to be kept with
    fitted = {RESPONSE: state.response, **state.expressions}
    return LearnedState(
        formula=state.spec.text,
        levels=dict(state.learned),
        # plain numbers, as they come back from a file
        transforms={name: decoded(encoded(dict(one.model_spec.transform_state))) for name, one in fitted.items()},
        factors=state.factors,
        determined=state.determined,
    )


def expressions_of(spec: FormulaSpec) -> dict[str, str]:
    """Return the expressions of a formula that are evaluated, by their names in `LearnedState.transforms`."""
    texts = dict.fromkeys([spec.population, *(term.expression for term in spec.group_terms)])
    return {RESPONSE: f"0 + {spec.response}", **{text: text for text in texts}}


def restore(learned: LearnedState) -> DesignState:
    """Return the design that learned this.

    The expressions are evaluated on made-up rows, which teach them nothing: what they know is given.
    """
    spec = parse_formula(learned.formula)
    source = _MadeUpRows(levels=learned.levels)
    fitted = {}
    for name, text in expressions_of(spec).items():
        known = learned.transforms.get(name, {})
        with np.errstate(all="ignore"):
            made_up, _ = fit_expression(compile_expression(text), source, transforms=_unbounded(known), check=False)
        fitted[name] = replace(made_up, model_spec=made_up.model_spec.update(transform_state=deepcopy(dict(known))))
    response = fitted.pop(RESPONSE)
    return DesignState(
        spec=spec,
        response=response,
        expressions=fitted,
        learned=dict(learned.levels),
        factors=learned.factors,
        determined=learned.determined,
    )


def _unbounded(transforms: Mapping[str, Any]) -> dict[str, Any]:
    """Return what transforms know, but for the bounds of splines, which made-up rows may lie outside."""
    bounds = {"lower_bound": -np.inf, "upper_bound": np.inf}
    return {call: {key: bounds.get(key, value) for key, value in state.items()} for call, state in transforms.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _MadeUpRows:
    """A few rows: every numeric column is the same, every categorical one runs through its levels."""

    levels: Mapping[tuple[str, str], tuple[Level, ...]]

    @property
    def n(self) -> int:
        return _ROWS

    def values(self, column: ColumnUse) -> NDArray[np.float64] | pd.Categorical:
        import pandas as pd

        known = self.levels.get((column.name, column.use))
        if known is None:
            return np.linspace(0.5, 1.5, _ROWS)
        return pd.Categorical.from_codes(np.arange(_ROWS) % len(known), categories=list(known))


# ---- as JSON


def encoded(value: Any) -> Any:
    """Return what a transform learned as values that JSON has, without loss."""
    if isinstance(value, dict):
        return {"dict": [[encoded(key), encoded(item)] for key, item in value.items()]}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, (list, tuple)):
        return {"list": [encoded(item) for item in value]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise DataError(f"a transform of the formula has learned a {type(value).__name__}, which cannot be stored.")


def decoded(value: Any) -> Any:
    """Return what `encoded` was given."""
    if not isinstance(value, dict):
        return value
    (kind, items), *_ = value.items()
    if kind == "dict":
        return {decoded(key): decoded(item) for key, item in items}
    return np.array(items) if kind == "array" else [decoded(item) for item in items]
