"""X, Z, groups and strata of a case, made from its table by NumPy alone.

Coefficient names say what a column is (`x:c[T.b]` is x where c is b); what they stand for is worked out here.
"""

from __future__ import annotations

import re

import numpy as np

from tests.fuzz.draft import quoted
from tests.fuzz.oracle import Rows


def codes(values):
    """Return an integer for each distinct label, in order of first appearance."""
    seen = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values.tolist()])


def labels(case, name):
    """Return a column as its labels; a categorical as what it holds."""
    return np.asarray(case.table[name])


def groups(case, columns):
    """Return the group (n,) of each row for a factor of one or several columns."""
    index = codes(labels(case, columns[0]))
    for name in columns[1:]:
        index = codes(index * 1000 + codes(labels(case, name)))
    return index


def stratum_codes(case, name, order):
    """Return the place of each row's data set or stratum among given labels."""
    # Whole numbers are labels without their .0.
    values = labels(case, name).tolist()
    return np.array([order.index(str(int(value) if isinstance(value, float) else value)) for value in values])


class Columns:
    """Values of the columns that coefficient names stand for."""

    def __init__(self, case):
        self.case = case
        self.n = len(case.table)
        self.known = {"Intercept": np.ones(self.n)}
        for name in case.numeric:
            x = np.asarray(case.table[name], dtype=float)
            self.known[name] = x
            for text in {name, quoted(name), f"`{name}`"}:
                self.known[f"I({text} ** 2)"] = x**2
                for degree, values in enumerate(orthogonal(x), start=1):
                    self.known[f"poly({text}, 2)[{degree}]"] = values

    def of(self, name):
        """Return the column (n,) that a name stands for; KeyError where it is no name that the case can have."""
        if name in self.known:
            return self.known[name]
        values = np.ones(self.n)
        for part in name.split(":"):
            values = values * (self.known[part] if part in self.known else self._indicator(part))
        return values

    def _indicator(self, part):
        found = re.fullmatch(r"(.*)\[(?:T\.)?(.*)\]", part)
        if not found or found[1] not in self.case.categorical:
            raise KeyError(part)
        return (labels(self.case, found[1]).astype(str) == found[2]).astype(float)

    def matrix(self, names):
        return np.column_stack([np.empty((self.n, 0)), *(self.of(name) for name in names)])


def orthogonal(x):
    """Return R's poly(x, 2): orthonormal columns of degree one and two, in extended precision."""
    z = (x - x.mean()).astype(np.longdouble)
    z = z - z.mean()
    size = np.sqrt(z @ z)
    if not size > 0:
        return z.astype(float), z.astype(float)
    one = z / size
    two = one * one - (one * one).mean()
    two = two - one * (one @ two)
    size = np.sqrt(two @ two)
    return one.astype(float), (two / size if size > 0 else two).astype(float)


def rows_of(case, coef_names, factor_coef_names, strata):
    """Return the rows of a case: columns, data sets or strata in the order of given names."""
    columns, n = Columns(case), len(case.table)
    kind, *arguments = case.errors
    stratum, unit, extra = np.zeros(n, dtype=int), np.arange(n), {}
    if kind == "by":
        stratum = stratum_codes(case, arguments[0], strata)
    elif kind == "correlated":
        stratum, unit = stratum_codes(case, arguments[0], strata), codes(labels(case, arguments[1]))
    elif kind == "exchangeable":
        unit = codes(labels(case, arguments[0]))
        stratum = stratum if arguments[1] is None else stratum_codes(case, arguments[1], strata)
    elif kind == "ar1":
        unit, extra = codes(labels(case, arguments[1])), {"time": np.asarray(case.table[arguments[0]], dtype=int)}
    elif kind == "known_se":
        extra = {"se": np.asarray(case.table[arguments[0]], dtype=float)}
    elif kind == "known_cov":
        extra = {"V": np.asarray(arguments[0])}
    if case.weights is not None:
        extra["weight"] = np.asarray(case.table[case.weights], dtype=float)
    return Rows(
        y=np.asarray(case.table[case.response], dtype=float),
        X=columns.matrix(coef_names),
        Z=tuple(columns.matrix(names) for names in factor_coef_names),
        group=tuple(groups(case, own) for own in case.factors),
        kind=kind,
        stratum=stratum,
        unit=unit,
        **extra,
    )


def condition(X):
    """Return the condition number of columns, centred where there is a constant one, and scaled."""
    if X.shape[1] < 2:
        return 1.0
    constant = np.ptp(X, axis=0) == 0
    A = (X - X.mean(axis=0))[:, ~constant] if constant.any() else X
    if not A.shape[1]:
        return 1.0
    values = np.linalg.svd(A / np.linalg.norm(A, axis=0), compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else np.inf
