"""hierreg against the reference answers, and the reference answers against their data."""

import math
from fractions import Fraction

import pandas as pd
import pytest

from hierreg.datasets import load_dataset
from tests.reference import available_references, load_reference, reference_data

CASES = available_references()
REGRESSIONS = ("nist_longley", "nist_noint1", "nist_norris")
ONE_WAY = ("nist_sirstv", "nist_smls01", "nist_smls04", "nist_smls07")


# ---- the tables belong to the answers


@pytest.mark.parametrize("case", CASES)
def test_a_table_has_the_described_rows_columns_and_levels(case: str) -> None:
    data = load_reference(case)["data"]
    for described in (data, *data.get("more_files", ())):
        frame = reference_data(case, described.get("file"))
        assert len(frame) == described["n_rows"]
        assert list(frame.columns) == list(described["columns"])
        assert not frame.isna().any(axis=None)
        for name, column in described["columns"].items():
            if "levels" in column:
                assert list(frame[name].cat.categories) == column["levels"]


def test_an_unknown_table_is_an_error_that_names_the_tables() -> None:
    with pytest.raises(ValueError, match=r"data\.csv, data_same_x\.csv"):
        reference_data("sim_d_paired_regressions", "data_other_x.csv")


def test_grunfeld_differs_from_the_original_figures_in_three_misprints() -> None:
    keys = ["firm", "year"]
    original = reference_data("grunfeld_sur", "data_original.csv").astype({"firm": str}).set_index(keys)
    printed = load_dataset("grunfeld").astype({"firm": str}).set_index(keys)
    differs = printed != original.loc[printed.index]
    assert differs.to_numpy().sum() == 3
    assert {index[0] for index in printed.index[differs.any(axis=1)]} == {"US Steel"}


# ---- the certified values follow from the tables, in rational arithmetic on the decimals as printed


def exact(values: pd.Series) -> list[Fraction]:
    """Return the decimals of the file: with 15 digits or fewer, the shortest text of the nearest double."""
    return [Fraction(repr(value)) for value in values.tolist()]


def solve(A: list[list[Fraction]], B: list[list[Fraction]]) -> list[list[Fraction]]:
    """Return the solution X of A X = B by exact elimination; A is positive definite, so no pivot is zero."""
    rows = [[*a, *b] for a, b in zip(A, B, strict=True)]
    for i in range(len(rows)):
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(len(rows)):
            if j != i:
                rows[j] = [v - rows[j][i] * u for u, v in zip(rows[i], rows[j], strict=True)]
    return [row[len(A) :] for row in rows]


def assert_certified(value: Fraction | float, certified: dict[str, object], digits: int = 14) -> None:
    assert math.isclose(float(value), float(certified["text"]), rel_tol=10.0**-digits)


@pytest.mark.parametrize("case", REGRESSIONS)
def test_certified_regression(case: str) -> None:
    frame, certified = reference_data(case), load_reference(case)["models"]["certified"]
    y = exact(frame["y"])
    columns = [exact(frame[name]) for name in frame.columns if name != "y"]
    if certified["intercept"]:
        columns.insert(0, [Fraction(1)] * len(y))
    p = len(columns)
    XtX = [[sum(map(Fraction.__mul__, a, b)) for b in columns] for a in columns]
    Xty = [sum(map(Fraction.__mul__, a, y)) for a in columns]
    unit = [[Fraction(i == j) for j in range(p)] for i in range(p)]
    solved = solve(XtX, [[right, *row] for right, row in zip(Xty, unit, strict=True)])
    estimate = [row[0] for row in solved]
    residual = sum(v * v for v in y) - sum(map(Fraction.__mul__, estimate, Xty))
    variance = residual / (len(y) - p)
    parameters = certified["parameters"]
    for i in range(p):
        assert_certified(estimate[i], {"text": parameters["estimate"]["text"][i]})
        assert_certified(math.sqrt(variance * solved[i][1 + i]), {"text": parameters["sd"]["text"][i]})
    assert_certified(math.sqrt(variance), certified["residual_sd"])


@pytest.mark.parametrize("case", ONE_WAY)
def test_certified_one_way_layout_and_its_variance_components(case: str) -> None:
    frame, models = reference_data(case), load_reference(case)["models"]
    group, response = frame.columns
    groups = [exact(rows[response]) for _, rows in frame.groupby(group, observed=True)]
    n_groups, per_group = len(groups), len(groups[0])
    means = [sum(rows) / per_group for rows in groups]
    grand = sum(means) / n_groups
    between = per_group * sum((mean - grand) ** 2 for mean in means)
    within = sum((value - mean) ** 2 for rows, mean in zip(groups, means, strict=True) for value in rows)
    mean_within = within / (n_groups * (per_group - 1))
    assert_certified(between / (n_groups - 1), models["certified"]["between"]["mean_square"])
    assert_certified(mean_within, models["certified"]["within"]["mean_square"])
    # balanced closed form: REML divides the sum of squares between by its degrees of freedom, ML by groups
    for name, divisor in (("one_way_random_reml", n_groups - 1), ("one_way_random_ml", n_groups)):
        variance = (between / divisor - mean_within) / per_group
        on_boundary = variance <= 0
        pooled = (between + within) / (n_groups * per_group - (name == "one_way_random_reml"))
        assert models[name]["boundary"] == on_boundary
        assert_certified(max(variance, Fraction(0)), models[name]["random"][0]["variance"][0])
        assert_certified(pooled if on_boundary else mean_within, models[name]["residual"]["variance"])


# ---- hierreg against the answers
