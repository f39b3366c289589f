"""Warnings kept for one fit, in whatever thread it runs."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

import hierreg as hr
from hierreg.exceptions import ConvergenceWarning, HierregWarning
from hierreg.warning import kept_warnings, warn


def test_a_warning_names_the_line_of_the_caller():
    with pytest.warns(HierregWarning, match="look") as caught:
        warn("look", HierregWarning)
    assert caught[0].filename == __file__


SLEEP = hr.load_dataset("sleepstudy")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: hr.Model("Reaction ~ Days + I(2 * Days)", SLEEP, collinear="drop"),
        lambda: hr.Gram.from_batches([SLEEP[:90], SLEEP[90:]], "Reaction ~ Days + I(2 * Days)", collinear="drop"),
        lambda: hr.Model("Reaction ~ C(Subject) + (1 | Subject)", SLEEP).estimate(),
    ],
    ids=["model", "batches", "estimate"],
)
def test_every_warning_names_the_line_that_called_hierreg_however_deep_it_arises(ask):
    with pytest.warns(HierregWarning) as caught:
        ask()
    assert {warning.filename for warning in caught} == {__file__}


def test_the_main_thread_keeps_warnings_of_all_packages():
    with kept_warnings() as kept:
        warn("ours", ConvergenceWarning)
        warnings.warn("theirs", RuntimeWarning, stacklevel=1)
    assert kept == [(ConvergenceWarning, "ours"), (RuntimeWarning, "theirs")]


def test_threads_that_overlap_keep_their_own_and_leave_the_filters_alone():
    """The first in is the first out: with `catch_warnings` the filters of the second would stay."""
    before = warnings.filters[:]
    second_is_in, first_is_out = threading.Event(), threading.Event()

    def first():
        with kept_warnings() as kept:
            assert second_is_in.wait(10)
            warn("first", ConvergenceWarning)
        first_is_out.set()
        return kept

    def second():
        with kept_warnings() as kept:
            second_is_in.set()
            assert first_is_out.wait(10)
            warn("second", HierregWarning)
        return kept

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(first), pool.submit(second)
    assert one.result() == [(ConvergenceWarning, "first")]
    assert other.result() == [(HierregWarning, "second")]
    assert warnings.filters == before
