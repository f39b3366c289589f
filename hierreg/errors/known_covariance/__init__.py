"""A covariance matrix of all rows that the user knows: how it is given, kept in blocks, and factored."""

from hierreg.errors.known_covariance.given import GivenCovariance, in_order_of_rows, read_covariance
from hierreg.errors.known_covariance.labelled import has_labels, in_order, values_and_labels
from hierreg.errors.known_covariance.value import BlockCovariance, BlocksOfSize, from_entries, from_matrix, solve_lower

__all__ = [
    "BlockCovariance",
    "BlocksOfSize",
    "GivenCovariance",
    "from_entries",
    "from_matrix",
    "has_labels",
    "in_order",
    "in_order_of_rows",
    "read_covariance",
    "solve_lower",
    "values_and_labels",
]
