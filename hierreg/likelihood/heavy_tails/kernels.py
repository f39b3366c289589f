"""Likelihood of groups whose effects are mixtures of normal distributions, one group at a time (numba).

Arrays come from the table of `target`, which has the addresses of all of them: one that was made here would be counted,
atomically, whenever it is handed on, which costs more than the sums do. Notation is that of the package's page. A
*mixture* is the tuple of Lambdas (L, q, q), which of them each of c components has (c,), their means (c, q), log
weights (c,), and log weights (M,) and values (M,) of the scales that all of them have.
"""

from __future__ import annotations

from math import exp, log, sqrt

from hierreg.compiled.parts import part

# Squared length of a column of C Lambda below which it is zero.
_NOTHING = 1e-290
_ORTHOGONAL = 1e-15
_SWEEPS = 30
# Determinants are products, up to here: a logarithm costs as much as all the rest of a scale.
_LARGE = 1e100
# Log weights below the highest that add nothing to a sum.
_NEGLIGIBLE = -40.0


@part
def _orthogonalise(S, V, d, one, m):
    """Turn S[one] (m, q) into U, so that U diag(d)^1/2 V' is what it was: rotations of its columns (one-sided Jacobi).

    Small singular values keep their digits (Demmel and Veselic 1992, SIAM Journal on Matrix Analysis and Applications
    13, 1204-1245). Columns without length are zero; longer ones come first.
    """
    q = d.shape[1]
    for i in range(q):
        for j in range(q):
            V[one, i, j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS if q > 1 else 0):
        is_done = True
        for i in range(q - 1):
            for j in range(i + 1, q):
                a, b, c = 0.0, 0.0, 0.0
                for r in range(m):
                    a += S[one, r, i] * S[one, r, i]
                    b += S[one, r, j] * S[one, r, j]
                    c += S[one, r, i] * S[one, r, j]
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
                    x, y = S[one, r, i], S[one, r, j]
                    S[one, r, i], S[one, r, j] = cosine * x - sine * y, sine * x + cosine * y
                for r in range(q):
                    x, y = V[one, r, i], V[one, r, j]
                    V[one, r, i], V[one, r, j] = cosine * x - sine * y, sine * x + cosine * y
        if is_done:
            break
    for i in range(q):
        length = 0.0
        for r in range(m):
            length += S[one, r, i] * S[one, r, i]
        d[one, i] = length if length > _NOTHING else 0.0
        scale = 1.0 / sqrt(length) if length > _NOTHING else 0.0
        for r in range(m):
            S[one, r, i] *= scale
    for i in range(q - 1):
        best = i
        for j in range(i + 1, q):
            if d[one, j] > d[one, best]:
                best = j
        if best != i:
            d[one, i], d[one, best] = d[one, best], d[one, i]
            for r in range(m):
                S[one, r, i], S[one, r, best] = S[one, r, best], S[one, r, i]
            for r in range(q):
                V[one, r, i], V[one, r, best] = V[one, r, best], V[one, r, i]


@part
def _rotate_rows(first, m, groups, roots, v, Lambdas, room):
    """Write e = D v of a group (m,), and C Lambda of each covariance as U (m, q), V (q, q) and d (q,)."""
    _, term, C, D = groups
    U, V, d, _, _, _, _, _, _, base = room
    q, width = C.shape[1], D.shape[1]
    for i in range(m):
        root, total = roots[term[first + i]], 0.0
        for a in range(width):
            total += D[first + i, a] * v[a]
        base[i] = root * total
        for one in range(len(Lambdas)):
            for a in range(q):
                total = 0.0
                for b in range(q):
                    total += C[first + i, b] * Lambdas[one, b, a]
                U[one, i, a] = root * total
    for one in range(len(Lambdas)):
        _orthogonalise(U, V, d, one, m)


@part
def weigh(j, groups, v, roots, mixture, room):
    """Return the log likelihood of group j, and write the posterior weights of components and scales.

    Parameters
    ----------
    j : int
    groups : tuple of arrays (J + 1,), (n,), (n, q), (n, p + 1)
        First row of each group; term, C and D of each row.
    v : array (p + 1,)
    roots : array (K,)
        Of omega.
    mixture : tuple
        See the module.
    room : tuple of arrays
        Overwritten: U (L, m, q), V (L, q, q) and d (L, q); of each component e (c, m), what is left of it (c, m),
        w (c, q), 1 / (1 + s d) (c, q, M), and the weights (c, M), which sum to one; further room.
    """
    start, term, C, _ = groups
    Lambdas, which, means, log_pi, log_weight, scale = mixture
    U, _, d, e, rest, w, shrunk, weight, det, base = room
    q, M, n_components = C.shape[1], len(scale), len(means)
    first, m = start[j], start[j + 1] - start[j]
    _rotate_rows(first, m, groups, roots, v, Lambdas, room)
    highest = -1e308
    for c in range(n_components):
        one, own = which[c], 0.0
        for i in range(m):
            total = 0.0
            for b in range(q):
                total += C[first + i, b] * means[c, b]
            e[c, i] = rest[c, i] = base[i] - roots[term[first + i]] * total
        for k in range(M):
            weight[c, k], det[c, k] = 0.0, 1.0
        for a in range(q):
            total = 0.0
            for i in range(m):
                total += U[one, i, a] * rest[c, i]
            for i in range(m):
                rest[c, i] -= U[one, i, a] * total
            w[c, a] = total
            _of_scales(0.5 * total * total, d[one, a], scale, c, a, shrunk, weight, det)
            if a % 4 == 3:
                for k in range(M):
                    if det[c, k] > _LARGE:
                        weight[c, k] -= 0.5 * log(det[c, k])
                        det[c, k] = 1.0
        for i in range(m):
            own += rest[c, i] * rest[c, i]
        own = log_pi[c] - 0.5 * own
        for k in range(M):
            weight[c, k] += own + log_weight[k]
            highest = weight[c, k] if weight[c, k] > highest else highest  # noqa: FURB136
    total = 0.0
    for c in range(n_components):
        for k in range(M):
            # Most scales say nothing, and an exponential takes as long as all the rest of one.
            below = weight[c, k] - highest
            weight[c, k] = exp(below) / sqrt(det[c, k]) if below > _NEGLIGIBLE else 0.0
            total += weight[c, k]
    for c in range(n_components):
        for k in range(M):
            weight[c, k] /= total
    return highest + log(total)


@part
def _of_scales(half_square, d, scale, c, a, shrunk, exponent, det):
    """Write 1 / (1 + s d), and what one direction adds to exponents and determinants, of all scales."""
    for k in range(len(scale)):
        x = 1.0 + scale[k] * d
        y = 1.0 / x
        shrunk[c, a, k] = y
        det[c, k] *= x
        exponent[c, k] -= half_square * y


@part
def _averages(c, one, mixture, room, averages, slopes):
    """Write the averages of t, s t, s t t' and s / (1 + s d) over the scales of a component; return its weight."""
    scale = mixture[5]
    d, w, shrunk, weight = room[2], room[5], room[6], room[7]
    g_weight, g_scale = slopes[3], slopes[4]
    first, second, squares, variance = averages
    q, M, whole, begin, end = len(first), len(scale), 0.0, 0, 0
    for k in range(M):
        if weight[c, k] > 0.0:
            begin = k if end == 0 else begin
            end = k + 1
            whole += weight[c, k]
            g_weight[k] += weight[c, k]
    for a in range(q):
        t0, t1, size, own = 0.0, 0.0, d[one, a], w[c, a]
        for k in range(begin, end):
            y = shrunk[c, a, k]
            x = weight[c, k] * y
            t0 += x
            t1 += x * scale[k]
            g_scale[k] += 0.5 * size * x * (own * own * y - 1.0)
        first[a], second[a], variance[a] = own * t0, own * t1, t1
        for b in range(a + 1):
            t3 = 0.0
            for k in range(begin, end):
                t3 += weight[c, k] * scale[k] * shrunk[c, a, k] * shrunk[c, b, k]
            squares[a, b] = squares[b, a] = t3 * own * w[c, b]
    return whole


@part
def differentiate(j, groups, roots, mixture, room, averages, slopes):
    """Add the gradient of the log likelihood of group j, which `weigh` has just found.

    Parameters
    ----------
    j, groups, roots, mixture, room
        See `weigh`.
    averages : tuple of arrays (q,), (q,), (q, q), (q,)
        Overwritten.
    slopes : tuple of arrays (L, q, q), (c, q), (c,), (M,), (M,), (p,), (K,)
        With respect to Lambdas, means, log weights of components, those of scales, scales, beta and omega; added to.
    """
    start, term, C, D = groups
    which = mixture[1]
    U, V, d, e, rest = room[0], room[1], room[2], room[3], room[4]
    g_Lambdas, g_means, g_pi, g_beta, g_omega = slopes[0], slopes[1], slopes[2], slopes[5], slopes[6]
    begin, end, q, p = start[j], start[j + 1], C.shape[1], D.shape[1] - 1
    first, second, squares, variance = averages
    for c in range(len(which)):
        one = which[c]
        mine = _averages(c, one, mixture, room, averages, slopes)
        g_pi[c] += mine
        for i in range(end - begin):
            k = term[begin + i]
            root, r = roots[k], rest[c, i]
            z = mine * r
            for a in range(q):
                z += U[one, i, a] * first[a]
            for a in range(p):
                g_beta[a] += root * D[begin + i, a] * z
            of_omega = -z * e[c, i]
            for a in range(q):
                # (rest second' + U (squares - diag(variance))) diag(d)^1/2, this row.
                along = r * second[a] - U[one, i, a] * variance[a]
                for f in range(q):
                    along += U[one, i, f] * squares[f, a]
                of_omega += U[one, i, a] * d[one, a] * along
                along *= root * sqrt(d[one, a])
                for b in range(q):
                    left = C[begin + i, b] * along
                    for f in range(q):
                        g_Lambdas[one, b, f] += left * V[one, f, a]
            for b in range(q):
                g_means[c, b] += root * C[begin + i, b] * z
            g_omega[k] += 0.5 * of_omega / (root * root)


@part
def log_likelihood(groups, left, v, weights, mixture, rooms, wanted):
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
    rooms : tuple of tuples of arrays
        Room, averages and slopes of `weigh` and `differentiate`; slopes are added to, that of omega without log|R|.
    wanted : bool
    """
    start = groups[0]
    rows, term = left
    room, averages, slopes = rooms
    g_beta, g_omega = slopes[5], slopes[6]
    K = (len(weights) - 2) // 2
    omega, roots = weights[:K], weights[K : 2 * K]
    value = -0.5 * weights[2 * K]
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
        value += weigh(j, groups, v, roots, mixture, room)
        if wanted:
            differentiate(j, groups, roots, mixture, room, averages, slopes)
    return value
