"""Join priors, covariances and likelihood into one PyMC model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.exceptions import ModelError
from hierreg.linalg import smallest_eigenvalue
from hierreg.priors import Fixed
from hierreg.pymc_model.errors import IN_PYMC
from hierreg.pymc_model.likelihood_op import MarginalLogLikelihood
from hierreg.pymc_model.parameters import add_beta, add_correlation, add_vector

if TYPE_CHECKING:
    from hierreg.design_matrices import Design, FactorDesign
    from hierreg.errors.base import ErrorLayout
    from hierreg.priors import ResolvedPriors
    from hierreg.pymc_model.likelihood_op import ValueAndGradient
    from hierreg.pymc_model.parameters import Tensor


def build(
    design: Design,
    layout: ErrorLayout,
    priors: ResolvedPriors,
    likelihood: ValueAndGradient,
    parametrization: str,
) -> pm.Model:
    """Return the PyMC model; the arguments are those of `build_pymc_model`."""
    with pm.Model(coords=coords_of(design, layout)) as model:
        Lambdas = {factor.name: add_group_covariance(factor, priors) for factor in design.factors}
        structure = IN_PYMC[layout.kind]
        errors = structure.add(layout, priors)
        if parametrization == "marginal":
            marginal: Any = MarginalLogLikelihood(likelihood)
            Lambda = _block_diagonal(list(Lambdas.values()))
            value, _, _ = marginal(Lambda, structure.covariance(errors))
            pm.Potential("marginal_log_likelihood", value)
            return model
        X = pm.Data("population_columns", design.X, dims=("obs", "coef"))
        beta = add_beta(priors, design.coef_names)
        mu = X @ beta
        for factor in design.factors:
            b = add_group_effects(factor, Lambdas[factor.name], priors, parametrization)
            add_theta(factor, b, beta, design.coef_names)
            mu = mu + group_part(factor, b)
        structure.add_rows(design, mu, layout, errors)
    return model


def coords_of(design: Design, layout: ErrorLayout) -> dict[str, Any]:
    """Return the coordinates of the model."""
    coords: dict[str, Any] = {"coef": list(design.coef_names), "obs": np.arange(len(design.y))}
    for factor in design.factors:
        coords[factor.name] = list(factor.levels)
        coords[f"{factor.name}_coef"] = coords[f"{factor.name}_coef_col"] = list(factor.coef_names)
    if layout.dim is not None:
        # where the data set is also the grouping factor, its levels as they are
        labels = coords.setdefault(layout.dim, list(layout.labels))
        coords[f"{layout.dim}_col"] = labels
    return coords


def add_group_covariance(factor: FactorDesign, priors: ResolvedPriors, names: tuple[str, str] | None = None) -> Tensor:
    """Register sds and correlations of one factor and return a factor of Sigma, (q, q).

    Where the priors are of other coefficients than those of the columns as they stand, their sds and correlations are
    the random variables, named ``_at_means``. They are called ``sd_<factor>`` and ``corr_<factor>``, or by `names`.
    """
    name, labels = factor.name, factor.coef_names
    frame = priors.frames.get(name)
    of_sd, of_corr = names or (f"sd_{name}", f"corr_{name}")
    dims = (f"{name}_coef", f"{name}_coef_col")
    ending = "" if frame is None or frame.is_plain else "_at_means"
    sd = add_vector(f"{of_sd}{ending}", priors.sd[name], labels=labels, dim=dims[0])
    L = add_correlation(f"{of_corr}{ending}", priors.corr[name], factor.term_sizes, labels=labels, dims=dims)
    if frame is None or frame.is_plain:
        return sd[:, None] * L
    Lambda = pt.as_tensor(frame.to_raw) @ (sd[:, None] * L)
    length = pt.sqrt((Lambda**2).sum(axis=1))
    pm.Deterministic(of_sd, length, dims=dims[0])
    rows = Lambda / length[:, None]
    diagonal = np.arange(len(labels))
    pm.Deterministic(of_corr, (rows @ rows.T)[diagonal, diagonal].set(1.0), dims=dims)
    return Lambda


def _block_diagonal(blocks: list[Tensor]) -> Tensor:
    if not blocks:
        return pt.zeros((0, 0))
    return blocks[0] if len(blocks) == 1 else pt.linalg.block_diag(*blocks)


def add_group_effects(factor: FactorDesign, Lambda: Tensor, priors: ResolvedPriors, parametrization: str) -> Tensor:
    """Register the group effects, (J, q)."""
    name, dims = factor.name, (factor.name, f"{factor.name}_coef")
    if parametrization == "noncentered":
        z = pm.Normal(f"z_{name}", 0.0, 1.0, dims=dims)
        return pm.Deterministic(f"b_{name}", z @ Lambda.T, dims=dims)
    check_regular(factor, priors)
    if name in priors.frames and not priors.frames[name].is_plain:
        Lambda = pt.linalg.cholesky(Lambda @ Lambda.T)
    return pm.MvNormal(f"b_{name}", np.zeros(len(factor.coef_names)), chol=Lambda, dims=dims)


def check_regular(factor: FactorDesign, priors: ResolvedPriors) -> None:
    """Raise where group effects have no density of their own, which "centered" needs."""
    for coef, prior in zip(factor.coef_names, priors.sd[factor.name], strict=True):
        if isinstance(prior, Fixed) and not prior.value:
            raise ModelError(
                f"parametrization='centered': sd_{factor.name}[{coef}] is fixed to 0, so the group effects"
                " have no density; use 'noncentered' or 'marginal'"
            )
    for corr in priors.corr[factor.name]:
        if isinstance(corr, Fixed) and (smallest := smallest_eigenvalue(corr.array)) < 1e-12:
            raise ModelError(
                f"parametrization='centered': corr_{factor.name} is fixed to a singular matrix (smallest"
                f" eigenvalue {smallest:.3g}), so the group effects have no density;"
                " use 'noncentered' or 'marginal'"
            )


def add_theta(factor: FactorDesign, b: Tensor, beta: Tensor, coef_names: tuple[str, ...]) -> None:
    """Register theta = beta + b, with b alone in group columns that are no population columns."""
    E = np.array([[float(group == population) for population in coef_names] for group in factor.coef_names])
    if E.any():
        pm.Deterministic(f"theta_{factor.name}", pt.as_tensor(E) @ beta + b, dims=(factor.name, f"{factor.name}_coef"))


def group_part(factor: FactorDesign, b: Tensor) -> Tensor:
    """Register the columns of a factor and return what its effects add to the rows, (N,)."""
    Z = pm.Data(f"{factor.name}_columns", factor.Z, dims=("obs", f"{factor.name}_coef"))
    index = pm.Data(f"{factor.name}_index", factor.index, dims="obs")
    return (Z * b[index]).sum(axis=1)
