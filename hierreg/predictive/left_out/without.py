"""Log densities of the rows that are left, from their own cross-products."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.errors.known_covariance import from_matrix
from hierreg.errors.within_units import covariance_of
from hierreg.exceptions import DataError
from hierreg.gram import collect
from hierreg.likelihood.engines import log_likelihoods, marginal_likelihood
from hierreg.likelihood.population import population_prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.gram import Gram
    from hierreg.likelihood.engines import Likelihood
    from hierreg.problem.problem import Problem
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


def density_of_all(problem: Problem, cov: Covariances, threads: int = 1) -> Array:
    """Return log p(y | u) at S draws of u, (S,)."""
    return _at_draws(problem.likelihood("prior"), cov, threads)


def density_of(problem: Problem, rows: Index, cov: Covariances, left_out: str) -> Array:
    """Return log p(y_rows | u) at S draws of u, (S,).

    Parameters
    ----------
    problem : Problem
        Of all rows.
    rows : int array (n,)
        Those that are left.
    cov : Covariances
    left_out : str
        What is missing, for messages.

    Raises
    ------
    DataError
        If these rows do not determine all coefficients.
    """
    gram = gram_of_rows(problem, rows, left_out)
    # In internal coordinates of all rows the prior is no prior of these.
    prior = replace(population_prior(problem.priors), inner=None)
    return _at_draws(marginal_likelihood(gram, prior=prior, fixed=problem.fixed), cov)


def gram_of_rows(problem: Problem, rows: Index, left_out: str) -> Gram:
    """Return the cross-products of some rows of a problem.

    Raises
    ------
    DataError
        If they do not determine all coefficients.
    """
    try:
        return collect(rows_of_design(problem.design, rows), rows_of_layout(problem.layout, rows))
    except DataError as error:
        raise DataError(f"without {left_out} the rows do not determine the model: {error}") from error


def _at_draws(likelihood: Likelihood, cov: Covariances, threads: int = 1) -> Array:
    components = likelihood.gram.terms.components
    error_cov = cov.error_cov
    if components is not None:
        # Units have other sizes where some of their rows are gone.
        error_cov = covariance_of(components.stratum, components.size, cov.error_sd, cov.error_corr)
    return log_likelihoods(likelihood, cov.Lambda, error_cov, threads)


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
