"""Maximisation of smooth functions of a few parameters: SciPy's BFGS, then Newton steps to the optimum."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Objective = Callable[[Array], tuple[float, Array]]

# Stands in for log p = -inf, which a line search cannot interpolate.
_IMPOSSIBLE = 1e100
# A log density that is rounded more coarsely than this does not say where its maximum is.
_LARGEST_ROUNDING = 1e-4
_MAX_NEWTON = 20
_LAST_STEPS = 3
# Gain of a line search, beside the value, at which Newton steps take over: where a Hessian takes long, later.
_LITTLE_GAIN, _LITTLE_GAIN_COSTLY = 1e-8, 1e-11
# How far from a maximum, in standard errors, a Hessian is as good as one there.
_AS_GOOD_AS_THERE = 2e-4
# Newton decrement, that of a ten-millionth of a standard error, from which no digit is worth a costly evaluation.
_NOTHING = 1e-14
# Iterations where a maximum is known.
_MAX_AGAIN, _MAX_NEWTON_AGAIN = 60, 4
# How far below a maximum, in the units of a log density, and how nearly quadratic, a point has to be to belong to it.
_NEAR, _ALIKE = 1.0, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """Where a search for a maximum ended.

    Attributes
    ----------
    x : array (n,)
    value : float
    gradient : array (n,)
    hessian : array (n, n)
        Of the function itself (negative definite at an interior maximum).
    newton_decrement : float
        Half the squared length of the last Newton step in the metric of the Hessian: about how much the
        value could still grow.
    converged : bool
    n_evaluations : int
    is_precise : bool
        Whether the Hessian is that of the maximum, by central differences.
    """

    x: Array
    value: float
    gradient: Array
    hessian: Array
    newton_decrement: float
    converged: bool
    n_evaluations: int
    is_precise: bool = False


def maximise(  # noqa: PLR0913  # what is known of a function, and how well to do
    function: Objective,
    start: Array,
    *,
    curvature: Array | None = None,
    tolerance: float = 1e-10,
    threads: int = 1,
    with_hessian: bool = False,
    costly: bool = False,
    exact: Callable[[Array, Array], Array | None] | None = None,
    known: Sequence[Optimum] = (),
    newton: bool = True,
    line_searches: bool = True,
    signs: Callable[[Array], Array] | None = None,
) -> Optimum:
    """Return the maximum of a smooth function.

    Parameters
    ----------
    function : callable
        x -> (value, gradient); value -inf where x is impossible.
    start : array (n,)
        Scaled so that steps of order one are sensible.
    curvature : array (n,), optional
        About what minus the second derivatives are near the maximum; ones by default.
    tolerance : float
        Newton decrement, in the units of the function, at which the search ends.
    threads : int
        Evaluations side by side for a Hessian, which changes no result; for functions that release the interpreter.
    with_hessian : bool
        Whether the Hessian is wanted at the maximum itself; otherwise it is that of a point nearby, to four digits.
    costly : bool
        Evaluations take long. Line searches then go on as long as they gain anything, and of a Hessian that is wanted
        at the maximum one at 0.0002 standard errors from it will do.
    exact : callable, optional
        x, gradient -> the Hessian (n, n), or None where it is known by differences alone.
    known : sequence of Optimum
        Maxima found from other starts: a search that comes into the bowl of one ends there, with that maximum, and none
        takes long.
    newton : bool
        Without Newton steps a search ends where line searches end, without a Hessian (NaN), as not converged.
    line_searches : bool
        Whether Newton steps follow those of BFGS; otherwise they begin at the start.
    signs : callable, optional
        x -> signs (n,) of its elements with which the function is the same, and x where `known` has such maxima.
    """
    counter = function if isinstance(function, Counter) else Counter(function)
    before = counter.n
    if len(start) == 0:
        return _of_no_parameters(counter, start)
    stop = _StopsNearby([optimum for optimum in known if optimum.converged], signs or np.ones_like)
    x = _near_the_maximum(counter, start, curvature, stop, costly=costly) if line_searches else start
    if stop.found is not None or not newton:
        return _without_newton(counter, x, stop.found, before)
    value, gradient = counter(x)
    decrement = np.inf
    # Where it is an answer too, the same points serve for both.
    hessian_at = partial(_hessian_at, counter, threads, exact, is_precise=with_hessian)
    H, at = hessian_at(x, gradient), x
    for _ in range(_MAX_NEWTON_AGAIN if known else _MAX_NEWTON):
        step = _ascent_step(H, gradient)
        decrement = 0.5 * float(gradient @ step)
        if decrement < tolerance:
            better = _off_a_saddle(counter, x, value, H, tolerance)
            if better is None:
                steps = 0 if costly and decrement < _NOTHING else 1 if with_hessian else _LAST_STEPS
                better = _last_digits(counter, x, gradient, H, steps)
                if better is not None:
                    x, value, gradient = better
                break
            x, value, gradient = better
        else:
            size, x, value, gradient = _line_search(counter, x, value, gradient, step)
            if size == 0.0:
                break
            if 0.5 * float(gradient @ _ascent_step(H, gradient)) < tolerance:
                continue  # the next step is too short for another Hessian to matter
        H, at = hessian_at(x, gradient), x
    if with_hessian and not _is_as_good(H, at - x, costly=costly):
        H = hessian_at(x, gradient)
    converged = decrement < _small_enough(counter, x, value, gradient, decrement, tolerance)
    return Optimum(
        x=x,
        value=value,
        gradient=gradient,
        hessian=H,
        newton_decrement=decrement,
        converged=bool(converged),
        n_evaluations=counter.n - before,
        is_precise=with_hessian,
    )


def _hessian_at(  # a function, and how its Hessian is found
    counter: Counter,
    threads: int,
    exact: Callable[[Array, Array], Array | None] | None,
    x: Array,
    gradient: Array,
    *,
    is_precise: bool,
) -> Array:
    """Return the exact Hessian where there is one, else that by differences."""
    found = None if exact is None else exact(x, gradient)
    return hessian(counter, x, threads, None if is_precise else gradient) if found is None else found


def _is_as_good(H: Array, step: Array, *, costly: bool) -> bool:
    """Return whether a Hessian a step away from a maximum is that of the maximum, or nearly where it is costly."""
    return not step.any() or (costly and -float(step @ H @ step) < _AS_GOOD_AS_THERE**2)


def _small_enough(  # a point and its value, and what is asked of it
    function: Objective, x: Array, value: float, gradient: Array, decrement: float, tolerance: float
) -> float:
    """Return the Newton decrement at which a search has converged."""
    enough = 10 * max(tolerance, 1e-12 * abs(value))
    if decrement < enough:
        return enough
    # Where the value itself is rounded more coarsely, no search can see further.
    return max(enough, min(10 * _rounding(function, x, value, gradient), _LARGEST_ROUNDING))


def _of_no_parameters(function: Objective, x: Array) -> Optimum:
    value, gradient = function(x)
    return Optimum(
        x=x,
        value=value,
        gradient=gradient,
        hessian=np.empty((0, 0)),
        newton_decrement=0.0,
        converged=True,
        n_evaluations=1,
    )


def _without_newton(counter: Counter, x: Array, found: Optimum | None, before: int) -> Optimum:
    if found is not None:
        return replace(found, n_evaluations=counter.n - before)
    value, gradient = counter(x)
    return Optimum(
        x=x,
        value=value,
        gradient=gradient,
        hessian=np.full((len(x), len(x)), np.nan),
        newton_decrement=np.inf,
        converged=False,
        n_evaluations=counter.n - before,
    )


def _near_the_maximum(
    counter: Counter, start: Array, curvature: Array | None, stop: _StopsNearby, *, costly: bool
) -> Array:
    """Return where line searches end."""
    from scipy.optimize import minimize

    # Near the rounding of a large value a line search finds nothing better, slowly: Newton steps do the rest.
    scale = abs(counter.negative(start)[0])
    near = _LITTLE_GAIN * scale if scale < _IMPOSSIBLE else 0.0
    options: dict[str, Any] = {"gtol": max(1e-5, near), "maxiter": _MAX_AGAIN if stop.known else 500}
    if curvature is not None:
        options["hess_inv0"] = np.diag(1.0 / curvature)
    stop.least_gain = near * _LITTLE_GAIN_COSTLY / _LITTLE_GAIN if costly else near
    result = minimize(counter.negative, start, jac=True, method="BFGS", options=options, callback=stop)
    return np.asarray(result.x, dtype=float)


def with_signs(optimum: Optimum, signs: Array) -> Optimum:
    """Return the same maximum in coordinates of which some have the other sign."""
    hessian = signs[:, None] * optimum.hessian * signs
    return replace(optimum, x=signs * optimum.x, gradient=signs * optimum.gradient, hessian=hessian)


def signs_of_columns(entries: Array, cols: NDArray[np.intp], is_diagonal: NDArray[np.bool_]) -> Array:
    """Return signs (m,) of the free entries of a factor of Sigma with which no diagonal entry is negative.

    The sign of a column is that of its standardised effect, of which nothing depends.
    """
    of_column = np.ones(int(cols.max(initial=-1)) + 1)
    of_column[cols[is_diagonal]] = np.where(entries[is_diagonal] < 0.0, -1.0, 1.0)
    return np.asarray(of_column[cols])


def hessian(function: Objective, x: Array, threads: int = 1, gradient: Array | None = None) -> Array:
    """Return the Hessian by central differences of the gradient, shape (n, n).

    With the gradient at x by differences from that, which are half as many and have four digits: enough for a step.
    """
    h = 1e-4 * np.maximum(1.0, np.abs(x))
    points = [x + sign * step for step in np.diag(h) for sign in ((1.0, -1.0) if gradient is None else (1.0,))]
    if threads > 1:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            gradients = np.array([gradient for _, gradient in pool.map(function, points)])
    else:
        gradients = np.array([function(point)[1] for point in points])
    change = gradients[::2] - gradients[1::2] if gradient is None else 2.0 * (gradients - gradient)
    H: Array = change / (2.0 * h[:, None])
    return 0.5 * (H + H.T)


def _ascent_step(H: Array, gradient: Array) -> Array:
    """Return the Newton step, with directions of wrong or no curvature turned uphill and bounded."""
    if not np.all(np.isfinite(H)):
        return gradient / max(1.0, float(np.linalg.norm(gradient)))
    values, vectors = np.linalg.eigh(-H)
    curvature = np.maximum(np.abs(values), 1e-8 * max(1.0, float(np.abs(values).max())))
    step = vectors @ ((vectors.T @ gradient) / curvature)
    length = float(np.abs(step).max())
    return step if length < 2.0 else step * (2.0 / length)


def _line_search(
    function: Objective, x: Array, value: float, gradient: Array, step: Array
) -> tuple[float, Array, float, Array]:
    size = 1.0
    while size > 1e-6:
        trial = x + size * step
        new_value, new_gradient = function(trial)
        if new_value > value or (new_value == value and np.linalg.norm(new_gradient) < np.linalg.norm(gradient)):
            return size, trial, new_value, new_gradient
        size *= 0.25
    return 0.0, x, value, gradient


def _last_digits(  # a point and what the function is there, and how to go on
    function: Objective, x: Array, gradient: Array, H: Array, steps: int
) -> tuple[Array, float, Array] | None:
    """Return a point and what the function is there, after steps below what the value can show, or None.

    They still gain digits of the position, and more than one does where the Hessian has four.
    """
    found = None
    for _ in range(steps):
        trial = x + _ascent_step(H, gradient)
        trial_value, trial_gradient = function(trial)
        if not np.linalg.norm(trial_gradient) < np.linalg.norm(gradient):
            break
        x, gradient, found = trial, trial_gradient, (trial, trial_value, trial_gradient)
    return found


def _off_a_saddle(
    function: Objective, x: Array, value: float, H: Array, tolerance: float
) -> tuple[Array, float, Array] | None:
    """Return a higher point along upward curvature, or None: a zero column of a factor is stationary."""
    values, vectors = np.linalg.eigh(H)
    if values[-1] < 1e-6 * max(1.0, float(np.abs(values).max())):
        return None
    for size in (1.0, 0.1, 0.01):
        for sign in (1.0, -1.0):
            trial = x + sign * size * vectors[:, -1]
            new_value, new_gradient = function(trial)
            if new_value > value + 10 * tolerance:
                return trial, new_value, new_gradient
    return None


def _rounding(function: Objective, x: Array, value: float, gradient: Array) -> float:
    """Return how far the value jumps about its tangent over steps too small for curvature to show."""
    jumps = []
    for i, size in enumerate((1e-8, -1e-8, 2e-8, -2e-8)):
        step = size * np.roll(np.linspace(0.5, 1.0, len(x)), i)
        jumps.append(abs(function(x + step)[0] - value - float(gradient @ step)))
    return max(jumps)


class _StopsNearby:
    """Ends a search by line searches near a maximum.

    That is at an iteration that gains almost nothing: Newton steps are shorter from there. Or in the bowl of a maximum
    that is known: where the value is what its gradient and Hessian say, and little below it.
    """

    def __init__(self, known: Sequence[Optimum], signs: Callable[[Array], Array]) -> None:
        self.known, self.signs, self.least_gain, self.value = known, signs, 0.0, np.inf
        self.found: Optimum | None = None

    def __call__(self, intermediate_result: Any) -> None:
        gain = self.value - intermediate_result.fun
        self.value = float(intermediate_result.fun)
        x = intermediate_result.x * self.signs(intermediate_result.x)
        self.found = next((one for one in self.known if _is_in_bowl(one, x, -self.value)), None)
        if gain < self.least_gain or self.found is not None:
            raise StopIteration


def _is_in_bowl(optimum: Optimum, x: Array, value: float) -> bool:
    """Return whether a value is that of the quadratic about a maximum, near enough to lead to no other."""
    below = optimum.value - value
    if not -1e-9 * max(1.0, abs(value)) <= below < _NEAR:
        return False
    step = x - optimum.x
    expected = -0.5 * float(step @ optimum.hessian @ step)
    return abs(below - expected) < _ALIKE * max(expected, 0.0) + 1e-9 * max(1.0, abs(value))


class Counter:
    """The function, which counts its evaluations and knows the last one."""

    def __init__(self, function: Objective) -> None:
        self.function, self.n = function, 0
        self.last: tuple[Array, tuple[float, Array]] | None = None

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return the value and the gradient (n,) at x (n,)."""
        last = self.last
        if last is None or not np.array_equal(x, last[0]):
            self.n += 1
            self.last = last = np.array(x), self.function(x)
        return last[1]

    def negative(self, x: Array) -> tuple[float, Array]:
        """Return what is minimised."""
        value, gradient = self(x)
        return (-value, -gradient) if np.isfinite(value) else (_IMPOSSIBLE, np.zeros_like(x))
