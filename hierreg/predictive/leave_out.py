"""Leave-one-out of rows and of whole groups, the coefficients integrated out of what is left."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.design import as_table
from hierreg.design.table import complete_series
from hierreg.errors.known_covariance import from_matrix
from hierreg.exceptions import ConvergenceWarning, DataError, ModelError
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from hierreg.likelihood.groups.engine import MarginalLikelihood
from hierreg.likelihood.groups.equations import log_likelihoods_at
from hierreg.likelihood.groups.threads import available_cores
from hierreg.likelihood.population import population_prior
from hierreg.predictive.groups import some_draws
from hierreg.predictive.of_model import any_problem_of, check_match, gaussian
from hierreg.predictive.public import log_likelihood
from hierreg.predictive.recovered import covariances_of
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.labels import DRAWS
from hierreg.results.carried import draws_in, problem_and_table
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from arviz_stats.utils import ELPDData
    from numpy.typing import NDArray

    from hierreg.design import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.predictive.of_model import ModelLike
    from hierreg.problem.problem import Problem
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


def loo(
    tree: xr.DataTree, by: str | None = None, model: ModelLike | None = None, *, draws: int | None = None
) -> ELPDData:
    """Return the expected log predictive density of what was left out: a row, or all rows of a group.

    A row is left out among known groups, ``log p(y_r | y_-r)``, by ArviZ's importance sampling over all parameters. A
    group is a new one to the others, ``log p(y_j | y_-j)``: given a draw of the variance parameters u, all coefficients
    are integrated out with and without the group, ``log p(y_j | y_-j, u) = log p(y | u) - log p(y_-j | u)``, so that
    only the variance parameters are left to importance sampling, and no coefficient of the group is ever needed that
    the others do not know. Nothing is refitted.

    Parameters
    ----------
    tree : DataTree
        From `Model.sample`, or one from `load`.
    by : str, optional
        Grouping factor, or another column of the table, whose groups are left out one at a time; by default rows.
    model : Model, optional
        The model that it was sampled from; by default the one that the tree carries.
    draws : int, optional
        Draws per chain, evenly spaced; all by default. Time grows with draws x groups x groups.

    Returns
    -------
    arviz_stats.utils.ELPDData
        For `arviz_stats.compare` and its plots; with values by row or group, ``.elpd_i``, and the Pareto k of each. Of
        groups ``p`` counts variance parameters alone, since coefficients are integrated out.

    Raises
    ------
    ModelError
        If there is no such column, the response or the effects are not normal, there are several grouping factors,
        correlations within units are free, the rows are not known, or there are not so many draws.
    DataError
        If the rows that are left do not determine all coefficients, or rows belong to no group.

    Warns
    -----
    ConvergenceWarning
        If a posterior without a row or group is too far from the one with it; names them.

    See Also
    --------
    log_likelihood : What is left out of rows.
    hierreg.check : Influence of groups on the coefficients, among other checks.
    table : Several fits side by side, with what ArviZ's leave-one-out makes of rows.

    References
    ----------
    Vehtari, A., Gelman, A. and Gabry, J. (2017). Practical Bayesian model evaluation using leave-one-out
    cross-validation and WAIC. Statistics and Computing 27, 1413-1432.
    Merkle, E. C., Furr, D. and Rabe-Hesketh, S. (2019). Bayesian comparison of latent variable models: conditional
    versus marginal likelihoods. Psychometrika 84, 802-829.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> tree = model.sample(draws=500, seed=1, method="psis")
    >>> hr.loo(tree, by="Batch").elpd_i.sizes
    Frozen({'Batch': 6})
    """
    import xarray as xr

    if by is None:
        return _by_arviz(log_likelihood(tree, model), "row")
    values = left_out_densities(tree, by, model, draws)
    posterior = some_draws(tree["posterior"].to_dataset(), draws)
    return _by_arviz(xr.DataTree.from_dict({"posterior": posterior, "log_likelihood": values.to_dataset()}), by)


def _by_arviz(tree: xr.DataTree, what: str) -> ELPDData:
    """Return ArviZ's leave-one-out of a tree's log likelihood, with its warning in words that name what it is of."""
    from arviz_stats.loo import loo as by_arviz

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
        found: ELPDData = by_arviz(tree, pointwise=True)
    k = found.pareto_k
    assert k is not None
    assert found.good_k is not None
    bad = np.flatnonzero(k.to_numpy() > found.good_k)
    if len(bad):
        names = [str(name) for name in k[k.dims[0]].to_numpy()[bad]]
        warn(
            f"leaving out {what} {listed(names)} changes the posterior more than importance sampling can follow "
            f"(Pareto k up to {float(k.max()):.2f}; at most {found.good_k:.2f} will do), so that "
            f"{'its value is' if len(bad) == 1 else 'their values are'} not reliable. Sample again without each.",
            ConvergenceWarning,
        )
    return found


def left_out_densities(tree: xr.DataTree, by: str, model: ModelLike | None, draws: int | None) -> xr.DataArray:
    """Return log p(y_j | y_-j, u) at draws of u, (chain, draw, groups)."""
    import xarray as xr

    problem, levels, index = _problem_and_groups(tree, by, model)
    posterior = some_draws(draws_in(tree), draws)
    cov = covariances_of(problem, posterior)
    whole = problem.likelihood("prior")
    assert isinstance(whole, MarginalLikelihood)
    cores = available_cores()
    total = log_likelihoods_at(whole, cov.Lambda, cov.error_cov, cores)

    def without(j: int) -> Array:
        return total - _density_of(problem, np.flatnonzero(index != j), cov, f"{by} {levels[j]}")

    with ThreadPoolExecutor(max_workers=cores) as pool:
        values = np.stack(list(pool.map(without, range(len(levels)))), axis=-1)
    dim = problem.labels.factors[0].dim if by in _names(problem) else f"{by}_" if by in DRAWS else by
    coords = {d: posterior[d].to_numpy() for d in DRAWS} | {dim: levels}
    shape = [len(labels) for labels in coords.values()]
    name = problem.labels.response if problem.labels.response != dim else f"{dim}_"
    return xr.DataArray(values.reshape(shape), dims=tuple(coords), coords=coords, name=name)


def _density_of(problem: Problem, rows: Index, cov: Covariances, left_out: str) -> Array:
    """Return log p(y_rows | u) at draws of u."""
    try:
        gram = collect(rows_of_design(problem.design, rows), rows_of_layout(problem.layout, rows))
    except DataError as error:
        raise DataError(f"without {left_out} the rows do not determine the model: {error}") from error
    # In internal coordinates of all rows the prior is no prior of these.
    prior = replace(population_prior(problem.priors), inner=None)
    likelihood = marginal_likelihood(gram, prior=prior, fixed=problem.fixed)
    assert isinstance(likelihood, MarginalLikelihood)
    return log_likelihoods_at(likelihood, cov.Lambda, cov.error_cov)


def rows_of_design(design: Design, rows: Index) -> Design:
    """Return some rows of a design; groups without rows are left out."""
    X = np.ascontiguousarray(design.X[rows])
    factors = []
    for factor in design.factors:
        present, index = np.unique(factor.index[rows], return_inverse=True)
        factors.append(
            replace(
                factor,
                levels=tuple(factor.levels[j] for j in present),
                index=index.astype(np.intp),
                Z=X if factor.Z is design.X else np.ascontiguousarray(factor.Z[rows]),
            )
        )
    return replace(design, y=np.ascontiguousarray(design.y[rows]), X=X, factors=tuple(factors))


def rows_of_layout(layout: ErrorLayout, rows: Index) -> ErrorLayout:
    """Return the errors of some rows: with those of others integrated out."""
    unit, labels = None, layout.unit_labels
    if layout.unit is not None:
        present, unit = np.unique(layout.unit[rows], return_inverse=True)
        labels = tuple(labels[u] for u in present) if labels else labels
    return replace(
        layout,
        stratum=layout.stratum[rows],
        unit=None if unit is None else unit.astype(np.intp),
        time=None if layout.time is None else layout.time[rows],
        se=None if layout.se is None else layout.se[rows],
        V=None if layout.V is None else from_matrix(layout.V.toarray()[np.ix_(rows, rows)]),
        unit_labels=labels,
    )


def _problem_and_groups(tree: xr.DataTree, by: str, model: ModelLike | None) -> tuple[Problem, list[Any], Index]:
    """Return the problem, the labels of the groups, and the group of each row (N,)."""
    found, table = problem_and_table(tree) if model is None else (any_problem_of(model), getattr(model, "data", None))
    check_match(tree, found)
    problem = gaussian(found, "hr.loo(by=...)")
    if isinstance(problem, EffectsProblem):
        raise ModelError(
            "hr.loo(by=...) integrates normal group effects out, and those of this model are not normal. Leave rows "
            "out, hr.loo(tree), or refit without each group."
        )
    if len(problem.labels.factors) > 1:
        raise ModelError(
            f"hr.loo(by=...) takes one grouping factor, and the model has {len(problem.labels.factors)}. Leave rows "
            "out, hr.loo(tree), or refit without each group."
        )
    if problem.labels.has_corr_by_stratum:
        raise ModelError(
            f"hr.loo(by=...) is not made for errors={problem.layout.spec}. Leave rows out, hr.loo(tree), or refit "
            "without each group."
        )
    if not len(problem.design.y):
        raise ModelError("the model is one of statistics alone, whose rows are not known: none can be left out.")
    for factor in problem.design.factors:
        if factor.name == by:
            return problem, list(factor.levels), factor.index
    columns: Sequence[str] = [] if table is None else list(as_table(table).columns)
    if by not in columns:
        known = list(dict.fromkeys([*_names(problem), *columns]))
        raise ModelError(
            f"by={by!r} is no grouping factor and no column that the result carries: {listed(known)}."
            f"{suggestion(str(by), known)} Other columns of the table are known with model=model."
        )
    labels = complete_series(as_table(table), by, role="groups that are left out").to_numpy()
    levels, index = np.unique(labels.astype(str) if labels.dtype == object else labels, return_inverse=True)
    return problem, levels.tolist(), index.astype(np.intp)


def _names(problem: Problem) -> list[str]:
    return [factor.name for factor in problem.labels.factors]
