"""Priors: the families, what a user asks for (`Priors`), what a model uses after defaults (`ResolvedPriors`).

Defaults (each part that is left out), with y_sd the standard deviation of the response:

- population coefficients, all together: fits are Normal with mean y_mean and the precision of one row,
  X'X / (n (2.5 y_sd)^2) for beta, which is unit information (Kass and Wasserman 1995). Said one by one: the level at
  the predictors' means is Normal(y_mean, 2.5 y_sd), and the coefficient of column x, less its fit on the columns
  before it, is Normal(0, 2.5 y_sd / x_sd). Where columns are uncorrelated that is the familiar scale: one sd of x moves
  y by few sds of y at most. y_rms stands for y_sd, and zero for y_mean, where no columns add up to a constant.
- sd of the group coefficient of column z: HalfStudentT(3, y_sd / z_rms). Finite at zero: a zero variance stays
  possible, with a heavy tail. Within a term of correlated coefficients z is the column less its fit on those before it,
  so that the sd of the intercept is that at the means of the others; with `||` columns are as they stand (there the
  model itself depends on where they are zero).
- error sd: HalfStudentT(3, y_sd within its stratum or data set).
- factor on known errors: HalfStudentT(3, s), with s the root mean square of y about its mean in units of known errors.
- correlation of group coefficients: LKJ(2), for the coefficients that the sds above are of. Few groups say little
  about it: mildly away from -1 and 1.
- correlation of errors: LKJ(1). Uniform: every unit speaks about it. Within units of exchangeable errors too,
  uniform between its lower bound and 1, and one step of time apart of AR(1) errors, between -1 and 1.

So what the model says of rows (fits, predictions, contrasts, the error sd) has the same prior whatever the zero and the
unit of a predictor, for ``x + I(x**2)`` as for ``poly(x, 2)``, for ``a * x`` as for ``a * (x - c)``. A scale of 2.5
y_sd / x_sd for each column as it stands does not have this: powers and products of calendar years have sds of
thousands.

A prior that is given is literal, for the coefficient of the column as it stands. Defaults beside it are those of what
the other columns explain by themselves: they come first, the given one last. Where the correlations of a group term are
given, its sds are those of the columns as they stand, with default scales that follow from the above. Half-t priors
on standard deviations follow Gelman (2006). These priors use the data once, for their scale only. For a posterior mode
away from zero variances, use a zero-avoiding prior such as Gamma(2, 0.1 / y_sd) (Chung et al. 2013).

References
----------
Chung, Y., Rabe-Hesketh, S., Dorie, V., Gelman, A. and Liu, J. (2013). A nondegenerate penalized likelihood
estimator for variance parameters in multilevel models. Psychometrika 78(4), 685-709.
Gelman, A. (2006). Prior distributions for variance parameters in hierarchical models. Bayesian Analysis
1(3), 515-534.
Kass, R. E. and Wasserman, L. (1995). A reference Bayesian test for nested hypotheses and its relationship to the
Schwarz criterion. Journal of the American Statistical Association 90(431), 928-934.
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
from hierreg.priors.frames import Columns
from hierreg.priors.measure import measure_scales
from hierreg.priors.requested import Priors
from hierreg.priors.resolve import resolve_priors
from hierreg.priors.resolved import GroupFrame, PriorRow, ResolvedPriors
from hierreg.priors.scales import FactorScales, PriorScales

__all__ = [
    "LKJ",
    "BetaPrior",
    "Columns",
    "Exponential",
    "FactorScales",
    "Fixed",
    "Flat",
    "Gamma",
    "GroupFrame",
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
