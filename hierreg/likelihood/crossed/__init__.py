"""The engine of several grouping factors: sparse elimination of the mixed-model equations, in one page.

Where things are: `engine`, what stands for it outside; `plan` and `places`, what is eliminated when and where it lies;
`kernels`, value and gradient; `large_kernels`, the tail; `curvature`, the exact Hessian of effects that are not
correlated; `draws`, `near`, `equations` and `moments_kernels`, what follows; `described`, what ``Model.describe``
shows. `entry` only unpacks addresses.

The way of an evaluation: ``engine.CrossedLikelihood.value_and_gradient`` -> ``kernels.log_likelihood_of``, of the value
``assemble``, ``own_squares``, ``eliminate_levels``, ``tail_equations``, ``solve_tail``; of the gradient
``gradient_of_tail``, ``turn_tail``, ``selected_inverse``, ``gradient_of_terms``. Half of a value and more of a gradient
is LAPACK, the tail's factor and inverse; what levels do to the tail goes row by row of it (``take_from_tail``,
``products_with_tail``), since rows fit in a cache and the tail does not.

S is the symmetric matrix ``[Z X y]'R^-1 [Z X y]``, Z the columns of all factors. Levels are eliminated one after the
other (`plan.plan_elimination`: those of the factor with most levels side by side, the others in the tail). With A the
diagonal block of a level, B its panel (its products with all that comes later) and Lambda its covariance's factor::

    M = I + Lambda' A Lambda = L L'      U = L^-1 Lambda' B      S[later, later] -= U'U

The tail is what is left, T = diag(Lambda of its levels, I): C = T'S T + diag(I, W0) is factored whole; its last column
holds the coefficients, its last pivot the residual sum of squares.

The gradient runs backwards. d log p = -1/2 <G, dS>, with G on the places of S alone (Takahashi's selected inverse, y as
one more column)::

    tail:   v = (-C^-1 c, 1)     G = T (v v' + C^-1) T'     d log p / d Lambda = -sum over levels (S T)(v v' + C^-1)
    level:  V = U G[later, later]     R = V U'     E = L^-1 Lambda'
            G[level, later] = -E'V    G[level, level] = E'(I + R) E
            d log p / d Lambda = sum over levels (B V' - A E'(I + R)) L^-1

where all stays exact for a Lambda of zeros. Without the v v' the same recursion gives the covariances of all
coefficients.

A posterior takes thousands of such evaluations. Importance sampling draws all coefficients where it evaluates a
proposal, from the same elimination (`likelihood.crossed_draws`). Where a gradient takes more than about ten
milliseconds (`_COSTLY` in `plan`), draws are more than the evaluations of a polynomial and coefficients can be drawn
with the factor of the mode (`near`), the density is interpolated from a few dozen evaluations (`sampling.interpolated`,
which states the error); and wherever one takes about a second or more (`_ALL_THREADS` columns).

With errors far smaller than groups every pivot is a difference of large numbers, and so is y'V^-1 y: what they were
before elimination, over what is left, says how many digits that takes (`lost_digits`). Where fewer than eight are left
there is no density, rather than one that is nearly right.

References
----------
Erisman, A. M. and Tinney, W. F. (1975). On computing certain elements of the inverse of a sparse matrix.
Communications of the ACM 18(3), 177-179.
"""
