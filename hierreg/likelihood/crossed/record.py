"""What the compiled likelihood of several grouping factors reads (`compiled.records`)."""

from __future__ import annotations

from typing import NamedTuple

from hierreg.compiled.records import Count, Floats, Integers, Number, n_rows, rows_of


class SourcesRecord(NamedTuple):
    """Cross-products, and where they are added: `places.Sources`."""

    place: Integers
    term: Integers
    value: Floats
    weight: Floats


class NodesRecord(NamedTuple):
    """Levels that are eliminated one by one: `plan.Plan.nodes`."""

    start: Integers
    q: Integers
    diag_at: Integers
    panel_at: Integers
    column_at: Integers
    column: Integers
    up_at: Integers
    up_node: Integers
    up_map_at: Integers
    up_map: Integers
    n_columns: Count


class TailRecord(NamedTuple):
    """The dense tail: `plan.Plan.dense`."""

    at: Count
    start: Integers
    q: Integers
    Lambda: Integers
    n_b: Count
    n: Count


class PanelsRecord(NamedTuple):
    """The panels that each column of the tail is in: `plan.Plan.rows`."""

    at: Integers
    node: Integers
    place: Integers


class LapackRecord(NamedTuple):
    """Addresses of functions: `compiled.lapack.addresses_of_lapack`."""

    potrf: Count
    potri: Count
    trsv: Count


class CrossedRecord(NamedTuple):
    """What `entry.log_likelihood` reads; see `kernels.log_likelihood_of`.

    Attributes
    ----------
    q, n_terms : int
    integrate : int
        1 where beta is integrated, profiled out otherwise.
    constant, n : float
        What does not depend on the arguments, and the number of rows.
    W0 : array (p + 1, p + 1)
    workspace, tail : arrays
        Overwritten.
    """

    q: Count
    n_terms: Count
    integrate: Count
    constant: Number
    n: Number
    W0: Floats
    workspace: Floats
    tail: Floats
    sources: SourcesRecord
    nodes: NodesRecord
    dense: TailRecord
    panels: PanelsRecord
    lapack: LapackRecord


ROWS, N_ROWS = rows_of(CrossedRecord), n_rows(CrossedRecord)
