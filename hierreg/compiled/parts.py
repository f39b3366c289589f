"""Compiled functions, and what is compiled of them: parts, of which machine code is made with what calls them.

numba makes of each function a library of its own: it optimises it, generates machine code, wrappers for Python and C
and two files, and its callers do all that again with what they inline of it. Of a model's kernels, a hundred functions
that call each other, that was three quarters of the time of compiling them. A `part` is typed and translated to LLVM's
language only. What Python or a sampler calls (`whole`, `callback`) takes all its parts in, and they are optimised once,
together. A part that Python calls after all is compiled as a whole then, as its attribute ``alone``.

That builds on what numba does not promise (`linking`). With versions of numba that it was not tried with, functions are
compiled the plain way: the numbers are the same, and the first use takes about twice as long. What is called by
its address is then compiled in each process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
from numba import cfunc, config, jit

from hierreg.compiled.sources import stamped

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS: dict[str, Any] = {"nopython": True, "nogil": True, "error_model": "numpy"}
# First and last version of numba that `linking` was tried with.
_TRIED = (0, 63), (0, 68)


def is_tried(version: str) -> bool:
    """Return whether parts are linked with this version of numba."""
    major, minor = (int(number) for number in version.split(".")[:2])
    return _TRIED[0] <= (major, minor) <= _TRIED[1]


def part(function: Callable[..., Any]) -> Any:
    """Return a function that compiled functions call."""
    return _part(function, _OPTIONS)


def contracted(function: Callable[..., Any]) -> Any:
    """Return a part whose products and sums are one instruction each where the processor has it: polynomials.

    On a processor that has none the last bit of their values differs, as of the C library's functions.
    """
    return _part(function, _OPTIONS | {"fastmath": {"contract"}})


def _part(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    if config.DISABLE_JIT:
        return function
    if is_tried(numba.__version__):
        from hierreg.compiled.linking import Part

        return Part(function, dict(options))
    made = _plain(function, options)
    made.alone = made
    return made


def whole(function: Callable[..., Any]) -> Any:
    """Return a function that Python calls."""
    if config.DISABLE_JIT:
        return function
    if is_tried(numba.__version__):
        from hierreg.compiled.linking import whole as linked

        return linked(function, _OPTIONS)
    return _plain(function, _OPTIONS)


def callback(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator of a function that is called by its address."""
    if is_tried(numba.__version__):
        from hierreg.compiled.linking import callback as linked

        return lambda function: linked(function, signature, _OPTIONS)
    return cfunc(signature, error_model="numpy")  # type: ignore[no-any-return]


def _plain(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Return a function that is compiled by itself."""
    return stamped(jit(function, cache=True, **options))
