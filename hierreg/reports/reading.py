"""What a report needs of a DataTree, checked where it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hierreg.checks import listed, suggestion
from hierreg.errors.within_units import covariance_of
from hierreg.exceptions import DataError, ModelError
from hierreg.problem.labels import factors_of, variable_name
from hierreg.results.pairs import as_matrices
from hierreg.results.point import METHOD_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_GROUPS = ("posterior", "statistics", "mixed_model_limit")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """The groups of a DataTree that reports read.

    Attributes
    ----------
    posterior, constant, limit : Dataset
    effects : Dataset or None
        Summaries of the group coefficients, where their draws were not kept.
    factors : tuple of str
        Grouping factors, in the order of the formula.
    error_dim : str or None
        Dimension of the error standard deviations.
    attrs : dict
        Attributes of the tree.
    """

    posterior: xr.Dataset
    constant: xr.Dataset
    limit: xr.Dataset
    effects: xr.Dataset | None
    factors: tuple[str, ...]
    error_dim: str | None
    attrs: dict[str, Any]

    @property
    def by_factor(self) -> tuple[FactorFit, ...]:
        """What there is of each grouping factor."""
        return tuple(FactorFit(fit=self, name=name) for name in self.factors)

    @property
    def n_draws(self) -> tuple[int, int]:
        """Chains, and draws of each."""
        return self.posterior.sizes["chain"], self.posterior.sizes["draw"]

    @property
    def heading(self) -> str:
        """One or two lines that say what was fitted."""
        chains, draws = self.n_draws
        groups = "".join(f", {len(factor.groups)} groups of {factor.name}" for factor in self.by_factor)
        what = (
            f"family {self.attrs['family']}"
            if "family" in self.attrs
            else f"errors {self.attrs['errors']}{self._effects_in_words}"
        )
        return f"{self.attrs['formula']}, {what}\n{self.attrs['n_rows']} rows{groups}; {chains} chains of {draws} draws"

    @property
    def plug_in(self) -> str:
        """What the point estimate beside the posterior is called: REML, or Laplace where the response is not normal."""
        return METHOD_NAMES.get(str(self.limit.attrs.get("method", "reml")), "REML")

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """Further parameters of a family of responses."""
        return tuple(json.loads(self.attrs.get("auxiliary", "[]")))

    @property
    def _effects_in_words(self) -> str:
        effects = self.attrs.get("effects", "")
        return f", effects of {effects}" if effects else ""

    def draws(self, name: str) -> Array:
        """Return the draws of a variable, chain and draw first."""
        return self.posterior[name].transpose("chain", "draw", ...).to_numpy()

    def error_covariance(self) -> Array:
        """Return the draws of the error covariance (S, D, D); ones where the errors are known.

        Of exchangeable errors, the variances of the components of each group's own rows, diagonal; of AR(1) errors the
        covariance (S, 2, 2) of rows one step apart.
        """
        if "error_sd" not in self.posterior:
            chains, draws = self.n_draws
            return np.ones((chains * draws, 1, 1))
        sd = self.draws("error_sd")
        sd = sd.reshape(sd.shape[0] * sd.shape[1], -1)
        if "group_component_size" in self.constant:
            stratum, size = (self.constant[f"group_component_{what}"].to_numpy() for what in ("stratum", "size"))
            rho = self.draws("error_corr").reshape(len(sd), -1)
            return covariance_of(stratum, size, sd, rho)
        D = sd.shape[1]
        corr = self.draws("error_corr").reshape(-1, D, D) if "error_corr" in self.posterior else np.eye(D)
        return sd[:, :, None] * corr * sd[:, None, :]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FactorFit:
    """What a result says of one grouping factor.

    Attributes
    ----------
    fit : Fit
    name : str
        The grouping factor.
    """

    fit: Fit
    name: str

    @property
    def coef_dim(self) -> str:
        """Dimension of the group columns."""
        return str(self.fit.limit[f"sd_{self.name}"].dims[-1])

    @property
    def dim(self) -> str:
        """Dimension of the groups."""
        return str(self.fit.limit[f"b_{self.name}"].dims[0])

    @property
    def coefs(self) -> list[str]:
        """Names of the q group columns."""
        return [str(c) for c in self.fit.limit[self.coef_dim].values]

    @property
    def groups(self) -> NDArray[Any]:
        """Labels of the groups (J,)."""
        return self.fit.limit[self.dim].values

    @property
    def variable(self) -> str:
        """``theta_<factor>`` where a group column is also a population column, ``b_<factor>`` otherwise."""
        return f"theta_{self.name}" if f"theta_{self.name}" in self.fit.limit else f"b_{self.name}"

    @property
    def reference(self) -> dict[str, str]:
        """For group columns, at which other predictors the coefficients of a group are, as in "Sector = Catholic"."""
        found = json.loads(self.fit.constant.attrs.get("theta_at", "{}"))
        return {str(column): str(text) for column, text in found.get(self.name, {}).items()}

    @property
    def draws(self) -> Array | None:
        """Draws of the group coefficients (chain, draw, J, q); None where only summaries were kept."""
        return self.fit.draws(self.variable) if self.variable in self.fit.posterior else None

    def population(self, values: xr.DataArray) -> Array:
        """Return, for each group column, the value of its population column; zero where it has none."""
        names = [str(c) for c in values["coef"].values]
        return np.array([float(values[names.index(c)]) if c in names else 0.0 for c in self.coefs])

    @property
    def has_covariance(self) -> bool:
        """Whether the effects have a variance: a t distribution of at most two degrees of freedom has none."""
        return f"sd_{self.name}" in self.fit.posterior

    def covariance(self) -> Array:
        """Return the draws of Sigma (S, q, q): with heavy tails or mixtures that of all groups together.

        Raises
        ------
        ModelError
            Where a t distribution has no variance.
        """
        if not self.has_covariance:
            raise ModelError(
                f"the effects of {self.name} have no variance: their t distribution has at most 2 degrees of freedom. "
                f"Read scale_{self.name} instead."
            )
        sd = self.fit.draws(f"sd_{self.name}")
        sd = sd.reshape(-1, sd.shape[-1])
        name = f"corr_{self.name}"
        q = sd.shape[1]
        corr = self.fit.draws(name).reshape(-1, q, q) if name in self.fit.posterior else np.eye(q)
        return sd[:, :, None] * corr * sd[:, None, :]


def read(tree: Any) -> Fit:
    """Return the parts of a DataTree that reports need.

    Raises
    ------
    DataError
        If it is not a DataTree from `Model.sample` or `hierreg.load`.
    """
    if not isinstance(tree, xr.DataTree):
        raise DataError(
            f"tree is of type {type(tree).__name__}; a report needs the DataTree that Model.sample "
            "returned, or hr.load of a file that hr.save wrote."
        )
    missing = [name for name in _GROUPS if name not in tree.children]
    if "hierreg_version" not in tree.attrs or missing:
        why = f"it lacks the groups {listed(missing)}" if missing else "its attributes name no hierreg version"
        raise DataError(
            f"tree was not made by hierreg ({why}); pass the DataTree that Model.sample returned, whole, or "
            "hr.load of a file that hr.save wrote."
        )
    return Fit(
        posterior=as_matrices(tree["posterior"].to_dataset()),
        constant=tree["statistics"].to_dataset(),
        limit=tree["mixed_model_limit"].to_dataset(),
        effects=tree["effects"].to_dataset() if "effects" in tree.children else None,
        factors=factors_of(tree.attrs),
        error_dim=tree.attrs["error_dim"] or None,
        attrs={str(name): value for name, value in tree.attrs.items()},
    )


def need_factor(fit: Fit, what: str, factor: str | None) -> FactorFit:
    """Return the grouping factor that is asked for, or the only one.

    Raises
    ------
    ModelError
        If the model has none, has no such factor, or has several and none is named.
    """
    if not fit.factors:
        raise ModelError(
            f"{what} needs a grouping factor, but {fit.attrs['formula']!r} has no group term such as (x | g)."
        )
    if factor is None and len(fit.factors) > 1:
        raise ModelError(
            f"{what} shows one grouping factor at a time, and {fit.attrs['formula']!r} has {listed(fit.factors)}: name "
            f"one, as in factor={fit.factors[0]!r}."
        )
    factor = factor if factor is None else variable_name(str(factor))
    if factor is not None and factor not in fit.factors:
        raise ModelError(
            f"factor={factor!r} is none of the grouping factors {listed(fit.factors)} of {fit.attrs['formula']!r}."
            f"{suggestion(factor, fit.factors)}"
        )
    return FactorFit(fit=fit, name=factor or fit.factors[0])


def check_prob(ci_prob: object) -> float:
    """Return the probability of the intervals, or raise where it is none."""
    is_number = isinstance(ci_prob, (int, float, np.floating)) and not isinstance(ci_prob, bool)
    if not is_number or not 0 < float(ci_prob) < 1:  # type: ignore[arg-type]  # a number by the check before
        raise ModelError(f"ci_prob={ci_prob!r} must be a number between 0 and 1, such as 0.95.")
    return float(ci_prob)  # type: ignore[arg-type]  # a number by the check before
