"""Densities of rows and of groups that are left out, the coefficients integrated out, at draws of a posterior."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import HierregWarning, ModelError
from hierreg.predictive.groups import some_draws
from hierreg.predictive.left_out.equations import border_for, left_out
from hierreg.predictive.left_out.sets import problem_and_data, sets_of
from hierreg.predictive.left_out.without import density_of, density_of_all
from hierreg.predictive.of_model import check_has_rows, gaussian
from hierreg.predictive.recovered import covariances_of
from hierreg.predictive.rows import check_size
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.family import FamilyProblem
from hierreg.problem.labels import response_variable
from hierreg.results.carried import draws_in
from hierreg.threads import available_cores
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.predictive.left_out.sets import RowSets
    from hierreg.predictive.of_model import ModelLike
    from hierreg.problem.problem import Problem
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]

# Share of a precision below which the cross-products of the other rows are asked: six digits are left of it.
_FEW_DIGITS = 1e-10
# Seconds of which a user is told before.
_LONG = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutDensities:
    """Densities at draws of the variance parameters u, (chain, draw, sets).

    Attributes
    ----------
    sets : RowSets
    density : DataArray
        log p(y_J | y_-J, u), of a set J of rows.
    within : array (K,) or None
        Logarithm of its mean over draws where the coefficients know J, where it is known (`left_out.equations`).
    z : DataArray or None
        Of rows, their distance from the mean given all others, in standard deviations; NaN where it has too few digits.
    """

    sets: RowSets
    density: xr.DataArray
    within: Array | None
    z: xr.DataArray | None


def left_out_densities(tree: xr.DataTree, by: str | None, model: ModelLike | None, draws: int | None) -> xr.DataArray:
    """Return log p(y_J | y_-J, u) at draws of u, (chain, draw, sets of rows J)."""
    found, table = problem_and_data(tree, model)
    problem = integrable(found, by)
    return densities_of_sets(problem, some_draws(draws_in(tree), draws), sets_of(problem, table, by)).density


def integrable(problem: Problem | FamilyProblem, by: str | None) -> Problem:
    """Return a problem whose coefficients can be integrated out.

    Raises
    ------
    ModelError
        If the response or the group effects are not normal, or rows are not known.
    """
    what = "hr.loo(by=...)" if by is not None else "leaving rows out with all coefficients integrated"
    if isinstance(problem, FamilyProblem):
        raise ModelError(
            f"{what} integrates coefficients out of normal responses; this model has family={problem.family}. Leave "
            "rows out, hr.loo(tree), or refit without each group."
        )
    found = gaussian(problem, what)
    if isinstance(found, EffectsProblem):
        raise ModelError(
            f"{what} integrates normal group effects out, and those of this model are not normal. Leave rows out, "
            "hr.loo(tree), or refit without each group."
        )
    check_has_rows(found, "hr.loo")
    return found


def densities_of_sets(problem: Problem, posterior: xr.Dataset, sets: RowSets) -> LeftOutDensities:
    """Return the densities of sets of rows at the draws of a posterior, whose correlations are matrices.

    By the equations of all rows, and where these are too large, sets are no unions of connected rows, or too few digits
    would be left, by the cross-products of the other rows: exact, in a time that grows with draws x sets x groups.

    Raises
    ------
    DataError
        If the rows that are left do not determine all coefficients.
    ModelError
        If the result would take more than 4 GiB.
    """
    K = len(sets.labels)
    check_size(posterior.sizes["chain"] * posterior.sizes["draw"], K, "hr.loo", "Use fewer draws, hr.loo(draws=...).")
    cov = covariances_of(problem, posterior)
    border, within, z = border_for(problem, sets.index), None, None
    if border is None:
        density = by_products(problem, cov, sets, range(K))
    else:
        found = left_out(problem, cov, border, sets.index)
        density, within, z = found.density, found.within, found.z
        few = np.flatnonzero(found.digits < _FEW_DIGITS)
        density[:, few] = by_products(problem, cov, sets, few)
        if z is not None:
            z[:, few] = np.nan
    return LeftOutDensities(
        sets=sets,
        density=_labelled(problem, posterior, sets, density),
        within=within,
        z=None if z is None else _labelled(problem, posterior, sets, z),
    )


def by_products(problem: Problem, cov: Covariances, sets: RowSets, which: Iterable[int]) -> Array:
    """Return log p(y | u) - log p(y_-J | u) at S draws, of some sets J: (S, sets)."""
    which, cores = list(which), available_cores()
    if not which:
        return np.empty((len(cov.sd), 0))
    total = density_of_all(problem, cov, cores)

    def without(k: int) -> Array:
        return total - density_of(problem, sets.others(k), cov, sets.name(k))

    begin = time.perf_counter()
    first = without(which[0])
    left = (time.perf_counter() - begin) * (len(which) - 1) / cores
    if left > _LONG:
        warn(
            f"leaving out {len(which)} sets of rows of {sets.what} one at a time, at {len(total)} draws, will take "
            f"about {left / 60:.0f} minutes: there is no shorter way here. draws=... takes fewer of each chain.",
            HierregWarning,
        )
    with ThreadPoolExecutor(max_workers=cores) as pool:
        return np.stack([first, *pool.map(without, which[1:])], axis=-1)


def _labelled(problem: Problem, posterior: xr.Dataset, sets: RowSets, values: NDArray[Any]) -> xr.DataArray:
    import xarray as xr

    coords = {d: posterior[d].to_numpy() for d in ("chain", "draw")} | {sets.dim: sets.labels}
    shape = [len(labels) for labels in coords.values()]
    name = response_variable(problem.labels.response)
    name = name if name != sets.dim else f"{name}_"
    return xr.DataArray(values.reshape(shape), dims=tuple(coords), coords=coords, name=name)
