"""What is kept of chains that a user interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import InterruptedWarning
from hierreg.warning import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The draws that are kept: the first ones of some chains.

    Attributes
    ----------
    chains : tuple of int
        Which of the chains.
    draws : int
        Of each.
    message : str
        What is missing, in words; empty where nothing is.
    """

    chains: tuple[int, ...]
    draws: int
    message: str

    @property
    def shape(self) -> tuple[int, int]:
        """Chains and draws."""
        return len(self.chains), self.draws


def kept(finished: Sequence[int], *, chains: int, draws: int) -> Kept:
    """Return the chains and the length that together have most draws.

    Parameters
    ----------
    finished : sequence of int
        Draws after warm-up of each chain that began.
    chains, draws : int
        What was asked for.

    Raises
    ------
    KeyboardInterrupt
        Where no draw is finished.

    Examples
    --------
    >>> kept([1000, 1000, 10], chains=4, draws=1000).shape
    (2, 1000)
    >>> kept([700, 650, 0, 690], chains=4, draws=1000).shape
    (3, 650)
    """
    if len(finished) == chains and min(finished) >= draws:
        return Kept(chains=tuple(range(chains)), draws=draws, message="")
    if not max(finished, default=0):
        raise KeyboardInterrupt("interrupted during warm-up: no draw was finished, and there is nothing to keep")
    # Of equal products the one with more chains.
    length = max(sorted({n for n in finished if n}), key=lambda n: n * sum(m >= n for m in finished))
    which = tuple(i for i, n in enumerate(finished) if n >= length)
    message = f"sampling was interrupted: {len(which)} of {chains} chains are kept, with {length} of {draws} draws each"
    left = [f"{i} ({finished[i] if i < len(finished) else 0} draws)" for i in range(chains) if i not in which]
    if left:
        message += f"; left out: chain {', '.join(left)}"
    return Kept(chains=which, draws=length, message=f"{message}. Diagnostics are those of what is kept.")


def finished_draws(draws: NDArray[Any]) -> list[int]:
    """Return how many draws each chain has, of an array (chains, draws, ...) filled up with NaN."""
    whole = ~np.isnan(draws.reshape(*draws.shape[:2], -1)).any(axis=2)
    return [int(n) for n in np.where(whole.all(axis=1), whole.shape[1], np.argmin(whole, axis=1))]


def warn_interrupted(message: str) -> None:
    """Warn where there is a message."""
    if message:
        warn(message, InterruptedWarning)
