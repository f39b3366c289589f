"""The model with one dense covariance matrix of all rows, as a textbook would write it."""

import numpy as np


def error_covariance(layout, error_cov):
    """R (N, N), entry by entry."""
    n = len(layout.stratum)
    R = np.zeros((n, n))
    for r in range(n):
        for s in range(n):
            if layout.kind == "known_cov":
                R[r, s] = layout.V[r, s] * error_cov[0, 0]
            elif layout.kind == "known_se":
                R[r, s] = layout.se[r] ** 2 * error_cov[0, 0] if r == s else 0.0
            elif layout.kind == "correlated":
                same = layout.unit[r] == layout.unit[s]
                R[r, s] = error_cov[layout.stratum[r], layout.stratum[s]] if same else 0.0
            else:
                R[r, s] = error_cov[layout.stratum[r], layout.stratum[r]] if r == s else 0.0
    return R


def spread_z(design):
    """Z (N, J q) of all groups side by side, group by group."""
    if not design.factors:
        return np.zeros((len(design.y), 0))
    factor = design.factors[0]
    n, q = factor.Z.shape
    Z = np.zeros((n, len(factor.levels) * q))
    for r in range(n):
        j = factor.index[r]
        Z[r, j * q : (j + 1) * q] = factor.Z[r]
    return Z


def total_covariance(design, layout, Sigma, error_cov):
    """V = Z (I x Sigma) Z' + R."""
    Z = spread_z(design)
    J = Z.shape[1] // Sigma.shape[0] if Sigma.size else 0
    return Z @ np.kron(np.eye(J), Sigma) @ Z.T + error_covariance(layout, error_cov)


def normal_log_density(y, mean, V):
    sign, log_det = np.linalg.slogdet(V)
    r = y - mean
    return -0.5 * (len(y) * np.log(2 * np.pi) + log_det + r @ np.linalg.solve(V, r))


def log_likelihood(design, layout, Sigma, error_cov, *, beta="flat", prior_mean=None, prior_cov=None, value=None):
    """log p(y | Sigma, R) with beta integrated ("normal", "flat"), profiled ("ml") or known ("fixed")."""
    y, X = design.y, design.X
    V = total_covariance(design, layout, Sigma, error_cov)
    if beta == "normal":
        return normal_log_density(y, X @ prior_mean, V + X @ prior_cov @ X.T)
    if beta == "fixed":
        return normal_log_density(y, X @ value, V)
    XtVX = X.T @ np.linalg.solve(V, X)
    beta_hat = np.linalg.solve(XtVX, X.T @ np.linalg.solve(V, y))
    profile = normal_log_density(y, X @ beta_hat, V)
    if beta == "ml":
        return profile
    return profile + 0.5 * X.shape[1] * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(XtVX)[1]
