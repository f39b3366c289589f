"""Model criticism: what the data say against a model, in words, with remedies."""

from hierreg.criticism.public import check

__all__ = ["check"]
