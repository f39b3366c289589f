"""From unconstrained variance parameters to Lambda and the weights of the error terms, with gradients and priors."""
