"""How a posterior is sampled where nobody said: by NUTS, and by importance sampling where a gradient takes long."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from hierreg.exceptions import HierregWarning, SamplingError
from hierreg.model.kinds import kind_of
from hierreg.problem.problem import Problem
from hierreg.warning import warn

if TYPE_CHECKING:
    import xarray as xr

    from hierreg.sampling.request import SampleRequest

_LOGGER = logging.getLogger("hierreg")
# Variance parameters up to which the efficiency of importance sampling is known to be good.
_MOST_PARAMETERS = 10


def sample_by_default(problem: object, request: SampleRequest) -> xr.DataTree:
    """Return the posterior by NUTS, or by importance sampling where a gradient of crossed factors takes long.

    That is decided by the sizes of the design alone, so that a seed means the same everywhere. Where importance
    sampling fails, NUTS follows.
    """
    sample = kind_of(problem).sample
    if not _is_costly(problem, request):
        return sample(problem, request)
    _LOGGER.warning(
        "These crossed factors make a gradient of the density costly: importance sampling, which needs none, takes the "
        "place of NUTS. method='psis' says so without this line; method='nuts' takes NUTS."
    )
    try:
        return sample(problem, replace(request, method="psis"))
    except SamplingError as error:
        warn(f"{error} NUTS takes its place, which may take long.", HierregWarning)
        return sample(problem, request)


def _is_costly(problem: object, request: SampleRequest) -> bool:
    """Return whether importance sampling is the default; never where something is asked for that NUTS alone has."""
    if not isinstance(problem, Problem) or problem.blocks is not None or not request.could_be_importance:
        return False
    from hierreg.likelihood.crossed.plan import plan_elimination

    return problem.parameters.n_free <= _MOST_PARAMETERS and plan_elimination(problem.gram).is_costly
