"""What the command line says to programs, and priors that it reads from files."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg.cli import main
from hierreg.cli.answers import Answer, as_json
from hierreg.cli.parsing import parse_priors
from hierreg.cli.prior_files import read_priors

FORMULA = "Reaction ~ Days + (Days | Subject)"
SHORT = ["--draws", "300", "--tune", "200", "--chains", "4", "--seed", "1"]
TOML = """\
error_sd = "HalfStudentT(3, 50)"
beta = { Days = "Normal(0, 5)" }
corr.Subject = "LKJ(2)"
sd.Subject = { Intercept = "HalfNormal(50)", Days = "Exponential(0.1)" }
"""
PRIORS = hr.Priors(
    error_sd=hr.HalfStudentT(3, 50),
    beta={"Days": hr.Normal(0, 5)},
    corr={"Subject": hr.LKJ(2)},
    sd={"Subject": {"Intercept": hr.HalfNormal(50), "Days": hr.Exponential(0.1)}},
)


@pytest.fixture(scope="module")
def kept(sleep_csv):
    path = sleep_csv.with_name("fit.nc")
    assert main(["fit", str(sleep_csv), FORMULA, "-o", str(path), "--quiet", *SHORT]) in {0, 3}
    return path


def answer_of(arguments, capsys, code=0):
    """Return the object that a command prints; json.loads fails where anything else stands beside it."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def as_records(report):
    return pd.DataFrame(report.to_pandas().to_dict("records"))


def test_a_fit_is_its_summary_to_the_last_bit(sleep_csv, tmp_path, capsys):
    path = tmp_path / "fit.nc"
    capsys.readouterr()
    code = main(["fit", str(sleep_csv), FORMULA, "-o", str(path), "--json", *SHORT])
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["command"] == "fit"
    assert found["files"] == [str(path)]
    assert found["about"]["formula"] == FORMULA
    assert found["about"]["seed"] == 1
    expected = as_records(hr.summary(hr.load(path)))
    got = pd.DataFrame(found["tables"]["summary"])
    assert list(got.columns) == list(expected.columns)
    np.testing.assert_array_equal(got["mean"], expected["mean"])
    np.testing.assert_array_equal(got["sd"], expected["sd"])
    assert [w["message"] for w in found["warnings"]] == [
        line.removeprefix("warning: ") for line in shown.err.splitlines() if line.startswith("warning: ")
    ]
    assert code == (3 if any(w["kind"] == "ConvergenceWarning" for w in found["warnings"]) else 0)


def test_an_estimate_has_its_parameters_groups_and_criterion(sleep_csv, capsys):
    found = answer_of(["fit", sleep_csv, FORMULA, "--method", "ml"], capsys)
    est = hr.Model(FORMULA, pd.read_csv(sleep_csv)).estimate("ml")
    assert found["about"]["criterion"] == est.criterion
    assert found["about"]["converged"] is True
    values = {row["name"]: row["estimate"] for row in found["tables"]["estimate"]}
    assert values["error_sd"] == float(est.error_sd)
    groups = {(row["group"], row["coef"]): row["estimate"] for row in found["tables"]["groups of Subject"]}
    assert groups[308, "Days"] == float(est.b["Subject"].sel(Subject=308, Subject_coef="Days"))
    assert found["warnings"] == []


@pytest.mark.parametrize(
    "options", [["--effects", "Subject=student_t:4", "--method", "ml"], ["--method", "laplace", "--family", "gamma"]]
)
def test_estimates_of_other_effects_and_families(options, sleep_csv, capsys):
    """A family prints its model first: that is no part of the answer."""
    found = answer_of(["fit", sleep_csv, "Reaction ~ Days + (1 | Subject)", *options], capsys)
    assert found["about"]["method"] == options[options.index("--method") + 1]
    assert any(row["name"] == "beta[Days]" for row in found["tables"]["estimate"])


def test_files_in_parts_are_read_in_silence(sleep_csv, tmp_path, capsys):
    pd.read_csv(sleep_csv).to_csv(tmp_path / "part.csv", index=False)
    whole = answer_of(["fit", sleep_csv, FORMULA, "--method", "reml"], capsys)
    parts = answer_of(["fit", tmp_path / "*.csv", FORMULA, "--method", "reml"], capsys)
    assert parts["about"]["criterion"] == pytest.approx(whole["about"]["criterion"], rel=1e-9)


def test_a_report_has_every_table(kept, tmp_path, capsys):
    found = answer_of(["report", kept, "--tables", tmp_path], capsys)
    assert set(found["tables"]) == {"summary", "correlations", "shrinkage"}
    assert found["files"] == [str(tmp_path / f"{name}.csv") for name in ("summary", "correlations", "shrinkage")]
    for name, rows in found["tables"].items():
        written = pd.read_csv(tmp_path / f"{name}.csv")
        assert len(rows) == len(written)
        assert list(rows[0]) == list(written.columns)
        np.testing.assert_allclose(pd.DataFrame(rows)["mean"].astype(float), written["mean"], rtol=1e-14)


def test_predictions_given_the_rows_of_a_file(kept, tmp_path, capsys):
    rows = pd.DataFrame({"Days": [10.0, 2.5], "Subject": [308, 999]})
    given = pd.DataFrame({"Days": [0, 1], "Subject": [999, 999], "Reaction": [290.0, 285.0]})
    new, known = tmp_path / "new.csv", tmp_path / "given.csv"
    rows.to_csv(new, index=False)
    given.to_csv(known, index=False)
    found = answer_of(["predict", kept, new, "--given", known, "--seed", 3], capsys)
    expected = hr.predict(hr.load(kept), rows, given=given, seed=3)
    got = pd.DataFrame(found["tables"]["predictions"])
    np.testing.assert_array_equal(got["mean"], expected["mean"])
    np.testing.assert_array_equal(got["upper_new"], expected["upper_new"])
    assert found["about"]["pareto_k"] == expected.attrs["pareto_k"]
    assert main(["predict", str(kept), str(new), "--given", str(known), "--seed", "3"]) == 0
    assert "given 2 further rows" in capsys.readouterr().out


def test_an_error_leaves_the_output_empty(sleep_csv, capsys):
    assert main(["fit", str(sleep_csv), "Reaction ~ Dayz", "--json"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")


def test_numbers_that_json_has_not():
    table = pd.DataFrame({"a": [1.0, np.nan, np.inf, -np.inf], "b": [True, False, True, False]})
    made = as_json("fit", Answer(tables={"t": table}, about={"n": np.int64(3), "x": ("p",)}), [("W", "text")])
    found = json.loads(made)
    assert [row["a"] for row in found["tables"]["t"]] == [1.0, None, "inf", "-inf"]
    assert found["tables"]["t"][0]["b"] is True
    assert found["about"] == {"n": 3, "x": ["p"]}
    assert found["warnings"] == [{"kind": "W", "message": "text"}]


# ---- files of priors


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_priors_of_a_file_are_those_of_the_library(ending, sleep_csv, tmp_path, capsys):
    import tomllib

    path = tmp_path / f"priors.{ending}"
    path.write_text(TOML if ending == "toml" else json.dumps(tomllib.loads(TOML)), encoding="utf-8")
    assert parse_priors(read_priors(path)) == PRIORS
    found = answer_of(["fit", sleep_csv, FORMULA, "--method", "map", "--priors", path], capsys)
    data = pd.read_csv(sleep_csv)
    expected = hr.Model(FORMULA, data, priors=PRIORS).estimate("map").criterion
    assert found["about"]["criterion"] == expected
    assert abs(hr.Model(FORMULA, data).estimate("map").criterion - expected) > 1e-3


def test_a_file_names_what_has_dots_and_the_command_line_adds_to_it(tmp_path, sleep_csv, capsys):
    path = tmp_path / "priors.toml"
    path.write_text('[beta]\n"log(x.1)" = "Normal(0, 1)"\n', encoding="utf-8")
    assert parse_priors(read_priors(path)) == hr.Priors(beta={"log(x.1)": hr.Normal(0, 1)})
    path.write_text('error_sd = "HalfNormal(30)"\n', encoding="utf-8")
    both = ["fit", sleep_csv, FORMULA, "--method", "map", "--priors", path, "--prior", "beta.Days = Normal(0, 5)"]
    priors = hr.Priors(error_sd=hr.HalfNormal(30), beta={"Days": hr.Normal(0, 5)})
    expected = hr.Model(FORMULA, pd.read_csv(sleep_csv), priors=priors).estimate("map").criterion
    assert answer_of(both, capsys)["about"]["criterion"] == expected
    assert main([*map(str, both), "--prior", "error_sd = HalfNormal(1)"]) == 1
    assert "error_sd has a prior already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.toml", None, ["none.toml", "no such file"]),
        ("p.yaml", "", ["p.yaml", "'.toml'", "'.json'"]),
        ("p.toml", "a = ", ["p.toml", "cannot be read"]),
        ("p.json", "[1]", ["is a list", "an object is required"]),
        ("p.json", '{"error_sd": 3}', ["error_sd = 3", "a prior is a text"]),
        ("p.toml", 'error_sd = "open(1)"', ["error_sd = 'open(1)'", "HalfNormal"]),
        ("p.toml", 'sigma = "HalfNormal(1)"', ["sigma", "begins with one of"]),
        ("p.toml", 'error_sd = "HalfNormal(-1)"', ["HalfNormal(sigma=-1"]),
    ],
)
def test_a_file_that_is_no_file_of_priors_is_said(name, text, words, sleep_csv, tmp_path, capsys):
    path = tmp_path / name
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert main(["fit", str(sleep_csv), "Reaction ~ Days", "--priors", str(path)]) == 1
    err = capsys.readouterr().err
    for word in words:
        assert word in err


@pytest.mark.long
def test_what_is_left_out_of_a_file(kept, tmp_path, capsys):
    out = tmp_path / "each.csv"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = hr.loo(hr.load(kept), by="Subject", draws=200)
    code = 3 if expected.warning else 0
    found = answer_of(["loo", kept, "--by", "Subject", "--draws", 200, "-o", out], capsys, code=code)
    (total,) = found["tables"]["loo"]
    assert (total["elpd"], total["se"], total["n"]) == (expected.elpd, expected.se, 18)
    each = pd.DataFrame(found["tables"]["each"])
    assert list(each.columns) == ["Subject", "elpd", "pareto_k"]
    np.testing.assert_array_equal(each["elpd"], expected.elpd_i)
    np.testing.assert_allclose(pd.read_csv(out)["elpd"], expected.elpd_i)
    assert found["files"] == [str(out)]
    copy = tmp_path / "copy.nc"
    shutil.copy(kept, copy)
    assert main(["loo", str(kept), str(copy), "--draws", "100"]) in {0, 3}
    text = capsys.readouterr().out
    assert "left out: row" in text
    assert "elpd_diff" in text
    assert main(["loo", str(kept), str(kept)]) == 1
    assert main(["loo", str(kept), str(copy), "-o", str(out)]) == 1
    assert main(["loo", str(kept), "--by", "subject"]) == 1
    assert "Did you mean 'Subject'?" in capsys.readouterr().err
