"""The Gram basis: the cross-products that carry everything the likelihood needs from the rows."""

from hierreg.gram.basis import CrossProducts, Gram, GroupProducts
from hierreg.gram.collect import collect
from hierreg.gram.terms import ErrorTerms

__all__ = ["CrossProducts", "ErrorTerms", "Gram", "GroupProducts", "collect"]
