"""Powers of the priors by fits, where weights of the draws of one fit cannot follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import PriorError
from hierreg.predictive.powered import PRIOR, Powered, same_weights
from hierreg.priors.changed import changed, to_power
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.problem import Problem
from hierreg.sampling.request import SampleRequest
from hierreg.studies.prior_sensitivity.points import with_priors
from hierreg.studies.prior_sensitivity.refits import refit

if TYPE_CHECKING:
    from hierreg.priors import ResolvedPriors
    from hierreg.studies.prior_sensitivity.points import AnyProblem
    from hierreg.studies.prior_sensitivity.quantities import Quantities


def priors_by_fits(
    problem: AnyProblem,
    quantities: Quantities,
    alphas: tuple[float, ...],
    shape: tuple[int, int],
    seed: int,
) -> list[Powered] | None:
    """Return the posteriors under powers of all priors, each from a fit; None where there is none.

    Parameters
    ----------
    problem : Problem or FamilyProblem
        Fits of Gaussian models are cheap; of others nothing is fitted here.
    quantities : Quantities
    alphas : tuple of float
    shape : (int, int)
        Chains and draws of each.
    seed : int
    """
    if not isinstance(problem, Problem) or isinstance(problem, EffectsProblem):
        return None
    evaluate, _ = quantities.recorder()
    request = SampleRequest.plain(draws=shape[1], chains=shape[0], seed=seed, method="psis")
    try:
        under = [with_priors(problem, _to_power(problem.priors, alpha)) for alpha in alphas]
    except PriorError:
        return None
    out, last = [], None
    for alpha, other in zip(alphas, under, strict=True):
        last = refit(other, evaluate, request, last, with_groups=quantities.reads_groups)
        values = last.values.reshape(shape[0] * shape[1], -1)
        out.append(same_weights(PRIOR, alpha, np.zeros(len(values)), values))
    return out


def _to_power(priors: ResolvedPriors, alpha: float) -> ResolvedPriors:
    return changed(priors, lambda _, prior: to_power(prior, alpha))
