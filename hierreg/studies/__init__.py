"""Many fits: one after the other, on the workers of a cluster, or chains that were run apart."""

from hierreg.studies.many_fits import map_chains, map_fits

__all__ = ["map_chains", "map_fits"]
