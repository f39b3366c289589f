"""The command `hierreg`: demo, fit and report."""

from hierreg.cli.main import main

__all__ = ["main"]
