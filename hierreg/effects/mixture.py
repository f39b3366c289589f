"""`Mixture`: several populations of groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from hierreg.exceptions import PriorError

MOST_COMPONENTS = 10


@final
@dataclass(frozen=True)
class Mixture:
    """A mixture of normal distributions: groups come from one of several populations.

    ``hr.Model(..., effects={"Subject": hr.Mixture(2)})``: a group is of component k with probability w_k, and then
    b_j ~ N(m_k, Sigma) with Sigma common to all components, or Sigma_k of its own. ``beta`` is the mean of all groups,
    and m_k the deviation of component k from it: the sum of w_k m_k is zero. ``theta_j = beta + b_j`` as always.

    Components are in the order of the mean of the *first group coefficient* (that of the level at the predictors'
    means, where the priors of the factor are defaults), so that each set of components counts once and labels cannot
    switch. Where that coefficient does not tell components apart, put another one first in the bar term.

    Parameters
    ----------
    components : int
        Number of components, 2 to 10.
    common : bool
        One covariance for all components; with False one each, all with the priors of the factor's sd and corr.
    concentration : float
        Of the Dirichlet prior of the weights, the same for all components. At 2, the default, a component without
        groups is unlikely before data are seen.
    mean_sd : float or tuple of floats (q,), optional
        Prior sd of the means of components, one for each group coefficient as it stands: they are independent normal,
        given their order. By default the scale of the default prior of the factor's standard deviations, in its frame.

    See Also
    --------
    StudentT : One kind of groups, some of them far out.
    shrinkage : Which component a group is likely of.
    Model : Its argument ``effects``.

    References
    ----------
    Verbeke, G. and Lesaffre, E. (1996). A linear mixed-effects model with heterogeneity in the random-effects
    population. Journal of the American Statistical Association 91, 217-221.

    Fruehwirth-Schnatter, S. (2006). Finite Mixture and Markov Switching Models. Springer, section 3.5.

    Examples
    --------
    >>> print(Mixture(2))
    Mixture(2, common=True)
    """

    components: int = 2
    common: bool = True
    concentration: float = 2.0
    mean_sd: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        k = self.components
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 2 <= k <= MOST_COMPONENTS:
            raise PriorError(f"Mixture({k!r}): a whole number of components from 2 to {MOST_COMPONENTS} is required.")
        if not isinstance(self.common, bool | np.bool_):
            raise PriorError(f"Mixture(common={self.common!r}): True or False is required.")
        if not _is_positive(self.concentration):
            raise PriorError(f"Mixture(concentration={self.concentration!r}): a positive number is required.")
        mean_sd = self.mean_sd
        if mean_sd is not None:
            several = tuple(mean_sd) if isinstance(mean_sd, tuple | list | np.ndarray) else (mean_sd,)
            if not several or not all(_is_positive(value) for value in several):
                raise PriorError(
                    f"Mixture(mean_sd={mean_sd!r}): a positive number is required, or one for each group coefficient."
                )
            object.__setattr__(self, "mean_sd", tuple(map(float, several)))
        object.__setattr__(self, "components", int(k))
        object.__setattr__(self, "common", bool(self.common))
        object.__setattr__(self, "concentration", float(self.concentration))

    def __str__(self) -> str:
        return f"Mixture({self.components}, common={self.common})"


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool | np.bool_)
    return is_number and math.isfinite(value) and value > 0
