"""Work on threads: in order, no more of it than asked for, and errors where they belong."""

import threading

import pytest

from hierreg import threads
from hierreg.threads import chunks_of, in_order, one_thread


@pytest.fixture(params=[1, 3])
def cores(request, monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: request.param)
    return request.param


def test_results_come_in_the_order_of_the_items(cores):
    waits = [threading.Event() for _ in range(2)]

    def work(i):
        if i < 2 and cores > 2:
            # the first is not done before the third
            waits[i].wait(20)
        for one in waits if i == 2 else ():
            one.set()
        return i * i

    assert list(in_order(work, range(7))) == [i * i for i in range(7)]


def test_items_are_taken_as_they_are_needed(cores):
    taken = []

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    results = in_order(lambda i: i, items())
    assert next(results) == 0
    assert len(taken) <= cores + 1
    results.close()
    assert len(taken) <= cores + 1


def test_an_error_is_raised_where_its_result_would_have_been(cores):
    def work(i):
        if i == 3:
            raise ValueError("three")
        return i

    results = in_order(work, range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_no_threads_are_started_within_threads(cores):
    def names(_):
        here = threading.current_thread().name
        return {here} | set(in_order(lambda _: threading.current_thread().name, range(4)))

    assert all(len(found) == 1 for found in in_order(names, range(3)))
    with one_thread():
        assert names(0) == {threading.current_thread().name}


def test_chunks_are_all_rows_once():
    assert chunks_of(10, 4) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert chunks_of(0, 4) == []


def test_there_is_a_core():
    assert threads.available_cores() >= 1
