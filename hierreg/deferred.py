"""Imports of packages without what they look for and hierreg does not ask of them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Deferred(ModuleType):
    """A module that is imported when something is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}, imported when something is asked of it>"


@contextmanager
def deferred(name: str) -> Iterator[None]:
    """Let packages that are imported inside the block take a module, if not imported yet, as `Deferred`.

    Parameters
    ----------
    name : str
        Of an installed package. A later ``import`` of it is not affected.
    """
    if name in sys.modules:
        yield
        return
    stand_in = Deferred(name)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]


@contextmanager
def found_later(*names: str) -> Iterator[None]:
    """Let packages that ask lazy_loader for modules inside the block have them, installed or not, as `Deferred`.

    lazy_loader would look for them at once, and where one is not installed take stock of all modules and of the source
    lines of its callers for an error message. `deferred` is no remedy: what is not installed must not be among the
    imported modules, where SciPy, for one, looks for JAX.
    """
    try:
        import lazy_loader  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        yield
        return
    load = lazy_loader.load

    def load_later(name: str, **options: Any) -> Any:
        return Deferred(name) if name in names and name not in sys.modules else load(name, **options)

    # Another thread may be here at the same time.
    if getattr(load, "__name__", "") != load_later.__name__:
        lazy_loader.load = load_later
    try:
        yield
    finally:
        if lazy_loader.load is load_later:
            lazy_loader.load = load


def array_stats() -> Any:
    """Return arviz-stats' functions of arrays: ``ess``, ``rhat``, ``mcse``, ``psislw`` and others.

    arviz-base asks for NumPyro and JAX: to find neither takes a twentieth of a first fit in a fresh process.
    """
    if "arviz_base" not in sys.modules:
        with found_later("jax", "numpyro"):
            import arviz_base  # noqa: F401  # the first that arviz_stats imports
    from arviz_stats.base.array import array_stats

    return array_stats
