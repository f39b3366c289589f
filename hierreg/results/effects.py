"""Results of models whose group effects have heavy tails or are mixtures: what they have beside those of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.results import build
from hierreg.results.text import covariance_table, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.heavy_tails.draws import DrawnEffects, EffectsParameters
    from hierreg.problem.labels import FactorLabels, Labels

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectsEstimate:
    """Maximum-likelihood or MAP estimate of a model whose group effects are not normal.

    Attributes
    ----------
    method : str
        "ml" or "map".
    effects : str
        The distribution, by grouping factor, in words.
    beta, beta_cov : DataArray (coef), (coef, coef_col)
        Population coefficients; covariance by the curvature of the criterion in all parameters.
    b, b_cov : dict of DataArray (<factor>, <factor>_coef[, <factor>_coef_col])
        Means and covariances of the group effects given the data and all other parameters at the estimate. Their
        distribution is a mixture, not normal.
    theta : dict of DataArray (<factor>, <factor>_coef)
        beta + b where the columns match.
    sd, corr : dict of DataArray
        Of the effects of all groups together; without `sd` where a t distribution has none.
    scale, nu : dict of DataArray and of float
        Of a t distribution.
    weight : dict of DataArray (<factor>)
        Of a t distribution: 1 / s of each group, near zero where it is far out and hardly pulled in.
    component_weight, component_mean, component_sd, component_corr : dict of DataArray
        Of a mixture; means are deviations from beta.
    probability : dict of DataArray (<factor>, <factor>_component)
        Of a mixture.
    error_sd : DataArray
    criterion : float
        Minus twice the log likelihood (ML), or minus twice the log of likelihood times the prior densities of beta,
        standard deviations, correlations, nu, weights and means of components (MAP).
    boundary : tuple of str
        Parameters that went to the end of their range, in words.
    converged : bool
    message : str
    """

    method: str
    effects: str
    beta: xr.DataArray
    beta_cov: xr.DataArray
    b: Mapping[str, xr.DataArray]
    b_cov: Mapping[str, xr.DataArray]
    theta: Mapping[str, xr.DataArray]
    sd: Mapping[str, xr.DataArray]
    corr: Mapping[str, xr.DataArray]
    scale: Mapping[str, xr.DataArray]
    nu: Mapping[str, float]
    weight: Mapping[str, xr.DataArray]
    component_weight: Mapping[str, xr.DataArray]
    component_mean: Mapping[str, xr.DataArray]
    component_sd: Mapping[str, xr.DataArray]
    component_corr: Mapping[str, xr.DataArray]
    probability: Mapping[str, xr.DataArray]
    error_sd: xr.DataArray
    criterion: float
    boundary: tuple[str, ...]
    converged: bool
    message: str

    @property
    def beta_se(self) -> xr.DataArray:
        """Standard errors of beta (coef)."""
        return self.beta.copy(data=np.sqrt(np.diagonal(self.beta_cov.to_numpy())))

    def __str__(self) -> str:
        lines = [f"{self.method.upper()} estimate, group effects {self.effects}; criterion {self.criterion:.4f}"]
        lines += [f"  {self.message}", "", "Population coefficients"]
        rows = zip(self.beta["coef"].values, self.beta.to_numpy(), self.beta_se.to_numpy(), strict=True)
        lines.append(table(["", "estimate", "se"], [(str(name), value, se) for name, value, se in rows]))
        for factor, scale in self.scale.items():
            lines += ["", f"{factor}: scale of the t distribution, nu {self.nu[factor]:.4g}"]
            lines.append(covariance_table("", scale, self.corr[factor]))
        for factor, weight in self.component_weight.items():
            means = self.component_mean[factor]
            coefs = [str(name) for name in means[means.dims[1]].values]
            lines += ["", f"{factor}: components, means as deviations from the population"]
            lines.append(
                table(
                    ["", "weight", *coefs],
                    [(str(k), float(weight[k]), *means.to_numpy()[k]) for k in range(len(weight))],
                )
            )
        return "\n".join([*lines, "", covariance_table("error", self.error_sd, None)])


def component_dim(factor: FactorLabels) -> str:
    """Return the dimension of the components of a mixture."""
    return f"{factor.dim}_component"


def parameter_variables(
    labels: Labels, drawn: EffectsParameters, shape: tuple[int, ...], sample: tuple[str, ...]
) -> dict[str, xr.DataArray]:
    """Return what shapes the effects as labelled arrays, by name without the factor.

    Parameters
    ----------
    labels : Labels
    drawn : EffectsParameters
        At S draws.
    shape : tuple of int
        Their product is S.
    sample : tuple of str
        Dimensions of that shape.
    """
    import xarray as xr

    factor = labels.factors[0]
    coef, dim = factor.coef_dim, component_dim(factor)

    def array(values: Array, *dims: str) -> xr.DataArray:
        coords: dict[str, Any] = {d: labels.index_variables[d] for d in dims if d in labels.index_variables}
        if dim in dims:
            coords[dim] = np.arange(values.shape[1 + dims.index(dim)])
        return xr.DataArray(values.reshape(shape + values.shape[1:]), dims=(*sample, *dims), coords=coords)

    if drawn.nu is not None:
        return {"scale": array(drawn.within.sd, coef), "nu": array(drawn.nu)}
    assert drawn.weight is not None
    assert drawn.mean is not None
    assert drawn.component_cov is not None
    from hierreg.linalg import sd_and_corr

    sd, corr = sd_and_corr(drawn.component_cov)
    dims = (dim,) if sd.shape[1] > 1 else ()
    if not dims:
        sd, corr = sd[:, 0], corr[:, 0]
    out = {
        "component_weight": array(drawn.weight, dim),
        "component_mean": array(drawn.mean, dim, coef),
        "component_sd": array(sd, *dims, coef),
    }
    if factor.has_corr:
        out["component_corr"] = array(np.where(np.isfinite(corr), corr, 0.0), *dims, coef, f"{coef}_col")
    return out


def group_variables(
    labels: Labels, drawn: DrawnEffects, shape: tuple[int, ...], sample: tuple[str, ...]
) -> dict[str, xr.DataArray]:
    """Return weights or probabilities of the groups as labelled arrays, by name without the factor."""
    import xarray as xr

    factor = labels.factors[0]
    group = {factor.dim: labels.index_variables[factor.dim]}
    if drawn.weight is not None:
        values = drawn.weight.reshape(shape + drawn.weight.shape[-1:])
        return {"weight": xr.DataArray(values, dims=(*sample, factor.dim), coords=group)}
    assert drawn.probability is not None
    values, dim = drawn.probability.reshape(shape + drawn.probability.shape[-2:]), component_dim(factor)
    coords = group | {dim: np.arange(values.shape[-1])}
    return {"probability": xr.DataArray(values, dims=(*sample, factor.dim, dim), coords=coords)}


def named(variables: Mapping[str, xr.DataArray], factor: FactorLabels) -> dict[str, xr.DataArray]:
    """Return variables under the names that they have in a tree."""
    return {f"{name}_{factor.key}": values for name, values in variables.items()}


def posterior_with_effects(
    labels: Labels, shape: tuple[int, int], posterior: xr.Dataset, drawn: EffectsParameters, effects: DrawnEffects
) -> xr.Dataset:
    """Return the posterior group with what shapes the effects, and of each group where draws were kept.

    Parameters
    ----------
    labels : Labels
    shape : (int, int)
        Chains and draws.
    posterior : Dataset
        As of normal effects, with sds and correlations of all groups together.
    drawn : EffectsParameters
    effects : DrawnEffects
    """
    factor = labels.factors[0]
    more = parameter_variables(labels, drawn, shape, build.SAMPLE)
    if effects.b is not None:
        more |= group_variables(labels, effects, shape, build.SAMPLE)
    if drawn.total() is None:
        posterior = posterior.drop_vars(f"sd_{factor.key}")
    return posterior.assign(named(more, factor)).transpose(*build.SAMPLE, ...)
