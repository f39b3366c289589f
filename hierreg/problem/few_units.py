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

Such a density is a funnel all the same: the k residuals keep it within lambda^(1/2) of the path, and steps of one
length are too long somewhere along it. The share of draws that diverge falls as the square of the step: in trials with
2 to 3 units from 0.5 to 3 in a hundred at the usual acceptance probability to 0 to 2 in a thousand at
`TARGET_ACCEPT`, which takes two to three times as many steps, with few exceptions. No coordinates that are known before
data straighten it, since where the path lies is the data's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import ConvergenceWarning, PriorError
from hierreg.likelihood.least_squares import least_squares
from hierreg.likelihood.population import hold_fixed
from hierreg.priors import Fixed
from hierreg.warning import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.gram import ErrorTerms, Gram
    from hierreg.likelihood.population import FixedBeta
    from hierreg.problem.problem import Problem

    Array = NDArray[np.float64]
    Places = NDArray[np.intp]

# Sets of data sets that are looked at, and residuals whose rank is found.
_MOST_SETS, _MOST_RESIDUALS = 500, 3000
# How far eta has to be above the bound: in trials (3 to 7 data sets, as many units or fewer) NUTS diverged in all draws
# below it, in 1 to 9 of 100 at it, in less than 2 of 100 at 1/2 and 1 of 200 at 1 above it.
_LEAST, _SMOOTH = 0.5, 1.0
# For NUTS, where there is a spike and the prior bounds the density.
TARGET_ACCEPT = 0.98


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


def spike_of(gram: Gram, fixed: FixedBeta, *, with_groups: bool = True) -> Spike | None:
    """Return the spike that asks for the largest eta, None where the likelihood is bounded.

    Parameters
    ----------
    gram : Gram
    fixed : FixedBeta
        Population coefficients that are known.
    with_groups : bool
        Whether group effects take up residuals; they do not where their variances are zero.
    """
    if not gram.terms.has_corr_of_sets or gram.terms.n_labels < 2:
        return None
    free = hold_fixed(gram, fixed)
    factors = tuple(range(len(gram.factors))) if with_groups else ()
    found = [_spike(free, members, factors) for members in _common_sets(gram.terms.patterns[gram.terms.counts > 0])]
    spikes = [spike for spike in found if spike is not None]
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


def _spike(gram: Gram, members: Places, factors: tuple[int, ...]) -> Spike | None:
    terms, a = gram.terms, len(members)
    n = int(terms.counts[terms.patterns[:, members].all(axis=1)].sum())
    most = _most_columns(gram, _weights(terms, members, np.eye(a)) != 0, factors)
    D = terms.n_labels
    best: Spike | None = None
    for m in range(1, a):
        if n * m - most > m * (a - m) or n * m > _MOST_RESIDUALS:
            continue
        fit = least_squares(gram, _combined(terms, members, m), factors)
        if fit is None:
            continue
        k = n * m - fit.rank
        if not 0 < k <= m * (a - m):
            continue
        # The rows at the end, each with the data set before it.
        before = members[a - 1 - m : a - 1]
        eta = (0.5 * k - 0.5 * float(np.sum(D - 2 - before))) / m
        if best is None or eta > best.eta:
            best = Spike(labels=tuple(terms.labels[d] for d in members), n_units=n, residuals=k, eta=eta)
    return best


def _most_columns(gram: Gram, used: NDArray[np.bool_], factors: tuple[int, ...]) -> int:
    """Return how many coefficients there are, of groups those that have rows in some terms."""
    chosen = [gram.factors[i] for i in factors]
    groups = (len(np.unique(f.level_index[used[f.level_term]])) * f.n_coef for f in chosen)
    return len(gram.coef_names) + sum(groups)


def _combined(terms: ErrorTerms, members: Places, m: int) -> Array:
    """Return the weights (K,) of the terms for m combinations, in general position, of the members' rows."""
    V = np.random.default_rng(0).normal(size=(len(members), m))
    return _weights(terms, members, V @ V.T)


def _weights(terms: ErrorTerms, members: Places, products: Array) -> Array:
    """Return the weights (K,) that the terms have where a unit's data sets have the weights products (a, a)."""
    full = np.zeros((terms.n_labels, terms.n_labels))
    full[np.ix_(members, members)] = products
    pattern, d, e = terms.table.T
    return np.where(terms.patterns[:, members].all(axis=1)[pattern], full[d, e], 0.0)


def _where(spike: Spike) -> str:
    sets = ", ".join(spike.labels)
    return (
        f"{spike.n_units} units have the {len(spike.labels)} data sets {sets} in common, which is too few to tell all "
        "their error correlations: after the coefficients, combinations of the data sets can fit without any error"
    )


def _fitted_by_ml(problem: Problem) -> tuple[tuple[str, ...], int] | None:
    """Return data sets and the number of their units that coefficients can fit, k <= 0 in (1); None without any.

    ML chooses population coefficients rather than integrate over them, so that all n m factors lambda^(-1/2) stay but
    those that integrated group effects take up; these may also be left out, as if their variances were zero.
    """
    gram = problem.gram
    if not gram.terms.has_corr_of_sets or gram.terms.n_labels < 2:
        return None
    free, terms = hold_fixed(gram, problem.fixed), gram.terms
    everything = replace(
        problem.fixed,
        is_fixed=np.ones_like(problem.fixed.is_fixed),
        value=np.where(problem.fixed.is_fixed, problem.fixed.value, 0.0),
    )
    alone = hold_fixed(gram, everything)
    for members in _common_sets(terms.patterns[terms.counts > 0]):
        n = int(terms.counts[terms.patterns[:, members].all(axis=1)].sum())
        if not 0 < n <= _MOST_RESIDUALS:
            continue
        weights = _combined(terms, members, 1)
        every = tuple(range(len(gram.factors)))
        for chosen in {every} if any(_held_above_zero(problem)) else {(), every}:
            fit = least_squares(free, weights, chosen)
            groups = least_squares(alone, weights, chosen) if chosen else None
            if fit is not None and fit.rank == n and (groups is None or groups.rank < n):
                return tuple(terms.labels[d] for d in members), n
    return None


def without_maximum(problem: Problem, method: str) -> str | None:
    """Return, in words, why REML or ML has no maximum; None where it has one."""
    spike = _of(problem)
    if spike is None and not any(_held_above_zero(problem)):
        spike = _of(problem, with_groups=False)
    if spike is None:
        fitted = _fitted_by_ml(problem) if method == "ml" and problem.parameters.corr_is_free[-1] else None
        if fitted is None:
            return None
        return (
            f"a combination of data sets {', '.join(fitted[0])} can be fitted exactly in the {fitted[1]} units that "
            "have them all, by coefficients that are as many, so that their errors' correlation can go to one and the "
            "likelihood grows without bound: ML has no maximum. Use method='reml', more units or fewer columns, or "
            "sample."
        )
    return (
        f"{_where(spike)}, so the criterion grows without bound and has no maximum. Use more units or fewer data sets, "
        f"or sample with priors=hr.Priors(error_corr=hr.LKJ({_comfortable(spike):g}))."
    )


def check_density_is_bounded(problem: Problem) -> Spike | None:
    """Raise where the posterior density has no bound, or hardly falls towards singular correlations; warn near that.

    Returns
    -------
    Spike or None
        Where the likelihood has no bound though the density has one.

    Raises
    ------
    PriorError
        Which names the prior that mends it.
    """
    spike = _of(problem)
    eta = float(problem.parameters.eta[-1])
    if spike is None or eta >= spike.eta + _SMOOTH - 1e-9:
        return spike
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
    return spike


def _of(problem: Problem, *, with_groups: bool = True) -> Spike | None:
    if not problem.parameters.corr_is_free[-1]:
        return None
    return spike_of(problem.gram, problem.fixed, with_groups=with_groups)


def _held_above_zero(problem: Problem) -> list[bool]:
    """Return of each factor whether a prior holds one of its standard deviations above zero."""
    sds = [problem.priors.sd[factor.name] for factor in problem.labels.factors]
    return [any(isinstance(prior, Fixed) and float(prior.array) > 0 for prior in own) for own in sds]


def _comfortable(spike: Spike) -> float:
    """Return an eta, in halves, with which NUTS has no difficulty."""
    return float(np.ceil(2.0 * (spike.eta + _SMOOTH) - 1e-9) / 2.0)
