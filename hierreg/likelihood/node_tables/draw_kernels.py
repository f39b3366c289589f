"""Draws of the effects of groups given the parameters, by rejection from the normal model nearest to them (numba).

*Nearest* is the tuple m (J, q), A (J, q, p), h (J, q), P (J, q, q): l_j(theta) is about h_j'd - d'P_j d / 2 with
d = theta - m_j.
"""

from __future__ import annotations

from math import inf, log1p

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.lanes import LANES
from hierreg.compiled.parts import part, whole
from hierreg.likelihood.quadrature.kernels import factor, solve_lower, solve_upper
from hierreg.response.kernels import BINOMIAL, LOGIT, counts_once, sum_of_logits, value_and_slope, write_shares

# What `draw_effects` says of a draw: none of its proposals was accepted, of which one was above the bound; or done.
OPEN, UNBOUNDED, DONE = range(3)


@part
def _read_group(rows, nearest, j, group, own):
    """Write eta at m, y, n, weights and columns of Z (4 + q, rows) of group j; A, h and P (q, p + 1 + q)."""
    _, Z, y, n, weight, offset, _, _, _, starts = rows
    place, maps, slope, curvature = nearest
    first, size, q, p = starts[j], starts[j + 1] - starts[j], place.shape[1], maps.shape[2]
    for i in range(size):
        r = first + i
        group[1, i], group[2, i], group[3, i] = y[r], n[r], weight[r]
        t = offset[r]
        for k in range(q):
            group[4 + k, i] = Z[r, k]
            t += Z[r, k] * place[j, k]
        group[0, i] = t
    for i in range(q):
        for k in range(p):
            own[i, k] = maps[j, i, k]
        own[i, p] = slope[j, i]
        for k in range(q):
            own[i, p + 1 + k] = curvature[j, i, k]
    return size


@part
def _write_normal(own, place, beta, Lambda, room, L):
    """Write a = A beta - m and L^-1 Lambda'(h - P a), and the factor L of the precision of v, under the normal model.

    Returns whether there is a factor.
    """
    q, p = len(own), len(beta)
    a, mean, d, M = room[0], room[1], room[2], room[4:]
    for i in range(q):
        a[i] = -place[i]
        for k in range(p):
            a[i] += own[i, k] * beta[k]
    for i in range(q):
        d[i] = own[i, p]
        for k in range(q):
            d[i] -= own[i, p + 1 + k] * a[k]
    for k in range(q):
        mean[k] = 0.0
        for i in range(k, q):
            mean[k] += Lambda[i, k] * d[i]
    for k in range(q):
        for i in range(q):
            d[i] = 0.0
            for h in range(k, q):
                d[i] += own[i, p + 1 + h] * Lambda[h, k]
        for i in range(k, q):
            t = 1.0 if i == k else 0.0
            for h in range(i, q):
                t += Lambda[h, i] * d[h]
            M[i, k] = t
    if not factor(M, L):
        return False
    solve_lower(L, mean)
    return True


@part
def _log_ratio(group, size, once, response, own, Lambda, L, x, df, room, eta):
    """Write v, where x (q,) is in units of the normal model, and return the log of target and proposal, their ratio.

    The proposal is Student t in x. Left out is what depends on the parameters alone, by the normal model.
    """
    family, link = response
    a, mean, d, v = room[0], room[1], room[2], room[3]
    q, square = len(x), 0.0
    p = own.shape[1] - 1 - q
    for i in range(q):
        square += x[i] * x[i]
        v[i] = mean[i] + x[i]
    solve_upper(L, v)
    value = 0.5 * (df + q) * log1p(square / df) - 0.5 * square
    for i in range(q):
        d[i] = a[i]
        for k in range(i + 1):
            d[i] += Lambda[i, k] * v[k]
    for i in range(size):
        eta[0, i] = group[0, i]
    for k in range(q):
        t = d[k]
        for i in range(size):
            eta[0, i] += group[4 + k, i] * t
        t = 0.0
        for i in range(q):
            t += own[k, p + 1 + i] * d[i]
        value += d[k] * (0.5 * t - own[k, p])
    if family == BINOMIAL and link == LOGIT:
        write_shares(eta[0], size, eta[1])
        row, share = eta[:1], eta[1:]
        return value + sum_of_logits(group[1, :size], group[2, :size], group[3, :size], once, row, share, size * 0)
    for i in range(size):
        of_row, _ = value_and_slope(family, link, group[1, i], group[2, i], eta[0, i], 0.0, 0.0)
        value += group[3, i] * of_row
    return value


@part
def _room(rows, nearest):
    """Return arrays for `_read_group` (2), eta and exp(-|eta|), numbers of `_write_normal` and `_log_ratio`, and L."""
    starts, most = rows[9], 0
    q, p = nearest[0].shape[1], nearest[1].shape[2]
    for j in range(len(starts) - 1):
        most = max(most, starts[j + 1] - starts[j])
    return empty((4 + q, most)), empty((q, p + 1 + q)), empty((2, most + LANES)), empty((4 + q, q)), empty((q, q))


@whole
def draw_effects(rows, nearest, bound, phi, Lambda, df, turns, proposals, exponentials, state, last, out):
    """Write draws of v (S, J, q) given the parameters; return whether all have a covariance.

    Parameters
    ----------
    rows : tuple
        See `quadrature.kernels`.
    nearest : tuple of arrays
    bound : array (J,)
        Of the log ratio of target and proposal.
    phi, Lambda : arrays (S, p), (S, q, q)
    df : float
        Degrees of freedom of the proposals.
    turns : int array (n,)
        Whose turn it is: j S + s of group j and draw s, in increasing order.
    proposals : array (n, m, q)
        Draws of a Student t distribution about zero.
    exponentials : array (n, 2, m)
        Minus logarithms of uniform numbers.
    state, last : arrays (J S,)
        Whether a draw was accepted, and where the chain is, of those that have had proposals before: read and written.
        Its log ratio is -inf where it has not begun.
    out : array (S, J, q)
    """
    S, q = len(phi), Lambda.shape[1]
    group, own, eta, room, L = _room(rows, nearest)
    response, current, size, once = (rows[7], rows[8]), -1, 0, S < 0
    for i in range(len(turns)):
        turn = turns[i]
        j, s = turn // S, turn % S
        if j != current:
            current, size = j, _read_group(rows, nearest, j, group, own)
            once = counts_once(group[2, :size], group[3, :size])
        if not _write_normal(own, nearest[0][j], phi[s], Lambda[s], room, L):
            return False
        for m in range(proposals.shape[1]):
            ratio = _log_ratio(group, size, once, response, own, Lambda[s], L, proposals[i, m], df, room, eta)
            is_accepted = state[turn] == OPEN and -exponentials[i, 0, m] < ratio - bound[j]
            if ratio > bound[j]:
                state[turn], is_accepted = UNBOUNDED, False
            # A chain goes on beside, for where the bound is none, or nothing was accepted.
            if is_accepted or last[turn] == -inf or -exponentials[i, 1, m] < ratio - last[turn]:
                last[turn] = ratio
                for k in range(q):
                    out[s, j, k] = room[3, k]
            if is_accepted:
                state[turn] = DONE
                break
    return True
