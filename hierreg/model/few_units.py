"""Correlated errors of few units: where the likelihood of the error covariance has no bound.

With S the covariance (D, D) of the errors of a unit, let m combinations V (D, m) of the data sets lose their variance,
as lambda -> 0. The n units that have all data sets of the combinations give n m residuals V'(y_i - X_i beta - Z_i b).
Of these r = rank[V'X_i, V'Z_i] are taken up by coefficients, which are integrated, and k = n m - r have to vanish of
themselves, or the likelihood vanishes. V has m (D - m) degrees of freedom, so that for general data this is possible
where

    0 < k <= m (D - m)                                                                                           (1)

and then the likelihood grows as lambda^(-k/2) along a path to a singular S: nm factors lambda^(-1/2), less r from the
integral over coefficients. With the same columns for each data set that is 0 < n - p < D: fewer residual degrees of
freedom than data sets. REML and ML have no maximum there.

*The posterior is proper all the same*, for every eta > 0. The volume in which the k residuals are of order
lambda^(1/2) is of order lambda^(k/2), which makes up for the growth, and what remains is the prior near singular
correlations, |Psi|^(eta - 1) dPsi, in which a shrinking (m, m) block of eigenvalues has volume
lambda^(m (m + 1) / 2): a mass of order lambda^(m (eta - 1) + m (m + 1) / 2), which is integrable. Standard deviations
keep their distance from zero and infinity meanwhile, so that tails of their priors do not enter. (As a check: for X = 0
and eta = 1 the integral over S is that of an inverse Wishart distribution restricted to bounded S, in which the block
of S^-1 in the null space of the residuals converges as c^(-m (m + 1) / 2).) It is improper only where data sets depend
on each other exactly in more units than general data can, the perfect fit.

*Its density is not bounded*, though, and what has no mode cannot be searched for, preconditioned, or sampled in steps
of one length. In u, partial correlations z_ij = tanh(u_ij) have the density (1 - z_ij^2)^(eta + (D - 2 - j) / 2); a
path to rank D - m moves one z of each of the last m rows of those data sets to one. So the density of u is bounded
where, for all m of (1),

    sum over these rows of (eta + (D - 2 - j) / 2)  >=  k / 2                                                    (2)

for complete data and m = 1: eta >= (n - r) / 2. At equality it neither grows nor falls along the path, whose width
still shrinks as lambda^(1/2); half more is asked for. For missing data sets (1) and (2) hold for the data sets that are
common to some units, and the units that have them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ConvergenceWarning, PriorError
from hierreg.warning import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.design import Design
    from hierreg.error_structure import ErrorLayout
    from hierreg.model.assemble import Problem

    Array = NDArray[np.float64]
    Places = NDArray[np.intp]

# Sets of data sets that are looked at, and residuals whose rank is found.
_MOST_SETS, _MOST_RESIDUALS = 500, 3000
# How far eta has to be above the bound: in trials (3 to 7 data sets, as many units or fewer) NUTS diverged in all draws
# below it, in 1 to 9 of 100 at it, in less than 2 of 100 at 1/2 and 1 of 200 at 1 above it.
_LEAST, _SMOOTH = 0.5, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """Where the likelihood has no bound.

    Attributes
    ----------
    labels : tuple of str
        Data sets of which combinations lose their variance.
    n_units : int
        Units that have them all.
    residuals : int
        k above.
    eta : float
        The least LKJ parameter for which the density of u is bounded.
    """

    labels: tuple[str, ...]
    n_units: int
    residuals: int
    eta: float


def spike_of(design: Design, layout: ErrorLayout, is_fixed: NDArray[np.bool_]) -> Spike | None:
    """Return the spike that asks for the largest eta, None where the likelihood is bounded (or there are no rows).

    Parameters
    ----------
    design : Design
    layout : ErrorLayout
    is_fixed : bool array (p,)
        Population coefficients that are known.
    """
    D = len(layout.labels)
    if layout.kind != "correlated" or layout.unit is None or not len(design.y) or D < 2:
        return None
    present = np.zeros((int(layout.unit.max()) + 1, D), dtype=bool)
    present[layout.unit, layout.stratum] = True
    row = np.full(present.shape, -1)
    row[layout.unit, layout.stratum] = np.arange(len(design.y))
    spikes = []
    for members in _common_sets(present):
        units = np.flatnonzero(present[:, members].all(axis=1))
        found = _spike(design, row[np.ix_(units, members)], members, layout.labels, is_fixed)
        if found is not None:
            spikes.append(found)
    return max(spikes, key=lambda spike: spike.eta) if spikes else None


def _common_sets(present: NDArray[np.bool_]) -> list[Places]:
    """Return the sets of two or more data sets that are all that some units have in common."""
    patterns = {tuple(p) for p in np.unique(present, axis=0).tolist()}
    found = set(patterns)
    fresh = set(patterns)
    while fresh and len(found) < _MOST_SETS:
        fresh = {tuple(a and b for a, b in zip(one, other, strict=True)) for one in fresh for other in patterns} - found
        found |= fresh
    sets = [np.flatnonzero(p) for p in sorted(found)]
    return [members for members in sets if len(members) > 1]


def _spike(
    design: Design,
    rows: Places,
    members: NDArray[np.intp],
    labels: tuple[str, ...],
    is_fixed: NDArray[np.bool_],
) -> Spike | None:
    n, a = rows.shape
    most = int((~is_fixed).sum()) + sum(len(np.unique(f.index[rows])) * f.Z.shape[1] for f in design.factors)
    D = len(labels)
    best: Spike | None = None
    for m in range(1, a):
        if n * m - most > m * (a - m) or n * m > _MOST_RESIDUALS:
            continue
        k = n * m - _rank(design, rows, m, is_fixed)
        if not 0 < k <= m * (a - m):
            continue
        # The rows at the end, each with the data set before it.
        before = members[a - 1 - m : a - 1]
        eta = (0.5 * k - 0.5 * float(np.sum(D - 2 - before))) / m
        if best is None or eta > best.eta:
            best = Spike(labels=tuple(labels[d] for d in members), n_units=n, residuals=k, eta=eta)
    return best


def _rank(design: Design, rows: Places, m: int, is_fixed: NDArray[np.bool_]) -> int:
    """Return how many of the n m combined residuals coefficients take up, for combinations in general position."""
    n, a = rows.shape
    V = np.random.default_rng(0).normal(size=(a, m))
    parts = [np.einsum("nap,am->nmp", design.X[rows][:, :, ~is_fixed], V).reshape(n * m, -1)]
    for factor in design.factors:
        levels, index = np.unique(factor.index[rows], return_inverse=True)
        spread = np.zeros((n, m, len(levels), factor.Z.shape[1]))
        index = index.reshape(n, a)
        for d in range(a):
            spread[np.arange(n), :, index[:, d]] += V[d][None, :, None] * factor.Z[rows[:, d]][:, None, :]
        parts.append(spread.reshape(n * m, -1))
    columns = np.concatenate(parts, axis=1)
    size = np.linalg.norm(columns, axis=0)
    return int(np.linalg.matrix_rank(columns / np.where(size > 0, size, 1.0))) if columns.size else 0


def _where(spike: Spike) -> str:
    sets = ", ".join(spike.labels)
    return (
        f"{spike.n_units} units have the {len(spike.labels)} data sets {sets} in common, which is too few to tell all "
        "their error correlations: after the coefficients, combinations of the data sets can fit without any error"
    )


def without_maximum(problem: Problem) -> str | None:
    """Return, in words, why REML and ML have no maximum; None where they have one."""
    spike = _of(problem)
    if spike is None:
        return None
    return (
        f"{_where(spike)}, so the criterion grows without bound and has no maximum. Use more units or fewer data sets, "
        f"or sample with priors=hr.Priors(error_corr=hr.LKJ({_comfortable(spike):g}))."
    )


def check_density_is_bounded(problem: Problem) -> None:
    """Raise where the posterior density has no bound, or hardly falls towards singular correlations; warn near that.

    Raises
    ------
    PriorError
        Which names the prior that mends it.
    """
    spike = _of(problem)
    eta = float(problem.parameters.eta[-1])
    if spike is None or eta >= spike.eta + _SMOOTH - 1e-9:
        return
    mend = (
        f"use priors=hr.Priors(error_corr=hr.LKJ({_comfortable(spike):g})), which takes correlations near one for less "
        "likely, or more units, or fewer data sets."
    )
    if eta < spike.eta + _LEAST - 1e-9:
        raise PriorError(
            f"error_corr=LKJ({eta:g}) is too weak for so few units: {_where(spike)}. The posterior density grows, or "
            "hardly falls, where correlations become singular, so that no sampler can follow it; it has a bound for "
            f"eta of {spike.eta:g}, and falls fast enough for eta of {spike.eta + _LEAST:g} and more. Instead, {mend}"
        )
    warn(
        f"few units for error_corr=LKJ({eta:g}): {_where(spike)}. Correlations are largely the prior's, and draws "
        f"may diverge where they become singular. If they do: {mend}",
        ConvergenceWarning,
    )


def _of(problem: Problem) -> Spike | None:
    if not problem.parameters.corr_is_free[-1]:
        return None
    return spike_of(problem.design, problem.layout, problem.fixed.is_fixed)


def _comfortable(spike: Spike) -> float:
    """Return an eta, in halves, with which NUTS has no difficulty."""
    return float(np.ceil(2.0 * (spike.eta + _SMOOTH) - 1e-9) / 2.0)
