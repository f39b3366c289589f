"""Every error and warning that hierreg raises on purpose.

All errors derive from `HierregError`, so that ``except hr.exceptions.HierregError`` catches them all.
Those that bad input causes also derive from `ValueError`, so that code that knows nothing of hierreg handles them.
"""

__all__ = [
    "ArgumentError",
    "BoundaryWarning",
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "HierregError",
    "HierregWarning",
    "IdentificationWarning",
    "InterruptedWarning",
    "MissingNameError",
    "ModelError",
    "PriorError",
    "SamplingError",
]


class HierregError(Exception):
    """Base class of every error raised by hierreg."""


class DataError(HierregError, ValueError):
    """A table, a column or its values cannot be used as they are."""


class FormulaError(HierregError, ValueError):
    """A model formula is malformed, ambiguous or not supported."""


class PriorError(HierregError, ValueError):
    """A prior has impossible parameters or names something that the model does not have."""


class ModelError(HierregError, ValueError):
    """An error structure, a covariance or another argument does not fit the model or the data."""


class ArgumentError(ModelError, TypeError):
    """A function has no argument of that name; the message says what to write instead."""


class MissingNameError(HierregError, AttributeError):
    """An object has no attribute of that name, which other packages have; the message says what to write instead."""


class SamplingError(HierregError, RuntimeError):
    """A way of sampling cannot represent a posterior, whatever its settings; the message names another way."""


class HierregWarning(UserWarning):
    """Base class of every warning issued by hierreg."""


class ConvergenceWarning(HierregWarning):
    """An optimiser or a sampler finished, but its answer may not be accurate."""


class BoundaryWarning(HierregWarning):
    """A variance is estimated as zero, or a correlation as plus or minus one."""


class IdentificationWarning(HierregWarning):
    """Variance parameters that the data cannot tell apart, whatever the response: only a prior decides them."""


class InterruptedWarning(HierregWarning):
    """A user interrupted the work; what was finished is returned."""
