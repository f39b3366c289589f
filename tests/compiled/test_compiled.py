"""Functions that compiled code calls, and arrays that it makes."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core.caching import NullCache

import hierreg as hr
from hierreg.compiled.array_kernels import array_at, empty, empty_integers, ones, zeros
from hierreg.compiled.linking import Part
from hierreg.compiled.parts import is_tried, part, whole
from hierreg.compiled.sources import source_files, stamped


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
    a, b, c, d = empty(shape), zeros(shape), empty_integers(3), ones((4, shape[1]))
    for i in range(shape[0]):
        for j in range(shape[1]):
            a[i, j] = 10 * i + j
    for i in range(3):
        c[i] = i
    return a, b, c, d


@part
def doubled(address, n):
    source = array_at(address, (n, 2), np.float64)
    return 2.0 * source[n - 1, 1]


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (1, 1)])
def test_arrays_are_what_numpy_makes(shape):
    a, b, c, d = fill(shape)
    np.testing.assert_array_equal(a, 10 * np.arange(shape[0])[:, None] + np.arange(shape[1]))
    np.testing.assert_array_equal(b, np.zeros(shape))
    assert c.dtype == np.int64
    assert c.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(d, np.ones((4, shape[1])))
    assert a.flags.c_contiguous


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
