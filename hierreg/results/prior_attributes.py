"""Priors as attributes of posterior variables: a saved file alone can draw a posterior beside its prior.

Attributes of a netCDF variable are numbers, strings or flat lists of them:

- ``prior``: the prior in words, one per element, separated by "; ".
- ``prior_family``, ``prior_parameters`` (standard deviations): per element the class name in `hierreg.priors`
  and two parameters.
- ``prior_eta``, ``prior_block`` (correlations): per column the LKJ parameter, zero where nothing is
  estimated, and the number of the bar term; columns of different terms are uncorrelated.
- ``prior_frame`` (of group coefficients): T, row by row, where the priors are those of the coefficients b* with
  b = T b* (`priors.group_frames`).
- ``prior_eta``, ``prior_lowest`` (correlations within units): per stratum the LKJ parameter, zero where nothing is
  estimated, and the lower bound.
- ``prior_lowest`` beside ``prior_family`` (degrees of freedom of group effects): the bound above which the prior holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.linalg import sd_and_corr
from hierreg.priors import LKJ
from hierreg.priors.families import SD_FAMILY_NAMES, sd_family

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.priors import Fixed, ResolvedPriors, SdPrior
    from hierreg.problem.labels import Labels


def prior_attributes(
    labels: Labels, priors: ResolvedPriors, term_sizes: Mapping[str, Sequence[int]], lowest: Sequence[float] = ()
) -> dict[str, dict[str, Any]]:
    """Return the attributes of each posterior variable that has a prior.

    Parameters
    ----------
    labels : Labels
    priors : ResolvedPriors
    term_sizes : dict of sequences of int
        Columns of each bar term, by grouping factor.
    lowest : sequence of float
        Lower bounds of the correlations of exchangeable errors.
    """
    texts = [row.prior for row in priors.rows if row.parameter.startswith("beta[")]
    out: dict[str, dict[str, Any]] = {"beta": {"prior": "; ".join(texts)}}
    for factor in labels.factors:
        out[f"sd_{factor.key}"] = _sd_attributes(priors.sd[factor.name])
        if factor.has_corr:
            out[f"corr_{factor.key}"] = _corr_attributes(priors.corr[factor.name], term_sizes[factor.name])
            frame = priors.frames.get(factor.name)
            if frame is not None and not frame.is_plain:
                for name in (f"sd_{factor.key}", f"corr_{factor.key}"):
                    out[name]["prior_frame"] = frame.to_raw.ravel().tolist()
    if labels.n_error_sd:
        out["error_sd"] = _sd_attributes(priors.error_sd)
    if isinstance(priors.error_corr, tuple):
        out["error_corr"] = {
            "prior": "; ".join(str(corr) for corr in priors.error_corr),
            "prior_eta": [corr.eta if isinstance(corr, LKJ) else 0.0 for corr in priors.error_corr],
            "prior_lowest": [float(bound) for bound in lowest],
        }
    elif labels.has_error_corr:
        out["error_corr"] = _corr_attributes([priors.error_corr], [labels.n_error_sd])
    return out


def bounded_attributes(prior: SdPrior, lowest: float) -> dict[str, Any]:
    """Return the attributes of a variable whose prior is that of a standard deviation, restricted to larger values."""
    return _sd_attributes([prior]) | {"prior": f"{prior}, above {lowest:g}", "prior_lowest": lowest}


def _sd_attributes(sds: Sequence[SdPrior | Fixed]) -> dict[str, Any]:
    return {
        "prior": "; ".join(str(sd) for sd in sds),
        "prior_family": [type(sd).__name__ for sd in sds],
        "prior_parameters": [float(value) for sd in sds for value in sd.parameters],
    }


def _corr_attributes(corrs: Sequence[LKJ | Fixed | None], sizes: Sequence[int]) -> dict[str, Any]:
    etas = [corr.eta if isinstance(corr, LKJ) and size > 1 else 0.0 for corr, size in zip(corrs, sizes, strict=True)]
    return {
        "prior": "; ".join(str(corr) for corr in corrs if corr is not None),
        "prior_eta": np.repeat(etas, sizes).tolist(),
        "prior_block": np.repeat(np.arange(len(sizes)), sizes).tolist(),
    }


def sd_prior(variable: xr.DataArray, index: int) -> SdPrior | None:
    """Return the prior of one standard deviation; None where it is fixed, unknown or follows from those of others."""
    names = np.atleast_1d(variable.attrs.get("prior_family", []))
    if index >= len(names) or names[index] == "Fixed" or _is_mixed(variable, index):
        return None
    name = str(names[index])
    parameters = np.atleast_1d(variable.attrs["prior_parameters"])[2 * index : 2 * index + 2]
    return sd_family(name, parameters) if name in SD_FAMILY_NAMES else None


def _is_mixed(variable: xr.DataArray, *index: int) -> bool:
    """Return whether a coefficient is a sum of several of those that the priors are priors of."""
    T = _frame(variable)
    return T is not None and any(np.count_nonzero(T[i]) > 1 for i in index)


def _frame(variable: xr.DataArray) -> NDArray[np.float64] | None:
    flat = np.atleast_1d(variable.attrs.get("prior_frame", []))
    return flat.reshape(int(np.sqrt(len(flat))), -1) if len(flat) else None


def mixed_prior_draws(
    sd: xr.DataArray, corr: xr.DataArray, draws: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return draws of sds (draws, q) and correlations (draws, q, q) of one factor from their prior.

    None where each has a prior of its own (`sd_prior`, `correlation_prior`).
    """
    T, rng = _frame(sd), np.random.default_rng(seed)
    if T is None:
        return None
    q = len(T)
    parameters = np.reshape(sd.attrs["prior_parameters"], (q, 2))
    s = np.empty((draws, q))
    for k, name in enumerate(np.atleast_1d(sd.attrs["prior_family"])):
        if name == "Fixed":
            s[:, k] = parameters[k, 0]
        else:
            s[:, k] = sd_family(str(name), parameters[k]).draw(rng, draws)
    R = np.tile(np.eye(q), (draws, 1, 1))
    eta, block = np.atleast_1d(corr.attrs["prior_eta"]), np.atleast_1d(corr.attrs["prior_block"])
    for term in np.unique(block):
        mine = np.flatnonzero(block == term)
        if eta[mine[0]] > 0:
            R[:, mine[:, None], mine] = LKJ(float(eta[mine[0]])).draw(rng, draws, len(mine))
    return sd_and_corr(T @ (s[:, :, None] * R * s[:, None, :]) @ T.T)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationPrior:
    """Prior of one correlation by itself: a beta distribution with both shapes equal, over (lowest, 1).

    Attributes
    ----------
    prior : LKJ
        What it follows from.
    shape : float
        eta - 1 + D / 2 for an entry of a (D, D) matrix; eta for a correlation within units.
    lowest : float
    """

    prior: LKJ
    shape: float
    lowest: float


def correlation_prior(variable: xr.DataArray, *index: int) -> CorrelationPrior | None:
    """Return the prior of one correlation, at its row and column, or its stratum; None as for `sd_prior`."""
    eta = np.atleast_1d(variable.attrs.get("prior_eta", []))
    if max(index) >= len(eta) or eta[index[0]] == 0 or _is_mixed(variable, *index):
        return None
    prior = LKJ(float(eta[index[0]]))
    if "prior_lowest" in variable.attrs:
        return CorrelationPrior(
            prior=prior, shape=prior.eta, lowest=float(np.atleast_1d(variable.attrs["prior_lowest"])[index[0]])
        )
    block = np.atleast_1d(variable.attrs["prior_block"])
    if len({block[i] for i in index}) > 1:
        return None
    return CorrelationPrior(prior=prior, shape=prior.eta - 1 + float(np.sum(block == block[index[0]])) / 2, lowest=-1.0)
