"""Errors with a known covariance matrix of all rows; `known_covariance` reads and factors it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from hierreg.errors.base import ErrorLayout, ErrorSpec
from hierreg.errors.known_covariance import BlockCovariance, GivenCovariance, in_order_of_rows, read_covariance

if TYPE_CHECKING:
    from collections.abc import Mapping


@final
@dataclass(frozen=True, slots=True, eq=False)
class KnownCov(ErrorSpec):
    """Errors with a known covariance matrix of all rows, optionally times one unknown factor."""

    kind: ClassVar[str] = "known_cov"
    usage: ClassVar[str] = "hr.known_cov(V)"
    is_known: ClassVar[bool] = True
    no_weights: ClassVar[str] = (
        "the errors are known, and weights with them: give the matrix V / sqrt(weight_i weight_j)"
    )
    no_parts: ClassVar[str] = (
        "a covariance of all rows joins them, so they cannot come in batches. Use "
        "hr.Model(formula, table, errors), or hr.known_se(column) for independent errors."
    )

    given: GivenCovariance
    scale: bool = False

    @property
    def V(self) -> BlockCovariance:  # the symbol
        """The matrix, in the order in which it was given."""
        return self.given.V

    @property
    def known_matrix(self) -> BlockCovariance:
        """Known covariance of all rows, in the order in which it was given."""
        return self.V

    def __str__(self) -> str:
        return f"known_cov(<{self.V.shape[0]} x {self.V.shape[1]} matrix>, scale={self.scale})"

    @property
    def symbols(self) -> str:
        """How errors are distributed, in symbols."""
        return "e ~ N(0, σ^2 V)" if self.scale else "e ~ N(0, V)"

    def bind(self, table: Any) -> ErrorLayout:
        """Return the layout over the rows of a table."""
        return ErrorLayout(
            spec=self,
            n_sd=int(self.scale),
            stratum=np.zeros(len(table), dtype=np.intp),
            V=in_order_of_rows(self.given, table, len(table)),
        )

    def without_data(self) -> str:
        """Return all but the matrix."""
        return f"known_cov(scale={self.scale})"

    def to_json(self) -> dict[str, Any]:
        """Return the size of the matrix alone, of which a file has no numbers."""
        return {"kind": type(self).__name__, "n": self.V.n, "scale": self.scale}

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> KnownCov:
        """Return what `to_json` described; the matrix has no values."""
        nothing = BlockCovariance(n=int(described["n"]), batches=())
        return cls(GivenCovariance(V=nothing), bool(described["scale"]))


def known_cov(V: Any, *, scale: bool = False, labels: str | None = None) -> KnownCov:
    """Return errors with a known covariance matrix.

    The matrix is kept and factored in blocks: sets of rows that it connects, whichever way it is given. Memory is that
    of the blocks and work the sum of their sizes cubed, so that 20,000 rows in blocks of three are a moment; a matrix
    without zeros is one block of all N rows, N^2 numbers and N^3 / 3 operations, once.

    Parameters
    ----------
    V : array_like or table (N, N), sparse matrix (N, N), or list of blocks
        Symmetric positive definite, squared units of the response. One of

        - a matrix, in the order of the table's rows;
        - a pandas or xarray table with labelled rows and columns: matched by label to the index of the data, which must
          be pandas', or to the column that `labels` names. Labels that are not those of the data are an error, never
          a match by position; give ``V.to_numpy()`` for that. The labels 0, 1, 2, ... that pandas gives a table without
          labels are none;
        - a ``scipy.sparse`` matrix or array, in the order of the rows;
        - a list of square blocks (or an array (m, s, s)), rows in order: the rows of the first block, then those of the
          second, and so on. Blocks that are labelled tables are matched by label.
    scale : bool
        Multiply the standard deviations by one unknown factor (estimated as ``error_sd``).
    labels : str, optional
        Column of the data that holds the labels of V's rows, for a labelled V and a table without index (polars,
        pyarrow), or with another one.

    Raises
    ------
    ModelError
        If V is not a finite, symmetric, positive definite matrix. Its correlations are checked, so that rows may have
        different units.

    See Also
    --------
    covariance_from_samples : The matrix, from samples.
    known_se : Known standard errors.
    correlated : Between data sets of one unit.

    Examples
    --------
    >>> import numpy as np
    >>> import hierreg as hr
    >>> print(hr.known_cov([np.eye(2), [[1.0, 0.5], [0.5, 2.0]]]))
    known_cov(<4 x 4 matrix>, scale=False)
    """
    return KnownCov(read_covariance(V, labels), scale)
