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


def test_diagnostics_leave_what_arviz_looks_for_importable() -> None:
    code = """
        import sys
        import numpy as np
        from hierreg.deferred import array_stats
        assert array_stats().ess(np.random.default_rng(1).normal(size=(4, 50)), chain_axis=0, draw_axis=1) > 0
        from arviz_base import io_numpyro
        for name in ("jax", "numpyro"):
            stand_in = getattr(io_numpyro, name)
            assert repr(stand_in).startswith(f"<module {name!r}")
            assert name not in sys.modules
            try:
                stand_in.no_such_name
            except (ModuleNotFoundError, AttributeError) as error:  # not installed, or installed
                print(error.name)
    """
    assert run_python(dedent(code)).split() in (["jax", "numpyro"], ["no_such_name"] * 2)


def test_a_deferred_module_is_imported_when_something_is_asked_of_it() -> None:
    code = """
        import sys
        from hierreg.deferred import deferred
        with deferred("colorsys"):
            import colorsys as stand_in
        assert "colorsys" not in sys.modules
        print(stand_in.rgb_to_hsv(0.0, 0.0, 1.0)[2])
        import colorsys
        assert colorsys is not stand_in
        assert colorsys.rgb_to_hsv is stand_in.rgb_to_hsv
        with deferred("colorsys"):
            assert sys.modules["colorsys"] is colorsys
    """
    assert run_python(dedent(code)) == "1.0\n"


def test_a_deferred_module_is_imported_inside_the_block_too() -> None:
    code = """
        import sys
        from hierreg.deferred import Deferred, deferred
        with deferred("email"):
            import email.message
            from email import charset
            assert not isinstance(sys.modules["email"], Deferred)
        assert email.charset is charset
    """
    run_python(dedent(code))


def test_nobody_sees_jax_while_arviz_is_imported() -> None:
    code = """
        import builtins, sys
        import lazy_loader
        from hierreg.deferred import array_stats
        before, seen, asked = lazy_loader.load, [], builtins.__import__
        def watched(name, *args, **options):
            seen.append("jax" in sys.modules)
            return asked(name, *args, **options)
        builtins.__import__ = watched
        array_stats()
        builtins.__import__ = asked
        assert len(seen) > 100 and not any(seen)
        assert lazy_loader.load is before
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
