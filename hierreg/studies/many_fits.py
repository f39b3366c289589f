"""Many fits, one after the other or on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_whole
from hierreg.exceptions import ConvergenceWarning, InterruptedWarning, ModelError
from hierreg.hints import SEED, understands
from hierreg.model.model import Model
from hierreg.results.point import Coefficients
from hierreg.sampling.interrupted import warn_interrupted
from hierreg.studies.join_chains import joined_chains
from hierreg.warning import kept_warnings, warn

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

# A result and its warnings.
_Fit = tuple[Any, list[Any]] | None
# Of `Model.sample`.
_DRAWS = 1000
_METHODS = ("sample", "estimate", "solve")


@understands("hr.map_fits", same=SEED)
def map_fits(
    models: Iterable[Model], what: str | Callable[..., Any] = "sample", *, client: Any = None, **arguments: Any
) -> list[Any]:
    """Return the fits of several models, in order: a grid of priors, data sets, subsets.

    With a client the fits run on its workers, whole models at a time; without, one after the other here. For the same
    seeds the draws are the same, bit by bit. Warnings of a fit are issued here, with the place of its model.

    Parameters
    ----------
    models : iterable of Model
        They travel as Dask sends any object between its own processes; models of statistics alone
        (`Model.from_gram`) are small.
    what : {"sample", "estimate", "solve"} or callable
        A method of `Model`, or a function of a model.
    client : distributed.Client, optional
    **arguments
        Of the method or function. A list or tuple for ``seed`` has one seed for each model; one number is used for
        all. `Model.sample` gets ``cores=1`` and ``progress=False`` unless they are given.

    Returns
    -------
    list
        What the method or function returns, for each model; None for those that were not finished when a user
        interrupted.

    Raises
    ------
    ModelError
        If an argument is malformed.
    KeyboardInterrupt
        Where a user interrupted before any fit was finished.

    Warns
    -----
    InterruptedWarning
        Where a user interrupted later: which fits are missing.

    See Also
    --------
    map_chains : The chains of one model.
    compare_fits : Fits to the same rows, beside each other.

    Examples
    --------
    >>> import hierreg as hr
    >>> table = hr.load_dataset("sleepstudy")
    >>> models = [hr.Model("Reaction ~ Days + (1 | Subject)", table[table.Days > first]) for first in (0, 4)]
    >>> [est.converged for est in hr.map_fits(models, "estimate")]
    [True, True]
    """
    models = list(models)
    wrong = [i for i, model in enumerate(models) if not isinstance(model, Model)]
    if wrong:
        raise ModelError(f"models[{wrong[0]}] has type {type(models[wrong[0]]).__name__}; a hierreg Model is required.")
    if not callable(what) and what not in _METHODS:
        raise ModelError(f"what={what!r} must be one of {', '.join(map(repr, _METHODS))}, or a function of a model.")
    jobs = [{**arguments, **own} for own in _seeds(arguments, len(models))]
    if what == "sample":
        jobs = [{"cores": 1, "progress": False, **job} for job in jobs]
    found = _run(models, what, jobs, client)
    for i, one in enumerate(found):
        for category, message in () if one is None else one[1]:
            warn(f"models[{i}]: {message}", category)
    missing = [str(i) for i, one in enumerate(found) if one is None]
    if missing:
        done = len(models) - len(missing)
        message = f"the fits were interrupted: {done} of {len(models)} are finished, models[{', '.join(missing)}] None"
        warn_interrupted(message)
    return [None if one is None else one[0] for one in found]


@understands("hr.map_chains", same=SEED)
def map_chains(
    model: Model, *, chains: int = 4, seed: int | None = None, client: Any = None, **arguments: Any
) -> xr.DataTree:
    """Return the posterior of one model, each chain run by itself: on the workers of a Dask cluster, or here.

    For large models, where a chain takes minutes. The draws depend on the seed alone, not on the cluster, bit by bit;
    they are others than those of `Model.sample`, whose chains share one stream of random numbers.

    Parameters
    ----------
    model : Model
    chains : int
    seed : int, optional
        A random one is chosen and recorded where none is given.
    client : distributed.Client, optional
    **arguments
        Others of `Model.sample`, except ``method="psis"``, which has no chains, and summaries of the group effects.

    Returns
    -------
    DataTree
        As from `Model.sample`.

    Raises
    ------
    ModelError
        If an argument is malformed.

    Warns
    -----
    ConvergenceWarning, BoundaryWarning, InterruptedWarning
        As `Model.sample` does, of all chains together.

    See Also
    --------
    map_fits : Many models.
    Model.sample : All chains on one machine.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (1 | Subject)", hr.load_dataset("sleepstudy"))
    >>> hr.map_chains(model, chains=2, draws=800, seed=3)["posterior"].sizes["chain"]
    2
    """
    if not isinstance(model, Model):
        raise ModelError(f"model has type {type(model).__name__}; a hierreg Model is required.")
    check_whole("chains", chains, least=1)
    if seed is not None:
        check_whole("seed", seed, least=0)
    if arguments.get("method", "nuts") != "nuts":
        raise ModelError(
            f"method={arguments['method']!r} has no chains: use Model.sample, or map_fits for many models."
        )
    if arguments.get("group_effects", "draws") != "draws":
        raise ModelError("group_effects: summaries of chains cannot be joined; use 'draws', or Model.sample.")
    first = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    seeds = np.random.SeedSequence(first).generate_state(chains)
    shared = {"cores": 1, "progress": False, "group_effects": "draws", **arguments, "chains": 1}
    jobs = [{**shared, "seed": int(one)} for one in seeds]
    found = [one for one in _run([model] * chains, "sample", jobs, client) if one is not None]
    for category, message in dict.fromkeys(pair for _, caught in found for pair in caught):
        if not issubclass(category, (ConvergenceWarning, InterruptedWarning)):  # of one chain; those of all follow
            warn(message, category)
    return joined_chains([tree for tree, _ in found], seed=first, chains=chains, draws=arguments.get("draws", _DRAWS))


def _run(models: list[Model], what: str | Callable[..., Any], jobs: list[dict[str, Any]], client: Any) -> list[_Fit]:
    """Return every fit with its warnings; None for those that were not finished when a user interrupted."""
    if client is None:
        return _one_by_one(models, what, jobs)
    from distributed import as_completed

    futures = [
        client.submit(_fit_elsewhere, model, what, job, pure=False) for model, job in zip(models, jobs, strict=True)
    ]
    place = {future.key: i for i, future in enumerate(futures)}
    found: list[_Fit] = [None] * len(futures)
    try:
        # Fetched as they come: a Ctrl-C of a terminal ends workers of the same machine too, with what they hold.
        for future, result in as_completed(futures, with_results=True):  # type: ignore[no-untyped-call]
            found[place[future.key]] = (_with_problem(result[0], models[place[future.key]].problem), result[1])
    except KeyboardInterrupt:
        client.cancel(futures)
        if all(one is None for one in found):
            raise KeyboardInterrupt(
                f"interrupted before any of {len(futures)} fits was finished: there is nothing to keep. Fits that "
                "workers had begun end in their own time, the others are not begun."
            ) from None
    return found


def _one_by_one(models: list[Model], what: str | Callable[..., Any], jobs: list[dict[str, Any]]) -> list[_Fit]:
    found: list[_Fit] = []
    for model, job in zip(models, jobs, strict=True):
        try:
            result, caught = _fit(model, what, job)
        except KeyboardInterrupt:
            if not found:
                raise
            break
        found.append((result, caught))
        # The sampler returns what it has when it is interrupted: the user meant all fits.
        if any(issubclass(category, InterruptedWarning) for category, _ in caught):
            break
    return found + [None] * (len(models) - len(found))


def _seeds(arguments: dict[str, Any], n: int) -> list[dict[str, Any]]:
    seed = arguments.get("seed")
    if not isinstance(seed, Sequence):
        return [{} for _ in range(n)]
    if len(seed) != n:
        raise ModelError(f"seed has {len(seed)} entries for {n} models; give one for each, or one number for all.")
    return [{"seed": one} for one in seed]


def _fit_elsewhere(model: Model, what: str | Callable[..., Any], arguments: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return one fit without the rows of its model, which are where it is wanted already."""
    result, kept = _fit(model, what, arguments)
    return _with_problem(result, None), kept


def _with_problem(result: Any, problem: Any) -> Any:
    return replace(result, problem=problem) if isinstance(result, Coefficients) else result


def _fit(model: Model, what: str | Callable[..., Any], arguments: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return one fit, and the warnings on the way."""
    with kept_warnings() as kept:
        result = what(model, **arguments) if callable(what) else getattr(model, what)(**arguments)
    return result, kept
