"""Timings of hierreg beside other software on the same data; see the README here."""
