"""Many fits: on the workers of a cluster, chains that were run apart, other priors; and leave-one-out."""

from hierreg.studies.leave_one_out import loo
from hierreg.studies.many_fits import map_chains, map_fits
from hierreg.studies.prior_sensitivity import sensitivity

__all__ = ["loo", "map_chains", "map_fits", "sensitivity"]
