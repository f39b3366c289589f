"""A response that is far larger than what its columns leave of it: it is taken off in twice the digits.

Columns in internal coordinates are rounded, and a response a billion of its standard deviations from zero multiplies
that. Here is the response as whole multiples of 2^-20, so that it can be moved without rounding, and everything that
does not depend on where it lies is the same to the last digits.
"""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.gram.columns import take_off_exactly
from hierreg.gram.frame import frame_of


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"x": np.round(rng.normal(size=n) * 2**10) / 2**10, "c": np.array(list("abc"))[np.arange(n) % 3]}
    )
    frame["g"] = np.arange(n) % 7
    b = rng.normal(size=7)
    frame["y"] = np.round((0.5 * frame.x + b[frame.g] + 0.7 * rng.normal(size=n)) * 2**20) / 2**20
    return frame


MOVES = {
    "levels of a predictor": ("y ~ 0 + c + x + (1 | g)", lambda t: 2.0**30),
    "a multiple of a predictor": ("y ~ 0 + x + (1 | g)", lambda t: 2.0**24 * t.x),
    "both": ("y ~ 0 + c + x + (1 | g)", lambda t: 2.0**30 - 2.0**24 * t.x),
    "two strata": ("y ~ 0 + c + x + (x | g)", lambda t: 2.0**28),
}


@pytest.mark.parametrize(("formula", "by"), MOVES.values(), ids=MOVES)
def test_nothing_is_lost(formula, by):
    near = table()
    far = near.assign(y=near.y + by(near))
    assert np.array_equal(far.y - by(near), near.y)  # exact in doubles
    models = [hr.Model(formula, t).problem.likelihood("reml") for t in (near, far)]
    q = len(models[0].z_map_inverse)
    for log_sd in (0.0, -5.0, -10.0):
        one, two = (m.value_and_gradient(np.eye(q), np.array([[np.exp(2 * log_sd)]])) for m in models)
        assert two[0] == pytest.approx(one[0], rel=1e-12)
        np.testing.assert_allclose(two[1], one[1], rtol=1e-9)
        np.testing.assert_allclose(two[2], one[2], rtol=1e-9)


def test_what_is_left_is_what_fractions_leave():
    rng = np.random.default_rng(1)
    X, centre, coef = rng.normal(size=(40, 3)) * 1e3, rng.normal(size=3), rng.normal(size=3) * 1e6
    y = (X - centre) @ coef + rng.normal(size=40)
    out = np.empty(40)
    take_off_exactly(X, centre, coef, y, 0.37, out)
    for i in range(40):
        fit = sum((Fraction(X[i, k]) - Fraction(centre[k])) * Fraction(coef[k]) for k in range(3))
        assert out[i] == pytest.approx(float(Fraction(y[i]) - Fraction(0.37) - fit), rel=1e-14)


def test_coordinates_say_what_was_taken_off():
    near = table()
    X = np.column_stack([*(near.c == level for level in "abc"), near.x]).astype(float)
    y = near.y.to_numpy() + 2.0**30
    W, frame = frame_of(X, y)
    np.testing.assert_allclose(W[:, -1], y + X @ frame.map[:4, 4], atol=1e-6)
    np.testing.assert_allclose(W[:, :4].T @ W[:, 4], 0.0, atol=1e-12)
