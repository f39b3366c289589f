"""Points of the variance parameters at which a model is compared with the oracle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.fuzz.models import pair_of


@dataclass(frozen=True, kw_only=True)
class Point:
    """Lambda (q, q), error_cov (D, D) as the likelihood takes it and as `Model.solve` does, and what rounding costs.

    `lost` is the factor by which rounding what is given (one part in 2^53 of each entry) is enlarged: 1; offset / sd of
    the columns, where Sigma is ordinary about their means and they are far from zero; the condition number of the error
    correlations or of the known covariance, scaled to a unit diagonal.
    """

    Lambda: np.ndarray
    error_cov: np.ndarray
    error_argument: object
    lost: float


def random_point(model, rows, rng, *, centred):
    """Return a point of ordinary size, with zeros and extremes now and then."""
    y_sd = float(rows.y.std()) or abs(float(rows.y[0])) or 1.0
    q = sum(rows.sizes)
    Lambda, lost = np.zeros((q, q)), 1.0
    for Z, own, design in zip(rows.Z, rows.factor_slices(), model.problem.design.factors, strict=True):
        start = own.start
        for size, correlated in zip(design.term_sizes, design.term_correlated, strict=True):
            here = slice(start, start + size)
            columns = Z[:, start - own.start : start - own.start + size]
            block, digits = _term(columns, y_sd, rng, correlated=correlated, centred=centred)
            Lambda[here, here] = block
            lost = max(lost, digits)
            start = here.stop
    error_cov, argument = _errors(model, rows, y_sd, rng)
    lost = max(lost, condition_of_covariance(rows.V if rows.kind == "known_cov" else error_cov))
    return Point(Lambda=Lambda, error_cov=error_cov, error_argument=argument, lost=lost)


def condition_of_covariance(S):
    """Return the condition number of a covariance scaled to a unit diagonal."""
    root = np.sqrt(np.diagonal(S))
    return float(np.linalg.cond(S / root[:, None] / root[None, :]))


def contrast(rows, Lambda, error_cov):
    """Return the largest sd that groups give a row over the smallest sd of any direction of the errors."""
    signal = 0.0
    for Z, own in zip(rows.Z, rows.factor_slices(), strict=True):
        signal = max(signal, float(np.linalg.norm(Z @ Lambda[own, own], axis=1).max()))
    return _over_errors(signal, rows, error_cov)


def contrast_of_response(rows, error_cov):
    """Return the sd of the response over the smallest sd of any direction of the errors."""
    return _over_errors(float(rows.y.std()), rows, error_cov)


def _over_errors(signal, rows, error_cov):
    if rows.kind == "known_cov":
        smallest = np.linalg.eigvalsh(rows.V)[0] * error_cov[0, 0]
    elif rows.kind == "known_se":
        smallest = rows.se.min() ** 2 * error_cov[0, 0]
    elif rows.kind == "correlated":
        root = np.sqrt(np.diagonal(error_cov))
        smallest = np.linalg.eigvalsh(error_cov / root[:, None] / root[None, :])[0] * root.min() ** 2
    elif rows.kind == "ar1":
        rho = abs(error_cov[0, 1] / error_cov[0, 0])
        smallest = error_cov[0, 0] * (1.0 - rho) / (1.0 + rho)
    else:
        smallest = np.diagonal(error_cov).min() / (1.0 if rows.weight is None else rows.weight.max())
    return signal / np.sqrt(smallest) if smallest > 0 else np.inf


def _term(columns, y_sd, rng, *, correlated, centred):
    size = columns.shape[1]
    L = np.tril(rng.normal(size=(size, size))) * 0.5 + np.eye(size) if correlated else np.eye(size)
    L = L / np.linalg.norm(L, axis=1)[:, None]
    scales = y_sd * 10.0 ** rng.uniform(-1.5, 0.7, size)
    for i in range(size):
        if rng.random() < 0.12:
            scales[i] = rng.choice([0.0, 1e-7 * y_sd])
    sd, mean = columns.std(axis=0), columns.mean(axis=0)
    constant = np.flatnonzero((sd == 0) & (columns[0] != 0))
    if not (correlated and centred and len(constant)) or size == 1:
        rms = np.sqrt((columns**2).mean(axis=0))
        return (scales / np.where(rms > 0, rms, 1.0))[:, None] * L, 1.0
    at = int(constant[0])
    varying = np.arange(size) != at
    width = np.where(varying & (sd > 0), sd, 1.0)
    T = np.eye(size)
    T[at, varying] = -(mean / columns[0, at])[varying]
    return T @ ((scales / width)[:, None] * L), 1.0 + float(np.max(np.abs(mean[varying]) / width[varying], initial=0.0))


def _errors(model, rows, y_sd, rng):
    D = int(rows.stratum.max()) + 1
    sd = y_sd * 10.0 ** rng.uniform(-1.5, 0.5, D)
    if rng.random() < 0.1:
        sd = sd * 10.0 ** rng.uniform(-7, -1)
    if rows.kind == "exchangeable":
        return _exchangeable(model, rows, sd, rng)
    if rows.kind == "ar1":
        rho = float(
            rng.choice([rng.uniform(-0.95, 0.95), rng.choice([-1.0, 1.0]) * (1.0 - 10.0 ** rng.uniform(-6, -1))])
        )
        return pair_of(sd[0] ** 2, rho), {"sd": float(sd[0]), "corr": rho}
    if rows.kind.startswith("known"):
        if not model.problem.labels.n_error_sd:
            return np.eye(1), None
        factor = 10.0 ** rng.uniform(-1, 1)
        return np.array([[factor]]), factor
    if rows.kind == "correlated":
        if rng.random() < 0.2:
            sd = sd * 10.0 ** rng.uniform(-5, 5, D)
        A = rng.normal(size=(D, D)) * rng.choice([0.3, 1.0]) + np.eye(D)
        R = A @ A.T
        root = sd / np.sqrt(np.diagonal(R))
        R = R * root[:, None] * root[None, :]
        R = 0.5 * (R + R.T)
        return R, R
    return np.diag(sd**2), (sd**2 if D > 1 else float(sd[0] ** 2))


def _exchangeable(model, rows, sd, rng):
    size = (rows.unit[:, None] == rows.unit[None, :]).sum(axis=1)
    D = len(sd)
    common = model.problem.labels.n_error_sd == 1
    sd = np.full(D, sd[0]) if common else sd
    largest = np.array([size[rows.stratum == d].max() for d in range(D)])
    lowest = -1.0 / (np.maximum(largest, 2) - 1.0)
    rho = lowest + (1.0 - lowest) * rng.uniform(0.05, 0.95, D)
    kinds = sorted({(int(d), int(m)) for d, m in zip(rows.stratum, size, strict=True)})
    within = [sd[d] ** 2 * (1.0 - rho[d]) for d in range(D)]
    means = [sd[d] ** 2 * (1.0 + (m - 1.0) * rho[d]) for d, m in kinds]
    return np.diag([*within, *means]), {"sd": float(sd[0]) if common else sd, "corr": rho if D > 1 else float(rho[0])}
