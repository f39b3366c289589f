"""Expected values as a function of one predictor: the numbers of `hierreg.plots.lines`."""

from hierreg.linear.curves.axes import XAxis, axes_of
from hierreg.linear.curves.by import By
from hierreg.linear.curves.curves import Asked, Curve, Curves, curves_of
from hierreg.linear.curves.points import Points
from hierreg.linear.curves.source import Source, source_of

__all__ = ["Asked", "By", "Curve", "Curves", "Points", "Source", "XAxis", "axes_of", "curves_of", "source_of"]
