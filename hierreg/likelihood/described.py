"""How an engine has laid a model out: what it evaluates, how much at once, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Groups that are evaluated in the same way.

    Attributes
    ----------
    factor : str
        Their grouping factor.
    how : str
        The way.
    groups : int
        Number of groups.
    blocks : int
        Independent blocks that are evaluated for them: fewer than groups where equal ones are merged, or errors link
        several.
    coefficients : int
        Coefficients of each block, the largest one where they differ.
    at_once : int
        Blocks that the kernel works on at once.
    """

    factor: str
    how: str
    groups: int
    blocks: int
    coefficients: int
    at_once: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The layout of a whole model.

    Attributes
    ----------
    engine : str
        Which kernels evaluate the model.
    parts : tuple of Part
    tail : int or None
        Columns of the dense matrix that is left when groups are eliminated: those of groups in the tail, of the
        population, and the response; None for engines without one.
    n_bytes : int
        What the engine reads, and the room in which it works.
    sampling : str
        How a posterior is sampled where that is not by NUTS, in words; else empty.
    """

    engine: str
    parts: tuple[Part, ...]
    tail: int | None
    n_bytes: int
    sampling: str = ""


def bytes_of(value: Any) -> int:
    """Return the bytes of all different arrays in a value of frozen dataclasses and tuples.

    Examples
    --------
    >>> one = np.zeros(3)
    >>> bytes_of((one, one, np.ones(2), "text"))
    40
    """
    found = {id(array): array.nbytes for array in _arrays(value)}
    return sum(found.values())


def _arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _arrays(one)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _arrays(getattr(value, field.name))
