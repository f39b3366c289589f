"""The command line, called as a function; once as the installed command."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hierreg as hr
from hierreg.cli import main
from hierreg.cli.parsing import entries_of, parse_effects, parse_priors
from hierreg.exceptions import PriorError

# Long enough for no warning, whatever the rounding of the machine.
SHORT = ["--draws", "1000", "--tune", "200", "--chains", "4", "--seed", "1", "--quiet"]


@pytest.fixture(scope="module")
def sleep_fit(sleep_csv):
    path = sleep_csv.with_name("fit.nc")
    code = main(["fit", str(sleep_csv), "Reaction ~ Days + (Days | Subject)", "-o", str(path), *SHORT])
    return code, path


def test_fit_keeps_the_posterior_that_the_library_gives(sleep_csv, sleep_fit):
    import pandas as pd

    code, path = sleep_fit
    assert code == 0
    kept = hr.load(path)
    model = hr.Model("Reaction ~ Days + (Days | Subject)", pd.read_csv(sleep_csv))
    again = model.sample(draws=1000, tune=200, chains=4, seed=1, progress=False)
    np.testing.assert_array_equal(kept["posterior"]["beta"], again["posterior"]["beta"])


def test_predict_needs_the_kept_posterior_alone(sleep_fit, tmp_path, capsys):
    import pandas as pd

    rows = pd.DataFrame({"Days": [10.0, 2.5], "Subject": [308, 372]})
    new, out = tmp_path / "new.csv", tmp_path / "out.csv"
    rows.to_csv(new, index=False)
    assert main(["predict", str(sleep_fit[1]), str(new), "-o", str(out), "--ci", "0.9", "--seed", "3"]) == 0
    assert "308" in capsys.readouterr().out
    found, expected = pd.read_csv(out), hr.predict(hr.load(sleep_fit[1]), rows, ci_prob=0.9, seed=3)
    np.testing.assert_allclose(found["mean"], expected["mean"])
    np.testing.assert_allclose(found["upper_new"], expected["upper_new"])
    rows.drop(columns="Subject").to_csv(new, index=False)
    assert main(["predict", str(sleep_fit[1]), str(new), "--level", "population", "--no-observation"]) == 0
    assert "population" in capsys.readouterr().out
    assert main(["predict", str(sleep_fit[1]), str(new)]) == 1
    assert "Subject" in capsys.readouterr().err


def test_predict_reads_labels_as_the_model_has_them(sleep_csv, tmp_path, capsys):
    """308 is a number in the file of new rows, and text in the model."""
    fit, new = tmp_path / "fit.nc", tmp_path / "new.csv"
    formula = "Reaction ~ Days + (Days | Subject)"
    assert main(["fit", str(sleep_csv), formula, "-o", str(fit), "--as-category", "Subject", *SHORT]) == 0
    new.write_text("Days,Subject\n10,308\n")
    assert main(["predict", str(fit), str(new)]) == 0
    assert "308" in capsys.readouterr().out


def test_report_prints_every_table_and_writes_figures_and_csv(sleep_fit, tmp_path, capsys):
    folder = tmp_path / "out"
    assert main(["report", str(sleep_fit[1]), "--figures", str(folder), "--tables", str(folder)]) == 0
    out = capsys.readouterr().out
    for word in ("SUMMARY", "CORRELATIONS", "SHRINKAGE", "sd_Subject[Days]", "308"):
        assert word in out
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "summary.csv",
        "correlations.csv",
        "shrinkage.csv",
        "variances.png",
        "correlations.png",
        "shrinkage.png",
        "caterpillar.png",
        "lines_Days.png",
    }


@pytest.mark.long
def test_report_of_a_regression_without_groups(tmp_path, capsys):
    path = tmp_path / "wide.csv"
    firms = hr.load_dataset("grunfeld")
    firms[firms["firm"].isin(["General Electric", "Westinghouse"])].to_csv(path, index=False)
    fit = tmp_path / "sur.nc"
    formula = "invest ~ 0 + firm + firm:value + firm:capital"
    assert main(["fit", str(path), formula, "--correlated", "firm", "year", "-o", str(fit), *SHORT]) == 0
    assert main(["report", str(fit), "--figures", str(tmp_path)]) == 0
    assert "SHRINKAGE" not in capsys.readouterr().out
    assert not (tmp_path / "shrinkage.png").exists()


def test_point_estimates(sleep_csv, capsys):
    formula = "Reaction ~ Days + (Days | Subject)"
    assert main(["fit", str(sleep_csv), formula, "--method", "reml"]) == 0
    assert "criterion 1743.6283" in capsys.readouterr().out
    assert main(["fit", str(sleep_csv), formula, "--method", "ml"]) == 0
    assert "criterion 1751.9393" in capsys.readouterr().out


def test_effects_of_the_command_line(sleep_csv, capsys):
    formula, effects = "Reaction ~ Days + (Days | Subject)", ["--effects", "Subject = StudentT(4)"]
    assert main(["fit", str(sleep_csv), formula, *effects, "--as-category", "Subject", "--method", "ml"]) == 0
    same = hr.Model(formula, hr.load_dataset("sleepstudy"), effects={"Subject": hr.StudentT(4)}).estimate("ml")
    assert f"effects Subject: StudentT(nu=4); criterion {same.criterion:.4f}" in capsys.readouterr().out
    assert parse_effects(["a b = Mixture(3, common=False)"]) == {"a b": hr.Mixture(3, common=False)}
    assert parse_effects([]) is None


def test_errors_with_known_covariance_and_priors(tmp_path, capsys):
    rng = np.random.default_rng(2)
    x = np.linspace(0, 1, 12)
    V = 0.04 * (np.eye(12) + 0.5)
    y = 1 + 2 * x + rng.multivariate_normal(np.zeros(12), V)
    table, matrix = tmp_path / "line.csv", tmp_path / "V.csv"
    np.savetxt(table, np.column_stack([x, y]), delimiter=",", header="x,y", comments="")
    np.savetxt(matrix, V, delimiter=",")
    assert main(["fit", str(table), "y ~ x", "--known-cov", str(matrix), "--method", "reml"]) == 0
    X = np.column_stack([np.ones(12), x])
    expected = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, y))
    line = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("  beta[x] "))
    assert float(line.split()[1]) == pytest.approx(expected[1], rel=1e-3)


BAD = [
    (["fit", "nowhere.csv", "y ~ x"], ["nowhere.csv", "no such file"]),
    (["fit", "SLEEP", "Reaction ~ Dayz"], ["Dayz", "Did you mean 'Days'"]),
    (["fit", "SLEEP", "Reaction ~ __import__('os')"], ["__import__"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--scale"], ["--scale", "--known-se"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--as-category", "Dayz"], ["Dayz", "'Days'"]),
    (["fit", "SLEEP", "Reaction ~ Days", "-o", "fit.pkl"], ["fit.pkl", ".nc"]),
    (["fit", "SLEEP", "Reaction ~ Days", "-o", "fit.nc", "--method", "ml"], ["--output", "ml"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--prior", "beta.Days"], ["beta.Days", "NAME = FAMILY"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--prior", "beta.Days = open('x')"], ["open('x')", "HalfNormal"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--prior", "error_sd = HalfNormal(-1)"], ["HalfNormal(sigma=-1)"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--draws", "0"], ["draws=0"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--effects", "Subject"], ["FACTOR=student_t"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--effects", "Subject = open('x')"], ["open('x')", "FACTOR=mixture:2"]),
    (["fit", "SLEEP", "Reaction ~ Days", "--effects", "Subject = StudentT(0)"], ["above 1"]),
    (["report", "nowhere.nc"], ["nowhere.nc", "no such file"]),
    (["report", "SLEEP"], ["must end in"]),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[" ".join(a[2:] or a) for a, _ in BAD])
def test_bad_input_is_one_line_and_exit_code_one(arguments, words, sleep_csv, capsys):
    assert main([str(sleep_csv) if a == "SLEEP" else a for a in arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_wrong_command_line_is_exit_code_two(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit"])
    assert stop.value.code == 2
    assert "data" in capsys.readouterr().err


def test_priors_of_the_command_line():
    texts = ["sd.Subject.Days = Exponential(0.1)", "sd.Subject.Intercept = HalfNormal(sigma=50)"]
    got = parse_priors(entries_of(texts))
    assert got == hr.Priors(sd={"Subject": {"Days": hr.Exponential(0.1), "Intercept": hr.HalfNormal(50)}})
    assert parse_priors([]) is None
    with pytest.raises(PriorError, match="already"):
        parse_priors(entries_of(["sd.Subject = HalfNormal(1)", "sd.Subject.Days = HalfNormal(1)"]))


def test_installed_command_teaches():
    command = shutil.which("hierreg", path=str(Path(sys.executable).parent))
    assert command is not None, "the package is not installed"
    shown = subprocess.run([command, "fit", "--help"], capture_output=True, text=True, check=True).stdout
    for word in ("y ~ x + (x | g)", "--correlated DATASET UNIT", "exit codes"):
        assert word in shown


@pytest.mark.slow
def test_demo_writes_what_it_says(tmp_path, capsys):
    folder = tmp_path / "demo"
    assert main(["demo", "-o", str(folder), "--quiet"]) == 0
    out = capsys.readouterr().out
    for name in ("sleepstudy", "firms"):
        tree = hr.load(folder / f"{name}.nc")
        assert int(tree["sample_stats"]["diverging"].sum()) == 0
        for figure in ("variances", "shrinkage", "caterpillar", "correlations"):
            assert (folder / f"{name}-{figure}.png").stat().st_size > 10_000
            assert f"{name}-{figure}.png" in out
