"""A word to the user before the kernels are compiled, which happens once per installation."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path

_LOGGER = logging.getLogger("hierreg")


def announce_compilation(n_factors: int) -> None:
    """Say so where the kernels of models with so many grouping factors are about to be compiled for the first time."""
    name = "crossed_kernels" if n_factors > 1 else "kernels"
    log_likelihood = import_module(f"hierreg.marginal.{name}").log_likelihood
    folder = Path(log_likelihood.stats.cache_path)
    if not log_likelihood.signatures and not any(folder.glob(f"{name}.log_likelihood-*.nbi")):
        _LOGGER.warning(
            "hierreg compiles its numerical kernels on first use, once per installation: about half a minute."
        )
