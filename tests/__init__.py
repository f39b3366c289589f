"""The tests of hierreg, one module for each module of the package."""
