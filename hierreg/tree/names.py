"""Names, dimensions and coordinates of everything that is reported.

Square matrices have two dimensions, the second ending in ``_col``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the parameters of a model are called.

    Attributes
    ----------
    response : str
    coef : tuple of str
        The p population coefficients.
    factor : str or None
        Grouping factor.
    levels : array (J,)
        Its groups.
    factor_coef : tuple of str
        Its q columns.
    theta_columns : tuple of (int or None), length q
        Population column with the same label as each group column.
    has_corr : bool
        Whether group columns can be correlated.
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
    factor: str | None
    levels: NDArray[Any]
    factor_coef: tuple[str, ...]
    theta_columns: tuple[int | None, ...]
    has_corr: bool
    error_dim: str | None
    error_labels: tuple[Any, ...]
    n_error_sd: int
    has_error_corr: bool
    is_exchangeable: bool = False
    has_common_error_sd: bool = False

    @property
    def factor_coef_dim(self) -> str:
        """Dimension of the group columns."""
        return f"{self.factor}_coef"

    @property
    def has_theta(self) -> bool:
        """Whether some group column is also a population column."""
        return any(column is not None for column in self.theta_columns)

    @property
    def coords(self) -> dict[str, Any]:
        """Coordinates of every dimension."""
        out: dict[str, Any] = {"coef": list(self.coef), "coef_col": list(self.coef)}
        if self.factor is not None:
            out[self.factor] = self.levels
            out[self.factor_coef_dim] = list(self.factor_coef)
            out[f"{self.factor_coef_dim}_col"] = list(self.factor_coef)
        if self.error_dim is not None:
            labels = self.levels if self.error_dim == self.factor else list(self.error_labels)
            out[self.error_dim] = labels
            out[f"{self.error_dim}_col"] = labels
        return out

    def dims(self, kind: str) -> tuple[str, ...]:
        """Return the dimensions of one kind of quantity.

        Parameters
        ----------
        kind : str
            "beta", "beta_cov", "sd", "cov", "b", "b_cov", "error_sd", "error_corr", "error_cov" or "beta_b_cov".
        """
        coef, group, error = self.factor_coef_dim, str(self.factor), self.error_dim
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

    def array(self, kind: str, values: Any, *, sample: tuple[str, ...] = ()) -> xr.DataArray:
        """Return values as a labelled array.

        Parameters
        ----------
        kind : str
            See `dims`.
        values : array
            Of the shape of ``sample`` followed by the shape of the kind; a single error standard deviation or
            correlation may keep its dimensions of length one.
        sample : tuple of str
            Leading dimensions, such as ("chain", "draw").
        """
        import xarray as xr

        dims = sample + self.dims(kind)
        values = np.asarray(values)
        if len(dims) == len(sample):
            values = values.reshape(values.shape[: len(sample)])
        coords = {dim: self.coords[dim] for dim in dims if dim in self.coords}
        return xr.DataArray(values, dims=dims, coords=coords)


def variable_name(response: str) -> str:
    """Return the name of the response as a variable of a file: netCDF allows no slash."""
    return response.replace("/", " per ")
