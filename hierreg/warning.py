"""Warnings that can be kept for one fit, where many run in threads of one process.

`warnings.catch_warnings` changes the filters of all threads, and two that overlap leave them changed for good. What is
kept here belongs to the thread alone.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    Kept = list[tuple[type[Warning], str]]

# Lines of these files are not what a user can change.
_PACKAGE = str(Path(__file__).parent) + os.sep

_kept: ContextVar[Kept | None] = ContextVar("kept", default=None)


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning that names the line which called hierreg, or keep it inside `kept_warnings`."""
    kept = _kept.get()
    if kept is None:
        warnings.warn(message, category, skip_file_prefixes=(_PACKAGE,))
    else:
        kept.append((category, message))


@contextmanager
def kept_warnings() -> Iterator[Kept]:
    """Keep the warnings of a fit, as (category, message), instead of issuing them.

    Those of hierreg in any thread; those of other packages and of a user's own functions where the filters can be
    changed without an effect on others: in the main thread, or where Python keeps filters by thread. Elsewhere they
    are issued as ever.
    """
    kept: Kept = []
    token = _kept.set(kept)
    try:
        if _owns_filters():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                yield kept
            kept += [(warning.category, str(warning.message)) for warning in caught]
        else:
            yield kept
    finally:
        _kept.reset(token)


def _owns_filters() -> bool:
    is_by_thread = bool(getattr(sys.flags, "context_aware_warnings", False))  # since Python 3.14, an option
    return is_by_thread or threading.current_thread() is threading.main_thread()
