"""Every structure of errors is complete: in its class, in files, and in each table of the layers above."""

import ast
import importlib
import inspect
import json
import pkgutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hierreg as hr
from hierreg import errors
from hierreg.cli.arguments import parser
from hierreg.design_matrices import as_table
from hierreg.errors.base import ErrorSpec
from hierreg.errors.structures import STRUCTURES, bind_errors, checked_structure, errors_from_json, weighted
from hierreg.exceptions import ModelError

EXAMPLES = {
    "independent": hr.independent(),
    "by": hr.by("site"),
    "correlated": hr.correlated("set", unit="unit"),
    "exchangeable": hr.exchangeable("unit", by="site", common_sd=False),
    "ar1": hr.ar1("time", unit="unit"),
    "known_se": hr.known_se("se", scale=True),
    "known_cov": hr.known_cov(np.diag([1.0, 2.0, 3.0, 4.0]), scale=True),
}
# As they stand in files, which outlive the code.
IN_FILES = {
    "independent": {"kind": "Independent", "weights": None},
    "by": {"kind": "By", "column": "site", "weights": None},
    "correlated": {"kind": "Correlated", "dataset": "set", "unit": "unit"},
    "exchangeable": {"kind": "Exchangeable", "unit": "unit", "by": "site", "common_sd": False},
    "ar1": {"kind": "AR1", "time": "time", "unit": "unit"},
    "known_se": {"kind": "KnownSE", "column": "se", "scale": True},
    "known_cov": {"kind": "KnownCov", "n": 4, "scale": True},
}
# Tables by structure, and what they leave out.
TABLES = {
    "hierreg.gram.collect._PRODUCTS": set(),
    "hierreg.problem.exact_fit._PARTS": set(),
    "hierreg.problem.no_bound._LIMITS": set(),
    "hierreg.predictive.rows._SCALERS": set(),
    "hierreg.predictive.densities._DENSITIES": set(),
    "hierreg.predictive.left_out.precision._PRECISIONS": set(),
    "hierreg.linear.prediction.errors._NEW_ERRORS": set(),
    "hierreg.pymc_model.errors.IN_PYMC": set(),
    "hierreg.cli.fit._STRUCTURES": {"independent"},  # what no option asks for
}
PACKAGE = Path(hr.__file__).parent


def table():
    return pd.DataFrame(
        {
            "site": ["a", "a", "b", "b"],
            "set": ["u", "v", "u", "v"],
            "unit": ["i", "i", "j", "j"],
            "time": [0, 1, 0, 3],
            "se": [1.0, 2.0, 1.0, 0.5],
            "w": [1.0, 2.0, 4.0, 8.0],
        }
    )


def concrete(base):
    below = [one for child in base.__subclasses__() for one in (child, *concrete(child))]
    return [one for one in below if not inspect.isabstract(one)]


def test_every_structure_is_listed_and_has_an_example() -> None:
    for module in pkgutil.walk_packages(errors.__path__, "hierreg.errors."):
        importlib.import_module(module.name)
    # A class with slots is made twice, and the first one may still be there.
    assert {one.__qualname__ for one in concrete(ErrorSpec)} == {one.__qualname__ for one in STRUCTURES.values()}
    assert {kind: type(example) for kind, example in EXAMPLES.items()} == STRUCTURES


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_every_structure(name) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    assert set(found) == set(STRUCTURES) - TABLES[name]


@pytest.mark.parametrize("kind", STRUCTURES)
def test_a_structure_is_written_as_it_is_shown(kind) -> None:
    spec = EXAMPLES[kind]
    assert str(spec).startswith(f"{kind}(")
    assert spec.usage.startswith(f"hr.{kind}(")
    assert kind in hr.__all__
    assert getattr(hr, kind).__module__ == type(spec).__module__


@pytest.mark.parametrize("kind", STRUCTURES)
def test_a_structure_comes_back_from_a_file(kind) -> None:
    spec = EXAMPLES[kind]
    assert spec.to_json() == IN_FILES[kind]
    again = errors_from_json(json.loads(json.dumps(spec.to_json())))
    assert type(again) is type(spec)
    assert (again.to_json(), again.without_data()) == (spec.to_json(), spec.without_data())


@pytest.mark.parametrize("kind", STRUCTURES)
def test_a_layout_is_what_its_structure_says(kind) -> None:
    spec, rows = EXAMPLES[kind], table()
    layout = bind_errors(spec, as_table(rows))
    assert layout.spec is spec
    assert layout.kind == kind
    assert (layout.unit is not None) == spec.has_units == (spec.columns.unit is not None)
    assert (layout.time is not None) == spec.is_in_time
    assert (layout.V is not None) == (spec.known_matrix is not None)
    assert layout.has_corr == spec.has_units
    assert layout.dim == spec.columns.stratum
    # Nothing else of the table is read.
    needed = [*spec.columns.labels, *spec.columns.numbers]
    again = bind_errors(spec, as_table(rows[needed] if needed else rows[["w"]]))
    np.testing.assert_array_equal(again.stratum, layout.stratum)
    for column in needed:
        with pytest.raises(hr.exceptions.DataError, match=column):
            bind_errors(spec, as_table(rows.drop(columns=column)))


@pytest.mark.parametrize("kind", STRUCTURES)
def test_a_structure_has_weights_or_says_why_not(kind) -> None:
    spec = EXAMPLES[kind]
    if spec.no_weights:
        with pytest.raises(ModelError) as caught:
            weighted(spec, "w")
        assert str(caught.value) == f"weights='w' with errors={spec}: {spec.no_weights}."
        return
    layout = bind_errors(weighted(spec, "w"), as_table(table()))
    np.testing.assert_allclose(layout.se, [1.0, 0.5**0.5, 0.5, 8.0**-0.5], rtol=1e-15)


@pytest.mark.parametrize("kind", STRUCTURES)
def test_a_structure_comes_in_parts_or_says_why_not(kind) -> None:
    spec = EXAMPLES[kind]
    if spec.no_parts:
        with pytest.raises(ModelError) as caught:
            checked_structure(spec, in_parts=True)
        assert str(caught.value) == f"errors={spec}: {spec.no_parts}"
    else:
        assert checked_structure(spec, in_parts=True) is spec
    with pytest.raises(ModelError) as caught:
        checked_structure(1, in_parts=True)
    assert (spec.usage in str(caught.value)) == (not spec.no_parts)


def test_densities_of_units_are_those_of_structures_that_have_units() -> None:
    from hierreg.predictive.densities import _DENSITIES

    for kind, found in _DENSITIES.items():
        assert set(found) == ({"rows", "units", "all"} if STRUCTURES[kind].has_units else {"rows", "all"})


def test_every_structure_of_the_command_line_has_its_option() -> None:
    from hierreg.cli.fit import _STRUCTURES

    options = vars(parser().parse_args(["fit", "y ~ x", "table.csv"]))
    assert set(_STRUCTURES) <= set(options)


# ---- no branches elsewhere

CLASSES = {one.__name__ for one in STRUCTURES.values()}


def branches_of(tree):
    """Yield the lines that ask which structure errors have: by its class, or by its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in {"isinstance", "issubclass"}:
            found = {name for argument in node.args[1:] for name in names_in(argument)} & CLASSES
        elif isinstance(node, ast.Call) and called(node) in {"startswith", "endswith"}:
            is_kind = isinstance(node.func.value, ast.Attribute) and node.func.value.attr == "kind"
            found = strings_in(node) if is_kind else set()
        elif isinstance(node, ast.Compare | ast.MatchClass | ast.MatchValue):
            found = names_in(node) & CLASSES | strings_in(node) & set(STRUCTURES)
        elif isinstance(node, ast.Dict):
            keys = [key for key in node.keys if key is not None]
            named = {one.value for one in keys if isinstance(one, ast.Constant)} & set(STRUCTURES)
            named |= {name for one in keys for name in names_in(one)} & CLASSES
            # A table that the test above does not know.
            found = named if len(named) > 1 and id(node) not in at_top(tree) else set()
        else:
            continue
        if found:
            yield node.lineno, found


def called(node):
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def names_in(node):
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }


def strings_in(node):
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def at_top(tree):
    """Return the identities of the values of the tables of TABLES in a module."""
    known = {name.rpartition(".")[2] for name in TABLES}
    return {id(one.value) for one in tree.body if isinstance(one, ast.AnnAssign) and one.target.id in known}


def modules():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != "errors"]


def test_no_module_but_those_of_errors_asks_which_structure_it_is() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}": sorted(names)
        for path in modules()
        for line, names in branches_of(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(spec, KnownCov)",
        "isinstance(spec, (By, Other))",
        "type(spec) is AR1",
        "layout.kind == 'ar1'",
        "layout.kind in {'known_se', 'known_cov'}",
        "terms.kind.startswith('known')",
        "{'exchangeable': f, 'ar1': g}.get(layout.kind, h)",
        "match spec:\n    case errors.Correlated():\n        pass",
        "match spec.kind:\n    case 'by':\n        pass",
    ],
)
def test_such_a_question_would_be_found(code) -> None:
    assert list(branches_of(ast.parse(code)))
