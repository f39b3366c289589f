"""Names, dimensions and coordinates of everything that is reported.

Square matrices have two dimensions, the second ending in ``_col``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorLabels:
    """What the coefficients of one grouping factor are called.

    Attributes
    ----------
    name : str
        Grouping factor.
    levels : array (J,)
        Its groups.
    coef : tuple of str
        Its q columns.
    theta_columns : tuple of (int or None), length q
        Population column with the same label as each group column.
    has_corr : bool
        Whether group columns can be correlated.
    """

    name: str
    levels: NDArray[Any]
    coef: tuple[str, ...]
    theta_columns: tuple[int | None, ...]
    has_corr: bool

    @property
    def coef_dim(self) -> str:
        """Dimension of the group columns."""
        return f"{self.name}_coef"

    @property
    def has_theta(self) -> bool:
        """Whether some group column is also a population column."""
        return any(column is not None for column in self.theta_columns)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What the parameters of a model are called.

    Attributes
    ----------
    response : str
    coef : tuple of str
        The p population coefficients.
    factors : tuple of FactorLabels
        The grouping factors, in the order of the formula.
    error_dim : str or None
        Dimension of the error standard deviations; None for a single one.
    error_labels : tuple
        Its coordinate.
    n_error_sd : int
        Number of unknown error standard deviations.
    has_error_corr : bool
    is_exchangeable : bool
        Whether the error correlations are within units, one for each stratum, rather than between data sets.
    has_common_error_sd : bool
        Whether all strata have one error standard deviation.
    """

    response: str
    coef: tuple[str, ...]
    factors: tuple[FactorLabels, ...]
    error_dim: str | None
    error_labels: tuple[Any, ...]
    n_error_sd: int
    has_error_corr: bool
    is_exchangeable: bool = False
    has_common_error_sd: bool = False

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the grouping factors."""
        return tuple(factor.name for factor in self.factors)

    def factor(self, name: str) -> FactorLabels:
        """Return the labels of one grouping factor."""
        return next(factor for factor in self.factors if factor.name == name)

    @property
    def coords(self) -> dict[str, Any]:
        """Coordinates of every dimension."""
        out: dict[str, Any] = {"coef": list(self.coef), "coef_col": list(self.coef)}
        for factor in self.factors:
            out[factor.name] = factor.levels
            out[factor.coef_dim] = list(factor.coef)
            out[f"{factor.coef_dim}_col"] = list(factor.coef)
        if self.error_dim is not None:
            # Where the data set is also a grouping factor, its levels as they are.
            labels = out.get(self.error_dim, list(self.error_labels))
            out[self.error_dim] = labels
            out[f"{self.error_dim}_col"] = labels
        return out

    @cached_property
    def index_variables(self) -> dict[str, xr.IndexVariable]:
        """The same as variables, whose indexes are built once for the dozens of arrays of one result."""
        import xarray as xr

        return {dim: xr.IndexVariable(dim, labels) for dim, labels in self.coords.items()}  # type: ignore[no-untyped-call]

    def dims(self, kind: str, factor: FactorLabels | None = None) -> tuple[str, ...]:
        """Return the dimensions of one kind of quantity.

        Parameters
        ----------
        kind : str
            "beta", "beta_cov", "sd", "cov", "b", "b_cov", "error_sd", "error_corr", "error_cov" or "beta_b_cov".
        factor : FactorLabels, optional
            Of what belongs to a grouping factor: "sd", "cov", "b", "b_cov" and "beta_b_cov".
        """
        coef, group = (factor.coef_dim, factor.name) if factor is not None else ("", "")
        error = self.error_dim
        by_error = (error,) if error else ()
        square = (error, f"{error}_col") if error else ()
        return {
            "beta": ("coef",),
            "beta_cov": ("coef", "coef_col"),
            "sd": (coef,),
            "cov": (coef, f"{coef}_col"),
            "b": (group, coef),
            "b_cov": (group, coef, f"{coef}_col"),
            "beta_b_cov": (group, "coef", coef),
            "error_sd": () if self.has_common_error_sd else by_error,
            "error_corr": by_error if self.is_exchangeable else square,
            "error_cov": square,
        }[kind]

    def array(
        self, kind: str, values: Any, *, factor: FactorLabels | None = None, sample: tuple[str, ...] = ()
    ) -> xr.DataArray:
        """Return values as a labelled array.

        Parameters
        ----------
        kind : str
            See `dims`.
        values : array
            Of the shape of ``sample`` followed by the shape of the kind; a single error standard deviation or
            correlation may keep its dimensions of length one.
        factor : FactorLabels, optional
            See `dims`.
        sample : tuple of str
            Leading dimensions, such as ("chain", "draw").
        """
        import xarray as xr

        dims = sample + self.dims(kind, factor)
        values = np.asarray(values)
        if len(dims) == len(sample):
            values = values.reshape(values.shape[: len(sample)])
        coords = {dim: self.index_variables[dim] for dim in dims if dim in self.index_variables}
        return xr.DataArray(values, dims=dims, coords=coords)


def variable_name(response: str) -> str:
    """Return the name of the response as a variable of a file: netCDF allows no slash."""
    return response.replace("/", " per ")


def factors_attribute(labels: Labels) -> str:
    """Return the names of the grouping factors as one attribute of a file: a JSON list, whatever is in the names."""
    return json.dumps(list(labels.factor_names), ensure_ascii=False)


def factors_of(attrs: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names of the grouping factors from the attributes of a result."""
    return tuple(str(name) for name in json.loads(attrs["factors"]))
