"""Functions that compiled code calls, and arrays that it makes."""

import ast
import gc
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.runtime import _nrt_python, rtsys

import hierreg as hr
from hierreg.compiled.array_kernels import array_at, empty, in_shape, local, local_integers, local_zeros, ones, zeros
from hierreg.compiled.linking import Part, seldom_collected
from hierreg.compiled.parts import is_tried, part, whole
from hierreg.compiled.sources import source_files, stamped
from hierreg.gram import collect
from hierreg.likelihood.engines import marginal_likelihood
from tests.oracles.cases import random_case


@part
def inner(x, power):
    if x is None:
        return 0.0
    total = 0.0
    for i in range(len(x)):
        total += x[i] ** power
    return total


@part
def middle(x, y):
    return inner(x, np.int64(2)) + inner(y, np.int64(2))


def of_two_parts(x):
    return middle(x, None) + inner(x, np.int64(3))


def test_what_calls_parts_takes_them_in_and_they_have_no_machine_code():
    x = np.array([1.0, 2.0, 3.0])
    function = whole(of_two_parts)
    assert function(x) == x @ x + np.sum(x**3)
    function.recompile()  # what an earlier run compiled was read from a file
    compiled = list(middle.overloads.values())
    assert compiled
    assert not any(hasattr(one.library, "_compiled_object") for one in compiled)


@part
def twice(x):
    return 2.0 * x[0]


@part
def thrice(x):
    return 3.0 * x[0]


@part
def by_kind(kind, x):
    if kind == 0:
        return twice(x)
    return thrice(x)


def of_a_constant_and_a_variable(kind, x):
    return by_kind(1, x) + 10.0 * by_kind(kind, x)


def of_a_variable_and_a_constant(kind, x):
    return 10.0 * by_kind(kind, x) + by_kind(1, x)


@pytest.mark.parametrize("function", [of_a_constant_and_a_variable, of_a_variable_and_a_constant])
def test_a_part_that_is_called_with_a_constant_and_with_a_variable(function):
    """What is left out for the constant has to be there for the variable."""
    compiled = whole(function)
    assert [compiled(kind, np.ones(1)) for kind in (0, 1)] == [23.0, 33.0]


def test_a_part_that_python_calls_is_compiled_alone():
    assert middle(np.array([3.0]), np.array([4.0])) == 25.0


@pytest.mark.parametrize(("version", "expected"), [("0.62.1", False), ("0.63.1", True), ("0.69.0", False)])
def test_parts_are_linked_with_known_versions_of_numba(version, expected):
    assert is_tried(version) is expected


def test_with_another_version_functions_are_compiled_by_themselves(monkeypatch):
    monkeypatch.setattr("numba.__version__", "0.99.0rc1")
    function = part(inner.py_func)
    assert not isinstance(function, Part)
    assert function(np.array([3.0]), np.int64(2)) == 9.0
    assert function.alone is function
    assert function.overloads


@part
def fill(shape):
    a, b, c = empty(shape), zeros(shape), ones((4, shape[1]))
    for i in range(shape[0]):
        for j in range(shape[1]):
            a[i, j] = 10 * i + j
    return a, b, c


@part
def doubled(address, n):
    source = array_at(address, (n, 2), np.float64)
    return 2.0 * source[n - 1, 1]


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (1, 1)])
def test_arrays_are_what_numpy_makes(shape):
    a, b, c = fill(shape)
    np.testing.assert_array_equal(a, 10 * np.arange(shape[0])[:, None] + np.arange(shape[1]))
    np.testing.assert_array_equal(b, np.zeros(shape))
    np.testing.assert_array_equal(c, np.ones((4, shape[1])))
    assert a.flags.c_contiguous


def in_frames(n, m, passes, out):
    """Write 1 .. n m from arrays of a function's own, as often as asked."""
    for _ in range(passes):
        sums, places, numbers = local_zeros((n, m)), local_integers(n * m), local(n * m)
        flat = in_shape(sums, n * m)
        for i in range(n * m):
            places[i], numbers[i] = i, i + 0.5
        for i in range(n * m):
            flat[places[i]] += numbers[i] + 0.5
        for i in range(n):
            for j in range(m):
                out[i, j] += sums[i, j]


# Around the size beyond which arrays do not lie in the frame of the function.
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (3, 4), (17, 8), (1, 136), (1, 137), (137, 1), (60, 70)])
def test_arrays_for_a_function_alone_are_new_in_each_pass_of_a_loop(shape):
    out = np.zeros(shape)
    whole(in_frames)(*shape, 5, out)
    np.testing.assert_array_equal(out, 5.0 * np.arange(1, out.size + 1).reshape(shape))


@pytest.fixture
def memory_statistics():
    """Have numba count what it allocates."""
    _nrt_python.memsys_enable_stats()
    yield rtsys.get_allocation_stats
    _nrt_python.memsys_disable_stats()


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("kind", ["independent", "correlated", "exchangeable"])
def test_all_memory_of_a_likelihood_is_given_back(kind, q, memory_statistics, rng):
    case = random_case(rng, kind, q=q)
    likelihood = marginal_likelihood(collect(case.design, case.layout))
    likelihood.value_and_gradient(*case.point)  # what is made once
    before = memory_statistics()
    for _ in range(3):
        likelihood.value_and_gradient(*case.point)
    after = memory_statistics()
    assert after.alloc > before.alloc
    assert after.alloc - before.alloc == after.free - before.free
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free


def test_an_array_at_an_address_is_read_in_place():
    x = np.arange(6.0).reshape(3, 2)
    assert doubled(x.ctypes.data, 3) == 2.0 * x[2, 1]


def test_code_that_was_made_of_other_sources_is_left_aside(monkeypatch):
    x = np.array([1.0, 2.0])
    whole(of_two_parts)(x)
    again = whole(of_two_parts)
    assert again(x) == 14.0
    assert sum(again.stats.cache_hits.values()) == 1
    monkeypatch.setattr("hierreg.compiled.sources.digest_of_sources", lambda: "of another version")
    other = whole(of_two_parts)
    assert other(x) == 14.0
    assert sum(other.stats.cache_hits.values()) == 0


def test_files_that_are_kept_in_another_way_are_not_used():
    function = SimpleNamespace(_cache=SimpleNamespace(_cache_file=SimpleNamespace()))
    assert isinstance(stamped(function)._cache, NullCache)


def test_files_with_compiled_functions_and_their_constants_are_among_the_sources():
    package = Path(hr.__file__).parent
    sources = set(source_files())
    compiled = [
        path
        for path in package.rglob("*.py")
        if re.search(r"^@(part|whole|callback|njit|cfunc)", path.read_text(), re.MULTILINE)
    ]
    assert set(compiled) <= sources
    for path in compiled:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("hierreg."):
                assert package.parent.joinpath(*node.module.split(".")).with_suffix(".py") in sources, (
                    path,
                    node.module,
                )


def test_the_garbage_collector_is_as_it_was_after_a_compilation():
    before = gc.get_threshold()
    function = whole(of_two_parts)
    function.recompile()
    assert gc.get_threshold() == before
    with seldom_collected(), seldom_collected():
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before


@pytest.mark.parametrize("first", [0, 10**9])
def test_a_collector_that_looks_seldom_or_never_is_left_alone(first):
    before = gc.get_threshold()
    gc.set_threshold(first, *before[1:])
    try:
        with seldom_collected():
            assert gc.get_threshold()[0] == first
        assert gc.get_threshold()[0] == first
    finally:
        gc.set_threshold(*before)
