"""Fits of one model under other priors, each from the mode of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import SamplingError
from hierreg.likelihood.crossed.blas_threads import blas_threads_for
from hierreg.likelihood.engines import check_not_cut_off
from hierreg.likelihood.posterior import Target
from hierreg.model.estimation import estimate
from hierreg.model.kinds import kind_of
from hierreg.model.posterior import by_importance, by_nuts, start_at_estimate
from hierreg.predictive.integrated_draws import Redraw, values_at
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.few_units import check_density_is_bounded
from hierreg.problem.problem import Problem
from hierreg.sampling.nuts import find_mode
from hierreg.sampling.request import SampleRequest
from hierreg.variances.parameters import covariances

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.studies.prior_sensitivity.points import AnyProblem

    Array = NDArray[np.float64]
    type Evaluate = Callable[[xr.Dataset], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """The quantities under one set of priors.

    Attributes
    ----------
    values : array (chain, draw, Q)
    pareto_k : float
        Of importance sampling; NaN of NUTS.
    mode : (tuple of str, array) or None
        Names of the unconstrained parameters and their values at the mode, where the next search may begin.
    """

    values: Array
    pareto_k: float
    mode: tuple[tuple[str, ...], Array] | None = None


def refit(
    problem: AnyProblem,
    evaluate: Evaluate,
    request: SampleRequest,
    last: Refit | None = None,
    *,
    with_groups: bool = True,
) -> Refit:
    """Return the quantities under the priors of a problem.

    Parameters
    ----------
    problem : Problem or FamilyProblem
    evaluate : function
        Posterior -> array (chain, draw, Q).
    request : SampleRequest
    last : Refit or None
        Under other priors: where the search for the mode begins, beside the usual places.
    with_groups : bool
        Whether `evaluate` reads coefficients of groups.
    """
    request.check()
    if isinstance(problem, Problem) and not isinstance(problem, EffectsProblem):
        with blas_threads_for(problem.gram):
            return _integrated(problem, evaluate, request, last, with_groups=with_groups)
    tree = kind_of(problem).sample(problem, request)
    k = tree["sample_stats"].attrs.get("pareto_k", np.nan)
    return Refit(values=evaluate(tree["posterior"].to_dataset()), pareto_k=float(k))


def _integrated(
    problem: Problem, evaluate: Evaluate, request: SampleRequest, last: Refit | None, *, with_groups: bool
) -> Refit:
    """Return the quantities of a Gaussian model, whose variance parameters alone are sampled."""
    check_density_is_bounded(problem)
    likelihood, seed = problem.likelihood("prior"), int(request.seed or 0)
    target = Target(parameters=problem.parameters, likelihood=likelihood)
    names = problem.parameters.free_names
    known = last is not None and last.mode is not None and last.mode[0] == names
    start = last.mode[1] if known else start_at_estimate(target, estimate(problem, "reml"))  # type: ignore[union-attr,index]  # by `known`
    mode = find_mode(target, [start])
    target = target.with_digits_at(mode.u)
    at_mode = covariances(problem.parameters, mode.u[None])
    check_not_cut_off(likelihood, at_mode.Lambda[0], at_mode.error_cov[0])
    u, stats = _drawn(target, mode, request, seed)
    shape = u.shape[:2]
    cov = covariances(problem.parameters, u.reshape(shape[0] * shape[1], u.shape[2]))
    how = Redraw(shape=(shape[0], shape[1]), seed=seed, with_groups=with_groups)
    values = values_at(problem, likelihood, cov, evaluate, how)
    k = float(stats.attrs.get("pareto_k", np.nan))
    return Refit(values=values.reshape(*shape, -1), pareto_k=k, mode=(names, mode.u))


def _drawn(target: Any, mode: Any, request: SampleRequest, seed: int) -> tuple[Array, xr.Dataset]:
    """Return draws of the variance parameters; by NUTS where importance sampling cannot represent the posterior."""
    if request.method == "psis":
        try:
            return by_importance(target, mode, request, seed)
        except SamplingError:
            pass
    return by_nuts(target, mode, request, seed)
