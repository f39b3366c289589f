"""The likelihood: the page of mathematics, and where each line of it is.

A model has y = X beta + Z b + e, b_j ~ N(0, Sigma) for the groups j of each factor, e ~ N(0, R), with
Sigma = Lambda Lambda' and R^-1 = sum_k omega[k] K[k], fixed matrices K[k] in which the data were collected (`gram`).
All coefficients are integrated out: what is left is a function of Lambda, omega and log|R| alone. What makes these of
the variance parameters is `variances`; no kernel here knows an error structure.

Per block of b, with Lambda a square factor of Sigma and W = [X y]::

    A = sum_k omega[k] ZtZ[k]      B = sum_k omega[k] ZtW[k]      M = I + Lambda' A Lambda = L L'
    U = L^-1 Lambda' B             log|V| = log|R| + sum log|M|
    W'V^-1 W = sum_k omega[k] WtW[k] - sum over blocks U'U

and then, with P = X'V^-1 X + prior precision of beta, beta_hat the conditional mean and v = (-beta_hat, 1)::

    log p = constant - 1/2 (log|V| + log|P| + v'W'V^-1 W v)

the restricted likelihood of REML where the prior of beta is flat, the profile of ML without log|P|, and otherwise the
likelihood of the variance parameters under a normal prior of beta. With G = v v' + [[P^-1, 0], [0, 0]] (without P^-1
where beta is profiled out) and H = B - A Lambda L'^-1 U (= Z'V^-1 W)::

    d log p / d Lambda   = sum over blocks  H G U' L^-1 - A Lambda M^-1
    d log p / d omega[k] = -1/2 ( sum over blocks <E, ZtZ[k]> - 2 <Q, ZtW[k]>  + <G, WtW[k]> )
        Q = Lambda L'^-1 U G,     E = Lambda M^-1 Lambda' + Q (Lambda L'^-1 U)'

What an error variance near zero makes of this is a difference of large numbers. Blocks of one term have a *triangle*
[C D] (`Gram`), C'C = ZtZ and D the rotated rows of W. With omega in them, and R'R what the triangles leave of W::

    N = I + C Lambda Lambda' C'     |N| = |M|     H = C'N^-1 D
    W'V^-1 W = sum_k omega[k] RtR[k] + sum over blocks D'N^-1 D
    d log p / d Lambda = sum over blocks (H G H' - C'N^-1 C) Lambda

where nothing is subtracted, and a group that fits all its rows has no R.

A block holds one group, or several groups linked by correlated errors; Lambda repeats along its diagonal.
LANES blocks are evaluated together as one *tile* (see `lane_kernels`), stored with only the terms k that occur in it;
where all groups stand alone and have one or two coefficients, STRIP of them (see `strip_kernels`, and `theta_kernels`
where moreover each population column is a combination of the group's columns).
Groups with the same A are few blocks with the same sum of b b', b the entries of B (see `equal_groups`): the first
tiles have weights, which say how often log|M| and its derivatives count, A Lambda M^-1 and Lambda M^-1 Lambda'.

The way of one evaluation of the posterior: u -> `posterior.Target` -> `posterior_entry` -> `variances.kernels`
(``covariances_at``, Lambda and the covariance of errors; back ``add_gradient_of_covariances``, of correlations
``corr_factor_gradient``), `variances.precision_kernels` (``weights_of``: omega, log|R|) -> the ``log_likelihood`` of an
entry below, by its address. Entries only unpack addresses, by the names of their `record`: log p is formed in
`groups.kernels._at_one_point` and `crossed.kernels.log_likelihood_of`. Where errors are not correlated within units,
`correlated_entry` stands for `posterior_entry`, and where R is diagonal `uncorrelated_entry`: all are
`posterior_kernels`, and these two take less to compile.

The way of REML and ML: `model.estimation.estimate` -> `problem.Problem.likelihood` -> `engines.marginal_likelihood`,
beta flat or profiled out -> `estimate.estimate.maximise_likelihood` -> `estimate.coordinates` (the objective,
``FactorCoordinates.__call__``; its gradient in the errors, ``error_gradient``, is that of `variances.kernels` too) ->
`estimate.search.search`, where it begins -> `estimate.optimise.maximise`, the ascent. The objective evaluates
``value_and_gradient`` of the engine (`groups.engine`, `crossed.engine`). REML and ML differ by log|P|, in
`groups.kernels._at_one_point` and ``population_weights``, `groups.threads`, and `crossed.kernels.log_likelihood_of`;
and by a constant, in `engines.marginal_likelihood`.

==========================================  ==============================  ===========================  ==============
blocks, and a model of such                 value and gradient              draws and moments of b       entry
==========================================  ==============================  ===========================  ==============
one factor, or none: groups alone,          `groups.strip_kernels`          `strip_moments_kernels`      `strip_entry`
one or two coefficients:
``y ~ x + z + (x | g)``
the same, each population column a          `groups.theta_kernels`          the same                     `theta_entry`
combination of the group's columns:
``y ~ x + (x | g)``, few groups alike
more coefficients; groups that errors       `groups.kernels`                `moments_kernels`            `tile_entry`
link: ``y ~ x + (x + z | g)``
several terms in a group, by rows:          `groups.row_kernels`            `moments_kernels`            `row_entry`
``(1 | g)`` with ``hr.by("s")``, small sds
no groups: ``y ~ x``, correlated errors     `groups.kernels`                                             `base_entry`
several factors: ``(1 | a) + (1 | b)``      `crossed.kernels`               `crossed.moments_kernels`    `crossed.entry`
==========================================  ==============================  ===========================  ==============

`groups.blocks` chooses among the first five, `engines.marginal_likelihood` between them and the last, whose page is
`crossed`. Their sum over blocks, the rest of log p and its gradient are `groups.kernels.log_likelihood_of`, and from
some thousand blocks on `groups.threads`, in chunks.

Draws of b given draws of the variances: `engines.recover` -> `groups.draws.draw_groups` ->
``strip_moments_kernels.strip_draws``, ``moments_kernels.block_draws``, or of few blocks ``moments_by_numpy.draw`` by
NumPy; of several factors `crossed.draws` -> ``crossed.moments_kernels.carry_back``. Moments begin at `groups.equations`
and `crossed.equations`. Summaries of b without draws of it, by the normal distributions given some draws of the
variances, are `groups.summaries`, their quantiles `mixtures`.

Four likelihoods in which beta is not integrated out stand beside these, each with its own page: `quadrature`, of
responses that are not normal, whose group effects are integrated out by nodes that follow the parameters;
`node_tables`, the same by fixed nodes at which each group is tabulated, where groups' columns fit those of the
population; `joint`, of several factors or many effects a group, all of them sampled; `heavy_tails`, of effects that are
Student t or of several components, a sum over scales or components of what is above. Draws of their effects begin in
the ``draws`` of each, those of `joint` in ``density.JointTarget.standardised``.

Besides: `engines`, which engine takes a model and what each can do; `population`, `pivots`, `spanned`, fixed population
coefficients, their priors, those that groups fit by themselves; `posterior`, log p(u | y) of the unconstrained variance
parameters u, with priors; `solution`, `drawn`, what engines return.

Symbols, wherever kernels use them: W = [X y] and v = (-beta_hat, 1), so that W v is the residual; A = Z'R^-1 Z and
B = Z'R^-1 W of a block; C and D its triangle, C'C = A and C'D = B; M = I + Lambda' A Lambda and N = I + C Sigma C',
whose determinants are the block's ``|V| / |R|``; P the precision of beta, G = v v' + P^-1 and T its root; H = Z'V^-1 W.
"""
