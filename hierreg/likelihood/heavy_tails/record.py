"""What the compiled density of models with heavy tails or mixtures reads, and its room (`compiled.records`)."""

from __future__ import annotations

from typing import NamedTuple

from hierreg.compiled.records import Count, Flags, Floats, Integers, Number, n_rows, rows_of
from hierreg.variances.record import VarianceRecord


class DataRecord(NamedTuple):
    """Groups and what is left of the rows (`kernels.log_likelihood`), pseudo-observations, beta and errors.

    Attributes
    ----------
    start, term, C, D, left, left_term, prior_rows : arrays
        See `data.GroupData`.
    centre, scale : arrays (p,), (p, p)
        beta = centre + scale u, internal scale.
    gaps, patterns, counts, n_terms
        See `gram.terms.ErrorTerms`.
    """

    start: Integers
    term: Integers
    C: Floats
    D: Floats
    left: Floats
    left_term: Integers
    prior_rows: Floats
    centre: Floats
    scale: Floats
    gaps: Integers
    patterns: Flags
    counts: Floats
    n_terms: Count


class ShapeRecord(NamedTuple):
    """What shapes the effects; see `shape.Shape`.

    Attributes
    ----------
    kind : int
        `shape_kernels.STUDENT_T` or `MIXTURE`.
    student : array
        Prior of nu.
    n_components, n_covariances : int
    concentration : float
    tau, frame : arrays (q,), (q, q)
        Unit and frame of means of components.
    """

    kind: Count
    student: Floats
    n_components: Count
    n_covariances: Count
    concentration: Number
    tau: Floats
    frame: Floats


class RunRecord(NamedTuple):
    """What is wanted of S points.

    Attributes
    ----------
    n_points, wanted : int
    prior_on, natural : int
        1 or 0.
    constant : float
        Of the log density.
    n_free, n_own, n_shape : int
        Variance parameters of the first component, of each further one, and what shapes the effects.
    n_scales : int
        Of the sum over scales.
    first : int
        The first group to be drawn, of n.
    most : int
        The most rows of a group.
    uniform, normal : arrays (S, n), (S, n, q)
        Random numbers, where groups are drawn.
    effects, square, probability : arrays
        Written, where groups are drawn.
    """

    n_points: Count
    wanted: Count
    prior_on: Count
    natural: Count
    constant: Number
    n_free: Count
    n_own: Count
    n_shape: Count
    n_scales: Count
    first: Count
    most: Count
    uniform: Floats
    normal: Floats
    effects: Floats
    square: Floats
    probability: Floats


class MixtureRecord(NamedTuple):
    """Lambda of L covariances, and means, log weights and scales of components: written at each point (`kernels`)."""

    Lambdas: Floats
    which: Integers
    means: Floats
    log_pi: Floats
    log_weight: Floats
    scale: Floats


class GroupRecord(NamedTuple):
    """Room for one group (`kernels.weigh`)."""

    U: Floats
    V: Floats
    d: Floats
    e: Floats
    rest: Floats
    w: Floats
    shrunk: Floats
    weight: Floats
    det: Floats
    base: Floats


class AveragesRecord(NamedTuple):
    """Averages over the components and scales of a group (`kernels.differentiate`)."""

    first: Floats
    second: Floats
    squares: Floats
    variance: Floats


class SlopesRecord(NamedTuple):
    """Slopes of the log likelihood (`kernels.differentiate`)."""

    of_Lambda: Floats
    of_means: Floats
    of_pi: Floats
    of_weight: Floats
    of_scale: Floats
    of_beta: Floats
    of_omega: Floats


class EffectsRecord(NamedTuple):
    """What `entry.log_densities` reads and writes."""

    variances: VarianceRecord
    to_internal: Floats
    own_variances: VarianceRecord
    own_to_internal: Floats
    data: DataRecord
    shape: ShapeRecord
    run: RunRecord
    mixture: MixtureRecord
    group: GroupRecord
    averages: AveragesRecord
    slopes: SlopesRecord


ROWS, N_ROWS = rows_of(EffectsRecord), n_rows(EffectsRecord)
