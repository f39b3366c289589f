"""Progress of a pass over rows: how many, how fast, in a terminal or a notebook."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shown:
    """A bar that can be started anew and moved on."""

    def __init__(self, bar: Any, total: int | None) -> None:
        self._bar, self._total, self._task = bar, total, None

    def begin(self, what: str, *, done: int) -> None:
        """Start a bar of its own for another pass."""
        if self._bar is not None:
            self._task = self._bar.add_task(what, total=self._total, completed=done, begun=done)

    def advance(self, rows: int) -> None:
        """Count rows that are done."""
        if self._bar is not None:
            self._bar.advance(self._task, rows)


@contextmanager
def progress_of(total: int | None, *, is_shown: bool) -> Iterator[Shown]:
    """Show a bar while the block runs.

    Parameters
    ----------
    total : int or None
        Number of rows, if known.
    is_shown : bool
    """
    if not is_shown:
        yield Shown(None, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Rows per second."""

        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} rows/s")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        Rate(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Shown(bar, total)
