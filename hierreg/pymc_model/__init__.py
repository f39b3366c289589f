"""The same model as a `pymc.Model`: the reference semantics, and the door to everything PyMC can do.

`likelihood_op` wraps the marginal likelihood as a PyTensor Op, `parameters` registers priors and
covariances, `rows` the explicit likelihoods of the rows, `build` joins them. PyMC is imported when a model
is built, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hierreg.checks import check_choice
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    import pymc as pm

    from hierreg.design_matrices import Design
    from hierreg.errors.base import ErrorLayout
    from hierreg.likelihood.engines import Likelihood
    from hierreg.priors import ResolvedPriors

type Parametrization = Literal["marginal", "noncentered", "centered"]

PARAMETRIZATIONS: tuple[Parametrization, ...] = ("marginal", "noncentered", "centered")


def build_pymc_model(
    design: Design,
    layout: ErrorLayout,
    priors: ResolvedPriors,
    likelihood: Likelihood,
    parametrization: Parametrization = "marginal",
) -> pm.Model:
    """Return the model as a `pymc.Model`.

    All parametrizations have ``sd_<factor>``, ``corr_<factor>``, ``error_sd`` and ``error_corr``; the
    explicit ones also ``beta``, ``b_<factor>`` and, where the columns match, ``theta_<factor>``. Constants
    are deterministic variables of the same names. Correlations are sampled as partial correlations
    ``corr_<factor>_partial``, each mapped to (0, 1), where LKJ(eta) is a product of symmetric beta
    distributions; their log-odds are unconstrained. Where default priors are those of coefficients at the predictors'
    means (see `hierreg.priors`), ``beta_at_means``, ``sd_<factor>_at_means`` and ``corr_<factor>_at_means`` are the
    random variables, and the others follow from them.

    Parameters
    ----------
    design : Design
        Response, population columns and group columns of N rows.
    layout : ErrorLayout
        The error structure over the same rows.
    priors : ResolvedPriors
        One prior for every parameter.
    likelihood : MarginalLikelihood or CrossedLikelihood
        The marginal likelihood of the same rows, beta integrated under its prior (read by "marginal" only).
    parametrization : str
        "marginal": beta and b are integrated out; what is left is sampled fast by anything, but the model
        has no variable for a coefficient. "noncentered": b = Lambda z with z standard normal; good for weak
        data in each group. "centered": b ~ N(0, Sigma); good for strong data in each group, impossible for
        a singular Sigma.

    Returns
    -------
    pymc.Model

    Raises
    ------
    ModelError
        If the parametrization is unknown, or "centered" and the covariance of the group effects is fixed to a
        singular matrix, or a column has a name that PyMC models cannot have (`hierreg.pymc_model.names`).
    """
    check_choice(parametrization, PARAMETRIZATIONS, argument="parametrization", error=ModelError)
    from hierreg.pymc_model.build import build
    from hierreg.pymc_model.names import check_names

    check_names(design, layout)
    return build(design, layout, priors, likelihood, parametrization)
