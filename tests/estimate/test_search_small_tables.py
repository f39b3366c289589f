"""Estimates of small random tables: no warning of another library, and no error but hierreg's errors."""

import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr

FORMULAS = ("y ~ x", "y ~ 0 + x + I(x ** 2)", "y ~ x + (1 | g)", "y ~ x + (x | g)", "y ~ 1 + (x || g)")


def small_model(rng):
    n = int(rng.integers(4, 26))
    units = int(rng.integers(2, n))
    t = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": rng.integers(0, max(2, n // 3), n)})
    t["s"] = np.where(rng.random(n) < 0.5, "a", "b")
    t["unit"] = rng.integers(0, units, n)
    t["y"] = rng.choice([0.0, 1e3]) + t.y * 10.0 ** rng.choice([-6, 0, 0, 12])
    t["x"] *= 10.0 ** rng.choice([-6, 0, 0, 9])
    kind = int(rng.integers(4))
    if kind == 3:
        t = t.drop_duplicates(["unit", "s"])
    errors = (None, hr.by("s"), hr.exchangeable("unit"), hr.correlated("s", unit="unit"))[kind]
    return hr.Model(str(rng.choice(FORMULAS)), t, errors=errors)


@pytest.mark.parametrize("seeds", [range(30), pytest.param(range(30, 200), marks=pytest.mark.slow)], ids=len)
def test_no_foreign_warning_from_an_estimate(seeds):
    """Most tables are estimated; others are refused in words."""
    estimated = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", hr.exceptions.HierregWarning)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            try:
                est = small_model(rng).estimate(("reml", "ml")[seed % 2])
            except hr.exceptions.HierregError:
                continue
            assert np.isfinite(est.criterion), seed
            estimated += 1
    assert estimated > 0.8 * len(seeds)
