"""Results: names, dimensions and groups of the DataTree, labelled point results, saving and loading."""

from hierreg.results.files import load, save
from hierreg.results.pairs import correlation_matrices
from hierreg.results.parameters import parameters

__all__ = ["correlation_matrices", "load", "parameters", "save"]
