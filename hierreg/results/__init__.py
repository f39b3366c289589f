"""Results: names, dimensions and groups of the DataTree, labelled point results, saving and loading."""

from hierreg.results.files import load, save

__all__ = ["load", "save"]
