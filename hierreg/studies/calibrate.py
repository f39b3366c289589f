"""`calibrate`: whether the posterior of a model is what it says, by data that the model itself made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice, check_whole
from hierreg.exceptions import DataError, ModelError
from hierreg.hints import SEED, understands
from hierreg.model.model import Model
from hierreg.predictive.of_model import attributes, check_match
from hierreg.predictive.prior_draws import check_priors
from hierreg.problem.family import FamilyProblem
from hierreg.problem.replaced import twice
from hierreg.problem.rotated import with_rotated_rows
from hierreg.reports.calibration import MULTIPLE, Calibration, report_of
from hierreg.results.carried import draws_in
from hierreg.sampling.interrupted import warn_interrupted
from hierreg.stored import digest
from hierreg.studies.counting import counting
from hierreg.studies.finished import checked_path, read, seed_in, write
from hierreg.studies.quantities import quantities_of
from hierreg.studies.replications import Study, prior_of, replications
from hierreg.studies.workers import results_of
from hierreg.threads import available_cores

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from hierreg.problem.problem import Problem
    from hierreg.reports.calibration import Replication
    from hierreg.studies.quantities import Given

# Seconds between two writes of what is finished.
_BETWEEN = 10.0
# Draws that tell which parameters vary.
_PILOT = 8


@understands("hr.calibrate", same=SEED)
def calibrate(  # noqa: PLR0913  # the public signature: every argument but the model has a default
    model: Model,
    n: int = 1000,
    *,
    around: xr.DataTree | None = None,
    method: Literal["nuts", "psis"] = "nuts",
    draws: int = 199,
    quantities: Given | None = None,
    groups: int = 3,
    seed: int | None = None,
    cores: int | None = None,
    progress: bool = True,
    path: str | Path | None = None,
    client: Any = None,
) -> Calibration:
    """Return whether posteriors of the model are calibrated: simulation-based calibration.

    Each replication draws all parameters from their priors, a response from them for the rows of the model, and the
    posterior given that response. If sampler, likelihood and priors are what they should be, the true values have
    uniform ranks among independent draws of the posterior, and lie in 95 % intervals in 95 % of the replications.
    Default priors are those that the model has already: they do not follow the simulated response.

    With ``around=tree`` parameters are drawn from that posterior instead, and what is fitted is the response that was
    seen and the simulated one together: the same groups with the same coefficients, units of correlated errors of their
    own. That looks where the data of the model are, not at all that its priors allow.

    Ranks are those of all parameters that vary, of the coefficients of some groups, and of the log likelihood, which
    depends on the data and so sees faults that parameters alone do not. Draws of a posterior are thinned five times,
    and more are taken where they are worth fewer independent ones than ranks need.

    Parameters
    ----------
    model : Model
        With family and effects as they are. Of statistics alone (`Model.from_gram`) with independent errors and one
        grouping factor at most.
    n : int
        Replications.
    around : DataTree, optional
        A posterior of the model, with draws of the group coefficients.
    method : {"nuts", "psis"}
        How posteriors are sampled, as in `Model.sample`.
    draws : int
        Nearly independent draws of each posterior; one less than a multiple of 40, so that intervals of 50, 80 and 95 %
        end at ranks.
    quantities : dict, optional
        More to compare: ``{name: function}`` of the ``posterior`` group (a Dataset), which returns one value for each
        draw, and ``{name: {coefficient: weight}}``, contrasts as `contrasts` takes them. Functions are to be found by
        other processes (defined in a module), unless ``cores=1``.
    groups : int
        Groups of each factor whose coefficients are compared, evenly spaced.
    seed : int, optional
        Replication i depends on it and on i alone, whatever `cores`, `n` and interruptions are. A random one is chosen
        and recorded where none is given, or that of `path` is taken.
    cores : int, optional
        Processes; all cores by default. A script that uses more than one has to be importable: its work stands below
        ``if __name__ == "__main__":``.
    progress : bool
    path : path, optional
        An ``.npz`` file for what is finished: the same call goes on from it, also with more replications. It is
        written every ten seconds and at the end.
    client : distributed.Client, optional
        On whose workers the replications are made instead.

    Returns
    -------
    Dataset
        Over ``quantity``: ``coverage`` (quantity, level) and the ends ``coverage_lower``, ``coverage_upper`` (level) of
        what 95 % of calibrated quantities cover; ``bias`` (in posterior sds) and ``width`` (of intervals, relative to
        the right one) by normal scores of ranks; ``ecdf_p``, ``bias_p``, ``spread_p``, probabilities of each
        quantity alone; ``ecdf_p_all`` and ``p_value``, of the first test and of all three for all quantities together;
        ``verdict`` in words. Over ``replication``: ``rank`` (replication, quantity), ``status`` ("ok", "refused",
        "failed"), ``message``, ``warning`` and ``ess``. Printing it gives a table.

    Raises
    ------
    ModelError, PriorError, DataError
        If an argument is malformed, a prior is flat, a model of statistics alone has other errors, no replication has a
        posterior, or `path` is of another study.
    KeyboardInterrupt
        Where a user interrupted before any replication was finished.

    Warns
    -----
    InterruptedWarning
        Where a user interrupted later: what is finished is returned, and kept where there is a `path`.

    See Also
    --------
    hierreg.plots.calibration : The distribution functions of the ranks.
    design : The same simulation, to choose a design.
    prior_predictive : What the priors say of responses.

    References
    ----------
    Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788; Modrák, Moon, Kim, Bürkner, Huurre,
    Faltejsková, Gelman and Vehtari (2023), Bayesian Analysis (advance publication); Säilynoja, Bürkner and Vehtari
    (2022), Statistics and Computing 32, 32; Säilynoja, Schmitt, Bürkner and Vehtari (2025), arXiv:2502.03279; Cook,
    Gelman and Rubin (2006), Journal of Computational and Graphical Statistics 15(3), 675-692.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> found = hr.calibrate(model, n=20, draws=39, method="psis", seed=1, cores=1, progress=False)
    >>> found["rank"].sizes
    Frozen({'replication': 20, 'quantity': 7})
    """
    _check(model, n, method, draws, groups)
    cores = available_cores() if cores is None else cores
    check_whole("cores", cores, least=1)
    where = checked_path(path)
    study, key = _study_of(model, around, method, draws, (quantities, groups), _seed_of(seed, where))
    done = {one.number: one for one in (read(where, key) if where else ())}
    left = [number for number in range(n) if number not in done]
    message = ""
    begin = last = time.monotonic()
    try:
        with counting(n, done=n - len(left), is_shown=progress) as advance:
            for one in results_of(replications, study, left, cores=cores, client=client):
                done[one.number] = one
                advance()
                if where and time.monotonic() - last > _BETWEEN:
                    write(where, key, _sorted(done))
                    last = time.monotonic()
    except KeyboardInterrupt:
        if not any(one.status == "ok" for one in done.values()):
            raise KeyboardInterrupt(f"interrupted before any of {n} replications was finished") from None
        finished = sum(number < n for number in done)
        message = f"calibration was interrupted: {finished} of {n} replications are finished"
        message += f", and kept in {str(where)!r}" if where else ""
    finally:
        if where and done:
            write(where, key, _sorted(done))
    warn_interrupted(message)
    found = [one for one in _sorted(done) if one.number < n]
    _check_some(found)
    heading = f"{model.formula}: calibration {'around a posterior' if around is not None else 'under the priors'}"
    attrs = {"method": method, "seed": study.seed, "seconds": time.monotonic() - begin, "interrupted": message}
    ok = sum(one.status == "ok" for one in found)
    return report_of(
        found, study.quantities.names, draws, {"heading": f"{heading}\n{ok} replications, method={method!r}"} | attrs
    )


def _sorted(done: dict[int, Replication]) -> list[Replication]:
    return [done[number] for number in sorted(done)]


def _check(model: Model, n: int, method: str, draws: int, groups: int) -> None:
    if not isinstance(model, Model):
        raise ModelError(f"model has type {type(model).__name__}; a hierreg Model is required.")
    check_whole("n", n, least=1)
    check_choice(method, ("nuts", "psis"), argument="method", error=ModelError)
    check_whole("draws", draws, least=MULTIPLE - 1)
    if (draws + 1) % MULTIPLE:
        nearest = max(1, round((draws + 1) / MULTIPLE)) * MULTIPLE - 1
        raise ModelError(
            f"draws={draws} must be one less than a multiple of {MULTIPLE}, so that intervals of 50, 80 and 95 % "
            f"end at ranks: {nearest}, say."
        )
    check_whole("groups", groups, least=0)


def _seed_of(seed: int | None, where: Path | None) -> int:
    if seed is not None:
        check_whole("seed", seed, least=0)
        return int(seed)
    kept = seed_in(where)
    return int(np.random.SeedSequence().generate_state(1)[0]) if kept is None else kept


def _study_of(
    model: Model,
    around: xr.DataTree | None,
    method: str,
    draws: int,
    asked: tuple[Given | None, int],
    seed: int,
) -> tuple[Study, dict[str, Any]]:
    """Return what all replications have in common, and what tells it from other studies."""
    problem: Any = model.problem
    if not isinstance(problem, FamilyProblem):
        problem = with_rotated_rows(problem, "calibrate")
    if around is None:
        check_priors(problem, _PILOT)
        pilot, posterior = prior_of(problem, _PILOT, seed), None
    else:
        check_match(around, problem, also=("priors",))
        pilot = posterior = draws_in(around)
        missing = [f.name for f in problem.labels.factors if f"b_{f.key}" not in posterior]
        if missing:
            raise ModelError(
                f"around has only summaries of the coefficients of groups of {missing[0]!r}: sample with "
                "group_effects='draws'."
            )
    quantities = quantities_of(problem, pilot, *asked)
    # A function that does not return what it should is known before anything is fitted.
    quantities.values(pilot, problem)
    study = Study(
        problem=problem,
        fitted=problem if posterior is None else twice(problem),
        around=posterior,
        quantities=quantities,
        method=method,
        draws=draws,
        seed=seed,
    )
    return study, _key(study)


def _key(study: Study) -> dict[str, Any]:
    problem, about = study.problem, _about(study.problem)
    design, layout, around = problem.design, problem.layout, study.around
    arrays = [design.X, *(array for factor in design.factors for array in (factor.Z, factor.index))]
    arrays += [one for one in (layout.stratum, layout.unit, layout.time, layout.se) if one is not None]
    arrays += [] if layout.V is None else [array for batch in layout.V.batches for array in (batch.rows, batch.V)]
    if isinstance(problem, FamilyProblem):
        arrays += [problem.offset, problem.weights, problem.observed.trials, problem.observed.stratum]
    arrays += [] if around is None else [design.y]
    return {
        "formula": about["formula"],
        "errors": about["errors"],
        "priors": about["priors"],
        "rows": digest("rows", arrays),
        "around": "" if around is None else digest("around", [around["beta"].to_numpy()]),
        "quantities": [name for name, _ in study.quantities.names],
        "method": study.method,
        "draws": study.draws,
        "seed": study.seed,
    }


def _about(problem: Problem | FamilyProblem) -> dict[str, Any]:
    if isinstance(problem, FamilyProblem):
        from hierreg.predictive import of_family

        return of_family.attributes(problem)
    return attributes(problem)


def _check_some(found: list[Replication]) -> None:
    """Raise where no replication has a posterior, and say why."""
    if any(one.status == "ok" for one in found):
        return
    first = f"none of {len(found)} replications has a posterior; the first: {found[0].message}"
    if all(one.status == "refused" for one in found):
        raise DataError(f"{first} The priors say that such responses are what is expected: see hr.prior_predictive.")
    raise ModelError(first)
