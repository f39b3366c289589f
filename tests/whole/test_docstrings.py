"""Every public function says what is near it, and has an example that the tests of documentation run."""

import doctest
import inspect
import re

import pytest

import hierreg as hr
from hierreg.results.point import Estimate


def public() -> dict[str, object]:
    """Return what users call: functions, classes and methods, by name."""
    found = {name: getattr(hr, name) for name in hr.__all__} | {
        f"plots.{name}": getattr(hr.plots, name) for name in hr.plots.__all__
    }
    for owner in (hr.Model, hr.Gram, Estimate):
        methods = {name: inspect.getattr_static(owner, name) for name in dir(owner) if not name.startswith("_")}
        found |= {
            f"{owner.__name__}.{name}": getattr(owner, name)
            for name, one in methods.items()
            if inspect.isfunction(one) or isinstance(one, classmethod | staticmethod)
        }
    return {
        name: one
        for name, one in found.items()
        if not inspect.ismodule(one) and not (inspect.isclass(one) and issubclass(one, Exception))
    }


PUBLIC = public()


def section(doc: str, title: str) -> list[str]:
    """Return the lines of a section of a docstring."""
    lines = doc.splitlines()
    starts = [i for i, line in enumerate(lines[1:]) if re.fullmatch("-{3,}", line)]
    ends = [*starts[1:], len(lines)]
    named = {lines[i]: lines[i + 2 : end] for i, end in zip(starts, ends, strict=True)}
    return [line for line in named.get(title, []) if line]


def places(name: str) -> list[object]:
    """Return where a name may be looked up, in the docstring of another."""
    owner = {"Model": hr.Model, "Gram": hr.Gram, "Estimate": Estimate}.get(name.partition(".")[0])
    return [owner] if owner is not None and "." in name else [hr.plots, hr] if name.startswith("plots.") else [hr]


def found(name: str, where: list[object]) -> object | None:
    """Return what a name stands for, such as ``summary``, ``Model.estimate`` or ``hierreg.ranks``."""
    path = name.removeprefix("hierreg.").split(".")
    for place in [hr] if name.startswith("hierreg.") else [*where, hr]:
        one: object | None = place
        for part in path:
            one = None if one is None else getattr(one, part, None)
        if one is not None:
            return one
    return None


def test_the_walk_finds_what_users_call():
    assert {"summary", "plots.ranks", "Model.sample", "Gram.scan", "Estimate.to_latex", "LKJ"} <= set(PUBLIC)
    assert len(PUBLIC) > 80


@pytest.mark.parametrize("name", PUBLIC)
def test_see_also_names_what_exists(name):
    lines = section(inspect.getdoc(PUBLIC[name]), "See Also")
    assert lines, f"{name} has no section See Also"
    # A line that is indented goes on with the one above.
    entries = [re.fullmatch(r"([\w., ]+) : .+", line) for line in lines if not line.startswith(" ")]
    assert all(entries), lines
    for entry in entries:
        for one in entry[1].split(", "):
            other = found(one, places(name))
            assert other is not None, one
            assert other != PUBLIC[name], f"{name} names itself"


@pytest.mark.parametrize("name", PUBLIC)
def test_an_example_runs(name):
    examples = section(inspect.getdoc(PUBLIC[name]), "Examples")
    parsed = doctest.DocTestParser().get_examples("\n".join(examples))
    assert any(one.want for one in parsed), f"{name} has no example that says what comes out"
    assert not any(doctest.SKIP in one.options for one in parsed)


def test_names_in_the_middle_of_a_text_are_no_section():
    doc = "Title.\n\nSee Also\nnothing\n\nExamples\n--------\n>>> 1\n1\n"
    assert not section(doc, "See Also")
    assert section(doc, "Examples") == [">>> 1", "1"]
