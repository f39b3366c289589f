"""Results of models whose group effects have heavy tails or are mixtures: what they have beside those of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.display import Shown, Table
from hierreg.results import build
from hierreg.results.point_tables import beta_section, by_factor, corr_section, estimate_table, size_of, values_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.heavy_tails.draws import DrawnEffects, EffectsParameters
    from hierreg.problem.labels import FactorLabels, Labels

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EffectsEstimate(Shown):
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
    formula : str
    n_rows : int
        Of the model that was estimated.
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
    formula: str = ""
    n_rows: int = 0

    @property
    def beta_se(self) -> xr.DataArray:
        """Standard errors of beta (coef)."""
        return self.beta.copy(data=np.sqrt(np.diagonal(self.beta_cov.to_numpy())))

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each parameter that is shown: its kind, its name, its value and its standard error."""
        return self._table().to_pandas()

    def _table(self, most: int | None = None) -> Table:  # noqa: ARG002  # groups are named, not listed
        heading = [
            f"{self.method.upper()} estimate, group effects {self.effects}; criterion {self.criterion:.4f}",
            self.message,
            size_of(self.formula, self.n_rows, self.b),
        ]
        components: dict[str, Any] = {}
        for what in ("weight", "mean", "sd"):
            components |= by_factor(f"component_{what}", getattr(self, f"component_{what}"))
        sections = [
            beta_section(self.beta, self.beta_se),
            values_section("scale", by_factor("scale", self.scale), {}),
            values_section("nu", by_factor("nu", self.nu), {}),
            values_section("component", components, {}),
            values_section("sd", by_factor("sd", self.sd), {}),
            corr_section("corr", by_factor("corr", self.corr), {}),
            values_section("error_sd", {"error_sd": self.error_sd}, {}),
        ]
        return estimate_table(heading, sections, [])


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
        coords = labels.coordinates(dims)
        if dim in dims:
            coords = coords.assign({dim: np.arange(values.shape[1 + dims.index(dim)])})
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
    group = labels.coordinates([factor.dim])
    if drawn.weight is not None:
        values = drawn.weight.reshape(shape + drawn.weight.shape[-1:])
        return {"weight": xr.DataArray(values, dims=(*sample, factor.dim), coords=group)}
    assert drawn.probability is not None
    values, dim = drawn.probability.reshape(shape + drawn.probability.shape[-2:]), component_dim(factor)
    coords = group.assign({dim: np.arange(values.shape[-1])})
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
