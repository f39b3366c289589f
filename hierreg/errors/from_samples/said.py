"""What `covariance_from_samples` warns of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.from_samples.estimates import SAMPLES_PER_VALUE, correction
from hierreg.exceptions import HierregWarning
from hierreg.warning import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_WORST_CONDITION = 1e10
# How much wider shrinkage may make the difference of two values before it is said.
_WIDER = 1.5
_DEGREES_OF_Z = 3  # the variance of Fisher's z is 1 / (n - 3)


def _say(text: str) -> None:
    warn(text, HierregWarning)


def warn_of_kind(kind: str | None, x: Array) -> None:
    """Warn where nobody says what the rows are, and of rows that occur more than once."""
    if kind is None:
        _say(
            f"the {len(x)} rows of samples are taken as independent repetitions of all values. If they are bootstrap "
            "samples, their number says nothing of how well the covariance is known: give kind='bootstrap', "
            "n_independent= the number of configurations; jackknife replicates need a factor: kind='jackknife'. "
            "kind='samples' confirms that they are independent."
        )
    if kind != "bootstrap":
        distinct = len(np.unique(x, axis=0))
        if distinct < len(x):
            _say(
                f"samples has {len(x)} rows, of which only {distinct} differ: rows that occur more than once are not "
                f"independent. Leave repeats out, or say how many are independent: n_independent={distinct}, or fewer."
            )


def warn_of_few(n: int, N: int, p: int | None, *, correct: bool) -> None:
    """Warn of fewer than ten independent samples per value, with what that costs."""
    if n >= SAMPLES_PER_VALUE * N:
        return
    if not correct:
        factor = f"the factor {(n - 1) / (n - N - 2):.3g}" if n > N + 2 else "an unbounded factor"
        _say(
            f"samples has {n} independent samples of {N} values, fewer than {SAMPLES_PER_VALUE} per value: on average "
            f"the inverse of their covariance, and chi-square, is too large by {factor}, and errors come out too "
            "small. Draw more samples, use fewer values, or let it be corrected: correct=True."
        )
    elif p is None:
        scatter = np.sqrt(correction(n, N, 1) / correction(n, N, None)) if n > N + 2 else np.inf
        _say(
            f"samples has {n} independent samples of {N} values, fewer than {SAMPLES_PER_VALUE} per value. Chi-square "
            f"is corrected for that, but coefficients scatter more than their standard errors say, by up to "
            f"{scatter:.2f}: give n_coef= the number of coefficients, draw more samples, or use fewer values."
        )


def warn_of_shrinkage(before: Array, after: Array, n: int, *, has_pairs: bool) -> None:
    """Warn of differences of two values that shrinkage makes wider than chance allows (Fisher's z, three errors)."""
    if has_pairs or len(before) == 1 or n <= _DEGREES_OF_Z:
        return
    i, j = np.triu_indices(len(before), k=1)
    rho = np.clip(before[i, j], -1.0 + np.finfo(float).eps, 1.0 - np.finfo(float).eps)
    least = np.tanh(np.arctanh(rho) - 3.0 / np.sqrt(n - _DEGREES_OF_Z))
    wider = np.sqrt((1.0 - after[i, j]) / (1.0 - rho))
    wider[(1.0 - after[i, j]) / (1.0 - least) < _WIDER**2] = 0.0
    worst = int(wider.argmax())
    if wider[worst] > 0:
        _say(
            f"shrinkage makes the standard deviation of the difference of the standardised values {i[worst]} and "
            f"{j[worst]}, whose correlation is {before[i[worst], j[worst]]:.4g}, {wider[worst]:.2g} times too large "
            f"({int(np.sum(wider > 0))} differences by more than {_WIDER}, chance allowed for). Where values of two "
            "data sets are compared, name them, pairs=[(i, j), ...], so that their common part stays exact; or draw "
            "more samples."
        )


def warn_of_condition(corr: Array) -> None:
    """Warn of combinations of values that have next to no error."""
    condition = float(np.linalg.cond(corr))
    if condition > _WORST_CONDITION:
        _say(
            f"the correlation matrix of the samples has the condition number {condition:.2g}: some combinations of "
            "values have next to no error, and a fit will trust them fully. Leave out values that repeat one another, "
            "or shrink: shrinkage='ledoit-wolf' or a small number."
        )
