"""Draws of coefficients, as every engine returns them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectSummary:
    """Posterior summary of one set of group coefficients.

    Attributes
    ----------
    mean : array (J, q)
        Rao-Blackwell: the average of the conditional means.
    sd : array (J, q)
        Rao-Blackwell: average conditional variance plus variance of the conditional means.
    quantiles : array (n_probs, J, q)
        Of the mixture of the conditional distributions, or of exact draws.
    error : float
        Largest Monte-Carlo error of a mean or quantile, in posterior standard deviations, as of independent draws; NaN
        where quantiles are those of exact draws.
    """

    mean: Array
    sd: Array
    quantiles: Array
    error: float = np.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Coefficients of S draws, user scale.

    Attributes
    ----------
    beta : array (S, p)
    b : tuple of arrays (S, J, q), or None
        One per grouping factor; None where only summaries, or nothing, were asked for.
    b_summary : tuple of EffectSummary, or None
        One per grouping factor; None where draws, or nothing, were asked for.
    theta_summary : tuple of (EffectSummary or None), or None
        Likewise; None of a factor without `theta_columns`.
    """

    beta: Array
    b: tuple[Array, ...] | None
    b_summary: tuple[EffectSummary, ...] | None
    theta_summary: tuple[EffectSummary | None, ...] | None
