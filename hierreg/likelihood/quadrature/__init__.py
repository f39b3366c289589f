"""Group effects of responses that are not normal, integrated out group by group by adaptive Gauss-Hermite quadrature.

With b_j = Lambda v_j, v_j ~ N(0, I), and l_r the log density of the response of row r given its linear predictor
eta_r = offset_r + x_r beta + z_r b_j::

    p(y_j | psi) = integral of exp f(v) dv / (2 pi)^(q/2),    f(v) = sum over rows of j of l_r - v'v / 2
    v_hat = argmax f,    H = -f''(v_hat) = I + Lambda' Z' W Z Lambda = L L',    W = -l''
    log p = -log|L| + log sum_k w_k exp(f(v_hat + L'^-1 t_k) + t_k't_k / 2)

with the nodes t_k and weights w_k of the normal density (Liu and Pierce 1994; Pinheiro and Chao 2006). One node is
Laplace's approximation, with its exact gradient. With more nodes the gradient is that of the integral itself, by
Fisher's identity: the mean of the gradient of log p(y_j, v | psi) over p(v | y_j, psi), found with the same nodes; it
equals that of the rule but for the error of both. Of rows with heavy tails H is made of what is expected of W, in the
approximation and in where nodes are (Hartmann and Vanhatalo 2019): what is observed may be zero.

`kernels` has the sum over groups and its gradient, `engine` what they are called with, `nodes` the rules, `draws` exact
draws of v given psi.
"""
