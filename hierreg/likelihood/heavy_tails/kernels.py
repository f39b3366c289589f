"""Likelihood of groups whose effects are mixtures of normal distributions, one group at a time (numba).

Notation is that of the package's page. A *mixture* is the tuple of Lambdas (L, q, q), which of them each of c
components has (c,), their means (c, q), log weights (c,), and log weights (M,) and values (M,) of the scales that all
of them have.
"""

from __future__ import annotations

from math import exp, log, sqrt

from hierreg.compiled.array_kernels import empty, zeros
from hierreg.compiled.parts import part

# Squared length of a column of C Lambda below which it is zero.
_NOTHING = 1e-290
_ORTHOGONAL = 1e-15
_SWEEPS = 30
# Determinants are products, up to here: a logarithm costs as much as all the rest of a scale.
_LARGE = 1e100


@part
def room_of(n_rows, q, mixture):
    """Return room for a group of at most n_rows rows: see `weigh`."""
    Lambdas, _, means, _, log_weight, _ = mixture
    L, c, M = len(Lambdas), len(means), len(log_weight)
    return (
        empty((L, n_rows, q)),
        empty((L, q, q)),
        empty((L, q)),
        empty((c, n_rows)),
        empty((c, n_rows)),
        empty((c, q)),
        empty((c, q, M)),
        empty((c, M)),
        empty((c, M)),
        empty(n_rows),
    )


@part
def _orthogonalise(S, V, d, m):
    """Turn S (m, q) into U, so that U diag(d)^1/2 V' is what it was: rotations of its columns (one-sided Jacobi).

    Small singular values keep their digits (Demmel and Veselic 1992, SIAM Journal on Matrix Analysis and Applications
    13, 1204-1245). Columns without length are zero; longer ones come first.
    """
    q = len(d)
    for i in range(q):
        for j in range(q):
            V[i, j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS if q > 1 else 0):
        is_done = True
        for i in range(q - 1):
            for j in range(i + 1, q):
                a, b, c = 0.0, 0.0, 0.0
                for r in range(m):
                    a += S[r, i] * S[r, i]
                    b += S[r, j] * S[r, j]
                    c += S[r, i] * S[r, j]
                if not abs(c) > _ORTHOGONAL * sqrt(a) * sqrt(b):
                    continue
                is_done = False
                z = 0.5 * (b - a) / c
                t = 1.0 / (abs(z) + sqrt(1.0 + z * z))
                if z < 0.0:
                    t = -t
                cosine = 1.0 / sqrt(1.0 + t * t)
                sine = cosine * t
                for r in range(m):
                    x, y = S[r, i], S[r, j]
                    S[r, i], S[r, j] = cosine * x - sine * y, sine * x + cosine * y
                for r in range(q):
                    x, y = V[r, i], V[r, j]
                    V[r, i], V[r, j] = cosine * x - sine * y, sine * x + cosine * y
        if is_done:
            break
    for i in range(q):
        length = 0.0
        for r in range(m):
            length += S[r, i] * S[r, i]
        d[i] = length if length > _NOTHING else 0.0
        scale = 1.0 / sqrt(length) if length > _NOTHING else 0.0
        for r in range(m):
            S[r, i] *= scale
    for i in range(q - 1):
        best = i
        for j in range(i + 1, q):
            if d[j] > d[best]:
                best = j
        if best != i:
            d[i], d[best] = d[best], d[i]
            for r in range(m):
                S[r, i], S[r, best] = S[r, best], S[r, i]
            for r in range(q):
                V[r, i], V[r, best] = V[r, best], V[r, i]


@part
def weigh(j, groups, v, roots, mixture, room):  # noqa: PLR0915  # loops spelled out
    """Return the log likelihood of group j, and write the posterior weights of components and scales.

    Parameters
    ----------
    j : int
    groups : tuple of arrays (J + 1,), (E,), (E, h, q), (E, h, p + 1)
        First entry of each group; term, C and D of each entry.
    v : array (p + 1,)
    roots : array (K,)
        Of omega.
    mixture : tuple
        See the module.
    room : tuple of arrays
        Overwritten: U (L, m, q), V (L, q, q) and d (L, q); of each component e (c, m), what is left of it (c, m),
        w (c, q), 1 / (1 + s d) (c, q, M), and the weights (c, M), which sum to one; further room.
    """
    start, term, C, D = groups
    Lambdas, which, means, log_pi, log_weight, scale = mixture
    U, V, d, e, rest, w, shrunk, weight, det, base = room
    h, q, width = C.shape[1], C.shape[2], D.shape[2]
    M, n_components = len(scale), len(means)
    m = (start[j + 1] - start[j]) * h
    for i in range(m):
        entry, r = start[j] + i // h, i % h
        root = roots[term[entry]]
        total = 0.0
        for a in range(width):
            total += D[entry, r, a] * v[a]
        base[i] = root * total
        for one in range(len(Lambdas)):
            for a in range(q):
                total = 0.0
                for b in range(q):
                    total += C[entry, r, b] * Lambdas[one, b, a]
                U[one, i, a] = root * total
    for one in range(len(Lambdas)):
        _orthogonalise(U[one], V[one], d[one], m)
    highest = -1e308
    for c in range(n_components):
        one, own = which[c], 0.0
        for i in range(m):
            entry, r = start[j] + i // h, i % h
            total = 0.0
            for b in range(q):
                total += C[entry, r, b] * means[c, b]
            e[c, i] = rest[c, i] = base[i] - roots[term[entry]] * total
        for k in range(M):
            weight[c, k], det[c, k] = 0.0, 1.0
        for a in range(q):
            total = 0.0
            for i in range(m):
                total += U[one, i, a] * rest[c, i]
            for i in range(m):
                rest[c, i] -= U[one, i, a] * total
            w[c, a], size, square = total, d[one, a], total * total
            for k in range(M):
                x = 1.0 + scale[k] * size
                shrunk[c, a, k] = 1.0 / x
                det[c, k] *= x
                weight[c, k] -= 0.5 * square / x
            if a % 4 == 3:
                for k in range(M):
                    if det[c, k] > _LARGE:
                        weight[c, k] -= 0.5 * log(det[c, k])
                        det[c, k] = 1.0
        for i in range(m):
            own += rest[c, i] * rest[c, i]
        for k in range(M):
            weight[c, k] += log_pi[c] + log_weight[k] - 0.5 * own
            highest = weight[c, k] if weight[c, k] > highest else highest  # noqa: FURB136
    total = 0.0
    for c in range(n_components):
        for k in range(M):
            weight[c, k] = exp(weight[c, k] - highest) / sqrt(det[c, k])
            total += weight[c, k]
    for c in range(n_components):
        for k in range(M):
            weight[c, k] /= total
    return highest + log(total)


@part
def differentiate(j, groups, roots, mixture, room, slopes):
    """Add the gradient of the log likelihood of group j, which `weigh` has just found.

    Parameters
    ----------
    j, groups, roots, mixture, room
        See `weigh`.
    slopes : tuple of arrays (L, q, q), (c, q), (c,), (M,), (M,), (p,), (K,)
        With respect to Lambdas, means, log weights of components, those of scales, scales, beta and omega; added to.
    """
    start, term, C, D = groups
    _, which, means, _, _, scale = mixture
    U, V, d, _, rest, w, shrunk, weight, _, _ = room
    g_Lambdas, _, g_pi, g_weight, g_scale, _, _ = slopes
    h, q, p = C.shape[1], C.shape[2], D.shape[2] - 1
    M, m = len(scale), (start[j + 1] - start[j]) * h
    # Averages of t, s t, s t t' and s / (1 + s d) over scales, and room.
    first, second, squares, variance, product = empty(q), empty(q), empty((q, q)), empty(q), empty(q)
    for c in range(len(means)):
        one, mine = which[c], 0.0
        for k in range(M):
            mine += weight[c, k]
            g_weight[k] += weight[c, k]
        g_pi[c] += mine
        if m == 0:
            continue
        for a in range(q):
            t0, t1, t3, size, own = 0.0, 0.0, 0.0, d[one, a], w[c, a]
            for k in range(M):
                x = weight[c, k] * shrunk[c, a, k]
                t0 += x
                t1 += x * scale[k]
                g_scale[k] += 0.5 * size * x * (own * own * shrunk[c, a, k] - 1.0)
            first[a], second[a], variance[a] = own * t0, own * t1, t1
            for b in range(a + 1):
                t3 = 0.0
                for k in range(M):
                    t3 += weight[c, k] * scale[k] * shrunk[c, a, k] * shrunk[c, b, k]
                squares[a, b] = squares[b, a] = t3 * own * w[c, b]
        _of_rows(c, one, mine, m, (start[j], h, p), groups, roots, room, (first, second, squares, variance), slopes)
        # g_Lambda = (C'rest (d^1/2 second)' + C'U (squares - diag(variance)) diag(d)^1/2) V'
        for b in range(q):
            for a in range(q):
                product[a] = 0.0
            for i in range(m):
                entry, r = start[j] + i // h, i % h
                own = roots[term[entry]] * C[entry, r, b]
                for a in range(q):
                    product[a] += own * rest[c, i] * second[a]
                    total = 0.0
                    for f in range(q):
                        total += U[one, i, f] * squares[f, a]
                    product[a] += own * (total - U[one, i, a] * variance[a])
            for a in range(q):
                product[a] *= sqrt(d[one, a])
            for f in range(q):
                total = 0.0
                for a in range(q):
                    total += product[a] * V[one, f, a]
                g_Lambdas[one, b, f] += total


@part
def _of_rows(c, one, mine, m, sizes, groups, roots, room, averages, slopes):
    """Add what `differentiate` does with respect to means, beta and omega: sums over rows."""
    _, term, C, D = groups
    U, _, d, e, rest, _, _, _, _, _ = room
    _, g_means, _, _, _, g_beta, g_omega = slopes
    first, second, squares, variance = averages
    begin, h, p = sizes
    q = len(first)
    for i in range(m):
        entry, r = begin + i // h, i % h
        root = roots[term[entry]]
        z = mine * rest[c, i]
        for a in range(q):
            z += U[one, i, a] * first[a]
        for a in range(p):
            g_beta[a] += root * D[entry, r, a] * z
        for b in range(q):
            g_means[c, b] += root * C[entry, r, b] * z
        of_omega = -z * e[c, i]
        for a in range(q):
            x = U[one, i, a]
            of_omega += x * d[one, a] * (rest[c, i] * second[a] - x * variance[a])
            for f in range(q):
                of_omega += squares[a, f] * d[one, f] * U[one, i, f] * x
        g_omega[term[entry]] += 0.5 * of_omega / (root * root)


@part
def log_likelihood(groups, left, v, weights, mixture, slopes, wanted):
    """Return the log likelihood of all rows but for its constant, and add its gradient where it is wanted.

    Parameters
    ----------
    groups : tuple
        See `weigh`.
    left : tuple of arrays (R, p + 1), (R,)
        What the triangles leave of W, and the term of each row.
    v : array (p + 1,)
    weights : array (2 K + 2,)
        See `variances.precision_kernels`.
    mixture : tuple
        See the module.
    slopes : tuple of arrays
        See `differentiate`. That of omega leaves log|R| out.
    wanted : bool
    """
    start, _, C, _ = groups
    rows, term = left
    g_beta, g_omega = slopes[5], slopes[6]
    K = (len(weights) - 2) // 2
    omega, roots = weights[:K], weights[K : 2 * K]
    value, most = -0.5 * weights[2 * K], 0
    for r in range(len(rows)):
        total = 0.0
        for a in range(len(v)):
            total += rows[r, a] * v[a]
        value -= 0.5 * omega[term[r]] * total * total
        if wanted:
            g_omega[term[r]] -= 0.5 * total * total
            for a in range(len(g_beta)):
                g_beta[a] += omega[term[r]] * total * rows[r, a]
    for j in range(len(start) - 1):
        entries = start[j + 1] - start[j]
        most = entries if entries > most else most  # noqa: FURB136
    room = room_of(most * C.shape[1], C.shape[2], mixture)
    for j in range(len(start) - 1):
        value += weigh(j, groups, v, roots, mixture, room)
        if wanted:
            differentiate(j, groups, roots, mixture, room, slopes)
    return value


@part
def room_for_slopes(mixture, p, K):
    """Return zeros for what `differentiate` adds to."""
    Lambdas, _, means, _, log_weight, _ = mixture
    L, q, c, M = len(Lambdas), Lambdas.shape[1], len(means), len(log_weight)
    return zeros((L, q, q)), zeros((c, q)), zeros(c), zeros(M), zeros(M), zeros(p), zeros(K)
