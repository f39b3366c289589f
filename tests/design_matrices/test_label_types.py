"""Labels of any integer type: the type of a column that says which group, stratum, data set or unit changes nothing."""

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.design_matrices import as_table, column_levels

G = np.arange(60) % 6
TYPES = {
    **{name: lambda v, name=name: v.astype(name) for name in ("uint8", "int8", "int16", "uint32", "uint64")},
    **{name: lambda v, name=name: pd.array(v, dtype=name) for name in ("Int8", "UInt64", "int16[pyarrow]")},
    "categories of uint8": lambda v: pd.Categorical(v.astype("uint8")),
    "categories of Int64": lambda v: pd.Categorical(pd.array(v, dtype="Int64")),
    "objects": lambda v: pd.Series(list(v.astype(np.uint8)), dtype=object),
    "decimals": lambda v: v.astype(float),
    "beyond int64": lambda v: v.astype("uint64") + np.uint64(2**63),
    "text": lambda v: v.astype(str),
}
MODELS = {
    "group": ("y ~ x + (1 | g)", None),
    "nested groups": ("y ~ x + (1 | d / g)", None),
    "stratum": ("y ~ x", hr.by("g")),
    "data set and unit": ("y ~ x", hr.correlated("d", unit="u")),
    "unit": ("y ~ x", hr.exchangeable("u")),
}


def table_of(kind, rng):
    x = rng.normal(size=60)
    columns = {"y": 1 + x + rng.normal(size=6)[G] + rng.normal(size=60), "x": x}
    labels = {"g": G, "d": np.arange(60) % 2, "u": np.arange(60) // 2}
    return pd.DataFrame(columns | {name: TYPES[kind](v) for name, v in labels.items()})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("role", MODELS)
def test_types_of_labels_change_nothing(role, kind, rng):
    formula, errors = MODELS[role]
    seed = rng.integers(1 << 30)
    table, plain = (table_of(one, np.random.default_rng(seed)) for one in (kind, "int16"))
    model, expected = (hr.Model(formula, one, errors=errors) for one in (table, plain))
    point = {factor.name: 0.7 for factor in expected.problem.labels.factors}
    error_cov = {
        "by": np.arange(1.0, 7.0),
        "correlated": [[1.0, 0.3], [0.3, 2.0]],
        "exchangeable": {"sd": 1.0, "corr": 0.2},
    }
    at = error_cov.get(expected.problem.layout.kind, 1.0)
    np.testing.assert_allclose(model.solve(point, at).beta, expected.solve(point, at).beta, rtol=1e-12)
    if not kind.startswith(("text", "beyond")):
        for mine, theirs in zip(model.problem.labels.factors, expected.problem.labels.factors, strict=True):
            np.testing.assert_array_equal(mine.levels, theirs.levels)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint64", "int64"])
def test_every_row_keeps_its_label_over_the_whole_range_of_a_type(dtype, rng):
    """More rows than labels: differences of labels do not fit into the smaller signed types."""
    info = np.iinfo(dtype)
    low = max(info.min, -100) if info.min else info.max - 190
    values = (rng.integers(0, 190, 1000).astype(object) + low).astype(dtype)
    levels, index = column_levels(as_table({"g": values}), "g", role="group")
    assert [levels[i] for i in index] == values.tolist()
    assert list(levels) == sorted(set(values.tolist()))


def test_truth_values_are_labels(rng):
    table = table_of("int16", rng).assign(g=np.arange(60) % 3 == 0)
    by_text = table.assign(g=table["g"].astype(str))
    for kind in ("bool", "boolean", "bool[pyarrow]"):
        est = hr.Model("y ~ x + (1 | g)", table.assign(g=table["g"].astype(kind))).estimate()
        assert est.criterion == pytest.approx(hr.Model("y ~ x + (1 | g)", by_text).estimate().criterion, rel=1e-12)
        assert est.b["g"].coords["g"].to_numpy().tolist() == ["False", "True"]
