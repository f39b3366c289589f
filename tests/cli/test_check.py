"""`hierreg check`: the same as the library's, with a figure where one is asked for."""

import json

import numpy as np
import pytest

import hierreg as hr
from hierreg.cli import main
from tests.helpers import report_trees as trees


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    model = hr.Model("Reaction ~ Days + (1 | Subject)", hr.load_dataset("sleepstudy"))
    return hr.save(trees.run(model, method="psis", draws=300), tmp_path_factory.mktemp("check") / "fit.nc")


def test_check_prints_what_the_library_finds(fit, tmp_path, capsys):
    figure = tmp_path / "checks.png"
    assert main(["check", str(fit), "--time", "Days", "--figure", str(figure)]) == 0
    out = capsys.readouterr().out
    expected = hr.check(hr.load(fit), time="Days")
    assert expected.text() in out
    assert "a slope by group, (Days | Subject)" in " ".join(out.split())
    assert figure.stat().st_size > 10_000


def test_check_for_programs(fit, capsys):
    assert main(["check", str(fit), "--json", "--level", "0.01", "--seed", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = hr.check(hr.load(fit), level=0.01, seed=3).to_pandas()
    rows = found["tables"]["checks"]
    assert [row["verdict"] for row in rows] == list(expected["verdict"])
    np.testing.assert_array_equal([np.nan if row["p"] is None else row["p"] for row in rows], expected["p"])
    assert found["about"]["formula"] == "Reaction ~ Days + (1 | Subject)"


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--time", "days"], "Did you mean 'Days'"), (["--unit", "u"], "unit='u'"), (["--level", "2"], "level=2.0")],
)
def test_bad_options_are_said(fit, options, words, capsys):
    assert main(["check", str(fit), *options]) == 1
    assert words in capsys.readouterr().err
