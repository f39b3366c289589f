"""What is asked about: parameters, contrasts of coefficients, and any function of the posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ModelError
from hierreg.likelihood import solution as joint
from hierreg.linear.given import GroupNames, Names, read_weights

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hierreg.problem.labels import Labels

    Array = NDArray[np.float64]
    type Read = Callable[[xr.Dataset], Mapping[str, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """Functions of a posterior, each of one or several values for each draw.

    Attributes
    ----------
    readers : tuple of functions
        Dataset with the variables of ``tree["posterior"]`` -> values (chain, draw) by name.
    reads_groups : bool
        Whether one of them may read coefficients of groups, which then have to be drawn.
    """

    readers: tuple[Read, ...]
    reads_groups: bool = True

    def read(self, posterior: xr.Dataset, *, is_finite: bool = True) -> dict[str, Array]:
        """Return the values (chain, draw) by name.

        Parameters
        ----------
        posterior : Dataset
        is_finite : bool
            Whether they have to be: draws from a wide prior need not be where those of its posterior are.

        Raises
        ------
        ModelError
            If there are none, two have one name, or a function returns something else.
        """
        out: dict[str, Array] = {}
        for reader in self.readers:
            for name, values in reader(posterior).items():
                if name in out:
                    raise ModelError(f"quantities has two of the name {name!r}: give one of them another name.")
                if is_finite and not np.isfinite(values).all():
                    raise ModelError(f"quantities[{name!r}] is not finite at each draw: finite numbers are required.")
                out[name] = values
        if not out:
            raise ModelError("quantities is empty: name a parameter, or leave it out for all parameters.")
        return out

    def recorder(self) -> tuple[Callable[[xr.Dataset], Array], list[str]]:
        """Return a function from a posterior to the values (chain, draw, Q), and a list that it writes the names to."""
        names: list[str] = []

        def evaluate(posterior: xr.Dataset) -> Array:
            found = self.read(posterior)
            names[:] = list(found)
            return np.stack(list(found.values()), axis=-1)

        return evaluate, names


def read_quantities(what: Any, labels: Labels) -> Quantities:
    """Return what a user asks about.

    Parameters
    ----------
    what : None, str, sequence of str, or dict
        All parameters; names of variables or of their elements; or names with, for each, a function of the posterior,
        weights as `hierreg.contrasts` takes them, or the name of a variable or element.
    labels : Labels
        Of the model.

    Raises
    ------
    ModelError
        If it is something else.
    """
    if what is None:
        return Quantities(readers=(partial(_parameters, labels=labels),), reads_groups=False)
    if isinstance(what, str):
        what = [what]
    if isinstance(what, Mapping):
        return Quantities(
            readers=tuple(_reader(str(name), one, labels) for name, one in what.items()),
            reads_groups=any(_reads_groups(one) for one in what.values()),
        )
    if isinstance(what, Sequence) and all(isinstance(one, str) for one in what):
        return Quantities(
            readers=tuple(partial(_named, wanted=one) for one in what), reads_groups=any(map(_reads_groups, what))
        )
    raise ModelError(
        f"quantities={what!r:.80}: names of parameters are required, such as ['beta', 'sd_Subject[Days]'], or "
        "{name: weights, function or name}."
    )


def _reads_groups(one: Any) -> bool:
    """Return whether a quantity may need coefficients of groups."""
    if isinstance(one, Mapping):
        return not all(isinstance(key, str) for key in one)
    return one.startswith(("b_", "theta_")) if isinstance(one, str) else True


def _reader(name: str, one: Any, labels: Labels) -> Read:
    if isinstance(one, Mapping):
        return partial(_contrast, name=name, weights=one, labels=labels)
    if isinstance(one, str):
        return partial(_renamed, name=name, wanted=one)
    if callable(one):
        return partial(_function, name=name, function=one)
    raise ModelError(
        f"quantities[{name!r}]={one!r:.60}: weights of coefficients are required, as in {{'Intercept': 1, 'Days': 5}}, "
        "a function of the posterior, or the name of a parameter."
    )


def _parameters(posterior: xr.Dataset, labels: Labels) -> dict[str, Array]:
    """Return all elements of variables that have no value for each group or row."""
    of_groups = {"obs", *(factor.dim for factor in labels.factors)}
    variables = [values for values in posterior.data_vars.values() if not of_groups & set(values.dims)]
    return {name: values for variable in variables for name, values in _elements(variable).items()}


def _elements(variable: xr.DataArray) -> dict[str, Array]:
    """Return the elements of a variable by ArviZ's names, as in ``sd_Subject[Days]``."""
    rest = [dim for dim in variable.dims if dim not in {"chain", "draw"}]
    flat = variable.transpose("chain", "draw", *rest).to_numpy()
    if not rest:
        return {str(variable.name): flat}
    flat = flat.reshape(*flat.shape[:2], -1)
    places = product(*(variable[dim].to_numpy().tolist() for dim in rest))
    return {f"{variable.name}[{', '.join(map(str, at))}]": flat[:, :, i] for i, at in enumerate(places)}


def _named(posterior: xr.Dataset, wanted: str) -> dict[str, Array]:
    """Return a variable's elements, or one of them."""
    if wanted in posterior.data_vars:
        return _elements(posterior[wanted])
    variable = wanted.partition("[")[0]
    elements = _elements(posterior[variable]) if variable in posterior.data_vars else {}
    if wanted in elements:
        return {wanted: elements[wanted]}
    known = list(elements) or [str(name) for name in posterior.data_vars]
    raise ModelError(f"quantities names {wanted!r}, which is none of {listed(known)}.{suggestion(wanted, known)}")


def _renamed(posterior: xr.Dataset, name: str, wanted: str) -> dict[str, Array]:
    found = _named(posterior, wanted)
    if len(found) == 1:
        return {name: next(iter(found.values()))}
    return {f"{name}{key.removeprefix(wanted)}": values for key, values in found.items()}


def _contrast(posterior: xr.Dataset, name: str, weights: Any, labels: Labels) -> dict[str, Array]:
    """Return a linear function of coefficients."""
    groups = [
        GroupNames(factor=factor.key, levels=factor.levels.tolist(), coef=[str(one) for one in factor.coef])
        for factor in labels.factors
    ]
    coefs = [str(one) for one in posterior["coef"].to_numpy()]
    _, functions = read_weights({name: weights}, Names(coef=coefs, groups=groups))
    shape = posterior.sizes["chain"], posterior.sizes["draw"]

    def flat(variable: str) -> Array:
        if variable not in posterior:
            raise ModelError(
                f"quantities[{name!r}] has coefficients of groups, but only summaries of them were kept: sample with "
                "group_effects='draws'."
            )
        values = posterior[variable].transpose("chain", "draw", ...).to_numpy()
        return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])

    b = [
        flat(f"b_{factor.key}") if len(own.row) else np.empty((0, 0, 0))
        for factor, own in zip(labels.factors, functions.groups, strict=True)
    ]
    return {name: joint.values(functions, flat("beta"), b)[:, 0].reshape(shape)}


def _function(posterior: xr.Dataset, name: str, function: Callable[[xr.Dataset], Any]) -> dict[str, Array]:
    """Return what a user's function makes of the posterior."""
    import xarray as xr

    found = function(posterior)
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    if isinstance(found, xr.DataArray) and {"chain", "draw"} <= set(found.dims):
        named = _elements(found.rename(name))
    else:
        array = np.asarray(found, dtype=float)
        named = {name: array} if array.shape == shape else {}
    if not named:
        raise ModelError(
            f"quantities[{name!r}] returned {found!r:.60}: a DataArray with the dimensions chain and draw, or an array "
            f"of shape {shape}, is required."
        )
    return named
