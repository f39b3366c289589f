"""Entry point: arguments in, exit code out, errors without tracebacks."""

from __future__ import annotations

import gc
import sys
import warnings
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from hierreg.cli.arguments import parser
from hierreg.exceptions import ConvergenceWarning, HierregError

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    seen: list[type[Warning]] = []

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,  # noqa: ARG001
        lineno: int,  # noqa: ARG001
        file: TextIO | None = None,  # noqa: ARG001
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        seen.append(category)
        print(f"warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.showwarning = show
        try:
            _run(options)
        except HierregError as error:
            print(f"error: {error}", file=sys.stderr)
            return BAD_INPUT
        except OSError as error:
            print(f"error: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
            return BAD_INPUT
    return NOT_CONVERGED if any(issubclass(category, ConvergenceWarning) for category in seen) else OK


def command() -> NoReturn:
    """Run the command line as a process of its own and end it.

    Python's garbage collector would look through the libraries again and again while they load, and once more at the
    end: a third of the time of a short fit. Here it looks seldom, and leaves the end to the operating system.
    """
    gc.set_threshold(_ALLOCATIONS)
    code = main()
    gc.freeze()
    sys.exit(code)


def _run(options: Any) -> None:
    if options.command == "demo":
        from hierreg.cli.demo import demo

        demo(options.output, show_progress=not options.quiet)
    elif options.command == "fit":
        from hierreg.cli.fit import fit

        fit(options)
    elif options.command == "predict":
        from hierreg.cli.predict import predict

        predict(options)
    else:
        from hierreg.cli.report import report

        report(options.fit, figures=options.figures, tables=options.tables)
