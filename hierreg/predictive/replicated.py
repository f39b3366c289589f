"""Replicated responses some draws at a time: of the same groups, of new ones, or given what was observed of units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_choice, listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.linalg import semidefinite_factor
from hierreg.predictive import of_family
from hierreg.predictive.new_effects import new_effects
from hierreg.predictive.of_model import check_has_rows, gaussian
from hierreg.predictive.recovered import recovered_draws
from hierreg.predictive.rows import chunks, draws_of, error_scaler, row_means, unit_patterns
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.family import FamilyProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.errors.base import ErrorLayout
    from hierreg.predictive.rows import Draws
    from hierreg.problem.labels import FactorLabels
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
    type Errors = Callable[[Draws, Array, Array], Array]

LEVELS = ("group", "new group")
_EFFECTS_STREAM, _ERRORS_STREAM = 431, 433


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """What is replicated.

    Attributes
    ----------
    problem : Problem or FamilyProblem
        With rows.
    new : frozenset of str
        Grouping factors whose groups are new ones.
    given : bool array (D,) or None
        Data sets of correlated errors that are as observed: the others are replicated given them.
    rows : int array
        Rows that are replicated.
    """

    problem: Problem | FamilyProblem
    new: frozenset[str]
    given: NDArray[np.bool_] | None
    rows: Index


def replication(problem: Problem | FamilyProblem, level: Any, given: Any) -> Replication:
    """Return what is replicated, checked.

    Parameters
    ----------
    problem : Problem or FamilyProblem
    level : str or dict factor -> str
        "group" or "new group".
    given : label, sequence of labels, or None
        Data sets.

    Raises
    ------
    ModelError
        If a level, a factor or a data set is unknown, or errors are not correlated between data sets.
    """
    check_has_rows(problem, "replicated data")  # type: ignore[arg-type]  # of either class
    names = problem.labels.factor_names
    each = dict(level) if isinstance(level, Mapping) else dict.fromkeys(names, level)
    if not isinstance(level, Mapping):
        check_choice(level, LEVELS, argument="level", error=ModelError)
    for name, value in each.items():
        if name not in names:
            raise ModelError(f"level has the key {name!r}; grouping factors: {listed(names)}.{suggestion(name, names)}")
        check_choice(value, LEVELS, argument=f"level[{name!r}]", error=ModelError)
    new = frozenset(name for name, value in each.items() if value == "new group")
    if level == "new group" and not names:
        raise ModelError("level='new group', but the model has no grouping factor: there are no groups to be new.")
    if given is None:
        return Replication(problem=problem, new=new, given=None, rows=np.arange(problem.n_rows))
    known = _given(problem, given, new)
    return Replication(problem=problem, new=new, given=known, rows=np.flatnonzero(~known[problem.layout.stratum]))


def _given(problem: Problem | FamilyProblem, given: Any, new: frozenset[str]) -> NDArray[np.bool_]:
    layout = gaussian(problem, "given=").layout
    if layout.unit is None or problem.labels.has_corr_by_stratum:
        raise ModelError(
            f"given={given!r} names data sets whose errors say something of those of others; errors={layout.spec} are "
            "not correlated between data sets. Leave it out."
        )
    if new:
        raise ModelError(
            "given= is what was observed of units, whose groups are the same: leave level='new group' out."
        )
    labels = [str(label) for label in layout.labels]
    wanted = [str(one) for one in ([given] if isinstance(given, str) or np.isscalar(given) else given)]
    for one in wanted:
        if one not in labels:
            raise ModelError(f"given={one!r} is no data set; there are {listed(labels)}.{suggestion(one, labels)}")
    known = np.array([label in wanted for label in labels])
    if known.all() or not known.any():
        raise ModelError(f"given={given!r} must leave at least one of the data sets {listed(labels)}, and name one.")
    return known


def replicated(what: Replication, posterior: xr.Dataset, seed: int) -> Iterator[tuple[slice, Array]]:
    """Return parts of the draws of a posterior, chains one after the other, with replicated rows (B, n).

    Parameters
    ----------
    what : Replication
    posterior : Dataset
        Its correlations as matrices.
    seed : int
        Determines them, together with nothing else.

    Raises
    ------
    ModelError
        If draws of group coefficients are needed that were not kept and cannot be drawn again.
    """
    problem = what.problem
    S = posterior.sizes["chain"] * posterior.sizes["draw"]
    rngs = np.random.default_rng([seed, _EFFECTS_STREAM]), np.random.default_rng([seed, _ERRORS_STREAM])
    one = _of_family if isinstance(problem, FamilyProblem) else _of_normal(what)
    for part in chunks(S, problem.n_rows):
        some = one_chain(posterior, np.arange(*part.indices(S)))
        yield part, one(what, some, rngs, seed + part.start)


def one_chain(posterior: xr.Dataset, which: Index) -> xr.Dataset:
    """Return some draws, counted over chains one after the other, as those of one chain."""
    import xarray as xr

    n = posterior.sizes["draw"]
    # Of the names of dimensions these alone are surely no grouping factor's.
    places = {"chain": xr.DataArray(which // n, dims="draw"), "draw": xr.DataArray(which % n, dims="draw")}
    some = posterior.drop_vars(["chain", "draw"], errors="ignore").isel(places)
    return some.expand_dims("chain").transpose("chain", "draw", ...)


def _of_normal(what: Replication) -> Any:
    problem = gaussian(what.problem, "replicated data")
    errors = _errors(problem.layout, what.given)

    def made(what: Replication, some: xr.Dataset, rngs: tuple[Any, Any], seed: int) -> Array:
        draws = _draws(problem, what.new, some, rngs[0], seed)
        mu = row_means(problem.design, draws)
        z = rngs[1].standard_normal(mu.shape)
        return (mu + errors(draws, z, problem.design.y - mu if what.given is not None else mu))[:, what.rows]

    return made


def _draws(problem: Problem, new: frozenset[str], some: xr.Dataset, rng: Any, seed: int) -> Draws:
    """Return draws of all coefficients, those of new groups from their distribution."""
    labels = problem.labels.factors
    missing = [factor for factor in labels if factor.name not in new and f"b_{factor.key}" not in some]
    if missing:
        groups = {factor.name: np.arange(len(factor.levels)) for factor in labels}
        draws = recovered_draws(problem, some, groups, seed)
    else:
        draws = draws_of(_with_effects(some, [factor for factor in labels if factor.name in new]), problem)
    fresh = {factor.name: _fresh(problem, factor, some, rng) for factor in labels if factor.name in new}
    return replace(draws, b={**draws.b, **fresh})


def _with_effects(some: xr.Dataset, factors: Sequence[FactorLabels]) -> xr.Dataset:
    """Return draws with a place for the coefficients of new groups, which are not read."""
    nothing = {
        f"b_{factor.key}": (("chain", "draw", "none"), np.empty((1, some.sizes["draw"], 0))) for factor in factors
    }
    return some.assign(nothing)


def _fresh(problem: Problem | FamilyProblem, factor: FactorLabels, some: xr.Dataset, rng: Any) -> Array:
    """Return coefficients (S, J, q) of as many new groups of a factor as there are."""
    J, q = len(factor.levels), len(factor.coef)
    if isinstance(problem, EffectsProblem):
        return new_effects(problem, some, J, rng)
    sd = some[f"sd_{factor.key}"].to_numpy()[0]
    name = f"corr_{factor.key}"
    corr = some[name].transpose("chain", "draw", ...).to_numpy()[0] if name in some else np.eye(q)
    root = semidefinite_factor(sd[:, :, None] * corr * sd[:, None, :])
    return np.asarray(np.einsum("sij,snj->sni", root, rng.standard_normal((len(sd), J, q))))


def _errors(layout: ErrorLayout, given: NDArray[np.bool_] | None) -> Errors:
    """Return the function (draws, standard normal numbers, residuals) -> errors (S, N)."""
    if given is None:
        scale = error_scaler(layout)
        return lambda draws, z, residuals: scale(draws, z)  # noqa: ARG005  # nothing is given
    units = unit_patterns(layout)

    def errors(draws: Draws, z: Array, residuals: Array) -> Array:
        out = residuals.copy()
        for same in units:
            known, rest = same.present[given[same.present]], same.present[~given[same.present]]
            if not len(rest):
                continue
            own = same.rows[:, ~given[same.present]]
            C, mean = draws.error_cov(same.present), 0.0
            a, b = np.flatnonzero(~given[same.present]), np.flatnonzero(given[same.present])
            cov = C[:, a[:, None], a]
            if len(known):
                gain = np.swapaxes(np.linalg.solve(C[:, b[:, None], b], C[:, b[:, None], a]), 1, 2)
                mean = np.einsum("sij,snj->sni", gain, residuals[:, same.rows[:, b]])
                cov = cov - gain @ C[:, b[:, None], a]
            out[:, own] = mean + np.einsum("sij,snj->sni", semidefinite_factor(cov), z[:, own])
        return out

    return errors


def _of_family(what: Replication, some: xr.Dataset, rngs: tuple[Any, Any], seed: int) -> Array:
    del seed  # draws of coefficients are there, or none is
    problem: Any = what.problem
    labels = problem.labels.factors
    missing = [factor for factor in labels if factor.name not in what.new and f"b_{factor.key}" not in some]
    if missing:
        raise ModelError(
            f"the tree has no draws of the group coefficients b_{missing[0].key}, only summaries: sample with "
            "group_effects='draws', or replicate new groups, level='new group'."
        )
    fresh = {factor.name: _fresh(problem, factor, some, rngs[0]) for factor in labels if factor.name in what.new}
    kept = some.assign(
        {
            f"b_{f.key}": (("chain", "draw", f"g_{k}_", f"c_{k}_"), fresh[f.name][None])
            for k, f in enumerate(labels)
            if f.name in fresh
        }
    )
    beta, b = of_family.coefficient_draws(problem, kept)
    eta = of_family.linear_predictors(problem, beta, b)
    auxiliary = of_family.auxiliary_draws(problem, some)
    return of_family.drawn(problem, rngs[1], eta, auxiliary, problem.observed.stratum, problem.observed.trials)
