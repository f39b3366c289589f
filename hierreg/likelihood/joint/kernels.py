"""The effects of all factors together: their precision, mode, and density in transported coordinates (numba).

Tuples, in this order:

`form`
    See `factor_kernels`.
`blocks`
    Z'WZ has a block for each two groups of different factors that have rows in common, and for each group. The first
    entry of those of each pair of factors g <= f (F (F + 1) / 2 + 1,); the place among the values of the precision of
    each entry, -1 above the diagonal.
`factors`
    First column and number of columns in Z and Lambda (F,), first effect (F + 1,), in the order of elimination.
`rows`
    X (N, p), Z (N, q), y, trials n, weights, offset (N,), stratum (N,), family, link, first effect of the row's group
    of each factor and where its rows end (N, 2 F; see `structure.Structure`), and first entry of the row's block of
    each pair of factors g <= f, -1 where it has none (N, F (F + 1) / 2).
`working`
    Of the working Gaussian model: entries of Z'WZ, Z'W y (n,), Z'W X (n, p); effects in the frame of priors.
"""

from __future__ import annotations

from math import inf, isfinite

import numpy as np

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.lanes import LANES, STRIP
from hierreg.compiled.parts import part, whole
from hierreg.likelihood.joint.factor_kernels import (
    add_log_determinant,
    add_outer,
    factorise,
    log_determinant,
    pull_back_factor,
    solve_lower,
    solve_upper,
)
from hierreg.likelihood.quadrature.kernels import add_to_auxiliary, auxiliaries_of, laplace_slopes
from hierreg.response.kernels import (
    BINOMIAL,
    LOGIT,
    STUDENT_T,
    auxiliary_slopes,
    counts_once,
    expected_information,
    row_constant,
    row_terms,
    slope_of_constant,
    student_t_slopes,
    sum_of_logits,
    value_and_slope,
    write_logit_slopes,
    write_shares,
)

_MOST_STEPS = 100
_MOST_HALVINGS = 40
# Newton decrement at which a mode is one: its square is the error of the last step.
_DECREMENT = 1e-10
# At which it is one after the last step: where a mode is about to vanish, steps do not get short.
_NEARLY = 1e-6
_ROUNDING = 1e-11
_HALF_LOG_2PI = 0.9189385332046727


@part
def entries_of(rows, factors, w, entries):
    """Write the entries of Z'WZ for weights w (N,)."""
    Z, row_block = rows[1], rows[10]
    column, size = factors[0], factors[1]
    for i in range(len(entries)):
        entries[i] = 0.0
    for r in range(len(w)):
        pair = 0
        for f in range(len(size)):
            for g in range(f + 1):
                place = row_block[r, pair]
                pair += 1
                if place < 0:
                    continue
                for a in range(size[f]):
                    t = w[r] * Z[column[f] + a, r]
                    for c in range(size[g]):
                        entries[place] += t * Z[column[g] + c, r]
                        place += 1


@part
def precision_of(form, blocks, factors, Lambda, entries, values):
    """Write the values of I + Lambda' Z'WZ Lambda."""
    first, _, first_update, _, dense, m = form
    begin, places = blocks
    column, size = factors[0], factors[1]
    for i in range(len(values)):
        values[i] = 0.0
    for k in range(len(first_update)):
        values[first[k]] = 1.0
    for k in range(m):
        values[dense + k * m + k] = 1.0
    pair = 0
    for f in range(len(size)):
        for g in range(f + 1):
            h, i, n = column[f], column[g], size[f] * size[g]
            if n == 1:
                t = Lambda[h, h] * Lambda[i, i]
                for s in range(begin[pair], begin[pair + 1]):
                    values[places[s]] += t * entries[s]
            else:
                for s in range(begin[pair], begin[pair + 1], n):
                    _add_block(places, entries, s, size[f], size[g], Lambda, h, i, values)
            pair += 1


@part
def _add_block(places, entries, s, rows, cols, Lambda, h, i, values):
    """Add the block of Lambda' Z'WZ Lambda whose entries begin at s."""
    for a in range(rows):
        for c in range(cols):
            place = places[s + a * cols + c]
            if place < 0:
                continue
            total = 0.0
            for k in range(rows):
                t = 0.0
                for j in range(cols):
                    t += entries[s + k * cols + j] * Lambda[i + j, i + c]
                total += Lambda[h + k, h + a] * t
            values[place] += total


@part
def pull_back_precision(blocks, factors, Lambda, entries, bar, scale, g_Lambda, g_entries):
    """Add scale times the derivatives in Lambda, through the values of the precision; write those in the entries."""
    begin, places = blocks
    column, size = factors[0], factors[1]
    pair = 0
    for f in range(len(size)):
        for g in range(f + 1):
            h, i, n = column[f], column[g], size[f] * size[g]
            if n == 1:
                t, total = scale * Lambda[h, h] * Lambda[i, i], 0.0
                for s in range(begin[pair], begin[pair + 1]):
                    x = bar[places[s]]
                    total += x * entries[s]
                    g_entries[s] = t * x
                g_Lambda[h, h] += scale * total * Lambda[i, i]
                g_Lambda[i, i] += scale * total * Lambda[h, h]
            else:
                for s in range(begin[pair], begin[pair + 1], n):
                    _pull_back_block(
                        places, entries, s, size[f], size[g], Lambda, h, i, bar, scale, g_Lambda, g_entries
                    )
            pair += 1


@part
def _pull_back_block(places, entries, s, rows, cols, Lambda, h, i, bar, scale, g_Lambda, g_entries):
    """Do the same for the block whose entries begin at s."""
    for k in range(rows * cols):
        g_entries[s + k] = 0.0
    for a in range(rows):
        for c in range(cols):
            place = places[s + a * cols + c]
            if place < 0:
                continue
            t = scale * bar[place]
            for k in range(rows):
                for j in range(cols):
                    x, z = Lambda[h + k, h + a], Lambda[i + j, i + c]
                    entry = entries[s + k * cols + j]
                    g_Lambda[h + k, h + a] += t * entry * z
                    g_Lambda[i + j, i + c] += t * entry * x
                    g_entries[s + k * cols + j] += t * x * z


@part
def coefficients_of(factors, Lambda, v, b):
    """Write b = Lambda v of every group."""
    column, size, first = factors
    for f in range(len(size)):
        q, h = size[f], column[f]
        for i in range(first[f], first[f + 1], q):
            for a in range(q):
                t = 0.0
                for c in range(q):
                    t += Lambda[h + a, h + c] * v[i + c]
                b[i + a] = t


@part
def pull_back_coefficients(factors, Lambda, v, g_b, g_v, g_Lambda):
    """Add the derivatives in Lambda, and write those in v, through b = Lambda v."""
    column, size, first = factors
    for f in range(len(size)):
        q, h = size[f], column[f]
        for i in range(first[f], first[f + 1], q):
            for c in range(q):
                t = 0.0
                for a in range(q):
                    t += Lambda[h + a, h + c] * g_b[i + a]
                    g_Lambda[h + a, h + c] += g_b[i + a] * v[i + c]
                g_v[i + c] = t


@part
def predictors_of(rows, factors, beta, b, eta):
    """Write the linear predictors (N,)."""
    X, offset = rows[0], rows[5]
    for r in range(len(eta)):
        eta[r] = offset[r]
    for k in range(len(beta)):
        t = beta[k]
        for r in range(len(eta)):
            eta[r] += X[k, r] * t
    add_effects(rows, factors, b, eta)


@part
def add_effects(rows, factors, b, out):
    """Add Z b (N,). Of rows of one group that follow each other loops are vectors."""
    Z, place = rows[1], rows[9]
    column, size = factors[0], factors[1]
    N, F = len(out), len(size)
    for f in range(F):
        is_long = N > 0 and place[0, F + f] > 0
        for a in range(size[f]):
            z = Z[column[f] + a]
            if not is_long:
                for r in range(N):
                    out[r] += z[r] * b[place[r, f] + a]
                continue
            first = 0
            while first < N:
                last, t = place[first, F + f], b[place[first, f] + a]
                for r in range(first, last):
                    out[np.uint64(r)] += z[np.uint64(r)] * t
                first = last


@part
def gather(rows, factors, d, g_b):
    """Write Z'd (n,). Rows of one group that follow each other are added up first, so that sums do not wait."""
    Z, place = rows[1], rows[9]
    column, size = factors[0], factors[1]
    N, F = len(d), len(size)
    for i in range(len(g_b)):
        g_b[i] = 0.0
    for f in range(F):
        first = 0
        while first < N:
            at, last = place[first, f], abs(place[first, F + f])
            for a in range(size[f]):
                g_b[at + a] += sum_of_products(Z[column[f] + a], d, first, last)
            first = last


@part
def sum_of_products(x, y, first, last):
    """Return the sum of x y from a first place up to a last, in four sums that do not wait for each other.

    Places without a sign are not tested for one.
    """
    s, t, u, v = 0.0, 0.0, 0.0, 0.0
    i = first
    while i + 4 <= last:
        s += x[np.uint64(i)] * y[np.uint64(i)]
        t += x[np.uint64(i + 1)] * y[np.uint64(i + 1)]
        u += x[np.uint64(i + 2)] * y[np.uint64(i + 2)]
        v += x[np.uint64(i + 3)] * y[np.uint64(i + 3)]
        i += 4
    while i < last:
        s += x[np.uint64(i)] * y[np.uint64(i)]
        i += 1
    return (s + t) + (u + v)


@part
def add_population(rows, d, scale, g_beta):
    """Add scale X'd, each element as the sum of STRIP sums, which are vectors: no loop over them has a fixed length."""
    X, N = rows[0], len(d)
    width = min(STRIP, N)
    sums = empty(width)
    for k in range(len(g_beta) if N > 0 else 0):
        x = X[k]
        for lane in range(width):
            sums[lane] = 0.0
        for block in range(N // width):
            first = block * width
            for lane in range(width):
                place = np.uint64(first + lane)
                sums[lane] += x[place] * d[place]
        total = sum_of_products(x, d, N - N % width, N)
        for lane in range(width):
            total += sums[lane]
        g_beta[k] += scale * total


@part
def constant_of(rows, auxiliary):
    """Return the part of the log likelihood that depends on no linear predictor."""
    y, n, weight, stratum, family = rows[2], rows[3], rows[4], rows[6], rows[7]
    total = 0.0
    last_a, last_c, known = 0.0, 0.0, 0.0
    for r in range(len(y)):
        a, c = auxiliaries_of(family, auxiliary, stratum[r], y[r])
        # Those of rows with heavy tails depend on no response, and take long.
        if family != STUDENT_T or a != last_a or c != last_c:
            last_a, last_c, known = a, c, row_constant(family, y[r], n[r], a, c)
        total += weight[r] * known
    return total


@part
def terms_of(rows, auxiliary, eta, d1, w, d3):
    """Return the rest of the log likelihood, and write l', -l'' and l''' of every row (N,)."""
    y, n, weight, stratum, family, link = rows[2], rows[3], rows[4], rows[6], rows[7], rows[8]
    total = 0.0
    for r in range(len(y)):
        a, c = auxiliaries_of(family, auxiliary, stratum[r], y[r])
        value, first, second, third = row_terms(family, link, y[r], n[r], eta[r], a, c)
        total += weight[r] * value
        d1[r], w[r], d3[r] = weight[r] * first, -weight[r] * second, weight[r] * third
    return total


@part
def half_square(v):
    """Return v'v / 2."""
    total = 0.0
    for i in range(len(v)):
        total += v[i] * v[i]
    return 0.5 * total


@part
def _at(rows, factors, beta, Lambda, auxiliary, v, b, eta, d1, w, d3):
    """Return f(v) without constants, and write what the rows say there."""
    coefficients_of(factors, Lambda, v, b)
    predictors_of(rows, factors, beta, b, eta)
    return terms_of(rows, auxiliary, eta, d1, w, d3) - half_square(v)


@part
def _curvature(form, blocks, factors, rows, Lambda, w, entries, values):
    """Write the factor of I + Lambda' Z'WZ Lambda, and the entries of Z'WZ; return whether there is one."""
    entries_of(rows, factors, w, entries)
    precision_of(form, blocks, factors, Lambda, entries, values)
    return factorise(form, values)


@part
def _find_mode(form, blocks, factors, rows, beta, Lambda, auxiliary, v, entries, values, room):
    """Overwrite v with the mode of f, and write what the rows say there; return f, minus infinity where there is none.

    Newton's method, with steps halved until f does not fall. Where f bends upwards, rows that do are left out.
    """
    b, eta, d1, w, d3 = room
    size = len(v)
    g_b, step, trial, unused = empty(size), empty(size), empty(size), empty(Lambda.shape)
    f = _at(rows, factors, beta, Lambda, auxiliary, v, b, eta, d1, w, d3)
    if not isfinite(f):
        for i in range(size):
            v[i] = 0.0
        f = _at(rows, factors, beta, Lambda, auxiliary, v, b, eta, d1, w, d3)
    decrement = inf
    for _ in range(_MOST_STEPS):
        if not isfinite(f):
            return -inf
        if not _curvature(form, blocks, factors, rows, Lambda, w, entries, values):
            # Rows that bend upwards, of densities that are not concave, would turn a step downhill.
            for r in range(len(w)):
                w[r] = max(w[r], 0.0)
            if not _curvature(form, blocks, factors, rows, Lambda, w, entries, values):
                return -inf
        gather(rows, factors, d1, g_b)
        pull_back_coefficients(factors, Lambda, v, g_b, step, unused)
        for i in range(size):
            step[i] -= v[i]
        solve_lower(form, values, step)
        decrement = 2.0 * half_square(step)
        solve_upper(form, values, step)
        length, halvings, before = 1.0, 0, f
        while True:
            for i in range(size):
                trial[i] = v[i] + length * step[i]
            f = _at(rows, factors, beta, Lambda, auxiliary, trial, b, eta, d1, w, d3)
            if f >= before - _ROUNDING * (1.0 + abs(before)):
                break
            length *= 0.5
            halvings += 1
            if halvings > _MOST_HALVINGS:
                return -inf
        for i in range(size):
            v[i] = trial[i]
        if decrement < _DECREMENT:
            return f
    return f if decrement < _NEARLY else -inf


@part
def _expect(rows, auxiliary, w, d3):
    """Overwrite W of rows with heavy tails by what is expected, which no predictor changes, and its slopes by zero.

    What is observed may be negative, and that of a group zero where two modes part: log|L| has no bound there.
    """
    y, weight, stratum, family = rows[2], rows[4], rows[6], rows[7]
    if family != STUDENT_T:
        return
    for r in range(len(w)):
        a, c = auxiliaries_of(family, auxiliary, stratum[r], y[r])
        w[r], d3[r] = weight[r] * expected_information(a, c), 0.0


@whole
def laplace(  # the parts of a model, and all that follows from it
    form,
    blocks,
    factors,
    rows,
    beta,
    Lambda,
    auxiliary,
    v,
    wanted,
    g_beta,
    g_Lambda,
    g_auxiliary,
    entries,
    values,
    bar,
):
    """Overwrite v with the mode of the effects, and return the log likelihood by Laplace's approximation.

    The factor of minus the second derivatives at the mode is left in the values, and the entries of Z'WZ too; of rows
    with heavy tails those that are expected (Fisher's information; Hartmann and Vanhatalo 2019). Where it
    is wanted, the exact gradient is added, that of the mode's moves included, and `bar` has the derivatives of log|L|
    in the values of the precision.
    """
    N = len(rows[2])
    room = empty(len(v)), empty(N), empty(N), empty(N), empty(N)
    value = constant_of(rows, auxiliary)
    value += _find_mode(form, blocks, factors, rows, beta, Lambda, auxiliary, v, entries, values, room)
    _, eta, d1, w, d3 = room
    _expect(rows, auxiliary, w, d3)
    if not (isfinite(value) and _curvature(form, blocks, factors, rows, Lambda, w, entries, values)):
        return -inf
    value -= log_determinant(form, values)
    if not wanted:
        return value
    for i in range(len(bar)):
        bar[i] = 0.0
    add_log_determinant(form, values, 1.0, bar)
    pull_back_factor(form, values, bar)
    half, moved = empty(N), empty(N)
    terms = d1, w, d3, half, moved
    _add_laplace_gradient(form, blocks, factors, rows, Lambda, v, terms, entries, values, bar, g_beta, g_Lambda)
    if g_auxiliary.shape[1] > 0:
        _add_laplace_auxiliary(rows, eta, auxiliary, half, moved, g_auxiliary)
    return value


@part
def _add_laplace_auxiliary(rows, eta, auxiliary, half, moved, g_auxiliary):
    """Add the gradient in further parameters, or thresholds."""
    y, weight, stratum, family, link = rows[2], rows[4], rows[6], rows[7], rows[8]
    for r in range(len(y)):
        a, c = auxiliaries_of(family, auxiliary, stratum[r], y[r])
        of_a, of_c = laplace_slopes(family, link, y[r], eta[r], a, c, half[r], moved[r])
        add_to_auxiliary(family, y[r], stratum[r], weight[r] * of_a, weight[r] * of_c, g_auxiliary)


@part
def _add_laplace_gradient(form, blocks, factors, rows, Lambda, v, terms, entries, values, bar, g_beta, g_Lambda):
    """Add the gradient of f - log|L| at the mode, and write d log|L| / d w and Z Lambda t of every row (N,).

    With c_r = l'''_r d log|L| / d w_r and t = H^-1 Lambda'Z'c, those of f at v, of log|L| at W, and of the mode.
    """
    d1, w, d3, half, of_row = terms
    Z, row_block = rows[1], rows[10]
    column, size = factors[0], factors[1]
    N, n = len(d1), len(v)
    g_entries, c, e = empty(len(entries)), empty(N), empty(N)
    pull_back_precision(blocks, factors, Lambda, entries, bar, -1.0, g_Lambda, g_entries)
    for r in range(N):
        total, pair = 0.0, 0
        for f in range(len(size)):
            for g in range(f + 1):
                place = row_block[r, pair]
                pair += 1
                for a in range(size[f]):
                    for k in range(size[g]):
                        total -= Z[column[f] + a, r] * g_entries[place] * Z[column[g] + k, r]
                        place += 1
        half[r], c[r] = total, total * d3[r]
    g_b, t, moved = empty(n), empty(n), empty(n)
    unused = empty(Lambda.shape)
    gather(rows, factors, c, g_b)
    pull_back_coefficients(factors, Lambda, v, g_b, t, unused)
    solve_lower(form, values, t)
    solve_upper(form, values, t)
    coefficients_of(factors, Lambda, t, moved)
    for r in range(N):
        of_row[r] = 0.0
    add_effects(rows, factors, moved, of_row)
    for r in range(N):
        e[r] = d1[r] + c[r] - w[r] * of_row[r]
    add_population(rows, e, 1.0, g_beta)
    gather(rows, factors, e, g_b)
    pull_back_coefficients(factors, Lambda, v, g_b, moved, g_Lambda)
    gather(rows, factors, d1, g_b)
    pull_back_coefficients(factors, Lambda, t, g_b, moved, g_Lambda)


@part
def transport(form, blocks, factors, working, phi, Lambda, x, values, pulled, inner, v):
    """Write v = L'^-1 (L^-1 c + x), where L L' = I + Lambda'Z'WZ Lambda and c = Lambda'Z'W (y - X phi).

    Given the parameters, v is normal under the working model, with mean L'^-1 L^-1 c and precision L L'. So x is
    standard normal there.

    Parameters
    ----------
    pulled : array (n,)
        Z'W (y - X phi); overwritten, as the next.
    inner : array (n,)
        L^-1 c.

    Returns
    -------
    bool
        Whether there is a factor.
    """
    entries, response, slope = working
    precision_of(form, blocks, factors, Lambda, entries, values)
    if not factorise(form, values):
        return False
    column, size, first = factors
    for i in range(len(v)):
        t = response[i]
        for k in range(len(phi)):
            t -= slope[i, k] * phi[k]
        pulled[i] = t
    for f in range(len(size)):
        q, h = size[f], column[f]
        for i in range(first[f], first[f + 1], q):
            for c in range(q):
                t = 0.0
                for a in range(q):
                    t += Lambda[h + a, h + c] * pulled[i + a]
                inner[i + c] = t
    solve_lower(form, values, inner)
    for i in range(len(v)):
        v[i] = inner[i] + x[i]
    solve_upper(form, values, v)
    return True


@part
def effects_density(
    form, blocks, factors, rows, working, constant, phi, Lambda, auxiliary, x, wanted, g_phi, g_Lambda, g_auxiliary, g_x
):
    """Return log p(y | phi, b) + log p(v) - log|L|, the log density in x, and add or write its gradient.

    `constant` is what does not depend on linear predictors, where families have no further parameters.
    """
    N, n = len(rows[2]), len(x)
    values, pulled, inner, v, b = empty(form[4] + form[5] * form[5]), empty(n), empty(n), empty(n), empty(n)
    if not transport(form, blocks, factors, working, phi, Lambda, x, values, pulled, inner, v):
        return -inf
    coefficients_of(factors, Lambda, v, b)
    eta, d1, g_b, g_v = empty(N + LANES), empty(N), empty(n), empty(n)
    m = auxiliary.shape[1]
    value = (constant_of(rows, auxiliary) if m > 0 else constant) - n * _HALF_LOG_2PI
    value += _sum_over_rows(rows, factors, phi, b, auxiliary, eta, d1)
    value -= half_square(v) + log_determinant(form, values)
    if not (wanted and isfinite(value)):
        return value
    if m > 0:
        _add_auxiliary(rows, eta, auxiliary, g_auxiliary)
    gather(rows, factors, d1, g_b)
    add_population(rows, d1, 1.0, g_phi)
    pull_back_coefficients(factors, Lambda, v, g_b, g_v, g_Lambda)
    for i in range(n):
        g_v[i] -= v[i]
    _pull_back_transport(form, blocks, factors, working, Lambda, values, pulled, inner, v, g_v, g_phi, g_Lambda, g_x)
    return value


@part
def _sum_over_rows(rows, factors, phi, b, auxiliary, eta, d1):
    """Return the log likelihood without constants, and write linear predictors and l' (N,).

    Loops over rows become vector instructions where the response is binomial and the link the logit.
    """
    y, trials, weight, stratum, family, link = rows[2], rows[3], rows[4], rows[6], rows[7], rows[8]
    predictors_of(rows, factors, phi, b, eta[: len(y)])
    total = 0.0
    if family == BINOMIAL and link == LOGIT:
        size, flat = len(y), empty(len(eta))
        write_shares(eta, size, flat)
        row, share = eta[:size].reshape((1, size)), flat[:size].reshape((1, size))
        # No constant: what is called with one is compiled for it once more.
        at = size * 0
        write_logit_slopes(y, trials, weight, row, share, at, d1)
        return sum_of_logits(y, trials, weight, counts_once(trials, weight), row, share, at)
    for r in range(len(y)):
        a, c = auxiliaries_of(family, auxiliary, stratum[r], y[r])
        log_density, slope = value_and_slope(family, link, y[r], trials[r], eta[r], a, c)
        total += weight[r] * log_density
        d1[r] = weight[r] * slope
    return total


@part
def _pull_back_transport(form, blocks, factors, working, Lambda, values, pulled, inner, v, g_v, g_phi, g_Lambda, g_x):
    """Write the gradient in x, and add those in phi and Lambda, through the transport and its determinant.

    From L'v = z, z = L^-1 c + x: dv = L'^-1 (dz - dL'v), and d(L^-1 c) = L^-1 (dc - dL L^-1 c).
    """
    entries, _, slope = working
    column, size, first = factors
    n = len(v)
    bar, g_entries = empty(len(values)), empty(len(entries))
    for i in range(len(values)):
        bar[i] = 0.0
    for i in range(n):
        g_x[i] = g_v[i]
    solve_lower(form, values, g_x)
    add_outer(form, bar, -1.0, v, g_x)
    for i in range(n):
        g_v[i] = g_x[i]
    solve_upper(form, values, g_v)
    add_outer(form, bar, -1.0, g_v, inner)
    add_log_determinant(form, values, -1.0, bar)
    pull_back_factor(form, values, bar)
    pull_back_precision(blocks, factors, Lambda, entries, bar, 1.0, g_Lambda, g_entries)
    # c = Lambda' s, s = Z'W (y - X phi)
    for f in range(len(size)):
        q, h = size[f], column[f]
        for i in range(first[f], first[f + 1], q):
            for a in range(q):
                t = 0.0
                for c in range(q):
                    g_Lambda[h + a, h + c] += pulled[i + a] * g_v[i + c]
                    t += Lambda[h + a, h + c] * g_v[i + c]
                for k in range(len(g_phi)):
                    g_phi[k] -= slope[i + a, k] * t


@part
def _add_auxiliary(rows, eta, auxiliary, g_auxiliary):
    """Add the derivatives of the log likelihood in further parameters, or thresholds."""
    y, weight, stratum, family, link = rows[2], rows[4], rows[6], rows[7], rows[8]
    last_c, known = 0.0, 0.0
    for r in range(len(y)):
        a, c = auxiliaries_of(family, auxiliary, stratum[r], y[r])
        if family == STUDENT_T:
            if c != last_c:
                last_c, known = c, slope_of_constant(c)
            of_a, of_c = student_t_slopes(y[r], eta[r], a, c)
            of_c += known
        else:
            of_a, of_c = auxiliary_slopes(family, link, y[r], eta[r], a, c)
        add_to_auxiliary(family, y[r], stratum[r], weight[r] * of_a, weight[r] * of_c, g_auxiliary)


@whole
def draws_of_effects(form, blocks, factors, working, phi, Lambda, x, out):
    """Write v (S, n) at S draws of the parameters and of the transported coordinates x (S, n)."""
    n = x.shape[1]
    values, pulled, inner = empty(form[4] + form[5] * form[5]), empty(n), empty(n)
    for s in range(len(x)):
        if not transport(form, blocks, factors, working, phi[s], Lambda[s], x[s], values, pulled, inner, out[s]):
            return False
    return True


@whole
def constant_at(rows, auxiliary):
    """Return the part of the log likelihood that depends on no linear predictor."""
    return constant_of(rows, auxiliary)


@whole
def entries_at(rows, factors, w, entries):
    """Write the entries of Z'WZ for weights w (N,), and return their number."""
    entries_of(rows, factors, w, entries)
    return len(entries)


@whole
def precision_at(form, blocks, factors, Lambda, entries, values):
    """Write the values of I + Lambda' Z'WZ Lambda, and return their number."""
    precision_of(form, blocks, factors, Lambda, entries, values)
    return len(values)


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
