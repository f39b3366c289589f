"""The working Gaussian model at given coefficients: responses and information on the scale of the linear predictor.

With l' and W = -l'' of every row at its linear predictor eta, y_working = eta + l' / W has the variance 1 / W: what
iteratively reweighted least squares fits, and what shrinkage and estimates of groups alone are told by. Where -l'' may
be negative, W is its expectation (`Family.information`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.gram import Gram, collect
from hierreg.problem.family import as_layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.problem.family import FamilyProblem

    Array = NDArray[np.float64]

# Of the largest, below which the information of a row is nothing; a known standard error must be finite.
_LEAST_INFORMATION = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """The working model.

    Attributes
    ----------
    design : Design
        With the working response, the offset taken off.
    layout : ErrorLayout
        Known standard errors, W^-1/2.
    gram : Gram
    information : array (N,)
        W.
    slope : array (N,)
        l'.
    """

    design: Design
    layout: ErrorLayout
    gram: Gram
    information: Array
    slope: Array


def working_model(problem: FamilyProblem, eta: Array, auxiliary: Array) -> Working:
    """Return the working model at linear predictors (N,), the offset included in them."""
    slope, information = derivatives(problem, eta, auxiliary)
    design = replace(problem.design, y=eta - problem.offset + slope / information)
    layout = as_layout(information**-0.5)
    return Working(design=design, layout=layout, gram=collect(design, layout), information=information, slope=slope)


def derivatives(problem: FamilyProblem, eta: Array, auxiliary: Array) -> tuple[Array, Array]:
    """Return l' and W (N,) of every row at linear predictors, weights included; W is more than zero."""
    slope, observed = problem.likelihood(1).row_derivatives(eta, auxiliary)
    information = problem.information(observed, auxiliary)
    return slope, np.maximum(information, _LEAST_INFORMATION * max(float(information.max()), 1e-300))
