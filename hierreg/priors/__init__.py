"""Priors: the families, what a user asks for (`Priors`), what a model uses after defaults (`ResolvedPriors`).

Defaults (each part that is left out), with y_sd the standard deviation of the response:

- slope of column x: Normal(0, 2.5 y_sd / x_sd). One sd of x moves y by few sds of y at most.
- intercept at the predictors' means: Normal(y_mean, 2.5 y_sd). That at x = 0 may lie far from the data.
- coefficient of a model without intercept: Normal(0, 2.5 y_rms / x_rms). Root mean squares in place of sds.
- sd of the group coefficient of column z: HalfStudentT(3, y_sd / z_sd). Finite at zero: a zero variance
  stays possible, with a heavy tail.
- error sd: HalfStudentT(3, y_sd within its stratum or data set).
- factor on known errors: HalfStudentT(3, 1). Known errors are of the right order.
- correlation of group coefficients: LKJ(2). Few groups say little about it: mildly away from -1 and 1.
- correlation of errors: LKJ(1). Uniform: every unit speaks about it. Within units of exchangeable errors too,
  uniform between its lower bound and 1.

The scaling of the coefficients follows rstanarm, half-t priors on standard deviations Gelman (2006). These
priors use the data once, for their scale only. The default intercept prior is independent of the slopes *at
the predictors' means*; an intercept prior that is given is taken literally, at x = 0. For a posterior mode
away from zero variances, use a zero-avoiding prior such as Gamma(2, 0.1 / y_sd) (Chung et al. 2013).

References
----------
Chung, Y., Rabe-Hesketh, S., Dorie, V., Gelman, A. and Liu, J. (2013). A nondegenerate penalized likelihood
estimator for variance parameters in multilevel models. Psychometrika 78(4), 685-709.
Gabry, J. and Goodrich, B. (2020). Prior distributions for rstanarm models. Vignette of the R package
rstanarm.
Gelman, A. (2006). Prior distributions for variance parameters in hierarchical models. Bayesian Analysis
1(3), 515-534.
"""

from hierreg.priors.correlation import LKJ, Fixed
from hierreg.priors.families import (
    BetaPrior,
    Exponential,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Normal,
    Prior,
    SdPrior,
)
from hierreg.priors.measure import measure_scales
from hierreg.priors.requested import Priors
from hierreg.priors.resolve import resolve_priors
from hierreg.priors.resolved import PriorRow, ResolvedPriors
from hierreg.priors.scales import FactorScales, PriorScales

__all__ = [
    "LKJ",
    "BetaPrior",
    "Exponential",
    "FactorScales",
    "Fixed",
    "Flat",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "LogNormal",
    "Normal",
    "Prior",
    "PriorRow",
    "PriorScales",
    "Priors",
    "ResolvedPriors",
    "SdPrior",
    "measure_scales",
    "resolve_priors",
]
