"""Group effects that are scale mixtures or finite mixtures of normal distributions, Gaussian errors (one factor).

Given beta every group is integrated by itself, from its cross-products alone. With W = [X y] and v = (-beta, 1), the
triangle [C D] of a group (`gram.triangles`), its rows times the roots of their precisions, and e = D v - C m, of
component m, Sigma = Lambda Lambda'::

    C Lambda = U diag(d)^1/2 V'     w = U'e     e = U w + rest
    p(group | scale s) = exp(-1/2 (rest'rest + sum_i log(1 + s d_i) + w_i^2 / (1 + s d_i)))

which costs q terms for each scale s and subtracts nothing. The likelihood is a sum over scales (Student t: `nodes`) or
components; its gradient is the average of the Gaussian ones (Fisher's identity), over the posterior probabilities of
scales and components. With t_i = w_i / (1 + s d_i), z = rest + U t = N^-1 e, N = I + s C Sigma C'::

    d log p / d beta   = D_x'z       d log p / d m = C'z
    d log p / d Lambda = s (C'z (diag(d)^1/2 t)' - C'U diag(d^1/2 / (1 + s d))) V'
    d log p / d omega  = -1/(2 omega) (z'e - s (z'C Lambda)(Lambda'C'z) + s tr N^-1 C Sigma C'),  rows of that term

beta is sampled, beside the variance parameters u and what shapes the distribution of the effects:
`target.EffectsTarget` is log p(u, beta, shape | y). Draws of the effects: first the scale or the component, then the
coefficients given it (`draws`).
"""
