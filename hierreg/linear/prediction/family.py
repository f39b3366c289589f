"""Predictions of rows whose response is not normal, on the scale of the linear predictor or of the response."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.design_matrices import as_table, column, column_levels
from hierreg.exceptions import DataError, ModelError
from hierreg.linear.prediction.averages import averaged
from hierreg.linear.prediction.plug_in import predict_at
from hierreg.linear.prediction.rows import new_rows
from hierreg.predictive.of_family import auxiliary_draws, coefficient_draws, drawn, row_auxiliaries
from hierreg.reports.draws import moments
from hierreg.reports.reading import read
from hierreg.response import Binomial, LogNormalResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.linear.prediction.plug_in import Predicted
    from hierreg.linear.prediction.rows import NewRows
    from hierreg.problem.family import FamilyProblem
    from hierreg.reports.reading import Fit
    from hierreg.results.point import Coefficients

    Array = NDArray[np.float64]

_STREAM = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRows:
    """M new rows.

    Attributes
    ----------
    rows : NewRows
        With the columns that are reported.
    offset : array (M,)
    stratum : int array (M,)
    trials : array (M,) or None
        None where they are not known: single ones.
    """

    rows: NewRows
    offset: Array
    stratum: NDArray[np.int64]
    trials: Array | None


def family_rows(problem: FamilyProblem, newdata: Any, level: Mapping[str, str]) -> FamilyRows:
    """Return the arrays of a new table.

    Raises
    ------
    DataError
        If a column is missing: of predictors, groups, the offset, or strata.
    """
    rows = new_rows(problem, newdata, level, observation=False, integrates=True)
    table = as_table(newdata)
    m = len(rows.X)
    offset = np.zeros(m)
    if problem.offset_name is not None:
        offset = _numbers(table, problem.offset_name, "offset")
    return FamilyRows(
        rows=replace(rows, X=rows.X[:, problem.kept_coefficients]),
        offset=offset,
        stratum=_strata(problem, table, m),
        trials=_trials(problem, table),
    )


def _numbers(table: Any, name: str, role: str) -> Array:
    values = column(table, name, role=role)
    if values.dtype == object:
        raise DataError(f"newdata[{name!r}] ({role}) holds text or categories; numbers are required.")
    return np.asarray(values, dtype=np.float64)


def _strata(problem: FamilyProblem, table: Any, m: int) -> NDArray[np.int64]:
    by = problem.family.by
    if by is None:
        return np.zeros(m, dtype=np.int64)
    levels, index = column_levels(table, by, role="stratum of the response")
    place = {label: i for i, label in enumerate(problem.observed.strata)}
    unknown = [str(label) for label in levels if str(label) not in place]
    if unknown:
        raise DataError(
            f"newdata[{by!r}] has the strata {unknown}, which the model has not seen; it knows "
            f"{list(problem.observed.strata)}."
        )
    return np.array([place[str(levels[i])] for i in index], dtype=np.int64)


def _trials(problem: FamilyProblem, table: Any) -> Array | None:
    if not isinstance(problem.family, Binomial):
        return np.ones(len(table))
    second = problem.state.spec.second
    name = problem.trials_name
    if name is None and second is not None and second.what == "trials":
        name = second.text.strip("`")
    if name is None or name not in table.columns:
        return None
    return _numbers(table, name, "trials")


def at_point(
    problem: FamilyProblem, new: FamilyRows, at: Coefficients, prob: float, *, scale: str, covariance: bool
) -> dict[str, Array]:
    """Return mean, sd and interval of the linear predictor, or of the expected response, at an estimate."""
    from scipy.special import ndtri

    if covariance and scale == "response":
        raise ModelError("covariance=True needs scale='link': on the scale of the response intervals are not normal.")
    found = linear_at(problem, new, at, covariance=covariance)
    mean, sd = found.mean + new.offset, np.sqrt(found.variance)
    half = float(ndtri((1 + prob) / 2))
    out = {"mean": mean, "sd": sd, "lower": mean - half * sd, "upper": mean + half * sd}
    if found.cov is not None:
        out["cov"] = found.cov
    if scale == "link":
        return out
    response, growth = _response_of(problem, auxiliary_at(problem, at), new.stratum)
    over = np.sqrt(variance_over_groups(new, at.solution.Sigma))

    # The mean over groups first, where the population is meant; then over the error of the prediction.
    def inner(eta: Array) -> Array:
        return averaged(response, eta, over, growth=growth)

    first = averaged(inner, mean[None], sd[None], growth=growth)[0]
    second = averaged(lambda eta: inner(eta) ** 2, mean[None], sd[None], growth=2.0 * growth)[0]
    ends = [inner(out[name][None])[0] for name in ("lower", "upper")]
    return {
        "mean": first,
        "sd": np.sqrt(np.maximum(second - first**2, 0.0)),
        "lower": ends[0],
        "upper": ends[1],
    }


def linear_at(problem: FamilyProblem, new: FamilyRows, at: Coefficients, *, covariance: bool) -> Predicted:
    """Return the linear predictors at an estimate, offsets not added, with the variances of their errors."""
    return predict_at(
        replace(problem.design, X=problem.design.X[:, problem.kept_coefficients]),
        new.rows,
        at.solution,
        np.ones((1, 1, 1)),
        observation=False,
        covariance=covariance,
    )


def auxiliary_at(problem: FamilyProblem, at: Any) -> Array:
    """Return further parameters (1, T, m) of an estimate."""
    if problem.auxiliary.has_order:
        return np.asarray(at.auxiliary[problem.auxiliary.names[0]].to_numpy())[None, None]
    out = np.empty((1, len(problem.auxiliary.strata), len(problem.auxiliary.names)))
    for k, name in enumerate(problem.auxiliary.names):
        out[0, :, k] = at.auxiliary[name].to_numpy()
    return out


def from_draws(  # noqa: PLR0913  # the arguments of `predict`
    problem: FamilyProblem,
    new: FamilyRows,
    tree: xr.DataTree,
    prob: float,
    *,
    scale: str,
    observation: bool,
    seed: int | None,
) -> dict[str, Array]:
    """Return moments and draws of the linear predictor, or of the expected response, and of new responses."""
    fit = read(tree)
    rng = rng_of(fit, seed)
    eta, over = linear_draws(problem, new, fit, rng)
    auxiliary = auxiliary_draws(problem, fit.posterior)
    expected = eta
    if scale == "response":
        response, growth = _response_of(problem, auxiliary, new.stratum)
        expected = averaged(response, eta, np.sqrt(over), growth=growth)
    shape = fit.n_draws
    out = moments(expected.reshape(*shape, -1), prob) | {"draws": expected.reshape(*shape, -1)}
    if observation and scale == "response":
        y = new_responses(problem, new, rng, eta, over, auxiliary).reshape(*shape, -1)
        out |= {f"{name}_new": value for name, value in moments(y, prob).items()} | {"draws_new": y}
    return out


def rng_of(fit: Fit, seed: int | None) -> np.random.Generator:
    """Return the random numbers of predictions: by default those of the seed of the tree."""
    return np.random.default_rng([int(fit.attrs["seed"]) if seed is None else seed, _STREAM])


def linear_draws(problem: FamilyProblem, new: FamilyRows, fit: Fit, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return draws of linear predictors (S, M), and the variance (S, M) of what groups that are not known add."""
    beta, b = coefficient_draws(problem, fit.posterior)
    eta = new.offset + beta @ new.rows.X.T
    Sigma = [factor.covariance() for factor in fit.by_factor]
    for groups, own, effects in zip(new.rows.groups, Sigma, b, strict=True):
        known = groups.group >= 0
        eta[:, known] += np.einsum("smq,mq->sm", effects[:, groups.group[known]], groups.Z[known])
        if groups.n_new:
            eta += _of_new_groups(groups, own, rng)
    return eta, np.zeros_like(eta) + _population_variance(new, Sigma)


def new_responses(  # what a response depends on
    problem: FamilyProblem, new: FamilyRows, rng: np.random.Generator, eta: Array, over: Array, auxiliary: Array
) -> Array:
    """Return draws of new responses (S, M); one of the population is one of a group that is not known."""
    of_row = eta + np.sqrt(over) * rng.standard_normal(eta.shape)
    trials = np.ones(eta.shape[1]) if new.trials is None else new.trials
    return drawn(problem, rng, of_row, auxiliary, new.stratum, trials)


def _of_new_groups(groups: Any, Sigma: Array, rng: np.random.Generator) -> Array:
    """Return z b (S, M) for new groups, b ~ N(0, Sigma), the same for the rows of one group."""
    S, q = len(Sigma), Sigma.shape[1]
    values, vectors = np.linalg.eigh(Sigma)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    b = np.einsum("sij,sgj->sgi", root, rng.standard_normal((S, groups.n_new, q)))
    is_new = groups.new_group >= 0
    out = np.zeros((S, len(is_new)))
    out[:, is_new] = np.einsum("smq,mq->sm", b[:, groups.new_group[is_new]], groups.Z[is_new])
    return out


def _population_variance(new: FamilyRows, Sigma: Sequence[Array]) -> Array:
    """Return the variance z'Sigma z (S, M) of what groups add, of rows that are of none; zero of the others.

    Sigma has one array (S, q, q) for each grouping factor.
    """
    out = np.zeros((len(Sigma[0]) if Sigma else 1, len(new.rows.X)))
    for groups, own in zip(new.rows.groups, Sigma, strict=True):
        alone = (groups.group < 0) & (groups.new_group < 0)
        if alone.any() and groups.columns is not None:
            out[:, alone] += np.einsum("mq,sqr,mr->sm", groups.columns[alone], own, groups.columns[alone])
    return out


def variance_over_groups(new: FamilyRows, Sigma: Array) -> Array:
    """Return the same variance (M,) at one covariance of the coefficients of all factors."""
    ends = np.cumsum([groups.Z.shape[1] for groups in new.rows.groups]).tolist()
    blocks = [
        Sigma[None, end - groups.Z.shape[1] : end, end - groups.Z.shape[1] : end]
        for end, groups in zip(ends, new.rows.groups, strict=True)
    ]
    return np.asarray(_population_variance(new, blocks)[0])


def _response_of(
    problem: FamilyProblem, auxiliary: Array, stratum: NDArray[np.int64]
) -> tuple[Callable[[Array], Array], float]:
    """Return the expected response as a function of linear predictors (S, M), and its growth as `averaged` has it."""
    is_log_normal = isinstance(problem.family, LogNormalResponse)
    growth = 1.0 if is_log_normal or problem.family.link == "log" else 0.0
    if problem.auxiliary.names:
        a, c = row_auxiliaries(auxiliary, stratum)
        return lambda eta: problem.family.mean(eta, a, c), growth
    return lambda eta: problem.family.mean(eta, eta, eta), growth


def expected_response(problem: FamilyProblem, new: FamilyRows, at: Coefficients) -> Callable[[Array], Array]:
    """Return the expected response of each row as a function of the linear predictor (M,), at an estimate.

    Where the population is meant it is the mean over groups.
    """
    response, growth = _response_of(problem, auxiliary_at(problem, at), new.stratum)
    over = np.sqrt(variance_over_groups(new, at.solution.Sigma))
    return lambda eta: np.asarray(averaged(response, eta[None], over, growth=growth)[0])
