"""The frame of the priors of group coefficients: which sds and correlations they are priors of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.priors.frames import internal_of, sequential
from hierreg.priors.resolved import GroupFrame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.priors.scales import FactorScales

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOfGroups:
    """The frame of one grouping factor, and what its defaults are scaled by.

    Attributes
    ----------
    group : GroupFrame
    width : array (q,)
        Scale of the default prior of each sd, in units of the sd of the response.
    is_level, is_plain : bool arrays (q,)
        Whether a default is one of the level at the predictors' means; of the coefficient as it stands.
    """

    group: GroupFrame
    width: Array
    is_level: NDArray[np.bool_]
    is_plain: NDArray[np.bool_]


def frame_of_groups(factor: FactorScales, given: NDArray[np.bool_], corr_given: Sequence[bool]) -> FrameOfGroups:
    """Return the frame of the priors of one grouping factor.

    A bar term of correlated coefficients has the frame of its columns in sequence, those with an sd prior of their own
    last and as they stand. Where its correlations have a prior of their own, or coefficients are not correlated, sds
    and correlations are those of the columns as they stand; a default sd of the former has the scale that follows from
    the frame, sqrt(sum_k (T^-1)_jk^2 width_k^2).

    Parameters
    ----------
    factor : FactorScales
    given : bool array (q,)
        Columns whose sd has a prior of its own.
    corr_given : sequence of bool (terms,)
        Terms whose correlations have one.
    """
    q = len(factor.coef_names)
    to_raw, from_raw = np.eye(q), np.eye(q)
    internal = factor.columns.full_inverse()
    width = 1.0 / factor.z_sd
    is_level, is_plain = np.zeros(q, dtype=bool), np.ones(q, dtype=bool)
    start = 0
    for size, corr_size, literal in zip(factor.term_sizes, factor.corr_sizes, corr_given, strict=True):
        mine = np.arange(start, start + size)
        start += size
        if corr_size is None:
            continue
        columns = factor.columns if size == q else factor.columns.subset(mine.tolist())
        frame = sequential(columns, np.zeros(size, dtype=bool) if literal else given[mine])
        back = np.linalg.inv(frame.T)
        if literal:
            width[mine] = np.sqrt((back**2) @ frame.scale**-2.0)
            continue
        width[mine] = 1.0 / frame.scale
        is_level[mine], is_plain[mine] = frame.is_level, frame.is_plain
        here = np.ix_(mine, mine)
        to_raw[here], from_raw[here] = back, frame.T
        internal[:, mine] = internal_of(factor.columns, mine, frame)
    return FrameOfGroups(
        group=GroupFrame(to_raw=to_raw, from_raw=from_raw, internal=internal),
        width=width,
        is_level=is_level,
        is_plain=is_plain,
    )
