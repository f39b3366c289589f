"""Many fits: one after the other, on the workers of a cluster, chains that were run apart; and leave-one-out."""

from hierreg.studies.leave_one_out import loo
from hierreg.studies.many_fits import map_chains, map_fits

__all__ = ["loo", "map_chains", "map_fits"]
