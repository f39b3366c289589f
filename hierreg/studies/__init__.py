"""Many fits: on workers of a cluster, chains that were run apart, other priors, leave-one-out, simulated studies."""

from hierreg.studies.calibrate import calibrate
from hierreg.studies.leave_one_out import loo
from hierreg.studies.many_fits import map_chains, map_fits
from hierreg.studies.plan import design
from hierreg.studies.prior_sensitivity import sensitivity

__all__ = ["calibrate", "design", "loo", "map_chains", "map_fits", "sensitivity"]
