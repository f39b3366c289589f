"""Variance parameters that no data of this design can tell apart.

Every covariance here is linear in variances and covariances: V = sum_f Z_f (I x Sigma_f) Z_f' + R. Where a direction d
of these leaves K'VK as it is, K'X = 0, the restricted likelihood is the same all along it, whatever the response: as
many group effects as rows in each group, where the errors' variance moves into Sigma; a factor among the population
columns and in the groups; two factors with the same groups. Then the gradient g at *every* point has g'd = 0. So
gradients at a few points in general position, side by side, have d in their null space, and nothing else is in it:
information that is only small, or a variance at zero, leaves their columns apart. No Hessian, no tolerance for
curvature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.estimate.coordinates import basis_of, only_errors, terms_of
from hierreg.estimate.starting_values import starting_point
from hierreg.variances.parameters import covariances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.engines import Likelihood
    from hierreg.variances.parameters import VarianceParameters

    Array = NDArray[np.float64]

# Points beside the number of parameters, and how far variances are apart there (log scale).
_MORE_POINTS, _SPREAD = 3, 0.7
# Cosines and lengths, beside others, that are rounding.
_DEPENDENT, _NOTHING = 1e-8, 1e-11
# Share in a direction that counts.
_TAKES_PART = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """What the data do not determine.

    Attributes
    ----------
    names : tuple of str
        Public names of the parameters that a direction without information joins.
    is_joined : bool array (n_free,)
        The same, in the order of `free_names`.
    text : str
        What it means and what to do.
    """

    names: tuple[str, ...]
    is_joined: NDArray[np.bool_]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linear:
    """Directions of variances: of Sigma in the basis (M, q, q), then of the error covariance (E, D, D)."""

    groups: Array
    errors: Array


def flat_directions(likelihood: Likelihood, parameters: VarianceParameters) -> Flat | None:
    """Return the parameters that the restricted likelihood does not depend on or cannot tell apart, None if it can.

    Parameters
    ----------
    likelihood : MarginalLikelihood or CrossedLikelihood
        With a flat prior of beta; one that profiles beta is read as restricted: it has a maximum at zero for a variance
        that the population columns take up.
    parameters : VarianceParameters
        What is fixed, or tied by fixed correlations, is held.
    """
    gram = likelihood.gram
    likelihood = replace(likelihood, integrate=True)
    errors = only_errors(parameters)
    at = covariances(errors, starting_point(gram, errors)[None])
    S0 = at.error_cov[0]
    basis = basis_of(gram, S0, parameters)
    linear = _linear(parameters, errors, S0)
    m = len(linear.groups) + len(linear.errors)
    if not m:
        return None
    rng = np.random.default_rng(0)
    rows = np.array([_slopes(likelihood, basis, linear, S0, rng) for _ in range(m + _MORE_POINTS)])
    rows = rows[np.all(np.isfinite(rows), axis=1)]
    if len(rows) < m:
        return None
    length = np.linalg.norm(rows, axis=0)
    unit = np.where(length > _NOTHING * max(1.0, float(length.max())), length, np.inf)
    _, values, vectors = np.linalg.svd(rows / unit)
    null = vectors[values < _DEPENDENT * np.sqrt(len(rows))]
    if not len(null):
        return None
    with np.errstate(invalid="ignore"):
        null = np.where(np.isfinite(unit), null / unit * np.min(unit), null)
    return _in_words(parameters, basis, linear, S0, null)


def _linear(parameters: VarianceParameters, errors: VarianceParameters, S0: Array) -> _Linear:
    """Return the directions in which the covariances of the model move freely."""
    q, D = parameters.n_factor, len(S0)
    groups = []
    for term in terms_of(parameters):
        if not parameters.sd_is_free[term].all():
            continue
        if len(term) == 1 and np.any(parameters.fixed_corr_factor[term, :q] != np.eye(q)[term]):
            continue
        groups += [_symmetric(q, term[i], term[j]) for i in range(len(term)) for j in range(i + 1)]
    within, moving = errors.within_units, []
    if within.strata:
        zero = np.where(within.is_free, 0.0, within.fixed)
        for i in np.flatnonzero(errors.sd_is_free):
            sd = np.eye(len(errors.error_labels))[i]
            moving.append(within.covariance(sd, zero))
        if errors.sd_is_free.all():
            ones = np.ones(len(errors.error_labels))
            uncorrelated = within.covariance(ones, zero)
            shares = np.eye(len(zero))[within.is_free]
            moving += [within.covariance(ones, zero + share) - uncorrelated for share in shares]
    elif parameters.n_error_sd:
        free = errors.sd_is_free
        moving = [_symmetric(D, d, d) for d in np.flatnonzero(free).tolist()]
        if errors.corr_is_free[-1] and free.all():
            moving += [_symmetric(D, d, e) for d in range(D) for e in range(d)]
        sd = np.sqrt(np.diagonal(S0))
        moving = [direction * sd[:, None] * sd for direction in moving]
    return _Linear(
        groups=np.array(groups).reshape(len(groups), q, q),
        errors=np.array(moving).reshape(len(moving), D, D),
    )


def _symmetric(n: int, i: int, j: int) -> Array:
    out = np.zeros((n, n))
    out[i, j] = out[j, i] = 1.0
    return out


def _slopes(likelihood: Likelihood, basis: Array, linear: _Linear, S0: Array, rng: np.random.Generator) -> Array:
    """Return the derivatives (M + E,) of the criterion along the directions, at a random point."""
    q, D = len(basis), len(S0)
    moves = np.any(linear.groups != 0, axis=0) if len(linear.groups) else np.zeros((q, q), dtype=bool)
    inner = np.diag(np.exp(rng.uniform(-_SPREAD, _SPREAD, q)))
    inner += np.where(np.tril(moves, -1), rng.uniform(-0.5, 0.5, (q, q)), 0.0)
    size = np.exp(rng.uniform(-_SPREAD, _SPREAD, D))
    is_in_time = likelihood.gram.terms.structure.is_in_time
    is_free = any(direction[0, 0] == 0 for direction in linear.errors)
    if is_in_time:
        # Two neighbours have one variance; a correlation that is known stays.
        size[1] = size[0]
        S0 = np.where(np.eye(2) > 0, S0, S0[0, 0] * rng.uniform(0.3, 0.8)) if is_free else S0
    S = size[:, None] * S0 * size
    value, g_Lambda, g_S = likelihood.value_and_gradient(basis @ inner, S)
    if is_in_time and is_free:
        g_S = _over_the_gap(likelihood.gram.terms.gaps, S, g_S)
    if not np.isfinite(value):
        return np.full(len(linear.groups) + len(linear.errors), np.nan)
    # d value = tr(G dSigma), and with Sigma = L L' the gradient in L is 2 G L
    G = 0.5 * np.linalg.solve(inner.T, (basis.T @ g_Lambda).T).T if q else np.zeros((0, 0))
    G = 0.5 * (G + G.T)
    of_groups = np.einsum("mij,ij->m", linear.groups, G)
    return np.concatenate([of_groups, np.einsum("eij,ij->e", linear.errors, g_S)])


def _over_the_gap(gaps: NDArray[np.intp], S: Array, g_S: Array) -> Array:
    """Return the gradient with respect to v and c = v rho^d of AR(1) errors, where all gaps are d steps.

    These are what the covariance of all errors is linear in. With several gaps it is linear in none, and nothing but
    rho itself can be without information.
    """
    found = np.unique(gaps[gaps > 0])
    if len(found) != 1:
        return g_S
    rho, gap = S[0, 1] / S[0, 0], int(found[0])
    out = g_S / (gap * rho ** (gap - 1))
    np.fill_diagonal(out, [g_S[0, 0] + 2.0 * g_S[0, 1] * rho * (1.0 - 1.0 / gap), 0.0])
    return np.asarray(out)


def _in_words(parameters: VarianceParameters, basis: Array, linear: _Linear, S0: Array, null: Array) -> Flat:
    M, q = len(linear.groups), parameters.n_factor
    Sigma = np.abs(np.einsum("km,mij->kij", null[:, :M], linear.groups))
    moved = np.einsum("ij,kjl,ml->kim", np.abs(basis), Sigma, np.abs(basis)).max(axis=0)
    size = np.sqrt(np.diagonal(np.abs(basis) @ np.abs(basis).T))
    moved = moved / size[:, None] / size if q else moved
    of_errors = np.abs(np.einsum("ke,eij->kij", null[:, M:], linear.errors)).max(axis=0)
    largest = max(float(moved.max(initial=0.0)), float(np.max(of_errors / np.sqrt(np.outer(*[np.diagonal(S0)] * 2)))))
    in_groups = moved > _TAKES_PART * largest
    in_errors = of_errors / np.sqrt(np.outer(*[np.diagonal(S0)] * 2)) > _TAKES_PART * largest
    joined = _joined(parameters, in_groups, in_errors)
    names = tuple(name for name, mine in zip(parameters.free_names, joined, strict=True) if mine)
    factors = sorted({parameters.group_columns[i][0] for i in np.flatnonzero(np.diagonal(in_groups))})
    return Flat(names=names, is_joined=joined, text=_text(names, factors, with_errors=bool(in_errors.any())))


def _joined(parameters: VarianceParameters, in_groups: Array, in_errors: Array) -> NDArray[np.bool_]:
    q, within = parameters.n_factor, parameters.within_units
    if within.strata:
        # Components are those of strata in order; any of them that moves moves its stratum.
        moves = in_errors.any(axis=1)
        strata = np.bincount(within.component_stratum, moves, minlength=len(within.strata)) > 0
        sds = np.bincount(within.sd_of_stratum, strata, minlength=len(parameters.error_labels)) > 0
    else:
        strata, sds = np.zeros(0, dtype=bool), np.diagonal(in_errors)
    all_sds = np.concatenate([np.diagonal(in_groups), sds])
    out = [all_sds[parameters.sd_is_free]]
    for start, size, free in zip(parameters.block_starts, parameters.block_sizes, parameters.corr_is_free, strict=True):
        if free:
            block, first = (in_groups, start) if start < q else (in_errors, start - q)
            out.append(block[first : first + size, first : first + size][np.tril_indices(size, -1)])
    out.append(strata[within.is_free])
    return np.concatenate(out).astype(bool)


def _text(names: tuple[str, ...], factors: list[str], *, with_errors: bool) -> str:
    what = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    if len(names) > 1:
        first = f"the data do not determine {what}: they are not told apart, only combinations of them are"
    else:
        first = f"the data do not determine {what}: no value of it fits better than another"
    if not factors:
        return f"{first}. Choose a simpler error structure, or fix one of them with hr.Fixed."
    where = " and ".join(factors)
    if with_errors:
        return (
            f"{first}. The rows of a group of {where} are not more than its coefficients, or the groups are what the "
            f"errors vary by. Leave a column out of ( ... | {factors[0]}), give more rows per group, or say what is "
            "known: hr.Fixed for the error sd, or errors=hr.known_se(column)."
        )
    if len(factors) > 1:
        return f"{first}. The groups of {where} divide the rows alike: leave one of the factors out."
    return (
        f"{first}. The population columns already hold all differences between the groups of {where} in these columns: "
        f"leave them, or the same columns of ( ... | {where}), out of the formula."
    )
