"""A point estimate as a tree of one draw: what reports read of a posterior, at the estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.errors.within_units import covariance_of
from hierreg.exceptions import ModelError
from hierreg.gram.column_means import means_of_gram, means_of_rows
from hierreg.likelihood.alone import group_statistics, no_pooling
from hierreg.problem.labels import factors_attribute
from hierreg.problem.reference import references
from hierreg.problem.row_moments import moments_of
from hierreg.results import build

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.gram import ErrorTerms, Gram
    from hierreg.problem.labels import Labels
    from hierreg.problem.problem import Problem
    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]


def tree_of_estimate(est: Estimate, what: str) -> xr.DataTree:
    """Return a tree with the estimate as its only draw, and as its plug-in limit; without group coefficients.

    Raises
    ------
    ModelError
        If the estimate does not know its model, or the response is not normal.
    """
    import xarray as xr

    problem = est.problem
    if problem is None:
        raise ModelError(f"{what}: the estimate does not know its model; take it from Model.estimate.")
    if est.family:
        raise ModelError(
            f"{what} of an estimate with family={est.family} is not made; sample, and give the tree, which has the "
            "plug-in of Laplace's approximation too."
        )
    own = [problem.own_rows(f) for f in range(len(problem.labels.factors))]
    tree = xr.DataTree.from_dict(
        {
            "posterior": _posterior(est),
            "statistics": statistics_of(problem, own),
            "mixed_model_limit": build.limit_group(problem.labels, limit_at(est, problem.labels, own)),
        }
    )
    tree.attrs = build.versions() | {
        "formula": problem.formula,
        "errors": str(problem.layout.spec),
        "response": problem.labels.response,
        "factors": factors_attribute(problem.labels),
        "error_dim": problem.labels.error_dim or "",
        "n_rows": problem.n_rows,
    }
    return tree


def limit_at(est: Estimate, labels: Labels, own: Sequence[Gram]) -> build.Limit:
    """Return an estimate with least squares on each group alone, from `Problem.own_rows` by factor."""
    beta, b = est.beta.to_numpy(), est.solution.b
    alone = [
        no_pooling(own[f], f, _error_cov_of_terms(est, own[f].terms), beta, factor.theta_columns, b)
        for f, factor in enumerate(labels.factors)
    ]
    return build.Limit(
        estimate=est,
        no_pooling=tuple(theta for theta, _ in alone),
        no_pooling_cov=tuple(cov for _, cov in alone),
    )


def statistics_of(problem: Problem, own: Sequence[Gram]) -> xr.Dataset:
    """Return the ``statistics`` group of a result, the means of group columns from the rows where they are there."""
    return build.statistics_group(
        problem.labels,
        problem.gram.terms,
        own[0].terms if own else problem.gram.terms,
        [group_statistics(gram, f) for f, gram in enumerate(own)],
        means_of_rows(problem.design, problem.layout)
        if len(problem.design.y)
        else [means_of_gram(gram, f) for f, gram in enumerate(own)],
        references(problem.labels, problem.state),
        moments_of(problem),
    )


def _posterior(est: Estimate) -> xr.Dataset:
    labels = est.problem.labels
    out: dict[str, Any] = {"beta": est.beta}
    for factor in labels.factors:
        out[f"sd_{factor.key}"] = est.sd[factor.name]
        if factor.has_corr:
            corr = est.corr[factor.name]
            # Where a standard deviation is zero, any correlation is right.
            out[f"corr_{factor.key}"] = corr.where(np.isfinite(corr), np.eye(len(corr)))
    if labels.n_error_sd:
        out["error_sd"] = est.error_sd
    if labels.has_error_corr and est.error_corr is not None:
        out["error_corr"] = est.error_corr
    return build.sample_dataset({name: value.expand_dims(build.SAMPLE) for name, value in out.items()}, (1, 1))


def _error_cov_of_terms(est: Estimate, terms: ErrorTerms) -> Array:
    """Return the error covariance (D, D) that terms need; each group's own rows may be in smaller units."""
    if terms.components is not None:
        assert est.error_corr is not None
        sd, rho = (np.atleast_1d(values.to_numpy()) for values in (est.error_sd, est.error_corr))
        return covariance_of(terms.components.stratum, terms.components.size, sd, rho)
    S = est.error_cov if est.error_cov is not None else est.error_sd**2
    return S.to_numpy().reshape(terms.n_labels, terms.n_labels)
