"""Work over processes: all of it is done, once, whatever happens to a process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hierreg.exceptions import ModelError
from hierreg.studies.workers import results_of, sent
from tests.studies.work import killed, squares


@pytest.mark.long
def test_what_a_lost_process_had_is_done_again(tmp_path):
    shared = {"folder": str(tmp_path), "lost": 7}
    found = list(results_of(squares, shared, list(range(20)), cores=2, client=None))
    assert (tmp_path / "lost").exists()
    assert sorted(found) == [(number, number**2) for number in range(20)]


@pytest.mark.long
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


_SCRIPT = """
import hierreg as hr
if __name__ == "__main__":
    model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    found = hr.calibrate(model, 100_000, seed=1, cores=2, path="kept.npz", method="psis", draws=39, progress=False)
    print("returned", found.attrs["n"], found.attrs["interrupted"])
"""


@pytest.mark.slow
def test_an_interrupt_of_a_terminal_ends_all_processes_and_returns_what_there_is(tmp_path):
    """A terminal interrupts every process of the program; the one that the user sees decides what that means."""
    (tmp_path / "script.py").write_text(_SCRIPT, encoding="utf-8")
    program = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    until = time.monotonic() + 300
    while not (tmp_path / "kept.npz").exists() and time.monotonic() < until:
        time.sleep(0.5)
    os.killpg(program.pid, signal.SIGINT)
    out, _ = program.communicate(timeout=60)
    assert program.returncode == 0
    assert "of 100000 replications are finished, and kept in 'kept.npz'" in out
    assert int(out.split()[1]) > 0
