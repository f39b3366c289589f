"""The LKJ prior of a correlation matrix, and values that are not estimated (`Fixed`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from hierreg.exceptions import PriorError
from hierreg.priors.families import FIXED, FloatArray, Prior, Size

_MATRIX_TOLERANCE = 1e-8


@final
@dataclass(frozen=True, slots=True)
class LKJ(Prior):
    """The LKJ distribution of a correlation matrix: density proportional to det(corr)^(eta - 1).

    `eta` = 1 is uniform over all correlation matrices; larger values favour small correlations. In
    canonical partial correlations z[i, j], j < i, of the C-vine the distribution is a product: (z[i, j] +
    1) / 2 ~ Beta(b, b) with b = eta + (D - 2 - j) / 2 for a (D, D) matrix and 0-based j.

    See Also
    --------
    Priors : Where priors are given.
    Fixed : A correlation that is known.

    References
    ----------
    Lewandowski, D., Kurowicka, D. and Joe, H. (2009). Generating random correlation matrices based on vines
    and extended onion method. Journal of Multivariate Analysis 100(9), 1989-2001.

    Examples
    --------
    >>> import numpy as np
    >>> import hierreg as hr
    >>> round(float(hr.LKJ(1).log_density(np.eye(2))), 4)  # uniform over (-1, 1)
    -0.6931
    """

    eta: float
    positive: ClassVar[tuple[str, ...]] = ("eta",)

    def log_density(self, corr: ArrayLike) -> FloatArray:
        """Normalised log density with respect to the entries below the diagonal.

        Parameters
        ----------
        corr : (..., D, D)
            Correlation matrices; minus infinity is returned where one is not positive definite.

        Returns
        -------
        array (...)
        """
        corr = np.asarray(corr, dtype=np.float64)
        smallest = np.linalg.eigvalsh(corr)[..., 0]
        log_det = np.linalg.slogdet(np.where((smallest > 0)[..., None, None], corr, np.eye(corr.shape[-1])))[1]
        return np.where(smallest > 0, (self.eta - 1) * log_det - self.log_constant(corr.shape[-1]), -np.inf)

    def log_constant(self, dim: int) -> float:
        """Log of the integral of det(corr)^(eta - 1) over the correlation matrices of size `dim`."""
        total = 0.0
        for j in range(dim - 1):
            b = self.beta_shape(j, dim)
            total += (dim - 1 - j) * ((2 * b - 1) * math.log(2) + 2 * math.lgamma(b) - math.lgamma(2 * b))
        return total

    def beta_shape(self, j: int, dim: int) -> float:
        """Shape b of the symmetric beta distribution of the partial correlations in column `j` (0-based)."""
        return self.eta + (dim - 2 - j) / 2

    def draw(self, rng: np.random.Generator, size: Size, dim: int) -> FloatArray:
        """Independent correlation matrices, by the vine method.

        Returns
        -------
        array, size + (dim, dim)
        """
        shape = (size,) if isinstance(size, int) else tuple(size)
        z = np.zeros((*shape, dim, dim))
        for j in range(dim - 1):
            b = self.beta_shape(j, dim)
            z[..., j + 1 :, j] = 2 * rng.beta(b, b, (*shape, dim - 1 - j)) - 1
        return correlation_from_partials(z)

    def log_density_within_units(self, rho: ArrayLike, lowest: float) -> FloatArray:
        """Normalised log density of the one correlation of exchangeable errors: beta(eta, eta) over (lowest, 1).

        Parameters
        ----------
        rho : (...)
        lowest : float
            -1 / (n - 1) for units of up to n rows; -1 for pairs, where this is the density of the (2, 2) matrix.

        Returns
        -------
        array (...)
        """
        rho = np.asarray(rho, dtype=np.float64)
        inside = (rho > lowest) & (rho < 1)
        x = np.where(inside, rho, 0.5 * (1 + lowest))
        constant = (2 * self.eta - 1) * math.log(1 - lowest) + 2 * math.lgamma(self.eta) - math.lgamma(2 * self.eta)
        return np.where(inside, (self.eta - 1) * (np.log(x - lowest) + np.log(1 - x)) - constant, -np.inf)

    def draw_within_units(self, rng: np.random.Generator, size: Size, lowest: float) -> FloatArray:
        """Independent correlations of exchangeable errors."""
        return np.asarray(lowest + (1 - lowest) * rng.beta(self.eta, self.eta, size))


@final
@dataclass(frozen=True, slots=True)
class Fixed:
    """A known value in place of a prior: a number for a coefficient or an sd, a matrix for a correlation.

    Parameters
    ----------
    value : float or (D, D) array-like
        A matrix must be symmetric and positive semidefinite with ones on the diagonal; it is stored as
        nested tuples, so that two `Fixed` with the same numbers are equal.

    See Also
    --------
    Priors : Where priors are given.
    Model.solve : The mixed-model equations at covariances that are known.

    Examples
    --------
    >>> import hierreg as hr
    >>> print(hr.Priors(error_sd=hr.Fixed(25.6)))
    Priors(error_sd=Fixed(value=25.6))
    """

    value: float | tuple[tuple[float, ...], ...]
    code: ClassVar[int] = FIXED

    def __init__(self, value: float | Sequence[Sequence[float]] | FloatArray) -> None:
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise PriorError(f"Fixed({value!r}): value must be a number or a square matrix of numbers") from None
        if isinstance(value, bool | str) or array.ndim not in (0, 2):
            raise PriorError(f"Fixed({value!r}): value must be a number or a square matrix of numbers")
        if not np.isfinite(array).all():
            raise PriorError(f"Fixed({value!r}): value must be finite")
        if array.ndim == 2:
            array = _checked_correlation(array)
        stored = float(array) if array.ndim == 0 else tuple(tuple(float(entry) for entry in row) for row in array)
        object.__setattr__(self, "value", stored)

    @property
    def is_matrix(self) -> bool:
        """Whether the value is a correlation matrix."""
        return isinstance(self.value, tuple)

    @property
    def array(self) -> FloatArray:
        """The value as an array, () or (D, D)."""
        return np.asarray(self.value, dtype=np.float64)

    @property
    def parameters(self) -> tuple[float, float]:
        """The number and 0.0, as a family has them for the compiled kernels."""
        if isinstance(self.value, tuple):
            raise PriorError(f"{self} is a correlation matrix: an sd or a coefficient is fixed with one number")
        return self.value, 0.0

    def __str__(self) -> str:
        if not isinstance(self.value, tuple):
            return f"Fixed({self.value:.5g})"
        rows = (", ".join(f"{entry:.3g}" for entry in row) for row in self.value)
        return f"Fixed([{', '.join(f'[{row}]' for row in rows)}])"


def correlation_from_partials(z: FloatArray) -> FloatArray:
    """Correlation matrices from canonical partial correlations.

    Parameters
    ----------
    z : (..., D, D)
        z[..., i, j], j < i: partial correlation of i and j given 0 .. j-1. Other entries are not read.

    Returns
    -------
    array (..., D, D)
    """
    dim = z.shape[-1]
    L = np.zeros_like(z)
    for i in range(dim):
        left = np.ones(z.shape[:-2])  # squared length of row i not yet used by the columns before j
        for j in range(i):
            L[..., i, j] = z[..., i, j] * np.sqrt(left)
            left = left * (1 - z[..., i, j] ** 2)
        L[..., i, i] = np.sqrt(left)
    corr = L @ np.swapaxes(L, -1, -2)
    corr[..., np.arange(dim), np.arange(dim)] = 1.0
    return corr


def _checked_correlation(corr: FloatArray) -> FloatArray:
    rows, columns = corr.shape
    if rows != columns or rows == 0:
        raise PriorError(f"Fixed(value of shape {corr.shape}): a correlation matrix must be square")
    if np.abs(corr - corr.T).max() > _MATRIX_TOLERANCE:
        i, j = np.unravel_index(np.abs(corr - corr.T).argmax(), corr.shape)
        raise PriorError(
            f"Fixed(value): a correlation matrix must be symmetric, but entry ({i}, {j}) is {corr[i, j]:.6g}"
            f" and ({j}, {i}) is {corr[j, i]:.6g}"
        )
    diagonal = np.diag(corr)
    if np.abs(diagonal - 1).max() > _MATRIX_TOLERANCE:
        worst = int(np.abs(diagonal - 1).argmax())
        raise PriorError(
            f"Fixed(value): a correlation matrix must have ones on its diagonal, but entry"
            f" ({worst}, {worst}) is {diagonal[worst]:.6g}; fix the standard deviations separately with sd="
        )
    smallest = float(np.linalg.eigvalsh(corr)[0])
    if smallest < -_MATRIX_TOLERANCE:
        raise PriorError(
            f"Fixed(value): a correlation matrix must be positive semidefinite,"
            f" but its smallest eigenvalue is {smallest:.6g}"
        )
    symmetric = (corr + corr.T) / 2
    np.fill_diagonal(symmetric, 1.0)
    return symmetric
