"""Covariance matrices estimated from samples, bootstrap or jackknife replicates, for `hierreg.known_cov`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hierreg.checks import check_choice, listed
from hierreg.exceptions import HierregWarning, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]
    Kind = Literal["samples", "bootstrap", "jackknife"]

_LEDOIT_WOLF = "ledoit-wolf"
_SAMPLES_PER_VALUE = 10
_WORST_CONDITION = 1e10
# How much wider shrinkage may make the difference of two values before it is said.
_WIDER = 1.5
_DEGREES_OF_Z = 3  # the variance of Fisher's z is 1 / (n - 3)


def covariance_from_samples(  # noqa: PLR0913  # every argument but the first has a default
    samples: ArrayLike,
    shrinkage: float | Literal["ledoit-wolf"] | None = None,
    *,
    kind: Kind | None = None,
    n_independent: int | None = None,
    n_coef: int | None = None,
    correct: bool = True,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> NDArray[np.float64]:
    """Return the covariance matrix of N estimated values from samples of all of them.

    For a regression on values whose errors are correlated, over one or several data sets: stack the values of all
    data sets in the order of the table's rows, and each sample in the same order, then
    ``errors=hr.known_cov(hr.covariance_from_samples(samples, kind=...))``. It is always the covariance of the *values
    in the table* that is returned, so what a sample is has to be said:

    - "samples": each row is an independent repetition of all values, from a simulation of the whole experiment, say.
      (Of independent measurements whose averages are the values, this is the covariance of one measurement: divide it
      by their number.)
    - "bootstrap": each row is the values computed from `n_independent` configurations drawn with replacement. The
      covariance of the rows is multiplied by n / (n - 1), n configurations, which makes that of means unbiased.
    - "jackknife": row i is the values computed without configuration (or block) i; the covariance of the rows is
      multiplied by (n - 1)^2 / n.

    **Few samples.** What counts is the number of independent samples, n, however many bootstrap samples are drawn. The
    inverse of the sample covariance, and with it chi-square, is too large by the factor (n - 1) / (n - N - 2) on
    average, and standard errors come out too small. `hr.known_cov` takes V as known, so the correction belongs in V:
    it is multiplied by that factor, and its inverse and chi-square are right on average. Coefficients of a fit scatter
    more than that says, since V is noisy; with `n_coef` = p the factor is
    (n - 1) (n - 2) / [(n - 1 - N + p) (n - 2 - N + p)] in its place, and the covariance of p population coefficients of
    a fit without groups is right on average (chi-square is then too small). Their intervals have the tails of a t
    distribution with n - 1 - N + p degrees of freedom, which a Gaussian with any V has not: with 30 samples of 20
    values 93 % of 95 % intervals cover, without any correction 53 %. With n <= N + 2 no correction exists.

    **Shrinkage** towards uncorrelated values, ``(1 - shrinkage) S + shrinkage diag(S)``, makes any number of samples
    usable at the price of a bias; no factor for few samples is applied then. It must not be used as it stands for two
    data sets that are to be compared: their common part cancels in the difference, and with a correlation of 0.99 a
    weight of 0.1 makes the standard deviation of a difference three times too large. Name the `pairs`: sums and
    differences of each pair are then shrunk, separately, and the covariance of the two values of a pair stays exactly
    as it is. Of two data sets of ten points that correlate to 0.99, in simulations with 15 to 60 samples, standard
    errors of the difference of slopes were 1.8 to 6 times too large without pairs, and 0.7 to 1.0 of the truth with.

    Parameters
    ----------
    samples : array_like (n_samples, N)
        One sample per row.
    shrinkage : None, "ledoit-wolf" or float
        None for the sample covariance; a number from 0 to 1; or the value that minimises the expected squared error of
        the correlation matrix (of the standardised samples, for `n_independent` of them).
    kind : {"samples", "bootstrap", "jackknife"}, optional
        What a row is. Without it rows are taken as independent samples, with a warning.
    n_independent : int, optional
        Number of independent samples or configurations; required for "bootstrap". For "samples" the number of rows,
        unless they are correlated with one another.
    n_coef : int, optional
        Number of population coefficients that will be fitted to the values.
    correct : bool
        Whether to multiply by the factor for few samples.
    pairs : sequence of (int, int), optional
        Positions of values that belong together in two data sets; for shrinkage.

    Returns
    -------
    array (N, N)

    Raises
    ------
    ModelError
        If the samples are no matrix of finite numbers, a value never varies, there are too few independent samples for
        an invertible matrix, or arguments do not fit.

    Warns
    -----
    HierregWarning
        Where `kind` is not said; of samples that repeat one another; of fewer than ten independent samples per value;
        of a shrinkage that widens differences of values; and of an ill-conditioned matrix.

    References
    ----------
    Hartlap, Simon and Schneider (2007), Astronomy & Astrophysics 464, 399-404 (the inverse); Dodelson and Schneider
    (2013), Physical Review D 88, 063537 (the scatter of the coefficients); Sellentin and Heavens (2016), Monthly
    Notices of the Royal Astronomical Society 456, L132-L136 (the tails); Efron and Tibshirani (1993), An Introduction
    to the Bootstrap, chapters 6 and 11; Ledoit and Wolf (2004), Journal of Multivariate Analysis 88(2), 365-411.

    Examples
    --------
    >>> import numpy as np
    >>> samples = np.random.default_rng(1).normal(size=(500, 3)) @ np.array([[1, 0.9, 0], [0, 0.5, 0], [0, 0, 2]])
    >>> V = covariance_from_samples(samples, kind="samples")
    >>> V.shape, bool(V[0, 1] > 0.5)
    ((3, 3), True)
    """
    x = _checked(samples)
    rows, N = x.shape
    weight = _checked_shrinkage(shrinkage)
    is_shrunk = weight != 0.0
    p = None if n_coef is None else _whole("n_coef", n_coef, least=0, most=N)
    n = _independent(kind, n_independent, rows)
    couples = _checked_pairs(pairs, N, is_shrunk=is_shrunk)
    sd = x.std(axis=0, ddof=1)
    z = (x - x.mean(axis=0)) / sd
    _check_rank(z, n, is_shrunk=is_shrunk)
    factor = {"bootstrap": n / (n - 1), "jackknife": (n - 1) ** 2 / n}.get(kind or "samples", 1.0)
    sample_corr = z.T @ z / (rows - 1)
    if is_shrunk:
        corr = _shrunk(z, weight, rows / n, couples)
    else:
        corr = sample_corr
        if n <= N or rows <= N:
            raise _too_few(min(n, rows), N)
        # Bootstrap samples are few independent samples of a distribution that few configurations make.
        for number in (n, rows) if kind == "bootstrap" else (n,):
            factor *= _correction(number, N, p) if correct else 1.0
    corr = 0.5 * (corr + corr.T)
    np.fill_diagonal(corr, 1.0)
    _warn_of_kind(kind, x)
    if is_shrunk:
        _warn_of_shrinkage(sample_corr, corr, n, has_pairs=len(couples) > 0)
    else:
        _warn_of_few(min(n, rows), N, p, correct=correct)
    _warn_of_condition(corr)
    return np.asarray(factor * sd[:, None] * corr * sd)


# ---- arguments


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


def _whole(name: str, value: Any, *, least: int, most: int | None = None) -> int:
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        up_to = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ModelError(f"{name}={value!r} must be a whole number, {up_to}.")
    return int(value)


def _independent(kind: Any, n_independent: Any, rows: int) -> int:
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
    n = _whole("n_independent", n_independent, least=2)
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


def _checked_pairs(pairs: Any, N: int, *, is_shrunk: bool) -> Index:
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


def _check_rank(z: Array, n: int, *, is_shrunk: bool) -> None:
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


# ---- estimates


def _too_few(n: int, N: int) -> ModelError:
    return ModelError(
        f"samples has {n} independent samples of {N} values; more samples than values are required for a covariance "
        f"matrix that can be inverted, and {_SAMPLES_PER_VALUE * N} for a good one. Draw more samples, use fewer "
        "values, or shrink: shrinkage='ledoit-wolf', with pairs= where two data sets are compared."
    )


def _correction(n: int, N: int, p: int | None) -> float:
    """Return the factor for few samples."""
    left = n - N - 2 if p is None else n - 2 - N + p
    if left <= 0:
        raise ModelError(
            f"{n} independent samples of {N} values are too few: the inverse of their covariance has no mean, so no "
            f"factor corrects it; {N + 3} are the least, and {_SAMPLES_PER_VALUE * N} are good. Draw more samples, use "
            "fewer values, or shrink: shrinkage='ledoit-wolf', with pairs= where two data sets are compared."
        )
    return (n - 1) / left if p is None else (n - 1) * (n - 2) / ((left + 1) * left)


def _shrunk(z: Array, weight: float | None, rows_per_sample: float, pairs: Index) -> Array:
    """Return shrunk correlations (N, N) of standardised samples.

    In the coordinates t = (sums and differences of pairs, all else), standardised, with D^2 = 1 - shrinkage of the
    group that a coordinate is in, C becomes D C D + 1 - D^2: positive definite, the diagonal and so the two variances
    and the covariance of each pair as they were.
    """
    first, second = pairs.T
    t = z.copy()
    t[:, first], t[:, second] = (z[:, first] + z[:, second]) / np.sqrt(2), (z[:, first] - z[:, second]) / np.sqrt(2)
    scale = t.std(axis=0, ddof=1)
    same = np.flatnonzero(~(scale > 1e-12))
    if len(same):
        raise ModelError(
            f"pairs: sum or difference of two standardised values never varies (values {listed(same.tolist())}), so "
            "they are one value. Leave one of the two out."
        )
    t /= scale
    is_difference = np.zeros(z.shape[1], dtype=bool)
    is_difference[second] = True
    D = np.empty(z.shape[1])
    for group in (is_difference, ~is_difference):
        if np.any(group):
            w = _ledoit_wolf(t[:, group], rows_per_sample) if weight is None else weight
            D[group] = np.sqrt(1.0 - w)
    C = D[:, None] * (t.T @ t / (len(t) - 1)) * D
    np.fill_diagonal(C, 1.0)
    C = scale[:, None] * C * scale
    turn = np.eye(z.shape[1])
    turn[first, first], turn[first, second] = np.sqrt(0.5), np.sqrt(0.5)
    turn[second, first], turn[second, second] = np.sqrt(0.5), -np.sqrt(0.5)
    return np.asarray(turn.T @ C @ turn)


def _ledoit_wolf(z: Array, rows_per_sample: float) -> float:
    """Return the weight of the target for standardised samples; noise is that of the independent ones among them."""
    n, N = z.shape
    S = z.T @ z / n
    mean = float(np.trace(S)) / N
    square = float(np.sum(S**2))
    noise = (float(np.sum((z**2).T @ z**2)) / n - square) / n * rows_per_sample
    distance = square - N * mean**2
    return min(noise, distance) / distance if noise > 0 and distance > 0 else 0.0


# ---- what is said


def _say(text: str) -> None:
    warnings.warn(text, HierregWarning, stacklevel=4)


def _warn_of_kind(kind: Kind | None, x: Array) -> None:
    if kind is None:
        _say(
            f"the {len(x)} rows of samples are taken as independent repetitions of all values. If they are bootstrap "
            "samples, their number says nothing of how well the covariance is known: give kind='bootstrap', "
            "n_independent= the number of configurations; jackknife replicates need a factor: kind='jackknife'. "
            "kind='samples' confirms that they are independent."
        )
    if kind != "bootstrap":
        distinct = len(np.unique(x, axis=0))
        if distinct < len(x):
            _say(
                f"samples has {len(x)} rows, of which only {distinct} differ: rows that occur more than once are not "
                f"independent. Leave repeats out, or say how many are independent: n_independent={distinct}, or fewer."
            )


def _warn_of_few(n: int, N: int, p: int | None, *, correct: bool) -> None:
    if n >= _SAMPLES_PER_VALUE * N:
        return
    if not correct:
        factor = f"the factor {(n - 1) / (n - N - 2):.3g}" if n > N + 2 else "an unbounded factor"
        _say(
            f"samples has {n} independent samples of {N} values, fewer than {_SAMPLES_PER_VALUE} per value: on average "
            f"the inverse of their covariance, and chi-square, is too large by {factor}, and errors come out too "
            "small. Draw more samples, use fewer values, or let it be corrected: correct=True."
        )
    elif p is None:
        scatter = np.sqrt(_correction(n, N, 1) / _correction(n, N, None)) if n > N + 2 else np.inf
        _say(
            f"samples has {n} independent samples of {N} values, fewer than {_SAMPLES_PER_VALUE} per value. Chi-square "
            f"is corrected for that, but coefficients scatter more than their standard errors say, by up to "
            f"{scatter:.2f}: give n_coef= the number of coefficients, draw more samples, or use fewer values."
        )


def _warn_of_shrinkage(before: Array, after: Array, n: int, *, has_pairs: bool) -> None:
    """Warn of differences of two values that shrinkage makes wider than chance allows (Fisher's z, three errors)."""
    if has_pairs or len(before) == 1 or n <= _DEGREES_OF_Z:
        return
    i, j = np.triu_indices(len(before), k=1)
    rho = np.clip(before[i, j], -1.0 + np.finfo(float).eps, 1.0 - np.finfo(float).eps)
    least = np.tanh(np.arctanh(rho) - 3.0 / np.sqrt(n - _DEGREES_OF_Z))
    wider = np.sqrt((1.0 - after[i, j]) / (1.0 - rho))
    wider[(1.0 - after[i, j]) / (1.0 - least) < _WIDER**2] = 0.0
    worst = int(wider.argmax())
    if wider[worst] > 0:
        _say(
            f"shrinkage makes the standard deviation of the difference of the standardised values {i[worst]} and "
            f"{j[worst]}, whose correlation is {before[i[worst], j[worst]]:.4g}, {wider[worst]:.2g} times too large "
            f"({int(np.sum(wider > 0))} differences by more than {_WIDER}, chance allowed for). Where values of two "
            "data sets are compared, name them, pairs=[(i, j), ...], so that their common part stays exact; or draw "
            "more samples."
        )


def _warn_of_condition(corr: Array) -> None:
    condition = float(np.linalg.cond(corr))
    if condition > _WORST_CONDITION:
        _say(
            f"the correlation matrix of the samples has the condition number {condition:.2g}: some combinations of "
            "values have next to no error, and a fit will trust them fully. Leave out values that repeat one another, "
            "or shrink: shrinkage='ledoit-wolf' or a small number."
        )
