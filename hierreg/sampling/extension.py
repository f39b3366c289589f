"""nutpie's compiled part, which samples, without its Python part, which imports ArviZ with its plots.

Only the Python part shows progress in notebooks, and only it is public. So it is asked wherever the compiled part lacks
a name that is used here, and its settings are written as nutpie's own `sample` writes them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec
from typing import Any

_NAME = "nutpie._lib"
_RATE_MS = 100
# The arguments of its classes are no public interface.
_KNOWN = "0.16."


def extension() -> Any:
    """Return nutpie's extension module; a later ``import nutpie`` finds the same one."""
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = None if "nutpie" in sys.modules else find_spec("nutpie")
    spec = None if package is None else PathFinder.find_spec(_NAME, package.submodule_search_locations)
    if spec is None or spec.loader is None:
        return import_module(_NAME)
    module = module_from_spec(spec)
    sys.modules[_NAME] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[_NAME]
        raise
    return module


def has(*names: str) -> bool:
    """Return whether the extension has all of these names."""
    part = extension()
    return all(hasattr(part, name) for name in names)


def _is_known() -> bool:
    """Return whether this is a version whose extension takes what `raw_trace` gives it."""
    return version("nutpie").startswith(_KNOWN) and has("PyNutsSettings", "PySampler", "PyStorage", "ProgressType")


def understands(settings: dict[str, Any]) -> bool:
    """Return whether this version of nutpie has all of these settings."""
    if not has("PyNutsSettings"):
        return False
    try:
        extension().PyNutsSettings.Diag(0).update(settings)
    except AttributeError:
        return False
    return True


def raw_trace(model: Any, settings: dict[str, Any], *, cores: int, seed: int, progress: bool) -> Any:
    """Return nutpie's draws, warm-up included; where a user interrupts, those up to then.

    Parameters
    ----------
    model : object
        `native.NativeModel`, which makes a sampler of the extension itself, or a model of nutpie's own.
    settings : dict
        nutpie's names: num_draws, num_tune, num_chains, target_accept, and more.
    cores, seed : int
    progress : bool
        Show nutpie's progress bar.
    """
    in_notebook = progress and not sys.modules.keys().isdisjoint({"IPython", "marimo"})
    if in_notebook or not hasattr(model, "sampler") or not _is_known():
        return _by_public_call(model, settings, cores=cores, seed=seed, progress=progress)
    part = extension()
    options = part.PyNutsSettings.Diag(seed)
    options.update(settings)
    shown = part.ProgressType.indicatif(_RATE_MS) if progress else part.ProgressType.none()
    sampler = model.sampler(options, cores, shown, None, _RATE_MS, part.PyStorage.arrow())
    try:
        sampler.wait(None)
    except KeyboardInterrupt:
        sampler.abort()
    except BaseException:
        sampler.abort()
        raise
    return sampler.take_results()


def _by_public_call(model: Any, settings: dict[str, Any], *, cores: int, seed: int, progress: bool) -> Any:
    import nutpie

    theirs = {"num_draws": "draws", "num_tune": "tune", "num_chains": "chains"}
    return nutpie.sample(
        model,
        **{theirs.get(name, name): value for name, value in settings.items()},
        cores=cores,
        seed=seed,
        save_warmup=True,
        progress_bar=progress,
        return_raw_trace=True,
    )
