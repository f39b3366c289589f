"""Arrays within compiled functions: new ones, and those at an address (numba).

What `np.empty`, `np.zeros` and `numba.carray` do, as a few instructions in place of a function that is compiled for
number of axes, each combination of literal and other extents, and each element type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD = ir.IntType(64)
# Bytes of an array in the frame of a function. A call of a small likelihood has forty, on stacks of two megabytes.
_MOST_IN_FRAME = 1088


def _extents_of(shape: Any) -> int:
    """Return the number of axes of a shape; those of one axis may be given as a number."""
    return len(shape) if isinstance(shape, types.BaseTuple) else 1


def _integers(context: Any, builder: Any, shape_type: Any, shape: Any) -> list[Any]:
    if not isinstance(shape_type, types.BaseTuple):
        return [context.cast(builder, shape, shape_type, types.int64)]
    parts = cgutils.unpack_tuple(builder, shape, len(shape_type))
    return [context.cast(builder, part, one, types.int64) for part, one in zip(parts, shape_type, strict=True)]


def _array(context: Any, builder: Any, kind: Any, extents: list[Any], data: Any, meminfo: Any) -> Any:
    """Return an array in C order."""
    array, itemsize = make_array(kind)(context, builder), context.get_abi_sizeof(context.get_data_type(kind.dtype))
    strides = [_WORD(itemsize)]
    for extent in reversed(extents[1:]):
        strides.append(builder.mul(strides[-1], extent))
    pointer = builder.bitcast(data, context.get_data_type(kind.dtype).as_pointer())
    populate_array(array, pointer, extents, strides[::-1], itemsize, meminfo)
    return array


def _size_of(context: Any, builder: Any, kind: Any, extents: list[Any]) -> Any:
    """Return the bytes of an array."""
    size = _WORD(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    for extent in extents:
        size = builder.mul(size, extent)
    return size


def _allocated(context: Any, builder: Any, kind: Any, shape_type: Any, shape: Any) -> tuple[Any, Any]:
    """Return a new array and its size in bytes."""
    extents = _integers(context, builder, shape_type, shape)
    size = _size_of(context, builder, kind, extents)
    meminfo = context.nrt.meminfo_alloc_aligned(builder, size, context.get_preferred_array_alignment(kind.dtype))
    return _array(context, builder, kind, extents, context.nrt.meminfo_data(builder, meminfo), meminfo), size


def _placed(context: Any, builder: Any, kind: Any, shape_type: Any, shape: Any) -> tuple[Any, Any]:
    """Return a new array and its size in bytes, in the frame of the function where it is small."""
    extents = _integers(context, builder, shape_type, shape)
    size = _size_of(context, builder, kind, extents)
    room = cgutils.alloca_once(builder, ir.ArrayType(_WORD, _MOST_IN_FRAME // 8))
    room.align = 64
    place = cgutils.alloca_once_value(builder, builder.bitcast(room, cgutils.voidptr_t))
    owner = cgutils.alloca_once_value(builder, ir.Constant(cgutils.voidptr_t, None))
    with builder.if_then(builder.icmp_unsigned(">", size, _WORD(_MOST_IN_FRAME)), likely=False):
        meminfo = context.nrt.meminfo_alloc_aligned(builder, size, context.get_preferred_array_alignment(kind.dtype))
        builder.store(meminfo, owner)
        builder.store(context.nrt.meminfo_data(builder, meminfo), place)
    return _array(context, builder, kind, extents, builder.load(place), builder.load(owner)), size


def _new(
    shape: Any, dtype: Any, fill: Callable[[Any, Any, Any], None] | None = None, make: Callable[..., Any] = _allocated
) -> Any:
    """Return what an intrinsic does that makes an array; ``fill`` writes its elements, given the size in bytes."""
    kind = types.Array(dtype, _extents_of(shape), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, size = make(context, builder, kind, signature.args[0], arguments[0])
        if fill is not None:
            fill(builder, array, size)
        return array._getvalue()

    return kind(shape), generate


def _with_zeros(builder: Any, array: Any, size: Any) -> None:
    cgutils.memset(builder, array.data, size, 0)


def _with_ones(builder: Any, array: Any, size: Any) -> None:
    with cgutils.for_range(builder, builder.udiv(size, _WORD(8))) as loop:
        builder.store(ir.DoubleType()(1.0), builder.gep(array.data, [loop.index]))


@intrinsic
def empty(typing_context: Any, shape: Any) -> Any:  # noqa: ARG001  # the signature numba asks for
    """Return an array of float64 whose elements are arbitrary."""
    return _new(shape, types.float64)


@intrinsic
def local(typing_context: Any, shape: Any) -> Any:  # noqa: ARG001
    """Return an array of float64 whose elements are arbitrary, for the function that asks and what it calls alone.

    Memory for a small one costs nothing. It must not be returned, nor outlive a pass of the loop that it is made in.
    """
    return _new(shape, types.float64, make=_placed)


@intrinsic
def local_integers(typing_context: Any, shape: Any) -> Any:  # noqa: ARG001
    """Return an array as `local` does, of int64."""
    return _new(shape, types.int64, make=_placed)


@intrinsic
def local_zeros(typing_context: Any, shape: Any) -> Any:  # noqa: ARG001
    """Return an array as `local` does, of zeros."""
    return _new(shape, types.float64, _with_zeros, make=_placed)


@intrinsic
def zeros(typing_context: Any, shape: Any) -> Any:  # noqa: ARG001
    """Return an array of float64 that are zero."""
    return _new(shape, types.float64, _with_zeros)


@intrinsic
def ones(typing_context: Any, shape: Any) -> Any:  # noqa: ARG001
    """Return an array of float64 that are one."""
    return _new(shape, types.float64, _with_ones)


@intrinsic
def array_at(typing_context: Any, address: Any, shape: Any, dtype: Any) -> Any:  # noqa: ARG001
    """Return the array in C order at an address."""
    kind = types.Array(dtype.dtype, _extents_of(shape), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = arguments[0]
        if not isinstance(place.type, ir.PointerType):
            place = builder.inttoptr(place, cgutils.voidptr_t)
        extents = _integers(context, builder, signature.args[1], arguments[1])
        return _array(context, builder, kind, extents, place, None)._getvalue()

    return kind(address, shape, dtype), generate


@intrinsic
def in_shape(typing_context: Any, array: Any, shape: Any) -> Any:  # noqa: ARG001
    """Return an array in C order in another shape of as many elements, which is not checked; it shares the elements."""
    kind = types.Array(array.dtype, _extents_of(shape), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = make_array(array)(context, builder, arguments[0])
        extents = _integers(context, builder, signature.args[1], arguments[1])
        made = _array(context, builder, kind, extents, given.data, given.meminfo)._getvalue()
        context.nrt.incref(builder, kind, made)
        return made

    return kind(array, shape), generate
