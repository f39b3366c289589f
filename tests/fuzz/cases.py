"""Random models: one integer, one case."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

ODD_NAMES = (
    *("my col", "größe", "变量", "obs", "error", "pattern", "group_pattern", "sigma", "_x", "class", "lambda"),
    *("coef_", "theta", "b", "beta", "level", "unit", "Σ", "a b c", "Cost", "log_x", "b_g", "sd_g", "mu", "e1", "np"),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model to be tried.

    `numeric` and `categorical` name the columns that predictors come from; `factors` the columns that make each
    grouping factor; `errors` is a kind with its arguments; `priors` are described in plain values, see `Priors` in
    `models`. `tags` say what is special about it: with none of `NOT_ORDINARY` it must be answered.
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
    tags: frozenset[str] = field(default_factory=frozenset)


# What may make hierreg refuse a case.
NOT_ORDINARY = frozenset({
    *("duplicate column", "near collinear", "constant column", "constant response", "perfect fit", "fewer rows"),
    *("one group", "a group a row", "missing value", "constant stratum", "far offset", "few units", "tiny", "odd name"),
    *("same factor", "empty cell", "unit groups", "spread units", "bool response", "infinite value"),
})  # fmt: skip


def quoted(name):
    return name if name.isidentifier() and not keyword.iskeyword(name) and name.isascii() else f"`{name}`"


def make(seed):
    """Return the case of a seed."""
    return _Maker(seed).case()


class _Maker:
    """Draws one case; methods are in the order of a table's making."""

    def __init__(self, seed):
        self.seed = seed
        self.rng = np.random.default_rng([20240531, seed])
        self.tags = set()
        self.columns = {}
        self.names = {}

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def pick(self, values, weights=None):
        weights = None if weights is None else np.asarray(weights) / np.sum(weights)
        return values[int(self.rng.choice(len(values), p=weights))]

    # ---- rows

    def case(self):
        self.kind = self.pick(
            ["independent", "by", "correlated", "exchangeable", "known_se", "known_cov"], [32, 16, 22, 12, 10, 8]
        )
        self.odd = self.chance(0.12)
        if self.odd:
            self.tags.add("odd name")
        self.wide = self.chance(0.04)
        self._rows()
        self._predictors()
        self._factors()
        formula = self._formula()
        self._response()
        self._spoil()
        table = pd.DataFrame({self.names[key]: values for key, values in self.columns.items()})
        if self.chance(0.3):
            table = table.sample(frac=1.0, random_state=int(self.rng.integers(1 << 31)))
            if self.errors[0] == "known_cov":
                order = table.index.to_numpy()
                self.errors = (*self.errors[:1], self.errors[1][np.ix_(order, order)], *self.errors[2:])
            table = table.reset_index(drop=True) if self.chance(0.5) else table
        return Case(
            seed=self.seed,
            formula=formula,
            table=table,
            response=self.names["y"],
            numeric=tuple(self.names[x] for x in self.numeric),
            categorical=tuple(self.names[c] for c in self.categorical),
            factors=tuple(tuple(self.names[c] for c in columns) for columns in self.factor_columns),
            errors=self.errors,
            priors=self.pick(["default", "given", "partial", "fixed"], [40, 30, 20, 10]),
            tags=frozenset(self.tags),
        )

    def name(self, key):
        if key not in self.names:
            free = [odd for odd in ODD_NAMES if odd not in self.names.values()]
            self.names[key] = self.pick(free) if self.odd and free and self.chance(0.6) else key
        return self.names[key]

    def _rows(self):
        """Error structure first: it says how rows come in units."""
        rng = self.rng
        n = int(self.pick([rng.integers(3, 13), rng.integers(12, 31), rng.integers(30, 56)], [35, 50, 15]))
        self.name("y")
        if self.kind in {"correlated", "exchangeable"}:
            self._units(n)
            return
        self.n = n
        if self.kind == "by":
            D = int(self.pick([2, 3, min(30, max(2, n // 2))], [60, 30, 10]))
            stratum = np.concatenate([np.arange(min(D, n)), rng.integers(0, D, max(0, n - D))])[:n]
            self.columns["s"] = self._labels(stratum, "by")
            self.name("s")
            self.errors = ("by", self.names["s"])
        elif self.kind == "known_se":
            se = np.exp(rng.normal(0, 0.7, n)) * 10.0 ** (rng.uniform(-6, 6) if self.chance(0.2) else 0.0)
            self.columns["se"] = se
            self.name("se")
            self.errors = ("known_se", self.names["se"], self.chance(0.5))
        elif self.kind == "known_cov":
            A = rng.normal(size=(n, n + 3)) * np.exp(rng.normal(0, 0.7, n))[:, None]
            if self.chance(0.2):
                A *= 10.0 ** rng.uniform(-8, 8)
            self.errors = ("known_cov", A @ A.T / n, self.chance(0.5))
        else:
            self.errors = ("independent",)

    def _units(self, n):
        rng = self.rng
        if self.kind == "correlated":
            D = int(self.pick([2, 3, 4, rng.integers(5, 31)], [60, 24, 10, 6]))
            m = max(3, min(n, 60) // D)
            if m <= D + 2:
                self.tags.add("few units")
            unit, stratum = np.repeat(np.arange(m), D), np.tile(np.arange(D), m)
            kept = rng.random(m * D) < self.pick([1.0, 0.8, 0.5], [40, 40, 20])
            kept[:D] = True
            unit, stratum = unit[kept], stratum[kept]
            self.columns |= {"s": self._labels(stratum, "data set"), "u": self._labels(unit, "unit")}
            self.name("s"), self.name("u")
            self.errors = ("correlated", self.names["s"], self.names["u"])
        else:
            sizes = rng.integers(1, int(self.pick([3, 4, 7])), max(3, n // 2))
            sizes[0] = sizes[1] = max(2, sizes[0])
            unit = np.repeat(np.arange(len(sizes)), sizes)
            self.columns["u"] = self._labels(unit, "unit")
            self.name("u")
            by = None
            if self.chance(0.4):
                stratum = (np.arange(len(sizes)) % 2)[unit]
                self.columns["s"] = self._labels(stratum, "by")
                by = self.name("s")
            self.errors = ("exchangeable", self.names["u"], by, self.chance(0.5))
        self.n = len(unit)

    def _labels(self, index, what):
        """Return labels of some type for integers."""
        index = np.asarray(index)
        kinds = ["str", "int", "int8", "negative", "float", "unicode", "categorical", "unused", "numeric text"]
        kind = self.pick(kinds, [30, 30, 5, 5, 4, 8, 8, 5, 5])
        if kind == "int8" and index.max(initial=0) > 120:
            kind = "int"
        text = [f"{what[0]}{i:02d}" for i in range(int(index.max(initial=0)) + 1)]
        match kind:
            case "int":
                return index + int(self.rng.integers(0, 3)) * 1000
            case "int8":
                return index.astype(np.int8)
            case "negative":
                return -7 * index
            case "float":
                return index.astype(float)
            case "unicode":
                return np.array([f"ß{t} é" for t in text])[index]
            case "numeric text":
                return np.array([str(i) for i in range(len(text))])[index]
            case "categorical":
                return pd.Categorical.from_codes(index, categories=text[::-1])
            case "unused":
                return pd.Categorical.from_codes(index, categories=[*text, "unused"])
        return np.array(text)[index]

    # ---- predictors

    def _predictors(self):
        rng, n = self.rng, self.n
        count = int(self.pick([0, 1, 2, 3], [15, 40, 30, 15]))
        if self.wide:
            count = int(rng.integers(5, 51))
            self.tags.add("wide")
        self.numeric = [f"x{i}" for i in range(count)]
        self.far = set()
        for x in self.numeric:
            values = rng.normal(size=n) if self.chance(0.75) else rng.integers(0, 5, n).astype(float)
            if self.chance(0.25):
                offset = float(self.pick([3.0, 30.0, 2e3, 1e6, 1e9], [25, 25, 25, 15, 10]))
                values = values + offset
                if offset >= 1e3:
                    self.far.add(x)
            if self.chance(0.2):
                values = values * 10.0 ** float(self.pick([-12, -6, -3, 3, 6, 12]))
            if self.chance(0.1) and not self.far:
                values = np.round(values).astype(int) if np.abs(values).max() < 1e6 else values
            self.columns[x] = values
            self.name(x)
        self.categorical = []
        if self.chance(0.3) and not self.wide:
            levels = int(rng.integers(2, 4))
            self.categorical = ["c"]
            index = np.concatenate([np.arange(levels), rng.integers(0, levels, max(0, n - levels))])[:n]
            self.columns["c"] = np.array(["a", "b", "zz"])[rng.permutation(index)]
            self.name("c")
        if self.far:
            self.tags.add("far offset")

    def _factors(self):
        rng, n = self.rng, self.n
        self.factor_columns, self.bars = [], []
        kind = self.pick(["none", "one", "two", "crossed", "nested", "data set"], [18, 46, 6, 16, 9, 5])
        if kind == "data set" and "s" not in self.columns:
            kind = "one"
        if kind in {"crossed", "nested"} and self.kind == "known_cov" and self.chance(0.95):
            kind = "one"
        if kind == "none":
            return
        if kind == "data set":
            self.factor_columns = [("s",)]
            self.bars = [self._bar("s")]
            return
        J = int(self.pick([2, 3, max(2, n // 4), max(2, n // 2), n], [10, 15, 40, 30, 5]))
        index = np.concatenate([np.arange(min(J, n)), rng.integers(0, J, max(0, n - J))])[:n]
        whole_units = "u" in self.columns and (kind in {"crossed", "nested"} or self.chance(0.5)) and self.chance(0.9)
        unit = pd.factorize(np.asarray(self.columns["u"]))[0] if whole_units else np.arange(n)
        if whole_units:
            index = index[unit] if J < n else unit // 2
        elif kind == "one" and self.chance(0.5):
            index = np.sort(index)
        if len(np.unique(index)) == n:
            self.tags.add("a group a row")
        if self.chance(0.02):
            index[:] = 0
        if len(np.unique(index)) == 1:
            self.tags.add("one group")
        self.columns["g"] = self._labels(index, "group")
        self.name("g")
        self.factor_columns = [("g",)]
        self.bars = [self._bar("g")]
        if kind == "two" and self.numeric:
            self.bars = ["(1 | {g})", "(0 + {" + self.pick(self.numeric) + "} | {g})"]
        if kind in {"crossed", "nested"}:
            H = int(rng.integers(2, 6))
            second = rng.integers(0, H, n)[unit]
            if n >= H and not whole_units:
                second[rng.permutation(n)[:H]] = np.arange(H)
            self.columns["h"] = self._labels(second, "h")
            self.name("h")
            if kind == "nested":
                self.factor_columns = [("g",), ("g", "h")]
                self.bars = ["(1 | {g}/{h})"]
                pairs = len(set(zip(index.tolist(), second.tolist(), strict=True)))
                if pairs == n or pairs == len(np.unique(index)):
                    self.tags.add("a group a row")
            else:
                self.factor_columns = [("g",), ("h",)]
                self.bars.append(self._bar("h") if self.chance(0.3) else "(1 | {h})")
                if self._same(index, second):
                    self.tags.add("same factor")

    @staticmethod
    def _same(first, second):
        pairs = len(set(zip(first.tolist(), second.tolist(), strict=True)))
        return pairs == len(np.unique(first)) == len(np.unique(second)) or pairs == len(first)

    def _bar(self, factor):
        bar = self.pick(["|", "||"], [70, 30])
        right = "{" + factor + "}"
        left = "1"
        if self.numeric:
            some = [self.pick(self.numeric)]
            if len(self.numeric) > 1 and self.chance(0.2):
                some = self.numeric[:2]
            terms = " + ".join("{" + x + "}" for x in some)
            left = self.pick(["1", terms, f"0 + {terms}"], [40, 45, 15])
        if self.categorical and self.chance(0.1):
            left = self.pick(["{c}", "0 + {c}"])
        return f"({left} {bar} {right})"

    def _formula(self):
        near = [x for x in self.numeric if x not in self.far]
        terms = ["{" + x + "}" for x in self.numeric]
        if near and self.chance(0.15):
            x = self.pick(near)
            if len(np.unique(self.columns[x])) > 2 and np.abs(np.mean(self.columns[x])) < 50 * np.std(self.columns[x]):
                terms.append(self.pick(["I({%s} ** 2)" % x, "poly({%s}, 2)" % x]))
                if terms[-1].startswith("poly"):
                    terms.remove("{" + x + "}")
        if len(self.numeric) > 1 and self.chance(0.2) and not self.wide:
            terms.append("{x0}:{x1}")
        if self.categorical:
            terms.append("{c}")
            if self.numeric and self.chance(0.3):
                terms.append("{c}:{x0}")
        intercept = self.pick(["", "1", "0"], [75, 10, 15])
        if intercept:
            terms.insert(0, intercept)
        if not terms:
            terms = ["1"]
        text = " + ".join(["{y} ~ " + terms[0], *terms[1:], *self.bars])
        if terms == ["0"] and not self.bars:
            text = "{y} ~ 1"
        return text.format_map({key: quoted(name) for key, name in self.names.items()})

    # ---- response

    def _response(self):
        rng, n = self.rng, self.n
        y = rng.normal(size=n) * self.pick([1.0, 0.3, 3.0])
        for x in self.numeric:
            values = np.asarray(self.columns[x], dtype=float)
            y = y + rng.normal() * (values - values.mean()) / (values.std() or 1.0)
        for columns in self.factor_columns:
            codes = pd.factorize(pd.Series(list(zip(*(np.asarray(self.columns[c]) for c in columns), strict=True))))[0]
            y = y + rng.normal(size=codes.max() + 1)[codes] * self.pick([0.0, 0.5, 2.0])
        if "s" in self.columns and self.chance(0.3):
            y = y * np.exp(rng.normal(0, 2, 64))[pd.factorize(np.asarray(self.columns["s"]))[0]]
        if self.chance(0.2):
            offset = float(self.pick([10.0, 1e3, 1e6, 1e9]))
            y = y + offset
            if offset > 1e3:
                self.tags.add("far response")
        if self.chance(0.2):
            y = y * 10.0 ** float(self.pick([-12, -6, 6, 12]))
        self.columns["y"] = y
        self.columns = {"y": self.columns.pop("y"), **self.columns}

    def _spoil(self):
        """Make a few cases impossible, or nearly so."""
        rng, n = self.rng, self.n
        if self.chance(0.76):
            return
        what = self.pick(
            ["duplicate", "near", "constant", "flat", "perfect", "missing", "stratum", "infinite", "bool", "rounded"]
        )
        if what in {"duplicate", "near"} and len(self.numeric) > 1:
            one = np.asarray(self.columns["x0"], dtype=float)
            if what == "duplicate":
                self.columns["x1"] = one.copy()
                self.tags.add("duplicate column")
            else:
                away = 10.0 ** rng.uniform(-9, -2)
                self.columns["x1"] = one + away * one.std() * rng.normal(size=n)
                self.tags.add("near collinear")
        elif what == "constant" and self.numeric:
            self.columns["x0"] = np.full(n, float(self.pick([0.0, 1.0, 0.1, 1e9])))
            self.tags.add("constant column")
        elif what == "flat":
            self.columns["y"] = np.full(n, float(self.pick([0.0, 1.0, 0.1, 1e9 + 0.1])))
            self.tags.add("constant response")
        elif what == "perfect" and self.numeric:
            self.columns["y"] = 3.0 - 2.0 * np.asarray(self.columns["x0"], dtype=float)
            self.tags.add("perfect fit")
        elif what == "missing":
            key = self.pick(list(self.columns))
            if np.asarray(self.columns[key]).dtype.kind == "f":
                values = np.array(self.columns[key], dtype=float)
                values[int(rng.integers(n))] = self.pick([np.nan, np.inf])
                self.columns[key] = values
                self.tags.add("missing value")
        elif what == "stratum" and "s" in self.columns:
            codes = pd.factorize(np.asarray(self.columns["s"]))[0]
            self.columns["y"] = np.where(codes == 0, 0.1, self.columns["y"])
            self.tags.add("constant stratum")
        elif what == "bool":
            self.columns["y"] = np.asarray(self.columns["y"]) > np.median(self.columns["y"])
            self.tags.add("bool response")
        elif what == "rounded":
            y = np.asarray(self.columns["y"])
            self.columns["y"] = np.round((y - y.mean()) / (y.std() or 1.0))
            self.tags.add("tiny")
