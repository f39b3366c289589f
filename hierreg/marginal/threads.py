"""How many threads BLAS may use: one, while several evaluations run side by side."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_blas_thread(is_wanted: bool) -> Iterator[None]:
    """Limit BLAS to one thread, as long as the context lasts.

    Evaluations of one large model share its cores better one by one than through BLAS: threads of several callers wait
    for each other.
    """
    if not is_wanted:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
