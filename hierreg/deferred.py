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
        return getattr(import_module(self.__name__), name)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}, imported when something is asked of it>"


@contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Let packages that are imported inside the block take modules, where not imported yet, as `Deferred`.

    Parameters
    ----------
    *names : str
        Top-level modules, installed or not. A later ``import`` of them is not affected.
    """
    stand_ins = {name: Deferred(name) for name in names if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def array_stats() -> Any:
    """Return arviz-stats' functions of arrays: ``ess``, ``rhat``, ``mcse``, ``psislw`` and others.

    arviz-base looks for NumPyro and JAX; each time one of them is not installed, it takes stock of all modules and
    source lines of its callers for an error message, a twentieth of the time of a first fit in a fresh process.
    """
    if "arviz_base" not in sys.modules:
        with deferred("jax", "numpyro"):
            import arviz_base  # noqa: F401  # the first that arviz_stats imports
    from arviz_stats.base.array import array_stats

    return array_stats
