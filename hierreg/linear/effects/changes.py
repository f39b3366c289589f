"""Changes of a predictor whose effect is asked for: from which value to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.linear.effects.tables import predictors_of

if TYPE_CHECKING:
    import pandas as pd

_BETWEEN_LEVELS = ("reference", "revreference", "sequential", "pairwise", "revpairwise")
_OF_NUMBERS = ("sd", "2sd", "iqr", "minmax")
# Half the step of a slope, in standard deviations: the error of a curve is of order 1e-8, that of rounding 1e-12.
_STEP = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """A change of one predictor in all rows.

    Attributes
    ----------
    variable : str
    text : str
        The change, in words.
    low, high : Series or value
        What the column is before and after.
    per : array (M,) or float
        What the difference of each row is divided by.
    """

    variable: str
    text: str
    low: Any
    high: Any
    per: Any = 1.0


def changes_of(problem: Any, frame: pd.DataFrame, variables: Any) -> list[Change]:
    """Return the changes that `variables` of `comparisons` asks for.

    Raises
    ------
    ModelError
        If a name is no predictor of the population, or the change cannot be made.
    """
    known = predictors_of(problem)
    out: list[Change] = []
    for name, how in asked_of(variables, known).items():
        levels = known[name]
        out += _of_levels(name, levels, how) if levels is not None else _of_number(name, frame[name], how)
    return out


def slopes_of(problem: Any, frame: pd.DataFrame, variables: Any) -> list[Change]:
    """Return small changes of the numeric predictors, each divided by its size.

    Raises
    ------
    ModelError
        If a name is no numeric predictor of the population.
    """
    known = predictors_of(problem)
    numeric = [name for name, levels in known.items() if levels is None and frame[name].dtype != bool]
    asked = asked_of(variables, known)
    for name in asked if variables is not None else ():
        if name not in numeric:
            raise ModelError(f"variables={name!r} has levels, not a slope; use hr.comparisons for it.")
    names = [name for name in asked if name in numeric]
    if not names:
        raise ModelError("slopes are those of numeric predictors, and the population part of the formula has none.")
    return [_slope(name, np.asarray(frame[name], dtype=float)) for name in names]


def _slope(name: str, x: Any) -> Change:
    low, high = float(x.min()), float(x.max())
    size = float(x.std()) or max(1.0, abs(float(x[0])))
    # Not beyond the values that there are, where a spline may not be defined; a single value has no bounds.
    before, after = x - _STEP * size, x + _STEP * size
    if high > low:
        before, after = np.maximum(before, low), np.minimum(after, high)
    return Change(variable=name, text="dY/dX", low=before, high=after, per=after - before)


def asked_of(variables: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked of each predictor; None for the default."""
    if variables is None:
        asked: dict[str, Any] = dict.fromkeys(known)
    elif isinstance(variables, str):
        asked = {variables: None}
    elif isinstance(variables, Mapping):
        asked = dict(variables)
    elif isinstance(variables, Sequence):
        asked = dict.fromkeys(variables)
    else:
        raise ModelError(f"variables={variables!r} must be a name, a list of names, or a dictionary of changes.")
    for name in asked:
        if name not in known:
            raise ModelError(
                f"variables names {name!r}, which is no predictor of the population; these are {listed(known)}."
                f"{suggestion(name, known)}"
            )
    if not asked:
        why = "the population part of the formula has no predictor" if not known else f"choose of {listed(known)}"
        raise ModelError(f"variables: {why}.")
    return asked


def _of_levels(name: str, levels: Sequence[Any], how: Any) -> list[Change]:
    if how is None:
        how = "reference"
    if isinstance(how, str):
        if how not in _BETWEEN_LEVELS:
            raise ModelError(
                f"variables[{name!r}]={how!r} is none of {listed(_BETWEEN_LEVELS)}, nor a pair of levels."
                f"{suggestion(how, _BETWEEN_LEVELS)}"
            )
        pairs = {
            "reference": [(levels[0], other) for other in levels[1:]],
            "revreference": [(other, levels[0]) for other in levels[1:]],
            "sequential": list(pairwise(levels)),
            "pairwise": list(combinations(levels, 2)),
            "revpairwise": [(b, a) for a, b in combinations(levels, 2)],
        }[how]
    else:
        pairs = [_pair(name, how)]
        for level in pairs[0]:
            if level not in levels:
                raise ModelError(
                    f"variables[{name!r}] has the level {level!r}; the model knows {listed(levels)}."
                    f"{suggestion(level, levels)}"
                )
    return [Change(variable=name, text=f"{high} - {low}", low=low, high=high) for low, high in pairs]


def _pair(name: str, how: Any) -> tuple[Any, Any]:
    if isinstance(how, str) or not isinstance(how, Sequence | np.ndarray) or len(how) != 2:
        raise ModelError(f"variables[{name!r}]={how!r}: give two values, from which to which, or see hr.comparisons.")
    return how[0], how[1]


def _of_number(name: str, values: pd.Series, how: Any) -> list[Change]:
    is_truth = values.dtype == bool
    x = np.asarray(values, dtype=float)
    if how is None:
        if is_truth:
            return [Change(variable=name, text="True - False", low=False, high=True)]
        how = 1
    if isinstance(how, str):
        return [_of_spread(name, x, how)]
    if isinstance(how, int | float | np.number) and not isinstance(how, bool):
        if not np.isfinite(how) or how == 0:
            raise ModelError(f"variables[{name!r}]={how!r}: a change must be finite and not zero.")
        return [Change(variable=name, text=f"{'+' if how > 0 else '-'}{abs(how):g}", low=x, high=x + float(how))]
    low, high = _pair(name, how)
    try:
        low, high = (bool(v) if is_truth else float(v) for v in (low, high))
    except (TypeError, ValueError):
        raise ModelError(f"variables[{name!r}]={how!r}: {name} is a number; give two numbers.") from None
    return [
        Change(variable=name, text=f"{high:g} - {low:g}" if not is_truth else f"{high} - {low}", low=low, high=high)
    ]


def _of_spread(name: str, x: Any, how: str) -> Change:
    if how not in _OF_NUMBERS:
        raise ModelError(
            f"variables[{name!r}]={how!r} is none of {listed(_OF_NUMBERS)}, nor a number or a pair of numbers."
            f"{suggestion(how, _OF_NUMBERS)}"
        )
    sd = float(x.std(ddof=1)) if len(x) > 1 else 0.0
    low, high = {
        "sd": (x - sd / 2, x + sd / 2),
        "2sd": (x - sd, x + sd),
        "iqr": tuple(float(q) for q in np.quantile(x, [0.25, 0.75])),
        "minmax": (float(x.min()), float(x.max())),
    }[how]
    if np.all(np.equal(low, high)):
        raise ModelError(f"variables[{name!r}]={how!r}: newdata has a single value of {name}, {x[0]:g}.")
    return Change(variable=name, text=how, low=low, high=high)
