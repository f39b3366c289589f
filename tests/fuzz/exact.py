"""Arithmetic with 384 binary places: object arrays of Python integers, v standing for v / 2^384.

Every double between 1e-70 and 1e300 has its exact value here, to 1e-100 at the least, and sums, products and the
elimination below lose nothing that a double could hold: what is computed with it is exact for our purposes, at any
offset and in any unit. Python's integers do the work, so that no numerical library is shared with the package.
"""

import math

import numpy as np

BITS = 384
ONE = 1 << BITS


def exact(values):
    """Return doubles of any shape as an object array of integers."""
    values = np.asarray(values, dtype=float)
    out = np.empty(values.size, dtype=object)
    for i, value in enumerate(values.ravel().tolist()):
        numerator, denominator = value.as_integer_ratio()
        out[i] = (numerator << BITS) // denominator
    return out.reshape(values.shape)


def zeros(*shape):
    out = np.empty(shape, dtype=object)
    out[...] = 0
    return out


def times(a, b):
    return (a * b) >> BITS


def product(a, b):
    """Return a @ b."""
    if 0 in a.shape or 0 in b.shape:
        return zeros(a.shape[0], *b.shape[1:])
    return np.dot(a, b) >> BITS


def number(value):
    """Return one integer as the nearest double."""
    return int(value) / ONE


def numbers(values):
    return np.array([number(value) for value in values.ravel()]).reshape(values.shape)


def eliminate(A, n):
    """Return the first n pivots of a symmetric A, and what is left of it; None where a pivot is not positive."""
    A = A.copy()
    pivots = []
    for k in range(n):
        pivot = A[k, k]
        if pivot <= 0:
            return None
        row = A[k, k + 1 :]
        A[k + 1 :, k + 1 :] -= np.outer((A[k + 1 :, k] << BITS) // pivot, row) >> BITS
        pivots.append(pivot)
    return pivots, A[n:, n:]


def log(value):
    """Return the log of one positive integer."""
    return math.log(value) - BITS * math.log(2.0)


def log_ratio(a, b):
    """Return log(a / b) of two positive integers that may be very near to each other."""
    return math.log1p((a - b) / b)
