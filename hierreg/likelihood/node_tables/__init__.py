"""Group effects of responses that are not normal, integrated out with fixed nodes: no row is read again.

Where every population column is a linear map of the group's own columns in each group, x_r = z_r A_j, the rows of a
group know theta_j = A_j beta + b_j alone, and the parameters only say how theta_j is distributed. So the log-likelihood
l_j(theta) of the group is tabulated once at nodes theta_jk = m_j + L_j t_k, and with Sigma = Lambda Lambda'::

    p(y_j | psi) = integral of exp l_j(theta) N(theta; A_j beta, Sigma) d theta
                 = sum_k w_k exp(t_k't_k / 2) |L_j| exp(l_jk - z_jk'z_jk / 2) / |Lambda|
    z_jk = Lambda^-1 (theta_jk - A_j beta) = d_j + B_j t_k,   d_j = Lambda^-1 (m_j - A_j beta),   B_j = Lambda^-1 L_j

with the nodes t_k and weights w_k of the normal density. What depends on psi is a quadratic function of t_k, whose
coefficients are found once a group. The gradient is that of this sum, exact, from the means E of t and t t' under its
terms::

    d log p / d beta   = sum_j A_j' Lambda'^-1 E[z_j]
    d log p / d Lambda = Lambda'^-1 sum_j (E[z_j z_j'] - I),
        E[z] = d + B E[t],   E[z z'] = d d' + d E[t]'B' + B E[t] d' + B E[t t'] B'

The nodes have the mean m_j and the covariance L_j L_j' of theta_j over the whole posterior (Naylor and Smith 1982 place
nodes so, for one value of the parameters): they cover what the likelihood of the group leaves open where it says
much, and the prior N(A_j beta, Sigma) where it says little. They stay where they are when psi moves, so that the rule
is wrong where Sigma is much smaller or larger than at the mode, by as much as groups say little. How wrong is measured
by adaptive quadrature (`error`), before a table is used and again at the draws.

References
----------
Naylor, J. C. and Smith, A. F. M. (1982). Applications of a method for the efficient computation of posterior
distributions. Applied Statistics 31, 214-225.

`table` has the maps A_j, the nodes and what is tabulated, `density` the log posterior density, `kernels` the sum over
groups with its gradient, `entry` the C function that samplers call, `error` how wrong a table is.
"""
