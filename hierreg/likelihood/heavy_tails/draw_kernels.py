"""Exact draws of the effects of one group, given all other parameters (numba)."""

from __future__ import annotations

from math import sqrt

from hierreg.compiled.array_kernels import empty
from hierreg.compiled.parts import part
from hierreg.likelihood.heavy_tails.kernels import weigh


@part
def draw_groups(first, groups, v, roots, mixture, room, random, out):
    """Draw component and scale, and then the effects, of groups from ``first`` on.

    Parameters
    ----------
    first : int
    groups, v, roots, mixture, room
        See `kernels.weigh`.
    random : tuple of arrays (n,), (n, q)
        Uniform and normal numbers.
    out : tuple of arrays (n, q), (n,), (n, c)
        Effects, internal coordinates; the square of their distance from the component's mean, in Sigma^-1; the
        posterior probabilities of the components.
    """
    uniform, normal = random
    effects, square, probability = out
    Lambdas, which, means, _, _, scale = mixture
    _, V, d, _, _, w, shrunk, weight, _, _ = room
    q = len(normal[0])
    a = empty(q)
    for j in range(len(uniform)):
        weigh(first + j, groups, v, roots, mixture, room)
        component, place, left = -1, 0, uniform[j]
        for c in range(len(means)):
            probability[j, c] = 0.0
            for k in range(len(scale)):
                probability[j, c] += weight[c, k]
                # Rounding may leave something beyond the last one.
                if left >= 0.0 and weight[c, k] > 0.0:
                    component, place = c, k
                    left -= weight[c, k]
        one, s = which[component], scale[place]
        square[j] = 0.0
        for i in range(q):
            variance = s * shrunk[component, i, place]
            a[i] = variance * sqrt(d[one, i]) * w[component, i] + sqrt(variance) * normal[j, i]
            square[j] += a[i] * a[i]
        for i in range(q):
            total = means[component, i]
            for b in range(q):
                along = 0.0
                for f in range(q):
                    along += V[one, b, f] * a[f]
                total += Lambdas[one, i, b] * along
            effects[j, i] = total
