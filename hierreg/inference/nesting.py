"""Which of two fits is a special case of the other, and what their likelihood ratio is distributed like then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.results.point import Estimate

    Array = NDArray[np.float64]

# Of a column that others determine: what is left of it, relative to its size.
_NOTHING_LEFT = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """Distribution of a likelihood ratio: a mixture of chi-squares.

    Attributes
    ----------
    df : tuple of int
        Degrees of freedom; zero is a point mass at zero.
    weight : tuple of float
    text : str
        The same in words.
    """

    df: tuple[int, ...]
    weight: tuple[float, ...]
    text: str

    def tail(self, statistic: float) -> float:
        """Return the probability of a ratio as large or larger."""
        from scipy.stats import chi2

        parts = (
            w * (chi2.sf(statistic, k) if k else float(statistic <= 0))
            for k, w in zip(self.df, self.weight, strict=True)
        )
        return float(sum(parts))


def null_distribution(small: Estimate, large: Estimate) -> Null | str:
    """Return the distribution of the likelihood ratio where `small` is right; or in words why it is not nested.

    A standard deviation that is zero lies at the end of its range, so that the ratio is smaller than a chi-square. For
    one more standard deviation, with c covariances that it brings and m parameters that are free elsewhere, it is half
    chi-square(m + c) and half chi-square(m + c + 1). For several more the weights depend on the design; chi-square of
    all of them is then too large, and its p an upper bound.

    References
    ----------
    Self and Liang (1987), Journal of the American Statistical Association 82, 605-610; Stram and Lee (1994), Biometrics
    50(4), 1171-1177.
    """
    if small.family != large.family:
        return "families differ"
    reasons = [_population(small, large), _groups(small, large), _errors(small.problem, large.problem)]
    found = next((reason for reason in reasons if reason), "")
    if found:
        return found
    df = large.n_parameters - small.n_parameters
    if df <= 0:
        return "the larger model has no more parameters"
    more = _free(large, "sd_", "corr_") - _free(small, "sd_", "corr_")
    n_sd = sum(name.startswith("sd_") for name in more)
    if n_sd == 0:
        return Null(df=(df,), weight=(1.0,), text=f"chi-square({df})")
    if n_sd == 1:
        return Null(df=(df - 1, df), weight=(0.5, 0.5), text=f"half chi-square({df - 1}), half chi-square({df})")
    return Null(df=(df,), weight=(1.0,), text=f"chi-square({df}), p at most this: {n_sd} sds are zero")


def _population(small: Estimate, large: Estimate) -> str:
    """Return why the population columns of one are not in the span of the other's."""
    X, other = _columns(small.problem), _columns(large.problem)
    if not len(X):
        names = {str(c) for c in small.beta["coef"].values}, {str(c) for c in large.beta["coef"].values}
        return "" if names[0] <= names[1] else "its population columns are not among those of the larger model"
    scale = np.sqrt(np.mean(other**2, axis=0))
    fit = np.linalg.lstsq(other / np.where(scale > 0, scale, 1.0), X, rcond=None)[0]
    left = X - (other / np.where(scale > 0, scale, 1.0)) @ fit
    size = np.sqrt(np.sum(X**2, axis=0))
    if np.any(np.sqrt(np.sum(left**2, axis=0)) > _NOTHING_LEFT * size):
        return "its population columns are not in the span of those of the larger model"
    fixed = [problem.fixed for problem in (small.problem, large.problem)]
    if np.any(fixed[1].is_fixed) and not (
        np.array_equal(fixed[0].is_fixed, fixed[1].is_fixed) and np.array_equal(fixed[0].value, fixed[1].value)
    ):
        return "the larger model holds coefficients fixed"
    return ""


def _columns(problem: Any) -> Array:
    return np.asarray(problem.design.X)


def _groups(small: Estimate, large: Estimate) -> str:
    """Return why the group terms of one are not among the other's."""
    if not _free(small, "sd_", "corr_") <= _free(large, "sd_", "corr_"):
        return "its group terms are not among those of the larger model"
    if _held(small) != _held(large):
        return "standard deviations or correlations are held fixed in one of them, at other values"
    factors = {factor.name: factor for factor in large.problem.design.factors}
    for factor in small.problem.design.factors:
        other = factors[factor.name]
        places = [other.coef_names.index(name) for name in factor.coef_names]
        same = np.array_equal(factor.index, other.index) and np.array_equal(factor.Z, other.Z[:, places])
        if not same:
            return f"the columns or groups of {factor.name} differ"
    return ""


def _free(est: Estimate, *starts: str) -> set[str]:
    """Return the names of free parameters that begin so."""
    return {name for name in est.problem.parameters.free_names if name.startswith(starts)}


def _held(est: Estimate) -> set[tuple[str, float]]:
    """Return the standard deviations that are held fixed, with their values, but for those of errors."""
    parameters = est.problem.parameters
    names = zip(parameters.column_names, parameters.sd_is_free, strict=True)
    fixed = {name for name, free in names if not free and name.startswith("sd_")}
    values = {
        f"sd_{factor}[{coef}]": float(value)
        for factor, sd in est.sd.items()
        for coef, value in zip(sd[sd.dims[0]].values, sd, strict=True)
    }
    return {(name, values[name]) for name in fixed}


def _errors(small: Any, large: Any) -> str:
    """Return why the errors of one are not a special case of the other's."""
    if hasattr(small, "family"):
        return ""
    one, other = small.layout, large.layout
    if str(one.spec) == str(other.spec):
        pairs = [(one.se, other.se), (one.unit, other.unit), (one.stratum, other.stratum)]
        same = all(np.array_equal(a, b) for a, b in pairs if a is not None and b is not None)
        if one.V is not None:
            same = same and np.array_equal(np.asarray(one.V), np.asarray(other.V))
        return "" if same else f"errors={one.spec} have other columns or matrices"
    is_plain = one.V is None and one.se is None and one.unit is None and one.n_sd > 0
    if is_plain and other.V is None and other.se is None and other.n_sd > 0 and one.dim in {None, other.dim}:
        return ""
    return f"errors={small.layout.spec} are not known to be a case of errors={large.layout.spec}"
