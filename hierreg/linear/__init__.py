"""Linear functions of coefficients: contrasts, predictions, ranks; from draws, estimates and the equations.

And what residuals say of rows, which are such functions too.
"""

from hierreg.linear.contrasts import contrasts
from hierreg.linear.effects import comparisons, datagrid, means, slopes
from hierreg.linear.prediction import predict
from hierreg.linear.ranks import ranks
from hierreg.linear.row_weights import row_weights

__all__ = ["comparisons", "contrasts", "datagrid", "means", "predict", "ranks", "row_weights", "slopes"]
