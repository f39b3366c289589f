"""Predictions of rows with normal responses, at an estimate and from draws, as the values of a report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hierreg.exceptions import ModelError
from hierreg.linear.prediction.conditioning import GivenRows
from hierreg.linear.prediction.given_at_point import predict_given
from hierreg.linear.prediction.plug_in import predict_at
from hierreg.linear.prediction.posterior import draw_predictions, normal_effects
from hierreg.predictive.new_effects import new_effects
from hierreg.predictive.recovered import recovered_draws
from hierreg.predictive.rows import check_size, draws_of
from hierreg.problem.effects import EffectsProblem
from hierreg.reports.draws import moments
from hierreg.reports.reading import read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.linear.prediction.given_draws import DrawsGiven
    from hierreg.linear.prediction.posterior import Fresh
    from hierreg.linear.prediction.rows import NewRows
    from hierreg.predictive.rows import Draws
    from hierreg.problem.problem import Problem
    from hierreg.reports.reading import Fit
    from hierreg.results.point import Coefficients

    Array = NDArray[np.float64]

_STREAM = 201


def at_point(
    problem: Problem,
    rows: NewRows | GivenRows,
    at: Coefficients,
    prob: float,
    *,
    observation: bool,
    covariance: bool,
) -> dict[str, Array]:
    """Return the values of a report at an estimate or solution; see `predict`."""
    from scipy.special import ndtri

    error_cov, within = at.solution.error_cov[None], problem.parameters.within_units
    if len(within.strata):
        error_cov = within.of_rows(error_cov)
    how = {"observation": observation, "covariance": covariance}
    if isinstance(rows, GivenRows):
        predicted = predict_given(problem.design, rows, at.solution, error_cov, **how)
    else:
        predicted = predict_at(problem.design, rows, at.solution, error_cov, **how)
    half = float(ndtri((1 + prob) / 2))
    out = {"mean": predicted.mean}

    def put(suffix: str, sd: Array, cov: Array | None) -> None:
        out[f"sd{suffix}"] = sd
        out[f"lower{suffix}"], out[f"upper{suffix}"] = predicted.mean - half * sd, predicted.mean + half * sd
        if cov is not None:
            out[f"cov{suffix}"] = cov

    put("", np.sqrt(predicted.variance), predicted.cov)
    if predicted.error_variance is not None:
        both = None if predicted.cov is None or predicted.error_cov is None else predicted.cov + predicted.error_cov
        put("_new", np.sqrt(predicted.variance + predicted.error_variance), both)
    return out


def from_draws(
    problem: Problem, asked: NewRows | GivenRows, tree: xr.DataTree, prob: float, *, observation: bool, seed: int | None
) -> tuple[dict[str, Array], dict[str, float]]:
    """Return the values of a report from a posterior, and what weights of its draws are worth where they have some.

    Raises
    ------
    ModelError
        If the seed is none, or draws of group coefficients are missing.
    SamplingError
        If given rows cannot be conditioned on.
    """
    check_seed(seed)
    fit = read(tree)
    parameters, rows = _parameters(problem, asked.stack if isinstance(asked, GivenRows) else asked, fit)
    S = len(parameters.beta)
    check_size(S, 3 * len(rows.X), "predict", "Predict fewer rows at a time.")
    rng = np.random.default_rng([int(fit.attrs["seed"]) if seed is None else seed, _STREAM])
    weighed = {}
    if isinstance(asked, GivenRows):
        found = _given_draws(problem, replace(asked, stack=rows), parameters, fit, rng, observation=observation)
        expected, new = found.expected, found.new
        weighed = {"pareto_k": found.pareto_k, "given_ess": found.ess}
    else:
        fresh = _fresh(problem, rows, fit, rng)
        expected, new = draw_predictions(problem.design, rows, parameters, fresh, rng=rng, observation=observation)
    expected = expected.reshape(*fit.n_draws, -1)
    out = moments(expected, prob) | {"draws": expected}
    if new is not None:
        new = new.reshape(*fit.n_draws, -1)
        of_new = moments(new, prob) | {"draws": new}
        out |= {f"{name}_new": value for name, value in of_new.items() if name != "mean"}
    return out, weighed


def _parameters(problem: Problem, rows: NewRows, fit: Fit) -> tuple[Draws, NewRows]:
    """Return the draws that predictions of rows need, and the rows with the places of their groups among them."""
    if not _has_summaries(fit.posterior, problem):
        return draws_of(fit.posterior, problem), rows
    if _needs_errors_of_the_fit(rows) or any(np.any(g.group >= 0) for g in rows.groups):
        return _recovered(problem, rows, fit.posterior, int(fit.attrs["seed"]))
    return draws_of(_without_effects(fit.posterior, problem), problem), rows


def _fresh(problem: Problem, rows: NewRows, fit: Fit, rng: np.random.Generator) -> Fresh:
    """Return draws of the coefficients of new groups."""
    if isinstance(problem, EffectsProblem):
        return {problem.labels.factors[0].name: new_effects(problem, fit.posterior, rows.groups[0].n_new, rng)}
    return normal_effects(rows, {factor.name: factor.covariance() for factor in fit.by_factor}, rng)


def _given_draws(
    problem: Problem, given: GivenRows, parameters: Draws, fit: Fit, rng: np.random.Generator, *, observation: bool
) -> DrawsGiven:
    from hierreg.linear.prediction.given_draws import draw_given

    def fresh(which: NDArray[np.intp]) -> Fresh:
        if isinstance(problem, EffectsProblem):
            return {name: values[which] for name, values in _fresh(problem, given.stack, fit, rng).items()}
        return normal_effects(given.stack, {name: values[which] for name, values in Sigma.items()}, rng)

    Sigma = {} if isinstance(problem, EffectsProblem) else {f.name: f.covariance() for f in fit.by_factor}
    return draw_given(problem.design, given, parameters, Sigma, fresh, rng=rng, observation=observation)


def _has_summaries(posterior: xr.Dataset, problem: Problem) -> bool:
    return any(f"b_{factor.key}" not in posterior for factor in problem.labels.factors)


def _without_effects(posterior: xr.Dataset, problem: Problem) -> xr.Dataset:
    """Return draws of a posterior for rows that are of none of its groups: with coefficients of no group."""
    sizes, none = (posterior.sizes["chain"], posterior.sizes["draw"]), {}
    for factor in problem.labels.factors:
        shape = (*sizes, 0, len(factor.coef))
        none[f"b_{factor.key}"] = xr.DataArray(np.empty(shape), dims=("chain", "draw", "no_group", factor.coef_dim))
    return posterior.assign(none)


def _needs_errors_of_the_fit(rows: NewRows) -> bool:
    """Return whether errors of observed rows, and so the coefficients of all their groups, say something of these."""
    return rows.errors.gain is not None or any(unit.old.shape[1] for unit in rows.errors.units)


def _recovered(problem: Problem, rows: NewRows, posterior: xr.Dataset, seed: int) -> tuple[Draws, NewRows]:
    """Return draws that have the groups of the new rows alone, and the rows with places among those."""
    if _needs_errors_of_the_fit(rows):
        raise ModelError(
            "the tree has no draws of the group coefficients, only summaries, and the errors of the observed rows of "
            "these units need them: sample with group_effects='draws', or leave the column of units out of newdata."
        )
    groups = {new.factor: np.unique(new.group[new.group >= 0]) for new in rows.groups}
    placed = tuple(
        replace(new, group=np.where(new.group >= 0, np.searchsorted(groups[new.factor], new.group), -1))
        for new in rows.groups
    )
    return recovered_draws(problem, posterior, groups, seed), replace(rows, groups=placed)


def check_seed(seed: int | None) -> None:
    """Raise unless a seed is a whole number, 0 or more, or None."""
    if seed is not None and (not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0):
        raise ModelError(f"seed={seed!r} must be a whole number, 0 or more.")
