"""Posterior prediction of new rows: one value per draw, of the expectation and of a new observation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hierreg.linalg import semidefinite_factor
from hierreg.predictive.rows import chunks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hierreg.design_matrices import Design
    from hierreg.linear.prediction.rows import NewRows
    from hierreg.predictive.rows import Draws

    Array = NDArray[np.float64]
    # Draws (S, n_new, q) of the coefficients of new groups, by grouping factor.
    type Fresh = Mapping[str, Array]
    Index = NDArray[np.intp]


def draw_predictions(
    design: Design,
    rows: NewRows,
    draws: Draws,
    fresh: Fresh,
    *,
    rng: np.random.Generator,
    observation: bool,
) -> tuple[Array, Array | None]:
    """Return draws (S, M) of the expected values and, where they are wanted, of new observations.

    Parameters
    ----------
    design : Design
        Of the observed rows.
    rows : NewRows
    draws : Draws
        S draws of the parameters.
    fresh : dict of arrays (S, n_new, q)
        And of the coefficients of new groups, by grouping factor, where there are some.
    rng : Generator
    observation : bool
    """
    mu = known_means(design, rows, draws)
    for new in rows.groups:
        if new.n_new:
            add_groups(mu, new.Z, new.new_group, fresh[new.factor])
    if not observation:
        return mu, None
    return mu, mu + error_draws(rows, draws, rng.standard_normal(mu.shape))


def known_means(design: Design, rows: NewRows, draws: Draws) -> Array:
    """Return draws (S, M) of the expected values as far as the fit knows them: without the effects of new groups."""
    mu = np.asarray(draws.beta @ rows.X.T)
    for new in rows.groups:
        add_groups(mu, new.Z, new.group, draws.b[new.factor])
    for which in chunks(len(mu), len(design.y)):
        mu[which] += _from_residuals(design, rows, draws.part(which))
    return mu


def normal_effects(rows: NewRows, Sigma: Mapping[str, Array], rng: np.random.Generator) -> Fresh:
    """Return draws of the coefficients of new groups, at S draws of their covariances Sigma (S, q, q), by factor."""
    out = {}
    for new in rows.groups:
        if new.n_new:
            z = rng.standard_normal((len(Sigma[new.factor]), new.n_new, new.Z.shape[1]))
            out[new.factor] = np.einsum("sij,sgj->sgi", semidefinite_factor(Sigma[new.factor]), z)
    return out


def add_groups(mu: Array, Z: Array, group: Index, b: Array) -> None:
    """Add Z b to means (S, rows), but not where the group is -1."""
    known = np.flatnonzero(group >= 0)
    for column in range(Z.shape[1]):
        mu[:, known] += Z[known, column] * b[:, group[known], column]


def _from_residuals(design: Design, rows: NewRows, draws: Draws) -> Array:
    """Return what the errors of observed rows say of the new errors, (S, M)."""
    S, errors = len(draws.beta), rows.errors
    out = np.zeros((S, len(rows.X)))
    linked = [unit for unit in errors.units if unit.old.shape[1]]
    if errors.gain is None and not linked:
        return out
    used = (
        np.arange(len(design.y))
        if errors.gain is not None
        else np.unique(np.concatenate([unit.old.ravel() for unit in linked]))
    )
    mu = np.asarray(draws.beta @ design.X[used].T)
    for factor in design.factors:
        add_groups(mu, factor.Z[used], factor.index[used], draws.b[factor.name])
    residual = design.y[used] - mu
    if errors.gain is not None:
        return np.asarray(residual @ errors.gain.T)
    cov = error_covariances(draws)
    for unit in linked:
        gain = unit.conditional(cov)[0]
        out[:, unit.new] = np.einsum("sab,snb->sna", gain, residual[:, np.searchsorted(used, unit.old)])
    return out


def error_draws(rows: NewRows, draws: Draws, z: Array) -> Array:
    """Return errors (S, M) of new observations from standard normal numbers."""
    errors = rows.errors
    if errors.cov is not None:
        return np.asarray(draws.error_sd * (z @ semidefinite_factor(errors.cov).T))
    out = np.empty_like(z)
    cov = error_covariances(draws)
    for unit in errors.units:
        L = semidefinite_factor(unit.conditional(cov)[1])
        out[:, unit.new] = np.einsum("sij,snj->sni", L, z[:, unit.new]) * errors.scale[unit.new]
    return out


def error_covariances(draws: Draws) -> Array:
    """Return error covariances (S, D, D), or variance and covariance in units (S, strata, 2) of exchangeable errors."""
    if draws.error_corr.ndim == 3:
        return draws.error_cov(np.arange(draws.error_sd.shape[1]))
    v = np.broadcast_to(draws.error_sd, draws.error_corr.shape) ** 2
    return np.stack([v, v * draws.error_corr], axis=2)
