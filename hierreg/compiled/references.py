"""Counts of references to arrays within compiled functions, by instructions of one thread.

numba counts the references to every array by atomic instructions, in functions of their own, which took a third of the
time of a small likelihood. What is compiled here shares no array with another thread: arrays are made and given up
within a call, or belong to Python, whose own count of them is another. So a module that holds all that it calls counts
for itself.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir

_WORD, _POINTER = ir.IntType(64), ir.PointerType(ir.IntType(8))
COUNTERS = "NRT_incref", "NRT_decref"


def counters() -> Any:
    """Return a module of llvmlite's with the two functions, by the names under which numba calls them."""
    module = ir.Module()
    kind = ir.FunctionType(ir.VoidType(), [_POINTER])
    release = ir.Function(module, kind, name="NRT_MemInfo_call_dtor")
    for name, change in zip(COUNTERS, (1, -1), strict=True):
        function = ir.Function(module, kind, name=name)
        # numba finds pairs that undo each other by these names.
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        (reference,) = function.args
        # Arrays that live elsewhere have none.
        with builder.if_then(builder.icmp_unsigned("!=", reference, ir.Constant(_POINTER, None))):
            place = builder.bitcast(reference, _WORD.as_pointer())
            count = builder.add(builder.load(place), _WORD(change))
            builder.store(count, place)
            if change < 0:
                with builder.if_then(builder.icmp_unsigned("==", count, _WORD(0)), likely=False):
                    builder.call(release, [reference])
        builder.ret_void()
    return binding.parse_assembly(str(module))
