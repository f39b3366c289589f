"""Linear functions of coefficients: contrasts, predictions, ranks; from draws, estimates and the equations."""

from hierreg.linear.contrasts import contrasts
from hierreg.linear.effects import comparisons, datagrid, means, slopes
from hierreg.linear.prediction import predict
from hierreg.linear.ranks import ranks

__all__ = ["comparisons", "contrasts", "datagrid", "means", "predict", "ranks", "slopes"]
