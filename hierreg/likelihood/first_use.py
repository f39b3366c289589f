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
# By folder: a function beside its entry, which knows where the compiled code of both is kept.
_BESIDE = {
    "crossed": "log_likelihood_of",
    "groups": "log_likelihood_of",
    "heavy_tails": "log_likelihood",
    "joint": "rows_at",
    "node_tables": "tabulate",
    "quadrature": "modes_of",
}


def announce_compilation(blocks: SplitBlocks | None) -> None:
    """Say so where kernels are about to be compiled for the first time.

    Parameters
    ----------
    blocks : SplitBlocks or None
        Of the model; None where it has several grouping factors.
    """
    announce("crossed.entry" if blocks is None else entry_of(blocks.arrays), "log_likelihood")


def announce(entry: str, function: str) -> None:
    """Say so where a function that is called by its address is about to be compiled for the first time.

    Parameters
    ----------
    entry : str
        Its module below `hierreg.likelihood`.
    function : str
    """
    folder, name = entry.split(".")
    beside = getattr(import_module(f"hierreg.likelihood.{folder}.kernels"), _BESIDE[folder])
    kept = Path(getattr(beside, "alone", beside).stats.cache_path).glob(f"{name}.{function}-*.nbi")
    if f"hierreg.likelihood.{entry}" not in sys.modules and not any(kept):
        _LOGGER.warning(
            "hierreg compiles the numerical kernels of such models on first use, once per installation: "
            "five to twenty seconds."
        )
