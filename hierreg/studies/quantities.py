"""What a calibration compares: names of scalars, and their values in draws of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.exceptions import ModelError
from hierreg.likelihood import solution as joint
from hierreg.linear.given import GroupNames, Names, read_weights
from hierreg.predictive.densities import log_densities
from hierreg.predictive.of_family import row_log_likelihood
from hierreg.predictive.rows import draws_of
from hierreg.problem.family import FamilyProblem
from hierreg.reports.draws import evenly

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.likelihood.solution import LinearFunctions
    from hierreg.problem.problem import Problem

    type Array = NDArray[np.float64]
    type Given = Mapping[str, Callable[[xr.Dataset], Any] | Mapping[Any, float]]

# Functions of others, or one for each group or row.
_LEFT_OUT = ("theta_", "weight_", "probability_", "component_probability_", "mu")
LOG_LIKELIHOOD = "log likelihood"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """Elements of one variable of a posterior.

    Attributes
    ----------
    variable : str
    names : tuple of str
    kind : str
    places : int array (n,)
        In the variable, flat, without chain and draw.
    """

    variable: str
    names: tuple[str, ...]
    kind: str
    places: NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """Everything that is compared.

    Attributes
    ----------
    elements : tuple of Elements
    functions : dict name -> function
        Of a ``posterior`` group, one value for each draw.
    contrasts : (names, LinearFunctions) or None
    """

    elements: tuple[Elements, ...]
    functions: Mapping[str, Callable[[xr.Dataset], Any]]
    contrasts: tuple[tuple[str, ...], LinearFunctions] | None

    @property
    def names(self) -> list[tuple[str, str]]:
        """Name and kind of each."""
        own = [(name, one.kind) for one in self.elements for name in one.names]
        given = [*self.functions, *(self.contrasts[0] if self.contrasts else ())]
        return [*own, (LOG_LIKELIHOOD, "density"), *((name, "given") for name in given)]

    def values(self, posterior: xr.Dataset, problem: Problem | FamilyProblem) -> Array:
        """Return the values (chain, draw, Q) in a ``posterior`` or ``prior`` group.

        Raises
        ------
        ModelError
            If a function of the user's does not return one value for each draw.
        """
        shape = posterior.sizes["chain"], posterior.sizes["draw"]
        columns = [_flat(posterior, one.variable)[..., one.places] for one in self.elements]
        columns.append(_log_likelihood(posterior, problem).reshape(*shape, 1))
        for name, function in self.functions.items():
            columns.append(_of_function(name, function, posterior)[..., None])
        if self.contrasts is not None:
            columns.append(_of_contrasts(self.contrasts[1], posterior, problem))
        return np.concatenate(columns, axis=2)


def _flat(posterior: xr.Dataset, name: str) -> Array:
    values = posterior[name].transpose("chain", "draw", ...).to_numpy()
    return np.asarray(values, dtype=np.float64).reshape(*values.shape[:2], -1)


def _log_likelihood(posterior: xr.Dataset, problem: Problem | FamilyProblem) -> Array:
    if isinstance(problem, FamilyProblem):
        (values,) = row_log_likelihood(problem, posterior).data_vars.values()
        return np.asarray(values.sum("obs").transpose("chain", "draw").to_numpy())
    return log_densities(problem, draws_of(posterior, problem), "all")


def _of_function(name: str, function: Callable[[xr.Dataset], Any], posterior: xr.Dataset) -> Array:
    import xarray as xr

    found, wanted = function(posterior), (posterior.sizes["chain"], posterior.sizes["draw"])
    if isinstance(found, xr.DataArray) and {"chain", "draw"} == set(found.dims):
        return np.asarray(found.transpose("chain", "draw").to_numpy(), dtype=np.float64)
    shape = found.dims if isinstance(found, xr.DataArray) else np.shape(found)
    if shape != wanted:
        raise ModelError(
            f"quantities[{name!r}] returned {type(found).__name__} with {shape}; a function of the posterior (Dataset) "
            "has to return one number for each draw: a DataArray over chain and draw."
        )
    return np.asarray(found, dtype=np.float64)


def _of_contrasts(functions: LinearFunctions, posterior: xr.Dataset, problem: Problem | FamilyProblem) -> Array:
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    beta = _flat(posterior, "beta").reshape(shape[0] * shape[1], -1)
    b = [
        posterior[f"b_{f.key}"].transpose("chain", "draw", ...).to_numpy().reshape(len(beta), len(f.levels), -1)
        for f in problem.labels.factors
    ]
    return joint.values(functions, beta, b).reshape(*shape, -1)


def quantities_of(problem: Problem | FamilyProblem, truths: xr.Dataset, given: Given | None, groups: int) -> Quantities:
    """Return what is compared: all parameters that vary, coefficients of some groups, and what the user asks for.

    Parameters
    ----------
    problem : Problem
    truths : Dataset
        Several draws of the parameters, which tell the ones that are fixed.
    given : dict, optional
        Functions of a posterior, and contrasts.
    groups : int
        Groups of each factor, evenly spaced.

    Raises
    ------
    ModelError
        If `given` is malformed.
    """
    found = []
    for name, variable in truths.data_vars.items():
        if not str(name).startswith(_LEFT_OUT):
            one = _elements(str(name), variable, problem, groups)
            varies = np.ptp(_flat(truths, str(name))[..., one.places], axis=(0, 1)) > 0
            kept = tuple(label for label, is_free in zip(one.names, varies, strict=True) if is_free)
            found.append(Elements(variable=one.variable, names=kept, kind=one.kind, places=one.places[varies]))
    functions, contrasts = _given(problem, given)
    out = Quantities(elements=tuple(found), functions=functions, contrasts=contrasts)
    names = [name for name, _ in out.names]
    for name in functions.keys() | set(contrasts[0] if contrasts else ()):
        if names.count(name) > 1:
            raise ModelError(f"quantities has {name!r}, which is the name of a parameter; choose another.")
    return out


def _elements(name: str, variable: xr.DataArray, problem: Problem | FamilyProblem, groups: int) -> Elements:
    dims = [dim for dim in variable.dims if dim not in {"chain", "draw"}]
    shape = [variable.sizes[dim] for dim in dims]
    places = np.arange(int(np.prod(shape)), dtype=np.intp).reshape(shape)
    kind = "coefficient" if name == "beta" else "variance"
    if name in {f"b_{factor.key}" for factor in problem.labels.factors}:
        kind, places = "group", places[evenly(shape[0], groups)]
    elif len(dims) > 1 and str(dims[-1]) == f"{dims[-2]}_col":
        rows, cols = np.tril_indices(shape[-1], -1)
        places = places[..., rows, cols]
    flat = places.ravel()
    labels = [_label(variable, dims, np.unravel_index(int(place), shape) if shape else ()) for place in flat]
    names = tuple(f"{name}[{label}]" if label else name for label in labels)
    return Elements(variable=name, names=names, kind=kind, places=flat)


def _label(variable: xr.DataArray, dims: list[Hashable], at: tuple[Any, ...]) -> str:
    return ", ".join(
        str(variable.coords[dim].values[i] if dim in variable.coords else i) for dim, i in zip(dims, at, strict=True)
    )


def _given(
    problem: Problem | FamilyProblem, given: Given | None
) -> tuple[dict[str, Callable[[xr.Dataset], Any]], tuple[tuple[str, ...], LinearFunctions] | None]:
    if given is None:
        return {}, None
    if not isinstance(given, Mapping) or not all(callable(one) or isinstance(one, Mapping) for one in given.values()):
        raise ModelError(
            f"quantities={given!r:.80}: a dictionary is required, of functions of a posterior (Dataset), and of "
            "contrasts as hr.contrasts takes them, {name: {coefficient: weight}}."
        )
    functions = {str(name): one for name, one in given.items() if callable(one)}
    weights = {name: one for name, one in given.items() if not callable(one)}
    if not weights:
        return functions, None
    labels = problem.labels
    groups = [GroupNames(factor=f.key, levels=list(f.levels), coef=f.coef) for f in labels.factors]
    names, linear = read_weights(weights, Names(coef=labels.coef, groups=groups))
    return functions, (tuple(names), linear)
