"""Reports: a DataTree in, a Dataset out that prints as a table; no sampler, and a saved file is enough."""

from hierreg.reports.correlation import correlations
from hierreg.reports.r2 import r2
from hierreg.reports.shrinkage import shrinkage
from hierreg.reports.side_by_side import table
from hierreg.reports.summary import summary

__all__ = ["correlations", "r2", "shrinkage", "summary", "table"]
