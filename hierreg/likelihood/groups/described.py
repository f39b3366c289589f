"""How groups that stand alone, or in linked blocks, are laid out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hierreg.likelihood.described import Described, Part, bytes_of

if TYPE_CHECKING:
    from hierreg.gram import Gram, GroupProducts
    from hierreg.likelihood.groups.blocks import SplitBlocks
    from hierreg.likelihood.groups.rows import RowTiles
    from hierreg.likelihood.groups.tiles import Tiles


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


def described_blocks(blocks: SplitBlocks, gram: Gram) -> Described:
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
    return Described(engine=engine, parts=tuple(p for p in parts if p.groups), tail=None, n_bytes=bytes_of(blocks))


def _part(factor: GroupProducts, how: str, groups: int, blocks: int, size: int, width: int) -> Part:
    return Part(factor=factor.name, how=how, groups=groups, blocks=blocks, coefficients=size, at_once=width)


def _evaluated(blocks: SplitBlocks) -> tuple[int, int]:
    """Return how many blocks of groups alone the likelihood reads, and how many at once."""
    if blocks.theta is None:
        return _n_filled(blocks.distinct), blocks.distinct.width
    products = blocks.theta.products
    return int(np.count_nonzero(np.any(products != 0.0, axis=1))), products.shape[2]


def _n_groups(tiles: Tiles | RowTiles) -> int:
    return int(np.count_nonzero(tiles.levels >= 0))


def _n_filled(tiles: Tiles) -> int:
    """Return the number of blocks with cross-products; lanes to spare, and groups without rows, have none."""
    filled = np.zeros((len(tiles.levels), tiles.width), dtype=bool)
    tile = np.repeat(np.arange(len(tiles.levels)), np.diff(tiles.indptr))
    np.logical_or.at(filled, tile, np.any(tiles.ZtZ != 0.0, axis=(1, 2)))
    return int(np.count_nonzero(filled))
