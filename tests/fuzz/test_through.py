"""Random models sampled, reported, saved and loaded: every step works or is refused in words."""

import numpy as np
import pytest

import hierreg as hr
from tests.fuzz import through
from tests.fuzz.run import report

CASES, AT_ONCE = 10, 5


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, CASES, AT_ONCE))
def test_every_case_goes_through_or_is_refused(first):
    verdicts = [through.verdict(seed) for seed in range(first, first + AT_ONCE)]
    assert not [found for found in verdicts if found.outcome == "failure"], report(verdicts)
    assert any(found.outcome == "answered" for found in verdicts)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "wrong", "kind"),
    [
        ("summary", lambda *_: 1 / 0, "summary: foreign ZeroDivisionError"),
        ("load", lambda _: hr.load_dataset("sleepstudy"), "load: foreign"),
        ("predict", lambda *_, **__: {"mean": np.full(1, np.nan)}, "predict: "),
    ],
)
def test_a_fault_is_found(name, wrong, kind, monkeypatch):
    seed = next(seed for seed in range(20) if through.verdict(seed).outcome == "answered")
    monkeypatch.setattr(hr, name, wrong, raising=False)
    assert through.verdict(seed).kind.startswith(kind)
