"""How parts are linked into what is compiled, by classes of numba that are not documented.

A part stops after it was translated to LLVM's language, and its library has that module alone. A whole collects the
modules of all parts below it, links each once, and hands the rest to numba. What the compilers here are told besides is
what to leave out: rewrites of array expressions, parallel loops and inlining, of which these functions have none.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numba import jit
from numba.core import compiler, typed_passes, untyped_passes
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.cpu import CPUContext
from numba.core.registry import CPUDispatcher
from numba.core.runtime.context import NRTContext
from numba.core.sigutils import normalize_signature
from numba.core.targetconfig import ConfigStack

from hierreg.compiled.references import COUNTERS, counters
from hierreg.compiled.sources import stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Objects made between two looks of the garbage collector at the youngest of them, while something is compiled.
_ALLOCATIONS = 200_000


class _PartLibrary(JITCodeLibrary):
    """A function as it was translated, and the libraries of what it calls."""

    _linking_libraries: list[Any]
    _shared_module: Any

    def finalize(self) -> None:
        """Take nothing in and generate nothing."""
        self._raise_if_finalized()
        self._finalized = True

    @cached_property
    def own(self) -> Any:
        """The module of this function alone, which may be linked several times."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> Any:
        if self._shared_module is None:
            module = self.own.clone()
            for library in _all_of(self._linking_libraries):
                module.link_in(_own_module(library), preserve=True)
            self._shared_module = module
        return self._shared_module


class _Linked:
    """What a library links: the module of one other alone."""

    def __init__(self, library: Any) -> None:
        self._library, self._reload_init = library, library._reload_init

    def _get_module_for_linking(self) -> Any:
        return _own_module(self._library)


class _WholeLibrary(JITCodeLibrary):
    """A function with all that it calls."""

    _linking_libraries: list[Any]
    _of_parts: set[str]

    def finalize(self) -> None:
        """Take everything in and generate machine code."""
        libraries = _all_of(self._linking_libraries)
        self._of_parts = {
            function.name
            for library in libraries
            if isinstance(library, _PartLibrary)
            for function in library.own.functions
            if not function.is_declaration
        }
        self._linking_libraries = [_Linked(library) for library in libraries]
        # First: of what is linked later under the same names, nothing is taken.
        self._final_module.link_in(counters())
        super().finalize()

    def _optimize_final_module(self) -> None:
        # What has one caller then becomes part of it, whatever its size: arguments are tuples of arrays, hundreds of
        # words, and to hand them over took as long as what small groups have to do.
        for function in self._final_module.functions:
            if function.name in COUNTERS or function.name in self._of_parts:
                function.linkage = "internal"
        super()._optimize_final_module()


def _own_module(library: Any) -> Any:
    return library.own if isinstance(library, _PartLibrary) else library._get_module_for_linking()


def _all_of(libraries: list[Any]) -> list[Any]:
    """Return libraries, and those that they call, each once and before all that it calls.

    A function that nothing refers to yet is not taken in when its module is linked, and would be missing where the one
    that calls it comes later.
    """
    done: dict[Any, None] = {}
    waiting = [(library, False) for library in libraries]
    while waiting:
        library, is_finished = waiting.pop()
        if is_finished:
            done.setdefault(library)
        elif library not in done:
            waiting.append((library, True))
            if isinstance(library, _PartLibrary):
                waiting += [(one, False) for one in library._linking_libraries]
    return list(reversed(done))


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerPart(typed_passes.NativeLowering):
    _name = "hierreg_lower_part"

    def run_pass(self, state: Any) -> bool:
        codegen = state.targetctx.codegen()
        state.library = _PartLibrary(codegen, state.func_id.func_qualname)
        super().run_pass(state)
        lowered = state["cr"]
        # Callers find it by this.
        key = object()
        state.targetctx.insert_user_function(key, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=key)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerWhole(typed_passes.NativeLowering):
    _name = "hierreg_lower_whole"

    def run_pass(self, state: Any) -> bool:
        codegen = state.targetctx.codegen()
        state.library = _WholeLibrary(codegen, state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


def _passes(lowering: Any) -> PassManager:
    manager = PassManager("hierreg")
    for one in (
        untyped_passes.TranslateByteCode,
        untyped_passes.FixupArgs,
        untyped_passes.IRProcessing,
        untyped_passes.RewriteSemanticConstants,
        untyped_passes.DeadBranchPrune,
        untyped_passes.GenericRewrites,
        untyped_passes.ReconstructSSA,
        typed_passes.NopythonTypeInference,
        typed_passes.PreLowerStripPhis,
        typed_passes.IRLegalization,
        lowering,
        typed_passes.NoPythonBackend,
    ):
        manager.add_pass(one, one.__name__)
    manager.finalize()
    return manager


# What numba looks its own functions up by: where it differed, np.empty would be compiled once more for each of them.
_FLAGS = compiler.Flags()
_FLAGS.nrt = True
_FLAGS.error_model = "numpy"


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let Python look for unreachable objects seldom, as long as something is compiled.

    The compiler makes millions that live until it is done, and looking through them took a sixth of its time. numba
    compiles in one thread at a time, and functions within others: what was set before is set again by the outermost.
    """
    before = gc.get_threshold()
    if not 0 < before[0] < _ALLOCATIONS:
        yield
        return
    gc.set_threshold(_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _References(NRTContext):
    """How references are counted: of a value that holds arrays, only what has a count is read.

    numba reads every field of every array for each count, a quarter of all that it writes for LLVM.
    """

    def get_meminfos(self, builder: Any, ty: Any, val: Any) -> list[tuple[Any, Any]]:
        models = self._context.data_model_manager
        model = models[ty]
        found = [(ty, model.get_nrt_meminfo(builder, val))] if model.has_nrt_meminfo() else []
        for inner, field_of in model.traverse(builder):
            if models[inner].contains_nrt_meminfo():
                found += self.get_meminfos(builder, inner, field_of(val))
        return found


class _Context(CPUContext):
    """numba's context, which it shares its functions with, but for references."""

    @classmethod
    def beside(cls, context: CPUContext) -> _Context:
        made = cls.__new__(cls)
        made.__dict__.update(vars(context))
        return made

    @property
    def nrt(self) -> _References:
        return _References(self, self.enable_nrt)


class _Compiler(compiler.CompilerBase):
    """numba's compiler without what these functions do not need."""

    def __init__(self, typingctx: Any, targetctx: Any, *given: Any) -> None:
        super().__init__(typingctx, _Context.beside(targetctx), *given)

    def _compile_core(self) -> Any:
        with ConfigStack().enter(_FLAGS), seldom_collected():
            (passes,) = self.define_pipelines()
            passes.run(self.state)
        self.state.pipeline = None
        return self.state.cr


class _PartCompiler(_Compiler):
    def define_pipelines(self) -> list[PassManager]:
        return [_passes(_LowerPart)]


class WholeCompiler(_Compiler):
    """The compiler of what takes its parts in."""

    def define_pipelines(self) -> list[PassManager]:
        return [_passes(_LowerWhole)]


def _of_parts(flags: Any) -> Any:
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
    return flags


class Part(CPUDispatcher):
    """A function that compiled functions call."""

    def __init__(self, py_func: Callable[..., Any], options: dict[str, Any]) -> None:
        super().__init__(py_func, targetoptions=options, pipeline_class=_PartCompiler)
        self._compiler._customize_flags = _of_parts

    @cached_property
    def alone(self) -> Any:
        """The function for Python."""
        return whole(self.py_func, self.targetoptions)

    def add_overload(self, cres: Any) -> None:
        self.overloads[tuple(cres.signature.args)] = cres

    def __call__(self, *arguments: Any) -> Any:
        return self.alone(*arguments)


def whole(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Return a function that Python calls, with its parts."""
    return stamped(jit(function, cache=True, pipeline_class=WholeCompiler, **options))


class _Callback(CFunc):
    """A function that is called by its address."""

    def enable_caching(self) -> None:
        super().enable_caching()
        stamped(self)


def callback(function: Callable[..., Any], signature: Any, options: dict[str, Any]) -> Any:
    """Return a function that is called by its address, with its parts."""
    made = _Callback(function, normalize_signature(signature), {}, dict(options), pipeline_class=WholeCompiler)
    made.enable_caching()
    made.compile()
    return made
