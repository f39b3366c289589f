"""A table with every kind of column, its error structures, and batches of it."""

from dataclasses import replace

import numpy as np
import pandas as pd

import hierreg as hr
from hierreg.likelihood.engines import marginal_likelihood


def table(rng, n=60, *, shift=0.0):
    g = rng.integers(0, 7, n)
    x = rng.normal(2.0, 1.0, n)
    frame = pd.DataFrame(
        {
            "x": x + shift,
            "c": np.array(["u", "v", "w"])[np.arange(n) % 3],
            "site": np.array(["s", "t"])[rng.integers(0, 2, n)],
            "dataset": np.array(["alpha", "beta"])[np.arange(n) % 2],
            "unit": np.arange(n) // 2,
            # gaps of one step and of two
            "time": np.arange(n) // 2 * 3 + np.arange(n) % 2 * (1 + np.arange(n) // 2 % 2),
            "g": [f"g{i}" for i in g],
            "h": np.arange(n) // 2 % 5,
            "se": rng.uniform(0.5, 1.5, n),
        }
    )
    frame["y"] = 1.0 + x + rng.normal(size=7)[g] + rng.normal(size=n) + shift
    return frame


ERRORS = {
    "independent": None,
    "by": hr.by("site"),
    "correlated": hr.correlated("dataset", unit="unit"),
    "exchangeable": hr.exchangeable("unit"),
    "exchangeable, by stratum": hr.exchangeable("unit", by="stratum", common_sd=False),
    "ar1": hr.ar1("time", unit="unit"),
    "known_se": hr.known_se("se"),
    "known_se, scaled": hr.known_se("se", scale=True),
}

FORMULA = "y ~ x + c + (x | g)"


def cut(frame, *, size=14):
    """Return batches of whole units (two rows each)."""
    return [frame.iloc[start : start + size] for start in range(0, len(frame), size)]


def assert_same(gram, other, *, rtol=1e-11):
    """Both give the same likelihood and gradient, whatever their internal coordinates."""
    rng = np.random.default_rng(5)
    assert gram.n == other.n
    assert gram.coef_names == other.coef_names
    place = [other.terms.labels.index(label) for label in gram.terms.labels]
    assert sorted(place) == list(range(len(other.terms.labels)))
    assert gram.terms.components is not None or gram.terms.labels == other.terms.labels
    patterns, expected = (
        sorted(zip(terms.patterns.tolist(), terms.counts.tolist(), strict=True))
        for terms in (gram.terms, replace(other.terms, patterns=other.terms.patterns[:, place]))
    )
    assert patterns == expected
    for mine, theirs in zip(gram.factors, other.factors, strict=True):
        assert mine.levels.tolist() == theirs.levels.tolist()
        assert mine.coef_names == theirs.coef_names
    q = sum(factor.n_coef for factor in gram.factors)
    Lambda = np.tril(rng.normal(size=(q, q))) if q else np.empty((0, 0))
    D = len(place)
    error_cov = np.diag(rng.uniform(0.5, 2.0, D))
    assert gram.terms.gaps.tolist() == other.terms.gaps.tolist()
    if gram.terms.has_corr and (gram.terms.components is None or gram.terms.components.is_in_time):
        error_cov += 0.2
    value, g_Lambda, g_error = marginal_likelihood(other).value_and_gradient(Lambda, error_cov)
    turned = np.ix_(place, place)
    expected = value, g_Lambda, g_error[turned]
    for mine, theirs in zip(
        marginal_likelihood(gram).value_and_gradient(Lambda, error_cov[turned]), expected, strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=rtol * (1 + np.abs(theirs).max(initial=0.0)))
