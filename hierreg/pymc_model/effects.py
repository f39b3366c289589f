"""Group effects with heavy tails, or from several components, as PyMC variables: the reference semantics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.effects import StudentT
from hierreg.effects.student_t import LOWEST_NU
from hierreg.pymc_model.build import add_group_covariance, add_theta, check_regular, coords_of, group_part
from hierreg.pymc_model.errors import IN_PYMC
from hierreg.pymc_model.names import check_names
from hierreg.pymc_model.parameters import add_above, add_beta

if TYPE_CHECKING:
    from hierreg.design_matrices import Design, FactorDesign
    from hierreg.errors.base import ErrorLayout
    from hierreg.likelihood.heavy_tails.shape import Shape
    from hierreg.priors import ResolvedPriors
    from hierreg.pymc_model.parameters import Tensor


def build_with_effects(
    design: Design, layout: ErrorLayout, priors: ResolvedPriors, shape: Shape, parametrization: str
) -> pm.Model:
    """Return the PyMC model with all coefficients.

    Parameters
    ----------
    design, layout, priors
        As `build_pymc_model` takes them.
    shape : Shape
        The distribution of the effects.
    parametrization : {"noncentered", "centered"}
        Student t: b = Lambda z / sqrt(weight), a normal scale mixture, or a multivariate t. Mixtures, of which the
        components are summed over: "centered".
    """
    check_names(design, layout)
    factor = design.factors[0]
    with pm.Model(coords=coords_of(design, layout)) as model:
        structure = IN_PYMC[layout.kind]
        errors = structure.add(layout, priors)
        X = pm.Data("population_columns", design.X, dims=("obs", "coef"))
        beta = add_beta(priors, design.coef_names)
        if isinstance(shape.effects, StudentT):
            b = _add_student_t(factor, priors, shape.effects, parametrization)
        else:
            b = _add_mixture(factor, priors, shape)
        add_theta(factor, b, beta, design.coef_names)
        structure.add_rows(design, X @ beta + group_part(factor, b), layout, errors)
    return model


def _add_student_t(factor: FactorDesign, priors: ResolvedPriors, effects: StudentT, parametrization: str) -> Tensor:
    name, dims = factor.name, (factor.name, f"{factor.name}_coef")
    Lambda = add_group_covariance(factor, priors, (f"scale_{name}", f"corr_{name}"))
    nu = _add_nu(f"nu_{name}", effects)
    if parametrization == "noncentered":
        z = pm.Normal(f"z_{name}", 0.0, 1.0, dims=dims)
        weight = pm.Gamma(f"weight_{name}", 0.5 * nu, 0.5 * nu, dims=name)
        return pm.Deterministic(f"b_{name}", z @ Lambda.T / pt.sqrt(weight)[:, None], dims=dims)
    check_regular(factor, priors)
    chol = pt.linalg.cholesky(Lambda @ Lambda.T)
    return pm.MvStudentT(f"b_{name}", nu=nu, mu=np.zeros(len(factor.coef_names)), chol=chol, dims=dims)


def _add_nu(name: str, effects: StudentT) -> Tensor:
    """Register degrees of freedom: any family of sds above the bound."""
    prior = effects.prior
    if prior is None:
        return pm.Deterministic(name, pt.as_tensor(np.float64(effects.nu)))  # type: ignore[arg-type]  # a number
    return add_above(name, prior, LOWEST_NU)


def _add_mixture(factor: FactorDesign, priors: ResolvedPriors, shape: Shape) -> Tensor:
    name, dims, c, q = factor.name, (factor.name, f"{factor.name}_coef"), shape.n_components, len(shape.coef)
    check_regular(factor, priors)
    effects: Any = shape.effects
    names = [f"_{k}" for k in range(c)] if shape.n_covariances > 1 else [""]
    roots = [
        add_group_covariance(factor, priors, (f"component_sd_{name}{k}", f"component_corr_{name}{k}")) for k in names
    ]
    chol = [pt.linalg.cholesky(Lambda @ Lambda.T) for Lambda in roots]
    weight = pm.Dirichlet(f"component_weight_{name}", np.full(c, effects.concentration))
    # Independent, those of the first coefficient in order; what they have in common moves no mean.
    first = pm.Normal(
        f"component_place_{name}",
        0.0,
        1.0,
        shape=c,
        transform=pm.distributions.transforms.ordered,
        initval=np.linspace(-1.0, 1.0, c),
    )
    free = first[:, None]
    if q > 1:
        others = pm.Normal(f"component_places_{name}", 0.0, 1.0, shape=(c, q - 1))
        free = pt.concatenate([free, others], axis=1)  # type: ignore[no-untyped-call]  # PyTensor's has no types
    centred = (free - (weight[:, None] * free).sum(axis=0)) * shape.tau
    mean = pm.Deterministic(f"component_mean_{name}", centred @ pt.as_tensor(shape.to_raw.T))
    components = [pm.MvNormal.dist(mu=mean[k], chol=chol[k if len(chol) > 1 else 0]) for k in range(c)]
    return pm.Mixture(f"b_{name}", w=weight, comp_dists=components, dims=dims)
