"""Draws of the effects of groups given the parameters, by rejection with what a table says of them (numba)."""

from __future__ import annotations

from math import inf, log, log1p, sqrt

import numpy as np

from hierreg.compiled.array_kernels import empty, ones
from hierreg.compiled.parts import part, whole
from hierreg.likelihood.quadrature.kernels import auxiliaries_of, factor, solve_lower
from hierreg.response.kernels import BINOMIAL, LOGIT, value_and_slope
from hierreg.response.special_kernels import exp_of_negative, log1p_of_share

# What `draw_effects` says of a group: none of its proposals was accepted, of which one was above the bound; or done.
OPEN, UNBOUNDED, DONE = range(3)


@part
def _log_likelihood_of_logits(rows, first, last, theta, terms):
    """Return what `_log_likelihood` does of binomial rows with a logit, without branches: rows do not wait."""
    _, Z, y, n, weight, offset, _, _, _, _ = rows
    for r in range(first, last):
        terms[r - first] = offset[r]
    for i in range(len(theta)):
        for r in range(first, last):
            terms[r - first] += Z[r, i] * theta[i]
    for r in range(first, last):
        eta = terms[r - first]
        above = max(eta, 0.0) + log1p_of_share(exp_of_negative(-abs(eta)))
        terms[r - first] = weight[r] * (y[r] * eta - n[r] * above)
    value = 0.0
    for r in range(last - first):
        value += terms[r]
    return value


@part
def _log_likelihood(rows, j, theta, nothing, terms):
    """Return the part of the log-likelihood of group j that depends on theta."""
    _, Z, y, n, weight, offset, stratum, family, link, starts = rows
    if family == BINOMIAL and link == LOGIT:
        return _log_likelihood_of_logits(rows, starts[j], starts[j + 1], theta, terms)
    value = 0.0
    for r in range(starts[j], starts[j + 1]):
        a, c = auxiliaries_of(family, nothing, stratum[r], y[r])
        eta = offset[r]
        for i in range(len(theta)):
            eta += Z[r, i] * theta[i]
        value += weight[r] * value_and_slope(family, link, y[r], n[r], eta, a, c)[0]
    return value


@part
def _dot(a, b):
    """Return a'b, by four sums that do not wait for each other."""
    n = len(a)
    s, t, u, v = 0.0, 0.0, 0.0, 0.0
    whole = n - n % 4
    for k in range(0, whole, 4):
        s += a[k] * b[k]
        t += a[k + 1] * b[k + 1]
        u += a[k + 2] * b[k + 2]
        v += a[k + 3] * b[k + 3]
    for k in range(whole, n):
        s += a[k] * b[k]
    return (s + t) + (u + v)


@part
def _weigh_nodes(log_likelihood, log_weights, nodes, d, B, room, f):
    """Write the weights of the nodes (q, K) to f (K,), in units of the largest; return its logarithm."""
    K = len(f)
    z = room[0]
    for k in range(K):
        f[k] = log_likelihood[k] + log_weights[k]
    for i in range(len(d)):
        for k in range(K):
            z[k] = d[i]
        for h in range(i + 1):
            for k in range(K):
                z[k] += B[i, h] * nodes[h, k]
        for k in range(K):
            f[k] -= 0.5 * z[k] * z[k]
    top = -inf
    for k in range(K):
        top = max(top, f[k])
    for k in range(K):
        f[k] = exp_of_negative(f[k] - top)
    return top


@part
def _moments(f, features, ones, mean, cov):
    """Write mean (q,) and covariance (q, q) of t under the weights of the nodes."""
    q, total = len(mean), _dot(f, ones)
    at = q
    for i in range(q):
        mean[i] = _dot(f, features[i]) / total
        for h in range(i + 1):
            cov[i, h] = _dot(f, features[at]) / total - mean[i] * mean[h]
            at += 1


@part
def _highest_ratio(f, one_by_weights, nodes, mean, root, df, room):
    """Return the largest ratio of the density and the proposal at the nodes, in units of the largest weight."""
    q, K = len(mean), len(f)
    square = room[q]
    for k in range(K):
        square[k] = 1.0
    for i in range(q):
        x = room[i]
        for k in range(K):
            x[k] = nodes[i, k] - mean[i]
        for h in range(i):
            for k in range(K):
                x[k] -= root[i, h] * room[h, k]
        scale = 1.0 / root[i, i]
        for k in range(K):
            x[k] *= scale
            square[k] += x[k] * x[k] / df
    ratio = room[0]
    for k in range(K):
        square[k] = sqrt(square[k])
        ratio[k] = f[k] * one_by_weights[k]
    # (1 + x'x / df)^((df + q) / 2)
    for _ in range(int(df) + q):
        for k in range(K):
            ratio[k] *= square[k]
    most = 0.0
    for k in range(K):
        most = max(most, ratio[k])
    return most


@whole
def draw_effects(rows, table, rule, beta, Lambda, df, margin, groups, proposals, uniforms, state, last, out):
    """Write a draw of v (J, q) of some groups given the parameters; return whether all have a covariance.

    Parameters
    ----------
    rows : tuple
        See `quadrature.kernels`.
    table : tuple of arrays
        m (J, q), L (J, q, q), A (J, q, p), l (J, K) without what does not depend on theta.
    rule : tuple of arrays
        Features (n, K), the elements of t, of which the first q rows are nodes, and of the lower triangle of t t';
        log w + t't / 2 (K,), and exp of minus that.
    beta, Lambda : arrays (p,), (q, q)
    df, margin : float
        Whole degrees of freedom of the proposals; how much above the largest log ratio at the nodes its bound is.
    groups : array (n,)
        Whose turn it is.
    proposals : array (n, m, q)
        Draws of a Student t distribution about zero.
    uniforms : array (n, 2, m)
        Logarithms of uniform numbers.
    state, last, out : arrays (J,), (J,), (J, q)
        Whether a draw was accepted, and where the chain is, of groups that have had proposals before: read and written.
        Its log ratio is -inf where it has not begun.
    """
    place, root_of, maps, log_likelihood = table
    features, log_weights, one_by_weights = rule
    q, K = len(Lambda), len(log_weights)
    d, B, mean, cov, root = empty(q), empty((q, q)), empty(q), empty((q, q)), empty((q, q))
    t, v, kept, theta = empty(q), empty(q), empty(q), empty(q)
    f, room, equal, nothing = empty(K), empty((q + 1, K)), ones(K), empty((np.int64(1), np.int64(0)))
    starts, most = rows[9], 0
    for g in range(len(groups)):
        most = max(most, starts[groups[g] + 1] - starts[groups[g]])
    terms = empty(most)
    for g in range(len(groups)):
        j = groups[g]
        for i in range(q):
            d[i] = place[j, i]
            for k in range(len(beta)):
                d[i] -= maps[j, i, k] * beta[k]
            for k in range(q):
                B[k, i] = root_of[j, k, i]
        solve_lower(Lambda, d)
        for i in range(q):
            solve_lower(Lambda, B[:, i])
        top = _weigh_nodes(log_likelihood[j], log_weights, features, d, B, room, f)
        _moments(f, features, equal, mean, cov)
        if not factor(cov, root):
            return False
        bound = top + log(_highest_ratio(f, one_by_weights, features, mean, root, df, room)) + margin
        for i in range(q):
            kept[i] = out[j, i]
        for s in range(proposals.shape[1]):
            square, half = 0.0, 0.0
            for i in range(q):
                square += proposals[g, s, i] * proposals[g, s, i]
                t[i] = mean[i]
                for h in range(i + 1):
                    t[i] += root[i, h] * proposals[g, s, h]
            for i in range(q):
                theta[i], v[i] = place[j, i], d[i]
                for h in range(i + 1):
                    theta[i] += root_of[j, i, h] * t[h]
                    v[i] += B[i, h] * t[h]
                half += 0.5 * v[i] * v[i]
            ratio = _log_likelihood(rows, j, theta, nothing, terms) - half + 0.5 * (df + q) * log1p(square / df)
            # A chain goes on beside, for where the bound is none, or nothing was accepted.
            if last[j] == -inf or uniforms[g, 1, s] < ratio - last[j]:
                last[j] = ratio
                for i in range(q):
                    kept[i] = v[i]
            if ratio > bound:
                state[j] = UNBOUNDED
            if state[j] == OPEN and uniforms[g, 0, s] < ratio - bound:
                for i in range(q):
                    kept[i] = v[i]
                state[j] = DONE
                break
        for i in range(q):
            out[j, i] = kept[i]
    return True
