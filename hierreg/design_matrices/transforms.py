"""What the transforms of a formula learn, from tables that are never in memory together.

Means and sums of squares add. The recurrence of orthogonal polynomials of degree d needs the moments up to 2 d, which
the nodes and weights of a Gauss rule with d + 1 nodes hold exactly: each table is reduced to such a rule, and the
polynomials are those of all the nodes. Knots at quantiles, and centred splines, need the values themselves.

References
----------
Golub and Welsch (1969), Mathematics of Computation 23.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, final

import numpy as np

from hierreg.exceptions import DataError, FormulaError
from hierreg.formula.functions import TRANSFORMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Values of one column that may be kept for quantiles: 160 MB.
MOST_VALUES = 20_000_000
_SPLINES = ("bs", "cs", "cr", "cc")


class Learner(ABC):
    """What one transform learns: `see` the values of each table, then ask for the `state`."""

    @abstractmethod
    def see(self, x: Array) -> None:
        """Take in the values (N,) of one table."""

    @abstractmethod
    def unite(self, other: Any) -> None:
        """Take in what another of the same kind has seen."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what was learned, as formulaic keeps it."""


def learner_of(call: str, texts: dict[str, str], shown: str) -> tuple[str, Learner]:
    """Return the argument of a transform's call, and what learns from its values.

    Parameters
    ----------
    call : str
        As formulaic names it in its state, for example "poly(HIERREG_NUMBER_0_, 2)".
    texts : dict alias -> text
    shown : str
        The call as the user wrote it.

    Raises
    ------
    FormulaError
        If the transform of a transform is asked for.
    """
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    argument = node.args[0]
    names = {inner.id for inner in ast.walk(argument) if isinstance(inner, ast.Name)}
    nested = names & (set(TRANSFORMS) - {"I"})
    if nested:
        raise FormulaError(
            f"`{shown}`: a transform of a transform cannot be learned from tables in parts; add a column with the "
            "inner one to the tables."
        )
    given = {name: _literal(value, texts) for name, value in zip(TRANSFORMS[node.func.id], node.args[1:], strict=False)}
    given |= {str(word.arg): _literal(word.value, texts) for word in node.keywords}
    kinds = {"center": _Scale, "scale": _Scale, "standardize": _Scale, "poly": _Polynomial}
    kind = kinds.get(node.func.id, _Spline)
    return ast.unparse(argument), kind(node.func.id, given, shown)


def _literal(node: ast.expr, texts: dict[str, str]) -> Any:
    return texts[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)


@final
class _Scale(Learner):
    """Mean and standard deviation."""

    def __init__(self, name: str, given: dict[str, Any], shown: str) -> None:
        del shown
        self.center = given.get("center", True)
        self.scale = False if name == "center" else given.get("rescale", given.get("scale", True))
        self.ddof = given.get("ddof", 0 if name == "standardize" else 1)
        self.n, self.mean, self.squares = 0, 0.0, 0.0

    def see(self, x: Array) -> None:
        mean = float(x.mean())
        self._add(len(x), mean, float(np.sum((x - mean) ** 2)))

    def unite(self, other: _Scale) -> None:
        self._add(other.n, other.mean, other.squares)

    def _add(self, n: int, mean: float, squares: float) -> None:
        both = self.n + n
        gap = mean - self.mean
        self.squares += squares + gap**2 * self.n * n / both
        self.mean += gap * n / both
        self.n = both

    def state(self) -> dict[str, Any]:
        center = self.mean if self.center is True else None if self.center is False else float(self.center)
        scale: Any = None
        if self.scale is True:
            squares = self.squares + self.n * (self.mean - (center or 0.0)) ** 2
            scale = float(np.sqrt(squares / (self.n - self.ddof)))
        elif self.scale is not False:
            scale = float(self.scale)
        return {"ddof": self.ddof, "center": center, "scale": scale}


@final
class _Polynomial(Learner):
    """The recurrence of orthogonal polynomials."""

    def __init__(self, name: str, given: dict[str, Any], shown: str) -> None:
        del name, shown
        self.degree = int(given.get("degree", 1))
        self.nodes: list[Array] = []
        self.weights: list[Array] = []

    def see(self, x: Array) -> None:
        nodes, weights = _gauss_rule(x, self.degree + 1)
        self.nodes.append(nodes)
        self.weights.append(weights)

    def unite(self, other: _Polynomial) -> None:
        self.nodes += other.nodes
        self.weights += other.weights

    def state(self) -> dict[str, Any]:
        x, w = np.concatenate(self.nodes), np.concatenate(self.weights)
        alpha, norms, _ = _recurrence(x, w, self.degree)
        return {"alpha": dict(enumerate(alpha[: self.degree])), "norms2": dict(enumerate(norms))}


def _recurrence(x: Array, w: Array, degree: int) -> tuple[list[float], list[float], Array]:
    """Return alpha and squared norms of the monic polynomials up to a degree, and the next one's values."""
    before, here = np.zeros_like(x), np.ones_like(x)
    alpha, norms = [], []
    for k in range(degree + 1):
        norm = float(w @ here**2)
        norms.append(norm)
        alpha.append(float(w @ (x * here**2)) / norm if norm > 0 else 0.0)
        beta = norm / norms[k - 1] if k else 0.0
        before, here = here, (x - alpha[k]) * here - beta * before
    return alpha, norms, here


def _gauss_rule(x: Array, m: int) -> tuple[Array, Array]:
    """Return m nodes and weights with the moments of x up to 2 m - 1; the values themselves if they are few."""
    from scipy.linalg import eigh_tridiagonal

    first = np.unique(x[:1000])
    if len(first) <= m:
        values, counts = np.unique(x, return_counts=True)
        if len(values) <= m:
            return values, counts.astype(float)
    low, high = float(x.min()), float(x.max())
    centre, reach = 0.5 * (low + high), 0.5 * (high - low)
    alpha, norms, _ = _recurrence((x - centre) / reach, np.ones(len(x)), m - 1)
    beta = np.sqrt(np.array(norms[1:]) / np.array(norms[:-1]))
    values, vectors = eigh_tridiagonal(np.array(alpha), beta)
    return centre + reach * values, len(x) * vectors[0] ** 2


@final
class _Spline(Learner):
    """Bounds; and the values, where knots or constraints depend on them."""

    def __init__(self, name: str, given: dict[str, Any], shown: str) -> None:
        self.name, self.given, self.shown = name, given, shown
        self.low, self.high = np.inf, -np.inf
        self.n = 0
        needs_values = given.get("df") is not None or isinstance(given.get("constraints"), str)
        self.values: list[Array] | None = [] if needs_values else None

    def see(self, x: Array) -> None:
        self._add(len(x), float(x.min()), float(x.max()))
        if self.values is not None:
            self.values.append(np.array(x))

    def unite(self, other: _Spline) -> None:
        self._add(other.n, other.low, other.high)
        if self.values is not None and other.values is not None:
            self.values += other.values

    def _add(self, n: int, low: float, high: float) -> None:
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.n += n
        if self.values is not None and self.n > MOST_VALUES:
            raise DataError(
                f"`{self.shown}`: knots at quantiles, and constraints='center', need all values of the column in "
                f"memory, and there are more than {MOST_VALUES} rows. Give knots=[...] (for example quantiles of a "
                "sample) in place of df, and no constraints."
            )

    def state(self) -> dict[str, Any]:
        from formulaic import transforms

        low, high = self.given.get("lower_bound"), self.given.get("upper_bound")
        state = {
            "lower_bound": self.low if low is None else float(low),
            "upper_bound": self.high if high is None else float(high),
        }
        inside = np.linspace(state["lower_bound"], state["upper_bound"], 9)
        x = np.concatenate(self.values) if self.values else inside
        try:
            transforms.TRANSFORMS[self.name](x, **self.given, _state=state)
        except ValueError as error:
            raise FormulaError(f"`{self.shown}` cannot be evaluated: {error}") from error
        return state
