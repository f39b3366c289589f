"""One replication of a calibration: parameters, a response, the posterior given it, and ranks.

Everything follows from the study and the number of the replication, whoever makes it, and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import DataError, HierregError, InterruptedWarning
from hierreg.model.kinds import kind_of
from hierreg.predictive.of_family import prior_group
from hierreg.predictive.of_family import replicates as replicates_of_family
from hierreg.predictive.prior_draws import draw_prior
from hierreg.predictive.rows import draws_of, replicate
from hierreg.problem.family import FamilyProblem
from hierreg.problem.replaced import with_response
from hierreg.reports.calibration import Replication
from hierreg.reports.draws import ess_bulk
from hierreg.results.carried import draws_in
from hierreg.sampling.request import SampleRequest
from hierreg.warning import kept_warnings

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.problem import Problem
    from hierreg.studies.quantities import Quantities

    Array = NDArray[np.float64]

# Draws for each rank: neighbours in a chain depend on each other.
THIN = 5
CHAINS = 2
# Where effective draws are fewer than ranks, so many times more are taken, and again.
_MORE, _TRIES = 4, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What all replications have in common; it travels to other processes.

    Attributes
    ----------
    problem : Problem
        Whose rows are replicated.
    fitted : Problem
        Of which the posterior is: the same; around a fit, that of every row twice.
    around : Dataset or None
        Draws of a posterior that parameters are taken from; of the prior where there are none.
    quantities : Quantities
    method : {"nuts", "psis"}
    draws : int
        Ranks are among 0 .. draws.
    seed : int
    """

    problem: Problem | FamilyProblem
    fitted: Problem | FamilyProblem
    around: xr.Dataset | None
    quantities: Quantities
    method: str
    draws: int
    seed: int


def replications(study: Study, numbers: list[int]) -> list[Replication]:
    """Return some replications of a study."""
    return [replication(study, number) for number in numbers]


def replication(study: Study, number: int) -> Replication:
    """Return one replication of a study."""
    seeds = [int(one) for one in np.random.SeedSequence([study.seed, number]).generate_state(4)]
    with kept_warnings() as kept:
        try:
            truth = true_values(study, seeds[0])
            y = response(study.problem, truth, seeds[1])
            problem = problem_with(study, y)
        except DataError as error:
            return Replication(number=number, status="refused", message=str(error))
        try:
            values, ess = _posterior_values(study, problem, seeds[2])
        except (HierregError, ArithmeticError, ValueError) as error:
            return Replication(number=number, status="failed", message=f"{type(error).__name__}: {error}")
    if any(issubclass(category, InterruptedWarning) for category, _ in kept):
        raise KeyboardInterrupt
    at = study.quantities.values(truth, problem)[0, 0]
    ranks = ranks_of(at, values, np.random.default_rng(seeds[3]))
    warnings = tuple(f"{category.__name__}: {text}" for category, text in kept)
    return Replication(number=number, ranks=tuple(ranks.tolist()), ess=ess, warnings=warnings)


def true_values(study: Study, seed: int) -> xr.Dataset:
    """Return one draw of all parameters, of the prior or of the posterior that the study is around."""
    if study.around is None:
        return prior_of(study.problem, 1, seed)
    chains, draws = study.around.sizes["chain"], study.around.sizes["draw"]
    place = int(np.random.default_rng(seed).integers(chains * draws))
    return study.around.isel(chain=[place // draws], draw=[place % draws])


def prior_of(problem: Problem | FamilyProblem, draws: int, seed: int) -> xr.Dataset:
    """Return draws of all parameters from their priors, one chain."""
    if isinstance(problem, FamilyProblem):
        return prior_group(problem, draws, seed)
    return draw_prior(problem, draws, [seed])


def response(problem: Problem | FamilyProblem, truth: xr.Dataset, seed: int) -> Array:
    """Return a response (N,) at given parameters."""
    if isinstance(problem, FamilyProblem):
        (values,) = replicates_of_family(problem, truth, seed).data_vars.values()
        return np.asarray(values.to_numpy()[0, 0], dtype=np.float64)
    return np.asarray(replicate(problem, draws_of(truth, problem), [seed])[0])


def problem_with(study: Study, y: Array) -> Problem | FamilyProblem:
    """Return the problem whose posterior is asked for, given a replicated response; around a fit, beside the first."""
    if study.around is None:
        return with_response(study.fitted, y)
    from hierreg.predictive.of_family import observed_values

    problem = study.problem
    seen = observed_values(problem) if isinstance(problem, FamilyProblem) else problem.design.y
    return with_response(study.fitted, np.concatenate([seen, y]))


def _posterior_values(study: Study, problem: Problem | FamilyProblem, seed: int) -> tuple[Array, float]:
    """Return the values (draws, Q) in nearly independent draws, and the smallest effective size of what they are of."""
    least = (study.draws + 1) * THIN // CHAINS
    for _ in range(_TRIES):
        tree = kind_of(problem).sample(problem, request_of(study.method, least, seed))
        posterior = draws_in(tree)
        values = study.quantities.values(posterior, problem)
        ess = _effective(values, tree)
        if ess >= study.draws:
            break
        least *= _MORE
    flat = values.reshape(-1, values.shape[2])
    # From each chain evenly, one draw fewer than there are places.
    return flat[np.arange(study.draws) * (len(flat) // study.draws)], ess


def _effective(values: Array, tree: xr.DataTree) -> float:
    own = ess_bulk(values)
    smallest = float(np.nanmin(own)) if np.any(np.isfinite(own)) else float("nan")
    worth = tree["sample_stats"].attrs.get("resampled_ess")
    return smallest if worth is None else min(smallest, float(worth))


def request_of(method: str, draws: int, seed: int) -> SampleRequest:
    """Return the request of one posterior in one thread."""
    return SampleRequest.plain(draws=draws, chains=CHAINS, seed=seed, method=method, cores=1, group_effects="draws")


def ranks_of(at: Array, values: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the ranks (Q,) of true values (Q,) among draws (S, Q); among equal ones any is as likely as another."""
    below, equal = np.sum(values < at, axis=0), np.sum(values == at, axis=0)
    return np.asarray(below + rng.integers(0, equal + 1), dtype=np.intp)
