"""The summary of a point estimate: coefficients and variance parameters with standard errors and Wald intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from hierreg.display import Column
from hierreg.reports.table import Report, percent
from hierreg.results.point import METHOD_NAMES, Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@final
class EstimateSummary(Report):
    """What `summary` returns of an estimate; prints as a table."""

    __slots__ = ()
    whole: ClassVar[dict[str, int]] = {"parameter": 1, "estimate": 1, "se": 1, "kind": 1}

    has_every_row: ClassVar[bool] = True

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column(key="estimate", head="estimate", scale="se"),
            Column(key="se", head="se", scale="se"),
            *self._interval(scale="se"),
            Column(key="statistic", head="z", form="fixed", digits=2, fold=2),
            Column(key="p_value", head="p", form="significant", digits=2, fold=1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PointParameter:
    """One parameter of an estimate: what it is, its name, its value, and its standard error (NaN where unknown)."""

    kind: str
    name: str
    value: float
    se: float


def point_parameters(est: Estimate) -> list[PointParameter]:
    """Return the coefficients and variance parameters of an estimate, those that are fixed with an error of zero."""
    se = dict(zip(map(str, est.variance_cov["parameter"].values), est.variance_se.to_numpy().tolist(), strict=True))
    # Families report no errors of variances.
    rest = np.nan if est.family else 0.0
    out = [
        PointParameter(kind="beta", name=f"beta[{name}]", value=float(b), se=float(s))
        for name, b, s in zip(est.beta["coef"].values, est.beta, est.beta_se, strict=True)
    ]
    return out + [
        PointParameter(kind=kind, name=name, value=value, se=se.get(name, rest))
        for kind, name, value in _variances(est)
        # Correlations that are zero by the formula are no parameters.
        if name in se or kind not in {"corr", "error_corr"} or (np.isfinite(value) and value != 0)
    ]


def _variances(est: Estimate) -> Iterator[tuple[str, str, float]]:
    """Yield kind, name and value of the standard deviations and correlations, and of what a family has."""
    for factor, sd in est.sd.items():
        yield from (("sd", f"sd_{factor}[{c}]", float(v)) for c, v in zip(sd[sd.dims[0]].values, sd, strict=True))
    for factor, corr in est.corr.items():
        yield from (("corr", *found) for found in _below_the_diagonal(f"corr_{factor}", corr))
    if not est.family and est.problem.labels.n_error_sd:
        yield from (("error_sd", *found) for found in _each("error_sd", est.error_sd))
    if est.error_corr is not None:
        of = _below_the_diagonal if est.error_corr.ndim == 2 else _each
        yield from (("error_corr", *found) for found in of("error_corr", est.error_corr))
    for name, values in est.auxiliary.items():
        yield from (("auxiliary", *found) for found in _each(name, values))


def _each(name: str, values: xr.DataArray) -> list[tuple[str, float]]:
    if not values.ndim:
        return [(name, float(values))]
    flat = values.to_numpy().ravel()
    labels = values[values.dims[-1]].values
    return [(f"{name}[{labels[i % len(labels)]}]", float(value)) for i, value in enumerate(flat)]


def _below_the_diagonal(name: str, corr: xr.DataArray) -> list[tuple[str, float]]:
    labels, values = corr[corr.dims[0]].values, corr.to_numpy()
    return [(f"{name}[{labels[i]}, {labels[j]}]", float(values[i, j])) for i in range(len(labels)) for j in range(i)]


def wald_interval(parameter: PointParameter, half: float) -> tuple[float, float]:
    """Return the ends of a Wald interval, `half` standard errors to each side.

    Of coefficients on their scale; of standard deviations on the scale of the logarithm, of correlations on that of
    Fisher's z, so that the ends are possible values. NaN without a standard error.

    References
    ----------
    Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, section 2.4.3.
    """
    value, se = parameter.value, parameter.se
    if not (np.isfinite(se) and se > 0):
        return np.nan, np.nan
    if parameter.kind in {"sd", "error_sd"} and value > 0:
        factor = float(np.exp(half * se / value))
        return value / factor, value * factor
    if parameter.kind in {"corr", "error_corr"} and abs(value) < 1:
        step = half * se / (1 - value**2)
        return float(np.tanh(np.arctanh(value) - step)), float(np.tanh(np.arctanh(value) + step))
    return value - half * se, value + half * se


def summary_of_estimate(est: Estimate, prob: float) -> EstimateSummary:
    """Return the summary of an estimate; see `summary`."""
    from scipy.special import ndtr, ndtri

    found = point_parameters(est)
    half = float(ndtri((1 + prob) / 2))
    ends = np.array([wald_interval(one, half) for one in found]).reshape(-1, 2)
    value, se = np.array([one.value for one in found]), np.array([one.se for one in found])
    is_beta = np.array([one.kind == "beta" for one in found], dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(is_beta & (se > 0), value / se, np.nan)
    columns = {
        "estimate": value,
        "se": np.where(se > 0, se, np.nan),
        "lower": ends[:, 0],
        "upper": ends[:, 1],
        "statistic": z,
        "p_value": 2.0 * ndtr(-np.abs(z)),
    }
    return EstimateSummary(
        {name: (("parameter",), column) for name, column in columns.items()},
        coords={"parameter": [one.name for one in found], "kind": (("parameter",), [one.kind for one in found])},
        attrs={"heading": _heading(est), "note": _note(est, prob), "ci_prob": prob, "method": est.method},
    )


def _heading(est: Estimate) -> str:
    problem = est.problem
    what = f"family {est.family}" if est.family else f"errors {problem.layout.spec}"
    groups = "".join(f", {len(factor.levels)} groups of {factor.name}" for factor in problem.labels.factors)
    lines = [f"{problem.formula}, {what}", f"{problem.n_rows} rows{groups}"]
    name = METHOD_NAMES[est.method]
    if est.method == "map":
        lines.append(f"{name} estimate, criterion {est.criterion:.2f} (with the prior)")
    else:
        likelihood = "restricted log likelihood" if est.method == "reml" else "log likelihood"
        lines.append(
            f"{name} estimate, {likelihood} {est.log_likelihood:.2f} with {est.n_parameters} parameters, "
            f"AIC {est.aic:.2f}, BIC {est.bic:.2f}"
        )
    if est.p_value is not None:
        fit = f"chi-square {est.chi_square:.4g} on {est.degrees_of_freedom} degrees of freedom"
        lines.append(f"{fit}, p = {est.p_value:.3g}")
    return "\n".join(lines)


def _note(est: Estimate, prob: float) -> str:
    lines = [f"Wald {percent(prob)} intervals; z and p take the variances as known."]
    if not est.converged or est.boundary or est.unidentified:
        lines.append(est.message[:1].upper() + est.message[1:] + ".")
    return "\n".join(lines)
