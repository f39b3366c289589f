"""Arrays of groups, from the rows of their records in a table (numba)."""

from __future__ import annotations

import numpy as np

from hierreg.compiled.address_kernels import matrix_at, stack_at, tensor_at, vector_at
from hierreg.compiled.parts import part


@part
def theta_at(table, rows):
    """Return the arrays of a `record.ThetaRecord`."""
    return (
        vector_at(table, rows.term, np.int64),
        stack_at(table, rows.products),
        matrix_at(table, rows.K, np.float64),
    )


@part
def tiles_at(table, rows):
    """Return the arrays of a `record.TilesRecord`."""
    return (
        vector_at(table, rows.indptr, np.int64),
        vector_at(table, rows.term, np.int64),
        tensor_at(table, rows.ZtZ),
        tensor_at(table, rows.ZtW),
        matrix_at(table, rows.weight, np.float64),
        vector_at(table, rows.factored, np.bool_),
    )


@part
def row_tiles_at(table, rows):
    """Return the arrays of a `record.RowTilesRecord`."""
    return (
        vector_at(table, rows.indptr, np.int64),
        vector_at(table, rows.term, np.int64),
        vector_at(table, rows.size, np.int64),
        vector_at(table, rows.height, np.int64),
        tensor_at(table, rows.S),
        tensor_at(table, rows.W),
        tensor_at(table, rows.basis),
        stack_at(table, rows.is_left),
        tensor_at(table, rows.fit),
    )
