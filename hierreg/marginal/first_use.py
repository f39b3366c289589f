"""A word to the user before the kernels are compiled, which happens once per installation."""

from __future__ import annotations

import logging
from pathlib import Path

_LOGGER = logging.getLogger("hierreg")


def announce_compilation() -> None:
    """Say so where the kernels are about to be compiled for the first time."""
    from hierreg.marginal.kernels import log_likelihood

    folder = Path(log_likelihood.stats.cache_path)
    if not log_likelihood.signatures and not any(folder.glob("kernels.log_likelihood-*.nbi")):
        _LOGGER.warning(
            "hierreg compiles its numerical kernels on first use, once per installation: about half a minute."
        )
