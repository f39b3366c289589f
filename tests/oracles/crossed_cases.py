"""Random designs with several grouping factors: crossed, nested, and both; slopes in each; all sizes different."""

from dataclasses import replace

import numpy as np

from hierreg.design_matrices import FactorDesign
from tests.oracles.cases import Case, exchangeable_layout, make_layout, random_case, units_with_missing

KINDS = (
    "independent",
    "by",
    "known_se",
    "known_se, scaled",
    "correlated within groups",
    "exchangeable within groups",
    "known_cov in blocks",
    "known_cov",
)
# Columns and levels of each factor; "in" nests a factor in the one before it.
SHAPES = {
    "crossed": (("s", 2, 7), ("d", 1, 4), ("c", 3, 3)),
    "two crossed, the large one last": (("d", 2, 3), ("s", 1, 8)),
    "nested": (("a", 1, 3), ("a:b", 2, 9)),
    "nested twice": (("a", 2, 3), ("a:b", 1, 6), ("a:b:c", 1, 12)),
    "nested and crossed": (("c", 2, 3), ("a", 1, 4), ("a:b", 2, 9)),
    "as many levels": (("s", 2, 5), ("d", 2, 5)),
}


def random_crossed_case(rng, shape, kind="independent", *, n=45, p=3):
    """Return a random case; its Lambda is block diagonal over the factors, with a row of zeros in none."""
    base = random_case(rng, "independent", n=n, p=p)
    layout, unit = _layout(rng, kind, n)
    cells = unit.max() + 1
    columns = np.column_stack([base.design.X, rng.normal(2.0, 1.0, n)])
    factors, above = [], np.zeros(cells, dtype=np.intp)
    for place, (name, q, J) in enumerate(SHAPES[shape]):
        index = _levels(rng, cells, J)
        if ":" in name:
            children = J // (above.max() + 1)
            index = above * children + rng.integers(0, children, cells)
        if name != "c":
            above = index
        levels, index = np.unique(index[unit], return_inverse=True)
        factors.append(
            FactorDesign(
                name=name,
                levels=tuple(f"{name}{level}" for level in levels),
                index=index.astype(np.intp),
                Z=np.ascontiguousarray(columns[:, [0, 1 + place % 2, 3][:q]]),
                coef_names=("Intercept", f"x{place % 2}", "t")[:q],
                term_sizes=(q,),
                term_correlated=(True,),
            )
        )
    q = sum(factor.Z.shape[1] for factor in factors)
    Lambda, start = np.zeros((q, q)), 0
    for factor in factors:
        here = slice(start, start + factor.Z.shape[1])
        Lambda[here, here] = rng.normal(size=(here.stop - start,) * 2)
        start = here.stop
    D = len(layout.labels)
    # A factor with a diagonal away from zero: rounding grows with the condition of the errors.
    E = np.tril(rng.normal(size=(D, D)), -1) + np.diag(rng.uniform(1.0, 2.5, D))
    error_cov = E @ E.T if layout.has_corr else np.diag(np.diagonal(E @ E.T))
    if layout.kind == "exchangeable":
        sizes = {int(np.sum(layout.unit == u)) for u in layout.unit}
        error_cov = np.diag(rng.uniform(0.3, 4.0, 1 + len(sizes)))
    return Case(
        design=replace(base.design, factors=tuple(factors)),
        layout=layout,
        Lambda=Lambda,
        error_cov=error_cov if layout.n_sd else np.eye(1),
    )


def _levels(rng, n, J):
    weights = np.arange(1.0, J + 1)
    return rng.permutation(np.concatenate([np.arange(J), rng.choice(J, n, p=weights / weights.sum())])[:n])


def _layout(rng, kind, n):
    """Return the layout and the unit of each row, which decides its groups."""
    rows = np.arange(n)
    if kind == "by":
        stratum = rng.permutation(rows % 3).astype(np.intp)
        return make_layout("by", n, labels=("u", "v", "w"), dim="site", n_sd=3, stratum=stratum), rows
    if kind.startswith("known_se"):
        return make_layout("known_se", n, se=rng.uniform(0.5, 2.0, n), n_sd=int("scaled" in kind)), rows
    if kind.startswith("correlated"):
        unit, stratum = units_with_missing(rng, n, 3)
        labels = ("alpha", "beta", "gamma")
        changes = {"labels": labels, "dim": "dataset", "n_sd": 3, "has_corr": True, "stratum": stratum, "unit": unit}
        return make_layout("correlated", n, **changes), unit
    if kind.startswith("exchangeable"):
        layout = exchangeable_layout(rng, n, ("sigma",))
        return layout, layout.unit
    if kind.startswith("known_cov"):
        A = rng.normal(size=(n, n + 5))
        V = A @ A.T / n
        if "blocks" in kind:
            block = rng.integers(0, n // 3, n)
            V *= block[:, None] == block
        return make_layout("known_cov", n, V=V), rows
    return make_layout("independent", n), rows
