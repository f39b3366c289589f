"""Posterior prediction of new rows given further rows with their response: draws are weighted, and conditioned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.exceptions import SamplingError
from hierreg.linear.prediction.conditioning import GivenRows, Inverse
from hierreg.linear.prediction.posterior import add_groups, error_covariances, error_draws, known_means
from hierreg.predictive.rows import Draws, chunks
from hierreg.sampling.importance import K_LIMIT, Weights, smoothed
from hierreg.sampling.resampling import resample, resampled_ess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.linear.prediction.posterior import Fresh
    from hierreg.linear.prediction.rows import NewGroups, NewRows

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawsGiven:
    """Predictions of M rows given others, S draws of equal weight.

    Attributes
    ----------
    expected : array (S, M)
    new : array (S, M) or None
        Of new observations.
    pareto_k : float
        Of the weights of the posterior draws.
    ess : float
        How many of the S draws those chosen by these weights are worth.
    """

    expected: Array
    new: Array | None
    pareto_k: float
    ess: float


def draw_given(  # noqa: PLR0913  # what is conditioned, and on what
    design: Design,
    given: GivenRows,
    draws: Draws,
    Sigma: Mapping[str, Array],
    fresh: Callable[[Index], Fresh],
    *,
    rng: np.random.Generator,
    observation: bool,
) -> DrawsGiven:
    """Return draws of the expected values and, where they are wanted, of new observations, given further rows.

    The posterior with the given rows is the one without them times p(y_g | draw), in which the coefficients of new
    groups and the errors are integrated out. Draws are chosen by these weights, Pareto-smoothed; coefficients of new
    groups and errors are then drawn given y_g: drawn without it, and corrected by what y_g differs from its own draw.

    Parameters
    ----------
    design : Design
        Of the rows of the fit.
    given : GivenRows
    draws : Draws
        S draws of the parameters.
    Sigma : dict of arrays (S, q, q)
        Covariance of the coefficients of each factor of which given rows are new groups.
    fresh : function of int array (S,)
        Coefficients of new groups, not conditioned, at draws of these numbers.
    rng : Generator
    observation : bool

    Raises
    ------
    SamplingError
        If the weights have too heavy a tail: given rows move the posterior too far.

    References
    ----------
    Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance sampling. Journal of
    Machine Learning Research 25(72), 1-58.

    Wilson, J. T., Borovitskiy, V., Terenin, A., Mostowsky, P. and Deisenroth, M. P. (2021). Pathwise conditioning of
    Gaussian processes. Journal of Machine Learning Research.
    """
    S, rows = len(draws.beta), given.stack
    mu = known_means(design, rows, draws)
    weights = _weights(given, mu, draws, Sigma)
    which = np.sort(resample(weights.value, S, rng)).astype(np.intp)
    mu, b = mu[which], fresh(which)
    chosen = Draws(beta=draws.beta[which], b={}, error_sd=draws.error_sd[which], error_corr=draws.error_corr[which])
    own = {factor: values[which] for factor, values in Sigma.items()}
    e = error_draws(rows, chosen, rng.standard_normal(mu.shape))
    G = len(given.y)
    expected, new = np.empty((S, len(rows.X) - G)), np.empty((S, len(rows.X) - G))
    for part in chunks(S, G * len(rows.X)):
        expected[part], new[part] = _conditioned(
            given,
            mu[part],
            chosen.part(part),
            {factor: values[part] for factor, values in own.items()},
            {factor: values[part] for factor, values in b.items()},
            e[part],
        )
    return DrawsGiven(
        expected=expected,
        new=new if observation else None,
        pareto_k=weights.k,
        ess=resampled_ess(weights.value, S),
    )


def _weights(given: GivenRows, mu: Array, draws: Draws, Sigma: Mapping[str, Array]) -> Weights:
    """Return the weights of the draws, p(y_g | draw)."""
    S, G = len(mu), len(given.y)
    log_ratio = np.empty(S)
    for part in chunks(S, G * len(given.stack.X)):
        E = _error_covariance(given.stack, draws.part(part), G)[:, :, :G]
        inverse = Inverse.of(E + _group_covariance(given, {f: values[part] for f, values in Sigma.items()}, len(E)))
        white = inverse.whitened((given.y - mu[part, :G])[:, :, None])
        log_ratio[part] = -0.5 * (inverse.log_det + np.sum(white**2, axis=(1, 2)))
    if np.ptp(log_ratio) == 0:
        # Every draw says the same of the given rows: no tail.
        return Weights(value=np.full(S, 1.0 / S), k=-np.inf)
    weights = smoothed(log_ratio)
    if not weights.k <= K_LIMIT:
        raise SamplingError(
            f"the {G} given rows move the posterior too far for its draws to be weighted: the Pareto k of the weights "
            f"is {weights.k:.2f}, and {K_LIMIT} is the most that can be trusted. Put the rows into the data and fit "
            "again; or predict at an estimate, where given rows are conditioned on in closed form."
        )
    return weights


def _conditioned(  # all that is known of a few draws
    given: GivenRows, mu: Array, draws: Draws, Sigma: Mapping[str, Array], b: Fresh, e: Array
) -> tuple[Array, Array]:
    """Return expected values and new observations (s, M) given y_g; b and errors e (s, G + M) are drawn without it."""
    (s, _), G, y = mu.shape, len(given.y), given.y
    E = _error_covariance(given.stack, draws, G)
    inverse = Inverse.of(E[:, :, :G] + _group_covariance(given, Sigma, s))
    f = mu.copy()
    for groups in given.stack.groups:
        if groups.n_new:
            add_groups(f, groups.Z, groups.new_group, b[groups.factor])
    alpha = inverse.times((y - f[:, :G] - e[:, :G])[:, :, None])[:, :, 0]
    for groups in given.stack.groups:
        if groups.factor in Sigma:
            change = _change_of_b(groups, Sigma[groups.factor], alpha)
            add_groups(f, groups.Z, groups.new_group, change)
    if not np.any(E[:, :, G:]):
        return f[:, G:], f[:, G:] + e[:, G:]
    D = np.swapaxes(Inverse.of(E[:, :, :G]).times(E[:, :, G:]), 1, 2)
    expected = f[:, G:] + np.einsum("snm,sm->sn", D, y - f[:, :G])
    return expected, expected + e[:, G:] - np.einsum("snm,sm->sn", D, e[:, :G])


def _change_of_b(groups: NewGroups, Sigma: Array, alpha: Array) -> Array:
    """Return Sigma Z_g' alpha of each new group, (s, n_new, q)."""
    s, G = alpha.shape
    sums = np.zeros((s, groups.n_new, groups.Z.shape[1]))
    for row in np.flatnonzero(groups.new_group[:G] >= 0):
        sums[:, groups.new_group[row]] += alpha[:, row, None] * groups.Z[row]
    return np.asarray(np.einsum("sij,snj->sni", Sigma, sums))


def _group_covariance(given: GivenRows, Sigma: Mapping[str, Array], s: int) -> Array:
    """Return the covariance (s, G, G) that the coefficients of new groups give to given rows."""
    G = len(given.y)
    out = np.zeros((s, G, G))
    for groups in given.stack.groups:
        if groups.factor in Sigma:
            Z, own = groups.Z[:G], groups.new_group[:G]
            same = (own[:, None] == own) & (own >= 0)
            out += np.where(same, np.einsum("gi,sij,hj->sgh", Z, Sigma[groups.factor], Z, optimize=True), 0.0)
    return out


def _error_covariance(rows: NewRows, draws: Draws, G: int) -> Array:
    """Return the covariance (s, G, G + M) of the errors of given rows with those of all, given the rows of the fit."""
    s, errors = len(draws.beta), rows.errors
    if errors.cov is not None:
        return np.asarray(draws.error_sd[:, :1, None] ** 2 * errors.cov[:G])
    out = np.zeros((s, G, len(rows.X)))
    cov = error_covariances(draws)
    for unit in errors.units:
        new = unit.new[np.any(unit.new < G, axis=1)]
        if not len(new):
            continue
        block = unit.conditional(cov)[1]
        u, i, j = np.nonzero(np.broadcast_to((new < G)[:, :, None], (*new.shape, new.shape[1])))
        row, col = new[u, i], new[u, j]
        out[:, row, col] = block[:, i, j] * errors.scale[row] * errors.scale[col]
    return out
