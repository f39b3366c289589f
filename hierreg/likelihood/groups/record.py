"""What the compiled likelihood of one grouping factor reads, a record for each kind of groups (`compiled.records`)."""

from __future__ import annotations

from typing import NamedTuple

from hierreg.compiled.records import Count, Flags, Floats, Integers, Number, n_rows, rows_of


class BaseRecord(NamedTuple):
    """What is read beside the groups, of K terms.

    Attributes
    ----------
    base : array (K, p + 1, p + 1)
        `blocks.SplitBlocks.base`.
    W0, prior_rows : arrays (p + 1, p + 1), (r, p + 1)
        Cross-products of the prior's pseudo-observations, and these.
    constant : float
        What does not depend on the arguments.
    most_subtracted : array (2,)
        What may be subtracted of y, and of population columns.
    is_exact, is_strict : int
        1 where the base is that of rows, and where a value without eight digits is worse than none.
    integrate : int
        1 where beta is integrated; profiled out otherwise.
    q : int
    left, left_of : arrays
        `blocks.SplitBlocks`.
    """

    base: Floats
    W0: Floats
    constant: Number
    most_subtracted: Floats
    is_exact: Count
    is_strict: Count
    integrate: Count
    q: Count
    left: Floats
    left_of: Integers
    prior_rows: Floats


class ThetaRecord(NamedTuple):
    """Strips of groups with theta_j = K beta + b_j: `theta_strips.ThetaStrips`."""

    term: Integers
    products: Floats
    K: Floats


class TilesRecord(NamedTuple):
    """Blocks side by side: `tiles.Tiles`."""

    indptr: Integers
    term: Integers
    ZtZ: Floats
    ZtW: Floats
    weight: Floats
    factored: Flags


class RowTilesRecord(NamedTuple):
    """Rows of linked groups side by side: `rows.RowTiles`."""

    indptr: Integers
    term: Integers
    size: Integers
    height: Integers
    S: Floats
    W: Floats
    basis: Floats
    is_left: Floats
    fit: Floats


class BaseTable(NamedTuple):
    """What `base_entry` reads."""

    base: BaseRecord


class ThetaTable(NamedTuple):
    """What `theta_entry` reads."""

    base: BaseRecord
    theta: ThetaRecord


class StripTable(NamedTuple):
    """What `strip_entry` reads."""

    base: BaseRecord
    strips: TilesRecord


class TileTable(NamedTuple):
    """What `tile_entry` reads: groups that stand alone, and linked ones."""

    base: BaseRecord
    one: TilesRecord
    many: TilesRecord


class RowTable(NamedTuple):
    """What `row_entry` reads: groups that stand alone, and rows of linked ones."""

    base: BaseRecord
    one: TilesRecord
    rows: RowTilesRecord


# The base comes first in all of them.
BASE = rows_of(BaseRecord)
N_BASE_ROWS = n_rows(BaseRecord)
THETA_ROWS, N_THETA_ROWS = rows_of(ThetaTable), n_rows(ThetaTable)
STRIP_ROWS, N_STRIP_ROWS = rows_of(StripTable), n_rows(StripTable)
TILE_ROWS, N_TILE_ROWS = rows_of(TileTable), n_rows(TileTable)
ROW_ROWS, N_ROW_ROWS = rows_of(RowTable), n_rows(RowTable)
