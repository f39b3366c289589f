"""Where SciPy's LAPACK and BLAS are: addresses for compiled functions (`lapack_kernels`)."""

from __future__ import annotations

from functools import cache


@cache
def addresses_of_lapack() -> tuple[int, int, int]:
    """Return the addresses of dpotrf, dpotri and dtrsv, which need no interpreter and raise nothing.

    See Also
    --------
    numba.extending.get_cython_function_address : The documented way to them.
    """
    from numba.extending import get_cython_function_address

    places = (("lapack", "dpotrf"), ("lapack", "dpotri"), ("blas", "dtrsv"))
    potrf, potri, trsv = (get_cython_function_address(f"scipy.linalg.cython_{part}", name) for part, name in places)
    return potrf, potri, trsv
