"""Compiled functions that are called by their address, and what all kernels share."""
