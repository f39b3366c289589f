"""Names, dimensions and coordinates of everything that is reported.

Square matrices have two dimensions, the second ending in ``_col``. A dimension is called like the column of the table
that its labels come from, unless something else in a result has that name: then underscores are appended
(`result_dims`). Files allow no slash: in names of variables and dimensions it becomes " per ".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

# Dimensions of draws, which belong to ArviZ.
DRAWS = ("chain", "draw")
# What else the groups of a tree that have groups or strata, and the reports made of them, call their own.
_OWN = {
    *("coef", "coef_col", "quantile", "beta", "beta_cov", "criterion", "error_sd", "error_corr", "error_cov"),
    *("error_patterns", "error_pattern_counts", "error_pattern", "error_label", "error_component"),
    *("group_patterns", "group_error_pattern", "group_error_component"),
    *("group_component_stratum", "group_component_size", "error_gaps", "group_error_gaps"),
    *("no_pooling", "no_pooling_se", "plug_in", "plug_in_sd", "mean", "sd", "lower", "upper", "mcse", "sd_ratio"),
    *("gap_in_sd", "gap_in_mcse", "weight", "weight_sd", "population", "population_plug_in", "pooling_factor"),
    "population_column_means",
    *("rows", "rows_mean", "rows_cov", "rows_error", "row_part"),
    *("expected_rank", "rank_sd", "integer_rank", "prob_best", "percentile", "prob_above"),
}
_OF_FACTOR = (
    *("b", "theta", "sd", "corr", "cov", "b_cov", "b_cond_cov", "theta_cov", "no_pooling", "no_pooling_cov"),
    *("group_index", "group_term", "group_ZtZ", "entry", "column_means", "column_means_by_error", "rows_second"),
)
_OF_SUMMARY = ("mean", "sd", "quantiles")


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
    own_dim : str
        Dimension of the groups, where it is not called like the factor.
    """

    name: str
    levels: NDArray[Any]
    coef: tuple[str, ...]
    theta_columns: tuple[int | None, ...]
    has_corr: bool
    own_dim: str = ""

    @property
    def key(self) -> str:
        """The factor in names of variables."""
        return variable_name(self.name)

    @property
    def dim(self) -> str:
        """Dimension of the groups."""
        return self.own_dim or self.key

    @property
    def coef_dim(self) -> str:
        """Dimension of the group columns."""
        return f"{self.dim}_coef"

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
    has_corr_by_stratum : bool
        Whether the error correlations are within units, one for each stratum, rather than between data sets: of
        exchangeable errors, and of AR(1) ones.
    has_common_error_sd : bool
        Whether all strata have one error standard deviation.
    error_corr_name : str
        What their correlation is called, where "corr" does not say it (`ErrorSpec.corr_name`).
    """

    response: str
    coef: tuple[str, ...]
    factors: tuple[FactorLabels, ...]
    error_dim: str | None
    error_labels: tuple[Any, ...]
    n_error_sd: int
    has_error_corr: bool
    has_corr_by_stratum: bool = False
    has_common_error_sd: bool = False
    error_corr_name: str = ""

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
            out[factor.dim] = factor.levels
            out[factor.coef_dim] = list(factor.coef)
            out[f"{factor.coef_dim}_col"] = list(factor.coef)
        if self.error_dim is not None:
            # Where the data set is also a grouping factor, its levels as they are.
            labels = out.get(self.error_dim, list(self.error_labels))
            out[self.error_dim] = labels
            out[f"{self.error_dim}_col"] = labels
        return out

    @cached_property
    def _indexed(self) -> xr.Coordinates:
        import xarray as xr

        return xr.Coordinates(self.coords)

    def coordinates(self, dims: Sequence[str]) -> xr.Coordinates:
        """Return those of some dimensions; their indexes are built once for the dozens of arrays of one result."""
        import xarray as xr

        mine = [dim for dim in dims if dim in self._indexed]
        variables, indexes = self._indexed.variables, self._indexed.xindexes
        return xr.Coordinates({dim: variables[dim] for dim in mine}, {dim: indexes[dim] for dim in mine})

    def dims(self, kind: str, factor: FactorLabels | None = None) -> tuple[str, ...]:
        """Return the dimensions of one kind of quantity.

        Parameters
        ----------
        kind : str
            "beta", "beta_cov", "sd", "cov", "b", "b_cov", "error_sd", "error_corr", "error_cov" or "beta_b_cov".
        factor : FactorLabels, optional
            Of what belongs to a grouping factor: "sd", "cov", "b", "b_cov" and "beta_b_cov".
        """
        coef, group = (factor.coef_dim, factor.dim) if factor is not None else ("", "")
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
            "error_corr": by_error if self.has_corr_by_stratum else square,
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
        return xr.DataArray(values, dims=dims, coords=self.coordinates(dims))


def variable_name(name: str) -> str:
    """Return a name of the user's as that of a variable of a file: netCDF allows no slash.

    Examples
    --------
    >>> variable_name("km/h")
    'km per h'
    """
    return name.replace("/", " per ")


def response_variable(response: str) -> str:
    """Return the name of the response as a variable of a tree, which is none of the dimensions beside it.

    Examples
    --------
    >>> response_variable("y"), response_variable("obs")
    ('y', 'obs_')
    """
    name = variable_name(response)
    return f"{name}_" if name in {*DRAWS, "obs", "unit"} else name


def result_dims(columns: Sequence[str], factors: Sequence[str], further: Sequence[str] = ()) -> dict[str, str]:
    """Return the dimension of each column that labels results: its own name, or that with underscores.

    Parameters
    ----------
    columns : sequence of str
        Grouping factors, and the column of data sets or strata.
    factors : sequence of str
        The grouping factors among them.
    further : sequence of str
        Variables and dimensions of a family of responses.

    Examples
    --------
    >>> result_dims(["school", "beta", "sd_school"], ["school", "beta"])
    {'school': 'school', 'beta': 'beta_', 'sd_school': 'sd_school_'}
    """
    taken = {*DRAWS, *_OWN, *further, *(name for factor in factors for name in variables_of(factor))}
    out: dict[str, str] = {}
    for column in columns:
        dim = variable_name(column)
        while taken & (own := {dim, f"{dim}_coef", f"{dim}_coef_col", f"{dim}_coef_pair", f"{dim}_col", f"{dim}_pair"}):
            dim += "_"
        taken |= own
        out[column] = dim
    return out


def variables_of(factor: str) -> tuple[str, ...]:
    """Return what variables of results that belong to a grouping factor are called."""
    key = variable_name(factor)
    summaries = (f"{name}_{key}_{what}" for name in ("b", "theta") for what in _OF_SUMMARY)
    return (*(f"{name}_{key}" for name in _OF_FACTOR), *summaries)


def factors_attribute(labels: Labels) -> str:
    """Return the names of the grouping factors as one attribute of a file: a JSON list, whatever is in the names."""
    return json.dumps([factor.key for factor in labels.factors], ensure_ascii=False)


def factors_of(attrs: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names of the grouping factors from the attributes of a result."""
    return tuple(str(name) for name in json.loads(attrs["factors"]))
