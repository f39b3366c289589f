"""The catalogue: every worked model, every expectation."""

import pytest

from models.catalogue import HERE, expectations, names, run

# A posterior of 4,116 coefficients in three crossed factors takes most of a minute, the others two to seven seconds.
SLOW = {"lecturers", "verbal_aggression", "contraception", "two_populations", "cows", "ticks", "mixed_model_equations"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in names()]


@pytest.mark.parametrize("name", NAMES)
def test_worked_model(name):
    result = run(name)
    missed = [
        f"{o.expectation.name}: expected {o.expected:.10g}, found {o.found:.10g}, allowed {o.allowed:.3g}"
        for o in result.outcomes
        if not o.passed
    ]
    assert not missed, "\n".join(missed)
    assert len(result.outcomes) == len(expectations(name)), "an expectation was skipped"


@pytest.mark.parametrize("name", NAMES)
def test_folder_is_complete(name):
    for file in ("README.md", "model.py", "expected.py"):
        assert (HERE / name / file).is_file(), f"{name} has no {file}"
    expected = expectations(name)
    assert expected, f"{name} expects nothing"
    assert len({e.name for e in expected}) == len(expected), "two expectations have one name"
    for e in expected:
        assert e.kind in {"closed form", "other software", "truth"}
        assert e.source
        assert e.tolerance, f"{e.name} has no tolerance"


def test_a_readme_fits_on_a_page():
    for name in names():
        lines = (HERE / name / "README.md").read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 60, f"{name}/README.md has {len(lines)} lines"
        assert max(map(len, lines)) <= 120
