"""Random models: one integer, one case."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tests.fuzz.draft import Draft, quoted
from tests.fuzz.spoil import spoil


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model to be tried.

    `numeric` and `categorical` name the columns that predictors come from; `factors` the columns that make each
    grouping factor; `errors` is a kind with its arguments; `priors` say which have one of their own (see `models`), and
    `library` what kind of table hierreg is given. `collinear` and `weights` are arguments of `hr.Model`, and `given`
    says in what form it gets a known covariance. `tags` say what is special: see `NOT_ORDINARY`.
    """

    seed: int
    formula: str
    table: pd.DataFrame
    response: str = "y"
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    factors: tuple[tuple[str, ...], ...] = ()
    errors: tuple[Any, ...] = ("independent",)
    priors: str = "default"
    library: str = "pandas"
    collinear: str = "refuse"
    weights: str | None = None
    given: str = "matrix"
    tags: frozenset[str] = field(default_factory=frozenset)


# What may make hierreg refuse a case; one without any of these must be answered, or refused for a reason that
# small random tables give by themselves (`check.BY_CHANCE`).
NOT_ORDINARY = frozenset({
    *("duplicate column", "near collinear", "constant column", "constant response", "perfect fit", "fewer rows"),
    *("one group", "a group a row", "missing value", "constant stratum", "far offset", "few units", "odd name"),
    *("same factor", "truth values"),
})  # fmt: skip


# Seeds from here on have autoregressive errors, so that cases with other errors kept their numbers.
AUTOREGRESSIVE = 1_000_000


def make(seed):
    """Return the case of a seed."""
    draft = Draft(seed)
    _errors(draft)
    _predictors(draft)
    _factors(draft)
    formula = _formula(draft)
    _response(draft)
    spoil(draft)
    options = _options(draft)
    table = pd.DataFrame({draft.names[key]: values for key, values in draft.columns.items()})
    is_shuffled = draft.chance(0.3)
    if is_shuffled:
        order = draft.rng.permutation(draft.n)
        table = table.iloc[order]
        if draft.chance(0.5):
            table = table.reset_index(drop=True)
        if draft.errors[0] == "known_cov":
            draft.errors = ("known_cov", draft.errors[1][np.ix_(order, order)], draft.errors[2])
    if options["given"] == "labelled":
        table.index = [f"row {r}" for r in range(len(table))]
    elif options["given"] == "blocks" and is_shuffled:
        options["given"] = "sparse"
    priors = draft.pick(["default", "given", "partial", "fixed"], [40, 30, 20, 10])
    library = draft.pick(["pandas", "polars", "pyarrow", "dict"], [80, 10, 5, 5])
    return Case(
        seed=seed,
        formula=formula,
        table=table,
        response=draft.names["y"],
        numeric=tuple(draft.names[x] for x in draft.numeric),
        categorical=tuple(draft.names[c] for c in draft.categorical),
        factors=tuple(tuple(draft.names[key] for key in keys) for keys in draft.factors),
        errors=draft.errors,
        priors=priors,
        library="pandas" if options["given"] == "labelled" else library,
        tags=frozenset(draft.tags),
        **options,
    )


def _options(draft):
    """Return further arguments, from random numbers of their own: what a case was without them it stays."""
    rng = np.random.default_rng([20240602, draft.seed])
    spoilt = bool(draft.tags & {"duplicate column", "near collinear", "constant column", "fewer rows"})
    out = {"collinear": "drop" if rng.random() < (0.5 if spoilt else 0.1) else "refuse", "weights": None}
    if draft.errors[0] in {"independent", "by"} and rng.random() < 0.15:
        counts = rng.integers(1, 20, draft.n).astype(float)
        draft.columns["w"] = counts if rng.random() < 0.5 else np.exp(rng.normal(0, rng.choice([0.5, 3.0]), draft.n))
        draft.names["w"] = out["weights"] = "w"
    out["given"] = str(rng.choice(["matrix", "blocks", "sparse", "labelled"])) if draft.errors[0] == "known_cov" else ""
    if out["given"] in {"blocks", "sparse"}:
        size = int(rng.integers(1, 5))
        block = np.arange(draft.n) // size
        V = draft.errors[1] * (block[:, None] == block)
        draft.errors = ("known_cov", V, draft.errors[2])
    return out


# ---- rows and errors


def _errors(draft):
    """Choose the error structure first: it says how rows come in units."""
    rng = draft.rng
    draft.name("y")
    kinds = ["independent", "by", "correlated", "exchangeable", "known_se", "known_cov"]
    kind = draft.pick(kinds, [32, 16, 22, 12, 10, 8])
    draft.n = int(draft.pick([rng.integers(3, 13), rng.integers(12, 31), rng.integers(30, 56)], [35, 50, 15]))
    kind = "ar1" if draft.seed >= AUTOREGRESSIVE else kind
    if kind != "independent":
        draft.errors = globals()[f"_{kind}"](draft, draft.n)


def _by(draft, n):
    D = int(draft.pick([2, 3, min(30, max(2, n // 2))], [60, 30, 10]))
    return "by", draft.add("s", draft.labels(_all_of(D, n, draft.rng), "b"))


def _known_se(draft, n):
    return "known_se", draft.add("se", np.exp(draft.rng.normal(0, 0.7, n)) * _mismatch(draft)), draft.chance(0.5)


def _mismatch(draft):
    """Return by how much known errors are too large or too small beside the response."""
    return 10.0 ** draft.rng.uniform(-3, 3) if draft.chance(0.2) else 1.0


def _known_cov(draft, n):
    A = draft.rng.normal(size=(n, n + 3)) * np.exp(draft.rng.normal(0, 0.7, n))[:, None]
    A *= _mismatch(draft)
    if draft.chance(0.1):
        A *= 10.0 ** draft.rng.uniform(-3, 3, n)[:, None]
    V = A @ A.T / n
    if draft.chance(0.15):
        V = np.diag(np.diagonal(V))
    return "known_cov", V, draft.chance(0.5)


def _correlated(draft, n):
    D = int(draft.pick([2, 3, 4, draft.rng.integers(5, 31)], [60, 24, 10, 6]))
    units = max(3, min(n, 60) // D)
    if units <= D + 2:
        draft.tags.add("few units")
    kept = draft.rng.random(units * D) < draft.pick([1.0, 0.8, 0.5], [40, 40, 20])
    kept[:D] = True
    unit, stratum = np.repeat(np.arange(units), D)[kept], np.tile(np.arange(D), units)[kept]
    draft.n = len(unit)
    return (
        "correlated",
        draft.add("s", draft.labels(stratum, "d")),
        draft.add("u", draft.labels(pd.factorize(unit)[0], "u")),
    )


def _exchangeable(draft, n):
    sizes = draft.rng.integers(1, int(draft.pick([3, 4, 7])), max(3, n // 2))
    sizes[:2] = np.maximum(2, sizes[0])
    unit = np.repeat(np.arange(len(sizes)), sizes)
    draft.n = len(unit)
    name = draft.add("u", draft.labels(unit, "u"))
    by = draft.add("s", draft.labels((np.arange(len(sizes)) % 2)[unit], "b")) if draft.chance(0.4) else None
    return "exchangeable", name, by, draft.chance(0.5)


def _ar1(draft, n):
    sizes = draft.rng.integers(1, int(draft.pick([3, 5, 12])), max(3, n // 3))
    sizes[0] = max(2, sizes[0])
    unit = np.repeat(np.arange(len(sizes)), sizes)
    draft.n = len(unit)
    gaps = draft.rng.integers(1, int(draft.pick([2, 4, 30])), draft.n)
    gaps[:2] = 1  # one gap that is odd
    time = np.cumsum(gaps) + int(draft.pick([0, 2012, -40]))
    return "ar1", draft.add("t", time), draft.add("u", draft.labels(unit, "u"))


def _all_of(levels, n, rng):
    """Return n integers below `levels`, each at least once where there is room."""
    return np.concatenate([np.arange(min(levels, n)), rng.integers(0, levels, max(0, n - levels))])[:n]


# ---- predictors


def _predictors(draft):
    count = int(draft.pick([0, 1, 2, 3], [15, 40, 30, 15]))
    if draft.wide:
        count = int(draft.rng.integers(5, 51))
        draft.tags.add("wide")
        if draft.errors[0] == "independent" and draft.chance(0.6):
            draft.n = count + int(draft.rng.integers(3, 20))
    draft.numeric = [f"x{i}" for i in range(count)]
    for x in draft.numeric:
        draft.add(x, _numbers(draft, x))
    if draft.far:
        draft.tags.add("far offset")
    if draft.chance(0.3) and not draft.wide:
        levels = int(draft.rng.integers(2, 4))
        draft.categorical = ["c"]
        index = draft.rng.permutation(_all_of(levels, draft.n, draft.rng))
        draft.add("c", np.array(["a", "b", "zz"])[index])


def _numbers(draft, x):
    """Return a predictor: its distance from zero, its unit and its type are random."""
    rng, n = draft.rng, draft.n
    values = rng.normal(size=n) if draft.chance(0.75) else rng.integers(0, 5, n).astype(float)
    if draft.chance(0.25):
        offset = float(draft.pick([3.0, 30.0, 2e3, 1e6, 1e9], [25, 25, 25, 15, 10]))
        values = values + offset
        if offset >= 1e3:
            draft.far.add(x)
    if draft.chance(0.2):
        return values * 10.0 ** float(draft.pick([-12, -6, -3, 3, 6, 12]))
    if draft.chance(0.15) and x not in draft.far:
        kind = draft.pick([np.int64, np.int8, np.float32, np.uint16])
        return (np.abs(np.round(values)) if kind is np.uint16 else values).astype(kind)
    return values


# ---- groups


def _factors(draft):
    kind = draft.pick(["none", "one", "two terms", "crossed", "nested", "data set"], [18, 46, 6, 16, 9, 5])
    if kind == "data set" and "s" in draft.columns:
        draft.factors, draft.bars = [("s",)], [_bar(draft, "s")]
        return
    if kind == "none":
        return
    if kind in {"crossed", "nested"} and draft.errors[0] == "known_cov" and draft.chance(0.95):
        kind = "one"  # several factors beside a known covariance are refused
    several = kind in {"crossed", "nested"}
    unit = np.arange(draft.n)
    if "u" in draft.columns and draft.chance(0.9 if several else 0.45):
        unit = draft.codes(["u"])  # groups of whole units
    _first_factor(draft, unit)
    if kind == "two terms" and draft.numeric:
        draft.bars = ["(1 | {g})", "(0 + {" + draft.pick(draft.numeric) + "} | {g})"]
    if several:
        _second_factor(draft, unit, is_nested=kind == "nested")


def _first_factor(draft, unit):
    m = int(unit.max()) + 1
    J = int(draft.pick([1, 2, 3, max(2, m // 4), max(2, m // 2), m], [2, 10, 15, 38, 30, 5]))
    index = _all_of(J, m, draft.rng)
    index = (np.sort(index) if draft.chance(0.5) else index)[unit]
    groups = len(np.unique(index))
    if groups == draft.n:
        draft.tags.add("a group a row")
    if groups == 1:
        draft.tags.add("one group")
    draft.add("g", draft.labels(index, "g"))
    draft.factors, draft.bars = [("g",)], [_bar(draft, "g")]


def _second_factor(draft, unit, *, is_nested):
    second = draft.rng.permutation(_all_of(int(draft.rng.integers(2, 6)), int(unit.max()) + 1, draft.rng))[unit]
    draft.add("h", draft.labels(second, "h"))
    pairs = len(np.unique(draft.codes(["g", "h"])))
    groups = [len(np.unique(draft.codes([key]))) for key in ("g", "h")]
    if is_nested:
        draft.factors, draft.bars = [("g",), ("g", "h")], ["(1 | {g}/{h})"]
        if pairs == draft.n:
            draft.tags.add("a group a row")
        if pairs == groups[0]:
            draft.tags.add("same factor")
        return
    draft.factors = [("g",), ("h",)]
    draft.bars.append(_bar(draft, "h") if draft.chance(0.3) else "(1 | {h})")
    if pairs == groups[0] == groups[1]:
        draft.tags.add("same factor")


def _bar(draft, factor):
    bar = draft.pick(["|", "||"], [70, 30])
    left = "1"
    if draft.numeric:
        some = draft.numeric[:2] if draft.chance(0.2) else [draft.pick(draft.numeric)]
        terms = " + ".join("{" + x + "}" for x in some)
        left = draft.pick(["1", terms, f"0 + {terms}"], [40, 45, 15])
    if draft.categorical and draft.chance(0.1):
        left = draft.pick(["{c}", "0 + {c}"])
    return f"({left} {bar} " + "{" + factor + "})"


# ---- formula and response


def _formula(draft):
    terms = ["{" + x + "}" for x in draft.numeric]
    terms += _powers(draft, terms)
    if len(draft.numeric) > 1 and draft.chance(0.2) and not draft.wide:
        terms.append("{x0}:{x1}")
    if draft.categorical:
        terms.append("{c}")
        if draft.numeric and draft.chance(0.3):
            terms.append("{c}:{x0}")
    intercept = draft.pick(["", "1", "0"], [75, 10, 15])
    if intercept:
        terms.insert(0, intercept)
    if not terms or (terms == ["0"] and not draft.bars):
        terms = ["1"]
    text = " + ".join(["{y} ~ " + terms[0], *terms[1:], *draft.bars])
    return text.format_map({key: quoted(name) for key, name in draft.names.items()})


def _powers(draft, terms):
    """Return a quadratic term of a predictor that is near enough to zero, taking its linear one away for poly."""
    near = [x for x in draft.numeric if x not in draft.far and len(np.unique(draft.columns[x])) > 2]
    if not near or not draft.chance(0.15):
        return []
    x = draft.pick(near)
    if draft.chance(0.5):
        return ["I({" + x + "} ** 2)"]
    terms.remove("{" + x + "}")
    return ["poly({" + x + "}, 2)"]


def _response(draft):
    rng = draft.rng
    y = rng.normal(size=draft.n) * draft.pick([1.0, 0.3, 3.0])
    for x in draft.numeric:
        values = draft.values(x).astype(float)
        y = y + rng.normal() * (values - values.mean()) / (values.std() or 1.0)
    for keys in draft.factors:
        index = draft.codes(keys)
        y = y + rng.normal(size=index.max() + 1)[index] * draft.pick([0.0, 0.5, 2.0])
    if "s" in draft.columns and draft.chance(0.3):
        y = y * np.exp(rng.normal(0, draft.pick([0.5, 2.0, 8.0], [50, 40, 10]), 64))[draft.codes(["s"])]
    if draft.chance(0.2):
        y = y + float(draft.pick([10.0, 1e3, 1e6, 1e9]))
    if draft.chance(0.2):
        unit = 10.0 ** float(draft.pick([-12, -6, 6, 12]))
        y = y * unit
        if not draft.chance(0.05):
            _known_errors_in(draft, unit)
    draft.columns = {"y": y, **draft.columns}


def _known_errors_in(draft, unit):
    """Give known errors the unit of the response."""
    if "se" in draft.columns:
        draft.columns["se"] = draft.columns["se"] * unit
    if draft.errors[0] == "known_cov":
        draft.errors = ("known_cov", draft.errors[1] * unit**2, draft.errors[2])
