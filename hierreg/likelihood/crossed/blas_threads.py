"""How many threads BLAS may use: one, while the kernels of several grouping factors run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hierreg.likelihood.crossed.plan import takes_all_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hierreg.gram import Gram


@contextmanager
def blas_threads_for(gram: Gram) -> Iterator[None]:
    """Limit BLAS to one thread, as long as the context lasts, where its kernels are called side by side.

    Chains and draws are what runs in parallel. Threads of BLAS would wait for each other between short products: on two
    busy cores an evaluation takes several times as long with two threads as with one. Where one evaluation is so large
    that it has all threads to itself, there is no limit.
    """
    if len(gram.factors) < 2 or takes_all_threads(gram):
        yield
        return
    # Only libraries that are loaded can be limited; kernels use SciPy's.
    import scipy.linalg.blas  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
