"""What a check is asked of, and what it answers: the values that all checks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMade:
    """A check that was not made.

    Attributes
    ----------
    reason : str
        Why, and where it helps what to do.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """b responses as residuals, whitened: the errors have variance one and are independent.

    Attributes
    ----------
    marginal : array (N, b)
        P y, with P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1 in whitened coordinates.
    errors : array (N, b)
        Residuals of errors alone, standardised by their exact standard deviations, of mean square one in each stratum;
        zero where a row has no residual of its own.
    size : array (b,)
        Mean square of the latter before they were scaled.
    """

    marginal: Array
    errors: Array
    size: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Scores of the data beside those of replicates.

    Attributes
    ----------
    data : Sample
        Residuals of the data, b = 1.
    observed : array (k,)
        Scores of the candidates, large where the model is wrong.
    expected : array (k,)
        Means of the replicates' scores.
    z : array (k,)
        The same less the mean, and over the standard deviation, of the replicates' scores.
    p_each : array (k,)
        Share of replicates whose score of the same candidate is as large.
    p : float
        Share of replicates whose largest z is as large as that of the data; the data count as one of them.
    worst : int
        The candidate of the largest z.
    """

    data: Sample
    observed: Array
    expected: Array
    z: Array
    p_each: Array
    p: float
    worst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found.

    Attributes
    ----------
    found : str
        In a few words, for a table.
    evidence : str
        In a sentence or two, with names.
    remedy : str
        What to do about it.
    statistic : float
    p : float
        NaN of a fact, which has no probability.
    is_alarm : bool or None
        Of a fact, whether it is a fault; None where p decides.
    is_note : bool
        Of a fact that is no fault, whether a reader should know it.
    figure : dict
        Arrays (dimensions, values) for figures, by name.
    """

    found: str
    evidence: str
    remedy: str = ""
    statistic: float = float("nan")
    p: float = float("nan")
    is_alarm: bool | None = None
    is_note: bool = False
    figure: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A check that compares the data with replicates.

    Attributes
    ----------
    labels : tuple of str
        The k candidates, such as columns: the check is of the worst of them.
    scores : function
        Sample of b responses -> array (k, b), nearly normal, large where the model is wrong.
    conclude : function
        Outcome -> Finding.
    forms : function or None
        Sample -> array (m, b): statistics of the variance parameters, which scores are made orthogonal to (Neyman's
        C(alpha)), so that it does not matter to first order that they were estimated.
    """

    __test__ = False  # pytest collects classes of this name

    labels: tuple[str, ...]
    scores: Callable[[Sample], Array]
    conclude: Callable[[Outcome], Finding]
    forms: Callable[[Sample], Array] | None = None


def outcome(data: Sample, observed: Array, replicated: Array) -> Outcome:
    """Return how the scores of the data (k,) stand beside those of B replicates (k, B)."""
    centre, spread = replicated.mean(axis=1), replicated.std(axis=1)
    spread = np.where(spread > 0, spread, 1.0)
    z, z_replicated = (observed - centre) / spread, (replicated - centre[:, None]) / spread[:, None]
    B = replicated.shape[1]
    return Outcome(
        data=data,
        observed=observed,
        expected=centre,
        z=z,
        p_each=(1.0 + np.sum(z_replicated >= z[:, None], axis=1)) / (B + 1.0),
        p=float((1.0 + np.sum(z_replicated.max(axis=0) >= z.max())) / (B + 1.0)),
        worst=int(np.argmax(z)),
    )


def orthogonal(scores: Array, forms: Array, observed: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return scores (k, B) of replicates and (k,) of the data, less their regression on forms (m, B) and (m,).

    The covariance of scores and forms under the model is that of the replicates.
    """
    centre = forms.mean(axis=1, keepdims=True)
    centred = forms - centre
    scale = np.sqrt(np.mean(centred**2, axis=1, keepdims=True))
    scale = np.where(scale > 0, scale, 1.0)
    slope = np.linalg.lstsq((centred / scale).T, (scores - scores.mean(axis=1, keepdims=True)).T, rcond=1e-8)[0].T
    own, its_forms = observed
    return (
        scores - slope @ (centred / scale),
        own - slope @ ((its_forms - centre[:, 0]) / scale[:, 0]),
    )


def as_normal(chi_square: Array, df: float) -> Array:
    """Return chi-squares on df degrees of freedom as nearly standard normal numbers.

    References
    ----------
    Wilson and Hilferty (1931), Proceedings of the National Academy of Sciences 17(12), 684-688.

    Examples
    --------
    >>> as_normal(np.array([3.841]), 1.0).round(1)
    array([1.7])
    """
    return np.asarray((np.cbrt(np.maximum(chi_square, 0.0) / df) - (1 - 2 / (9 * df))) / np.sqrt(2 / (9 * df)))
