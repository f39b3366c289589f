"""The DataTree of a posterior: groups, variables and attributes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.problem.labels import FactorLabels, Labels, response_variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.gram import ErrorTerms
    from hierreg.gram.column_means import ColumnMeans
    from hierreg.gram.row_moments import RowMoments
    from hierreg.likelihood.alone import GroupStatistics
    from hierreg.likelihood.drawn import EffectSummary, Recovered
    from hierreg.results.point import Estimate
    from hierreg.variances.parameters import Covariances

    Array = NDArray[np.float64]

SAMPLE = ("chain", "draw")
# Of group coefficients whose draws are not kept.
PROBS = (0.025, 0.25, 0.5, 0.75, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The mixed-model-equations limit: coefficients at the REML plug-in, and each group alone.

    Attributes
    ----------
    estimate : Estimate
        REML.
    no_pooling : tuple of arrays (J, q)
        Least squares on each group alone, one array per grouping factor.
    no_pooling_cov : tuple of arrays (J, q, q)
    """

    estimate: Estimate
    no_pooling: tuple[Array, ...]
    no_pooling_cov: tuple[Array, ...]


def posterior(labels: Labels, shape: tuple[int, int], cov: Covariances, recovered: Recovered) -> xr.Dataset:
    """Return the posterior group.

    Parameters
    ----------
    labels : Labels
    shape : (int, int)
        Chains and draws; their product is the leading dimension S of the rest.
    cov : Covariances
    recovered : Recovered
    """
    from hierreg.results.theta_when_read import GroupCoefficients, on_access

    def array(kind: str, values: Array, factor: FactorLabels | None = None) -> xr.DataArray:
        return labels.array(kind, values.reshape(shape + values.shape[1:]), factor=factor, sample=SAMPLE)

    out = {"beta": array("beta", recovered.beta)}
    for factor, values in zip(labels.factors, recovered.b, strict=True) if recovered.b is not None else ():
        out[f"b_{factor.key}"] = b = array("b", values, factor)
        if factor.has_theta:
            theta = GroupCoefficients(out["beta"].to_numpy(), b.to_numpy(), factor.theta_columns)
            out[f"theta_{factor.key}"] = b.copy(data=on_access(theta))
    return sample_dataset(out | variance_variables(labels, cov, array), shape)


def variance_variables(labels: Labels, cov: Covariances, array: Any) -> dict[str, xr.DataArray]:
    """Return sd, corr, error_sd and error_corr as labelled arrays, made by ``array(kind, values[, factor])``."""
    out, start = {}, 0
    for factor in labels.factors:
        mine = slice(start, start + len(factor.coef))
        out[f"sd_{factor.key}"] = array("sd", cov.sd[..., mine], factor)
        if factor.has_corr:
            out[f"corr_{factor.key}"] = array("cov", cov.corr[..., mine, mine], factor)
        start += len(factor.coef)
    if labels.n_error_sd:
        out["error_sd"] = array("error_sd", cov.error_sd)
    if labels.has_error_corr:
        out["error_corr"] = array("error_corr", cov.error_corr)
    return out


def sample_dataset(variables: Mapping[str, xr.DataArray], shape: tuple[int, int]) -> xr.Dataset:
    """Return draws as a Dataset, group coefficients before the standard deviations that share a dimension.

    ArviZ labels elements by the order in which dimensions appear in the Dataset, so (group, column) must come first.
    """
    import xarray as xr

    out = xr.Dataset(dict(variables)).assign_coords({name: np.arange(n) for name, n in zip(SAMPLE, shape, strict=True)})
    return out.transpose(*SAMPLE, ...)


def effect_summaries(labels: Labels, recovered: Recovered, probs: tuple[float, ...]) -> xr.Dataset:
    """Return the group that stands for b and theta where only summaries were kept.

    Its attribute ``monte_carlo_error`` is the largest error of a mean or quantile, in posterior standard
    deviations, where quantiles are not those of draws.
    """
    import xarray as xr

    out: dict[str, xr.DataArray] = {}

    def put(name: str, factor: FactorLabels, summary: EffectSummary) -> None:
        out[f"{name}_mean"] = labels.array("b", summary.mean, factor=factor)
        out[f"{name}_sd"] = labels.array("b", summary.sd, factor=factor)
        out[f"{name}_quantiles"] = labels.array("b", summary.quantiles, factor=factor, sample=("quantile",))

    assert recovered.b_summary is not None
    assert recovered.theta_summary is not None
    for factor, b, theta in zip(labels.factors, recovered.b_summary, recovered.theta_summary, strict=True):
        put(f"b_{factor.key}", factor, b)
        if theta is not None and factor.has_theta:
            put(f"theta_{factor.key}", factor, theta)
    known = [summary.error for summary in (*recovered.b_summary, *recovered.theta_summary) if summary is not None]
    attrs = {} if np.isnan(known).any() else {"monte_carlo_error": max(known, default=0.0)}
    return xr.Dataset(out, attrs=attrs).assign_coords(quantile=list(probs))


def limit_group(labels: Labels, limit: Limit) -> xr.Dataset:
    """Return the ``mixed_model_limit`` group."""
    import xarray as xr

    e = limit.estimate
    out: dict[str, Any] = {"beta": e.beta, "beta_cov": e.beta_cov, "criterion": e.criterion}
    for factor, alone, alone_cov in zip(labels.factors, limit.no_pooling, limit.no_pooling_cov, strict=True):
        name, key = factor.name, factor.key
        out |= {
            f"sd_{key}": e.sd[name],
            f"corr_{key}": e.corr[name],
            f"cov_{key}": e.cov[name],
            f"b_{key}": e.b[name],
            f"b_cov_{key}": e.b_cov[name],
            f"b_cond_cov_{key}": e.b_cond_cov[name],
            f"no_pooling_{key}": labels.array("b", alone, factor=factor),
            f"no_pooling_cov_{key}": labels.array("b_cov", alone_cov, factor=factor),
        }
        if factor.has_theta:
            out |= {f"theta_{key}": e.theta[name], f"theta_cov_{key}": e.theta_cov[name]}
    out |= {"error_sd": e.error_sd} if not e.family else dict(e.auxiliary)
    if e.error_corr is not None:
        out["error_corr"] = e.error_corr
    if e.error_cov is not None:
        out["error_cov"] = e.error_cov
    attrs = {
        "method": e.method,
        "message": e.message,
        "singular": int(e.singular),
        "converged": int(e.converged),
    }
    return xr.Dataset(out, attrs=attrs)


def statistics_group(  # noqa: PLR0913, PLR0917  # what reports need of rows that are gone
    labels: Labels,
    terms: ErrorTerms,
    group_terms: ErrorTerms,
    statistics: Sequence[GroupStatistics],
    means: Sequence[ColumnMeans],
    references: Mapping[str, Mapping[str, str]],
    moments: RowMoments | None = None,
) -> xr.Dataset:
    """Return the ``statistics`` group: error terms, and what each grouping factor's rows say.

    Cross-products of each group in the user's scale; means of the group columns, over all rows and by data set or
    stratum of the errors; moments of the rows (`RowMoments`), where they are known; and, as the attribute ``theta_at``,
    the predictors that are zero in theta. The terms of the groups, each on its own, differ from those of the model
    where groups have correlated errors. There is one element of `statistics` and `means` per grouping factor.
    """
    import xarray as xr

    label_dim = "error_component" if terms.components else labels.error_dim or "error_label"
    group_dim = "group_error_component" if group_terms.components else label_dim
    out: dict[str, Any] = {
        "error_patterns": (("error_pattern", label_dim), terms.patterns.astype(np.int8)),
        "error_pattern_counts": (("error_pattern",), terms.counts),
    }
    coords = {label_dim: labels.coords.get(label_dim, list(terms.labels))}
    if group_terms.components is not None:
        coords[group_dim] = list(group_terms.labels)
        out |= {
            "group_component_stratum": ((group_dim,), group_terms.components.stratum),
            "group_component_size": ((group_dim,), group_terms.components.size),
        }
    if statistics:
        out["group_patterns"] = (("group_error_pattern", group_dim), group_terms.patterns.astype(np.int8))
        if group_terms.gaps.any():
            out["group_error_gaps"] = (("group_error_pattern",), group_terms.gaps)
    if terms.gaps.any():
        out["error_gaps"] = (("error_pattern",), terms.gaps)
    for factor, own in zip(labels.factors, statistics, strict=True):
        coef, entry = factor.coef_dim, f"entry_{factor.key}"
        out |= {
            f"group_index_{factor.key}": ((entry,), own.level),
            f"group_term_{factor.key}": ((entry,), own.term),
            f"group_ZtZ_{factor.key}": ((entry, coef, f"{coef}_col"), own.ZtZ),
        }
        coords |= {d: labels.coords[d] for d in (factor.dim, coef, f"{coef}_col")}
    for factor, own_means in zip(labels.factors, means, strict=True):
        out[f"column_means_{factor.key}"] = ((factor.coef_dim,), own_means.overall)
        if labels.error_dim is not None:
            out[f"column_means_by_error_{factor.key}"] = ((labels.error_dim, factor.coef_dim), own_means.by_label)
            coords[labels.error_dim] = labels.coords[labels.error_dim]
    if moments is not None:
        out |= _moments(labels, moments)
        coords |= {d: labels.coords[d] for d in ("coef", "coef_col")}
    attrs = {"theta_at": json.dumps(references, ensure_ascii=False)}
    return xr.Dataset(out, coords=coords, attrs=attrs)


def _moments(labels: Labels, moments: RowMoments) -> dict[str, Any]:
    out: dict[str, Any] = {
        "rows": (("row_part",), moments.n),
        "rows_mean": (("row_part", "coef"), moments.mean),
        "rows_cov": (("row_part", "coef", "coef_col"), moments.cov),
        "rows_error": (("row_part",), moments.error),
    }
    for factor, second in zip(labels.factors, moments.second, strict=True):
        out[f"rows_second_{factor.key}"] = (("row_part", factor.coef_dim, f"{factor.coef_dim}_col"), second)
    return out


def observed_group(labels: Labels, y: Array) -> xr.Dataset:
    """Return the ``observed_data`` group: the response by row."""
    import xarray as xr

    return xr.Dataset({response_variable(labels.response): (("obs",), y)}, coords={"obs": np.arange(len(y))})


def versions(sampler: str = "") -> dict[str, str]:
    """Return the versions of hierreg and of the packages that its numbers depend on, as attributes.

    Those of ArviZ's schema are among them, of a `sampler` ("nutpie", "pymc", "psis") where there was one.
    """
    # Not an import statement: the package's names come from the layers above.
    own = str(import_module("hierreg").__version__)
    out = {
        "hierreg_version": own,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "creation_library": "hierreg",
        "creation_library_version": own,
        "creation_library_language": "Python",
    }
    if sampler:
        library = "hierreg" if sampler == "psis" else sampler
        out |= {
            "inference_library": library,
            "inference_library_version": own if library == "hierreg" else _version(library),
        }
    for package in ("numpy", "scipy", "numba", "nutpie", "pymc", "formulaic", "arviz-base"):
        out[f"{package.replace('-', '_')}_version"] = _version(package)
    return out


@cache
def _version(package: str) -> str:
    """Return the version of an installed package; it takes half a millisecond to find and does not change."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
