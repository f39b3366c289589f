"""What an answer owes to the last bit of what it is found from.

No arithmetic of doubles keeps more: the columns of a formula (``poly(x, 2)``, ``x:z``), on either side of a bar, are
rounded before any likelihood sees them, and so is a covariance that is given. Where residuals are a million error
standard deviations, that alone changes an estimate between groups in its fifth digit. So an answer may differ from the
exact one by some times what the exact one changes where data and covariances are shaken by a bit. Columns and response
are shaken about their means: how far they are from zero excuses nothing.

References
----------
Higham, N. J. (2002). Accuracy and Stability of Numerical Algorithms, 2nd edition. SIAM, section 1.5 (backward error).
"""

from __future__ import annotations

import numpy as np

from tests.fuzz.exact import exact, numbers
from tests.fuzz.oracle import Dense

EPS = np.finfo(float).eps
TIMES, AGAIN = 10.0, 3


class Shaken:
    """The oracle of rows that are shaken by a bit, a few times; made when it is first asked for."""

    def __init__(self, rows, rng):
        self.rows, self.rng, self._made = rows, rng, None

    @property
    def made(self):
        if self._made is None:
            self._made = [self._one() for _ in range(AGAIN)]
        return self._made

    def excuse(self, answer, want):
        """Return how far an answer may be from the exact one, ``want``, beside other tolerances.

        ``answer`` is a function of an oracle and this object, whose `factor` and `symmetric` shake what is given.
        """
        gaps = [np.abs(np.asarray(answer(one, self)) - want) for one in self.made]
        return TIMES * np.max(gaps, axis=0)

    def factor(self, Lambda):
        """Return a factor (q, q) of Sigma, changed by a bit of the largest sd that one of its rows gives the response.

        Sigma is given at zero of the predictors: what rounding adds there grows with their distance from it.
        """
        out = Lambda.copy()
        for Z, own in zip(self.rows.Z, self.rows.factor_slices(), strict=True):
            scale = np.sqrt((Z**2).mean(axis=0))
            scale = np.where(scale > 0, scale, 1.0)
            block = numbers(Lambda[own, own])
            size = np.abs(block * scale[:, None]).max(axis=0, initial=0.0) / scale[:, None]
            out[own, own] = Lambda[own, own] + exact(EPS * self.rng.uniform(-1, 1, block.shape) * size)
        return out

    def components(self, S):
        """Return variances of components of exchangeable errors, by bits of the largest, as sds and correlations are.

        Other covariances as `symmetric` does.
        """
        if self.rows.kind != "exchangeable":
            return self.symmetric(S)
        largest = max(S[i, i] for i in range(len(S)))
        out = S.copy()
        for i in range(len(S)):
            out[i, i] = S[i, i] + (largest * int(self.rng.integers(-(2**20), 2**20)) >> 72)
        return out

    def symmetric(self, S):
        """Return a covariance with each entry changed by a bit."""
        out = S.copy()
        for i in range(len(S)):
            for j in range(i + 1):
                out[i, j] = out[j, i] = S[i, j] + (S[i, j] * int(self.rng.integers(-(2**20), 2**20)) >> 72)
        return out

    def _one(self):
        def change(column):
            return exact(EPS * self.rng.uniform(-1, 1, len(column)) * (column - column.mean()))

        def shaken(values, A):
            return values + np.column_stack([np.empty((len(A), 0), dtype=object), *(change(column) for column in A.T)])

        dense = Dense(self.rows)
        dense.y = dense.y + change(self.rows.y)
        dense.X = shaken(dense.X, self.rows.X)
        dense.Z = [shaken(values, Z) for values, Z in zip(dense.Z, self.rows.Z, strict=True)]
        return dense
