"""The Gram basis: the cross-products that carry everything the likelihood needs from the rows."""

from hierreg.gram.basis import Gram
from hierreg.gram.collect import collect
from hierreg.gram.terms import ErrorTerms

__all__ = ["ErrorTerms", "Gram", "collect"]
