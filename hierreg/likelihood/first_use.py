"""A word to the user before kernels are compiled, which happens once per installation and kind of model."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

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
    module, name = _a_kernel_for(blocks)
    kernel = getattr(import_module(f"hierreg.likelihood.{module}"), name)
    folder = Path(kernel.stats.cache_path)
    if not kernel.signatures and not any(folder.glob(f"{module.rsplit('.', 1)[1]}.{name}-*.nbi")):
        _LOGGER.warning(
            "hierreg compiles the numerical kernels of such models on first use, once per installation: "
            "about half a minute."
        )


def _a_kernel_for(blocks: SplitBlocks | None) -> tuple[str, str]:
    """Return module and name of a function that is compiled for this kind of model only."""
    if blocks is None:
        return "crossed.kernels", "eliminate_levels"
    theta, strips, *_, rows = blocks.arrays
    if theta is not None:
        return "groups.theta_kernels", "absorb_theta"
    if rows is not None:
        return "groups.row_kernels", "absorb_rows"
    return ("groups.kernels", "factor_tile") if strips is None else ("groups.strip_kernels", "factor_strip")
