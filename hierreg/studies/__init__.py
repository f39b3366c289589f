"""Many fits: one after the other, on the workers of a cluster, chains that were run apart; simulated studies."""

from hierreg.studies.calibrate import calibrate
from hierreg.studies.many_fits import map_chains, map_fits
from hierreg.studies.plan import plan_study

__all__ = ["calibrate", "map_chains", "map_fits", "plan_study"]
