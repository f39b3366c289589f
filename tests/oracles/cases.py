"""Random designs in which p, q, D, J and the group sizes are all different, for every error structure."""

from dataclasses import dataclass, replace

import numpy as np

from hierreg.design_matrices import Design, FactorDesign
from hierreg.errors.ar1 import AR1
from hierreg.errors.base import ErrorLayout
from hierreg.errors.by import By
from hierreg.errors.correlated import Correlated
from hierreg.errors.exchangeable import Exchangeable
from hierreg.errors.independent import Independent
from hierreg.errors.known_cov import KnownCov
from hierreg.errors.known_covariance import GivenCovariance, from_matrix
from hierreg.errors.known_se import KnownSE

KINDS = (
    "independent",
    "by",
    "correlated",  # units across groups
    "correlated within groups",
    "correlated, group = data set",
    "exchangeable",  # units across groups
    "exchangeable within groups",
    "exchangeable, by stratum",  # units across groups too
    "known_se",
    "known_se, scaled",
    "known_cov",
    "known_cov, scaled",
    "known_cov within groups",
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A design, an error structure, and one point of the parameters."""

    design: Design
    layout: ErrorLayout
    Lambda: np.ndarray
    error_cov: np.ndarray

    @property
    def point(self):
        return self.Lambda, self.error_cov


def spec_of(kind, V=None):
    """Return a structure of a kind; the columns are names and nothing more."""
    return {
        "independent": Independent(),
        "by": By("site"),
        "correlated": Correlated("dataset", "unit"),
        "exchangeable": Exchangeable("unit"),
        "ar1": AR1("time", "unit"),
        "known_se": KnownSE("se"),
        "known_cov": KnownCov(GivenCovariance(V=V)),
    }[kind]


def make_layout(kind, n, **changes):
    values = {
        "labels": ("sigma",),
        "dim": None,
        "n_sd": 1,
        "has_corr": False,
        "stratum": np.zeros(n, dtype=np.intp),
    }
    if changes.get("V") is not None:
        changes["V"] = from_matrix(np.asarray(changes["V"]))
    return ErrorLayout(spec=spec_of(kind, changes.get("V")), **(values | changes))


def units_with_missing(rng, n, D):
    """n rows of units in shuffled order; a unit has one to D of the data sets, in any pattern."""
    rows = []
    unit = 0
    while len(rows) < n:
        present = rng.permutation(D)[: rng.integers(1, D + 1)]
        rows += [(unit, d) for d in present]
        unit += 1
    unit, stratum = np.array(rows[:n], dtype=np.intp)[rng.permutation(n)].T
    return np.unique(unit, return_inverse=True)[1].astype(np.intp), np.ascontiguousarray(stratum)


def units_of_many_sizes(rng, n, n_strata):
    """n rows of units of 1 to 5 rows in shuffled order, each unit in one stratum."""
    sizes = [1, 2, 3, 5, 2, 4, 1, 3]
    unit = np.repeat(np.arange(n), [sizes[i % len(sizes)] for i in range(n)])[:n]
    stratum = (rng.permutation(n) % n_strata)[unit]
    order = rng.permutation(n)
    return unit[order].astype(np.intp), stratum[order].astype(np.intp)


def exchangeable_layout(rng, n, labels):
    unit, stratum = units_of_many_sizes(rng, n, len(labels))
    changes = {"labels": labels, "n_sd": len(labels), "has_corr": True, "stratum": stratum, "unit": unit}
    return make_layout("exchangeable", n, dim="kind" if len(labels) > 1 else None, **changes)


def random_layout(rng, kind, n, index):  # noqa: PLR0911  # one return a structure
    """Return the layout, and the index of groups where the structure decides it."""
    name, _, how = kind.partition(",")
    if name.startswith("exchangeable"):
        layout = exchangeable_layout(rng, n, ("P", "Q") if how else ("sigma",))
        return layout, layout.unit % (index.max() + 1) if "within" in kind else index
    if kind == "by":
        stratum = np.concatenate([np.arange(3), rng.choice(3, n - 3, p=[0.6, 0.3, 0.1])]).astype(np.intp)
        return make_layout("by", n, labels=("u", "v", "w"), dim="site", n_sd=3, stratum=stratum), index
    if name.startswith("correlated"):
        labels = ("alpha", "beta", "gamma")
        unit, stratum = units_with_missing(rng, n, 3)
        layout = make_layout(
            "correlated", n, labels=labels, dim="dataset", n_sd=3, has_corr=True, stratum=stratum, unit=unit
        )
        if how:
            return layout, stratum
        return layout, unit % (index.max() + 1) if "within" in kind else index
    if name == "known_se":
        return make_layout("known_se", n, se=rng.uniform(0.5, 2.0, n), n_sd=int(bool(how))), index
    if name.startswith("known_cov"):
        A = rng.normal(size=(n, n + 5))
        V = A @ A.T / n
        if "within" in kind:
            V = V * (index[:, None] == index)
        return make_layout("known_cov", n, V=V, n_sd=0 if kind == "known_cov" else 1), index
    return make_layout("independent", n), index


def random_case(rng, kind, *, n=37, p=3, q=2, J=5):
    """Return a random case; q = 0 has no groups. Groups are unbalanced, the rows in no order."""
    X = np.column_stack([np.ones(n), rng.normal(3.0, 1.0, n), rng.normal(-1.0, 2.0, n), rng.normal(size=n)])
    Z = np.column_stack([np.ones(n), X[:, 1], rng.normal(2.0, 1.0, n), rng.normal(size=n)])
    weights = np.arange(1.0, J + 1)
    index = np.concatenate([np.arange(J), rng.choice(J, n - J, p=weights / weights.sum())])
    index = rng.permutation(index).astype(np.intp)
    layout, index = random_layout(rng, kind, n, index)
    # Levels in the order of their rows, as a table without categories has them.
    levels = np.unique(index)
    factor = FactorDesign(
        name="g",
        levels=tuple(f"g{level}" for level in levels),
        index=np.searchsorted(levels, index).astype(np.intp),
        Z=np.ascontiguousarray(Z[:, :q]),
        coef_names=("Intercept", "x", "z", "t")[:q],
        term_sizes=(q,),
        term_correlated=(True,),
    )
    design = Design(
        response_name="y",
        y=rng.normal(2.0, 3.0, n),
        X=np.ascontiguousarray(X[:, :p]),
        coef_names=("Intercept", "x", "w", "v")[:p],
        factors=(factor,) if q else (),
    )
    D = n_components(layout)
    E = np.tril(rng.normal(size=(D, D))) + 1.5 * np.eye(D)
    error_cov = E @ E.T if layout.has_corr else np.diag(np.diagonal(E @ E.T))
    if layout.kind == "exchangeable":
        error_cov = np.diag(rng.uniform(0.3, 4.0, D))
    return Case(
        design=design,
        layout=layout,
        Lambda=rng.normal(size=(q, q)),
        error_cov=error_cov if layout.n_sd else np.eye(1),
    )


def n_components(layout):
    """Return the size of the error covariance that the likelihood takes."""
    if layout.kind != "exchangeable":
        return len(layout.labels)
    sizes = {(layout.stratum[i], int(np.sum(layout.unit == layout.unit[i]))) for i in range(len(layout.unit))}
    return len(layout.labels) + len(sizes)


def rows_of(case, rows):
    """Return the case with a subset or permutation of the rows; all labels stay."""
    design, layout = case.design, case.layout
    factors = tuple(replace(f, index=f.index[rows], Z=np.ascontiguousarray(f.Z[rows])) for f in design.factors)
    optional = {"unit": layout.unit, "se": layout.se}
    return replace(
        case,
        design=replace(design, y=design.y[rows], X=np.ascontiguousarray(design.X[rows]), factors=factors),
        layout=replace(
            layout,
            stratum=layout.stratum[rows],
            V=None if layout.V is None else from_matrix(np.asarray(layout.V)[np.ix_(rows, rows)]),
            **{name: None if value is None else value[rows] for name, value in optional.items()},
        ),
    )


def only_observed(case):
    """Return the case without the levels and data sets that no row has, as its own table would be."""
    design, layout = case.design, case.layout
    factors = []
    for factor in design.factors:
        used, index = np.unique(factor.index, return_inverse=True)
        factors.append(replace(factor, levels=tuple(factor.levels[u] for u in used), index=index.astype(np.intp)))
    used, stratum = np.unique(layout.stratum, return_inverse=True)
    labels = tuple(layout.labels[u] for u in used)
    return replace(
        case,
        design=replace(design, factors=tuple(factors)),
        layout=replace(layout, labels=labels, n_sd=len(labels) if layout.n_sd else 0, stratum=stratum.astype(np.intp)),
    )
