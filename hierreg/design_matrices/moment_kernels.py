"""Moments of columns (numba)."""

from __future__ import annotations

from hierreg.compiled.array_kernels import local
from hierreg.compiled.parts import part

# Rows that are read twice, out of the first cache.
_ROWS = 512


@part
def add_moments(X, y, origin, mean, products, low, high):
    """Add rows [x y] to the mean of x - origin, the lower half of their products about it, and the bounds of columns.

    y may have no rows. A block of rows has a mean of its own, and is joined with those before it: nothing cancels.

    References
    ----------
    Chan, Golub and LeVeque (1983), The American Statistician 37, section 2.
    """
    p, m = X.shape[1], len(mean)
    row, own, block = local(m), local(m), local((m, m))
    done = 0
    while done < len(X):
        last = min(len(X), done + _ROWS)
        n = last - done
        for a in range(m):
            own[a] = 0.0
            for b in range(a + 1):
                block[a, b] = 0.0
        for i in range(done, last):
            for a in range(p):
                value = X[i, a]
                own[a] += value - origin[a]
                low[a], high[a] = min(low[a], value), max(high[a], value)
            for a in range(p, m):
                value = y[i]
                own[a] += value - origin[a]
                low[a], high[a] = min(low[a], value), max(high[a], value)
        for a in range(m):
            own[a] /= n
        for i in range(done, last):
            for a in range(p):
                row[a] = X[i, a] - origin[a] - own[a]
            for a in range(p, m):
                row[a] = y[i] - origin[a] - own[a]
            for a in range(m):
                for b in range(a + 1):
                    block[a, b] += row[a] * row[b]
        share = n / last
        for a in range(m):
            own[a] -= mean[a]
        for a in range(m):
            for b in range(a + 1):
                products[a, b] += block[a, b] + own[a] * own[b] * done * share
        for a in range(m):
            mean[a] += own[a] * share
        done = last
