"""The marginal likelihood as a PyTensor Op with a gradient, for the Python, C and numba backends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import get_numba_type, numba_funcify, numba_njit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class ValueAndGradient(Protocol):
    """What the Op evaluates: `MarginalLikelihood`, or anything with its method."""

    def value_and_gradient(self, Lambda: Array, error_cov: Array, /) -> tuple[float, Array, Array]:
        """Return the value and its derivatives with respect to both arguments."""


class MarginalLogLikelihood(Op):
    """log p(y | Lambda, error_cov) with beta and the group effects integrated out.

    The gradient is computed together with the value and is part of the outputs, so that a function of both
    calls the kernel once.

    Parameters
    ----------
    likelihood : object with ``value_and_gradient(Lambda, error_cov)``

    Notes
    -----
    Inputs: Lambda (q, q), error_cov (D, D). Outputs: value (), d value / d Lambda (q, q), d value / d
    error_cov (D, D). Only the value may be differentiated: there are no second derivatives.
    """

    def __init__(self, likelihood: ValueAndGradient) -> None:
        # no `__props__`: two Ops are equal only when they are the same object, as arrays cannot be hashed
        self.likelihood = likelihood

    def __str__(self) -> str:
        return type(self).__name__

    def make_node(self, *inputs: Any) -> Apply[Any]:
        """Return the node of the two float64 matrices Lambda and error_cov."""
        Lambda, error_cov = (pt.as_tensor(matrix, dtype="float64") for matrix in inputs)
        return Apply(self, [Lambda, error_cov], [pt.dscalar(), pt.dmatrix(), pt.dmatrix()])

    def evaluate(self, Lambda: Array, error_cov: Array) -> tuple[Array, Array, Array]:
        """Return the three outputs as float64 arrays in C order."""
        value, g_Lambda, g_error_cov = self.likelihood.value_and_gradient(Lambda, error_cov)
        return (
            np.asarray(value, dtype=np.float64),
            np.ascontiguousarray(g_Lambda, dtype=np.float64),
            np.ascontiguousarray(g_error_cov, dtype=np.float64),
        )

    def perform(self, node: Apply[Any], inputs: Sequence[Any], output_storage: list[list[Any]]) -> None:  # noqa: ARG002
        """Write the three outputs."""
        for storage, result in zip(output_storage, self.evaluate(*inputs), strict=True):
            storage[0] = result

    def infer_shape(self, node: Apply[Any], input_shapes: list[Any]) -> list[Any]:  # noqa: ARG002
        """Return the shapes of the three outputs: the gradients have those of the inputs."""
        return [(), *input_shapes]

    def pullback(
        self,
        inputs: Sequence[Any],  # noqa: ARG002  # the signature of the base class
        outputs: Sequence[Any],
        cotangents: Sequence[Any],
    ) -> list[Any]:
        """Return the derivative with respect to both inputs, from the outputs that already hold it."""
        if any(not isinstance(g.type, DisconnectedType) for g in cotangents[1:]):
            raise NotImplementedError("the marginal likelihood has no second derivatives")
        return [cotangents[0] * outputs[1], cotangents[0] * outputs[2]]


@numba_funcify.register(MarginalLogLikelihood)
def _compile_with_numba(
    op: MarginalLogLikelihood,
    node: Apply[Any],
    **kwargs: Any,  # noqa: ARG001  # what the dispatcher passes to every Op
) -> Callable[..., Any]:
    # A Python callback: the kernel's arrays, closed over, would be frozen into the machine code. The kernel
    # itself is compiled and releases the interpreter lock, so chains in threads still run side by side.
    types = [get_numba_type(output.type) for output in node.outputs]
    outputs = numba.types.Tuple(types)
    evaluate = op.evaluate

    @numba_njit
    def marginal_log_likelihood(Lambda: Any, error_cov: Any) -> Any:
        with numba.objmode(result=outputs):
            result = evaluate(Lambda, error_cov)
        return result  # noqa: RET504  # objmode needs the assignment

    return marginal_log_likelihood
