"""The Gram basis: the cross-products that carry everything the likelihood needs from the rows.

The way of a table: `collect.collect` -> ``collect_part`` -> `frame.frame_of`, columns centred and scaled -> by error
structure ``_PRODUCTS``, which rows or pairs of rows belong to which error term -> `triangles` (rows that are
independent given the coefficients) or `columns` (pairs) -> `dropping.check_rank`, whether the columns have full rank.

Rows are read three times, chunk by chunk on all cores: by `design_matrices.moments`, `columns.Coordinates` and
`columns.rotate`, which of many rows are `kernels`. Chunks have a fixed size, so that no digit depends on the cores.

The way of many tables: `batches.from_batches`, `scan.scan` (files, by `sources`) or `dask.from_dask` -> a first pass
that learns levels and what transformations need (`design_matrices.first_pass`) -> `part.part_of` for each batch,
several at a time, which ends in the same ``collect_part`` and leaves out what triangles say too (`bare`) ->
`batches.Total`, when enough of them wait -> `part.unite_parts` and `addition.join`, all at once -> `part.whole`: the
products of triangles, levels in order, and the checks.

`basis` has the values, of which `Gram` is the public one, `terms` the error terms, `addition` and `dropping` what can
be done with a Gram.
"""

from hierreg.gram.basis import CrossProducts, Gram, GroupProducts
from hierreg.gram.collect import collect
from hierreg.gram.terms import ErrorTerms

__all__ = ["CrossProducts", "ErrorTerms", "Gram", "GroupProducts", "collect"]
