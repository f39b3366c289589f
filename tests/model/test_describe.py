"""What `Model.describe` says of a model of each kind, counted by hand."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.likelihood.described import Described, Part
from hierreg.model.describe import Description

SIZES = np.repeat([5, 7], [16, 14])
G = np.repeat(np.arange(30), SIZES)
RNG = np.random.default_rng(5)
TABLE = pd.DataFrame(
    {"g": G, "s": np.where(G % 2, "m", "f"), **dict(zip("xzy", RNG.normal(size=(3, len(G))), strict=True))}
)
# Four data sets of 30 units: the two of each half of the units are observed together.
PAIRS = pd.DataFrame({"unit": np.repeat(np.arange(30), 2), "d": np.tile(["a", "b", "c", "e"], 15)})
PAIRS = PAIRS.assign(**dict(zip("xy", RNG.normal(size=(2, len(PAIRS))), strict=True)))

# model -> engine, error terms, coefficients, variance parameters, parts (groups, blocks, coefficients, at once)
KINDS = {
    # Groups of one size are one class, as many blocks as there are columns of X and y together.
    "strips, merged": (lambda: hr.Model("y ~ x + (1 | g)", TABLE), "strips", 1, 32, 2, [(30, 6, 1, 64)]),
    "strips": (lambda: hr.Model("y ~ x + z + (x | g)", TABLE), "strips", 1, 63, 4, [(30, 30, 2, 64)]),
    "theta strips": (lambda: hr.Model("y ~ x + (x | g)", TABLE), "theta strips", 1, 62, 4, [(30, 30, 2, 64)]),
    "tiles": (lambda: hr.Model("y ~ x + (x + z || g)", TABLE), "tiles", 1, 92, 4, [(30, 30, 3, 32)]),
    "by stratum": (lambda: hr.Model("y ~ x + (x + z | g)", TABLE, hr.by("s")), "tiles", 2, 92, 8, [(30, 30, 3, 32)]),
    "no groups": (lambda: hr.Model("y ~ x + z", TABLE), "least squares", 1, 3, 1, []),
    # Missing patterns {a, b} and {c, e}, three pairs each: data sets linked two by two.
    "linked": (
        lambda: hr.Model("y ~ x + (1 | d)", PAIRS, hr.correlated("d", unit="unit")),
        "tiles",
        6,
        6,
        11,
        [(4, 2, 2, 8)],
    ),
    "crossed": (
        lambda: hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin")),
        "crossed",
        1,
        31,
        3,
        [(24, 24, 1, 1), (6, 1, 6, 1)],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_each_kind(kind):
    build, engine, n_terms, n_integrated, n_sampled, parts = KINDS[kind]
    model = build()
    found = model.describe()
    assert (found.layout.engine, found.n_error_terms, found.n_integrated) == (engine, n_terms, n_integrated)
    assert len(found.sampled) == n_sampled
    columns = ["groups", "blocks", "coefficients", "at_once"]
    assert found.to_pandas()[columns].to_numpy().tolist() == [list(part) for part in parts]
    assert found.milliseconds is None
    text = repr(found)
    assert all(words in text for words in (model.formula, f"engine: {engine} (", f"{n_integrated} coefficients"))
    assert f"engine: {engine}" in repr(model)


def test_the_tail_has_the_columns_of_groups_of_the_population_and_the_response():
    found = KINDS["crossed"][0]().describe()
    assert found.layout.tail == 6 + 1 + 1
    assert KINDS["tiles"][0]().describe().layout.tail is None


def test_memory_is_that_of_the_arrays():
    """Ten times the groups, no two alike: ten times the numbers, in whole strips of 64."""
    few, many = (
        pd.DataFrame({"g": np.repeat(np.arange(J), 4), **dict(zip("xzy", RNG.normal(size=(3, 4 * J)), strict=True))})
        for J in (64, 640)
    )
    small, large = (hr.Model("y ~ x + z + (x | g)", table).describe() for table in (few, many))
    assert 9 < large.statistics_bytes / small.statistics_bytes < 10
    assert 9 < large.layout.n_bytes / small.layout.n_bytes < 10
    # ZtZ (2, 2) and ZtW (2, 4) of each group in double precision, and little more.
    assert 640 * 12 * 8 < large.layout.n_bytes < 1.5 * 640 * 12 * 8


def test_time_is_measured_where_it_is_asked_for():
    found = KINDS["strips"][0]().describe(time=True)
    assert 0 < found.milliseconds < 1000
    assert f"{found.milliseconds:.3g} ms on one thread" in repr(found)


def test_nothing_to_sample():
    table = TABLE.assign(se=1.0)
    found = hr.Model("y ~ x", table, hr.known_se("se")).describe(time=True)
    assert found.sampled == ()
    assert found.milliseconds is None
    assert "sampled: nothing" in repr(found)


def test_held_coefficients_are_not_integrated_out():
    priors = hr.Priors(beta={"x": hr.Fixed(1.0)})
    assert hr.Model("y ~ x + (1 | g)", TABLE, priors=priors).describe().n_integrated == 31


def test_statistics_alone_are_described_alike():
    model = KINDS["strips"][0]()
    assert repr(hr.Model.from_gram(model.gram).describe()).splitlines()[:8] == repr(model.describe()).splitlines()[:8]


def test_a_large_model_is_described_on_a_page():
    part = Part(factor="g", how="level by level", groups=10, blocks=10, coefficients=1, at_once=1)
    found = Description(
        formula="y ~ 1",
        n_rows=1,
        errors="independent()",
        n_error_terms=1,
        n_integrated=1,
        sampled=tuple(f"error_sd[{i}]" for i in range(500)),
        layout=Described(engine="crossed", parts=(part,) * 90, tail=20, n_bytes=2**31),
        statistics_bytes=2**21,
        milliseconds=1.0,
    )
    assert len(repr(found).splitlines()) <= 40
    assert "and 78 more factors" in repr(found)
    assert "statistics 2.0 MiB, engine 2.0 GiB" in repr(found)
