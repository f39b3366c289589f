"""Linear functions of coefficients: contrasts and predictions, from draws, from estimates and from the equations.

And what residuals say of rows, which are such functions too.
"""

from hierreg.linear.contrasts import contrasts
from hierreg.linear.prediction import predict
from hierreg.linear.row_weights import row_weights

__all__ = ["contrasts", "predict", "row_weights"]
