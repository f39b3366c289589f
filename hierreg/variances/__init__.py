"""From unconstrained variance parameters to Lambda and the weights of the error terms, with gradients and priors.

`parameters` are what they are, `record` what kernels read of them. At u, `kernels` find Lambda and the covariance of
errors (``covariances_at``) and take gradients back (``add_gradient_of_covariances``); `precision_kernels` find the
weights of the error terms (``weights_of``), `precision` the same for Python; `prior_kernels` are families of priors.
"""
