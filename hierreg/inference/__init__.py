"""What is asked of point estimates after a fit: comparisons of fits, degrees of freedom, residuals."""

from hierreg.inference.compare import compare_fits
from hierreg.inference.intervals import intervals
from hierreg.inference.residuals import residuals
from hierreg.inference.t_tests import t_tests

__all__ = ["compare_fits", "intervals", "residuals", "t_tests"]
