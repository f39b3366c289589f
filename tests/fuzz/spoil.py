"""What makes a case impossible, or nearly so."""

from __future__ import annotations

import numpy as np


def spoil(draft):
    """Change the columns of a few drafts, and tag them."""
    if draft.chance(0.76):
        return
    change = draft.pick([
        *(_duplicate, _near, _constant, _flat, _perfect, _missing, _flat_stratum, _truth, _rounded, _ties, _fewer),
    ])  # fmt: skip
    change(draft)


def _duplicate(draft):
    if len(draft.numeric) > 1:
        draft.columns["x1"] = draft.values("x0").astype(float) * draft.pick([1.0, -1.0, 1e6, 0.1])
        draft.tags.add("duplicate column")


def _near(draft):
    if len(draft.numeric) > 1:
        one, away = draft.values("x0").astype(float), 10.0 ** draft.rng.uniform(-9, -2)
        draft.columns["x1"] = one + away * one.std() * draft.rng.normal(size=draft.n)
        draft.tags.add("near collinear")


def _constant(draft):
    if draft.numeric:
        draft.columns["x0"] = np.full(draft.n, float(draft.pick([0.0, 1.0, 0.1, 1e9])))
        draft.tags.add("constant column")


def _flat(draft):
    draft.columns["y"] = np.full(draft.n, float(draft.pick([0.0, 1.0, 0.1, 1e9 + 0.1])))
    draft.tags.add("constant response")


def _perfect(draft):
    if draft.numeric:
        draft.columns["y"] = 3.0 - 2.0 * draft.values("x0").astype(float)
    elif draft.factors:
        draft.columns["y"] = 0.1 * draft.codes(draft.factors[0])
    draft.tags.add("perfect fit")


def _missing(draft):
    key = draft.pick(list(draft.columns))
    if draft.values(key).dtype.kind == "f":
        values = np.array(draft.columns[key], dtype=float)
        values[int(draft.rng.integers(draft.n))] = draft.pick([np.nan, np.inf])
        draft.columns[key] = values
        draft.tags.add("missing value")


def _flat_stratum(draft):
    if "s" in draft.columns:
        draft.columns["y"] = np.where(draft.codes(["s"]) == 0, 0.1, draft.columns["y"])
        draft.tags.add("constant stratum")


def _truth(draft):
    draft.columns["y"] = draft.values("y") > np.median(draft.columns["y"])
    draft.tags.add("truth values")


def _rounded(draft):
    y = draft.values("y")
    draft.columns["y"] = np.round((y - y.mean()) / (y.std() or 1.0))


def _ties(draft):
    """Leave the response without variation within the groups of the first factor."""
    if draft.factors:
        index = draft.codes(draft.factors[0])
        draft.columns["y"] = draft.rng.normal(size=index.max() + 1)[index]
        draft.tags.add("perfect fit")


def _fewer(draft):
    """Leave fewer rows than there are coefficients, as many, or one more."""
    count = len(draft.numeric) + 1
    if draft.errors[0] in {"independent", "by"} and 1 < count < draft.n:
        draft.n = max(2, count + int(draft.rng.integers(-1, 2)))
        draft.columns = {key: values[: draft.n] for key, values in draft.columns.items()}
        draft.tags.add("fewer rows")
