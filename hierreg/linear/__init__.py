"""Linear functions of coefficients: contrasts and predictions, from draws, from estimates and from the equations."""

from hierreg.linear.contrasts import contrasts
from hierreg.linear.prediction import predict

__all__ = ["contrasts", "predict"]
