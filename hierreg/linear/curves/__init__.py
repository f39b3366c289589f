"""Expected values as a function of one predictor: the numbers of `hierreg.plots.lines`."""

from hierreg.linear.curves.axes import By, XAxis
from hierreg.linear.curves.curves import Asked, Curve, Curves, Points, curves_of
from hierreg.linear.curves.source import Source, source_of

__all__ = ["Asked", "By", "Curve", "Curves", "Points", "Source", "XAxis", "curves_of", "source_of"]
