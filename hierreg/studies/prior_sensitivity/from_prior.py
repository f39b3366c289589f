"""Draws of quantities from the prior, and which of them have no distribution or no variance there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.predictive import of_family
from hierreg.predictive.prior_draws import draw_prior
from hierreg.priors import Flat, Normal
from hierreg.priors.changed import changed, has_variance, priors_by_name, rescaled
from hierreg.problem.family import FamilyProblem
from hierreg.results.pairs import as_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.problem.problem import Problem
    from hierreg.studies.prior_sensitivity.quantities import Quantities

    Array = NDArray[np.float64]

_MOST, _FEWEST, _MOST_EFFECTS = 4000, 500, 3e7
_STREAM = 311


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorValues:
    """Draws from the prior, by quantity.

    Attributes
    ----------
    values : dict of arrays (n,)
        Not finite where a function of the draws is not.
    is_flat : dict of bool
        Whether a quantity depends on a coefficient with a flat prior: it has no distribution.
    is_heavy : dict of bool
        Whether it depends on a prior without a variance.
    """

    values: dict[str, Array]
    is_flat: dict[str, bool]
    is_heavy: dict[str, bool]


def prior_values(problem: Problem | FamilyProblem, quantities: Quantities, seed: int) -> PriorValues:
    """Return quantities at draws from the prior.

    What depends on a prior shows where it is made wider and the random numbers are the same.
    """
    priors = [one for own in priors_by_name(problem.priors).values() for one in own]
    n_effects = sum(len(f.levels) * len(f.coef) for f in problem.labels.factors)
    n = int(np.clip(_MOST_EFFECTS / max(n_effects, 1), _FEWEST, _MOST))

    def values(flat_sd: float, of_heavy: float) -> dict[str, Array]:
        def proper(_: str, prior: Any) -> Any:
            if isinstance(prior, Flat):
                return Normal(0.0, flat_sd)
            return prior if has_variance(prior) else rescaled(prior, of_heavy)

        other = replace(problem, priors=changed(problem.priors, proper))
        drawn = (
            of_family.prior_group(other, n, seed)
            if isinstance(other, FamilyProblem)
            else draw_prior(other, n, [seed, _STREAM])
        )
        return {name: own.ravel() for name, own in quantities.read(as_pairs(drawn), is_finite=False).items()}

    base = values(1.0, 1.0)
    flat = values(2.0, 1.0) if any(isinstance(one, Flat) for one in priors) else base
    heavy = values(1.0, 2.0) if not all(has_variance(one) or isinstance(one, Flat) for one in priors) else base
    return PriorValues(
        values=base,
        is_flat={name: not np.array_equal(own, flat[name], equal_nan=True) for name, own in base.items()},
        is_heavy={name: not np.array_equal(own, heavy[name], equal_nan=True) for name, own in base.items()},
    )
