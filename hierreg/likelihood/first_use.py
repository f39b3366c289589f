"""A word to the user before kernels are compiled, which happens once per installation and kind of model."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hierreg.likelihood.groups.engine import entry_of

if TYPE_CHECKING:
    from hierreg.likelihood.groups.blocks import SplitBlocks

_LOGGER = logging.getLogger("hierreg")


def announce_compilation(blocks: SplitBlocks | None) -> None:
    """Say so where kernels are about to be compiled for the first time.

    Parameters
    ----------
    blocks : SplitBlocks or None
        Of the model; None where it has several grouping factors.
    """
    entry = "crossed.entry" if blocks is None else entry_of(blocks.arrays)
    folder, name = entry.split(".")
    # A function beside the entry knows the folder where the compiled code of both is kept.
    beside = import_module(f"hierreg.likelihood.{folder}.kernels").log_likelihood_of
    kept = Path(beside.alone.stats.cache_path).glob(f"{name}.log_likelihood-*.nbi")
    if f"hierreg.likelihood.{entry}" not in sys.modules and not any(kept):
        _LOGGER.warning(
            "hierreg compiles the numerical kernels of such models on first use, once per installation: "
            "about twenty seconds."
        )
