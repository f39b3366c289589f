"""Densities of rows that were left out, given the variance parameters: log p(y_J | y_-J, u), coefficients integrated.

With V the covariance of all rows given u, the prior of beta and that of b included, and Q = V^-1, the rows J given all
others have the precision Q_JJ and the residual Q_JJ^-1 (Q (y - mean))_J, so that nothing has to be fitted again::

    log p(y_J | y_-J, u) = 1/2 (log|Q_JJ| - g_J' Q_JJ^-1 g_J - n_J log 2 pi),     g = Q (y - mean)

`equations` has Q_JJ and g from one solution of the mixed-model equations with all rows, `precision` what R^-1 does to
rows. `without` is the other way, log p(y | u) - log p(y_-J | u) by the cross-products of the other rows, for what does
not lie within groups and where the first way has too few digits. `sets` says which rows are left out together.

References
----------
Sundararajan, S. and Keerthi, S. S. (2001). Predictive approaches for choosing hyperparameters in Gaussian processes.
Neural Computation 13, 1103-1118.
Rasmussen, C. E. and Williams, C. K. I. (2006). Gaussian Processes for Machine Learning. MIT Press. Section 5.4.2.
"""
