"""Groups whose coefficients are theta_j = K beta + b_j, in the layout that `theta_kernels` reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierreg.compiled.lanes import STRIP
from hierreg.likelihood.groups.equal_groups import ROUNDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.likelihood.groups.tiles import Blocks

    Array = NDArray[np.float64]
    Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThetaStrips:
    """Groups with Z'X = Z'Z K, STRIP of them at a time, all groups of a strip with one term.

    X = Z K in every group has that, and so has any X that cannot be told from it by these products.

    Attributes
    ----------
    term : int array (n_strips,)
        Whose omega the products of a strip are multiplied by.
    products : array (n_strips, 2, STRIP) for q = 1, (n_strips, 9, STRIP) for q = 2
        Of each group, with [C d] the triangle of Z and y: c, d; or c00, c01, c11, the last element of C'C, C'd (2),
        adj(C) d (2) and d'd. Zero where there is no group.
    K : array (q, p)
    """

    term: Index
    products: Array
    K: Array

    @property
    def arrays(self) -> tuple[Index, Array, Array]:
        """The arrays in the order of `record.ThetaRecord`."""
        return self.term, self.products, self.K


def theta_strips(blocks: Blocks, n_rows: int) -> ThetaStrips | None:
    """Return the groups in strips, or None where their coefficients are not K beta + b_j, or they have several terms.

    Parameters
    ----------
    blocks : Blocks
        One group of one or two coefficients each, factored.
    n_rows : int
        Rows of all of them.
    """
    if not len(blocks.block):
        return None
    K = _population_in_groups(blocks, n_rows)
    if K is None:
        return None
    counts = np.bincount(blocks.term)
    strips_of_term = -(-counts // STRIP)
    first = np.cumsum(strips_of_term) - strips_of_term
    order = np.argsort(blocks.term, kind="stable")
    within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    strip = np.repeat(first, counts) + within // STRIP
    rows = _rows(blocks.ZtZ[order], blocks.ZtW[order, :, -1])
    products = np.zeros((int(strips_of_term.sum()), len(rows), STRIP))
    products[strip, :, within % STRIP] = np.column_stack(rows)
    return ThetaStrips(term=np.repeat(np.arange(len(counts)), strips_of_term), products=products, K=K)


def _population_in_groups(blocks: Blocks, n_rows: int) -> Array | None:
    """Return K (q, p) with Z'X = Z'Z K in every group, up to rounding; None where there is no such matrix.

    Rounding is that of sums in another order (see `equal_groups`), relative to the root mean square of a column where a
    group's own values are smaller: they were centred.
    """
    turned = np.swapaxes(blocks.ZtZ, 1, 2)
    A, B = turned @ blocks.ZtZ, turned @ blocks.ZtW[:, :, :-1]
    whole = A.sum(axis=0)
    K = np.linalg.lstsq(whole, B.sum(axis=0), rcond=None)[0]
    root = np.sqrt(np.abs(np.diagonal(A, axis1=1, axis2=2)) + np.abs(np.diagonal(whole)) / n_rows)
    size = root[:, :, None] * (root @ np.abs(K))[:, None, :]
    return K if np.all(np.abs(B - A @ K) <= ROUNDING * size) else None


def _rows(C: Array, d: Array) -> list[Array]:
    if C.shape[1] == 1:
        return [C[:, 0, 0], d[:, 0]]
    c00, c01, c11, d0, d1 = C[:, 0, 0], C[:, 0, 1], C[:, 1, 1], d[:, 0], d[:, 1]
    of_Z = [c00, c01, c11, c01 * c01 + c11 * c11]
    return [*of_Z, c00 * d0, c01 * d0 + c11 * d1, c11 * d0 - c01 * d1, c00 * d1, d0 * d0 + d1 * d1]
