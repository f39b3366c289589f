"""Point estimates of the variance parameters: `estimate.maximise_likelihood` (REML, ML) and `maximise_posterior` (MAP).

The criterion is the likelihood, whose page (`likelihood`) has the way from a model to its maximum. Here: `coordinates`,
in what it is maximised; `starting_values`, `search` and `optimise`, how; `boundary` and `identification`, what is said
of variances that are zero or that no data tell apart; `standard_errors`; `mode`, where chains begin.
"""

from hierreg.estimate.estimate import VarianceEstimate, maximise_likelihood, maximise_posterior

__all__ = ["VarianceEstimate", "maximise_likelihood", "maximise_posterior"]
