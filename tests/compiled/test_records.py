"""Records: what Python fills in is what compiled functions find under the same name."""

import contextlib
import importlib
import pkgutil
import re
from typing import NamedTuple, get_type_hints

import numpy as np
import pytest

import hierreg as hr
from hierreg.compiled.addresses import AddressTable
from hierreg.compiled.records import Count, Flags, Floats, Integers, Number, n_rows, rows_of, values_of
from hierreg.compiled.sources import source_files


class Inner(NamedTuple):
    flags: Flags
    size: Count


class Outer(NamedTuple):
    first: Inner
    x: Floats
    constant: Number
    second: Inner
    codes: Integers


def outer(**changed):
    values = {
        "first": Inner(flags=np.array([0, 2]), size=np.intp(3)),
        "x": np.ones((3, 4), dtype=np.float32).T,
        "constant": 1.5,
        "second": Inner(flags=np.array([True]), size=False),
        "codes": np.arange(3, dtype=np.int32),
    }
    return Outer(**{**values, **changed})


def test_rows_follow_each_other_those_of_inner_records_in_their_place():
    rows = rows_of(Outer)
    assert (rows.first.flags, rows.first.size, rows.x, rows.constant) == (0, 1, 2, 3)
    assert (rows.second.flags, rows.second.size, rows.codes) == (4, 5, 6)
    assert n_rows(Outer) == len(list(values_of(outer()))) == 7


def test_types_that_compiled_code_takes_for_granted():
    flags, size, x, constant, _, no, codes = values_of(outer())
    assert (flags.dtype, x.dtype, constant.dtype, codes.dtype) == (np.bool_, np.float64, np.float64, np.int64)
    assert x.flags.c_contiguous
    assert constant.shape == (1,)
    assert (type(size), size, type(no), no) == (int, 3, int, 0)


def test_arrays_that_are_written_to_are_not_copied():
    x = np.zeros((2, 3))
    assert list(values_of(outer(x=x)))[2] is x


def test_the_table_has_what_its_names_say():
    record = outer()
    table, rows = AddressTable(record).rows, rows_of(Outer)
    assert tuple(table[rows.x, 1:3]) == record.x.shape
    assert table[rows.first.size, 0] == 3
    assert table[rows.codes, 1] == 3


def records():
    """The records of all compiled functions."""
    found = {}
    for module in pkgutil.walk_packages(hr.__path__, "hierreg."):
        if module.name.endswith("record") and module.name != "hierreg.compiled.records":
            for name, one in vars(importlib.import_module(module.name)).items():
                if isinstance(one, type) and issubclass(one, tuple) and one.__module__ == module.name:
                    found[f"{module.name.removeprefix('hierreg.')}.{name}"] = one
    return found


RECORDS = records()


def places_in(rows):
    return [place for row in rows for place in (places_in(row) if isinstance(row, tuple) else [row])]


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_has_a_row_of_its_own(name):
    record = RECORDS[name]
    assert places_in(rows_of(record)) == list(range(n_rows(record)))


def exists(name, package):
    """Whether a dotted name is one of a folder, of one above it, or of hierreg."""
    folders = [package, package.rpartition(".")[0], "hierreg"]
    module, _, rest = name.partition(".")
    for folder in folders:
        path, left = f"{folder}.{module}", rest
        with contextlib.suppress(ModuleNotFoundError):
            one = importlib.import_module(path)
            while left:
                first, _, left = left.partition(".")
                if first in getattr(one, "__dataclass_fields__", {}):
                    return not left
                if hasattr(one, first):
                    one = getattr(one, first)
                else:
                    path = f"{path}.{first}"
                    one = importlib.import_module(path)
            return True
    return False


@pytest.mark.parametrize("name", RECORDS)
def test_what_a_record_refers_to_exists(name):
    record = RECORDS[name]
    package = record.__module__.rpartition(".")[0]
    dotted = [one for one in re.findall(r"`([\w.]+)`", record.__doc__) if "." in one]
    assert [one for one in dotted if not exists(one, package)] == []
    assert not exists("entry.no_such_function", package)


def test_arrays_are_read_as_what_they_are_declared_to_be():
    """`vector_at(table, rows.name, np.int64)`: the compiled side gives the type once more, and nothing checks it."""
    declared, n = {}, 0
    for record in RECORDS.values():
        for name, kind in get_type_hints(record, include_extras=True).items():
            declared.setdefault(name, set()).update(getattr(kind, "__metadata__", (None,)))
    for path in source_files():
        for name, of_type in re.findall(r"(?:vector|matrix)_at\(\w+, [\w.]+\.(\w+), np\.(\w+)\)", path.read_text()):
            assert np.dtype(of_type) in {np.dtype(one) for one in declared[name] if one}, (path, name)
            n += 1
        for name in re.findall(r"(?:stack|tensor)_at\(\w+, [\w.]+\.(\w+)\)", path.read_text()):
            assert np.float64 in declared[name], (path, name)
            n += 1
    assert n > 150
