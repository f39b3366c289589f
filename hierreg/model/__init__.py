"""The workflow: `Model`, from a formula and a table to estimates and posteriors."""

from hierreg.model.model import Model

__all__ = ["Model"]
