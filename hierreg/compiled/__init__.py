"""Compiled functions that are called by their address, and what all kernels share.

`records` name what such a function reads, `addresses` make the table of it, and `address_kernels` find it there;
`parts` says what is compiled together, by way of `linking`; `densities` call a compiled log density from Python.
"""
