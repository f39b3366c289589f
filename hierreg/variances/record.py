"""What compiled functions read of the variance parameters, filled in and as rows of a table (`compiled.records`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hierreg.compiled.records import Count, Flags, Floats, Integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.variances.parameters import VarianceParameters


class WithinRecord(NamedTuple):
    """Correlations within units, of T strata and C components; see `errors.within_units.WithinUnits`."""

    component_stratum: Integers
    component_size: Integers
    rest: Floats
    sd_of_stratum: Integers
    lowest: Floats
    is_free: Flags
    eta: Floats
    fixed: Floats


class VarianceRecord(NamedTuple):
    """The map from u to covariances, with the priors; see `parameters.VarianceParameters`.

    Attributes
    ----------
    sd_unit : array (q + D,)
        Where above zero, the coordinate of an sd is sd / unit, with a sign; where zero, its logarithm.
    """

    n_factor: Count
    block_sizes: Integers
    sd_code: Integers
    sd_parameters: Floats
    corr_is_free: Flags
    eta: Floats
    fixed_corr_factor: Floats
    within: WithinRecord
    sd_unit: Floats


def record_of(parameters: VarianceParameters, sd_unit: NDArray[np.float64] | None = None) -> VarianceRecord:
    """Return what is read of variance parameters; without units, all sds have their logarithms as coordinates."""
    v = parameters
    return VarianceRecord(
        n_factor=v.n_factor,
        block_sizes=v.block_sizes,
        sd_code=v.sd_code,
        sd_parameters=v.sd_parameters,
        corr_is_free=v.corr_is_free,
        eta=v.eta,
        fixed_corr_factor=v.fixed_corr_factor,
        within=WithinRecord(*v.within_units.arrays),
        sd_unit=np.zeros(v.n_columns) if sd_unit is None else sd_unit,
    )
