"""Work over processes: all of it is done, once, whatever happens to a process."""

import pytest

from hierreg.exceptions import ModelError
from hierreg.studies.workers import results_of, sent
from tests.studies.work import killed, squares


def test_what_a_lost_process_had_is_done_again(tmp_path):
    shared = {"folder": str(tmp_path), "lost": 7}
    found = list(results_of(squares, shared, list(range(20)), cores=2, client=None))
    assert (tmp_path / "lost").exists()
    assert sorted(found) == [(number, number**2) for number in range(20)]


def test_processes_that_are_always_lost_end_in_words(tmp_path):
    with pytest.raises(ModelError, match=r"processes were lost 3 times.*__main__"):
        list(results_of(killed, {}, [1, 2], cores=2, client=None))


def test_one_core_needs_no_process(tmp_path):
    shared = {"folder": str(tmp_path), "lost": None, "function": lambda x: x}
    assert list(results_of(squares, shared, [3, 1], cores=1, client=None)) == [(3, 9), (1, 1)]


def test_nothing_to_do_starts_nothing():
    assert list(results_of(killed, {}, [], cores=2, client=None)) == []


def test_functions_that_others_cannot_find_are_refused():
    with pytest.raises(ModelError, match="cores=1"):
        sent({"function": lambda x: x})
