"""What compiled densities of psi = (u, phi, w) read, and that by quadrature (`compiled.records`)."""

from __future__ import annotations

from typing import NamedTuple

from hierreg.compiled.records import Count, Floats, Integers, n_rows, rows_of
from hierreg.variances.record import VarianceRecord


class PsiRecord(NamedTuple):
    """What psi is, of n elements, and what is wanted.

    Attributes
    ----------
    variances : VarianceRecord
    centre, scale : arrays (n,), (n, n)
        psi = centre + scale x.
    n_points : int
        Points to be evaluated in each call.
    wanted : int
        `compiled.address_kernels.VALUE` or `GRADIENT`.
    mean, precision : arrays (p,)
        Normal priors of phi.
    prior_on : int
        1 or 0: whether priors count.
    """

    variances: VarianceRecord
    centre: Floats
    scale: Floats
    n_points: Count
    wanted: Count
    mean: Floats
    precision: Floats
    prior_on: Count


class RowsRecord(NamedTuple):
    """N rows: the columns of phi and of effects, responses, and their family."""

    X: Floats
    Z: Floats
    y: Floats
    trials: Floats
    weight: Floats
    offset: Floats
    stratum: Integers
    family: Count
    link: Count


class AuxiliaryRecord(NamedTuple):
    """Further parameters of a family: `auxiliary.Auxiliary`.

    Attributes
    ----------
    codes, priors : arrays (m,), (m, 2)
    has_order : int
        1 where they are increasing thresholds.
    n_strata, n_each : int
        Their shape.
    """

    codes: Integers
    priors: Floats
    has_order: Count
    n_strata: Count
    n_each: Count


class QuadratureRecord(NamedTuple):
    """What `entry.log_densities` reads.

    Attributes
    ----------
    psi : PsiRecord
    rows : RowsRecord
        Sorted by group.
    starts : array (groups + 1,)
        The first row of each group.
    nodes, log_weights : arrays (nodes, q), (nodes,)
    modes : array (groups, q)
    auxiliary : AuxiliaryRecord
    first, last : int
        The groups whose sum is wanted.
    of : int
        What x is: `OF_PSI` or `OF_FACTOR`.
    same : array (q, q)
        The unit matrix.
    """

    psi: PsiRecord
    rows: RowsRecord
    starts: Integers
    nodes: Floats
    log_weights: Floats
    modes: Floats
    auxiliary: AuxiliaryRecord
    first: Count
    last: Count
    of: Count
    same: Floats


# psi, or phi, Lambda row by row and further parameters themselves.
OF_PSI, OF_FACTOR = 0, 1
ROWS, N_ROWS = rows_of(QuadratureRecord), n_rows(QuadratureRecord)
