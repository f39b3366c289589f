"""Entry point: arguments in, exit code out, errors without tracebacks."""

from __future__ import annotations

import gc
import io
import sys
import warnings
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from hierreg.cli.arguments import parser
from hierreg.exceptions import ConvergenceWarning, HierregError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hierreg.cli.answers import Answer

OK, BAD_INPUT, NOT_CONVERGED = 0, 1, 3
# Objects made between two looks of the garbage collector at the youngest of them; Python's default is 700 to 2,000.
_ALLOCATIONS = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        0 done; 1 the input cannot be used; 2 wrong command line; 3 done, but the draws may not represent the
        posterior.
    """
    options = parser().parse_args(arguments)
    seen: list[tuple[type[Warning], str]] = []
    for_programs = getattr(options, "json", False)

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,  # noqa: ARG001
        lineno: int,  # noqa: ARG001
        file: TextIO | None = None,  # noqa: ARG001
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        seen.append((category, str(message)))
        print(f"warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.showwarning = show
        try:
            # Texts for people go nowhere, and of other packages' too, where a program reads.
            with redirect_stdout(io.StringIO()) if for_programs else nullcontext():
                answer = _run(options)
        except HierregError as error:
            print(f"error: {error}", file=sys.stderr)
            return BAD_INPUT
        except OSError as error:
            print(f"error: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
            return BAD_INPUT
    if for_programs and answer is not None:
        from hierreg.cli.answers import as_json

        print(as_json(options.command, answer, [(category.__name__, message) for category, message in seen]))
    return NOT_CONVERGED if any(issubclass(category, ConvergenceWarning) for category, _ in seen) else OK


def command() -> NoReturn:
    """Run the command line as a process of its own and end it.

    Python's garbage collector would look through the libraries again and again while they load, and once more at the
    end: a third of the time of a short fit. Here it looks seldom, and leaves the end to the operating system.
    """
    gc.set_threshold(_ALLOCATIONS)
    code = main()
    gc.freeze()
    sys.exit(code)


def _run(options: Any) -> Answer | None:
    """Run a command, which prints what it finds; return that too, of those that have an answer for programs."""
    if options.command == "demo":
        from hierreg.cli.demo import demo

        demo(options.output, show_progress=not options.quiet)
        return None
    if options.command == "fit":
        from hierreg.cli.fit import fit

        return fit(options)
    if options.command == "check":
        from hierreg.cli.check import check

        return check(options)
    if options.command == "predict":
        from hierreg.cli.predict import predict

        return predict(options)
    if options.command == "loo":
        from hierreg.cli.loo import loo

        return loo(options)
    from hierreg.cli.report import report

    return report(options.fit, figures=options.figures, tables=options.tables, page=options.page)
