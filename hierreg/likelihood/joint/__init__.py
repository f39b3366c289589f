"""Responses that are not normal with effects of several factors, or of many a group: none of them integrated out.

With b_j = Lambda v_j, v ~ N(0, I) the effects of all factors together, and l_r the log density of the response of row r
given its linear predictor eta = offset + X phi + Z b.

**Laplace's approximation**, for estimates and for where chains begin::

    f(v) = sum over rows of l_r - v'v / 2,    v_hat = argmax f
    H = -f''(v_hat) = I + Lambda' Z'WZ Lambda = L L',    W = -l''
    log p(y | psi) = f(v_hat) - log|L|

Its gradient is exact: the derivatives of log|L| in the entries of H are those of half the inverse, which the
derivatives of the Cholesky factorisation, taken backwards, give where H has entries (Smith 1995).

Of rows with heavy tails -l'' may be negative: there W is its expectation, as in the working model below.

**All effects sampled**, which is exact. W and the working response y are kept as they are found at the mode; given psi,
the normal model with them has v ~ N(H^-1 c, H^-1), c = Lambda'Z'W (y - X phi), and so

    v = L'^-1 (L^-1 c + x),    log p(psi, x | y) = log p(psi) + sum of l_r - v'v / 2 - log|L| + constant

has x independent and standard normal as far as that model is right, whatever psi is: near a variance of zero the part
of the prior in H takes over, and x is what is usually called noncentred, elsewhere it is centred. Nothing depends on
how good the working model is but speed.

`structure` says where H has entries and how they are filled in, `factor_kernels` are the factorisation and its
derivatives, `kernels` the rest, `laplace` and `density` what they are called with.

References
----------
Hartmann, M. and Vanhatalo, J. (2019). Laplace approximation and natural gradient for Gaussian process regression with
heteroscedastic Student-t model. Statistics and Computing 29, 753-773.

Smith, S. P. (1995). Differentiation of the Cholesky algorithm. Journal of Computational and Graphical Statistics 4(2),
134-147.
"""
