"""Best linear prediction of new rows at one value of the variances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.likelihood import solution as joint
from hierreg.likelihood.solution import GroupWeights, LinearFunctions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.likelihood.solution import Solution
    from hierreg.linear.prediction.rows import NewRows

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Moments of M predictions.

    Attributes
    ----------
    mean : array (M,)
    variance : array (M,)
        Of the expected value.
    error_variance : array (M,) or None
        What the error of a new observation adds.
    cov, error_cov : arrays (M, M) or None
        The same with covariances, where they were asked for.
    """

    mean: Array
    variance: Array
    error_variance: Array | None
    cov: Array | None
    error_cov: Array | None


def predict_at(  # one value of everything that predictions depend on
    design: Design, rows: NewRows, solution: Solution, error_cov: Array, *, observation: bool, covariance: bool
) -> Predicted:
    """Return the best linear predictions and the variances of their errors.

    Parameters
    ----------
    design : Design
        Of the observed rows.
    rows : NewRows
    solution : Solution
    error_cov : array (1, D, D), or (1, strata, 2) for exchangeable errors
        As `UnitRows` and `ExchangeableRows` take it.
    observation : bool
        Whether the error of a new observation is wanted too.
    covariance : bool
        Whether covariances between the rows are.
    """
    H = _gain(rows, error_cov, len(design.y))
    functions = _functions(design, rows, H)
    variance = joint.variances(functions, solution)
    cov = joint.covariance(functions, solution) if covariance else None
    start = 0
    for new in rows.groups:
        mine = slice(start, start + new.Z.shape[1])
        start = mine.stop
        spread, is_new = new.Z @ solution.Sigma[mine, mine], new.new_group >= 0
        variance = variance + np.where(is_new, np.sum(spread * new.Z, axis=1), 0.0)
        if cov is not None:
            same = is_new[:, None] & (new.new_group[:, None] == new.new_group)
            cov = cov + np.where(same, spread @ new.Z.T, 0.0)
    errors = _error_covariance(rows, error_cov) if observation else None
    return Predicted(
        mean=joint.means(functions, solution) + H @ design.y,
        variance=variance,
        error_variance=None if errors is None else errors.diagonal(),
        cov=cov,
        error_cov=errors.toarray() if covariance and errors is not None else None,
    )


def _gain(rows: NewRows, error_cov: Array, n: int) -> Any:
    """Return H (M, N), sparse."""
    from scipy.sparse import coo_array, csr_array

    errors, shape = rows.errors, (len(rows.X), n)
    if errors.gain is not None:
        return csr_array(errors.gain)
    entries = []
    for unit in errors.units:
        H = unit.conditional(error_cov)[0]
        entries.append(np.broadcast_arrays(H, unit.new[:, :, None], unit.old[:, None, :]))
    if not entries:
        return csr_array(shape)
    value, row, col = (np.concatenate([part[i].ravel() for part in entries]) for i in range(3))
    return coo_array((value, (row, col)), shape=shape).tocsr()


def _functions(design: Design, rows: NewRows, H: Any) -> LinearFunctions:
    groups = []
    for new, factor in zip(rows.groups, design.factors, strict=True):
        known = np.flatnonzero(new.group >= 0)
        row, level, b = known, new.group[known], new.Z[known]
        if H.nnz:
            entries = H.tocoo()
            row = np.concatenate([row, entries.row.astype(np.intp)])
            level = np.concatenate([level, factor.index[entries.col]])
            b = np.concatenate([b, -entries.data[:, None] * factor.Z[entries.col]])
        groups.append(GroupWeights(row=row, level=level, b=b))
    return LinearFunctions(beta=rows.X - H @ design.X, groups=tuple(groups))


def _error_covariance(rows: NewRows, error_cov: Array) -> Any:
    """Return the covariance (M, M), sparse, of the new errors given the observed ones."""
    from scipy.sparse import coo_array, csr_array

    errors, m = rows.errors, len(rows.X)
    if errors.cov is not None:
        return csr_array(errors.cov * error_cov[0, 0, 0])
    parts = []
    for unit in errors.units:
        cov = unit.conditional(error_cov)[1]
        cov = cov * errors.scale[unit.new][:, :, None] * errors.scale[unit.new][:, None, :]
        parts.append(np.broadcast_arrays(cov, unit.new[:, :, None], unit.new[:, None, :]))
    value, row, col = (np.concatenate([part[i].ravel() for part in parts]) for i in range(3))
    return coo_array((value, (row, col)), shape=(m, m)).tocsr()
