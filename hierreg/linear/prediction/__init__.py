"""`predict`: best linear prediction and posterior prediction of new rows.

A new row is ``y* = x* beta + z* b + e*``. Where its error is correlated with errors of observed rows (another data set
of the same unit; a known cross-covariance), with K = Cov(e*, e) and the gain H = K R^-1::

    y* = H y + (x* - H X) beta + (z* - H Z) b + e        Var(e) = R** - H K'

e independent of the data: a linear function of the coefficients like any other, and the same as
``x* beta_hat + psi'V^-1 (y - X beta_hat)``.

References
----------
Goldberger, A. S. (1962). Best linear unbiased prediction in the generalized linear regression model. Journal of the
American Statistical Association 57(298), 369-375.
"""

from hierreg.linear.prediction.predict import predict

__all__ = ["predict"]
