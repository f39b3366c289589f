"""Priors and covariances of a model as PyMC variables, registered in the model that is open."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from hierreg.linalg import lower_factor
from hierreg.priors import LKJ, Fixed
from hierreg.priors.above import log_mass_above

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hierreg.priors import ResolvedPriors

# PyTensor's own annotations are too partial to check against
type Tensor = Any


def add_beta(priors: ResolvedPriors, labels: Sequence[str]) -> Tensor:
    """Register the population coefficients.

    The priors are independent on ``C @ beta`` with C = ``priors.beta_basis``. Where C is not the identity,
    ``beta_at_means = C @ beta`` is the random variable; |det C| = 1, so the density of beta is the same.

    Returns
    -------
    tensor (p,)
    """
    C = np.asarray(priors.beta_basis, dtype=np.float64)
    if np.array_equal(C, np.eye(len(C))):
        return add_vector("beta", priors.beta, labels=labels, dim="coef")
    gamma = add_vector("beta_at_means", priors.beta, labels=labels, dim="coef")
    return pm.Deterministic("beta", pt.as_tensor(np.linalg.inv(C)) @ gamma, dims="coef")


def add_vector(name: str, priors: Sequence[Any], *, labels: Sequence[str], dim: str | None) -> Tensor:
    """Register a vector with one prior per element.

    One random variable where all elements have the same family; else one scalar per element,
    ``<name>_<label>``, and the vector of them.

    Parameters
    ----------
    name : str
    priors : sequence of families or Fixed (n,)
    labels : sequence of str (n,)
    dim : str or None
        Dimension of the vector; None registers a single element as a scalar.

    Returns
    -------
    tensor (n,)
    """
    if dim is None:
        (prior,) = priors
        return pt.stack([_scalar(name, prior, is_named=True)])
    if len({type(prior) for prior in priors}) > 1:
        pairs = zip(priors, labels, strict=True)
        elements = [_scalar(f"{name}_{label}", prior, is_named=False) for prior, label in pairs]
        return pm.Deterministic(name, pt.stack(elements), dims=dim)
    if not priors or isinstance(priors[0], Fixed):
        return pm.Deterministic(name, pt.as_tensor(_parameters(priors).get("value", np.empty(0))), dims=dim)
    return _family(priors[0])(name, **_parameters(priors), dims=dim)


def add_scalar(name: str, prior: Any) -> Tensor:
    """Register one parameter under its name, constant or not."""
    return _scalar(name, prior, is_named=True)


def add_above(name: str, prior: Any, lowest: float) -> Tensor:
    """Register one parameter whose prior is restricted to what is above a bound."""
    excess = pm.HalfFlat(f"{name}_above_{lowest:g}")
    value = pm.Deterministic(name, lowest + excess)
    parameters = {key: own[0] for key, own in _parameters([prior]).items()}
    density: Any = pm.logp(_family(prior).dist(**parameters), value)
    pm.Potential(f"prior_of_{name}", density - log_mass_above(prior, lowest))
    return value


def _scalar(name: str, prior: Any, *, is_named: bool) -> Tensor:
    """Register one parameter; a constant is registered only where it has a name of its own."""
    parameters = {key: value[0] for key, value in _parameters([prior]).items()}
    if not isinstance(prior, Fixed):
        return _family(prior)(name, **parameters)
    constant = pt.as_tensor(parameters["value"])
    return pm.Deterministic(name, constant) if is_named else constant


def _family(prior: Any) -> Any:
    return getattr(pm, type(prior).__name__)


def _parameters(priors: Sequence[Any]) -> dict[str, NDArray[np.float64]]:
    # float64 arrays, not Python floats: PyTensor keeps those in float32 where that is exact, and computes so
    names = [field.name for field in fields(priors[0])] if priors else []
    return {name: np.array([getattr(prior, name) for prior in priors], dtype=np.float64) for name in names}


def add_correlation(
    name: str,
    priors: Sequence[LKJ | Fixed | None],
    sizes: Sequence[int],
    *,
    labels: Sequence[str],
    dims: tuple[str, str],
) -> Tensor:
    """Register a block-diagonal correlation matrix and return its lower Cholesky factor.

    Parameters
    ----------
    name : str
    priors : sequence of LKJ, Fixed or None (blocks,)
        None for a block without correlations.
    sizes : sequence of int (blocks,)
        Summing to n.
    labels : sequence of str (n,)
    dims : pair of str
        Dimensions of the matrix.

    Returns
    -------
    tensor (n, n)
    """
    n = sum(sizes)
    constant = np.zeros((n, n))
    is_free_row = np.zeros(n, dtype=bool)
    pairs: list[tuple[int, int]] = []
    shapes: list[float] = []
    start = 0
    for prior, size in zip(priors, sizes, strict=True):
        block = slice(start, start + size)
        if isinstance(prior, LKJ) and size > 1:
            is_free_row[block] = True
            pairs += [(start + i, start + j) for i in range(size) for j in range(i)]
            shapes += [prior.beta_shape(j, size) for i in range(size) for j in range(i)]
        else:
            constant[block, block] = lower_factor(prior.array) if isinstance(prior, Fixed) else np.eye(size)
        start += size
    L = pt.as_tensor(constant)
    if pairs:
        L = L + _free_factor(name, np.array(pairs), np.array(shapes), is_free_row, labels)
    diagonal = np.arange(n)  # exactly one, so that it is constant in every draw
    pm.Deterministic(name, (L @ L.T)[diagonal, diagonal].set(1.0), dims=dims)
    return L


def _free_factor(
    name: str,
    pairs: NDArray[np.intp],
    shapes: NDArray[np.float64],
    is_free_row: NDArray[np.bool_],
    labels: Sequence[str],
) -> Tensor:
    """Register partial correlations and return the factor of their correlations; other rows are zero."""
    pair_labels = [f"{labels[i]}, {labels[j]}" for i, j in pairs]
    dim = f"{name}_pair"
    pm.modelcontext(None).add_coord(dim, pair_labels)
    v = pm.Beta(f"{name}_partial", shapes, shapes, dims=dim)
    rows, columns = pairs.T
    z = pt.as_tensor(np.diag(is_free_row.astype(float)))[rows, columns].set(2 * v - 1)
    # sqrt(1 - z^2), written so that it keeps its digits near |z| = 1
    rest = pt.as_tensor(np.ones(z.type.shape))[rows, columns].set(2 * pt.sqrt(v * (1 - v)))
    L_columns, left = [], pt.as_tensor(np.ones(len(is_free_row)))
    for j in range(len(is_free_row)):
        L_columns.append(z[:, j] * left)
        left = left * rest[:, j]
    return pt.stack(L_columns, axis=1)
