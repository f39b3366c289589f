"""A bar that counts what is finished, in a terminal or a notebook."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def counting(total: int, *, done: int, is_shown: bool, what: str = "replications") -> Iterator[Callable[[], None]]:
    """Show a bar while the block runs; what it yields counts one more."""
    if not is_shown:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda: bar.advance(task)
