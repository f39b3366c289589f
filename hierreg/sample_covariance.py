"""Covariance matrices estimated from bootstrap or Monte-Carlo samples, for `hierreg.known_cov`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import listed
from hierreg.exceptions import HierregWarning, ModelError
from hierreg.warning import warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_LEDOIT_WOLF = "ledoit-wolf"
_SAMPLES_PER_VALUE = 10
_WORST_CONDITION = 1e10


def covariance_from_samples(
    samples: ArrayLike, shrinkage: float | Literal["ledoit-wolf"] | None = None
) -> NDArray[np.float64]:
    """Return the covariance matrix of N values from samples of all of them.

    For a regression on values whose errors are correlated, over one or several data sets: stack the values of all
    data sets in the order of the table's rows, and each bootstrap sample in the same order, then
    ``errors=hr.known_cov(hr.covariance_from_samples(samples))``. Bootstrap samples have the covariance of the values
    themselves; for independent measurements whose averages are the values, divide the result by their number.

    Too few samples make the inverse, and with it chi-square, too large by the factor (n - 1) / (n - N - 2) on average,
    and errors too small; no matrix at all can be inverted from n <= N samples. Shrinkage towards uncorrelated values
    repairs both at the price of a bias: ``(1 - shrinkage) S + shrinkage diag(S)``, so variances stay as they are and
    the units of the values do not matter.

    Parameters
    ----------
    samples : array_like (n_samples, N)
        One sample per row; the samples independent of one another.
    shrinkage : None, "ledoit-wolf" or float
        None for the sample covariance; a number from 0 to 1; or the value that minimises the expected squared error of
        the correlation matrix (of the standardised samples; needs scikit-learn, the extra ``shrinkage``).

    Returns
    -------
    array (N, N)
        With the divisor n - 1.

    Raises
    ------
    ModelError
        If the samples are no matrix of finite numbers, a value never varies, or there are too few samples for an
        invertible matrix.
    ImportError
        If "ledoit-wolf" is asked for and scikit-learn is not installed.

    Warns
    -----
    HierregWarning
        Of fewer than ten samples per value without shrinkage, and of an ill-conditioned matrix.

    References
    ----------
    Ledoit and Wolf (2004), Journal of Multivariate Analysis 88(2), 365-411; Hartlap, Simon and Schneider (2007),
    Astronomy & Astrophysics 464, 399-404 (the factor).

    Examples
    --------
    >>> import numpy as np
    >>> samples = np.random.default_rng(1).normal(size=(500, 3)) @ np.array([[1, 0.9, 0], [0, 0.5, 0], [0, 0, 2]])
    >>> V = covariance_from_samples(samples)
    >>> V.shape, bool(V[0, 1] > 0.5)
    ((3, 3), True)
    """
    x = _checked(samples)
    n, N = x.shape
    weight = _checked_shrinkage(shrinkage)
    if weight == 0.0 and n <= N:
        raise ModelError(
            f"samples has {n} samples of {N} values; more samples than values are required for a covariance matrix "
            f"that can be inverted, and {_SAMPLES_PER_VALUE * N} for a good one. Draw more samples, use fewer values, "
            "or shrink: shrinkage='ledoit-wolf'."
        )
    centred = x - x.mean(axis=0)
    sd = np.sqrt(np.sum(centred**2, axis=0) / (n - 1))
    z = centred / sd
    corr = z.T @ z / (n - 1)
    if weight is None:
        weight = _ledoit_wolf(z)
    corr = (1.0 - weight) * corr
    np.fill_diagonal(corr, 1.0)
    _warn(n, N, weight, corr)
    return np.asarray(sd[:, None] * (0.5 * (corr + corr.T)) * sd)


def _checked(samples: Any) -> Array:
    try:
        x = np.asarray(samples, dtype=float)
    except (TypeError, ValueError):
        raise ModelError("samples is not a matrix of numbers; (n_samples, N) is required.") from None
    if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] == 0:
        raise ModelError(f"samples has shape {x.shape}; (n_samples, N) with at least two samples is required.")
    if not np.all(np.isfinite(x)):
        where = np.argwhere(~np.isfinite(x))[0].tolist()
        raise ModelError(f"samples has values that are not finite (first at {where}).")
    still = np.flatnonzero(np.ptp(x, axis=0) == 0)
    if len(still):
        raise ModelError(
            f"samples has {len(still)} columns that never vary ({listed(still.tolist())}): a value without error has "
            "no place in a covariance matrix. Leave it out of samples and table."
        )
    return x


def _checked_shrinkage(shrinkage: Any) -> float | None:
    """Return the weight of the target; None where it is to be estimated."""
    if shrinkage is None:
        return 0.0
    if isinstance(shrinkage, str) and shrinkage == _LEDOIT_WOLF:
        return None
    is_number = isinstance(shrinkage, (int, float, np.integer, np.floating)) and not isinstance(shrinkage, bool)
    if not is_number or not 0.0 <= float(shrinkage) <= 1.0:
        raise ModelError(f"shrinkage={shrinkage!r} must be None, {_LEDOIT_WOLF!r} or a number from 0 to 1.")
    return float(shrinkage)


def _ledoit_wolf(z: Array) -> float:
    try:
        from sklearn.covariance import ledoit_wolf_shrinkage
    except ImportError as error:
        raise ImportError(
            "shrinkage='ledoit-wolf' needs scikit-learn, which is not installed: pip install 'hierreg[shrinkage]', or "
            "give a number, such as shrinkage=0.1."
        ) from error
    return float(ledoit_wolf_shrinkage(z, assume_centered=True))


def _warn(n: int, N: int, weight: float, corr: Array) -> None:
    if weight == 0.0 and n < _SAMPLES_PER_VALUE * N:
        factor = f"the factor {(n - 1) / (n - N - 2):.3g}" if n > N + 2 else "an unbounded factor"
        warn(
            f"samples has {n} samples of {N} values, fewer than {_SAMPLES_PER_VALUE} per value: on average the inverse "
            f"of their covariance, and chi-square, is too large by {factor}, and errors come out too small. Draw more "
            "samples, use fewer values, or shrink: shrinkage='ledoit-wolf'.",
            HierregWarning,
            stacklevel=3,
        )
    condition = float(np.linalg.cond(corr))
    if condition > _WORST_CONDITION:
        warn(
            f"the correlation matrix of the samples has the condition number {condition:.2g}: some combinations of "
            "values have next to no error, and a fit will trust them fully. Leave out values that repeat one another, "
            "or shrink: shrinkage='ledoit-wolf' or a small number.",
            HierregWarning,
            stacklevel=3,
        )
