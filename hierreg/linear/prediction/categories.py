"""Predictions of ordered categories: the probability of each, for every new row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.display import Column
from hierreg.exceptions import ModelError
from hierreg.likelihood.solution import GroupWeights, LinearFunctions, no_weights
from hierreg.linear.prediction.averages import averaged
from hierreg.linear.prediction.family import (
    auxiliary_at,
    linear_at,
    linear_draws,
    new_responses,
    rng_of,
    variance_over_groups,
)
from hierreg.predictive.of_family import auxiliary_draws, labels_of_numbers
from hierreg.predictive.rows import check_size
from hierreg.problem.labels import factors_of
from hierreg.reports.draws import moments
from hierreg.reports.reading import read
from hierreg.reports.table import Report, section

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.display import Section
    from hierreg.linear.prediction.family import FamilyRows
    from hierreg.problem.family import FamilyProblem
    from hierreg.results.point import Coefficients

    Array = NDArray[np.float64]

# Logarithm to the base 2 of the number of points that stand for a normal distribution, and what they depend on.
_POINTS, _STREAM = 11, 202


@final
class CategoryPredictions(Report):
    """What `predict` returns of ordered categories; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"row": 1, "category": 1, "mean": 2, "sd": 2, "upper": 2}

    def _columns(self) -> tuple[Column, ...]:
        return (
            *group_columns(self),
            Column(key="category", head="category", form="text"),
            Column(key="mean", head="mean"),
            Column(key="sd", head="sd"),
            *self._interval(),
        )

    def _sections(self, most: int | None) -> tuple[Section, ...]:
        # A line for each category.
        shown = None if most is None else max(1, most // self.sizes["category"])
        return (section("row", self, shown, ["row"]),)


def group_columns(report: Report) -> tuple[Column, ...]:
    """Return the columns with the groups of the rows, where they are told."""
    factors = factors_of(report.attrs)
    names = zip(group_coords(factors), factors, strict=True)
    return tuple(Column(key=name, head=factor, form="text") for name, factor in names if name in report.coords)


def group_coords(factors: list[str] | tuple[str, ...]) -> list[str]:
    """Return what the coordinates with the groups of the rows are called."""
    return ["group"] if len(factors) == 1 else [f"group_{factor}" for factor in factors]


def check_asked(problem: FamilyProblem, *, covariance: bool) -> None:
    """Raise where covariances are asked for."""
    if covariance:
        raise ModelError(
            f"covariance=True with family={problem.family} needs scale='link': the probabilities of the categories of "
            "a row go together. Draws have their joint distribution, draws=True."
        )


def probabilities_at(problem: FamilyProblem, new: FamilyRows, at: Coefficients, prob: float) -> dict[str, Array]:
    """Return mean, sd and interval (M, K) of the probability of each category.

    Thresholds less linear predictors are jointly normal: the mean is exact, and the others are those of quasi-random
    points (Owen 1998), right to about three digits.
    """
    eta = linear_at(problem, new, at, covariance=False).mean + new.offset
    thresholds, over = auxiliary_at(problem, at)[0, 0], variance_over_groups(new, at.solution.Sigma)
    cov = _covariance_at(new, at, len(thresholds))
    distance = thresholds - eta[:, None]
    F = problem.family.link_function.inverse
    variance = np.diagonal(cov, axis1=1, axis2=2)
    below = averaged(F, distance, np.sqrt(variance + over[:, None]))
    mean = np.diff(below, prepend=0.0, append=1.0, axis=1)
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    points = distance + np.einsum("mkl,sl->smk", root, _normal_points(len(thresholds)))
    # Thresholds are in order.
    points = np.maximum.accumulate(points, axis=2)
    p = np.diff(averaged(F, points, np.sqrt(over)[:, None]), prepend=0.0, append=1.0, axis=2)
    lower, upper = np.quantile(p, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    return {"mean": mean, "sd": np.sqrt(np.mean((p - mean) ** 2, axis=0)), "lower": lower, "upper": upper}


def _normal_points(n: int) -> Array:
    """Return points (s, n) that represent n independent standard normal variables."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    return np.asarray(ndtri(qmc.Sobol(n, rng=np.random.default_rng(_STREAM)).random_base2(_POINTS)))


def _covariance_at(new: FamilyRows, at: Coefficients, m: int) -> Array:
    """Return the covariance (M, m, m) of the errors of thresholds less the linear predictor of each row."""
    joint = at.solution.with_thresholds
    assert joint is not None
    X, out = new.rows.X, np.empty((len(new.offset), m, m))
    for i in range(len(out)):
        groups, added, start = [], 0.0, 0
        for of in new.rows.groups:
            q = of.Z.shape[1]
            mine = slice(start, start := start + q)
            if of.group[i] >= 0:
                levels = np.full(m, of.group[i], dtype=np.intp)
                groups.append(GroupWeights(row=np.arange(m), level=levels, b=np.tile(-of.Z[i], (m, 1))))
            else:
                groups.append(no_weights(q))
                added += float(of.Z[i] @ at.solution.Sigma[mine, mine] @ of.Z[i]) if of.new_group[i] >= 0 else 0.0
        weights = np.concatenate([np.tile(-X[i], (m, 1)), np.eye(m)], axis=1)
        out[i] = joint.covariance(LinearFunctions(beta=weights, groups=tuple(groups))) + added
    if not np.all(np.isfinite(out)):
        raise ModelError(
            "the estimate has no covariance, because its likelihood has no maximum or is flat there; its message says "
            "why. Predict from draws, at=model.sample()."
        )
    return out


def probabilities_of_draws(
    problem: FamilyProblem, new: FamilyRows, tree: xr.DataTree, prob: float, *, observation: bool, seed: int | None
) -> dict[str, Array]:
    """Return moments (M, K) and draws (chain, draw, M, K) of the probabilities, and draws of new categories."""
    fit = read(tree)
    S, K = fit.n_draws[0] * fit.n_draws[1], len(problem.observed.categories)
    check_size(S, 2 * K * len(new.offset), "predict", "Predict fewer rows at a time.")
    rng = rng_of(fit, seed)
    eta, over = linear_draws(problem, new, fit, rng)
    auxiliary = auxiliary_draws(problem, fit.posterior)
    p = probabilities(problem, auxiliary[:, 0], eta, over).reshape(*fit.n_draws, -1, K)
    out = moments(p, prob) | {"draws": p}
    if observation:
        out["draws_new"] = new_responses(problem, new, rng, eta, over, auxiliary).reshape(*fit.n_draws, -1)
    return out


def probabilities(problem: FamilyProblem, thresholds: Array, eta: Array, over: Array) -> Array:
    """Return the probability of each category (S, M, K), the mean over what groups that are not known add.

    Parameters
    ----------
    problem : FamilyProblem
    thresholds : array (S, K - 1), or (1, K - 1)
    eta : array (S, M)
    over : array (S, M)
        Variance of a normal variable that is added to eta and averaged over.
    """
    F, sd = problem.family.link_function.inverse, np.sqrt(over)
    below = [averaged(F, thresholds[:, k, None] - eta, sd) for k in range(thresholds.shape[1])]
    nothing = np.zeros_like(below[0])
    return np.diff(np.stack([nothing, *below, nothing + 1.0], axis=-1), axis=-1)


def report_of_categories(
    problem: FamilyProblem, values: dict[str, Array], new: FamilyRows, attrs: dict[str, Any], *, draws: bool
) -> CategoryPredictions:
    """Return the report of what one of the functions above returned."""
    dims = {
        "draws": ("chain", "draw", "row", "category"),
        "draws_new": ("chain", "draw", "row"),
    }
    kept = {name: value for name, value in values.items() if draws or not name.startswith("draws")}
    coords: dict[str, Any] = {"row": np.arange(len(new.offset)), "category": list(problem.observed.categories)}
    names = group_coords([groups.factor for groups in new.rows.groups])
    for name, groups in zip(names, new.rows.groups, strict=True):
        coords[name] = (("row",), groups.labels)
    variables = {name: (dims.get(name, ("row", "category")), value) for name, value in kept.items()}
    out = CategoryPredictions(variables, coords=coords, attrs=attrs)
    if "draws_new" in kept:
        out["draws_new"].attrs |= labels_of_numbers(problem)
    return out
