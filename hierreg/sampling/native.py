"""A nutpie model whose density is compiled code: chains run in parallel, without the interpreter's lock.

This uses the entry that nutpie keeps for compiled PyMC models. Where a version of nutpie has another one, the public
`nutpie.compiled_pyfunc` is used instead; the draws are the same, only slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from nutpie import _lib
from nutpie.sample import CompiledModel

from hierreg.marginal.likelihood import MarginalLikelihood
from hierreg.sampling import native_kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hierreg.marginal.target import Target


@dataclass(frozen=True)
class NativeModel(CompiledModel):  # type: ignore[misc]  # nutpie has no types
    """The density of x, u = centre + scale x, and the table of addresses of what it needs."""

    n: int
    table: NDArray[np.int64]
    # Whatever the table points to must live as long as the model.
    arrays: tuple[Any, ...]
    # The compiled function that reads such a table.
    density: Any
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
        address = self.table.ctypes.data
        return _lib.PyMcModel(
            _lib.LogpFunc(self.density.address, address, self),
            _lib.ExpandFunc(self.n, self.n, native_kernels.copy_draw.address, address, self),
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
    v, lk = target.parameters, target.likelihood
    assert isinstance(lk, MarginalLikelihood)
    rows: list[Any] = [
        np.ascontiguousarray(centre),
        np.ascontiguousarray(scale),
        v.n_factor,
        v.block_sizes,
        v.sd_code,
        v.sd_parameters,
        v.corr_is_free,
        v.eta,
        v.fixed_corr_factor,
        lk.z_map_inverse,
        lk.gram.WtW,
        lk.gram.terms.patterns,
        lk.gram.terms.counts,
        lk.W0,
        np.array([lk.constant]),
        *v.within_units.arrays,
        *(array for blocks in lk.blocks.arrays if blocks is not None for array in blocks),
    ]
    arrays = tuple(np.ascontiguousarray(row) for row in rows)
    table = np.zeros((len(rows), native_kernels.WIDTH), dtype=np.int64)
    for i, (row, array) in enumerate(zip(rows, arrays, strict=True)):
        if isinstance(row, int):
            table[i, :2] = row, 1
        else:
            table[i, 0] = array.ctypes.data
            table[i, 1 : 1 + array.ndim] = array.shape
    name = "native_tile_kernels" if lk.blocks.arrays[0] is None else "native_strip_kernels"
    density = import_module(f"hierreg.sampling.{name}").log_density
    return NativeModel(
        dims={"x": ("parameter",)}, n=len(centre), table=table, arrays=arrays, density=density, start=start
    )
