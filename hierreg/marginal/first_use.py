"""A word to the user before kernels are compiled, which happens once per installation and kind of model."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hierreg.marginal.addresses import entry_of

if TYPE_CHECKING:
    from hierreg.marginal.blocks import SplitBlocks

_LOGGER = logging.getLogger("hierreg")


def announce_compilation(blocks: SplitBlocks | None) -> None:
    """Say so where kernels are about to be compiled for the first time.

    Parameters
    ----------
    blocks : SplitBlocks or None
        Of the model; None where it has several grouping factors.
    """
    from hierreg.marginal.target_kernels import covariances_at

    entry = "crossed_entry" if blocks is None else entry_of(blocks.arrays)
    # Where the compiled code of all functions of this folder is kept.
    folder = Path(covariances_at.alone.stats.cache_path)
    if f"hierreg.marginal.{entry}" not in sys.modules and not any(folder.glob(f"{entry}.log_likelihood-*.nbi")):
        _LOGGER.warning(
            "hierreg compiles the numerical kernels of such models on first use, once per installation: "
            "about ten seconds."
        )
