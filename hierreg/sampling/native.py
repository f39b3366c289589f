"""A nutpie model whose density is compiled code: chains run in parallel, without the interpreter's lock.

This uses the entry that nutpie keeps for compiled PyMC models. Where a version of nutpie has another one, the public
`nutpie.compiled_pyfunc` is used instead; the draws are the same, only slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nutpie import _lib
from nutpie.sample import CompiledModel

from hierreg.marginal.likelihood import MarginalLikelihood
from hierreg.marginal.target_entry import log_densities
from hierreg.sampling.native_kernels import copy_draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.marginal.addresses import AddressTable
    from hierreg.marginal.target import Target


@dataclass(frozen=True)
class NativeModel(CompiledModel):  # type: ignore[misc]  # nutpie has no types
    """The density of x, u = centre + scale x, and the table of addresses of what it needs."""

    n: int
    table: AddressTable
    start: Any

    @property
    def n_dim(self) -> int:
        """Number of parameters."""
        return self.n

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the one variable."""
        return {"x": (self.n,)}

    @property
    def coords(self) -> dict[str, Any]:
        """Coordinate of its dimension."""
        return {"parameter": np.arange(self.n)}

    def _make_model(self, init_mean: Any) -> Any:  # noqa: ARG002  # nutpie's signature
        address = self.table.address
        return _lib.PyMcModel(
            _lib.LogpFunc(log_densities.address, address, self),
            _lib.ExpandFunc(self.n, self.n, copy_draw.address, address, self),
            _lib.PyVariable.new_variables(
                ["x"], ["float64"], [(self.n,)], {"parameter": self.n}, {"x": ("parameter",)}
            ),
            self.n,
            {"parameter": self.n},
            {"parameter": np.arange(self.n)},
            self.start,
            None,
        )

    def _make_sampler(self, settings: Any, init_mean: Any, *arguments: Any) -> Any:
        cores, *rest = arguments
        return _lib.PySampler.from_pymc(settings, cores, self._make_model(init_mean), *rest)


def native_model(target: Target, centre: NDArray[np.float64], scale: NDArray[np.float64], start: Any) -> NativeModel:
    """Return the nutpie model of a target.

    Parameters
    ----------
    target : Target
    centre, scale : arrays (n,), (n, n)
    start : callable
        Seed of a chain -> starting point (n,).
    """
    # Chains share the table; a crossed likelihood has room for one thread.
    assert isinstance(target.likelihood, MarginalLikelihood)
    return NativeModel(
        dims={"x": ("parameter",)}, n=len(centre), table=target.table(centre=centre, scale=scale), start=start
    )
