"""Arguments of `covariance_from_samples`, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.checks import check_choice, listed
from hierreg.exceptions import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

LEDOIT_WOLF = "ledoit-wolf"


def checked_samples(samples: Any) -> Array:
    """Return samples as a matrix (n_samples, N) of finite numbers, of which every column varies."""
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


def checked_shrinkage(shrinkage: Any) -> float | None:
    """Return the weight of the target; None where it is to be estimated."""
    if shrinkage is None:
        return 0.0
    if isinstance(shrinkage, str) and shrinkage == LEDOIT_WOLF:
        return None
    is_number = isinstance(shrinkage, (int, float, np.integer, np.floating)) and not isinstance(shrinkage, bool)
    if not is_number or not 0.0 <= float(shrinkage) <= 1.0:
        raise ModelError(f"shrinkage={shrinkage!r} must be None, {LEDOIT_WOLF!r} or a number from 0 to 1.")
    return float(shrinkage)


def whole_number(name: str, value: Any, *, least: int, most: int | None = None) -> int:
    """Return an argument that has to be a whole number."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        up_to = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ModelError(f"{name}={value!r} must be a whole number, {up_to}.")
    return int(value)


def number_independent(kind: Any, n_independent: Any, rows: int) -> int:
    """Return the number of independent samples or configurations."""
    if kind is not None:
        check_choice(kind, ("samples", "bootstrap", "jackknife"), argument="kind", error=ModelError)
    if n_independent is None:
        if kind == "bootstrap":
            raise ModelError(
                f"n_independent is missing: of how many independent configurations are the {rows} bootstrap samples? "
                "However many are drawn, they know no more of the covariance than those: give n_independent=."
            )
        return rows
    n = whole_number("n_independent", n_independent, least=2)
    if kind == "jackknife" and n != rows:
        raise ModelError(
            f"n_independent={n}, but samples has {rows} jackknife replicates: there is one for each configuration or "
            "block that is left out. Leave n_independent out, or give all replicates."
        )
    if kind in {None, "samples"} and n > rows:
        raise ModelError(
            f"n_independent={n}, but there are only {rows} samples. If they are bootstrap samples of {n} "
            "configurations, say kind='bootstrap'."
        )
    return n


def checked_pairs(pairs: Any, N: int, *, is_shrunk: bool) -> Index:
    """Return pairs of positions (m, 2)."""
    if pairs is None:
        return np.empty((0, 2), dtype=np.intp)
    couples = np.asarray(pairs)
    if couples.ndim != 2 or couples.shape[1] != 2 or couples.dtype.kind not in "iu":
        raise ModelError(f"pairs={pairs!r} must be pairs of positions of values: [(0, 10), (1, 11), ...].")
    if couples.min() < 0 or couples.max() >= N or len(np.unique(couples)) < couples.size:
        raise ModelError(f"pairs={pairs!r}: positions are from 0 to {N - 1}, and each occurs once.")
    if not is_shrunk:
        raise ModelError(
            "pairs are given, but no shrinkage: without it every covariance stays as it is. Leave pairs out."
        )
    return couples.astype(np.intp)


def check_rank(z: Array, n: int, *, is_shrunk: bool) -> None:
    """Raise where the samples span fewer directions than so many independent ones would."""
    rank = int(np.linalg.matrix_rank(z))
    if rank >= min(n - 1, *(size - (i == 0) for i, size in enumerate(z.shape))):
        return
    if is_shrunk or rank + 1 < z.shape[1]:
        few = f"they come from at most {rank + 1} independent samples or configurations: give n_independent={rank + 1}"
    else:
        few = "some of them are sums of others"
    raise ModelError(
        f"samples has {len(z)} samples of {z.shape[1]} values, but they span only {rank} directions where "
        f"{n} independent ones span {min(n - 1, z.shape[1])}: {few}; or values are exact combinations of other values, "
        "which then have to be left out."
    )
