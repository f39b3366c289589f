"""Reports: a DataTree in, a Dataset out that prints as a table; no sampler, and a saved file is enough."""

from hierreg.reports.contrast import contrasts
from hierreg.reports.correlation import correlations
from hierreg.reports.prediction import predict
from hierreg.reports.shrinkage import shrinkage
from hierreg.reports.summary import summary

__all__ = ["contrasts", "correlations", "predict", "shrinkage", "summary"]
