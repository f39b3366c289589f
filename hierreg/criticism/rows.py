"""The rows of a model as residuals: of the whole model, and of errors alone.

Residuals of the whole model are P y, from which every score follows (Lange and Ryan 1989 for groups). Residuals of
errors alone take the coefficients of every group as free: they are what no group effect, whatever its distribution, has
part in, so that a fault of the groups cannot look like one of the errors (Hilden-Minton 1995 calls that least
confounded). Both are standardised by their exact variances (Haslett and Hayes 1998). With independent errors what is
made of the latter, scaled, does not depend on any parameter, and comparisons with replicates are exact.

References
----------
Lange and Ryan (1989), The Annals of Statistics 17(2), 624-642; Hilden-Minton (1995), Multilevel Diagnostics for Mixed
and Hierarchical Linear Models, University of California, Los Angeles; Haslett and Hayes (1998), Journal of the Royal
Statistical Society B 60(1), 201-215.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from scipy import sparse
from scipy.linalg import solve_triangular

from hierreg.criticism.projection import Projector, projector
from hierreg.criticism.residuals import Residuals
from hierreg.criticism.values import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hierreg.criticism.point import Point
    from hierreg.design_matrices import FactorDesign

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]

# Variance of group coefficients that stands for free ones, in units of the errors over columns of mean square one.
_FREE = 1e7
# What groups leave of a population column: of the model, and with free coefficients, where rounding is all of less.
_LEAST, _LEAST_FREE = 1e-11, 1e-4
# Of a whitened error of variance one, below which a row has no residual of its own.
_NO_RESIDUAL = 1e-4
# Smallest eigenvalue of a correlation matrix that is none.
_SINGULAR = 1e-9
# Of the rows, degrees of freedom that residuals of errors alone have to have.
_ENOUGH = 0.4
# Of a column, what the model has to leave of it.
_IN_SPAN = 1e-6
_CHUNK = 3_000_000


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows(Residuals):
    """The rows of a model at a point, whitened.

    Attributes
    ----------
    point : Point
    whiten : sparse array (N, N)
        L^-1, with L L' = R.
    y : array (N,)
    X : array (N, p)
        Population columns that are not held at a value.
    Z : tuple of sparse arrays (N, J q)
        Group columns, by factor, orthogonal over all rows: other coefficients of the same groups, for which it does not
        matter where predictors have their zeros.
    model : Projector
        Of the whole model.
    alone : Projector
        Of errors alone; of the whole model where that leaves too few degrees of freedom.
    is_alone : bool
        Whether it does.
    sd : array (N,)
        Standard deviation of each residual of `alone`; zero where a row has none of its own.
    stratum : int array (N,)
        Rows of which residuals are scaled together.
    fitted : array (N,)
        X beta, in units of the response.
    """

    point: Point
    whiten: Any
    y: Array
    X: Array
    Z: tuple[Any, ...]
    model: Projector
    alone: Projector
    is_alone: bool
    sd: Array
    stratum: Index
    fitted: Array

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def has_residual(self) -> NDArray[np.bool_]:
        """Rows that have a residual of their own (N,)."""
        return np.asarray(self.sd > 0)

    @property
    def factors(self) -> tuple[FactorDesign, ...]:
        """The grouping factors."""
        return self.point.problem.design.factors

    @property
    def predicted(self) -> Array:
        """X beta (N,), in units of the response."""
        return self.fitted

    def data(self) -> Sample:
        """Return the residuals of the data."""
        return self.sample(self.y[:, None])

    def direction(self, h: Array) -> Array | None:
        """Return the score of a further column, the coefficients of groups free: over its standard deviation."""
        return self._direction(self.alone, h, self.sd)

    def direction_in_model(self, h: Array) -> Array | None:
        """Return what takes `Sample.marginal` to the score of a further column: over its standard deviation."""
        return self._direction(self.model, h, 1.0)

    def _direction(self, P: Projector, h: Array, sd: Any) -> Array | None:
        white = np.asarray(self.whiten @ (h - h.mean()))
        size, variance = float(white @ white), float(white @ P(white[:, None])[:, 0])
        left = white - self.X @ np.linalg.lstsq(self.X, white, rcond=None)[0] if self.X.shape[1] else white
        if min(variance, float(left @ left)) <= _IN_SPAN * size:
            return None
        return np.asarray(sd * white / np.sqrt(variance))

    def sample(self, y: Array) -> Sample:
        """Return whitened responses (N, b) as residuals."""
        errors, some = self._standardised(self.alone(y)), self.has_residual
        size = np.mean(errors[some] ** 2, axis=0) if some.any() else np.ones(y.shape[1])
        return Sample(marginal=self.model(y), errors=self._scaled(errors), size=size)

    def replicates(self, n: int, seed: int) -> Iterator[Sample]:
        """Yield n responses of the model as residuals, some at a time.

        Population coefficients are zero: no residual depends on them.
        """
        rng, step = np.random.default_rng(seed), max(1, _CHUNK // max(1, self.n))
        for first in range(0, n, step):
            b = min(step, n - first)
            y = rng.standard_normal((self.n, b))
            y += self.model.G @ rng.standard_normal((self.model.G.shape[1], b))
            yield self.sample(y)

    def _standardised(self, residual: Array) -> Array:
        some = self.has_residual
        return np.where(some[:, None], residual / np.where(some, self.sd, 1.0)[:, None], 0.0)

    def _scaled(self, out: Array) -> Array:
        some = self.has_residual
        for d in np.unique(self.stratum):
            own = self.stratum == d
            n = int(np.sum(own & some))
            square = np.sum(out[own] ** 2, axis=0)
            out[own] *= np.sqrt(n / np.where(square > 0, square, 1.0))
        return out


def rows_of(point: Point) -> Rows:
    """Return the rows of a model at a point.

    Raises
    ------
    TooManyColumnsError
        If crossed factors have too many coefficients.
    LinAlgError
        If errors have a singular correlation, or no variance.
    """
    problem, whiten = point.problem, whitening(point)
    design, held = problem.design, problem.fixed
    free = ~held.is_fixed
    own = design.X[:, free]
    y = _without_fit(own, design.y - design.X[:, ~free] @ held.value[~free])
    X = np.asarray(whiten @ own)
    Z, scaled = [], []
    for factor in design.factors:
        Q, R = np.linalg.qr(factor.Z)
        Z.append(sparse.csr_array(whiten @ group_columns(factor, Q)))
        scaled.append(_times(Z[-1], _root(R @ point.cov[factor.name] @ R.T)))
    q = design.factors[0].Z.shape[1] if len(Z) == 1 else 0
    model = projector(X, _beside(scaled, len(y)), q, _LEAST)
    alone = projector(X, _beside([_free(Zf) for Zf in Z], len(y)), q, _LEAST_FREE)
    variance = alone.diagonal()
    is_alone = bool(variance.sum() >= _ENOUGH * len(y))
    if not is_alone:
        alone, variance = model, model.diagonal()
    w = np.asarray(whiten @ y)
    return Rows(
        point=point,
        whiten=whiten,
        y=w,
        X=X,
        Z=tuple(Z),
        model=model,
        alone=alone,
        is_alone=is_alone,
        sd=np.sqrt(np.where(variance > _NO_RESIDUAL, variance, 0.0)),
        stratum=problem.layout.stratum,
        fitted=design.y - y + own @ (model.coef @ (model.B.T @ w)),
    )


def _without_fit(X: Array, y: Array) -> Array:
    """Return y less its least-squares fit: no residual depends on that, and what is left has its own size."""
    if not X.shape[1]:
        return y
    scale = np.sqrt(np.sum(X**2, axis=0))
    return np.asarray(y - X @ (np.linalg.lstsq(X / scale, y, rcond=None)[0] / scale))


def _root(cov: Array) -> Array:
    values, vectors = np.linalg.eigh(cov)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def whitening(point: Point) -> Any:
    """Return L^-1 (N, N), sparse, with L L' the covariance of the errors."""
    rows, columns, values = [], [], []
    for own, block in point.blocks():
        if not np.all((block if block.ndim == 1 else np.diagonal(block)) > 0):
            raise np.linalg.LinAlgError("no variance")
        if block.ndim == 1:
            rows.append(own)
            columns.append(own)
            values.append(1.0 / np.sqrt(block))
            continue
        if point.problem.layout.V is None:
            _check_regular(block)
        root = solve_triangular(np.linalg.cholesky(block), np.eye(len(own)), lower=True)
        i, j = np.tril_indices(len(own))
        rows.append(own[i])
        columns.append(own[j])
        values.append(root[i, j])
    n = len(point.problem.design.y)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_array(entries, shape=(n, n))


def _check_regular(block: Array) -> None:
    sd = np.sqrt(np.diagonal(block))
    if np.linalg.eigvalsh(block / sd[:, None] / sd)[0] < _SINGULAR:
        raise np.linalg.LinAlgError("singular correlation")


def covariance_of_errors(point: Point) -> Any:
    """Return R (N, N), sparse."""
    rows, columns, values = [], [], []
    for own, block in point.blocks():
        full = np.arange(len(own))
        i, j = (full, full) if block.ndim == 1 else (a.ravel() for a in np.indices(block.shape))
        rows.append(own[i])
        columns.append(own[j])
        values.append(block.ravel())
    n = len(point.problem.design.y)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_array(entries, shape=(n, n))


def group_columns(factor: FactorDesign, values: Array | None = None) -> Any:
    """Return the columns of each group, (N, J q) sparse: those of the factor, or others (N, q)."""
    Z = factor.Z if values is None else values
    N, q = Z.shape
    columns = factor.index[:, None] * q + np.arange(q)
    entries = (Z.ravel(), (np.repeat(np.arange(N), q), columns.ravel()))
    return sparse.csr_array(entries, shape=(N, len(factor.levels) * q))


def _times(Z: Any, Lambda: Array) -> Any:
    """Return Z Lambda of each group."""
    J = Z.shape[1] // len(Lambda)
    return sparse.csr_array(Z @ sparse.kron(sparse.eye_array(J), Lambda, format="csr"))


def _free(Z: Any) -> Any:
    """Return group columns scaled such that the groups' coefficients are free."""
    norm = np.sqrt(np.asarray(Z.multiply(Z).sum(axis=0)).ravel())
    return sparse.csr_array(Z * (np.sqrt(_FREE) / np.where(norm > 0, norm, 1.0))[None, :])


def _beside(columns: list[Any], n: int) -> Any:
    return sparse.csr_array(sparse.hstack(columns)) if columns else sparse.csr_array((n, 0))
