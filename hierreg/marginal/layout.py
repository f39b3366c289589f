"""How an engine has laid a model out: what it evaluates, how much at once, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hierreg.gram import Gram, GroupProducts
    from hierreg.marginal.blocks import SplitBlocks
    from hierreg.marginal.crossed_plan import Plan
    from hierreg.marginal.rows import RowTiles
    from hierreg.marginal.tiles import Tiles


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
class Layout:
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
    """

    engine: str
    parts: tuple[Part, ...]
    tail: int | None
    n_bytes: int


def engine_of(blocks: SplitBlocks | None, gram: Gram) -> str:
    """Return the name of the engine that evaluates a Gram basis; ``blocks`` is None with several grouping factors."""
    if blocks is None:
        return "crossed"
    if not gram.factors:
        return "least squares"
    theta, strips, *_, rows = blocks.arrays
    if rows is not None:
        return "rows"
    return "theta strips" if theta is not None else "tiles" if strips is None else "strips"


def layout_of_blocks(blocks: SplitBlocks, gram: Gram) -> Layout:
    """Return the layout of groups in independent blocks, one grouping factor or none."""
    engine = engine_of(blocks, gram)
    parts = []
    if gram.factors:
        factor, linked = gram.factors[0], blocks.linked
        filled, width = _evaluated(blocks)
        size = linked.levels.shape[1] * factor.n_coef
        parts = [
            _part(factor, engine, _n_groups(blocks.separate), filled, factor.n_coef, width),
            _part(factor, f"{engine}, linked", _n_groups(linked), _n_filled(linked), size, linked.width),
        ]
        if blocks.rows is not None:
            n_blocks = int(np.count_nonzero(np.any(blocks.rows.levels >= 0, axis=1)))
            own = _part(factor, "rows", _n_groups(blocks.rows), n_blocks, blocks.rows.n_coef, blocks.rows.width)
            parts = [replace(parts[0], how="tiles"), parts[1], own]
    return Layout(engine=engine, parts=tuple(p for p in parts if p.groups), tail=None, n_bytes=bytes_of(blocks))


def _part(factor: GroupProducts, how: str, groups: int, blocks: int, size: int, width: int) -> Part:
    return Part(factor=factor.name, how=how, groups=groups, blocks=blocks, coefficients=size, at_once=width)


def _evaluated(blocks: SplitBlocks) -> tuple[int, int]:
    """Return how many blocks of groups alone the likelihood reads, and how many at once."""
    if blocks.theta is None:
        return _n_filled(blocks.distinct), blocks.distinct.width
    products = blocks.theta.products
    return int(np.count_nonzero(np.any(products != 0.0, axis=1))), products.shape[2]


def layout_of_plan(plan: Plan, gram: Gram, n_bytes: int) -> Layout:
    """Return the layout of several grouping factors; ``n_bytes`` is what plan, sources and workspace take."""
    parts = [_staged_or_tail(f, plan, gram) for f in (*plan.staged, *plan.tail)]
    return Layout(engine="crossed", parts=tuple(parts), tail=plan.n_tail, n_bytes=n_bytes)


def _staged_or_tail(f: int, plan: Plan, gram: Gram) -> Part:
    factor, is_staged = gram.factors[f], f in plan.staged
    return Part(
        factor=factor.name,
        how="level by level" if is_staged else "in the dense tail",
        groups=factor.n_levels,
        blocks=factor.n_levels if is_staged else 1,
        coefficients=factor.n_coef * (1 if is_staged else factor.n_levels),
        at_once=1,
    )


def _n_groups(tiles: Tiles | RowTiles) -> int:
    return int(np.count_nonzero(tiles.levels >= 0))


def _n_filled(tiles: Tiles) -> int:
    """Return the number of blocks with cross-products; lanes to spare, and groups without rows, have none."""
    filled = np.zeros((len(tiles.levels), tiles.width), dtype=bool)
    tile = np.repeat(np.arange(len(tiles.levels)), np.diff(tiles.indptr))
    np.logical_or.at(filled, tile, np.any(tiles.ZtZ != 0.0, axis=(1, 2)))
    return int(np.count_nonzero(filled))


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
