"""What is asked of point estimates after a fit: comparisons of fits, degrees of freedom, residuals."""

from hierreg.inference.compare import compare_fits
from hierreg.inference.residuals import residuals

__all__ = ["compare_fits", "residuals"]
