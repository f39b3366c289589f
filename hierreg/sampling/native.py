"""A nutpie model whose density is compiled code: chains run in parallel, without the interpreter's lock.

This uses the entry that nutpie keeps for compiled PyMC models. Where a version of nutpie has another one, the public
`nutpie.compiled_pyfunc` is used instead; the draws are the same, only slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hierreg.sampling.extension import extension
from hierreg.sampling.native_kernels import copy_draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.compiled.addresses import AddressTable
    from hierreg.sampling.density import Density


@dataclass(frozen=True)
class NativeModel:
    """The density of x, u = centre + scale x, and the table of addresses of what it needs."""

    n: int
    function: int
    table: AddressTable
    start: Any

    @property
    def n_dim(self) -> int:
        """Number of parameters."""
        return self.n

    def _model(self) -> Any:
        address, part = self.table.address, extension()
        return part.PyMcModel(
            part.LogpFunc(self.function, address, self),
            part.ExpandFunc(self.n, self.n, copy_draw.address, address, self),
            part.PyVariable.new_variables(
                ["x"], ["float64"], [(self.n,)], {"parameter": self.n}, {"x": ("parameter",)}
            ),
            self.n,
            {"parameter": self.n},
            {"parameter": np.arange(self.n)},
            self.start,
            None,
        )

    def sampler(self, settings: Any, cores: int, *arguments: Any) -> Any:
        """Return nutpie's sampler; arguments: of ``PySampler.from_pymc`` after the model."""
        return extension().PySampler.from_pymc(settings, cores, self._model(), *arguments)

    def _make_sampler(self, settings: Any, _init_mean: Any, cores: int, *arguments: Any) -> Any:
        """Return the same, asked for by `nutpie.sample`."""
        return self.sampler(settings, cores, *arguments)


def native_model(
    target: Density, centre: NDArray[np.float64], scale: NDArray[np.float64], start: Any
) -> NativeModel | None:
    """Return the nutpie model of a target; None where it has no compiled function that chains can share.

    Parameters
    ----------
    target : Density
    centre, scale : arrays (n,), (n, n)
    start : callable
        Seed of a chain -> starting point (n,).
    """
    native = target.native(centre, scale)
    return None if native is None else NativeModel(n=len(centre), function=native[0], table=native[1], start=start)
