"""SciPy's LAPACK and BLAS in compiled functions, by address: in place, without the interpreter (numba).

Matrices are in C order, where LAPACK takes columns first: its upper triangle is the lower one here, U'U = L L'.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_INT, _CHAR, _DOUBLE, _VOID = ir.IntType(32), ir.IntType(8), ir.DoubleType(), ir.VoidType()


def _stored(builder: Any, value: Any) -> Any:
    """Return the address of a value: all arguments are handed over by address."""
    return cgutils.alloca_once_value(builder, value)


@intrinsic
def triangle(typing_context: Any, function: Any, A: Any, n: Any) -> Any:  # noqa: ARG001  # the signature numba asks for
    """Call dpotrf or dpotri, at an address, for the leading n rows and columns of A; return their info."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, A, n = arguments
        array = context.make_array(signature.args[1])(context, builder, A)
        columns = builder.trunc(builder.extract_value(array.shape, 1), _INT)
        info = _stored(builder, _INT(0))
        places = [
            _stored(builder, _CHAR(ord("U"))),
            _stored(builder, builder.trunc(n, _INT)),
            array.data,
            _stored(builder, columns),
            info,
        ]
        kind = ir.FunctionType(_VOID, [place.type for place in places])
        builder.call(builder.inttoptr(address, kind.as_pointer()), places)
        return builder.sext(builder.load(info), ir.IntType(64))

    return types.int64(types.int64, A, types.int64), generate


@intrinsic
def solve_triangle(typing_context: Any, function: Any, transposed: Any, A: Any, n: Any, x: Any) -> Any:  # noqa: ARG001
    """Replace x (n,) by L^-1 x or L'^-1 x, for L in the leading lower triangle of A, by dtrsv at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, transposed, A, n, x = arguments
        array = context.make_array(signature.args[2])(context, builder, A)
        vector = context.make_array(signature.args[4])(context, builder, x)
        columns = builder.trunc(builder.extract_value(array.shape, 1), _INT)
        places = [
            _stored(builder, _CHAR(ord("U"))),
            # Columns first: the lower triangle is that of the transpose.
            _stored(builder, builder.select(transposed, _CHAR(ord("N")), _CHAR(ord("T")))),
            _stored(builder, _CHAR(ord("N"))),
            _stored(builder, builder.trunc(n, _INT)),
            array.data,
            _stored(builder, columns),
            vector.data,
            _stored(builder, _INT(1)),
        ]
        kind = ir.FunctionType(_VOID, [place.type for place in places])
        builder.call(builder.inttoptr(address, kind.as_pointer()), places)
        return context.get_dummy_value()

    return types.void(types.int64, types.boolean, A, types.int64, x), generate
