"""`sensitivity`: how much of an answer is the prior, of one fit by powers or of several fits under other priors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from hierreg.checks import check_choice, check_whole
from hierreg.exceptions import ModelError, SamplingError
from hierreg.hints import PROB, SEED, understands
from hierreg.model.kinds import kind_of
from hierreg.predictive.of_model import problem_of
from hierreg.predictive.powered import CONDITIONAL, MARGINAL
from hierreg.problem.effects import EffectsProblem
from hierreg.problem.problem import Problem
from hierreg.reports.reading import check_prob
from hierreg.sampling.request import SampleRequest
from hierreg.studies.prior_sensitivity.grid import prior_grid
from hierreg.studies.prior_sensitivity.points import Asked, points_of
from hierreg.studies.prior_sensitivity.quantities import read_quantities
from hierreg.studies.prior_sensitivity.scaling import scaled_fit
from hierreg.studies.prior_sensitivity.verdicts import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hierreg.model.model import Model
    from hierreg.priors import Priors, SdPrior
    from hierreg.reports.sensitivity import PriorGrid, Sensitivity
    from hierreg.studies.prior_sensitivity.points import AnyProblem

    type Levels = Sequence[float] | Mapping[str, Sequence[float]]
    type Families = Sequence[Any] | Mapping[str, Sequence[type[SdPrior] | SdPrior]]

_CHAINS = 4
# Draws of one fit from which a distance of distributions can be read.
_FEWEST = 40


@understands("hr.sensitivity", same=SEED, instead=PROB)
def sensitivity(  # noqa: PLR0913  # the public signature: every argument after the first has a default
    x: xr.DataTree | Model,
    quantities: Any = None,
    *,
    scales: Levels | None = None,
    eta: Levels | None = None,
    families: Families | None = None,
    powers: Levels | None = None,
    priors: Mapping[str, Priors] | None = None,
    likelihood: Literal["marginal", "conditional"] = "marginal",
    model: Model | None = None,
    draws: int = 1000,
    method: Literal["psis", "nuts"] | None = None,
    seed: int | None = None,
    ci_prob: float = 0.95,
    threshold: float = THRESHOLD,
) -> Sensitivity | PriorGrid:
    """Return how much of a posterior is its prior: from one fit, or from a fit under each of several priors.

    *From one fit*, where no other priors are asked for. The priors, and the likelihood, are raised to the powers 0.8
    and 1.25, and each quantity is asked how far its posterior moves (Kallioinen et al. 2024): ``prior`` and
    ``likelihood`` are the cumulative Jensen-Shannon distance by the binary logarithm of the power, as
    `arviz_stats.psense` has them, from 0.05 on worth a look. In Gaussian models coefficients of groups are integrated
    out of the weights (`hierreg.predictive.power_scaling` has the formulas), which do not become noise where groups are
    many.
    Beside it stand the contraction 1 - Var(posterior) / Var(prior), the overlap of both densities, which prior it is
    that matters, and a verdict:

    - *determined by the data*: other powers of the priors do not matter;
    - *rests on the prior*: they do, and the likelihood says little; or the posterior is no narrower than the prior;
    - *prior and data disagree*: both matter, and pull the mean apart, by 0.3 posterior standard deviations and more for
      twice the power;
    - *prior and data both count*: both matter otherwise;
    - *not known from these draws*: weights that say nothing would give as much, or have too long a tail.

    A power of the likelihood stands for more groups like these (`likelihood` says more).

    *From several fits*, with any of `scales`, `eta`, `families`, `powers` and `priors`: each argument adds its fits to
    the one as given. Each search for a mode begins where the last one ended, too; forty fits of a small model take a
    second or two. Priors that belong to a family of responses, or to `effects`, stay as they are.

    Parameters
    ----------
    x : DataTree or Model
        From `Model.sample` or `hierreg.load`; a model is sampled first.
    quantities : sequence of str, or dict, optional
        All parameters by default; else names of variables or their elements, ``["beta", "sd_Subject[Days]"]``, or
        ``{name: what}`` with weights of coefficients as `contrasts` takes them, a function from the posterior (a
        Dataset, as ``tree["posterior"]``) to an array (chain, draw), or a name.
    scales : list of float, or dict of them
        Factors of the scales of all priors, or of those of a variable, ``{"sd_Subject": [0.5, 2]}``.
    eta : list of float, or dict of them
        Parameters of all LKJ priors, or of those of ``corr_<factor>`` or ``error_corr``.
    families : list, or dict of them
        `HalfNormal`, `HalfStudentT`, `HalfCauchy`, `Exponential`, or a prior whose shape is taken; the median is that
        of the prior it stands for. Of all standard deviations, or of those of a variable.
    powers : list of float, or dict of them
        Powers of all priors, or of those of a variable: what one fit finds by weights, by fits.
    priors : dict of Priors
        Sets of priors by name; what is left out of one has its default.
    likelihood : {"marginal", "conditional"}
        What has the power: the likelihood of beta and the variances, with coefficients of groups integrated out, as if
        there were more groups; or that of all coefficients, as in ArviZ, as if there were more rows in the same groups.
        With a family, and with `effects`, the latter is what there is.
    model : Model, optional
        That a tree was sampled from; by default the one that it carries.
    draws : int
        Per chain, of four, of each fit that is made here.
    method : {"psis", "nuts"}, optional
        Of those fits; "psis" where the model is Gaussian, with NUTS where that cannot represent a posterior.
    seed : int, optional
        Determines every draw, the same for all fits; by default that of the tree, and of a model a random one.
    ci_prob : float
        Probability of the equal-tailed intervals.
    threshold : float
        From which on a sensitivity counts.

    Returns
    -------
    Dataset
        *From one fit* over ``quantity``: ``mean``, ``sd``, ``lower``, ``upper``, ``prior``, ``likelihood``, what noise
        would give (``prior_noise``, ``likelihood_noise``), ``moved_by_prior`` and ``moved_by_likelihood`` (posterior
        sds for twice the power), ``prior_median``, ``prior_sd``, ``contraction``, ``overlap``, ``verdict``,
        ``evidence``; ``by_prior`` (quantity, part), ``mean_at`` and its like (component, power, quantity) and
        ``pareto_k`` (component, power). *From several* over ``quantity`` and ``prior``: ``mean``, ``sd``, ``lower``,
        ``upper``, ``mcse``, ``moved`` (from the fit as given, in its sds); ``draws`` and ``pareto_k``. Both print as
        tables.

    Raises
    ------
    ModelError, PriorError
        If an argument is malformed, or names what the model does not have; if a prior to a power is none.

    Warns
    -----
    ConvergenceWarning
        If weights under a power have too long a tail; and as `Model.sample`, with the name of the prior.

    See Also
    --------
    plots.sensitivity : Its figure.
    prior_predictive : What a prior expects of data.
    log_prior, log_likelihood : For ArviZ's own power scaling.

    References
    ----------
    Kallioinen, N., Paananen, T., Buerkner, P.-C. and Vehtari, A. (2024). Detecting and diagnosing prior and likelihood
    sensitivity with power-scaling. Statistics and Computing 34, 57.
    Schad, D. J., Betancourt, M. and Vasishth, S. (2021). Toward a principled Bayesian workflow in cognitive science.
    Psychological Methods 26(1), 103-126.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
    >>> found = hr.sensitivity(model, seed=1)
    >>> dict(zip(found["quantity"].values.tolist(), found["verdict"].values.tolist(), strict=True))["error_sd"]
    'determined by the data'
    >>> grid = hr.sensitivity(model, ["sd_Batch"], scales={"sd_Batch": [0.5, 2]}, seed=1)
    >>> grid["prior"].values.tolist()
    ['as given', 'sd_Batch x 0.5', 'sd_Batch x 2']
    """
    prob, asked = check_prob(ci_prob), Asked(scales=scales, eta=eta, families=families, powers=powers, priors=priors)
    _check_numbers(draws, method, seed, threshold)
    check_choice(likelihood, (MARGINAL, CONDITIONAL), argument="likelihood", error=ModelError)
    problem = _problem_of(x, model)
    own = x.attrs.get("seed", 0) if isinstance(x, xr.DataTree) else np.random.SeedSequence().generate_state(1)[0]
    seed = int(own if seed is None else seed)
    wanted = read_quantities(quantities, problem.labels)
    is_gaussian = isinstance(problem, Problem) and not isinstance(problem, EffectsProblem)
    method = method or ("psis" if is_gaussian else "nuts")
    request = SampleRequest.plain(draws=draws, chains=_CHAINS, seed=seed, method=method)
    if not asked.is_empty:
        data = getattr(x if model is None else model, "data", None)
        return prior_grid(problem, points_of(problem, asked, data), wanted, request, prob).assign_attrs(seed=seed)
    tree = x if isinstance(x, xr.DataTree) else _sampled(problem, request)
    S = tree["posterior"].sizes["chain"] * tree["posterior"].sizes["draw"]
    if S < _FEWEST:
        raise ModelError(f"the tree has {S} draws, from which no sensitivity can be read; {_FEWEST} are the fewest.")
    which = likelihood if is_gaussian else CONDITIONAL
    return scaled_fit(problem, tree, wanted, (prob, float(threshold)), (seed, which)).assign_attrs(seed=seed)


def _check_numbers(draws: Any, method: Any, seed: Any, threshold: Any) -> None:
    check_whole("draws", draws, least=10)
    if method is not None:
        check_choice(method, ("psis", "nuts"), argument="method", error=ModelError)
    if seed is not None:
        check_whole("seed", seed, least=0)
    is_number = isinstance(threshold, (int, float, np.floating)) and not isinstance(threshold, bool)
    if not is_number or not threshold > 0:
        raise ModelError(f"threshold={threshold!r} must be a positive number, such as 0.05.")


def _problem_of(x: Any, model: Any) -> AnyProblem:
    """Return the problem of a tree or a model."""
    if isinstance(x, xr.DataTree):
        return problem_of(x, model, also=("priors",))
    problem = getattr(x, "problem", None)
    if problem is None or type(x).__name__ != "Model":
        raise ModelError(
            f"x has type {type(x).__name__}; a DataTree from Model.sample or hr.load, or a Model, is required: an "
            "estimate has no posterior."
        )
    if model is not None:
        raise ModelError("x is a model, and model= says which one a tree was sampled from: leave it out.")
    return problem  # type: ignore[no-any-return]  # what a model has


def _sampled(problem: AnyProblem, request: SampleRequest) -> xr.DataTree:
    """Return the posterior of a model; by NUTS where importance sampling cannot represent it."""
    from dataclasses import replace

    try:
        return kind_of(problem).sample(problem, request)
    except SamplingError:
        return kind_of(problem).sample(problem, replace(request, method="nuts"))
