"""The shipped data sets: each is checked against figures from elsewhere, not against itself."""

import inspect
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from hierreg.datasets import available_datasets, describe_dataset, load_dataset
from hierreg.exceptions import DataError
from tests.reference import load_reference

NAMES = (
    "cbpp",
    "contraception",
    "dyestuff",
    "dyestuff2",
    "eight_schools",
    "grouseticks",
    "grunfeld",
    "math_achieve",
    "orthodont",
    "pastes",
    "penicillin",
    "sleepstudy",
    "verbagg",
)
# data set -> the reference case whose columns, levels and row count come from the R package itself
NOT_OF_A_CASE = {"cbpp", "contraception", "eight_schools", "grouseticks", "verbagg"}
CASES = {name: name for name in NAMES if name not in NOT_OF_A_CASE} | {"grunfeld": "grunfeld_sur"}
DTYPES = {"float": "float64", "integer": "int64", "category": "category"}


def least_squares(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(np.column_stack([np.ones(len(y)), X]), y, rcond=None)[0]


def mean_squares(frame: pd.DataFrame, response: str, group: str) -> tuple[float, float]:
    """Mean squares between and within the groups of a balanced one-way layout."""
    y, groups = frame[response], frame.groupby(group, observed=True)[response]
    n_groups, per_group = groups.ngroups, len(y) // groups.ngroups
    between = per_group * ((groups.mean() - y.mean()) ** 2).sum() / (n_groups - 1)
    within = ((y - groups.transform("mean")) ** 2).sum() / (n_groups * (per_group - 1))
    return between, within


def test_the_names_are_those_documented() -> None:
    assert available_datasets() == NAMES
    documented = re.findall(r"^(\w+) +(\d+)  ", inspect.getdoc(load_dataset) or "", flags=re.MULTILINE)
    assert documented == [(name, str(describe_dataset(name).rows)) for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_as_its_record_says(name: str) -> None:
    dataset, frame = describe_dataset(name), load_dataset(name)
    assert frame.shape == (dataset.rows, len(dataset.columns))
    assert list(frame.columns) == [column.name for column in dataset.columns]
    assert [str(dtype) for dtype in frame.dtypes] == [DTYPES[column.kind] for column in dataset.columns]
    assert not frame.isna().any(axis=None)
    assert isinstance(frame.index, pd.RangeIndex)
    for column in dataset.columns:
        if column.kind == "category":
            categories = frame[column.name].cat.categories
            assert all(isinstance(level, str) for level in categories)
            assert not frame[column.name].cat.ordered
            assert set(frame[column.name]) == set(categories)


@pytest.mark.parametrize("name", NAMES)
def test_a_record_says_where_the_figures_come_from(name: str) -> None:
    printed = str(describe_dataset(name))
    for heading in ("Columns", "Source", "Citation", "Licence", "Notes"):
        assert f"\n{heading}\n" in printed
    assert re.search(r"\((19|20)\d\d\)\. ", describe_dataset(name).citation)


@pytest.mark.parametrize(("name", "case"), CASES.items())
def test_columns_and_levels_are_those_of_the_source(name: str, case: str) -> None:
    frame, data = load_dataset(name), load_reference(case)["data"]
    assert data["package_data"] == name
    assert len(frame) == data["n_rows"]
    assert list(frame.columns) == list(data["columns"])
    for column, described in data["columns"].items():
        if described["type"] == "categorical":
            assert list(frame[column].cat.categories) == described["levels"]
        else:
            assert pd.api.types.is_numeric_dtype(frame[column])


def test_every_call_returns_a_new_table() -> None:
    first = load_dataset("sleepstudy")
    original = first.copy()
    first["Reaction"] = 0.0
    first["Subject"] = first["Subject"].cat.rename_categories(str.lower)
    pd.testing.assert_frame_equal(load_dataset("sleepstudy"), original)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sleep_study", ("'sleep_study'", "Did you mean 'sleepstudy'?", *NAMES)),
        ("Penicilin", ("'Penicilin'", "Did you mean 'penicillin'?")),
        ("", ("''", *NAMES)),
        ("iris-versicolor", ("'iris-versicolor'", *NAMES)),
        (None, ("None", *NAMES)),
        (["pastes"], ("['pastes']", *NAMES)),
    ],
)
@pytest.mark.parametrize("function", [load_dataset, describe_dataset])
def test_an_unknown_name_is_an_error_that_lists_the_names(function, name, words) -> None:
    with pytest.raises(DataError, match="must be the name of a shipped data set") as caught:
        function(name)
    for word in words:
        assert word in str(caught.value)


def test_importing_the_module_does_not_import_pandas() -> None:
    code = "import sys, hierreg.datasets; sys.exit(any(m in sys.modules for m in ('pandas', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- one fact (or more) about each table, from elsewhere. `R>` marks a command of R 4.2.2 with lme4 1.1-31,
# nlme 3.1-162 and systemfit 1.1-28, run on the tables of those packages.


def test_sleepstudy() -> None:
    frame = load_dataset("sleepstudy")
    # R> coef(lm(Reaction ~ Days, lme4::sleepstudy))
    assert least_squares(frame["Days"], frame["Reaction"]) == pytest.approx([251.40510485, 10.46728596])
    days = frame.groupby("Subject", observed=True)["Days"].agg(list)
    assert all(of_subject == list(range(10)) for of_subject in days)
    assert frame["Subject"].cat.categories[0] == "308"


def test_dyestuff() -> None:
    # R> anova(lm(Yield ~ Batch, lme4::Dyestuff))[["Mean Sq"]]
    assert mean_squares(load_dataset("dyestuff"), "Yield", "Batch") == pytest.approx((11271.50, 2451.25))


def test_dyestuff2_varies_less_between_batches_than_within() -> None:
    # R> anova(lm(Yield ~ Batch, lme4::Dyestuff2))[["Mean Sq"]]
    frame = load_dataset("dyestuff2")
    assert mean_squares(frame, "Yield", "Batch") == pytest.approx((8.33632576, 14.94588960))
    assert frame["Yield"].mean() == pytest.approx(5.6656)  # R> mean(lme4::Dyestuff2$Yield)


def test_eight_schools() -> None:
    # Gelman et al. (2013), Bayesian Data Analysis, section 5.5: pooled estimate 7.7 with standard error 4.1
    frame = load_dataset("eight_schools")
    weight = 1 / frame["se"] ** 2
    assert round((weight * frame["effect"]).sum() / weight.sum(), 1) == 7.7
    assert round(weight.sum() ** -0.5, 1) == 4.1
    assert list(frame["school"]) == list("ABCDEFGH")


def test_grunfeld_is_the_version_that_greene_printed() -> None:
    frame = load_dataset("grunfeld").set_index(["firm", "year"])
    assert frame.index.is_unique
    coefficients = {
        # SAS/ETS User's Guide, SYSLIN procedure, Grunfeld's model: least squares for General Electric
        "General Electric": (-9.95631, 0.026551, 0.151694),
        # R> coef(lm(invest ~ value + capital, GrunfeldGreene, subset = firm == "Westinghouse")), "US Steel"
        "Westinghouse": (-0.50939018368, 0.05289412622, 0.09240649187),
        "US Steel": (-30.3685323230, 0.1565708305, 0.4238657169),
    }
    for firm, expected in coefficients.items():
        rows = frame.loc[firm]
        assert list(rows.index) == list(range(1935, 1955))
        fitted = least_squares(rows[["value", "capital"]].to_numpy(), rows["invest"].to_numpy())
        assert fitted == pytest.approx(expected, rel=2e-5)
    # the note in the record
    assert frame.loc[("US Steel", 1940), "invest"] == 261.6
    assert frame.loc[("US Steel", 1952), "invest"] == 645.2
    assert frame.loc[("US Steel", 1946), "capital"] == 232.6


def test_math_achieve() -> None:
    frame = load_dataset("math_achieve")
    schools = frame.groupby("School", observed=True)
    # R> with(nlme::MathAchieve, c(mean(MathAch), sd(MathAch), mean(SES)))
    moments = (frame["MathAch"].mean(), frame["MathAch"].std(), frame["SES"].mean())
    assert moments == pytest.approx((12.74785261, 6.878245687, 1.433542102e-04))
    # R> with(nlme::MathAchieve, table(Minority, Sex)); table(nlme::MathAchSchool$Sector)
    assert pd.crosstab(frame["Minority"], frame["Sex"]).to_numpy().tolist() == [[2481, 2730], [909, 1065]]
    assert schools["Sector"].first().value_counts().to_dict() == {"Public": 90, "Catholic": 70}
    # the notes in the record
    assert (schools[["MEANSES", "Sector"]].nunique() == 1).all(axis=None)
    shift = schools["MEANSES"].first() - schools["SES"].mean()
    assert shift.between(0.0055 - 1e-9, 0.0065 + 1e-9).all()


def test_orthodont() -> None:
    frame = load_dataset("orthodont")
    assert (frame["age11"] == frame["age"] - frame["age"].mean()).all()
    # R> coef(lm(distance ~ age, nlme::Orthodont, subset = Sex == "Male")), then "Female"
    lines = {"Male": (16, (16.340625, 0.784375)), "Female": (11, (17.3727272727, 0.4795454545))}
    for sex, (n_children, line) in lines.items():
        rows = frame[frame["Sex"] == sex]
        assert rows["Subject"].nunique() == n_children
        assert least_squares(rows["age"], rows["distance"]) == pytest.approx(line)
        means = rows.groupby("Subject", observed=True)["distance"].mean()
        assert means.is_monotonic_increasing  # levels are "by mean distance within sex"
    # the table in the SAS/STAT User's Guide, MIXED procedure, example "Repeated Measures": persons 1 and 12
    children = frame.set_index("Subject")["distance"]
    assert children.loc["F01"].tolist() == [21.0, 20.0, 21.5, 23.0]
    assert children.loc["M01"].tolist() == [26.0, 25.0, 29.0, 31.0]


def test_pastes_is_nested_and_balanced() -> None:
    frame = load_dataset("pastes")
    # R> mean(lme4::Pastes$strength); anova(lm(strength ~ batch / cask, lme4::Pastes))["Residuals", "Mean Sq"]
    assert frame["strength"].mean() == pytest.approx(60.05333333)
    assert mean_squares(frame, "strength", "sample")[1] == pytest.approx(0.678)
    assert (frame["sample"].astype(str) == frame["batch"].astype(str) + ":" + frame["cask"].astype(str)).all()
    assert (frame["sample"].value_counts() == 2).all()


def test_penicillin_is_fully_crossed() -> None:
    frame = load_dataset("penicillin")
    # R> mean(lme4::Penicillin$diameter); anova(lm(diameter ~ plate + sample, lme4::Penicillin))[["Mean Sq"]]
    assert frame["diameter"].mean() == pytest.approx(22.97222222)
    assert mean_squares(frame, "diameter", "plate")[0] == pytest.approx(4.6038647343)
    assert mean_squares(frame, "diameter", "sample")[0] == pytest.approx(89.8444444444)
    assert (pd.crosstab(frame["plate"], frame["sample"]) == 1).all(axis=None)


def test_grouseticks_is_nested() -> None:
    frame = load_dataset("grouseticks")
    # R> with(lme4::grouseticks, c(mean(TICKS), var(TICKS), mean(HEIGHT)))
    moments = (frame["TICKS"].mean(), frame["TICKS"].var(), frame["HEIGHT"].mean())
    assert moments == pytest.approx((6.3697270471, 172.6614693283, 462.2406947891))
    # R> table(lme4::grouseticks$TICKS == 0, lme4::grouseticks$YEAR)
    assert pd.crosstab(frame["TICKS"] == 0, frame["YEAR"]).to_numpy().tolist() == [[68, 144, 65], [49, 11, 66]]
    assert frame[["INDEX", "BROOD", "LOCATION"]].nunique().tolist() == [403, 118, 63]
    assert (frame.groupby("BROOD", observed=True)[["LOCATION", "YEAR", "HEIGHT"]].nunique() == 1).all(axis=None)


def test_verbagg_is_fully_crossed() -> None:
    frame = load_dataset("verbagg")
    # R> with(lme4::VerbAgg, table(resp, mode)); mean(lme4::VerbAgg$Anger)
    counts = pd.crosstab(frame["resp"], frame["mode"])[["want", "do"]].loc[["no", "perhaps", "yes"]]
    assert counts.to_numpy().tolist() == [[1774, 2199], [1121, 960], [897, 633]]
    assert frame["Anger"].mean() == pytest.approx(20.003164557)
    assert (pd.crosstab(frame["id"], frame["item"]) == 1).all(axis=None)
    assert ((frame["r2"] == "N") == (frame["resp"] == "no")).all()
    assert (frame.groupby("item", observed=True)[["btype", "situ", "mode"]].nunique() == 1).all(axis=None)
    assert (frame.groupby("id", observed=True)[["Anger", "Gender"]].nunique() == 1).all(axis=None)


def test_contraception() -> None:
    frame = load_dataset("contraception")
    # R> with(mlmRev::Contraception, table(use, livch)); c(mean(age), sd(age)), mlmRev 1.0-8
    counts = pd.crosstab(frame["use"], frame["livch"])[["0", "1", "2", "3+"]]
    assert counts.to_numpy().tolist() == [[397, 192, 158, 428], [133, 164, 147, 315]]
    assert (frame["age"].mean(), frame["age"].std()) == pytest.approx((0.00219788004137, 9.01324403758))
    # the notes in the record
    areas = pd.crosstab(frame["district"], frame["urban"])
    assert list(frame["district"].cat.categories) == [str(k) for k in range(1, 62) if k != 54]
    assert (areas.sum(axis=1).min(), areas.sum(axis=1).max()) == (2, 118)
    assert [int(found.sum()) for found in ((areas > 0).all(axis=1), areas["Y"] == 0, areas["N"] == 0)] == [42, 15, 3]
    years = frame["age"] + 29.56
    assert (years - years.round()).abs().max() == pytest.approx(0.001)
    assert (years.round().min(), years.round().max()) == (16, 49)
