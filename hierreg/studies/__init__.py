"""Many fits: one after the other, on the workers of a cluster; chains that were run apart, other priors."""

from hierreg.studies.many_fits import map_chains, map_fits
from hierreg.studies.prior_sensitivity import sensitivity

__all__ = ["map_chains", "map_fits", "sensitivity"]
