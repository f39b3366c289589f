"""Accumulation of cross-products over rows (numba)."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def accumulate_products(W, first, second, term, out):
    """Add w[r]w[s]' (and its transpose where r != s) of every pair of rows (r, s) to out[term]."""
    p = W.shape[1]
    for i in range(len(first)):
        r, s, k = first[i], second[i], term[i]
        for a in range(p):
            if r == s:
                for b in range(p):
                    out[k, a, b] += W[r, a] * W[r, b]
            else:
                for b in range(p):
                    out[k, a, b] += W[r, a] * W[s, b] + W[s, a] * W[r, b]


@njit(cache=True, nogil=True)
def accumulate_pair_products(Z, index, first, second, place, out):
    """Add z[r]z[s]' of every pair of rows to out[place], the entry of their term and pair of groups.

    The smaller group comes first; rows r != s of one group add the transpose too.
    """
    q = Z.shape[1]
    for i in range(len(first)):
        r, s, e = first[i], second[i], place[i]
        if index[r] > index[s]:
            r, s = s, r
        both = r != s and index[r] == index[s]
        for a in range(q):
            for b in range(q):
                out[e, a, b] += Z[r, a] * Z[s, b]
                if both:
                    out[e, a, b] += Z[s, a] * Z[r, b]


@njit(cache=True, nogil=True)
def accumulate_level_products(Z, W, first, second, place_first, place_second, out):
    """Add z[r]w[s]' to the entry of the group of r and, where r != s, z[s]w[r]' to that of s."""
    q, p = Z.shape[1], W.shape[1]
    for i in range(len(first)):
        r, s = first[i], second[i]
        e = place_first[i]
        for a in range(q):
            for b in range(p):
                out[e, a, b] += Z[r, a] * W[s, b]
        if r != s:
            e = place_second[i]
            for a in range(q):
                for b in range(p):
                    out[e, a, b] += Z[s, a] * W[r, b]


@njit(cache=True, nogil=True)
def accumulate_cross_products(Z, V, first, second, place, out):
    """Add z[r]v[s]' (and z[s]v[r]' where r != s) of every pair of rows to the entry of their term and groups."""
    q, m = Z.shape[1], V.shape[1]
    for i in range(len(first)):
        r, s, e = first[i], second[i], place[i]
        for a in range(q):
            for b in range(m):
                out[e, a, b] += Z[r, a] * V[s, b]
                if r != s:
                    out[e, a, b] += Z[s, a] * V[r, b]
