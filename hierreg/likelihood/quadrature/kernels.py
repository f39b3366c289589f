"""The log likelihood of groups of rows with their effects integrated out, and its gradient (numba).

`rows` is a tuple, in this order: X (N, p), Z (N, q), y (N,), trials n (N,), weights (N,), offset (N,), stratum (N,),
family, link, and the first row of each group (J + 1,). Rows of a group stand together.
"""

from __future__ import annotations

from math import exp, inf, isfinite, log, sqrt

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.lanes import LANES
from hierreg.compiled.parts import part, whole
from hierreg.response.kernels import (
    BINOMIAL,
    CUMULATIVE,
    LOGIT,
    STUDENT_T,
    auxiliary_slopes,
    counts_once,
    expected_information,
    row_constant,
    row_terms,
    sum_of_logits,
    value_and_slope,
    write_logit_slopes,
    write_logit_terms,
    write_shares,
    write_third_of_logits,
)
from hierreg.response.mixed_kernels import mixed_slopes, slopes_of_expected_information

_MOST_STEPS = 100
_MOST_HALVINGS = 40
# Newton decrement at which a mode is one: its square is the error of the last step.
_DECREMENT = 1e-12
# At which it is one after the last step: where a mode is about to vanish, steps do not get short.
_NEARLY = 1e-6
_ROUNDING = 1e-11
# Rows of a group times nodes whose logits are found by one loop, which is long enough then.
_TOGETHER = 2048


@part
def auxiliaries_of(family, auxiliary, t, y):
    """Return the numbers a and c of a response: those of its stratum t, or the thresholds around its category."""
    if family == CUMULATIVE:
        k, m = int(y), auxiliary.shape[1]
        return (auxiliary[0, k - 1] if k > 0 else -inf), (auxiliary[0, k] if k < m else inf)
    m = auxiliary.shape[1]
    return (auxiliary[t, 0] if m > 0 else 0.0), (auxiliary[t, 1] if m > 1 else 0.0)


@part
def room_for_group(rows, n_nodes):
    """Return arrays for one group.

    eta without effects, (Z Lambda)', a, c of its rows; gradient (q,), H and L (q, q), a step and trial v (q,); eta,
    exp(-|eta|) of logits, the derivatives of log densities and minus the second ones, with room for some nodes
    together; a number for each node; one for rows that all count once, else
    zero.
    """
    starts, q = rows[9], rows[1].shape[1]
    most = 0
    for j in range(len(starts) - 1):
        most = max(most, starts[j + 1] - starts[j])
    together = max(most, _TOGETHER) + LANES
    return (
        empty(most),
        empty((q, most)),
        empty(most),
        empty(most),
        empty(q),
        empty((q, q)),
        empty((q, q)),
        empty(q),
        empty(q),
        empty(together),
        empty(together),
        empty(most),
        empty(most),
        empty(n_nodes),
        empty(1),
    )


@part
def read_group(rows, j, beta, Lambda, auxiliary, room):
    """Write eta without effects, Z Lambda, a and c of the rows of group j; return what does not depend on eta."""
    X, Z, y, n, weight, offset, stratum, family, _, starts = rows
    base, ZL, a, c = room[0], room[1], room[2], room[3]
    p, q = X.shape[1], Z.shape[1]
    constant = 0.0
    for r in range(starts[j], starts[j + 1]):
        i = r - starts[j]
        t = offset[r]
        for k in range(p):
            t += X[r, k] * beta[k]
        base[i] = t
        for k in range(q):
            t = 0.0
            for h in range(q):
                t += Z[r, h] * Lambda[h, k]
            ZL[k, i] = t
        a[i], c[i] = auxiliaries_of(family, auxiliary, stratum[r], y[r])
        constant += weight[r] * row_constant(family, y[r], n[r], a[i], c[i])
    is_once = counts_once(n[starts[j] : starts[j + 1]], weight[starts[j] : starts[j + 1]])
    room[14][0] = 1.0 if is_once else 0.0
    return constant


@part
def _write_predictors(v, base, ZL, eta, at):
    """Write the linear predictors of the rows of a group at v to a row of eta (K, rows)."""
    size = eta.shape[1]
    for i in range(size):
        eta[at, i] = base[i]
    for k in range(len(v)):
        t = v[k]
        for i in range(size):
            eta[at, i] += ZL[k, i] * t


@part
def _sum_of_others(own, response, a, c, eta, at, slope):
    """Return the log density of the rows of a group without constants, and write its derivative where it has room."""
    y, n, weight = own
    family, link = response
    total = 0.0
    for i in range(len(y)):
        value, derivative = value_and_slope(family, link, y[i], n[i], eta[at, i], a[i], c[i])
        total += weight[i] * value
        if len(slope) > 0:
            slope[i] = weight[i] * derivative
    return total


@part
def _rows_of_group(rows, j):
    """Return y, trials and weights of the rows of group j."""
    first, last = rows[9][j], rows[9][j + 1]
    return rows[2][first:last], rows[3][first:last], rows[4][first:last]


@part
def value_at(rows, j, v, room):
    """Return f(v)."""
    own, f = _rows_of_group(rows, j), 0.0
    size = len(own[0])
    eta, share = room[9][:size].reshape((1, size)), room[10][:size].reshape((1, size))
    for k in range(len(v)):
        f -= 0.5 * v[k] * v[k]
    # No constant: what is called with one is compiled for it once more.
    at = size * 0
    _write_predictors(v, room[0], room[1], eta, at)
    if rows[7] == BINOMIAL and rows[8] == LOGIT:
        write_shares(room[9], size, room[10])
        return f + sum_of_logits(*own, room[14][0] > 0.0, eta, share, at)
    return f + _sum_of_others(own, (rows[7], rows[8]), room[2], room[3], eta, at, room[11][:0])


@part
def slopes_at(rows, j, v, room, is_exact):
    """Return f(v), and write its gradient and H = -f''(v), without rows that bend upwards where it is not exact."""
    family, link = rows[7], rows[8]
    ZL, a, c, g, H = room[1], room[2], room[3], room[4], room[5]
    slope, information = room[11], room[12]
    own, q = _rows_of_group(rows, j), len(v)
    y, n, weight = own
    size = len(y)
    eta, share = room[9][:size].reshape((1, size)), room[10][:size].reshape((1, size))
    at = size * 0
    _write_predictors(v, room[0], ZL, eta, at)
    if family == BINOMIAL and link == LOGIT:
        write_shares(room[9], size, room[10])
        f = sum_of_logits(y, n, weight, room[14][0] > 0.0, eta, share, at)
        write_logit_terms(y, n, weight, eta, share, at, slope, information)
    else:
        f = 0.0
        for i in range(size):
            value, slope[i], curvature, _ = row_terms(family, link, y[i], n[i], eta[0, i], a[i], c[i])
            f += weight[i] * value
            slope[i] *= weight[i]
            information[i] = -weight[i] * curvature
            if information[i] < 0.0 and not is_exact:
                information[i] = 0.0
    for k in range(q):
        f -= 0.5 * v[k] * v[k]
        g[k] = _sum_of_rows(slope, ZL, k, size) - v[k]
    _write_curvature(information, size, ZL, H)
    return f


@part
def _sum_of_rows(x, ZL, k, size):
    """Return the sum of x times a row of Z Lambda, in four sums that do not wait for each other."""
    s, t, u, v = 0.0, 0.0, 0.0, 0.0
    for m in range(size // 4):
        i = 4 * m
        s += x[i] * ZL[k, i]
        t += x[i + 1] * ZL[k, i + 1]
        u += x[i + 2] * ZL[k, i + 2]
        v += x[i + 3] * ZL[k, i + 3]
    for i in range(size - size % 4, size):
        s += x[i] * ZL[k, i]
    return (s + t) + (u + v)


@part
def _write_curvature(information, size, ZL, H):
    """Write I + (Z Lambda)' diag(information) Z Lambda to the lower triangle of H (q, q)."""
    for k in range(len(H)):
        for h in range(k + 1):
            s, t, u, v = 1.0 if k == h else 0.0, 0.0, 0.0, 0.0
            for m in range(size // 4):
                i = 4 * m
                s += information[i] * ZL[k, i] * ZL[h, i]
                t += information[i + 1] * ZL[k, i + 1] * ZL[h, i + 1]
                u += information[i + 2] * ZL[k, i + 2] * ZL[h, i + 2]
                v += information[i + 3] * ZL[k, i + 3] * ZL[h, i + 3]
            for i in range(size - size % 4, size):
                s += information[i] * ZL[k, i] * ZL[h, i]
            H[k, h] = (s + t) + (u + v)


@part
def factor(H, L):
    """Write the lower Cholesky factor L of H; return whether there is one."""
    q = len(H)
    for i in range(q):
        for k in range(i + 1):
            t = H[i, k]
            for h in range(k):
                t -= L[i, h] * L[k, h]
            if i == k:
                if not t > 0.0:
                    return False
                L[i, i] = sqrt(t)
            else:
                L[i, k] = t / L[k, k]
    return True


@part
def solve_lower(L, x):
    """Overwrite x with L^-1 x."""
    for i in range(len(L)):
        for k in range(i):
            x[i] -= L[i, k] * x[k]
        x[i] /= L[i, i]


@part
def solve_upper(L, x):
    """Overwrite x with L'^-1 x."""
    for i in range(len(L) - 1, -1, -1):
        for k in range(i + 1, len(L)):
            x[i] -= L[k, i] * x[k]
        x[i] /= L[i, i]


@part
def information_at(rows, j, v, room):
    """Return f(v), and write H = -f''(v); of rows with heavy tails what is expected of it, which is never negative."""
    weight, first = rows[4], rows[9][j]
    a, c, information = room[2], room[3], room[12]
    # No constant: what is called with one is compiled for it once more.
    exact = len(v) >= 0
    f = slopes_at(rows, j, v, room, exact)
    if rows[7] == STUDENT_T:
        size = rows[9][j + 1] - first
        for i in range(size):
            information[i] = weight[first + i] * expected_information(a[i], c[i])
        _write_curvature(information, size, room[1], room[5])
    return f


@part
def find_mode(rows, j, v, room):
    """Overwrite v with the mode of f, and write H there, or a step before; return whether it was found."""
    g, H, L, step, trial = room[4], room[5], room[6], room[7], room[8]
    q = len(v)
    exact, clipped = q >= 0, q < 0
    f = slopes_at(rows, j, v, room, exact)
    if not isfinite(f):
        for k in range(q):
            v[k] = 0.0
        f = slopes_at(rows, j, v, room, exact)
        if not isfinite(f):
            return False
    decrement = inf
    for _ in range(_MOST_STEPS):
        if not factor(H, L):
            # Rows that bend upwards would turn a step downhill.
            slopes_at(rows, j, v, room, clipped)
            if not factor(H, L):
                return False
        decrement = 0.0
        for k in range(q):
            step[k] = g[k]
        solve_lower(L, step)
        for k in range(q):
            decrement += step[k] * step[k]
        solve_upper(L, step)
        if decrement < _DECREMENT:
            for k in range(q):
                v[k] += step[k]
            return True
        size, halvings = 1.0, 0
        while True:
            for k in range(q):
                trial[k] = v[k] + size * step[k]
            after = slopes_at(rows, j, trial, room, exact)
            if after >= f - _ROUNDING * (1.0 + abs(f)):
                break
            size *= 0.5
            halvings += 1
            if halvings > _MOST_HALVINGS:
                return False
        f = after
        for k in range(q):
            v[k] = trial[k]
    return decrement < _NEARLY


@part
def log_determinant(L):
    """Return log|L|."""
    t = 0.0
    for k in range(len(L)):
        t += log(L[k, k])
    return t


@part
def sum_over_groups(
    rows, nodes, log_weights, beta, Lambda, auxiliary, modes, first, last, wanted, g_beta, g_Lambda, g_auxiliary
):
    """Return the log likelihood of groups first to last, and add its gradient where it is wanted.

    Parameters
    ----------
    rows : tuple
    nodes, log_weights : arrays (K, q), (K,)
        From `nodes.product_rule`.
    beta, Lambda, auxiliary : arrays (p,), (q, q), (T, m)
    modes : array (J, q)
        Where the search for the mode of each group begins.
    wanted : bool
    g_beta, g_Lambda, g_auxiliary : arrays (p,), (q, q), (T, m)
    """
    q, K = len(Lambda), len(nodes)
    room = room_for_group(rows, K)
    v, at = empty(q), empty((K, q))
    weight = empty(K)
    slopes = empty((K, len(room[0]) if wanted else 0))
    total = 0.0
    for j in range(first, last):
        total += read_group(rows, j, beta, Lambda, auxiliary, room)
        for k in range(q):
            v[k] = modes[j, k]
        if not find_mode(rows, j, v, room):
            return -inf
        if K == 1:
            total += _by_laplace(rows, j, v, room, wanted, g_beta, g_Lambda, g_auxiliary)
        else:
            if rows[7] == STUDENT_T:
                # What is observed may be nothing where two modes part, and nodes be anywhere.
                information_at(rows, j, v, room)
                factor(room[5], room[6])
            total += _by_nodes(
                rows, j, v, room, nodes, log_weights, at, weight, slopes, wanted, g_beta, g_Lambda, g_auxiliary
            )
        if not isfinite(total):
            return -inf
    return total


@part
def _by_laplace(  # noqa: PLR0915  # the terms of one gradient, of which each needs all others
    rows, j, v, room, wanted, g_beta, g_Lambda, g_auxiliary
):
    """Return f(v) - log|L| of one group, and add its exact gradient, that of the mode's moves included."""
    X, Z, y, n, weight, _, stratum, family, link, starts = rows
    ZL, a, c, H, L, t = room[1], room[2], room[3], room[5], room[6], room[7]
    eta, slope, information = room[9], room[11], room[12]
    q, p = len(v), X.shape[1]
    f = information_at(rows, j, v, room)
    if not factor(H, L):
        return -inf
    value = f - log_determinant(L)
    if not wanted:
        return value
    # With h_r = z_r Lambda H^-1 Lambda'z_r and c_r = h_r l'''_r / 2:  t = H^-1 Lambda'Z'c
    inverse = empty((q, q))
    for k in range(q):
        for i in range(q):
            inverse[i, k] = 1.0 if i == k else 0.0
        solve_lower(L, inverse[:, k])
        solve_upper(L, inverse[:, k])
        t[k] = 0.0
    size = starts[j + 1] - starts[j]
    cs, hs = empty(size), empty(size)
    is_logit = family == BINOMIAL and link == LOGIT
    if is_logit:
        write_third_of_logits(eta[:size].reshape((1, size)), room[10][:size].reshape((1, size)), information, cs)
    for r in range(starts[j], starts[j + 1]):
        i = r - starts[j]
        h = 0.0
        for k in range(q):
            for m in range(q):
                h += ZL[k, i] * inverse[k, m] * ZL[m, i]
        hs[i] = h
        if is_logit:
            cs[i] *= 0.5 * h
        elif family == STUDENT_T:
            # What is expected of heavy tails does not depend on eta.
            cs[i] = 0.0
        else:
            cs[i] = 0.5 * h * weight[r] * row_terms(family, link, y[r], n[r], eta[i], a[i], c[i])[3]
        for k in range(q):
            t[k] += cs[i] * ZL[k, i]
    solve_lower(L, t)
    solve_upper(L, t)
    for r in range(starts[j], starts[j + 1]):
        i = r - starts[j]
        moved = 0.0
        for k in range(q):
            moved += ZL[k, i] * t[k]
        e = slope[i] + cs[i] - information[i] * moved
        for k in range(p):
            g_beta[k] += e * X[r, k]
        for k in range(q):
            row = e * v[k] + slope[i] * t[k]
            for m in range(q):
                row -= information[i] * ZL[m, i] * inverse[m, k]
            for m in range(q):
                g_Lambda[m, k] += Z[r, m] * row
        if g_auxiliary.shape[1] > 0:
            of_a, of_c = laplace_slopes(family, link, y[r], eta[i], a[i], c[i], 0.5 * hs[i], moved)
            add_to_auxiliary(family, y[r], stratum[r], weight[r] * of_a, weight[r] * of_c, g_auxiliary)
    return value


@part
def laplace_slopes(family, link, y, eta, a, c, half, moved):
    """Return the derivatives in a and c of one row's part of Laplace's approximation, of weight one.

    Those of the log density itself, of log|L| by l'', and of both by the mode, which l' moves.

    Parameters
    ----------
    half : float
        -d log|L| / d l''.
    moved : float
        z Lambda t, how eta moves with the mode against the derivative of log|L|.
    """
    of_a, of_c = auxiliary_slopes(family, link, y, eta, a, c)
    if family == STUDENT_T:
        # In place of -l'' stands what is expected of it, which no predictor changes: nothing comes by the mode.
        first, second = slopes_of_expected_information(a, c)
        return of_a - half * first, of_c - half * second
    first_a, second_a, first_c, second_c = mixed_slopes(family, link, y, eta, a, c)
    return of_a + half * second_a + moved * first_a, of_c + half * second_c + moved * first_c


@part
def add_to_auxiliary(family, y, t, of_a, of_c, g_auxiliary):
    """Add derivatives in a and c to those of stratum t, or of the thresholds around category y."""
    m = g_auxiliary.shape[1]
    if family == CUMULATIVE:
        k = int(y)
        if k > 0:
            g_auxiliary[0, k - 1] += of_a
        if k < m:
            g_auxiliary[0, k] += of_c
        return
    g_auxiliary[t, 0] += of_a
    if m > 1:
        g_auxiliary[t, 1] += of_c


@part
def _by_nodes(  # noqa: PLR0915  # rows and nodes in one place: arguments are what takes long
    rows, j, v, room, nodes, log_weights, at, weight, slopes, wanted, g_beta, g_Lambda, g_auxiliary
):
    """Return the log of the integral of exp f by nodes about the mode, and add its gradient, by Fisher's identity."""
    X, Z, starts, L, step = rows[0], rows[1], rows[9], room[6], room[7]
    q, p, K, m = len(v), X.shape[1], len(nodes), g_auxiliary.shape[1]
    highest, first = -inf, starts[j]
    size = starts[j + 1] - first
    own, response, is_once = _rows_of_group(rows, j), (rows[7], rows[8]), room[14][0] > 0.0
    y, n, row_weight = own
    together = min(K, max(1, _TOGETHER // max(1, size)))
    flat, flat_share, base, ZL, a, c = room[9], room[10], room[0], room[1], room[2], room[3]
    eta = flat[: together * size].reshape((together, size))
    share = flat_share[: together * size].reshape((together, size))
    for begin in range(0, K, together):
        n_these = min(together, K - begin)
        for i in range(n_these):
            s = begin + i
            for k in range(q):
                step[k] = nodes[s, k]
            solve_upper(L, step)
            weight[s] = log_weights[s]
            for k in range(q):
                at[s, k] = v[k] + step[k]
                weight[s] -= 0.5 * at[s, k] * at[s, k]
            _write_predictors(at[s], base, ZL, eta, i)
        if response[0] == BINOMIAL and response[1] == LOGIT:
            write_shares(flat, n_these * size, flat_share)
            for i in range(n_these):
                weight[begin + i] += sum_of_logits(y, n, row_weight, is_once, eta, share, i)
                if wanted:
                    write_logit_slopes(y, n, row_weight, eta, share, i, slopes[begin + i])
        else:
            for i in range(n_these):
                slope = slopes[begin + i, :size] if wanted else slopes[begin + i, :0]
                weight[begin + i] += _sum_of_others(own, response, a, c, eta, i, slope)
    for s in range(K):
        highest = max(highest, weight[s])
    if not isfinite(highest):
        return -inf
    total = 0.0
    for s in range(K):
        weight[s] = exp(weight[s] - highest)
        total += weight[s]
    log_value = highest + log(total) - log_determinant(L)
    if not wanted:
        return log_value
    for s in range(K):
        weight[s] /= total
    t, factor = room[9], room[13]
    for s in range(K):
        factor[s] = weight[s]
    _add_slopes(factor, slopes, size, t)
    for k in range(p):
        for i in range(size):
            g_beta[k] += t[i] * X[first + i, k]
    for k in range(q):
        for s in range(K):
            factor[s] = weight[s] * at[s, k]
        _add_slopes(factor, slopes, size, t)
        for h in range(q):
            for i in range(size):
                g_Lambda[h, k] += t[i] * Z[first + i, h]
    if m > 0:
        for i in range(size):
            _add_auxiliary(rows, first + i, i, at, weight, room, g_auxiliary)
    return log_value


@part
def _add_slopes(factor, slopes, size, t):
    """Write the sum over nodes of factor (K,) times slopes (K, rows) to t (rows,)."""
    for i in range(size):
        t[i] = 0.0
    for s in range(len(slopes)):
        # A node of no weight may lie where there is no density.
        if factor[s] != 0.0:
            for i in range(size):
                t[i] += factor[s] * slopes[s, i]


@part
def _add_auxiliary(rows, r, i, at, weight, room, g_auxiliary):
    """Add the mean of the derivatives in a and c of row r to those of its stratum, or of its thresholds."""
    y, row_weight, stratum, family, link = rows[2], rows[4], rows[6], rows[7], rows[8]
    base, ZL, a, c = room[0], room[1], room[2], room[3]
    of_a, of_c = 0.0, 0.0
    for s in range(len(at)):
        if weight[s] > 0.0:
            eta = base[i]
            for k in range(at.shape[1]):
                eta += ZL[k, i] * at[s, k]
            first, second = auxiliary_slopes(family, link, y[r], eta, a[i], c[i])
            of_a += weight[s] * first
            of_c += weight[s] * second
    add_to_auxiliary(family, y[r], stratum[r], row_weight[r] * of_a, row_weight[r] * of_c, g_auxiliary)


@whole
def modes_of(rows, beta, Lambda, auxiliary, modes, curvature):
    """Overwrite modes (J, q) with those of f, write H^-1 (J, q, q), and return whether all were found."""
    q = len(Lambda)
    room = room_for_group(rows, q)
    for j in range(len(modes)):
        read_group(rows, j, beta, Lambda, auxiliary, room)
        if not find_mode(rows, j, modes[j], room):
            return False
        information_at(rows, j, modes[j], room)
        if not factor(room[5], room[6]):
            return False
        for k in range(q):
            for i in range(q):
                curvature[j, i, k] = 1.0 if i == k else 0.0
            solve_lower(room[6], curvature[j, :, k])
            solve_upper(room[6], curvature[j, :, k])
    return True


@whole
def draw_effects(rows, beta, Lambda, auxiliary, modes, proposals, log_proposals, uniforms, out):
    """Write a draw of v (J, q) given the parameters: an independence chain about each mode.

    Parameters
    ----------
    proposals : array (J, m, q)
        Draws t of a heavy-tailed density about zero; v = v_hat + L'^-1 t.
    log_proposals : array (J, m)
        Log density of each.
    uniforms : array (J, m)
        Logarithms of uniform numbers; the first is not used.
    """
    q = len(Lambda)
    room = room_for_group(rows, q)
    v, trial = empty(q), empty(q)
    for j in range(len(modes)):
        read_group(rows, j, beta, Lambda, auxiliary, room)
        for k in range(q):
            v[k] = modes[j, k]
        if not find_mode(rows, j, v, room):
            return False
        log_ratio = -inf
        for s in range(proposals.shape[1]):
            for k in range(q):
                trial[k] = proposals[j, s, k]
            solve_upper(room[6], trial)
            for k in range(q):
                trial[k] += v[k]
            after = value_at(rows, j, trial, room) - log_proposals[j, s]
            if s == 0 or uniforms[j, s] < after - log_ratio:
                log_ratio = after
                for k in range(q):
                    out[j, k] = trial[k]
    return True


@whole
def rows_at(rows, eta, auxiliary, value, slope, information):
    """Write the log density of every row at its linear predictor (N,), its derivative, and minus the second one."""
    y, n, weight, stratum, family, link = rows[2], rows[3], rows[4], rows[6], rows[7], rows[8]
    for r in range(len(y)):
        a, c = auxiliaries_of(family, auxiliary, stratum[r], y[r])
        log_density, d1, d2, _ = row_terms(family, link, y[r], n[r], eta[r], a, c)
        value[r] = weight[r] * (log_density + row_constant(family, y[r], n[r], a, c))
        slope[r] = weight[r] * d1
        information[r] = -weight[r] * d2
    return len(y)
