"""`hypothesis`: differences of effects, as weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NAMED = ("pairwise", "revpairwise", "reference", "revreference", "sequential", "revsequential", "meandev")
_PREFIX = "difference ~ "


def weights_of_hypothesis(hypothesis: Any, labels: Sequence[str]) -> tuple[list[str], Array]:
    """Return names (Q,) and weights (Q, R) of linear functions of R effects.

    Raises
    ------
    ModelError
        If it is none of the words, or a matrix or dictionary that does not fit.
    """
    if isinstance(hypothesis, str):
        return _named(hypothesis.removeprefix(_PREFIX), labels)
    if isinstance(hypothesis, Mapping):
        return _of_mapping(hypothesis, labels)
    try:
        matrix = np.atleast_2d(np.asarray(hypothesis, dtype=float))
    except (TypeError, ValueError):
        matrix = np.empty((0, 0))
    if matrix.ndim != 2 or matrix.shape[1] != len(labels) or not np.all(np.isfinite(matrix)):
        raise ModelError(
            f"hypothesis={hypothesis!r} must be one of {listed(NAMED)}, {{name: {{effect: weight}}}}, or a matrix with "
            f"one column for each of the {len(labels)} effects: {listed(labels)}."
        )
    return [f"H[{i}]" for i in range(len(matrix))], matrix


def _named(word: str, labels: Sequence[str]) -> tuple[list[str], Array]:
    n = len(labels)
    if word not in NAMED:
        raise ModelError(
            f"hypothesis={word!r} is none of {listed(NAMED)}; for other functions give {{name: {{effect: weight}}}} or "
            f"a matrix.{suggestion(word, NAMED)}"
        )
    if n < 2:
        raise ModelError(f"hypothesis={word!r} compares effects, and there is one: {listed(labels)}.")
    if word == "meandev":
        return [f"{label} - mean" for label in labels], np.eye(n) - 1.0 / n
    pairs = {
        # The later one less the earlier one, as marginaleffects has it.
        "pairwise": [(second, first) for first, second in combinations(range(n), 2)],
        "reference": [(i, 0) for i in range(1, n)],
        "sequential": [(i, i - 1) for i in range(1, n)],
    }[word.removeprefix("rev")]
    if word.startswith("rev"):
        pairs = [(second, first) for first, second in pairs]
    matrix = np.zeros((len(pairs), n))
    for row, (first, second) in enumerate(pairs):
        matrix[row, first], matrix[row, second] = 1.0, -1.0
    return [f"({labels[first]}) - ({labels[second]})" for first, second in pairs], matrix


def _of_mapping(hypothesis: Mapping[Any, Any], labels: Sequence[str]) -> tuple[list[str], Array]:
    matrix = np.zeros((len(hypothesis), len(labels)))
    for row, (name, weights) in enumerate(hypothesis.items()):
        if not isinstance(weights, Mapping) or not weights:
            raise ModelError(f"hypothesis[{name!r}]={weights!r}; weights of effects are required, {{effect: weight}}.")
        for label, weight in weights.items():
            if label not in labels:
                raise ModelError(
                    f"hypothesis[{name!r}] names {label!r}; the effects are {listed(labels)}."
                    f"{suggestion(label, labels)}"
                )
            try:
                matrix[row, list(labels).index(label)] += float(weight)
            except (TypeError, ValueError):
                raise ModelError(f"hypothesis[{name!r}][{label!r}]={weight!r} must be a number.") from None
    return [str(name) for name in hypothesis], matrix
