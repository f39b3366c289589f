"""What to write instead, for names of arguments and methods that other packages have."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from hierreg.checks import listed, suggestion
from hierreg.exceptions import ArgumentError, MissingNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# ArviZ and PyMC call it so.
SEED = {"random_seed": "seed"}
# What ArviZ, rstanarm and others call the probability of an interval.
PROB = dict.fromkeys(
    ("hdi_prob", "prob", "credible_interval", "conf_level"), "the probability of intervals is ci_prob="
)

# What ArviZ's plots take.
SELECTION = {
    "var_names": "coefficients are chosen by coef=, correlations by pair=, groups by groups=",
    "coords": "coefficients are chosen by coef=, correlations by pair=, groups by groups=",
    "backend": "figures are matplotlib's",
    "plot_kwargs": "change the figure that is returned, figure.axes, or the style of matplotlib",
}


def understands[**P, R](
    what: str, *, same: Mapping[str, str] | None = None, instead: Mapping[str, str] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for a function that is also called with names of other packages.

    Parameters
    ----------
    what : str
        The function in messages.
    same : dict other name -> name, optional
        Arguments that are taken as they are.
    instead : dict other name -> text, optional
        What to write in place of others.

    Examples
    --------
    >>> @understands("shift", same={"by": "distance"}, instead={"left": "give a negative distance="})
    ... def shift(x, distance):
    ...     return x + distance
    >>> shift(1, by=2)
    3
    >>> shift(1, left=2)
    Traceback (most recent call last):
    hierreg.exceptions.ArgumentError: shift has no argument 'left': give a negative distance=.
    """
    same, instead = same or {}, instead or {}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters
        names = [name for name in parameters if name != "self"]
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        known = frozenset(names)
        places = {name: place for place, name in enumerate(parameters)}

        @functools.wraps(function)
        def wrapper(*args: P.args, **given: P.kwargs) -> R:
            if given.keys() <= known:
                return function(*args, **given)
            own: dict[str, Any] = {}
            for name, value in given.items():
                ours = name if name in known else same.get(name, name)
                if ours != name and (ours in given or places.get(ours, len(args)) < len(args)):
                    raise ArgumentError(f"{what}: {name}= and {ours}= are two names of one argument: give one of them.")
                if ours not in known and not takes_any:
                    raise ArgumentError(_unknown(what, name, names, instead))
                own[ours] = value
            return function(*args, **own)

        return wrapper

    return decorate


def _unknown(what: str, name: str, names: list[str], instead: Mapping[str, str]) -> str:
    if name in instead:
        return f"{what} has no argument {name!r}: {instead[name]}."
    return f"{what} has no argument {name!r}; it has {listed(names, most=20)}.{suggestion(name, names)}"


def missing(owner: str, name: str, instead: Mapping[str, str]) -> AttributeError:
    """Return the error for an attribute that does not exist, with what to write instead where that is known.

    It is an AttributeError, so that ``hasattr`` is false.
    """
    if name in instead:
        return MissingNameError(f"{owner} has no {name!r}: {instead[name]}.")
    return AttributeError(f"{owner} has no attribute {name!r}")
