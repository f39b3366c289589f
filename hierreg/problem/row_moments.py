"""The moments of the rows of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.gram.row_moments import RowMoments, moments_of_parts, row_moments, row_moments_of_gram
from hierreg.problem.family import FamilyProblem

if TYPE_CHECKING:
    from hierreg.problem.problem import Problem


def moments_of(problem: Problem | FamilyProblem) -> RowMoments | None:
    """Return the moments of the rows of a model; None where it has none and its statistics do not say them.

    Of responses that are not normal, those of the columns of the linear predictor.
    """
    if isinstance(problem, FamilyProblem):
        n = len(problem.design.y)
        X = problem.design.X[:, problem.kept_coefficients]
        return moments_of_parts(X, [factor.Z for factor in problem.design.factors], np.ones(n), [np.arange(n)])
    # Statistics first: they are there, whatever the number of rows.
    of_all = row_moments_of_gram(problem.gram, problem.layout.spec)
    if of_all is None and len(problem.design.y):
        return row_moments(problem.design, problem.layout)
    return of_all
