"""A case in the making: its random numbers, columns, names and tags."""

from __future__ import annotations

import keyword

import numpy as np
import pandas as pd

ODD_NAMES = (
    *("my col", "größe", "变量", "obs", "error", "pattern", "group_pattern", "sigma", "_x", "class", "lambda"),
    *("coef_", "theta", "b", "beta", "level", "unit", "Σ", "a b c", "Cost", "log_x", "b_g", "sd_g", "mu", "e1", "np"),
    *("factor", "dataset", "group", "effect", "quantile", "parameter", "residual", "weight", "value", "row", "x.1"),
    *("chain", "draw", "quantile", "coef", "coef_col", "b_cov_g", "n", "y_hat", "index", "theta_g", "labels", "names"),
)


class Draft:
    """Columns by a key of this package, such as x0, and the names that they have in the table."""

    def __init__(self, seed):
        self.seed = seed
        self.rng = np.random.default_rng([20240531, seed])
        self.tags = set()
        self.columns = {}
        self.names = {}
        self.numeric, self.categorical, self.far = [], [], set()
        self.factors, self.bars = [], []
        self.errors = ("independent",)
        self.n = 0
        self.odd = self.chance(0.12)
        self.wide = self.chance(0.04)
        if self.odd:
            self.tags.add("odd name")

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def pick(self, values, weights=None):
        weights = None if weights is None else np.asarray(weights) / np.sum(weights)
        return values[int(self.rng.choice(len(values), p=weights))]

    def add(self, key, values):
        """Keep a column and return its name: now and then an odd one."""
        self.columns[key] = values
        return self.name(key)

    def name(self, key):
        if key not in self.names:
            free = [odd for odd in ODD_NAMES if odd not in self.names.values()]
            self.names[key] = self.pick(free) if self.odd and free and self.chance(0.6) else key
        return self.names[key]

    def values(self, key):
        """Return a column as an array."""
        return np.asarray(self.columns[key])

    def codes(self, keys):
        """Return an integer for each combination of the labels of some columns."""
        labels = list(zip(*(self.values(key).tolist() for key in keys), strict=True))
        return pd.factorize(pd.Series(labels))[0]

    def labels(self, index, letter):
        """Return labels of a random type for integers."""
        index = np.asarray(index)
        kind = self.pick(list(LABELS), [28, 28, 4, 3, 5, 4, 8, 5, 8, 5, 2])
        if (kind == "int8" and index.max(initial=0) > 120) or (kind == "bool" and index.max(initial=0) > 1):
            kind = "int"
        return LABELS[kind](index, [f"{letter}{i:02d}" for i in range(int(index.max(initial=0)) + 1)])


LABELS = {
    "str": lambda index, text: np.array(text)[index],
    "int": lambda index, text: index + 1000 * (len(text) % 3),
    "int8": lambda index, text: index.astype(np.int8),
    "uint64": lambda index, text: index.astype(np.uint64) + np.uint64(2**40),
    "negative": lambda index, text: -7 * index,
    "float": lambda index, text: index.astype(float),
    "unicode": lambda index, text: np.array([f"ß{label} é" for label in text])[index],
    "text": lambda index, text: np.array([str(i) for i in range(len(text))])[index],
    "categorical": lambda index, text: pd.Categorical.from_codes(index, categories=text[::-1]),
    "unused": lambda index, text: pd.Categorical.from_codes(index, categories=[*text, "unused"]),
    "bool": lambda index, text: index.astype(bool),
}


def quoted(name):
    """Return a name as a formula must have it."""
    return name if name.isidentifier() and not keyword.iskeyword(name) and name.isascii() else f"`{name}`"
