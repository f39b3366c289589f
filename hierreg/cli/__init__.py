"""The command `hierreg`: demo, fit and report."""

from hierreg.cli.main import command, main

__all__ = ["command", "main"]
