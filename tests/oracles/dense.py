"""The model with one dense covariance matrix of all rows, as a textbook would write it.

Values come from the density of y itself, derivatives from the textbook formula for d log p / dV. Nothing is
shared with the package: no cross-products, no blocks, no factors of R.
"""

import numpy as np


def error_covariance(layout, error_cov):
    """R (N, N): a sum of fixed matrices, or for AR(1) a power of the correlation."""
    if layout.kind == "ar1":
        time = np.asarray(layout.time, dtype=int)
        rho, distance = error_cov[0, 1] / error_cov[0, 0], abs(time[:, None] - time)
        return np.where(in_one_unit(layout), error_cov[0, 0] * rho**distance, 0.0)
    return sum(error_cov[place] * matrix for place, matrix in error_terms(layout))


def in_one_unit(layout):
    """Whether two rows (N, N) are of the same unit."""
    return np.asarray(layout.unit)[:, None] == np.asarray(layout.unit)


def error_terms(layout):
    """The entries of the error covariance that R is linear in, each with its matrix (N, N)."""
    n = len(layout.stratum)
    stratum, D, own = np.asarray(layout.stratum), len(layout.labels), np.eye(n)
    if layout.kind == "known_cov":
        return [((0, 0), np.asarray(layout.V))]
    if layout.kind == "known_se":
        return [((0, 0), np.diag(np.asarray(layout.se) ** 2))]
    if layout.kind == "exchangeable":
        return components_of_units(layout)
    if layout.kind == "correlated":
        same = in_one_unit(layout)
        return [((c, d), same * np.outer(stratum == c, stratum == d)) for c in range(D) for d in range(D)]
    return [((d, d), own * (stratum == d)) for d in range(D)]


def components_of_units(layout):
    """Components of exchangeable errors: (I - J / n) within units by stratum, J / n of their means by stratum and n.

    Components are counted within each stratum first, then by stratum and unit size.
    """
    same, stratum = in_one_unit(layout), np.asarray(layout.stratum)
    size = same.sum(axis=0)
    sizes = sorted(set(zip(stratum.tolist(), size.tolist(), strict=True)))
    terms = [((d, d), (stratum == d) * (np.eye(len(size)) - same / size)) for d in range(len(layout.labels))]
    for mean, (d, n) in enumerate(sizes, start=len(layout.labels)):
        terms.append(((mean, mean), same * ((stratum == d) & (size == n)) / n))
    return terms


def compound_symmetry(layout, sd, rho):
    """R (N, N) from standard deviations and correlations by stratum."""
    n = len(layout.stratum)
    R = np.zeros((n, n))
    for r in range(n):
        for s in range(n):
            d = layout.stratum[r]
            if layout.unit[r] == layout.unit[s]:
                R[r, s] = sd[d] ** 2 * (1.0 if r == s else rho[d])
    return R


def spread_z(design):
    """Z (N, J q) of all groups side by side, factor by factor and group by group."""
    n = len(design.y)
    parts = [np.zeros((n, 0))]
    for factor in design.factors:
        q = factor.Z.shape[1]
        Z = np.zeros((n, len(factor.levels) * q))
        for r in range(n):
            j = factor.index[r]
            Z[r, j * q : (j + 1) * q] = factor.Z[r]
        parts.append(Z)
    return np.hstack(parts)


def columns_of_factors(design):
    """The columns of each factor among those of all, as slices."""
    sizes = [factor.Z.shape[1] for factor in design.factors]
    return [slice(sum(sizes[:f]), sum(sizes[: f + 1])) for f in range(len(sizes))]


def group_covariance(design, Sigma):
    """Covariance (J q, J q) of all group coefficients, for Sigma (q, q) of the columns of all factors."""
    m = sum(len(factor.levels) * factor.Z.shape[1] for factor in design.factors)
    out = np.zeros((m, m))
    start = 0
    for factor, own in zip(design.factors, columns_of_factors(design), strict=True):
        for _ in factor.levels:
            here = slice(start, start + factor.Z.shape[1])
            out[here, here] = Sigma[own, own]
            start = here.stop
    return out


def total_covariance(design, layout, Sigma, error_cov):
    """V = Z (I x Sigma) Z' + R."""
    Z = spread_z(design)
    return Z @ group_covariance(design, Sigma) @ Z.T + error_covariance(layout, error_cov)


def normal_log_density(y, mean, V):
    _, log_det = np.linalg.slogdet(V)
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
    weighted_X = np.linalg.solve(V, X)
    XtVX = X.T @ weighted_X
    beta_hat = np.linalg.solve(XtVX, weighted_X.T @ y)
    profile = normal_log_density(y, X @ beta_hat, V)
    if beta == "ml":
        return profile
    return profile + 0.5 * X.shape[1] * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(XtVX)[1]


def derivative_wrt_total_covariance(
    design, layout, Sigma, error_cov, *, beta="flat", prior_mean=None, prior_cov=None, value=None
):
    """d log p / dV (N, N): half of (V^-1 r)(V^-1 r)' - V^-1, or of what replaces it."""
    y, X = design.y, design.X
    V = total_covariance(design, layout, Sigma, error_cov)
    if beta == "normal":
        V_inv = np.linalg.inv(V + X @ prior_cov @ X.T)
        weighted = V_inv @ (y - X @ prior_mean)
        return 0.5 * (np.outer(weighted, weighted) - V_inv)
    V_inv = np.linalg.inv(V)
    if beta == "fixed":
        weighted = V_inv @ (y - X @ value)
        return 0.5 * (np.outer(weighted, weighted) - V_inv)
    hat = X @ np.linalg.solve(X.T @ V_inv @ X, X.T @ V_inv)
    weighted = V_inv @ (y - hat @ y)
    # The restricted likelihood has projected errors: V^-1 loses the directions of X.
    precision = V_inv if beta == "ml" else V_inv - V_inv @ hat
    return 0.5 * (np.outer(weighted, weighted) - precision)


def gradient(design, layout, Lambda, error_cov, **beta):
    """d log p with respect to Lambda (q, q), Sigma = Lambda Lambda', and to the error covariance (D, D)."""
    G = derivative_wrt_total_covariance(design, layout, Lambda @ Lambda.T, error_cov, **beta)
    q, D = len(Lambda), len(error_cov)
    g_Sigma = np.zeros((q, q))
    for factor, own in zip(design.factors, columns_of_factors(design), strict=True):
        for j in range(len(factor.levels)):
            mine = factor.index == j
            g_Sigma[own, own] += factor.Z[mine].T @ G[np.ix_(mine, mine)] @ factor.Z[mine]
    g_error = np.zeros((D, D))
    for place, matrix in error_terms(layout):
        g_error[place] += np.sum(G * matrix)
    return 2.0 * g_Sigma @ Lambda, g_error


def coefficients(design, layout, Sigma, error_cov, *, prior_precision=None, prior_mean=None):
    """Joint Gaussian of (beta, b) given y: mean (p + J q,) and covariance, by conditioning one joint normal.

    Without a prior precision (p, p) beta is flat and the answer is generalised least squares and Henderson's
    BLUP with its prediction-error covariance, written with V^-1 alone.
    """
    y, X, Z = design.y, design.X, spread_z(design)
    p = X.shape[1]
    prior = group_covariance(design, Sigma)
    V_inv = np.linalg.inv(total_covariance(design, layout, Sigma, error_cov))
    prior_precision = np.zeros((p, p)) if prior_precision is None else prior_precision
    prior_mean = np.zeros(p) if prior_mean is None else prior_mean
    beta_cov = np.linalg.inv(prior_precision + X.T @ V_inv @ X)
    beta = beta_cov @ (prior_precision @ prior_mean + X.T @ V_inv @ y)
    gain = prior @ Z.T @ V_inv
    b = gain @ (y - X @ beta)
    # A sum of what is left of b and of the errors' part (Joseph's form): prior - gain Z prior loses seven digits.
    left = np.eye(len(prior)) - gain @ Z
    b_cond_cov = left @ prior @ left.T + gain @ error_covariance(layout, error_cov) @ gain.T
    cross = -beta_cov @ X.T @ gain.T
    covariance = np.block([[beta_cov, cross], [cross.T, b_cond_cov + gain @ X @ beta_cov @ X.T @ gain.T]])
    return np.concatenate([beta, b]), covariance, b_cond_cov


def henderson(design, layout, Sigma, error_cov, prior_precision=0.0):
    """The mixed-model equations as one linear system; Sigma has to be positive definite."""
    y, X, Z = design.y, design.X, spread_z(design)
    R_inv = np.linalg.inv(error_covariance(layout, error_cov))
    W = np.column_stack([X, Z])
    C = W.T @ R_inv @ W
    p = X.shape[1]
    C[:p, :p] += prior_precision * np.eye(p)
    C[p:, p:] += np.linalg.inv(group_covariance(design, Sigma))
    return np.linalg.solve(C, W.T @ R_inv @ y), np.linalg.inv(C)
