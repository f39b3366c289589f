"""What the compiled log posterior reads (`compiled.records`)."""

from __future__ import annotations

from typing import NamedTuple

from hierreg.compiled.records import Count, Flags, Floats, Integers, n_rows, rows_of
from hierreg.variances.record import VarianceRecord


class PosteriorRecord(NamedTuple):
    """What `posterior_entry.log_densities` reads, of n parameters.

    Attributes
    ----------
    variances : VarianceRecord
    to_internal : array (q, q)
        Takes Lambda to the internal scale.
    function, table : int
        Addresses of the likelihood and of its table.
    centre, scale : arrays (n,), (n, n)
        u = centre + scale x.
    prior_on, natural : int
        1 or 0; see `variances.kernels.covariances_at`.
    n_points : int
        Points to be evaluated in each call.
    wanted : int
        `compiled.address_kernels.VALUE` or `GRADIENT`.
    columns : array (M,)
        The first data set of each pattern.
    gaps, patterns, counts, n_terms
        See `gram.terms.ErrorTerms`.
    """

    variances: VarianceRecord
    to_internal: Floats
    function: Count
    table: Count
    centre: Floats
    scale: Floats
    prior_on: Count
    natural: Count
    n_points: Count
    wanted: Count
    columns: Integers
    gaps: Integers
    patterns: Flags
    counts: Floats
    n_terms: Count


ROWS, N_ROWS = rows_of(PosteriorRecord), n_rows(PosteriorRecord)
