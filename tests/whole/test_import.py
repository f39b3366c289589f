"""`import hierreg` is cheap, and every public name is there."""

import ast
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import hierreg as hr

HEAVY_MODULES = [
    "arviz_base",
    "arviz_plots",
    "arviz_stats",
    "formulaic",
    "h5netcdf",
    "matplotlib",
    "narwhals",
    "numba",
    "numpy",
    "nutpie",
    "pandas",
    "pymc",
    "pytensor",
    "scipy",
    "xarray",
]


def run_python(code: str) -> str:
    """Run `code` in a fresh interpreter and return what it prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def imports_for_type_checkers() -> dict[str, str]:
    """Return public name -> module, read from the `if TYPE_CHECKING` block of the package."""
    tree = ast.parse(Path(hr.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def test_import_loads_no_heavy_module() -> None:
    loaded = run_python("import sys, hierreg; print('\\n'.join(sys.modules))").split()
    assert "hierreg" in loaded
    assert set(loaded).isdisjoint(HEAVY_MODULES)


def test_nutpie_can_be_imported_after_its_compiled_part() -> None:
    code = """
        import sys
        from hierreg.sampling.extension import extension
        part = extension()
        assert "nutpie" not in sys.modules and "arviz" not in sys.modules
        assert extension() is part
        import nutpie
        assert nutpie._lib is part
        from nutpie import _lib
        assert _lib is part and extension() is part
    """
    run_python(dedent(code))


def test_dir_lists_every_public_name_before_it_is_loaded() -> None:
    listed = run_python("import hierreg; print('\\n'.join(dir(hierreg)))").split()
    assert set(hr.__all__) <= set(listed)


@pytest.mark.parametrize("name", hr.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(hr, name) is getattr(hr, name)


def test_type_checkers_see_the_names_that_are_there_at_run_time() -> None:
    assert imports_for_type_checkers() == hr._MODULE_OF
    assert sorted(hr._MODULE_OF) == sorted(hr.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'hierreg' has no attribute 'no_such_name'"):
        hr.no_such_name  # noqa: B018 -- the look-up itself is what is tested


def test_errors_can_be_caught_as_hierreg_errors_and_as_value_errors() -> None:
    for name in ("DataError", "FormulaError", "ModelError", "PriorError"):
        error = getattr(hr.exceptions, name)
        assert issubclass(error, hr.exceptions.HierregError)
        assert issubclass(error, ValueError)
    for name in ("BoundaryWarning", "ConvergenceWarning"):
        assert issubclass(getattr(hr.exceptions, name), hr.exceptions.HierregWarning)
